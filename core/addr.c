/* addr — addresses of peers, trackers and nodes, as values.
 *
 * Words: *mapped* — an IPv4 address written as IPv6, ::ffff:a.b.c.d. A socket
 * bound to both families reports such addresses; they are turned into IPv4 on
 * every way in, so that one host has one form and a filter on IPv4 cannot be
 * walked around.
 * Text is numeric only: nothing here may wait for a resolver.
 * Scopes: the interface number of a link-local address is kept and printed,
 * but not compared: compact forms and hash keys have no room for it, and the
 * three must agree on what is equal. */
#include "core/addr.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/be.h"

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0,    0,
					  0, 0, 0, 0, 0xff, 0xff};

/* Eight groups of four digits. INET6_ADDRSTRLEN has room for a mapped address
 * too, which no addr is. */
enum { IP_TEXT_BYTES = 40 };

static void set4(struct addr *a, const uint8_t ip[4], uint16_t port)
{
	*a = (struct addr){0};
	a->in4.sin_family = AF_INET;
	a->in4.sin_port = htons(port);
	memcpy(&a->in4.sin_addr, ip, 4);
}

static void set6(struct addr *a, const uint8_t ip[16], uint16_t port,
		 uint32_t scope)
{
	if (memcmp(ip, mapped_prefix, sizeof(mapped_prefix)) == 0) {
		set4(a, ip + sizeof(mapped_prefix), port);
		return;
	}
	*a = (struct addr){0};
	a->in6.sin6_family = AF_INET6;
	a->in6.sin6_port = htons(port);
	a->in6.sin6_scope_id = scope;
	memcpy(&a->in6.sin6_addr, ip, 16);
}

/* A decimal number without sign, space or leading zero; all of the text. */
static int parse_number(const char *text, uint32_t max, uint32_t *out)
{
	uint64_t v = 0;

	if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
		return EINVAL;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return EINVAL;
		v = v * 10 + (uint64_t)(*text - '0');
		if (v > max)
			return EINVAL;
	}
	*out = (uint32_t)v;
	return 0;
}

static int parse6(struct addr *a, char *host, uint16_t port)
{
	char *scope_text = strchr(host, '%');
	uint32_t scope = 0;
	uint8_t ip[16];

	if (scope_text) {
		*scope_text++ = '\0';
		if (parse_number(scope_text, UINT32_MAX, &scope) != 0)
			return EINVAL;
	}
	if (inet_pton(AF_INET6, host, ip) != 1)
		return EINVAL;
	set6(a, ip, port, scope);
	return 0;
}

int addr_parse(struct addr *a, const char *text)
{
	char copy[ADDR_TEXT_BYTES];
	size_t len = strlen(text);
	uint32_t port;
	uint8_t ip[4];
	char *colon;

	if (len >= sizeof(copy))
		return EINVAL;
	memcpy(copy, text, len + 1);
	colon = strrchr(copy, ':');
	if (!colon || parse_number(colon + 1, UINT16_MAX, &port) != 0)
		return EINVAL;
	*colon = '\0';
	if (copy[0] == '[') {
		if (colon[-1] != ']')
			return EINVAL;
		colon[-1] = '\0';
		return parse6(a, copy + 1, (uint16_t)port);
	}
	if (inet_pton(AF_INET, copy, ip) != 1)
		return EINVAL;
	set4(a, ip, (uint16_t)port);
	return 0;
}

int addr_from_sa(struct addr *a, const struct sockaddr *sa, socklen_t len)
{
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
	sa_family_t family;

	if (len < offsetof(struct sockaddr, sa_data))
		return EAFNOSUPPORT;
	memcpy(&family, &sa->sa_family, sizeof(family));
	/* Copied out: `sa` need not be aligned for the larger structs. */
	if (family == AF_INET && len >= sizeof(in4)) {
		memcpy(&in4, sa, sizeof(in4));
		set4(a, (const uint8_t *)&in4.sin_addr, ntohs(in4.sin_port));
		return 0;
	}
	if (family == AF_INET6 && len >= sizeof(in6)) {
		memcpy(&in6, sa, sizeof(in6));
		set6(a, in6.sin6_addr.s6_addr, ntohs(in6.sin6_port),
		     in6.sin6_scope_id);
		return 0;
	}
	return EAFNOSUPPORT;
}

int addr_from_compact(struct addr *a, const uint8_t *p, size_t len)
{
	if (len == ADDR_COMPACT4) {
		set4(a, p, be16_get(p + 4));
		return 0;
	}
	if (len == ADDR_COMPACT6) {
		set6(a, p, be16_get(p + 16), 0);
		return 0;
	}
	return EBADMSG;
}

size_t addr_to_compact(const struct addr *a, uint8_t out[ADDR_COMPACT6])
{
	if (a->sa.sa_family == AF_INET) {
		memcpy(out, &a->in4.sin_addr, 4);
		be16_put(out + 4, addr_port(a));
		return ADDR_COMPACT4;
	}
	assert(a->sa.sa_family == AF_INET6);
	memcpy(out, &a->in6.sin6_addr, 16);
	be16_put(out + 16, addr_port(a));
	return ADDR_COMPACT6;
}

const char *addr_format(const struct addr *a, char out[ADDR_TEXT_BYTES])
{
	char ip[IP_TEXT_BYTES];
	uint16_t port = addr_port(a);

	if (a->sa.sa_family == AF_INET) {
		(void)inet_ntop(AF_INET, &a->in4.sin_addr, ip, sizeof(ip));
		(void)snprintf(out, ADDR_TEXT_BYTES, "%s:%hu", ip, port);
		return out;
	}
	assert(a->sa.sa_family == AF_INET6);
	(void)inet_ntop(AF_INET6, &a->in6.sin6_addr, ip, sizeof(ip));
	if (a->in6.sin6_scope_id != 0)
		(void)snprintf(out, ADDR_TEXT_BYTES, "[%s%%%u]:%hu", ip,
			       a->in6.sin6_scope_id, port);
	else
		(void)snprintf(out, ADDR_TEXT_BYTES, "[%s]:%hu", ip, port);
	return out;
}

socklen_t addr_len(const struct addr *a)
{
	return a->sa.sa_family == AF_INET ? (socklen_t)sizeof(a->in4)
					  : (socklen_t)sizeof(a->in6);
}

uint16_t addr_port(const struct addr *a)
{
	return ntohs(a->sa.sa_family == AF_INET ? a->in4.sin_port
						: a->in6.sin6_port);
}

void addr_set_port(struct addr *a, uint16_t port)
{
	if (a->sa.sa_family == AF_INET)
		a->in4.sin_port = htons(port);
	else
		a->in6.sin6_port = htons(port);
}

void addr_key(const struct addr *a, uint8_t out[ADDR_KEY_BYTES])
{
	if (a->sa.sa_family == AF_INET) {
		memcpy(out, mapped_prefix, sizeof(mapped_prefix));
		memcpy(out + sizeof(mapped_prefix), &a->in4.sin_addr, 4);
	} else {
		memcpy(out, &a->in6.sin6_addr, 16);
	}
	be16_put(out + 16, addr_port(a));
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
	return addr_eq_host(a, b) && addr_port(a) == addr_port(b);
}

bool addr_eq_host(const struct addr *a, const struct addr *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->in4.sin_addr.s_addr == b->in4.sin_addr.s_addr;
	return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, 16) == 0;
}

/* ---- classes ---- */

static uint32_t host4(const struct addr *a)
{
	return ntohl(a->in4.sin_addr.s_addr);
}

static bool is_in4(const struct addr *a, uint32_t net, unsigned prefix_bits)
{
	return a->sa.sa_family == AF_INET &&
	       (host4(a) ^ net) >> (32 - prefix_bits) == 0;
}

static bool is_in6(const struct addr *a, uint16_t head, uint16_t mask)
{
	return a->sa.sa_family == AF_INET6 &&
	       (be16_get(a->in6.sin6_addr.s6_addr) & mask) == head;
}

bool addr_is_loopback(const struct addr *a)
{
	return is_in4(a, 0x7f000000, 8) ||
	       (a->sa.sa_family == AF_INET6 &&
		IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr));
}

bool addr_is_link_local(const struct addr *a)
{
	return is_in4(a, 0xa9fe0000, 16) || is_in6(a, 0xfe80, 0xffc0);
}

struct addr addr_host(const struct addr *a)
{
	struct addr host = *a;

	if (addr_is_loopback(a))
		return host;
	addr_set_port(&host, 0);
	if (a->sa.sa_family == AF_INET6 && !addr_is_link_local(a))
		memset(host.in6.sin6_addr.s6_addr + 8, 0, 8);
	return host;
}

bool addr_is_private(const struct addr *a)
{
	return is_in4(a, 0x0a000000, 8) ||  /* RFC 1918 */
	       is_in4(a, 0xac100000, 12) || /* RFC 1918 */
	       is_in4(a, 0xc0a80000, 16) || /* RFC 1918 */
	       is_in4(a, 0x64400000, 10) || /* RFC 6598, carrier NAT */
	       is_in6(a, 0xfc00, 0xfe00) || /* RFC 4193, unique local */
	       is_in6(a, 0xfec0, 0xffc0);   /* RFC 3879, once site local */
}

bool addr_is_local(const struct addr *a)
{
	return addr_is_loopback(a) || addr_is_private(a) ||
	       addr_is_link_local(a);
}

bool addr_can_dial(const struct addr *a)
{
	if (addr_port(a) == 0)
		return false;
	if (a->sa.sa_family == AF_INET)
		return !is_in4(a, 0x00000000, 8) && !is_in4(a, 0xe0000000, 4) &&
		       host4(a) != 0xffffffff;
	return a->sa.sa_family == AF_INET6 && !is_in6(a, 0xff00, 0xff00) &&
	       !IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}
