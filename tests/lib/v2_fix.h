/* v2_fix — v2-only and hybrid torrents of files with known bytes, for tests of
 * what torrents have in common. A file's bytes come from its seed alone, so
 * files of one seed and length are the same file, whatever torrent they are in.
 */
#ifndef SHOAL_TESTS_V2_FIX_H
#define SHOAL_TESTS_V2_FIX_H

#include "core/merkle.h"
#include "tests/lib/cache_fix.h"

enum { V2_MAX_FILES = 8, V2_MAX_PIECES = 256 };

struct v2_file {
	uint32_t seed;
	uint32_t len;
	uint32_t root_seed, root_len; /* not 0: the root is that one's */
};

struct v2_source {
	const char *name;
	struct v2_file files[V2_MAX_FILES];
	uint32_t n;
	uint32_t piece_bytes;
	bool is_hybrid;
	bool has_no_layers;
	bool v1_lies; /* v1's hashes are of other bytes */
};

static inline uint64_t v2_off(uint32_t seed)
{
	return (uint64_t)seed * 1000000007;
}

static inline void v2_bytes(struct buf *b, const void *p, size_t n)
{
	buf_addf(b, "%zu:", n);
	buf_add(b, p, n);
}

/* The root, and the hashes of the pieces; how many. */
static inline uint32_t v2_hash(struct fix_loop *f, uint32_t seed, uint32_t len,
			       uint32_t piece_bytes, uint8_t *root,
			       uint8_t *layer)
{
	uint32_t per = piece_bytes / MERKLE_LEAF_BYTES, n = 0;
	uint8_t *data = mem_alloc(len);
	struct merkle top, m;

	fix_fill(data, v2_off(seed), len);
	if (len <= piece_bytes) {
		merkle_begin(&m, f->hasher, 0);
		merkle_add_data(&m, data, len);
		merkle_root(&m,
			    merkle_height((len + MERKLE_LEAF_BYTES - 1) /
					  MERKLE_LEAF_BYTES),
			    root);
		mem_free(data);
		return 0;
	}
	merkle_begin(&top, f->hasher, merkle_height(per));
	for (uint32_t at = 0; at < len; at += piece_bytes, n++) {
		uint8_t *hash = layer + (size_t)n * HASH_SHA256_BYTES;

		merkle_begin(&m, f->hasher, 0);
		merkle_add_data(&m, data + at,
				len - at < piece_bytes ? len - at
						       : piece_bytes);
		merkle_root(&m, merkle_height(per), hash);
		merkle_add(&top, hash);
	}
	merkle_root(&top, merkle_height(n), root);
	mem_free(data);
	return n;
}

static inline uint32_t v2_pad(const struct v2_source *src, uint32_t i)
{
	uint32_t over = src->files[i].len % src->piece_bytes;

	return i + 1 == src->n || over == 0 ? 0 : src->piece_bytes - over;
}

static inline void v2_put_v1(struct fix_loop *f, const struct v2_source *src,
			     struct buf *files, struct buf *pieces)
{
	struct buf all = {0};

	for (uint32_t i = 0; i < src->n; i++) {
		const struct v2_file *vf = &src->files[i];
		uint32_t pad = v2_pad(src, i);
		uint8_t *data = mem_zalloc(1, vf->len + pad);

		fix_fill(data, v2_off(vf->seed + src->v1_lies), vf->len);
		buf_add(&all, data, vf->len + pad);
		mem_free(data);
		buf_addf(files, "d6:lengthi%ue4:pathl2:f%uee", vf->len, i);
		if (pad > 0)
			buf_addf(files,
				 "d4:attr1:p6:lengthi%ue4:pathl4:.pad5:%05uee",
				 pad, pad % 100000);
	}
	for (size_t at = 0; at < all.len; at += src->piece_bytes) {
		size_t n = all.len - at;
		uint8_t hash[HASH_SHA1_BYTES];

		hasher_once(f->hasher, HASH_SHA1, all.data + at,
			    n < src->piece_bytes ? n : src->piece_bytes, hash);
		buf_add(pieces, hash, sizeof(hash));
	}
	buf_fini(&all);
}

static inline int v2_root_order(const void *a, const void *b)
{
	return memcmp(a, b, HASH_SHA256_BYTES);
}

static inline struct metainfo *v2_torrent(struct fix_loop *f,
					  const struct v2_source *src)
{
	static struct {
		uint8_t root[HASH_SHA256_BYTES];
		uint8_t layer[V2_MAX_PIECES * HASH_SHA256_BYTES];
		uint32_t n;
	} t[V2_MAX_FILES];
	struct buf out = {0}, files = {0}, pieces = {0};
	const uint8_t *last = NULL;
	struct metainfo *mi;
	struct mi_error why = {{0}};
	int err;

	for (uint32_t i = 0; i < src->n; i++) {
		const struct v2_file *vf = &src->files[i];
		uint32_t seed = vf->root_len > 0 ? vf->root_seed : vf->seed;
		uint32_t len = vf->root_len > 0 ? vf->root_len : vf->len;

		t[i].n = v2_hash(f, seed, len, src->piece_bytes, t[i].root,
				 t[i].layer);
	}
	buf_addf(&out, "d4:infod9:file treed");
	for (uint32_t i = 0; i < src->n; i++) {
		buf_addf(&out, "2:f%ud0:d6:lengthi%ue11:pieces root", i,
			 src->files[i].len);
		v2_bytes(&out, t[i].root, HASH_SHA256_BYTES);
		buf_addf(&out, "ee");
	}
	buf_addf(&out, "e");
	if (src->is_hybrid) {
		v2_put_v1(f, src, &files, &pieces);
		buf_addf(&out, "5:filesl");
		buf_add(&out, files.data, files.len);
		buf_addf(&out, "e");
	}
	buf_addf(&out, "12:meta versioni2e4:name%zu:%s12:piece lengthi%ue",
		 strlen(src->name), src->name, src->piece_bytes);
	if (src->is_hybrid) {
		buf_addf(&out, "6:pieces");
		v2_bytes(&out, pieces.data, pieces.len);
	}
	buf_addf(&out, "e12:piece layersd");
	qsort(t, src->n, sizeof(t[0]), v2_root_order);
	for (uint32_t i = 0; i < src->n && !src->has_no_layers; i++) {
		if (t[i].n == 0 ||
		    (last != NULL &&
		     memcmp(last, t[i].root, sizeof(t[i].root)) == 0))
			continue;
		last = t[i].root;
		v2_bytes(&out, t[i].root, HASH_SHA256_BYTES);
		v2_bytes(&out, t[i].layer, t[i].n * HASH_SHA256_BYTES);
	}
	buf_addf(&out, "ee");
	err = metainfo_parse_file(out.data, out.len, f->hasher, &mi, &why);
	if (err != 0)
		fix_die(why.text);
	buf_fini(&out);
	buf_fini(&files);
	buf_fini(&pieces);
	return mi;
}

/* What lies in [off, off + len) of the torrent. */
static inline void v2_fill(const struct v2_source *src,
			   const struct metainfo *mi, uint64_t off, size_t len,
			   uint8_t *dst)
{
	memset(dst, 0, len);
	for (size_t i = 0; i < len; i++) {
		uint32_t ix = metainfo_file_at(mi, off + i);
		uint32_t n = 0;

		if (ix == mi->n_files || (mi->files[ix].attr & MI_ATTR_PAD))
			continue;
		for (uint32_t k = 0; k < ix; k++)
			n += (mi->files[k].attr & MI_ATTR_PAD) == 0;
		dst[i] = fix_byte(v2_off(src->files[n].seed) + off + i -
				  mi->files[ix].off_bytes);
	}
}

#endif
