/* peerprio — BEP 40's number for a pair of addresses: the CRC-32C of both, the
 * lesser first, masked so that a whole network of addresses gets few different
 * numbers: of an IPv4 address the first two bytes count in full, of an IPv6
 * address the first six, of the rest every second bit. Neighbours would all be
 * equal so; as many bytes as two addresses have in common, and one more,
 * count in full. Of one host the ports decide. */
#include "net/peerprio.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum {
	HOST4_BYTES = 4,
	HOST6_BYTES = 16,
	FULL4_BYTES = 2,
	FULL6_BYTES = 6,
	SPARSE_MASK = 0x55,
};

/* Castagnoli's polynomial, reflected. */
#define CRC32C_POLY UINT32_C(0x82F63B78)

static uint32_t crc32c(const uint8_t *p, size_t len)
{
	uint32_t crc = UINT32_MAX;
	size_t i;
	int bit;

	for (i = 0; i < len; i++) {
		crc ^= p[i];
		for (bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ ((crc & 1) ? CRC32C_POLY : 0);
	}
	return ~crc;
}

static uint32_t crc_of_pair(const uint8_t *a, const uint8_t *b, size_t len)
{
	uint8_t both[2 * HOST6_BYTES];
	bool a_first = memcmp(a, b, len) <= 0;

	memcpy(both, a_first ? a : b, len);
	memcpy(both + len, a_first ? b : a, len);
	return crc32c(both, 2 * len);
}

/* How many bytes count in full. */
static size_t full_bytes(const uint8_t *a, const uint8_t *b, size_t len)
{
	size_t full = len == HOST4_BYTES ? FULL4_BYTES : FULL6_BYTES;

	while (full < len && memcmp(a, b, full) == 0)
		full++;
	return full;
}

uint32_t peerprio_of(const struct addr *a, const struct addr *b)
{
	uint8_t ca[ADDR_COMPACT6], cb[ADDR_COMPACT6];
	size_t len = addr_to_compact(a, ca), full;

	if (addr_to_compact(b, cb) != len)
		return 0;
	len -= 2;
	if (memcmp(ca, cb, len) == 0)
		return crc_of_pair(ca + len, cb + len, 2);
	for (full = full_bytes(ca, cb, len); full < len; full++) {
		ca[full] &= SPARSE_MASK;
		cb[full] &= SPARSE_MASK;
	}
	return crc_of_pair(ca, cb, len);
}
