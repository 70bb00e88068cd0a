/* fuse_kernel — what of the kernel's FUSE protocol is newer than Debian 12's
 * <linux/fuse.h>: numbers and structs of the kernel's interface, which never
 * change. */
#ifndef SHOAL_FS_FUSE_KERNEL_H
#define SHOAL_FS_FUSE_KERNEL_H

#include <linux/fuse.h>
#include <stdint.h>
#include <sys/ioctl.h>

/* In flags2 of INIT, both ways. */
enum {
	KERNEL_PASSTHROUGH = 1 << 5, /* Linux 6.9 */
	KERNEL_RESEND = 1 << 7,	     /* the same */
};

/* Notifications, by their numbers in the place of the error: send again what
 * was not answered; every name that was looked up before now is looked up anew
 * when it is used next (Linux 6.16). */
enum { KERNEL_NOTIFY_RESEND = 7, KERNEL_NOTIFY_INC_EPOCH = 8 };

/* In open_flags of OPEN's reply. */
enum { KERNEL_FOPEN_PASSTHROUGH = 1 << 7 };

/* Where INIT's reply has how many file systems may be stacked below us, in
 * the part that the header calls unused. */
enum { KERNEL_INIT_STACK_DEPTH = 0 };

/* OPEN's reply; the header calls backing_id padding. */
struct kernel_open_out {
	uint64_t fh;
	uint32_t open_flags;
	int32_t backing_id;
};

/* Of the device: a descriptor becomes a number that OPEN's reply may name. */
struct kernel_backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};

#define KERNEL_BACKING_OPEN  _IOW(229, 1, struct kernel_backing_map)
#define KERNEL_BACKING_CLOSE _IOW(229, 2, uint32_t)

#endif
