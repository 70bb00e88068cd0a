/* publish — a key names a torrent.
 *
 * Happy path:
 *   1. The mount says which info-hash is meant, and what it knows of the key,
 *      which it looks up in the DHT if need be.
 *   2. The secret, which never leaves this process, signs the info-hash with a
 *      seq: later than the one that is there, and not before the time of day,
 * so that it grows even when the DHT has forgotten the last. The same torrent
 *      once more keeps its seq: that only keeps it alive.
 *   3. The mount puts it, if the DHT still has what it had in step 1 (CAS), and
 *      puts it again every hour from then on.
 *
 *   4. If a few nodes took what somebody else with the key put at the same
 *      time, it is signed once more, with a later seq, so that all agree.
 *
 * The mount's answers do not wait; who wants the end of something asks again.
 *
 * Failure modes: somebody with the same key was quicker, or no node takes it:
 * a line, and nothing is remembered. */
#include "cmd/publish.h"

#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cmd/ask.h"
#include "cmd/keyfile.h"
#include "core/btpk.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/sign.h"
#include "dht/items.h"
#include "dht/search.h"

const char publish_usage[] =
	"usage: shoalctl [-m MOUNTPOINT] publish [--key FILE] [--salt TEXT]\n"
	"                [--json] TORRENT\n"
	"Signs that a key names TORRENT (a name in the mount, or an info-hash) "
	"from now\non, and puts that into the DHT; prints the link. Whoever "
	"follows the link gets\nthe next one that is published with the same "
	"key and salt.\n"
	"  --key FILE   the secret key (~/.config/shoalfs/key.pem); made if it "
	"is not there\n"
	"  --salt TEXT  one key can name many torrents, each under a text of "
	"its own\n"
	"  --json       as JSON\n";

enum { POLL_MS = 100, LOOK_S = 20, PUT_S = 30 };

struct publish {
	const char *mountpoint, *key_path, *torrent;
	bool as_json;
	char point[PATH_MAX];
	char why[WHY_BYTES];
	uint8_t seed[KEYFILE_SEED_BYTES];
	struct btpk btpk;
	struct info_hash hash;
	char name[BTPK_NAME_BYTES];
};

static int fail(struct publish *p, const char *why)
{
	if (why)
		(void)snprintf(p->why, sizeof(p->why), "%.200s", why);
	return EIO;
}

/* ---- the mount ---- */

/* Takes `request`. */
static int ask_it(struct publish *p, json_t *request, json_t **answer)
{
	if (!request)
		return fail(p, err_text(ENOMEM));
	return ask(p->point, request, answer, p->why);
}

static bool is_true(const json_t *j, const char *key)
{
	return json_is_true(json_object_get(j, key));
}

/* Ask of the key until what `busy` names is over. */
static int wait_for(struct publish *p, const char *busy, unsigned limit_s,
		    json_t **answer)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};

	for (unsigned i = 0; i < limit_s * 1000 / POLL_MS; i++) {
		int r = ask_it(
			p, json_pack("{ssss}", "verb", "key", "key", p->name),
			answer);

		if (r || !is_true(*answer, busy))
			return r;
		json_decref(*answer);
		(void)nanosleep(&pause, NULL);
	}
	*answer = NULL;
	return fail(p, "the mount does not get done with it");
}

/* The info-hash of a torrent of the mount. */
static int find_hash(struct publish *p, const char *name)
{
	json_t *answer, *t;
	const char *hex = NULL;
	size_t i;
	int r = ask_it(p, json_pack("{ss}", "verb", "ls"), &answer);

	if (r)
		return r;
	json_array_foreach(json_object_get(answer, "torrents"), i, t)
	{
		const char *its = json_string_value(json_object_get(t, "name"));

		if (its && strcmp(its, name) == 0)
			hex = json_string_value(
				json_object_get(t, "info_hash"));
	}
	r = !hex || info_hash_parse(&p->hash, hex, strlen(hex)) != 0 ? ENOENT
								     : 0;
	json_decref(answer);
	if (r)
		(void)snprintf(p->why, sizeof(p->why),
			       "%.200s: no torrent of the mount, and no "
			       "info-hash",
			       name);
	return r;
}

static int find_torrent(struct publish *p)
{
	char below[PATH_MAX], *slash;
	int r = ask_path(p->mountpoint, p->torrent, p->point, below, p->why);

	if (r)
		return r;
	slash = strchr(below, '/');
	if (slash)
		*slash = '\0';
	if (strspn(below, "0123456789abcdefABCDEF") == strlen(below) &&
	    info_hash_parse(&p->hash, below, strlen(below)) == 0)
		return 0;
	return find_hash(p, below);
}

/* ---- what is signed ---- */

/* Some nodes have what somebody else put at the same time. */
static bool is_contested(const json_t *known)
{
	return json_integer_value(json_object_get(known, "outdone")) > 0;
}

static int64_t next_seq(const struct publish *p, const json_t *known)
{
	const char *hex =
		json_string_value(json_object_get(known, "info_hash"));
	int64_t seq = json_integer_value(json_object_get(known, "seq"));
	int64_t now = clock_wall_s();
	char ours[TORRENT_HEX_BYTES];

	if (hex && !is_contested(known) &&
	    strcmp(hex, info_hash_hex(&p->hash, ours)) == 0)
		return seq;
	if (!is_true(known, "known") || seq < now)
		return now;
	return seq < INT64_MAX ? seq + 1 : seq;
}

static void write_hex(char *out, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static json_t *offer_of(struct publish *p, const json_t *known)
{
	uint8_t value[BTPK_VALUE_BYTES], key[SIGN_KEY_BYTES];
	uint8_t sig[SIGN_SIG_BYTES];
	char value_hex[2 * sizeof(value) + 1], sig_hex[2 * sizeof(sig) + 1];
	struct dht_item item = {
		.value = span_of(value, btpk_value_write(&p->hash, value)),
		.is_mutable = true,
		.seq = next_seq(p, known),
		.salt = span_of(p->btpk.salt, p->btpk.salt_len),
	};
	json_t *j;

	if (item_sign(&item, p->seed, key, sig) != 0)
		return NULL;
	write_hex(value_hex, value, item.value.len);
	write_hex(sig_hex, sig, sizeof(sig));
	j = json_pack("{sssssIssss}", "verb", "publish", "key", p->name, "seq",
		      (json_int_t)item.seq, "value", value_hex, "sig", sig_hex);
	if (j && is_true(known, "known"))
		(void)json_object_set(j, "cas", json_object_get(known, "seq"));
	return j;
}

/* ---- the way ---- */

static int look(struct publish *p, json_t **known)
{
	const char *error;
	int r = wait_for(p, "asking", LOOK_S, known);

	if (r)
		return r;
	error = json_string_value(json_object_get(*known, "look_error"));
	if (is_true(*known, "known") || !error ||
	    strcmp(error, "nobody in the DHT has it") == 0)
		return 0;
	r = fail(p, error);
	json_decref(*known);
	return r;
}

static int put(struct publish *p, const json_t *known, json_t **done)
{
	const char *error;
	json_t *answer;
	int r = ask_it(p, offer_of(p, known), &answer);

	if (r)
		return r;
	json_decref(answer);
	r = wait_for(p, "putting", PUT_S, done);
	if (r)
		return r;
	error = json_string_value(json_object_get(*done, "put_error"));
	if (!error)
		return 0;
	r = fail(p, error);
	json_decref(*done);
	return r;
}

static void tell(const struct publish *p, const json_t *done)
{
	if (p->as_json) {
		(void)json_dumpf(done, stdout, JSON_INDENT(2));
		(void)putchar('\n');
		return;
	}
	printf("%s\n", json_string_value(json_object_get(done, "magnet")));
	printf("%s/%s\n", p->point, p->name);
	fprintf(stderr,
		"seq %" JSON_INTEGER_FORMAT ", taken by %" JSON_INTEGER_FORMAT
		" nodes\n",
		json_integer_value(json_object_get(done, "seq")),
		json_integer_value(json_object_get(done, "stored")));
}

static int publish(struct publish *p)
{
	char place[PATH_MAX];
	json_t *known, *done;
	bool is_new;
	int r = find_torrent(p);

	if (!r && !p->key_path) {
		r = keyfile_place(place);
		if (r)
			return fail(p, "no place for the key: name one with "
				       "--key FILE");
		p->key_path = place;
	}
	if (!r)
		r = keyfile_open(p->key_path, p->seed, &is_new, p->why);
	if (!r)
		r = sign_key(p->seed, p->btpk.key);
	if (r)
		return r;
	if (is_new)
		fprintf(stderr, "shoalctl publish: a new key is in %s\n",
			p->key_path);
	(void)btpk_name(&p->btpk, p->name);
	r = look(p, &known);
	if (r)
		return r;
	r = put(p, known, &done);
	json_decref(known);
	if (r)
		return r;
	if (is_contested(done)) {
		known = done;
		r = put(p, known, &done);
		json_decref(known);
		if (r)
			return r;
	}
	tell(p, done);
	json_decref(done);
	return fflush(stdout) == 0 ? 0 : fail(p, err_text(errno));
}

static int misuse(const char *why, const char *word)
{
	fprintf(stderr, "shoalctl publish: %s%s; see -h\n", why, word);
	return 2;
}

static bool set_salt(struct publish *p, const char *text)
{
	size_t len = strlen(text);

	if (len > sizeof(p->btpk.salt))
		return false;
	memcpy(p->btpk.salt, text, len);
	p->btpk.salt_len = (uint8_t)len;
	return true;
}

int publish_run(const char *mountpoint, int argc, char **argv)
{
	static const struct option longs[] = {
		{"key", required_argument, NULL, 'k'},
		{"salt", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct publish p = {.mountpoint = mountpoint};
	int opt;

	opterr = 0;
	optind = 0;
	while ((opt = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
		switch (opt) {
		case 'k':
			p.key_path = optarg;
			break;
		case 's':
			if (!set_salt(&p, optarg))
				return misuse("a salt has at most 64 bytes",
					      "");
			break;
		case 'j':
			p.as_json = true;
			break;
		case 'h':
			(void)fputs(publish_usage, stdout);
			return 0;
		case ':':
			return misuse("it needs an argument: ",
				      argv[optind - 1]);
		default:
			return misuse("unknown option ", argv[optind - 1]);
		}
	}
	if (optind + 1 != argc)
		return misuse("it takes a TORRENT", "");
	p.torrent = argv[optind];
	if (publish(&p) == 0)
		return 0;
	fprintf(stderr, "shoalctl publish: %s\n",
		p.why[0] ? p.why : err_text(EIO));
	return 1;
}
