/* fuzz_metainfo — any bytes as a .torrent and as an info dictionary: what is
 * accepted keeps the promises of metainfo.h. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/core_limits.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "core/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(int ok)
{
	if (!ok)
		abort();
}

static void check_name(const char *name)
{
	char again[NAME_BUF_BYTES];

	name_clean(name, strlen(name), again);
	must(strcmp(name, again) == 0);
}

static void check(const struct metainfo *mi, struct hasher *h)
{
	uint64_t end = 0;

	must(mi->n_files > 0 && mi->n_pieces > 0 && mi->total_bytes > 0);
	must(mi->has_v1 || mi->has_v2);
	check_name(mi->name);
	for (uint32_t i = 0; i < mi->n_files; i++) {
		const struct mi_file *f = &mi->files[i];

		must(f->n_path > 0 && f->off_bytes >= end);
		for (uint32_t k = 0; k < f->n_path; k++)
			check_name(f->path[k]);
		end = f->off_bytes + f->len_bytes;
		if (f->len_bytes > 0) {
			must(metainfo_file_at(mi, f->off_bytes) == i);
			must(metainfo_file_at(mi, end - 1) == i);
		}
	}
	must(end == mi->total_bytes);
	for (uint32_t i = 0; i < mi->n_pieces && i < 16; i++) {
		uint32_t n = metainfo_piece_bytes(mi, i);
		uint8_t *piece;

		must(n > 0 && n <= mi->piece_bytes);
		if (n > 1 << 20)
			continue;
		piece = mem_zalloc(n, 1);
		must(piece != NULL);
		(void)metainfo_check_piece(mi, h, i, piece);
		mem_free(piece);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct torrent_id any = {0};
	struct mi_error err;
	struct metainfo *mi;
	struct metainfo *bare;
	struct hasher *h;

	must(hasher_new(&h) == 0);
	if (metainfo_parse_file(data, len, h, &mi, &err) == 0) {
		check(mi, h);
		/* Its info dictionary is accepted by itself, too. */
		must(metainfo_parse_info(mi->info.ptr, mi->info.len, &mi->id, h,
					 &bare, &err) == 0);
		must(torrent_id_matches(&mi->id, &bare->id));
		metainfo_free(bare);
		metainfo_free(mi);
	} else {
		must(err.text[0] != '\0');
	}
	if (metainfo_parse_info(data, len, &any, h, &mi, &err) == 0) {
		check(mi, h);
		metainfo_free(mi);
	}
	hasher_free(h);
	return 0;
}
