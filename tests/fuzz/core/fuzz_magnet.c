/* fuzz_magnet — any text as a magnet link: what is accepted can be written
 * and read again to the same torrent. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/core_limits.h"
#include "core/magnet.h"
#include "core/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(int ok)
{
	if (!ok)
		abort();
}

static void check(const struct magnet *m)
{
	struct mi_error err;
	struct magnet *back;
	char *text = magnet_format(
		&m->id, m->name, (const char *const *)m->trackers,
		m->n_trackers, (const char *const *)m->peers, m->n_peers);

	must(text != NULL);
	must(m->n_select <= MAGNET_MAX_SELECT);
	if (strlen(text) <= MAGNET_MAX_BYTES) {
		must(magnet_parse(text, &back, &err) == 0);
		must(memcmp(&back->id, &m->id, sizeof(m->id)) == 0);
		must(back->n_trackers == m->n_trackers);
		must(back->n_peers == m->n_peers);
		must(!m->name || strcmp(back->name, m->name) == 0);
		magnet_free(back);
	}
	mem_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = mem_dup(data, len);
	struct mi_error err;
	struct magnet *m;

	must(text != NULL);
	if (magnet_parse(text, &m, &err) == 0) {
		must(m->has_key || m->id.v1.len != 0 || m->id.v2.len != 0);
		if (m->id.v1.len != 0 || m->id.v2.len != 0)
			check(m);
		magnet_free(m);
	} else {
		must(err.text[0] != '\0');
	}
	mem_free(text);
	return 0;
}
