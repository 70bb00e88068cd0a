/* mountinfo — is our mount still there? Asked of the kernel's list of mounts,
 * never of the mount itself.
 *
 * Thread: loop; the two functions on text are pure. */
#ifndef SHOAL_FS_MOUNTINFO_H
#define SHOAL_FS_MOUNTINFO_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct mountinfo;

/* A device number as the list has it. */
struct mountinfo_dev {
	unsigned major, minor;
};

/* mountinfo_at — the device of the topmost mount at `point`. 0 or ENOENT. */
int mountinfo_at(const char *text, const char *point,
		 struct mountinfo_dev *out);

/* mountinfo_has — is `dev` mounted anywhere? */
bool mountinfo_has(const char *text, struct mountinfo_dev dev);

/* mountinfo_open — remember what is mounted at `point` (absolute, resolved;
 * copied) now. 0, ENOENT, ENOMEM, or why the list cannot be read. */
int mountinfo_open(const char *point, struct mountinfo **out);

/* mountinfo_watch — from now on `on_gone` runs once, when it is mounted
 * nowhere any more. It may close `mi`. 0 or an errno. */
int mountinfo_watch(struct mountinfo *mi, struct loop *loop,
		    void (*on_gone)(void *arg), void *arg);

/* mountinfo_is_mounted — anywhere, at this moment. When the list cannot be
 * read: yes. mountinfo_is_on_top — it is what the path leads to. */
bool mountinfo_is_mounted(struct mountinfo *mi);
bool mountinfo_is_on_top(struct mountinfo *mi);

/* mountinfo_device — the device that was there when it was opened. */
struct mountinfo_dev mountinfo_device(const struct mountinfo *mi);

/* mountinfo_close — NULL is fine. */
void mountinfo_close(struct mountinfo *mi);

#endif
