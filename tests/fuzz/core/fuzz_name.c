/* fuzz_name — any bytes as a name: the sanitiser's promises. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/core_limits.h"
#include "core/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(int ok)
{
	if (!ok)
		abort();
}

static void check(const char *name)
{
	char again[NAME_BUF_BYTES];
	size_t len = strlen(name);

	must(len >= 1 && len <= NAME_MAX_BYTES);
	must(!name_is_skipped(name, len));
	for (size_t i = 0; i < len; i++)
		must((uint8_t)name[i] >= 0x20 && name[i] != '/' &&
		     name[i] != 0x7f);
	/* Cleaning replaces what is no UTF-8, so this says that it is. */
	name_clean(name, len, again);
	must(strcmp(again, name) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char name[NAME_BUF_BYTES];

	name_clean(data, len, name);
	check(name);
	name_suffix(name, (uint32_t)len);
	check(name);
	return 0;
}
