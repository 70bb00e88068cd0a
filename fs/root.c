/* root — what the kernel keeps of the mount's root.
 *
 * Attributes. Every path begins at the root, and the kernel looks at its mode
 * each time: attributes that are good for no time are a question for each use
 * of each path. So they are good for long, and when they change the kernel is
 * told (INVAL_INODE without a range: that takes no lock that anybody may hold
 * who waits for us, and is right also against a reply that is on its way: the
 * kernel counts versions).
 *
 * The listing. A kernel that is told ENOSYS by OPENDIR asks that no more, and
 * keeps the listing of every directory, the root's too. Of the root it must
 * not, and there is nothing to say so in. But what was read is kept page by
 * page, and counts only when its end was reached: so the pages are dropped just
 * before we say where the end is. The kernel then finds a page gone when it
 * would use them, and asks us. Nobody ever reads from such pages, so none is
 * ever locked while somebody waits for us. */
#include "fs/root.h"

#include "core/clock.h"
#include "fs/inode.h"
#include "fs/mount_internal.h"

enum { ATTRIBUTES_ONLY = -1 };

static void forget(struct mount *m, off_t from)
{
	if (m->io != NULL)
		(void)fuse_lowlevel_notify_inval_inode(m->se, INODE_ROOT, from,
						       0);
}

void root_changed(struct mount *m)
{
	m->changed_s = clock_wall_s();
	forget(m, ATTRIBUTES_ONLY);
}

void root_resumed(struct mount *m)
{
	forget(m, ATTRIBUTES_ONLY);
}

void root_listed(struct mount *m)
{
	if (m->keeps_listings)
		forget(m, 0);
}
