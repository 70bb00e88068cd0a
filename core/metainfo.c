/* metainfo — torrents, validated whole before anything is believed.
 *
 * Purpose: the one parser and validator for .torrent files and for info
 * dictionaries that came from peers or the store.
 *
 * Words: the *lists* — a torrent states its files in a v1 list, in a v2 file
 * tree, or (hybrid) in both. Either is read into the same intermediate form,
 * struct mi_raw; names are still as stated there.
 *
 * Happy path:
 *   1. decode the bytes (bencode.c), find the info dictionary
 *   2. hash it; when a certain torrent was asked for, compare
 *   3. read the general fields                   here
 *   4. walk the list, or both of a hybrid, file by file; of each
 *        read what is stated                     metainfo_v1.c, metainfo_v2.c
 *        hybrid: the lists must say the same     metainfo_v2.c
 *        its place in piece space                here
 *        a sanitised, unique path                metainfo_paths.c
 *   5. trackers, web seeds, piece layers         metainfo_urls.c, _v2.c
 *
 * Strictness: real v1 torrents have unsorted keys, and are let pass; a v2
 * torrent with them is refused, because two decoders that repair such a
 * dictionary differently would disagree about what was hashed.
 *
 * Memory: of a torrent of a million files what is made is 120 MB, beside the
 * bytes themselves; so nothing else of that size is there meanwhile. The bytes
 * are taken, not copied, their tokens are folded (bencode.h), and of what is
 * stated one file's is there at a time.
 *
 * Failure modes: the first wrong thing found ends the parse with one line for
 * a person; everything allocated dies with the parse.
 *
 * Invariants of the result: files are sorted by off_bytes; no two non-empty
 * files overlap; the last non-empty file ends at or below total_bytes (a
 * hybrid or v1 torrent's pad files are files); n_pieces covers total_bytes. */
#include "core/metainfo.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/core_limits.h"
#include "core/mem.h"
#include "core/metainfo_internal.h"
#include "core/name.h"
#include "core/queue.h"

int mi_refuse(struct mi_parse *p, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(p->err->text, sizeof(p->err->text), fmt, ap);
	va_end(ap);
	return code;
}

/* ---- decoding ---- */

/* Folded is what lies within the lists: the files of v1's and the entries of
 * v2's; so seen from the info dictionary. Nothing else is nested so deeply. */
enum { FOLD_BELOW_INFO = 2 };

static int decode(struct mi_parse *p, struct benc *doc, struct span bytes,
		  unsigned flags, uint32_t fold_below)
{
	const struct benc_limits limits = {
		.depth = BENCODE_DEPTH_FILE,
		.tokens = BENCODE_TOKENS_FILE,
		.flags = flags,
		.fold_below = fold_below,
	};
	struct benc_error why = {.why = ""};
	int r = benc_decode(doc, bytes.ptr, bytes.len, &limits, &why);

	if (r == 0 || r == ENOMEM)
		return r;
	return mi_refuse(p, r, "malformed bencoding: %s, at byte %zu", why.why,
			 why.at);
}

/* What is unsorted may lie outside the info dictionary. */
static int check_strict(struct mi_parse *p)
{
	struct benc strict;
	int r;

	if (!p->doc.is_unsorted)
		return 0;
	r = decode(p, &strict, p->mi.info, 0, FOLD_BELOW_INFO);
	if (r == 0)
		benc_fini(&strict);
	return r;
}

/* ---- the general fields ---- */

static int read_name(struct mi_parse *p)
{
	struct span name;
	char clean[NAME_BUF_BYTES];

	if (!benc_get_str(&p->doc, p->info, "name.utf-8", &name) ||
	    name.len == 0)
		(void)benc_get_str(&p->doc, p->info, "name", &name);
	if (name.len == 0)
		return mi_refuse(p, EBADMSG, "the torrent has no name");
	p->name = name;
	p->mi.raw_name = name;
	name_clean(name.ptr, name.len, clean);
	p->mi.name = mi_arena_strdup(&p->arena, clean, strlen(clean));
	return p->mi.name ? 0 : ENOMEM;
}

static int read_versions(struct mi_parse *p)
{
	benc_ref version = benc_get(&p->doc, p->info, "meta version");
	int64_t v = 1;

	if (version != BENC_NONE &&
	    !benc_get_int(&p->doc, p->info, "meta version", &v))
		return mi_refuse(p, EBADMSG, "meta version is no number");
	if (v != 1 && v != 2)
		return mi_refuse(p, EBADMSG, "meta version %lld is unknown",
				 (long long)v);
	p->mi.has_v2 = v == 2;
	p->mi.has_v1 = !p->mi.has_v2 ||
		       benc_get(&p->doc, p->info, "pieces") != BENC_NONE;
	return version == BENC_NONE ? 0 : check_strict(p);
}

static int read_piece_length(struct mi_parse *p)
{
	int64_t len;

	if (!benc_get_int(&p->doc, p->info, "piece length", &len))
		return mi_refuse(p, EBADMSG, "there is no piece length");
	if (len <= 0)
		return mi_refuse(p, EBADMSG,
				 "the piece length is not positive");
	if (len > METAINFO_MAX_PIECE_BYTES)
		return mi_refuse(p, EFBIG, "the piece length is above %d MiB",
				 METAINFO_MAX_PIECE_BYTES >> 20);
	if (p->mi.has_v2 &&
	    (len < METAINFO_MIN_V2_PIECE_BYTES || (len & (len - 1)) != 0))
		return mi_refuse(p, EBADMSG,
				 "the piece length is no power of two from "
				 "16 KiB up");
	p->mi.piece_bytes = (uint32_t)len;
	return 0;
}

/* ---- laying the files out ---- */

/* What the making needs and drops. */
struct layout {
	struct mi_parse *p;
	struct mi_list v1, v2;
	struct mi_list *list; /* the one that is laid out */
	struct mi_paths *paths;
	uint32_t room; /* of mi->files */
	uint64_t at;   /* in piece space */
	bool has_content;
};

static int begin_layout(struct layout *l)
{
	struct mi_parse *p = l->p;
	uint32_t n = 0;
	int r = 0;

	if (p->mi.has_v1)
		r = mi_v1_begin(p, &l->v1);
	if (r == 0 && p->mi.has_v2)
		r = mi_v2_begin(p, &l->v2);
	if (r == 0 && p->mi.has_v1)
		n = mi_v1_count(&l->v1);
	if (n > METAINFO_MAX_FILES)
		n = METAINFO_MAX_FILES;
	l->list = p->mi.has_v1 ? &l->v1 : &l->v2;
	l->room = n;
	return r == 0 ? mi_paths_new(p, n, &l->paths) : r;
}

static int add_file(struct layout *l, struct mi_file **out)
{
	struct metainfo *mi = &l->p->mi;
	uint32_t room = l->room;
	struct mi_file *files;

	if (mi->n_files == room)
		room = room > 0 ? 2 * room : 16;
	if (mi->files == NULL || room != l->room) {
		files = mem_grow(mi->files, room, sizeof(*files));
		if (!files)
			return ENOMEM;
		mi->files = files;
		l->room = room;
	}
	*out = &mi->files[mi->n_files++];
	return 0;
}

/* Where it begins. A v2-only torrent aligns by rule, the others by pad files.
 */
static int place_file(struct layout *l, struct mi_file *f)
{
	const struct mi_raw *raw = &l->list->file;
	struct metainfo *mi = &l->p->mi;

	if (!mi->has_v1 && raw->len_bytes > 0)
		l->at = mi_align(mi, l->at);
	*f = (struct mi_file){
		.off_bytes = l->at,
		.len_bytes = raw->len_bytes,
		.attr = raw->attr,
		.root = raw->root,
	};
	l->at += raw->len_bytes;
	if (!(raw->attr & MI_ATTR_PAD)) {
		mi->content_bytes += raw->len_bytes;
		l->has_content = l->has_content || raw->len_bytes > 0;
	}
	if (l->at > METAINFO_MAX_TOTAL_BYTES)
		return mi_refuse(l->p, EFBIG, "the torrent is too large");
	return 0;
}

/* ENODATA: that was all. */
static int next_file(struct layout *l)
{
	const struct metainfo *mi = &l->p->mi;
	struct mi_file *f;
	int r = mi->has_v1 ? mi_v1_next(&l->v1) : mi_v2_next(&l->v2);

	if (r == 0)
		r = add_file(l, &f);
	if (r == 0)
		r = place_file(l, f);
	if (r == 0 && mi->has_v1 && mi->has_v2)
		r = mi_v2_agrees(&l->v2, &l->v1.file, f);
	return r == 0 ? mi_paths_add(l->paths, &l->list->file, f) : r;
}

static int count_pieces(struct mi_parse *p)
{
	struct metainfo *mi = &p->mi;
	uint64_t n = mi_align(mi, mi->total_bytes) / mi->piece_bytes;
	struct span hashes;

	if (n > METAINFO_MAX_PIECES)
		return mi_refuse(p, EFBIG, "more than %d pieces",
				 METAINFO_MAX_PIECES);
	mi->n_pieces = (uint32_t)n;
	if (!mi->has_v1)
		return 0;
	(void)benc_get_str(&p->doc, p->info, "pieces", &hashes);
	if (hashes.len != n * HASH_SHA1_BYTES)
		return mi_refuse(p, EBADMSG,
				 "%zu bytes of piece hashes for %llu pieces",
				 hashes.len, (unsigned long long)n);
	mi->v1_hashes = hashes.ptr;
	return 0;
}

static int end_layout(struct layout *l)
{
	struct metainfo *mi = &l->p->mi;
	struct mi_file *files;
	int r;

	if (mi->n_files == 0)
		return mi_refuse(l->p, EBADMSG, "the torrent has no files");
	if (!l->has_content)
		return mi_refuse(l->p, EBADMSG, "the torrent has no content");
	mi->total_bytes = l->at;
	mi->is_single = l->list->is_single;
	r = count_pieces(l->p);
	if (r == 0 && mi->has_v1 && mi->has_v2)
		r = mi_v2_agrees_all(&l->v2, &l->v1);
	if (r != 0 || l->room == mi->n_files)
		return r;
	files = mem_grow(mi->files, mi->n_files, sizeof(*files));
	if (!files)
		return ENOMEM;
	mi->files = files;
	return 0;
}

/* Each list is walked once, from file to file: nothing but what comes out is
 * kept of a million of them. */
static int build_files(struct mi_parse *p)
{
	struct layout *l = mem_new(struct layout);
	int r;

	if (!l)
		return ENOMEM;
	l->p = p;
	r = begin_layout(l);
	while (r == 0)
		r = next_file(l);
	if (r == ENODATA)
		r = end_layout(l);
	mi_paths_free(l->paths);
	mi_list_fini(&l->v1);
	mi_list_fini(&l->v2);
	mem_free(l);
	return r;
}

static int read_info(struct mi_parse *p)
{
	int64_t private;
	int r = read_versions(p);

	if (r == 0)
		r = read_name(p);
	if (r == 0)
		r = read_piece_length(p);
	if (r != 0)
		return r;
	p->mi.is_private =
		benc_get_int(&p->doc, p->info, "private", &private) &&
		private == 1;
	return build_files(p);
}

/* ---- identity ---- */

static void hash_info(const struct mi_parse *p, enum hash_algo algo,
		      struct info_hash *out)
{
	hasher_once(p->hasher, algo, p->mi.info.ptr, p->mi.info.len,
		    out->bytes);
	out->len = algo == HASH_SHA1 ? HASH_SHA1_BYTES : HASH_SHA256_BYTES;
}

/* Before anything else in it is looked at. */
static int check_wanted(struct mi_parse *p, const struct torrent_id *want)
{
	struct info_hash v1;
	struct info_hash v2;

	hash_info(p, HASH_SHA1, &v1);
	hash_info(p, HASH_SHA256, &v2);
	if ((want->v1.len != 0 &&
	     memcmp(want->v1.bytes, v1.bytes, v1.len) != 0) ||
	    (want->v2.len != 0 &&
	     memcmp(want->v2.bytes, v2.bytes, v2.len) != 0))
		return mi_refuse(
			p, EBADMSG,
			"the info dictionary is not the one asked for");
	return 0;
}

static int set_id(struct mi_parse *p, const struct torrent_id *want)
{
	if (p->mi.has_v1)
		hash_info(p, HASH_SHA1, &p->mi.id.v1);
	if (p->mi.has_v2)
		hash_info(p, HASH_SHA256, &p->mi.id.v2);
	if (want && ((want->v1.len != 0 && !p->mi.has_v1) ||
		     (want->v2.len != 0 && !p->mi.has_v2)))
		return mi_refuse(p, EBADMSG,
				 "the torrent is of another version than the "
				 "hash asked for");
	return 0;
}

/* ---- the two ways in ---- */

static int parse_file(struct mi_parse *p)
{
	int64_t created;
	int r = decode(p, &p->doc, p->mi.file, BENCODE_LAX_KEYS,
		       FOLD_BELOW_INFO + 1);

	if (r != 0)
		return r;
	p->info = benc_get_type(&p->doc, BENC_ROOT, "info", BENC_DICT);
	if (p->info == BENC_NONE)
		return mi_refuse(p, EBADMSG, "there is no info dictionary");
	p->mi.info = benc_raw(&p->doc, p->info);
	r = read_info(p);
	if (r == 0)
		r = set_id(p, NULL);
	if (r == 0)
		r = mi_urls_read(p);
	if (r == 0 && p->mi.has_v2)
		r = mi_v2_layers(p);
	if (r == 0 &&
	    benc_get_int(&p->doc, BENC_ROOT, "creation date", &created) &&
	    created > 0)
		p->mi.created_s = created;
	return r;
}

static int parse_info(struct mi_parse *p, const struct torrent_id *want)
{
	int r;

	p->mi.info = p->mi.file;
	r = check_wanted(p, want);
	if (r == 0)
		r = decode(p, &p->doc, p->mi.info, BENCODE_LAX_KEYS,
			   FOLD_BELOW_INFO);
	if (r != 0)
		return r;
	p->info = BENC_ROOT;
	if (!benc_is(&p->doc, BENC_ROOT, BENC_DICT))
		return mi_refuse(p, EBADMSG, "info is no dictionary");
	r = read_info(p);
	return r == 0 ? set_id(p, want) : r;
}

static void free_parse(struct mi_parse *p)
{
	mi_arena_fini(&p->arena);
	mem_free(p->mi.files);
	mem_free(p->bytes);
	mem_free(p);
}

static void drop_scratch(struct mi_parse *p)
{
	benc_fini(&p->doc);
	p->hasher = NULL;
	p->err = NULL;
}

/* `want` is NULL for a whole .torrent. What comes out takes `bytes`; without
 * that they stay the caller's. */
static int parse(uint8_t *bytes, size_t len, const struct torrent_id *want,
		 struct hasher *h, struct metainfo **out, struct mi_error *err)
{
	struct mi_parse *p;
	int r;

	p = mem_new(struct mi_parse);
	if (!p)
		return ENOMEM;
	p->hasher = h;
	p->err = err;
	p->mi.file = span_of(bytes, len);
	atomic_init(&p->n_held, 1);
	if (len > METAINFO_MAX_BYTES)
		r = mi_refuse(p, EFBIG, "larger than %d MiB",
			      METAINFO_MAX_BYTES >> 20);
	else
		r = want ? parse_info(p, want) : parse_file(p);
	drop_scratch(p);
	if (r == 0)
		r = mi_roots(p);
	if (r != 0) {
		free_parse(p);
		return r;
	}
	p->bytes = bytes;
	*out = &p->mi;
	return 0;
}

static int parse_copy(const void *bytes, size_t len,
		      const struct torrent_id *want, struct hasher *h,
		      struct metainfo **out, struct mi_error *err)
{
	bool is_long = len > METAINFO_MAX_BYTES; /* it will be refused */
	uint8_t *copy = mem_dup(bytes, is_long ? 0 : len);
	int r = ENOMEM;

	*out = NULL;
	*err = (struct mi_error){0};
	if (copy)
		r = parse(copy, len, want, h, out, err);
	if (r != 0)
		mem_free(copy);
	return r;
}

int metainfo_parse_file(const void *bytes, size_t len, struct hasher *h,
			struct metainfo **out, struct mi_error *err)
{
	return parse_copy(bytes, len, NULL, h, out, err);
}

int metainfo_parse_info(const void *bytes, size_t len,
			const struct torrent_id *want, struct hasher *h,
			struct metainfo **out, struct mi_error *err)
{
	assert(want);
	return parse_copy(bytes, len, want, h, out, err);
}

int metainfo_make(uint8_t **bytes, size_t len, struct hasher *h,
		  struct metainfo **out, struct mi_error *err)
{
	int r;

	*out = NULL;
	*err = (struct mi_error){0};
	r = parse(*bytes, len, NULL, h, out, err);
	if (r == 0)
		*bytes = NULL;
	return r;
}

struct metainfo *metainfo_hold(struct metainfo *mi)
{
	struct mi_parse *p = CONTAINER_OF(mi, struct mi_parse, mi);

	atomic_fetch_add_explicit(&p->n_held, 1, memory_order_relaxed);
	return mi;
}

uint8_t *metainfo_unmake(struct metainfo *mi TAKES)
{
	struct mi_parse *p = CONTAINER_OF(mi, struct mi_parse, mi);
	uint8_t *bytes = p->bytes;

	assert(atomic_load(&p->n_held) == 1);
	p->bytes = NULL;
	free_parse(p);
	return bytes;
}

void metainfo_free(struct metainfo *mi)
{
	struct mi_parse *p;

	if (!mi)
		return;
	p = CONTAINER_OF(mi, struct mi_parse, mi);
	if (atomic_fetch_sub_explicit(&p->n_held, 1, memory_order_acq_rel) == 1)
		free_parse(p);
}
