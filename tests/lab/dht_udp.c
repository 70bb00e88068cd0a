/* dht_udp — one DHT node of ours on a UDP socket, to be talked to by other
 * people's. For tests.
 *
 *   dht_udp BIND:PORT [--unlimited]
 *
 * Commands come on standard input, one a line; each answers, when it is done,
 * with one line of JSON; the next is to wait for it.
 *
 *   node HOST:PORT          somebody may be there
 *   find HASH               {"peers": ["HOST:PORT", …], "first_ms": since it
 *                           began, if there are any}
 *   announce HASH PORT      {"stored": N}
 *   put VALUE               an immutable item, bencoded: {"target", "stored"}
 *   get HASH                {"value": "…"} or null
 *   sign SEED SALT SEQ VALUE   a mutable one; SALT "-" is none
 *   follow KEY SALT         {"value", "seq"}
 *   status                  {"good", "contacts", "queries", "answers"}
 *   quit */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/addr.h"
#include "core/clock.h"
#include "core/hash.h"
#include "core/rng.h"
#include "dht/items.h"
#include "dht/node.h"

enum { LINE_BYTES = 4096, TURN = 64 };

struct driver {
	int fd;
	struct dht_node *node;
	struct hasher *hasher;
	/* the command under way */
	bool is_busy, is_quitting;
	uint64_t began_us, first_us; /* 0: no peers yet */
	char what[16];
	struct addr peers[512];
	size_t n_peers;
	bool has_item;
	uint8_t value[1024];
	size_t value_len;
	int64_t seq;
	struct dht_item put;
	uint8_t put_value[1024], key[32], sig[64], seed[32], salt[64];
	struct dht_id target;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void on_send(void *arg, const struct addr *to, const void *bytes,
		    size_t len)
{
	const struct driver *d = arg;

	(void)sendto(d->fd, bytes, len, 0, &to->sa, addr_len(to));
}

/* ---- text ---- */

static bool unhex(const char *text, uint8_t *out, size_t len)
{
	if (strlen(text) != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned v;

		if (sscanf(text + 2 * i, "%2x", &v) != 1)
			return false;
		out[i] = (uint8_t)v;
	}
	return true;
}

static void print_hex(const uint8_t *p, size_t len)
{
	while (len-- > 0)
		printf("%02x", *p++);
}

static void print_value(const struct driver *d)
{
	if (!d->has_item) {
		printf("null");
		return;
	}
	putchar('"');
	for (size_t i = 0; i < d->value_len; i++)
		if (d->value[i] >= ' ' && d->value[i] < 127 &&
		    d->value[i] != '"' && d->value[i] != '\\')
			putchar(d->value[i]);
		else
			printf("\\u%04x", d->value[i]);
	putchar('"');
}

/* ---- searches ---- */

static void on_peers(void *arg, const struct addr *peers, size_t n)
{
	struct driver *d = arg;

	if (d->first_us == 0)
		d->first_us = clock_mono_us();
	for (size_t i = 0; i < n && d->n_peers < 512; i++)
		d->peers[d->n_peers++] = peers[i];
}

static void on_item(void *arg, const struct dht_item *item)
{
	struct driver *d = arg;

	d->has_item = true;
	d->value_len = item->value.len;
	memcpy(d->value, item->value.ptr, item->value.len);
	d->seq = item->seq;
}

static bool on_put(void *arg, const struct dht_item *best, struct dht_item *put,
		   bool *has_cas, int64_t *cas)
{
	struct driver *d = arg;

	(void)best;
	(void)has_cas;
	(void)cas;
	*put = d->put;
	return true;
}

static void on_end(void *arg, const struct dht_outcome *o)
{
	struct driver *d = arg;
	char text[ADDR_TEXT_BYTES];

	d->is_busy = false;
	printf("{\"did\": \"%s\", \"asked\": %u, \"answered\": %u, "
	       "\"stored\": %u, \"target\": \"",
	       d->what, o->n_asked, o->n_answered, o->n_stored);
	print_hex(d->target.b, DHT_ID_BYTES);
	printf("\", \"key\": \"");
	print_hex(d->key, sizeof(d->key));
	printf("\", \"seq\": %lld, \"value\": ", (long long)d->seq);
	print_value(d);
	if (d->first_us != 0)
		printf(", \"first_ms\": %.3f",
		       (double)(d->first_us - d->began_us) / 1e3);
	printf(", \"peers\": [");
	for (size_t i = 0; i < d->n_peers; i++)
		printf("%s\"%s\"", i > 0 ? ", " : "",
		       addr_format(&d->peers[i], text));
	printf("]}\n");
	(void)fflush(stdout);
}

static void start(struct driver *d, struct dht_search_cfg cfg)
{
	cfg.target = d->target;
	cfg.on_peers = on_peers;
	cfg.on_item = on_item;
	cfg.on_end = on_end;
	cfg.arg = d;
	d->n_peers = 0;
	d->first_us = 0;
	d->began_us = clock_mono_us();
	d->has_item = false;
	d->seq = 0;
	if (dht_search_start(d->node, clock_mono_us(), &cfg, NULL) != 0)
		die("search");
	d->is_busy = true;
}

static struct span salt_of(struct driver *d, const char *text)
{
	size_t len = strcmp(text, "-") == 0 ? 0 : strlen(text);

	len = len < sizeof(d->salt) ? len : sizeof(d->salt);
	memcpy(d->salt, text, len);
	return span_of(d->salt, len);
}

static void put(struct driver *d, const char *value, struct dht_search_cfg cfg)
{
	size_t len = strlen(value);

	if (len > sizeof(d->put_value))
		die("value");
	memcpy(d->put_value, value, len);
	d->put.value = span_of(d->put_value, len);
	if (d->put.is_mutable) {
		d->put.key = d->key;
		d->put.sig = d->sig;
		if (item_sign(&d->put, d->seed, d->key, d->sig) != 0)
			die("sign");
		cfg.key = d->key;
		cfg.salt = d->put.salt;
	}
	item_target(d->hasher, &d->put, &d->target);
	cfg.ask = DHT_ASK_ITEM;
	cfg.on_put = on_put;
	start(d, cfg);
}

static void status(struct driver *d)
{
	struct dht_stats st;

	dht_node_stats(d->node, &st);
	printf("{\"good\": %u, \"contacts\": %u, \"queries\": %llu, "
	       "\"answers\": %llu, \"stored_peers\": %u, \"stored_items\": "
	       "%u}\n",
	       st.family[0].n_good + st.family[1].n_good,
	       st.family[0].n_contacts + st.family[1].n_contacts,
	       (unsigned long long)st.in_queries,
	       (unsigned long long)st.out_answers, st.stored_peers,
	       st.stored_items);
	(void)fflush(stdout);
}

/* ---- commands ---- */

static void follow(struct driver *d, const char *key, const char *salt)
{
	struct dht_item like = {.is_mutable = true, .key = d->key};
	struct dht_search_cfg cfg = {.ask = DHT_ASK_ITEM, .key = d->key};

	if (!unhex(key, d->key, sizeof(d->key)))
		die("key");
	like.salt = cfg.salt = salt_of(d, salt);
	item_target(d->hasher, &like, &d->target);
	start(d, cfg);
}

static void command(struct driver *d, char *line)
{
	struct dht_search_cfg cfg = {0};
	char *word[6] = {NULL};
	int n = 0;
	struct addr a;

	for (char *save, *w = strtok_r(line, " \n", &save); w && n < 6;
	     w = strtok_r(NULL, " \n", &save))
		word[n++] = w;
	if (n == 0)
		return;
	(void)snprintf(d->what, sizeof(d->what), "%s", word[0]);
	d->put = (struct dht_item){0};
	if (strcmp(word[0], "quit") == 0) {
		d->is_quitting = true;
	} else if (strcmp(word[0], "status") == 0) {
		status(d);
	} else if (n == 2 && strcmp(word[0], "node") == 0) {
		if (addr_parse(&a, word[1]) == 0)
			dht_node_endpoint(d->node, clock_mono_us(), &a);
	} else if (n == 2 && strcmp(word[0], "put") == 0) {
		put(d, word[1], cfg);
	} else if (n == 5 && strcmp(word[0], "sign") == 0) {
		if (!unhex(word[1], d->seed, sizeof(d->seed)))
			die("seed");
		d->put.is_mutable = true;
		d->put.salt = salt_of(d, word[2]);
		d->put.seq = strtoll(word[3], NULL, 10);
		put(d, word[4], cfg);
	} else if (n == 3 && strcmp(word[0], "follow") == 0) {
		follow(d, word[1], word[2]);
	} else if (n >= 2 && unhex(word[1], d->target.b, DHT_ID_BYTES)) {
		cfg.ask = strcmp(word[0], "get") == 0 ? DHT_ASK_ITEM
						      : DHT_ASK_PEERS;
		if (n == 3)
			cfg.announce_port =
				(uint16_t)strtoul(word[2], NULL, 10);
		start(d, cfg);
	} else {
		die(word[0]);
	}
}

/* ---- the loop ---- */

static void take_datagrams(struct driver *d)
{
	uint8_t bytes[2048];

	for (int i = 0; i < TURN; i++) {
		struct sockaddr_storage ss;
		socklen_t ss_len = sizeof(ss);
		struct addr from;
		ssize_t len =
			recvfrom(d->fd, bytes, sizeof(bytes), MSG_DONTWAIT,
				 (struct sockaddr *)&ss, &ss_len);

		if (len < 0)
			return;
		if (addr_from_sa(&from, (struct sockaddr *)&ss, ss_len) == 0)
			(void)dht_node_receive(d->node, clock_mono_us(), &from,
					       bytes, (size_t)len);
	}
}

/* The lines that came; false: no more will. */
static bool take_lines(struct driver *d)
{
	static char text[LINE_BYTES];
	static size_t len;
	ssize_t n = read(STDIN_FILENO, text + len, sizeof(text) - 1 - len);
	char *end;

	if (n <= 0)
		return false;
	len += (size_t)n;
	text[len] = '\0';
	while ((end = strchr(text, '\n')) != NULL) {
		*end = '\0';
		command(d, text);
		len -= (size_t)(end + 1 - text);
		memmove(text, end + 1, len + 1);
	}
	return true;
}

static void run(struct driver *d)
{
	while (!d->is_quitting) {
		struct pollfd fds[2] = {
			{.fd = d->fd, .events = POLLIN},
			/* One command at a time. */
			{.fd = d->is_busy ? -1 : STDIN_FILENO,
			 .events = POLLIN},
		};
		uint64_t next_us = dht_node_next_us(d->node);
		uint64_t now_us = clock_mono_us();
		int wait_ms = 1000;

		if (next_us < now_us + 1000000)
			wait_ms = next_us > now_us
					  ? (int)((next_us - now_us) / 1000) + 1
					  : 0;
		if (poll(fds, 2, wait_ms) < 0 && errno != EINTR)
			die("poll");
		if (fds[0].revents)
			take_datagrams(d);
		if (dht_node_next_us(d->node) <= clock_mono_us())
			dht_node_wake(d->node, clock_mono_us());
		if (fds[1].revents && !take_lines(d))
			return;
	}
}

int main(int argc, char **argv)
{
	struct driver d = {0};
	struct dht_cfg cfg = {.send = on_send, .arg = &d};
	struct addr a;

	if (argc < 2 || addr_parse(&a, argv[1]) != 0) {
		(void)fprintf(stderr, "usage: dht_udp BIND:PORT "
				      "[--unlimited]\n");
		return 2;
	}
	d.fd = socket(a.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (d.fd < 0 || bind(d.fd, &a.sa, addr_len(&a)) != 0)
		die(argv[1]);
	if (hasher_new(&d.hasher) != 0)
		die("hasher");
	cfg.hasher = d.hasher;
	cfg.has[a.sa.sa_family == AF_INET6 ? DHT_IPV6 : DHT_IPV4] = true;
	cfg.is_unlimited = argc > 2 && strcmp(argv[2], "--unlimited") == 0;
	rng_bytes(cfg.seed, sizeof(cfg.seed));
	if (dht_node_new(&cfg, clock_mono_us(), &d.node) != 0)
		die("node");
	run(&d);
	dht_node_free(d.node);
	hasher_free(d.hasher);
	(void)close(d.fd);
	return 0;
}
