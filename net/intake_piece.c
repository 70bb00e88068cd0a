/* intake_piece — the record of a piece under way: who was handed the place of
 * each block, who sent it, and what each segment still lacks.
 *
 * Invariant: n_arrived is n_blocks less the sum of n_missing. */
#include "net/intake_piece.h"

#include <string.h>

#include "cache/pieces.h"
#include "core/err.h"
#include "core/hmap.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "net/custody.h"
#include "net/intake.h"
#include "net/net_limits.h"
#include "net/picker.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"

void intake_piece_free(struct intake_piece *ip)
{
	mem_free(ip->holder);
	mem_free(ip->sender);
	mem_free(ip->n_missing);
	mem_free(ip->bad_sender);
	mem_free(ip->bad_digest);
	mem_free(ip);
}

uint32_t intake_segments(const struct intake_piece *ip)
{
	return (ip->n_blocks + ip->segment_blocks - 1) / ip->segment_blocks;
}

/* Nothing of segment `i` has arrived. */
void intake_empty_segment(struct intake_piece *ip, uint32_t i)
{
	uint32_t b = i * ip->segment_blocks;
	uint32_t n = ip->n_blocks - b;

	if (n > ip->segment_blocks)
		n = ip->segment_blocks;
	ip->n_arrived -= n - ip->n_missing[i];
	ip->n_missing[i] = n;
	memset(ip->holder + b, 0, n * sizeof(*ip->holder));
	memset(ip->sender + b, 0, n * sizeof(*ip->sender));
}

static int make_records(struct intake_piece *ip)
{
	uint32_t i;

	ip->holder = mem_zalloc(ip->n_blocks, sizeof(*ip->holder));
	ip->sender = mem_zalloc(ip->n_blocks, sizeof(*ip->sender));
	ip->n_missing = mem_zalloc(intake_segments(ip), sizeof(*ip->n_missing));
	if (ip->holder == NULL || ip->sender == NULL || ip->n_missing == NULL)
		return ENOMEM;
	ip->n_arrived = ip->n_blocks;
	for (i = 0; i < intake_segments(ip); i++)
		intake_empty_segment(ip, i);
	return 0;
}

static uint32_t n_blocks(uint32_t bytes)
{
	return (bytes + WIRE_BLOCK_BYTES - 1) / WIRE_BLOCK_BYTES;
}

struct intake_piece *intake_piece_new(struct intake *in, uint32_t ix)
{
	struct intake_piece *ip = mem_new(struct intake_piece);

	if (ip == NULL)
		return NULL;
	ip->ix = ix;
	ip->n_blocks = n_blocks(metainfo_body_bytes(in->sw->t->mi, ix));
	ip->segment_blocks = n_blocks(pieces_segment_bytes(in->sw->t->ps, ix));
	if (make_records(ip) != 0 || hmap_put(in->by_ix, &ix, ip) != 0) {
		intake_piece_free(ip);
		return NULL;
	}
	ip->came_us = loop_now_us(in->sw->loop);
	LIST_INSERT_HEAD(&in->pieces, ip, link);
	return ip;
}

void intake_piece_drop(struct intake *in, struct intake_piece *ip)
{
	if (ip->is_suspect)
		in->n_suspects--;
	custody_leave(in, ip);
	(void)hmap_del(in->by_ix, &ip->ix);
	LIST_REMOVE(ip, link);
	intake_piece_free(ip);
}

uint32_t intake_hung(const struct intake *in, uint64_t now_us)
{
	const struct intake_piece *ip;

	LIST_FOREACH (ip, &in->pieces, link) {
		if (ip->n_arrived < ip->n_blocks &&
		    now_us >= ip->came_us + (uint64_t)RECLAIM_HUNG_MS * 1000 &&
		    picker_class(in->sw->picker, ip->ix) == WANT_URGENT &&
		    pieces_state(in->sw->t->ps, ip->ix) == PIECE_FETCHING)
			return ip->ix;
	}
	return UINT32_MAX;
}
