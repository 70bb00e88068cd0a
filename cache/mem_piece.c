/* mem_piece — see mem_piece.h.
 *
 * The parts are few and come nearly in order, so they are an array, sorted by
 * where they lie.
 *
 * Invariant: v[0 … n-1] is sorted by `at_bytes` and nothing overlaps. */
#include "cache/mem_piece.h"

#include <errno.h>
#include <string.h>

#include "core/blk.h"
#include "core/mem.h"

struct part {
	uint32_t at_bytes;
	struct blk *blk;
};

struct mem_piece {
	struct part *v;
	uint32_t n, room;
	uint64_t bytes;
};

int mem_piece_new(struct mem_piece **out)
{
	*out = mem_new(struct mem_piece);
	return *out == NULL ? ENOMEM : 0;
}

void mem_piece_free(struct mem_piece *p)
{
	if (p == NULL)
		return;
	for (uint32_t i = 0; i < p->n; i++)
		blk_drop(p->v[i].blk);
	mem_free(p->v);
	mem_free(p);
}

/* The first part that begins behind byte `at`. */
static uint32_t behind(const struct mem_piece *p, uint32_t at_bytes)
{
	uint32_t low = 0;
	uint32_t high = p->n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (p->v[mid].at_bytes <= at_bytes)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int make_room(struct mem_piece *p)
{
	uint32_t room = p->room == 0 ? 1 : p->room * 2;
	struct part *v;

	if (p->n < p->room)
		return 0;
	v = mem_grow(p->v, room, sizeof(*v));
	if (v == NULL)
		return ENOMEM;
	p->v = v;
	p->room = room;
	return 0;
}

int mem_piece_put(struct mem_piece *p, uint32_t at_bytes, struct blk *data)
{
	uint32_t i = behind(p, at_bytes);

	if (mem_piece_has(p, at_bytes) > 0) {
		i--;
		p->bytes -= p->v[i].blk->len;
		blk_drop(p->v[i].blk);
	} else {
		if (make_room(p) != 0)
			return ENOMEM;
		memmove(p->v + i + 1, p->v + i, (p->n - i) * sizeof(*p->v));
		p->n++;
	}
	p->v[i] = (struct part){at_bytes, blk_hold(data)};
	p->bytes += data->len;
	return 0;
}

uint32_t mem_piece_has(const struct mem_piece *p, uint32_t at_bytes)
{
	uint32_t i = behind(p, at_bytes);

	if (i == 0 || p->v[i - 1].at_bytes != at_bytes)
		return 0;
	return (uint32_t)p->v[i - 1].blk->len;
}

uint64_t mem_piece_bytes(const struct mem_piece *p)
{
	return p->bytes;
}

struct blk *mem_piece_lend(const struct mem_piece *p, uint32_t at_bytes,
			   uint32_t *at_in_part)
{
	uint32_t i = behind(p, at_bytes);
	const struct part *part = i > 0 ? &p->v[i - 1] : NULL;

	if (part == NULL || at_bytes - part->at_bytes >= part->blk->len)
		return NULL;
	*at_in_part = at_bytes - part->at_bytes;
	return part->blk;
}

uint32_t mem_piece_read(const struct mem_piece *p, uint32_t at_bytes,
			uint32_t len_bytes, uint8_t *dst)
{
	uint32_t skip;
	const struct blk *blk = mem_piece_lend(p, at_bytes, &skip);
	size_t n;

	if (blk == NULL)
		return 0;
	n = blk->len - skip;
	if (n > len_bytes)
		n = len_bytes;
	memcpy(dst, blk->data + skip, n);
	return (uint32_t)n;
}
