/* xattr — the extended attributes user.shoalfs.*. Thread: loop. */
#ifndef SHOAL_FS_XATTR_H
#define SHOAL_FS_XATTR_H

struct buf;
struct mount;
struct node;

/* xattr_get — the value of `name` into `out`. 0; ENODATA; EOPNOTSUPP: a class
 * of attributes that nothing here has; ENOMEM. */
int xattr_get(const struct mount *m, const struct node *n, const char *name,
	      struct buf *out);

/* xattr_list — the names `n` has, each with its NUL. 0 or ENOMEM. */
int xattr_list(const struct mount *m, const struct node *n, struct buf *out);

#endif
