/* pex — ut_pex's dictionary, and the rules for its use.
 *
 * Words. Told: what the other side believes of us, the sum of all messages so
 * far. A message is the difference from that to what is true now.
 *
 * What strangers say of third parties is the cheapest way to point a swarm at
 * a victim or into somebody's own network. So: no more than BEP 11 allows in
 * a message, a few ports of one host at most, nothing that cannot be dialled,
 * loopback only from loopback, and a private or link-local address only from
 * one who is in such a network himself.
 *
 * Failure modes: no dictionary is EBADMSG. A list whose length is not a
 * multiple of an address counts as not said, as everywhere in ext.c; flags
 * that are missing count as 0. */
#include "net/pex.h"

#include <errno.h>

#include "core/bencode.h"
#include "core/buf.h"
#include "core/core_limits.h"

/* ---- what may be told ---- */

static bool is_of_a_lan(const struct addr *a)
{
	return addr_is_private(a) || addr_is_link_local(a);
}

bool pex_may_tell(const struct addr *a, const struct addr *between)
{
	if (!addr_can_dial(a) || addr_eq(a, between))
		return false;
	if (addr_is_loopback(a))
		return addr_is_loopback(between);
	return !is_of_a_lan(a) || is_of_a_lan(between) ||
	       addr_is_loopback(between);
}

static bool has_too_many_of(const struct pex_heard *h, const struct addr *a)
{
	unsigned n = 0, i;

	for (i = 0; i < h->n; i++) {
		if (addr_eq(&h->v[i].addr, a))
			return true;
		n += addr_eq_host(&h->v[i].addr, a);
	}
	return n >= PEX_HOST_MAX;
}

/* ---- decoding ---- */

/* One family's list, and the flags beside it. */
struct list {
	const char *key, *flags_key;
	size_t compact_len;
};

static const struct list lists[] = {
	{"added", "added.f", ADDR_COMPACT4},
	{"added6", "added6.f", ADDR_COMPACT6},
};

static void read_list(const struct benc *doc, const struct list *list,
		      const struct addr *from, struct pex_heard *out)
{
	struct span raw, flags = {0};
	size_t len = list->compact_len, n, i;

	if (!benc_get_str(doc, BENC_ROOT, list->key, &raw) || raw.len % len)
		return;
	(void)benc_get_str(doc, BENC_ROOT, list->flags_key, &flags);
	n = raw.len / len;
	for (i = 0; i < n && i < PEX_ADDED_MAX && out->n < PEX_ADDED_MAX; i++) {
		struct pex_peer p = {.flags = i < flags.len ? flags.ptr[i] : 0};

		if (addr_from_compact(&p.addr, raw.ptr + i * len, len) == 0 &&
		    pex_may_tell(&p.addr, from) &&
		    !has_too_many_of(out, &p.addr))
			out->v[out->n++] = p;
	}
}

int pex_decode(struct span body, const struct addr *from, struct pex_heard *out)
{
	const struct benc_limits limits = {
		.depth = BENCODE_DEPTH_WIRE,
		.tokens = BENCODE_TOKENS_WIRE,
		.flags = BENCODE_LAX_KEYS,
	};
	struct benc doc;
	size_t i;
	int err = benc_decode(&doc, body.ptr, body.len, &limits, NULL);

	if (err != 0)
		return err == ENOMEM ? ENOMEM : EBADMSG;
	out->n = 0;
	if (!benc_is(&doc, BENC_ROOT, BENC_DICT))
		err = EBADMSG;
	for (i = 0; err == 0 && i < sizeof(lists) / sizeof(lists[0]); i++)
		read_list(&doc, &lists[i], from, out);
	benc_fini(&doc);
	return err;
}

enum pex_pace_is pex_pace_on_msg(struct pex_pace *pace, uint64_t now_us)
{
	if (pace->last_us == 0 ||
	    now_us >= pace->last_us + (uint64_t)PEX_HEAR_MS * 1000) {
		pace->last_us = now_us;
		pace->n_early = 0;
		return PEX_TIMELY;
	}
	return ++pace->n_early > PEX_EARLY_MAX ? PEX_TOO_OFTEN : PEX_EARLY;
}

/* ---- differences ---- */

static bool was_told(const struct pex_told *told, const struct addr *a)
{
	unsigned i;

	for (i = 0; i < told->n; i++)
		if (addr_eq(&told->v[i], a))
			return true;
	return false;
}

static bool is_there(const struct pex_peer *now, unsigned n,
		     const struct addr *a)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (addr_eq(&now[i].addr, a))
			return true;
	return false;
}

static void drop_gone(struct pex_told *told, const struct pex_peer *now,
		      unsigned n, struct pex_diff *out)
{
	unsigned i = 0;

	while (i < told->n && out->n_dropped < PEX_DROPPED_MAX) {
		if (is_there(now, n, &told->v[i])) {
			i++;
			continue;
		}
		out->dropped[out->n_dropped++] = told->v[i];
		told->v[i] = told->v[--told->n];
	}
}

bool pex_diff_to(struct pex_told *told, const struct pex_peer *now, unsigned n,
		 struct pex_diff *out)
{
	unsigned i;

	out->n_added = out->n_dropped = 0;
	drop_gone(told, now, n, out);
	for (i = 0; i < n; i++) {
		if (out->n_added == PEX_ADDED_MAX || told->n == PEX_TOLD_MAX)
			break;
		if (was_told(told, &now[i].addr))
			continue;
		out->added[out->n_added++] = now[i];
		told->v[told->n++] = now[i].addr;
	}
	return out->n_added + out->n_dropped > 0;
}

/* ---- encoding ---- */

static void put_added(struct buf *out, const struct list *list,
		      const struct pex_diff *d)
{
	uint8_t raw[PEX_ADDED_MAX * ADDR_COMPACT6], flags[PEX_ADDED_MAX];
	uint8_t compact[ADDR_COMPACT6];
	size_t len = 0, k;
	unsigned n = 0, i;

	for (i = 0; i < d->n_added; i++) {
		if (addr_to_compact(&d->added[i].addr, compact) !=
		    list->compact_len)
			continue;
		for (k = 0; k < list->compact_len; k++)
			raw[len++] = compact[k];
		flags[n++] = d->added[i].flags;
	}
	benc_put_cstr(out, list->key);
	benc_put_str(out, raw, len);
	benc_put_cstr(out, list->flags_key);
	benc_put_str(out, flags, n);
}

static void put_dropped(struct buf *out, const char *key, size_t compact_len,
			const struct pex_diff *d)
{
	uint8_t raw[PEX_DROPPED_MAX * ADDR_COMPACT6], compact[ADDR_COMPACT6];
	size_t len = 0, k;
	unsigned i;

	for (i = 0; i < d->n_dropped; i++) {
		if (addr_to_compact(&d->dropped[i], compact) != compact_len)
			continue;
		for (k = 0; k < compact_len; k++)
			raw[len++] = compact[k];
	}
	benc_put_cstr(out, key);
	benc_put_str(out, raw, len);
}

/* Keys in ascending order, as BEP 3 wants them. */
void pex_put(struct buf *out, const struct pex_diff *diff)
{
	benc_put_dict(out);
	put_added(out, &lists[0], diff);
	put_added(out, &lists[1], diff);
	put_dropped(out, "dropped", ADDR_COMPACT4, diff);
	put_dropped(out, "dropped6", ADDR_COMPACT6, diff);
	benc_put_end(out);
}
