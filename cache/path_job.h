/* path_job — names in the store's directory, whoever has put what there: no
 * symbolic link is followed, in no element of a path, and so nothing outside is
 * ever reached. Paths are ours: relative, without "..".
 *
 * Thread: workers and the store thread. Errors: as the system calls have them;
 * ENOTDIR: a link lies where a directory was; ELOOP: where the file was. */
#ifndef SHOAL_CACHE_PATH_JOB_H
#define SHOAL_CACHE_PATH_JOB_H

#include <sys/stat.h>

/* path_job_open — as openat(2): a descriptor, or -1 and errno. path_job_stat —
 * as fstatat(2), of the link itself if it is one. path_job_rename — as
 * renameat2(2), both below `dir_fd`. path_job_spare_atime — what is made in
 * this directory from now on has no access times kept, where the file system
 * can that: nobody asks for those of a store, and each read pays for them. */
int path_job_open(int dir_fd, const char *path, int flags, mode_t mode);
int path_job_stat(int dir_fd, const char *path, struct stat *out);
int path_job_rename(int dir_fd, const char *from, const char *to,
		    unsigned flags);
void path_job_spare_atime(int dir_fd);

#endif
