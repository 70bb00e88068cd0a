/* fuzz_btpk — any bytes as an item's value, and as a name in the mount: what is
 * accepted is written again to what means the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/btpk.h"
#include "core/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(int ok)
{
	if (!ok)
		abort();
}

static void try_value(const uint8_t *data, size_t len)
{
	uint8_t text[BTPK_VALUE_BYTES];
	struct info_hash h, back;

	if (btpk_value_read(&h, span_of(data, len)) != 0) {
		must(h.len == 0);
		return;
	}
	must(btpk_value_read(&back,
			     span_of(text, btpk_value_write(&h, text))) == 0);
	must(memcmp(&h, &back, sizeof(h)) == 0);
}

static void try_name(const uint8_t *data, size_t len)
{
	char *name = mem_dup(data, len), text[BTPK_NAME_BYTES];
	struct btpk b, back;

	must(name != NULL);
	if (btpk_parse(&b, name) == 0) {
		must(b.salt_len <= BTPK_SALT_MAX);
		must(strlen(btpk_name(&b, text)) == strlen(name));
		must(btpk_parse(&back, text) == 0 && btpk_eq(&b, &back));
	}
	mem_free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	try_value(data, len);
	try_name(data, len);
	return 0;
}
