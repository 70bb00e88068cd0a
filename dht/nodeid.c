/* nodeid — distances, and BEP 42.
 *
 * BEP 42 ties the first 21 bits of an id to the host's address, so that whoever
 * wants many ids around a target needs many addresses: they are CRC-32C's of
 * the address, of which only some bits count (the fewer, the further left) and
 * three are free, told by the id's last byte. */
#include "dht/nodeid.h"

#include "core/addr.h"

enum {
	IP4_BYTES = 4,
	IP6_COUNTED = 8, /* the network half of an address */
	FREE_BITS = 7,	 /* of the last byte */
};

int nodeid_common(const struct dht_id *a, const struct dht_id *b)
{
	uint64_t head = nodeid_head(a) ^ nodeid_head(b);

	if (head != 0)
		return __builtin_clzll(head);
	for (int i = 8; i < DHT_ID_BYTES; i++) {
		unsigned x = (unsigned)(a->b[i] ^ b->b[i]);

		if (x != 0)
			return i * 8 + __builtin_clz(x) - 24;
	}
	return DHT_ID_BITS;
}

bool nodeid_closer(const struct dht_id *to, const struct dht_id *a,
		   const struct dht_id *b)
{
	uint64_t near_a = nodeid_head(a) ^ nodeid_head(to);
	uint64_t near_b = nodeid_head(b) ^ nodeid_head(to);

	if (near_a != near_b)
		return near_a < near_b;
	for (int i = 8; i < DHT_ID_BYTES; i++)
		if (a->b[i] != b->b[i])
			return (a->b[i] ^ to->b[i]) < (b->b[i] ^ to->b[i]);
	return false;
}

/* CRC-32C, four bits at a time. */
static uint32_t crc32c(const uint8_t *p, size_t len)
{
	static const uint32_t table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
		0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
		0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		crc = (crc >> 4) ^ table[crc & 15];
		crc = (crc >> 4) ^ table[crc & 15];
	}
	return ~crc;
}

/* The 32 bits of which an id begins with 21. */
static uint32_t prefix_for(const struct addr *a, uint8_t last)
{
	static const uint8_t mask4[IP4_BYTES] = {0x03, 0x0f, 0x3f, 0xff};
	static const uint8_t mask6[IP6_COUNTED] = {0x01, 0x03, 0x07, 0x0f,
						   0x1f, 0x3f, 0x7f, 0xff};
	uint8_t ip[ADDR_COMPACT6];
	bool is_4 = addr_to_compact(a, ip) == ADDR_COMPACT4;
	const uint8_t *mask = is_4 ? mask4 : mask6;
	size_t len = is_4 ? IP4_BYTES : IP6_COUNTED;

	for (size_t i = 0; i < len; i++)
		ip[i] &= mask[i];
	ip[0] |= (uint8_t)((last & FREE_BITS) << 5);
	return crc32c(ip, len);
}

void nodeid_for(struct dht_id *out, const struct addr *a,
		const uint8_t random[DHT_ID_BYTES])
{
	uint32_t crc;

	memcpy(out->b, random, DHT_ID_BYTES);
	crc = prefix_for(a, out->b[DHT_ID_BYTES - 1]);
	out->b[0] = (uint8_t)(crc >> 24);
	out->b[1] = (uint8_t)(crc >> 16);
	out->b[2] = (uint8_t)(((crc >> 8) & 0xf8) | (random[2] & 7));
}

bool nodeid_fits(const struct dht_id *id, const struct addr *a)
{
	uint32_t crc = prefix_for(a, id->b[DHT_ID_BYTES - 1]);

	return ((be32_get(id->b) ^ crc) & 0xfffff800) == 0 || addr_is_local(a);
}

void nodeid_within(struct dht_id *out, const struct dht_id *id, int common,
		   const uint8_t random[DHT_ID_BYTES])
{
	int byte = common / 8;
	uint8_t kept = (uint8_t)(0xff00 >> (common % 8)); /* bits of `byte` */
	uint8_t turned = (uint8_t)(0x80 >> (common % 8));

	memcpy(out->b, random, DHT_ID_BYTES);
	if (common >= DHT_ID_BITS) {
		*out = *id;
		return;
	}
	memcpy(out->b, id->b, (size_t)byte);
	out->b[byte] = (uint8_t)((id->b[byte] & kept) |
				 (random[byte] & ~kept & ~turned) |
				 (~id->b[byte] & turned));
}
