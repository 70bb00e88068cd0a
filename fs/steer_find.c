/* steer_find — what a name in a request stands for. */
#include "fs/steer_find.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "core/metainfo.h"
#include "fs/inode.h"
#include "fs/mount_internal.h"
#include "fs/node.h"
#include "fs/roster.h"
#include "net/engine.h"
#include "net/torrent.h"

static struct torrent *by_hash(const struct mount *m, const char *text)
{
	struct info_hash h;

	if (!roster_name_is_hash(text) ||
	    info_hash_parse(&h, text, strlen(text)) != 0)
		return NULL;
	return engine_find(m->engine, &h);
}

struct shown *steer_find_shown(const struct mount *m, const char *text)
{
	struct shown *s = roster_by_name(&m->roster, text);
	struct info_hash h;

	if (s == NULL && roster_name_is_hash(text) &&
	    info_hash_parse(&h, text, strlen(text)) == 0)
		s = roster_by_hash(&m->roster, &h);
	return s;
}

struct torrent *steer_find_torrent(const struct mount *m, const char *text)
{
	struct torrent *t = by_hash(m, text);

	if (t != NULL)
		return t;
	while ((t = engine_next(m->engine, t)) != NULL)
		if (torrent_user(t) == NULL &&
		    strcmp(torrent_name(t), text) == 0)
			return t;
	return NULL;
}

static int step(struct mount *m, struct node *n, const char *name)
{
	struct shown *s;

	if (n->kind != NODE_ROOT || !roster_name_is_hash(name))
		return node_lookup(m, n, name, n);
	s = steer_find_shown(m, name);
	if (s == NULL)
		return ENOENT;
	*n = node_top(s, true);
	return 0;
}

int steer_look_up(struct mount *m, const char *path, struct node *out)
{
	char name[NAME_MAX + 1];
	int r = node_find(m, INODE_ROOT, out);

	while (r == 0 && *path != '\0') {
		size_t len = strcspn(path, "/");

		if (len > NAME_MAX)
			return ENAMETOOLONG;
		memcpy(name, path, len);
		name[len] = '\0';
		path += len + (path[len] == '/');
		if (len > 0)
			r = step(m, out, name);
	}
	return r;
}
