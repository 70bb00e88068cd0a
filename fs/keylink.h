/* keylink — MOUNT/btpk-<public key>[-<salt>]: a symbolic link to the torrent
 * that the key names now (BEP 46). Its text is the torrent's info-hash in hex,
 * which the mount then resolves like any other. Thread: loop. */
#ifndef SHOAL_FS_KEYLINK_H
#define SHOAL_FS_KEYLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mount;
struct node;
struct signpost;

/* keylink_name_is — exactly that form, hex in either case. */
bool keylink_name_is(const char *name);

/* keylink_use — the link of a name that keylink_name_is. 0: `n` is it; EAGAIN:
 * `s` is being looked for; else what signpost_use says. */
int keylink_use(struct mount *m, const char *name, struct signpost **s,
		struct node *n);

/* keylink_node — the link of `s`. 0; ENOENT, ETIMEDOUT: it has none; EAGAIN: it
 * is being looked for; EEXIST: its node number is another's. */
int keylink_node(const struct mount *m, struct signpost *s, struct node *n);

/* keylink_by_name — of a name that is known, without a look. ENOENT. */
int keylink_by_name(const struct mount *m, const char *name, struct node *n);

/* keylink_by_number — 0 or ESTALE. */
int keylink_by_number(const struct mount *m, uint64_t number, struct node *n);

/* keylink_child — the links that are known, from 0 on; false past the end.
 * `name` is lent until the next call. */
bool keylink_child(struct mount *m, uint64_t at, struct node *n,
		   const char **name);

/* keylink_text — 0, or ENAMETOOLONG. */
int keylink_text(const struct node *n, char *out, size_t room);

#endif
