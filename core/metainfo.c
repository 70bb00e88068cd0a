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
 *   1. copy the bytes, decode them (bencode.c), find the info dictionary
 *   2. hash it; when a certain torrent was asked for, compare
 *   3. read the general fields, then each list   metainfo_v1.c, metainfo_v2.c
 *   4. hybrid: the lists must say the same       metainfo_v2.c
 *   5. lay the files out in piece space          here
 *   6. sanitised, unique paths                   metainfo_paths.c
 *   7. trackers, web seeds, piece layers         metainfo_urls.c, _v2.c
 *
 * Strictness: real v1 torrents have unsorted keys, and are let pass; a v2
 * torrent with them is refused, because two decoders that repair such a
 * dictionary differently would disagree about what was hashed.
 *
 * Failure modes: the first wrong thing found ends the parse with one line for
 * a person; everything allocated is in the parse's arenas and dies with it.
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

/* ---- the intermediate form ---- */

int mi_list_add(struct mi_parse *p, struct mi_list *list, struct mi_raw **out)
{
	struct mi_raw *file;
	uint32_t cap;

	if (list->n >= METAINFO_MAX_FILES)
		return mi_refuse(p, EFBIG, "more than %d files",
				 METAINFO_MAX_FILES);
	if (list->n == list->cap) {
		cap = list->cap > 0 ? list->cap * 2 : 16;
		file = mem_grow(list->file, cap, sizeof(*file));
		if (!file)
			return ENOMEM;
		list->file = file;
		list->cap = cap;
	}
	*out = &list->file[list->n++];
	**out = (struct mi_raw){.link = BENC_NONE};
	return 0;
}

int mi_path_room(struct mi_parse *p, struct mi_list *list, uint32_t n,
		 struct span **out)
{
	if (n > METAINFO_MAX_DEPTH)
		return mi_refuse(p, EFBIG, "directories are deeper than %d",
				 METAINFO_MAX_DEPTH);
	if (n > METAINFO_MAX_ELEMENTS - list->n_elem)
		return mi_refuse(p, EFBIG, "too many path elements");
	list->n_elem += n;
	*out = mi_arena_alloc(&p->scratch, n, sizeof(**out));
	return *out ? 0 : ENOMEM;
}

int mi_file_attr(struct mi_parse *p, benc_ref dict, struct mi_raw *file)
{
	struct span attr;

	if (!benc_get_str(&p->doc, dict, "attr", &attr))
		return 0;
	for (size_t i = 0; i < attr.len; i++) {
		if (attr.ptr[i] == 'p')
			file->attr |= MI_ATTR_PAD;
		else if (attr.ptr[i] == 'x')
			file->attr |= MI_ATTR_EXEC;
		else if (attr.ptr[i] == 'l')
			file->attr |= MI_ATTR_SYMLINK;
		else if (attr.ptr[i] == 'h')
			file->attr |= MI_ATTR_HIDDEN;
	}
	if (!(file->attr & MI_ATTR_SYMLINK))
		return 0;
	file->link = benc_get_type(&p->doc, dict, "symlink path", BENC_LIST);
	if (file->link == BENC_NONE)
		return mi_refuse(p, EBADMSG, "a symlink has no target");
	return 0;
}

int mi_file_length(struct mi_parse *p, benc_ref dict, struct mi_raw *file)
{
	int64_t len;

	if (file->attr & MI_ATTR_SYMLINK)
		return 0;
	if (!benc_get_int(&p->doc, dict, "length", &len))
		return mi_refuse(p, EBADMSG, "a file has no length");
	if (len < 0)
		return mi_refuse(p, EBADMSG, "a file's length is negative");
	if (len > METAINFO_MAX_TOTAL_BYTES)
		return mi_refuse(p, EFBIG, "a file is too large");
	file->len_bytes = (uint64_t)len;
	return 0;
}

/* ---- decoding ---- */

static int decode(struct mi_parse *p, struct benc *doc, struct span bytes,
		  unsigned flags)
{
	const struct benc_limits limits = {
		.depth = BENCODE_DEPTH_FILE,
		.tokens = BENCODE_TOKENS_FILE,
		.flags = flags,
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
	r = decode(p, &strict, p->mi.info, 0);
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

/* Where each file begins; total_bytes. A v2-only torrent aligns by rule, the
 * others by pad files. */
static int place_files(struct mi_parse *p, const struct mi_list *list)
{
	struct metainfo *mi = &p->mi;
	bool has_content = false;
	uint64_t at = 0;

	for (uint32_t i = 0; i < list->n; i++) {
		const struct mi_raw *raw = &list->file[i];
		struct mi_file *f = &mi->files[i];

		if (!mi->has_v1 && raw->len_bytes > 0)
			at = mi_align(mi, at);
		f->off_bytes = at;
		f->len_bytes = raw->len_bytes;
		f->attr = raw->attr;
		f->root = raw->root;
		at += raw->len_bytes;
		if (!(raw->attr & MI_ATTR_PAD))
			mi->content_bytes += raw->len_bytes;
		if (at > METAINFO_MAX_TOTAL_BYTES)
			return mi_refuse(p, EFBIG, "the torrent is too large");
		if (raw->len_bytes > 0 && !(raw->attr & MI_ATTR_PAD))
			has_content = true;
	}
	if (!has_content)
		return mi_refuse(p, EBADMSG, "the torrent has no content");
	mi->total_bytes = at;
	return 0;
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

static int build_files(struct mi_parse *p)
{
	struct metainfo *mi = &p->mi;
	const struct mi_list *list = mi->has_v1 ? &p->v1 : &p->v2;
	int r;

	if (list->n == 0)
		return mi_refuse(p, EBADMSG, "the torrent has no files");
	mi->n_files = list->n;
	mi->is_single = list->is_single;
	mi->files = mi_arena_alloc(&p->arena, list->n, sizeof(*mi->files));
	if (!mi->files)
		return ENOMEM;
	r = place_files(p, list);
	if (r == 0)
		r = count_pieces(p);
	if (r == 0 && mi->has_v1 && mi->has_v2)
		r = mi_v2_agrees(p);
	return r == 0 ? mi_paths_build(p, list) : r;
}

static int read_info(struct mi_parse *p)
{
	int64_t private;
	int r = read_versions(p);

	if (r == 0)
		r = read_name(p);
	if (r == 0)
		r = read_piece_length(p);
	if (r == 0 && p->mi.has_v1)
		r = mi_v1_read(p);
	if (r == 0 && p->mi.has_v2)
		r = mi_v2_read(p);
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

static int parse_file(struct mi_parse *p, size_t len)
{
	int64_t created;
	int r = decode(p, &p->doc, span_of(p->bytes, len), BENCODE_LAX_KEYS);

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

static int parse_info(struct mi_parse *p, size_t len,
		      const struct torrent_id *want)
{
	int r;

	p->mi.info = span_of(p->bytes, len);
	r = check_wanted(p, want);
	if (r == 0)
		r = decode(p, &p->doc, p->mi.info, BENCODE_LAX_KEYS);
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
	mem_free(p->bytes);
	mem_free(p);
}

static void drop_scratch(struct mi_parse *p)
{
	mi_arena_fini(&p->scratch);
	mem_free(p->v1.file);
	mem_free(p->v2.file);
	benc_fini(&p->doc);
	p->v1 = p->v2 = (struct mi_list){0};
	p->hasher = NULL;
	p->err = NULL;
}

/* `want` is NULL for a whole .torrent. */
static int parse(const void *bytes, size_t len, const struct torrent_id *want,
		 struct hasher *h, struct metainfo **out, struct mi_error *err)
{
	struct mi_parse *p;
	int r;

	*out = NULL;
	*err = (struct mi_error){0};
	p = mem_new(struct mi_parse);
	if (!p)
		return ENOMEM;
	p->hasher = h;
	p->err = err;
	if (len > METAINFO_MAX_BYTES) {
		r = mi_refuse(p, EFBIG, "larger than %d MiB",
			      METAINFO_MAX_BYTES >> 20);
		goto drop;
	}
	r = ENOMEM;
	p->bytes = mem_dup(bytes, len);
	if (p->bytes)
		r = want ? parse_info(p, len, want) : parse_file(p, len);
drop:
	drop_scratch(p);
	if (r != 0) {
		free_parse(p);
		return r;
	}
	*out = &p->mi;
	return 0;
}

int metainfo_parse_file(const void *bytes, size_t len, struct hasher *h,
			struct metainfo **out, struct mi_error *err)
{
	return parse(bytes, len, NULL, h, out, err);
}

int metainfo_parse_info(const void *bytes, size_t len,
			const struct torrent_id *want, struct hasher *h,
			struct metainfo **out, struct mi_error *err)
{
	assert(want);
	return parse(bytes, len, want, h, out, err);
}

void metainfo_free(struct metainfo *mi)
{
	if (mi)
		free_parse(CONTAINER_OF(mi, struct mi_parse, mi));
}
