/* control_internal — words and names that the forms of the status share, and
 * JSON for the control socket. */
#ifndef SHOAL_FS_CONTROL_INTERNAL_H
#define SHOAL_FS_CONTROL_INTERNAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/torrent.h"
#include "net/tracker.h"

struct buf;
struct mount;
struct readop;
struct shown;
struct signpost;

enum { CONTROL_URL_BYTES = 512 }; /* longer ones are cut */

const char *control_state(enum torrent_state state);
const char *control_tracker_state(enum tracker_state state);

/* control_name — the torrent's name in the root, or what it will be called. */
const char *control_name(const struct torrent *t);
uint64_t control_uptime_s(const struct mount *m);

/* ---- control_json.c ---- */

/* What is made; `failed` sticks when there is no memory. */
struct control_json {
	const struct mount *m;
	bool failed;
};

/* control_put, control_push — take the value. */
void control_put(struct control_json *o, json_t *object, const char *key,
		 json_t *value);
void control_put_int(struct control_json *o, json_t *object, const char *key,
		     uint64_t value);
void control_push(struct control_json *o, json_t *array, json_t *value);

/* control_text_value — NULL is null; what is not UTF-8 keeps its ASCII. */
json_t *control_text_value(const char *s);

/* status.json's object; a torrent in it without its lists, and the same of one
 * that nobody uses; its peers; a read
 * that waits. All give. */
json_t *control_json_status(struct control_json *o);
json_t *control_json_brief(struct control_json *o, const struct torrent *t);
json_t *control_json_asleep(struct control_json *o, const struct shown *s);
json_t *control_json_peers(struct control_json *o, const struct torrent *t);
json_t *control_json_read(struct control_json *o, const struct readop *op);

/* control_json_key — what is known of a key, into `j`. control_key_error — a
 * look or a put that failed, for a person. */
void control_json_key(struct control_json *o, const struct signpost *s,
		      json_t *j);
const char *control_key_error(int err);

/* control_json_dump — as text, with a line's end. 0 or ENOMEM. */
int control_json_dump(const struct control_json *o, const json_t *j,
		      size_t flags, struct buf *out);

#endif
