/* add — shoalctl add.
 *
 * One SOURCE after the other is read, checked and sent; those of a directory,
 * too, once: what comes into it later is for a mount that was started with it.
 * One that fails is a line and an exit code of 1; the others are added all the
 * same. */
#include "cmd/add.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cmd/ask.h"
#include "cmd/folder.h"
#include "cmd/source.h"
#include "core/base64.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/mem.h"

struct adding {
	char point[PATH_MAX];
	struct hasher *hasher;
	bool as_json;
	json_t *answers;
	unsigned n_failed;
};

static void complain(struct adding *a, const char *why)
{
	fprintf(stderr, "shoalctl add: %s\n", why);
	a->n_failed++;
}

static json_t *request_for(const struct library_source *src)
{
	char *text;
	json_t *j;

	if (src->magnet)
		return json_pack("{ssss%}", "verb", "add", "magnet",
				 (const char *)src->raw, src->raw_len);
	text = base64_encode(src->raw, src->raw_len);
	if (!text)
		return NULL;
	j = json_pack("{ssss}", "verb", "add", "metainfo", text);
	mem_free(text);
	return j;
}

static void tell(const json_t *answer)
{
	const char *s = json_string_value(json_object_get(answer, "torrent"));
	bool was = json_is_true(json_object_get(answer, "was_there"));

	(void)fputs(was ? "there already: " : "added ", stdout);
	for (; s && *s; s++)
		(void)putchar((unsigned char)*s < ' ' || *s == 0x7f ? '?' : *s);
	(void)putchar('\n');
}

static void add_one(void *arg, const char *text)
{
	struct adding *a = arg;
	struct library_source src = {0};
	char why[WHY_BYTES] = "";
	json_t *answer, *request = NULL;
	int r = source_load(text, a->hasher, &src, why);

	if (!r) {
		request = request_for(&src);
		r = request ? ask(a->point, request, &answer, why) : ENOMEM;
	}
	source_free(&src);
	if (r) {
		complain(a, why[0] ? why : err_text(r));
	} else if (a->as_json) {
		(void)json_array_append_new(a->answers, answer);
	} else {
		tell(answer);
		json_decref(answer);
	}
}

static void add_word(struct adding *a, const char *word)
{
	char why[WHY_BYTES] = "";

	if (!folder_is(word))
		add_one(a, word);
	else if (folder_each(word, add_one, a, why) != 0)
		complain(a, why);
}

int add_run(const char *mountpoint, int argc, char **argv)
{
	struct adding a = {0};
	char why[WHY_BYTES] = "";
	bool only_words = false;
	int n_words = 0;

	for (int i = 1; i < argc; i++) {
		if (!only_words && strcmp(argv[i], "--json") == 0)
			a.as_json = true;
		else if (!only_words && strcmp(argv[i], "--") == 0)
			only_words = true;
		else
			argv[n_words++] = argv[i];
	}
	if (n_words == 0)
		return -1;
	if (ask_mount(mountpoint, a.point, why) != 0 ||
	    hasher_new(&a.hasher) != 0) {
		complain(&a, why[0] ? why : err_text(ENOMEM));
		return 1;
	}
	a.answers = json_array();
	for (int i = 0; i < n_words; i++)
		add_word(&a, argv[i]);
	if (a.as_json) {
		(void)json_dumpf(a.answers, stdout, JSON_INDENT(2));
		(void)putchar('\n');
	}
	json_decref(a.answers);
	hasher_free(a.hasher);
	return fflush(stdout) == 0 && a.n_failed == 0 ? 0 : 1;
}
