/* control_dht — our node of the DHT, for people and programs: a paragraph and
 * an object of the status, and the files of MOUNT/.shoalfs/dht. */
#ifndef SHOAL_FS_CONTROL_DHT_H
#define SHOAL_FS_CONTROL_DHT_H

struct buf;
struct control_json;
struct mount;
typedef struct json_t json_t;

/* control_dht_line — one line for the status; control_dht_id — the id of each
 * family, a line each; control_dht_table — each contact; control_dht_text — all
 * there is to say. Their buf_err
 * tells of ENOMEM. */
void control_dht_line(const struct mount *m, struct buf *out);
void control_dht_id(const struct mount *m, struct buf *out);
void control_dht_table(const struct mount *m, struct buf *out);
void control_dht_text(const struct mount *m, struct buf *out);

/* control_dht_json — null: there is none. Gives. */
json_t *control_dht_json(struct control_json *o);

#endif
