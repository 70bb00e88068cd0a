/* options — one table, and three ways to say what is in it: -o name=value,
 * --name=value, and mount(8)'s words.
 *
 * Happy path: options_parse walks argv; -o's argument is cut at commas (a
 * backslash keeps the next one); each "name" or "name=value" is found in
 * `table` and handed to its setter. Words that mount(8) and fstab put there
 * for everybody and that say nothing to us are accepted and dropped; words
 * that mean something to the kernel's FUSE are passed on. Everything else is
 * an error that names the word: a misspelt option must not be lost.
 *
 * "suid" and "dev" are dropped on purpose: mount(8) adds them when root
 * mounts, and a torrent must never bring either. */
#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/options.h"
#include "core/err.h"
#include "core/mem.h"

enum kind { TAKES_NOTHING, TAKES_VALUE, TAKES_EITHER };

struct option_row {
	const char *name;
	enum kind kind;
	/* 0, EINVAL (the value is not one), E2BIG, ENOMEM */
	int (*set)(struct options *o, const char *word, const char *value);
};

/* ---- setters ---- */

static bool number(const char *text, int base, uint64_t max, uint64_t *out)
{
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	*out = strtoull(text, &end, base);
	return errno == 0 && *end == '\0' && *out <= max;
}

bool options_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGT";
	char *end;
	const char *unit;
	unsigned shift = 0;
	uint64_t n;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno)
		return false;
	if (*end != '\0') {
		unit = strchr(units, toupper((unsigned char)*end));
		if (!unit || end[1] != '\0')
			return false;
		shift = 10 * (unsigned)(unit - units + 1);
	}
	if (n == 0 || n > (UINT64_MAX >> 1) >> shift)
		return false;
	*bytes = n << shift;
	return true;
}

static int copy(char **field, const char *value)
{
	char *s;

	if (value[0] == '\0')
		return EINVAL;
	s = mem_strdup(value);
	if (!s)
		return ENOMEM;
	mem_free(*field);
	*field = s;
	return 0;
}

static int set_store(struct options *o, const char *word, const char *value)
{
	static const char memory[] = "memory:";

	o->store_mem_bytes = 0;
	if (strncmp(value, memory, sizeof(memory) - 1) == 0)
		return options_size(value + sizeof(memory) - 1,
				    &o->store_mem_bytes)
			       ? 0
			       : EINVAL;
	return copy(&o->store, value);
}

static int set_quota(struct options *o, const char *word, const char *value)
{
	if (!options_size(value, &o->quota_bytes))
		return EINVAL;
	return o->quota_bytes >= OPTIONS_QUOTA_MIN ? 0 : EINVAL;
}

static int set_min_free(struct options *o, const char *word, const char *value)
{
	o->min_free_bytes = 0;
	return strcmp(value, "0") == 0 ||
			       options_size(value, &o->min_free_bytes)
		       ? 0
		       : EINVAL;
}

static int set_port(struct options *o, const char *word, const char *value)
{
	uint64_t n;

	if (!number(value, 10, UINT16_MAX, &n) || n == 0)
		return EINVAL;
	o->port = (uint16_t)n;
	return 0;
}

static int set_bind(struct options *o, const char *word, const char *value)
{
	return copy(&o->bind, value);
}

static int add_host(char **list, unsigned *n, const char *value)
{
	if (*n == OPTIONS_PEERS_MAX)
		return E2BIG;
	if (!strrchr(value, ':'))
		return EINVAL;
	return copy(&list[(*n)++], value);
}

static int set_peer(struct options *o, const char *word, const char *value)
{
	return add_host(o->peer, &o->n_peers, value);
}

static int set_no_dht(struct options *o, const char *word, const char *value)
{
	o->no_dht = true;
	return 0;
}

static int set_ro(struct options *o, const char *word, const char *value)
{
	o->is_ro = true;
	return 0;
}

static int set_rw(struct options *o, const char *word, const char *value)
{
	o->is_ro = false;
	return 0;
}

static int set_dht_bootstrap(struct options *o, const char *word,
			     const char *value)
{
	return add_host(o->dht_bootstrap, &o->n_dht_bootstrap, value);
}

static int set_no_seed(struct options *o, const char *word, const char *value)
{
	o->no_seed = true;
	return 0;
}

static int set_no_passthrough(struct options *o, const char *word,
			      const char *value)
{
	o->no_passthrough = true;
	return 0;
}

static int set_no_latency(struct options *o, const char *word,
			  const char *value)
{
	o->no_latency = true;
	return 0;
}

static int set_no_sandbox(struct options *o, const char *word,
			  const char *value)
{
	o->no_sandbox = true;
	return 0;
}

static int set_seccomp(struct options *o, const char *word, const char *value)
{
	o->seccomp = true;
	return 0;
}

static int set_no_pex(struct options *o, const char *word, const char *value)
{
	o->no_pex = true;
	return 0;
}

static int set_down_limit(struct options *o, const char *word,
			  const char *value)
{
	return options_size(value, &o->down_Bps) ? 0 : EINVAL;
}

static int set_up_limit(struct options *o, const char *word, const char *value)
{
	return options_size(value, &o->up_Bps) ? 0 : EINVAL;
}

static int set_seconds(uint32_t *field, const char *value)
{
	uint64_t n;

	if (!number(value, 10, 7 * 86400, &n))
		return EINVAL;
	*field = (uint32_t)n;
	return 0;
}

static int set_read_timeout(struct options *o, const char *word,
			    const char *value)
{
	int r = set_seconds(&o->read_timeout_s, value);

	return r ? r : o->read_timeout_s == 0 ? EINVAL : 0;
}

static int set_wait(struct options *o, const char *word, const char *value)
{
	return set_seconds(&o->wait_s, value);
}

static int set_uid(struct options *o, const char *word, const char *value)
{
	uint64_t n;

	if (!number(value, 10, UINT32_MAX - 1, &n))
		return EINVAL;
	o->uid = (uid_t)n;
	return 0;
}

static int set_gid(struct options *o, const char *word, const char *value)
{
	uint64_t n;

	if (!number(value, 10, UINT32_MAX - 1, &n))
		return EINVAL;
	o->gid = (gid_t)n;
	return 0;
}

static int set_umask(struct options *o, const char *word, const char *value)
{
	uint64_t n;

	if (!number(value, 8, 0777, &n))
		return EINVAL;
	o->umask = (mode_t)n;
	return 0;
}

/* A comma or a backslash inside a word is escaped, as libfuse reads it. */
static int pass_on(struct options *o, const char *word, const char *value)
{
	if (o->fuse.len > 0)
		buf_add_u8(&o->fuse, ',');
	for (const char *p = word; *p; p++) {
		if (*p == ',' || *p == '\\')
			buf_add_u8(&o->fuse, '\\');
		buf_add_u8(&o->fuse, (uint8_t)*p);
	}
	return buf_err(&o->fuse);
}

static int drop(struct options *o, const char *word, const char *value)
{
	return 0;
}

static const struct option_row table[] = {
	{"store", TAKES_VALUE, set_store},
	{"quota", TAKES_VALUE, set_quota},
	{"min_free", TAKES_VALUE, set_min_free},
	{"port", TAKES_VALUE, set_port},
	{"bind", TAKES_VALUE, set_bind},
	{"peer", TAKES_VALUE, set_peer},
	{"nodht", TAKES_NOTHING, set_no_dht},
	{"dht_bootstrap", TAKES_VALUE, set_dht_bootstrap},
	{"nopex", TAKES_NOTHING, set_no_pex},
	{"noseed", TAKES_NOTHING, set_no_seed},
	{"nopassthrough", TAKES_NOTHING, set_no_passthrough},
	{"nolatency", TAKES_NOTHING, set_no_latency},
	{"nosandbox", TAKES_NOTHING, set_no_sandbox},
	{"seccomp", TAKES_NOTHING, set_seccomp},
	{"down_limit", TAKES_VALUE, set_down_limit},
	{"up_limit", TAKES_VALUE, set_up_limit},
	{"read_timeout", TAKES_VALUE, set_read_timeout},
	{"wait", TAKES_VALUE, set_wait},
	{"uid", TAKES_VALUE, set_uid},
	{"gid", TAKES_VALUE, set_gid},
	{"umask", TAKES_VALUE, set_umask},
	{"fsname", TAKES_VALUE, pass_on},
	{"allow_other", TAKES_NOTHING, pass_on},
	{"allow_root", TAKES_NOTHING, pass_on},
	{"default_permissions", TAKES_NOTHING, pass_on},
	{"noexec", TAKES_NOTHING, pass_on},
	{"exec", TAKES_NOTHING, pass_on},
	{"noatime", TAKES_NOTHING, pass_on},
	{"atime", TAKES_NOTHING, drop},
	{"relatime", TAKES_NOTHING, drop},
	{"norelatime", TAKES_NOTHING, drop},
	{"diratime", TAKES_NOTHING, drop},
	{"nodiratime", TAKES_NOTHING, drop},
	{"ro", TAKES_NOTHING, set_ro},
	{"rw", TAKES_NOTHING, set_rw},
	{"suid", TAKES_NOTHING, drop},
	{"nosuid", TAKES_NOTHING, drop},
	{"dev", TAKES_NOTHING, drop},
	{"nodev", TAKES_NOTHING, drop},
	{"async", TAKES_NOTHING, drop},
	{"auto", TAKES_NOTHING, drop},
	{"noauto", TAKES_NOTHING, drop},
	{"user", TAKES_EITHER, drop},
	{"nouser", TAKES_NOTHING, drop},
	{"users", TAKES_NOTHING, drop},
	{"nofail", TAKES_NOTHING, drop},
	{"_netdev", TAKES_NOTHING, drop},
	{"defaults", TAKES_NOTHING, drop},
};

/* ---- words ---- */

static const struct option_row *find_row(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strlen(table[i].name) == len &&
		    memcmp(table[i].name, name, len) == 0)
			return &table[i];
	}
	return NULL;
}

static int fail(char why[WHY_BYTES], const char *what, const char *word)
{
	(void)snprintf(why, WHY_BYTES, "%s '%.180s'", what, word);
	return EINVAL;
}

static int set_word(struct options *o, const char *word, char why[WHY_BYTES])
{
	size_t len = strcspn(word, "=");
	const char *value = word[len] == '=' ? word + len + 1 : NULL;
	const struct option_row *row = find_row(word, len);
	int r;

	if (len == 0)
		return 0;
	if (strncmp(word, "x-", 2) == 0)
		return 0; /* mount(8): comments of other programs */
	if (!row)
		return fail(why, "unknown option", word);
	if (value && row->kind == TAKES_NOTHING)
		return fail(why, "this option takes no value:", word);
	if (!value && row->kind == TAKES_VALUE)
		return fail(why, "this option needs a value:", word);
	r = row->set(o, word, value);
	if (r == EINVAL)
		return fail(why, "not a valid value:", word);
	if (r == E2BIG)
		return fail(why, "too many of", word);
	return r;
}

static int set_words(struct options *o, const char *list, char why[WHY_BYTES])
{
	char *word = mem_alloc(strlen(list) + 1);
	size_t n = 0;
	int r = 0;

	if (!word)
		return ENOMEM;
	for (const char *p = list; r == 0; p++) {
		if (*p == '\\' && (p[1] == ',' || p[1] == '\\')) {
			word[n++] = *++p;
			continue;
		}
		if (*p != ',' && *p != '\0') {
			word[n++] = *p;
			continue;
		}
		word[n] = '\0';
		n = 0;
		r = set_word(o, word, why);
		if (*p == '\0')
			break;
	}
	mem_free(word);
	return r;
}

static void set_defaults(struct options *o)
{
	memset(o, 0, sizeof(*o));
	o->read_timeout_s = 60;
	o->min_free_bytes = OPTIONS_MIN_FREE;
	o->wait_s = 30;
	o->uid = getuid();
	o->gid = getgid();
}

static int set_short(struct options *o, int c, char why[WHY_BYTES])
{
	switch (c) {
	case 'f':
		o->foreground = true;
		return 0;
	case 'd':
		o->foreground = o->debug = true;
		return 0;
	case 'h':
		o->help = true;
		return 0;
	case 'V':
		o->version = true;
		return 0;
	case 'o':
		return set_words(o, optarg, why);
	case ':':
		(void)snprintf(why, WHY_BYTES, "-%c needs an argument", optopt);
		return EINVAL;
	default:
		(void)snprintf(why, WHY_BYTES, "unknown option '-%c'", optopt);
		return EINVAL;
	}
}

static int set_long(struct options *o, const char *word, char why[WHY_BYTES])
{
	if (strcmp(word, "help") == 0)
		o->help = true;
	else if (strcmp(word, "version") == 0)
		o->version = true;
	else
		return set_word(o, word, why);
	return 0;
}

static int add_operand(struct options *o, const char *word, char why[WHY_BYTES])
{
	if (o->n_operands == OPTIONS_SOURCES_MAX)
		return fail(why, "too many arguments, from", word);
	o->operand[o->n_operands++] = word;
	return 0;
}

/* getopt's "-" in front hands operands over in order, as option 1; long words
 * are ours, since a table of their own for getopt_long would be a second
 * list of the same names. */
int options_parse(struct options *o, int argc, char *const *argv,
		  char why[WHY_BYTES])
{
	bool only_operands = false;
	int c, r = 0;

	set_defaults(o);
	optind = 0;
	opterr = 0;
	while (r == 0) {
		const char *next;

		if (optind == 0)
			optind = 1;
		next = optind < argc ? argv[optind] : NULL;
		if (!next)
			break;
		if (only_operands || next[0] != '-' || next[1] == '\0') {
			r = add_operand(o, next, why);
			optind++;
		} else if (strcmp(next, "--") == 0) {
			only_operands = true;
			optind++;
		} else if (next[1] == '-') {
			r = set_long(o, next + 2, why);
			optind++;
		} else {
			c = getopt(argc, argv, "+:fdhVo:");
			r = set_short(o, c, why);
		}
	}
	if (r == 0 && !buf_cstr(&o->fuse))
		r = ENOMEM;
	return r;
}

void options_fini(struct options *o)
{
	mem_free(o->store);
	mem_free(o->bind);
	for (unsigned i = 0; i < o->n_peers; i++)
		mem_free(o->peer[i]);
	for (unsigned i = 0; i < o->n_dht_bootstrap; i++)
		mem_free(o->dht_bootstrap[i]);
	buf_fini(&o->fuse);
}

const char *options_help(void)
{
	return "  -f                  stay in front\n"
	       "  -d                  the same, and log every step\n"
	       "  -h, -V              this text; the version\n"
	       "  -o store=DIR        where pieces are kept\n"
	       "  -o store=memory:SIZE  keep them in memory, write no file\n"
	       "  -o quota=SIZE       what the store may take, at least 16M "
	       "(20G,\n"
	       "                      but not more than half of what is free)\n"
	       "  -o min_free=SIZE    what it leaves free on the disk (1G)\n"
	       "  -o port=N           listen for peers there (a free port)\n"
	       "  -o bind=ADDR        listen on this address only (all)\n"
	       "  -o peer=HOST:PORT   a peer to try; may be repeated\n"
	       "  -o nodht            stay out of the DHT\n"
	       "  -o dht_bootstrap=HOST:PORT\n"
	       "                      a node that lets us into the DHT; may "
	       "be\n"
	       "                      repeated (the public ones)\n"
	       "  -o nopex            tell no peer of other peers, and do not\n"
	       "                      listen when they tell\n"
	       "  -o noseed           give nothing to others\n"
	       "  -o nopassthrough    the kernel reads no file by itself\n"
	       "  -o nolatency        CPUs may sleep while somebody walks\n"
	       "  -o nosandbox        the daemon locks nothing away from "
	       "itself\n"
	       "  -o seccomp          it also refuses itself system calls "
	       "that\n"
	       "                      it does not need\n"
	       "  -o down_limit=RATE, up_limit=RATE\n"
	       "                      take, give at most so many bytes a\n"
	       "                      second: 500K, 2M (no limit)\n"
	       "  -o read_timeout=S   a read fails after this long without\n"
	       "                      one byte arriving for it (60)\n"
	       "  -o wait=S           wait for the metadata of magnet links\n"
	       "                      at most this long (30)\n"
	       "  -o ro               nothing is added or removed through the\n"
	       "                      mount\n"
	       "  -o allow_other, uid=N, gid=N, umask=OCTAL, fsname=NAME,\n"
	       "     noexec, noatime  as every FUSE file system\n"
	       "Each may also be written --name=value.\n";
}
