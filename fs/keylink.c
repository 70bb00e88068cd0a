/* keylink — links to what keys name.
 *
 * A link that comes to lead elsewhere is another link, as it would be on a disk
 * (`ln -sfn` removes one and makes one): its number is made of the key, the
 * salt and where it leads. So the kernel may keep texts and attributes for
 * ever, and an entry for no time at all; it asks again at each use, and what it
 * is told is from memory. Nothing has to be invalidated: a notification of the
 * root would wait for its lock, which look-ups hold that wait for us.
 *
 * Numbers. Those of links end in an index that no torrent has (fs/inode.h).
 * Two links of one number cannot be told apart; the later one is refused. */
#include "fs/keylink.h"

#include <stdio.h>
#include <string.h>

#include "core/btpk.h"
#include "core/err.h"
#include "fs/inode.h"
#include "fs/mount_internal.h"
#include "fs/node.h"
#include "net/engine.h"
#include "net/signpost.h"

bool keylink_name_is(const char *name)
{
	struct btpk b;

	return btpk_parse(&b, name) == 0;
}

/* 0: it leads nowhere. */
static uint64_t number_of(const struct signpost *s)
{
	struct signpost_view v;

	signpost_view(s, &v);
	return v.is_known && v.hash.len != 0 ? inode_link(v.btpk, &v.hash) : 0;
}

static struct signpost *by_number(const struct mount *m, uint64_t number)
{
	struct signpost *s = NULL;

	while ((s = signpost_next(m->engine, s)) != NULL)
		if (number_of(s) == number)
			break;
	return s;
}

static void make_node(struct signpost *s, struct node *n)
{
	*n = (struct node){
		.kind = NODE_KEYLINK,
		.number = number_of(s),
		.signpost = s,
	};
}

int keylink_node(const struct mount *m, struct signpost *s, struct node *n)
{
	struct signpost_view v;

	signpost_view(s, &v);
	if (!v.is_known && v.is_asking)
		return EAGAIN;
	if (!v.is_known)
		return v.err != 0 ? v.err : ENOENT;
	if (v.hash.len == 0)
		return ENOENT;
	make_node(s, n);
	return by_number(m, n->number) == s ? 0 : EEXIST;
}

int keylink_use(struct mount *m, const char *name, struct signpost **s,
		struct node *n)
{
	struct btpk b;
	int r = btpk_parse(&b, name);

	if (r == 0)
		r = signpost_use(m->engine, &b, s);
	return r != 0 ? r : keylink_node(m, *s, n);
}

int keylink_by_name(const struct mount *m, const char *name, struct node *n)
{
	struct signpost *s;
	struct btpk b;

	if (btpk_parse(&b, name) != 0)
		return ENOENT;
	s = signpost_find(m->engine, &b);
	return s != NULL && keylink_node(m, s, n) == 0 ? 0 : ENOENT;
}

int keylink_by_number(const struct mount *m, uint64_t number, struct node *n)
{
	struct signpost *s = by_number(m, number);

	if (s == NULL)
		return ESTALE;
	make_node(s, n);
	return 0;
}

bool keylink_child(struct mount *m, uint64_t at, struct node *n,
		   const char **name)
{
	struct signpost *s = NULL;
	struct signpost_view v;

	while ((s = signpost_next(m->engine, s)) != NULL) {
		if (keylink_node(m, s, n) != 0 || at-- > 0)
			continue;
		signpost_view(s, &v);
		*name = btpk_name(v.btpk, m->keylink_name);
		return true;
	}
	return false;
}

int keylink_text(const struct node *n, char *out, size_t room)
{
	char hex[TORRENT_HEX_BYTES];
	struct signpost_view v;

	signpost_view(n->signpost, &v);
	if (snprintf(out, room, "%s", info_hash_hex(&v.hash, hex)) >= (int)room)
		return ENAMETOOLONG;
	return 0;
}
