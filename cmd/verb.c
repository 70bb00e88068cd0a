/* verb — what shoalctl asks a running mount, and how its answers are printed.
 *
 * A verb is a row of a table: how many words it takes, how a request is made of
 * them, how an answer is told to a person. `--json` prints the answer as it
 * came. What strangers wrote (peers' clients, trackers' reasons) was made
 * printable by the mount, or is reduced to ASCII here. */
#include "cmd/verb.h"

#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cmd/ask.h"
#include "cmd/options.h"
#include "core/btpk.h"
#include "core/err.h"

const char verb_usage[] =
	"       shoalctl [-m MOUNTPOINT] add [--data DIR] SOURCE... [--json]\n"
	"       shoalctl [-m MOUNTPOINT] rm TORRENT|btpk-KEY [--json]\n"
	"       shoalctl [-m MOUNTPOINT] ls [--json]\n"
	"       shoalctl [-m MOUNTPOINT] why PATH [--json]\n"
	"       shoalctl [-m MOUNTPOINT] peers TORRENT [--json]\n"
	"       shoalctl [-m MOUNTPOINT] pin|unpin PATH [--json]\n"
	"       shoalctl [-m MOUNTPOINT] verify [PATH] [--json]\n"
	"       shoalctl [-m MOUNTPOINT] limit [down|up RATE] [--json]\n";

struct question {
	const char *mountpoint; /* -m's */
	const char *const *words;
	unsigned n_words;
	char point[PATH_MAX];
	char why[WHY_BYTES];
};

/* ---- pieces of answers ---- */

static uint64_t number(const json_t *j, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(j, key));
}

/* Without what a terminal would obey. */
static void print_text(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	for (; s && *s; s++)
		(void)putchar((unsigned char)*s < ' ' || *s == 0x7f ? '?' : *s);
}

static const char *size_text(uint64_t bytes, char out[32])
{
	static const char units[] = "KMGTPE";
	double v = (double)bytes;
	int u = -1;

	for (; v >= 1024 && u < 5; u++)
		v /= 1024;
	if (u < 0)
		(void)snprintf(out, 32, "%" PRIu64 " B", bytes);
	else
		(void)snprintf(out, 32, "%.1f %ciB", v, units[u]);
	return out;
}

/* ---- requests ---- */

static json_t *plain(struct question *q, const char *verb)
{
	if (ask_mount(q->mountpoint, q->point, q->why) != 0)
		return NULL;
	return json_pack("{ss}", "verb", verb);
}

static json_t *of_path(struct question *q, const char *verb, const char *key)
{
	char below[PATH_MAX];
	json_t *j;

	if (ask_path(q->mountpoint, q->words[0], q->point, below, q->why) != 0)
		return NULL;
	j = json_pack("{ssss}", "verb", verb, key, below);
	if (!j)
		(void)snprintf(q->why, WHY_BYTES, "%.300s: not UTF-8",
			       q->words[0]);
	return j;
}

static json_t *make_ls(struct question *q)
{
	return plain(q, "ls");
}

static json_t *make_why(struct question *q)
{
	return of_path(q, "why", "path");
}

static json_t *make_pin(struct question *q)
{
	return of_path(q, "pin", "path");
}

static json_t *make_unpin(struct question *q)
{
	return of_path(q, "unpin", "path");
}

/* Without a path all that there is. */
static json_t *make_verify(struct question *q)
{
	json_t *j;

	if (q->n_words > 0)
		return of_path(q, "verify", "path");
	j = plain(q, "verify");
	if (j)
		(void)json_object_set_new(j, "path", json_string(""));
	return j;
}

/* A path in a torrent stands for the torrent. */
static json_t *make_peers(struct question *q)
{
	json_t *j = of_path(q, "peers", "torrent");
	const char *name = json_string_value(json_object_get(j, "torrent"));
	const char *slash = name ? strchr(name, '/') : NULL;

	if (slash)
		(void)json_object_set_new(
			j, "torrent",
			json_stringn(name, (size_t)(slash - name)));
	return j;
}

/* A key's link is meant itself, and not what it leads to. NULL, with nothing
 * in `why`: it is none. */
static json_t *of_link(struct question *q)
{
	const char *word = q->words[0], *slash = strrchr(word, '/');
	const char *name = slash ? slash + 1 : word;
	char dir[PATH_MAX], below[PATH_MAX];
	struct btpk b;
	int r;

	if (btpk_parse(&b, name) != 0)
		return NULL;
	(void)snprintf(dir, sizeof(dir), "%.*s", (int)(name - word), word);
	r = slash ? ask_path(q->mountpoint, dir, q->point, below, q->why)
		  : ask_mount(q->mountpoint, q->point, q->why);
	if (r == 0 && slash && below[0] != '\0') {
		(void)snprintf(q->why, WHY_BYTES,
			       "%.300s: links of keys are in the root", word);
		r = EINVAL;
	}
	return r == 0 ? json_pack("{ssss}", "verb", "rm", "torrent", name)
		      : NULL;
}

/* By its name, hash or directory. It goes as a whole: who names a part of it
 * wants something else. */
static json_t *make_rm(struct question *q)
{
	json_t *j = of_link(q);
	const char *name, *slash;

	if (j || q->why[0] != '\0')
		return j;
	j = of_path(q, "rm", "torrent");
	name = json_string_value(json_object_get(j, "torrent"));
	slash = name ? strchr(name, '/') : NULL;
	if (slash && slash[strspn(slash, "/")] != '\0') {
		(void)snprintf(q->why, WHY_BYTES,
			       "%.200s is a part of %.*s, which goes only as a "
			       "whole",
			       q->words[0], (int)(slash - name), name);
		json_decref(j);
		return NULL;
	}
	if (slash)
		(void)json_object_set_new(
			j, "torrent",
			json_stringn(name, (size_t)(slash - name)));
	return j;
}

static json_t *make_limit(struct question *q)
{
	json_t *j = plain(q, "limit");
	uint64_t Bps = 0;

	if (!j || q->n_words == 0)
		return j;
	if (strcmp(q->words[1], "none") != 0 &&
	    !options_size(q->words[1], &Bps)) {
		(void)snprintf(q->why, WHY_BYTES,
			       "%.300s is no rate: bytes a second, K or M, or "
			       "none",
			       q->words[1]);
		json_decref(j);
		return NULL;
	}
	(void)json_object_set_new(j, "way", json_string(q->words[0]));
	(void)json_object_set_new(j, "Bps", json_integer((json_int_t)Bps));
	return j;
}

/* ---- answers for people ---- */

static void tell_ls(const json_t *answer)
{
	char size[32], held[32], down[32], got[32], given[32];
	size_t i;
	json_t *t;

	printf("%10s %10s %5s %12s %10s %10s  %-9s NAME\n", "SIZE", "HELD",
	       "PEERS", "DOWN", "GOT", "GIVEN", "STATE");
	json_array_foreach(json_object_get(answer, "torrents"), i, t)
	{
		printf("%10s %10s %5" PRIu64 " %10s/s %10s %10s  ",
		       size_text(number(t, "size_bytes"), size),
		       size_text(number(t, "held_bytes"), held),
		       number(t, "peers_connected"),
		       size_text(number(t, "down_Bps"), down),
		       size_text(number(t, "total_down_bytes"), got),
		       size_text(number(t, "total_up_bytes"), given));
		printf("%-9s ", json_string_value(json_object_get(t, "state")));
		print_text(t, "name");
		(void)putchar('\n');
	}
}

static void tell_why(const json_t *answer)
{
	const json_t *reads = json_object_get(answer, "reads");
	size_t i;
	json_t *r;

	if (json_array_size(reads) == 0) {
		print_text(answer, "why");
		(void)putchar('\n');
	}
	json_array_foreach(reads, i, r)
	{
		print_text(r, "path");
		printf(": %" PRIu64 " bytes at %" PRIu64 ", for %.1f s: ",
		       number(r, "length"), number(r, "offset"),
		       (double)number(r, "waited_ms") / 1000);
		print_text(r, "why");
		(void)putchar('\n');
	}
}

static void tell_peers(const json_t *answer)
{
	char down[32], up[32];
	size_t i;
	json_t *p;

	json_array_foreach(json_object_get(answer, "peers"), i, p)
	{
		print_text(p, "addr");
		print_text(p, "url");
		(void)putchar(' ');
		print_text(p, "client");
		printf(": down %s/s, up %s/s, %" PRIu64 " pieces%s%s\n",
		       size_text(number(p, "down_Bps"), down),
		       size_text(number(p, "up_Bps"), up), number(p, "pieces"),
		       json_is_true(json_object_get(p, "chokes_us"))
			       ? ", chokes us"
			       : "",
		       json_is_true(json_object_get(p, "incoming"))
			       ? ", incoming"
			       : "");
	}
}

static void tell_files(const json_t *answer, const char *what)
{
	char size[32], held[32];
	uint64_t n = number(answer, "files");

	printf("%s %" PRIu64 " file%s: %s of %s held\n", what, n,
	       n == 1 ? "" : "s", size_text(number(answer, "held_bytes"), held),
	       size_text(number(answer, "size_bytes"), size));
}

static void tell_pin(const json_t *answer)
{
	tell_files(answer, "pinned");
}

static void tell_unpin(const json_t *answer)
{
	tell_files(answer, "unpinned");
}

static void tell_limit(const json_t *answer)
{
	static const char *const keys[] = {"down_Bps", "up_Bps"};
	char text[32];

	for (unsigned i = 0; i < 2; i++) {
		uint64_t Bps = number(answer, keys[i]);

		printf("%s %s%s\n", i == 0 ? "down" : "up",
		       Bps == 0 ? "none" : size_text(Bps, text),
		       Bps == 0 ? "" : "/s");
	}
}

static void tell_verify(const json_t *answer)
{
	uint64_t n = number(answer, "pieces"), bad = number(answer, "bad");
	char size[32];

	printf("verified %" PRIu64 " piece%s, %s: ", n, n == 1 ? "" : "s",
	       size_text(number(answer, "bytes"), size));
	if (bad == 0)
		printf("all right\n");
	else
		printf("%" PRIu64 " wrong, to be fetched anew\n", bad);
}

static void tell_rm(const json_t *answer)
{
	(void)fputs("removed ", stdout);
	print_text(answer, "torrent");
	(void)putchar('\n');
}

/* ---- the table ---- */

static const struct {
	const char *name;
	unsigned least, most; /* words */
	const char *words;
	json_t *(*make)(struct question *q);
	void (*tell)(const json_t *answer);
} verbs[] = {
	{"ls", 0, 0, "nothing", make_ls, tell_ls},
	{"why", 1, 1, "a PATH", make_why, tell_why},
	{"peers", 1, 1, "a TORRENT", make_peers, tell_peers},
	{"rm", 1, 1, "a TORRENT", make_rm, tell_rm},
	{"pin", 1, 1, "a PATH", make_pin, tell_pin},
	{"unpin", 1, 1, "a PATH", make_unpin, tell_unpin},
	{"verify", 0, 1, "at most one PATH", make_verify, tell_verify},
	{"limit", 0, 2, "down or up, and a RATE", make_limit, tell_limit},
};

enum { N_VERBS = sizeof(verbs) / sizeof(verbs[0]), WORDS_MAX = 3 };

/* What takes its time is asked about until it is done. */
static int ask_on(struct question *q, json_t **answer)
{
	const struct timespec pause = {.tv_nsec = 200000000};
	const json_t *done;
	json_t *request;
	int r = 0;

	while (r == 0 && json_object_get(*answer, "round") != NULL &&
	       !json_is_true(done = json_object_get(*answer, "done"))) {
		if (done)
			(void)nanosleep(&pause, NULL);
		request = json_pack("{sssI}", "verb", "verify", "round",
				    (json_int_t)number(*answer, "round"));
		json_decref(*answer);
		*answer = NULL;
		r = request ? ask(q->point, request, answer, q->why) : ENOMEM;
	}
	return r;
}

static int run(unsigned v, struct question *q, bool as_json)
{
	json_t *answer = NULL, *request = verbs[v].make(q);

	if (!request || ask(q->point, request, &answer, q->why) != 0 ||
	    ask_on(q, &answer) != 0) {
		fprintf(stderr, "shoalctl %s: %s\n", verbs[v].name,
			q->why[0] ? q->why : err_text(ENOMEM));
		return 1;
	}
	if (as_json) {
		(void)json_dumpf(answer, stdout, JSON_INDENT(2));
		(void)putchar('\n');
	} else {
		verbs[v].tell(answer);
	}
	json_decref(answer);
	return 0;
}

static int misuse(unsigned v)
{
	fprintf(stderr, "shoalctl: %s takes %s; see -h\n", verbs[v].name,
		verbs[v].words);
	return 2;
}

static int not_taken(unsigned v, const char *word)
{
	fprintf(stderr, "shoalctl: %s does not take %s; see -h\n",
		verbs[v].name, word);
	return 2;
}

/* A direction without a rate, or one that is none. */
static bool is_malformed(const char *verb, const struct question *q)
{
	return strcmp(verb, "limit") == 0 && q->n_words > 0 &&
	       (q->n_words != 2 || (strcmp(q->words[0], "down") != 0 &&
				    strcmp(q->words[0], "up") != 0));
}

int verb_run(const char *mountpoint, int argc, char **argv)
{
	const char *words[WORDS_MAX];
	struct question q = {.mountpoint = mountpoint, .words = words};
	bool as_json = false;
	unsigned v = 0;

	while (v < N_VERBS && strcmp(argv[0], verbs[v].name) != 0)
		v++;
	if (v == N_VERBS)
		return -1;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			as_json = true;
		else if (argv[i][0] == '-' && argv[i][1] == '-' &&
			 argv[i][2] == '\0' && i + 1 < argc &&
			 q.n_words < WORDS_MAX)
			words[q.n_words++] = argv[++i];
		else if (argv[i][0] == '-' && argv[i][1] != '\0')
			return not_taken(v, argv[i]);
		else if (q.n_words < WORDS_MAX)
			words[q.n_words++] = argv[i];
		else
			return misuse(v);
	}
	if (q.n_words < verbs[v].least || q.n_words > verbs[v].most ||
	    is_malformed(verbs[v].name, &q))
		return misuse(v);
	return run(v, &q, as_json);
}
