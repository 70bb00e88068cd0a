/* hashget — the hashes of a v2 torrent that we lack, asked of its peers
 * (BEP 52): piece hashes that did not come with the metadata, and leaves for
 * readers. What is right is in core/layers from then on; hashplan.h says whom
 * each is asked of. Thread: loop. Owner: the torrent, while it has v2. */
#ifndef SHOAL_NET_HASHGET_H
#define SHOAL_NET_HASHGET_H

#include <stdbool.h>
#include <stdint.h>

struct hashget;
struct peer;
struct torrent;
struct wire_msg;

struct hashget_ops {
	/* More is known of `n` pieces from `piece_ix` on. */
	void (*on_known)(void *arg, uint32_t piece_ix, uint32_t n);
	/* Nobody gives leaves of this piece (or the piece's hash) for now.
	 * Both may be called within a pass of the swarm. */
	void (*on_hopeless)(void *arg, uint32_t piece_ix, bool is_leaves);
};

/* hashget_new — keeps the ops. 0 or ENOMEM. */
int hashget_new(struct torrent *t, const struct hashget_ops *ops, void *arg,
		struct hashget **out);
void hashget_free(struct hashget *hg);

/* hashget_want — the leaves of [at, at+len) of a piece are needed; they are
 * asked for at the end of the swarm's next pass, behind the requests for the
 * blocks, and on_known or on_hopeless tells. False: nobody gives them for now,
 * or there is no memory. True also when they are known. */
bool hashget_want(struct hashget *hg, uint32_t piece_ix, uint32_t at_bytes,
		  uint32_t len_bytes);

/* hashget_renew — somebody is there who was not before: ask anew for what
 * nobody gave. */
void hashget_renew(struct hashget *hg);

/* hashget_want_piece — the same of the piece's hash. NULL is fine (no v2). */
bool hashget_want_piece(struct hashget *hg, uint32_t piece_ix);

/* hashget_run — what is wanted and can be asked for leaves now. At the end of
 * each pass. NULL is fine. */
void hashget_run(struct hashget *hg);

/* HASHES and HASH_REJECT. A peer that was not asked is ended, one whose hashes
 * prove nothing is banned. */
void hashget_on_hashes(struct peer *p, const struct wire_msg *m);
void hashget_on_reject(struct peer *p, const struct wire_msg *m);
void hashget_on_peer_gone(struct hashget *hg, const struct peer *p);

/* hashget_applies — may this peer and we speak of hashes: the metadata is
 * known, has v2, and the connection is of v2's hash. */
bool hashget_applies(const struct peer *p);

#endif
