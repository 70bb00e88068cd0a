/* pins_job — pins outlive the index.
 *
 * Purpose: all else that the index says can be found again by hashing, or lies
 * in the library's log; what is pinned is the user's word, and only the index
 * has it. So it is in torrents/<id>/pinned as well: 8 bytes of checksum, and
 * the set as the index has it.
 *
 * The row goes first, and the row counts. A process that was killed between
 * the two has left another file: each opening looks (store_disk_job.c).
 *
 * Threads: store. */
#include "cache/pins_job.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cache/home_job.h"
#include "core/be.h"
#include "core/bits.h"
#include "core/mem.h"
#include "core/siphash.h"
#include "core/torrent_id.h"
#include "core/worker.h"

enum { SUM_BYTES = 8, NAME_BYTES = TORRENT_HEX_BYTES + 16 };

static uint64_t sum_of(const uint8_t *bits, size_t len)
{
	static const struct siphash_key key = {0x53686f616c667321,
					       0x70696e6e6564};

	return siphash(&key, bits, len);
}

int pins_job_load(const struct home *h, const char *hex, uint32_t n_files,
		  uint8_t *bits)
{
	size_t want = bits_bytes(n_files), len = 0;
	char name[NAME_BYTES];
	uint8_t *got = NULL;
	int err;

	ASSERT_WORKER();
	(void)snprintf(name, sizeof(name), "%s/" HOME_PINS, hex);
	err = home_job_read_file(h->torrents_fd, name, &got, &len);
	if (err != 0)
		return err;
	if (len != SUM_BYTES + want ||
	    be64_get(got) != sum_of(got + SUM_BYTES, want))
		err = EBADMSG;
	else
		memcpy(bits, got + SUM_BYTES, want);
	mem_free(got);
	return err;
}

static bool is_kept(const struct home *h, const char *hex, uint32_t n_files,
		    const uint8_t *bits)
{
	uint8_t *got = mem_alloc(bits_bytes(n_files) + 1);
	int err;
	bool is;

	if (got == NULL)
		return false;
	err = pins_job_load(h, hex, n_files, got);
	if (bits == NULL)
		is = err == ENOENT;
	else
		is = err == 0 && memcmp(got, bits, bits_bytes(n_files)) == 0;
	mem_free(got);
	return is;
}

int pins_job_keep(const struct home *h, const char *hex, uint32_t n_files,
		  const uint8_t *bits)
{
	size_t len = bits_bytes(n_files);
	uint8_t *text;
	int err;

	ASSERT_WORKER();
	if (is_kept(h, hex, n_files, bits))
		return 0;
	if (bits == NULL)
		return home_job_remove_beside(h, hex, HOME_PINS);
	text = mem_alloc(SUM_BYTES + len);
	if (text == NULL)
		return ENOMEM;
	be64_put(text, sum_of(bits, len));
	memcpy(text + SUM_BYTES, bits, len);
	err = home_job_keep_beside(h, hex, HOME_PINS,
				   span_of(text, SUM_BYTES + len));
	mem_free(text);
	return err;
}
