/* steer_key — the verbs of the control socket that speak of keys (BEP 46). */
#ifndef SHOAL_FS_STEER_KEY_H
#define SHOAL_FS_STEER_KEY_H

struct control_json;
struct mount;
struct steer_request;
typedef struct json_t json_t;

/* steer_key, steer_publish — fill `answer`. NULL, or why not, a constant. */
const char *steer_key(struct mount *m, const struct steer_request *r,
		      struct control_json *o, json_t *answer);
const char *steer_publish(struct mount *m, const struct steer_request *r,
			  struct control_json *o, json_t *answer);

#endif
