/* addr — an IPv4 or IPv6 socket address, with its port. A value; compare with
 * addr_eq, never with memcmp. IPv4-mapped IPv6 addresses are turned into IPv4
 * when they come in. */
#ifndef SHOAL_CORE_ADDR_H
#define SHOAL_CORE_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
	};
};

enum {
	ADDR_TEXT_BYTES = 64, /* "[v6%scope]:port" and a NUL */
	ADDR_COMPACT4 = 6,    /* BEP 23 */
	ADDR_COMPACT6 = 18,   /* BEP 7 */
};

/* addr_parse — "1.2.3.4:5", "[::1]:5"; numeric only. 0 or EINVAL. */
int addr_parse(struct addr *a, const char *text);

/* addr_from_sa — EAFNOSUPPORT for other families. */
int addr_from_sa(struct addr *a, const struct sockaddr *sa, socklen_t len);

/* addr_from_compact — 6 or 18 bytes of BEP 23 / BEP 7. EBADMSG otherwise. */
int addr_from_compact(struct addr *a, const uint8_t *p, size_t len);

/* addr_to_compact — 6 or 18 bytes into `out`; returns how many. */
size_t addr_to_compact(const struct addr *a, uint8_t out[ADDR_COMPACT6]);

/* addr_format — as addr_parse reads it. Returns `out`. */
const char *addr_format(const struct addr *a, char out[ADDR_TEXT_BYTES]);

socklen_t addr_len(const struct addr *a);
uint16_t addr_port(const struct addr *a);
void addr_set_port(struct addr *a, uint16_t port);
bool addr_eq(const struct addr *a, const struct addr *b);
bool addr_eq_host(const struct addr *a, const struct addr *b);

/* addr_host — who may have that address: all its ports, and of IPv6 its /64,
 * for whoever has one address of it has all. On loopback, where many peers
 * share one address, the port; of a link-local address, whose /64 is the whole
 * line, the address. */
struct addr addr_host(const struct addr *a);

/* addr_key — a fixed-length key for hmap: 16 bytes of address, 2 of port. */
enum { ADDR_KEY_BYTES = 18 };
void addr_key(const struct addr *a, uint8_t out[ADDR_KEY_BYTES]);

/* Classes (RFC 6890, RFC 4291). can_dial: not unspecified, multicast,
 * broadcast or port 0. */
bool addr_is_loopback(const struct addr *a);
bool addr_is_link_local(const struct addr *a);
bool addr_is_private(const struct addr *a);
bool addr_is_local(const struct addr *a); /* any of the three */
bool addr_can_dial(const struct addr *a);

#endif
