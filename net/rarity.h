/* rarity — which pieces the background wants, the rarest first. Pure: counts
 * and wishes in, an order out.
 *
 * Availability is how many peers have a piece. A peer that has everything
 * changes no order, so those are only a number; nobody pays for a million
 * pieces when a seed comes or goes. */
#ifndef SHOAL_NET_RARITY_H
#define SHOAL_NET_RARITY_H

#include <stdbool.h>
#include <stdint.h>

struct bits;
struct rarity;

/* rarity_new — over `n` pieces, none wanted, no peer. `seed`: of the random
 * numbers that break ties. 0 or ENOMEM; no other call needs memory. */
int rarity_new(uint32_t n, uint64_t seed, struct rarity **out);
void rarity_free(struct rarity *r);

/* ---- what peers have ---- */

/* A peer with this set came or went; its pieces one by one. One that has
 * everything is better not counted. */
void rarity_add_set(struct rarity *r, const struct bits *have);
void rarity_del_set(struct rarity *r, const struct bits *have);
void rarity_on_have(struct rarity *r, uint32_t ix);
void rarity_on_lost(struct rarity *r, uint32_t ix);

/* ---- what is wanted ---- */

/* Twice is once. */
void rarity_want(struct rarity *r, uint32_t ix);
void rarity_unwant(struct rarity *r, uint32_t ix);
bool rarity_wants(const struct rarity *r, uint32_t ix);
uint32_t rarity_count(const struct rarity *r);

/* rarity_at — the wanted piece number `at` < rarity_count, the rarest first
 * and at random among equals. Any other call may change the order. */
uint32_t rarity_at(const struct rarity *r, uint32_t at);

/* rarity_level — by what the order goes: how many peers have the piece, wanted
 * or not; many are one level. */
uint32_t rarity_level(const struct rarity *r, uint32_t ix);

/* rarity_any — some wanted piece of `have` (and of `only`, unless it is NULL),
 * from a random place on; UINT32_MAX when there is none. For when the order
 * was followed for long without finding one: it looks at words of bits. */
uint32_t rarity_any(struct rarity *r, const struct bits *have,
		    const struct bits *only);

void rarity_check(const struct rarity *r);

#endif
