/* writeops — the FUSE operations that would change something. Adding and
 * removing torrents are the only ones that do; all others are EROFS.
 * Thread: loop. */
#ifndef SHOAL_FS_WRITEOPS_H
#define SHOAL_FS_WRITEOPS_H

#include "fs/fuse_api.h"

struct node;

/* Of a file that is being copied in, for those in ops.c. */
void writeops_open(fuse_req_t req, const struct node *n,
		   struct fuse_file_info *fi);
void writeops_read(fuse_req_t req, size_t size, off_t off,
		   struct fuse_file_info *fi);
void writeops_release(fuse_req_t req, struct fuse_file_info *fi);

void writeops_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr,
		      int to_set, struct fuse_file_info *fi);
void writeops_mknod(fuse_req_t req, fuse_ino_t parent, const char *name,
		    mode_t mode, dev_t rdev);
void writeops_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name,
		    mode_t mode);
void writeops_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void writeops_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void writeops_symlink(fuse_req_t req, const char *link, fuse_ino_t parent,
		      const char *name);
void writeops_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
		     fuse_ino_t newparent, const char *newname, unsigned flags);
void writeops_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent,
		   const char *newname);
void writeops_write(fuse_req_t req, fuse_ino_t ino, const char *buf,
		    size_t size, off_t off, struct fuse_file_info *fi);
void writeops_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void writeops_create(fuse_req_t req, fuse_ino_t parent, const char *name,
		     mode_t mode, struct fuse_file_info *fi);
void writeops_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
		       const char *value, size_t size, int flags);
void writeops_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);
void writeops_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off,
			off_t len, struct fuse_file_info *fi);

/* writeops_end_all — the mount is over: who waits gets EIO. */
struct mount;
void writeops_end_all(struct mount *m);

#endif
