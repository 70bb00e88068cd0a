/* fuzz_addr — any bytes as an address in text and in compact form: what is
 * accepted goes both ways. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/addr.h"
#include "core/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(int ok)
{
	if (!ok)
		abort();
}

static void check(const struct addr *a)
{
	uint8_t compact[ADDR_COMPACT6];
	char text[ADDR_TEXT_BYTES];
	struct addr back;

	must(addr_parse(&back, addr_format(a, text)) == 0);
	must(addr_eq(a, &back));
	must(addr_from_compact(&back, compact, addr_to_compact(a, compact)) ==
	     0);
	must(addr_eq(a, &back));
	must(addr_from_sa(&back, &a->sa, addr_len(a)) == 0);
	must(addr_eq(a, &back));
	must(!addr_can_dial(a) || addr_port(a) != 0);
	must(!(addr_is_loopback(a) && addr_is_private(a)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = mem_dup(data, len);
	struct addr a;

	must(text != NULL);
	if (addr_parse(&a, text) == 0)
		check(&a);
	if (addr_from_compact(&a, data, len) == 0)
		check(&a);
	mem_free(text);
	return 0;
}
