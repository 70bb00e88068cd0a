/* add — shoalctl add.
 *
 * One SOURCE after the other is read, checked and sent; those of a directory,
 * too, once: what comes into it later is for a mount that was started with it.
 * One that fails is a line and an exit code of 1; the others are added all the
 * same.
 *
 * With --data a directory comes along in which files of theirs lie. It is
 * opened here, with the rights of who asks, and the mount gets the descriptor
 * (cmd/door.c). Whether there is anything of the torrent in it is looked at
 * here, where somebody reads the answer; of a link that is not known. */
#include "cmd/add.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/lend_path.h"
#include "cache/path_job.h"
#include "cmd/ask.h"
#include "cmd/folder.h"
#include "cmd/source.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/mem.h"
#include "core/metainfo.h"

struct adding {
	char point[PATH_MAX];
	char data[PATH_MAX]; /* --data, resolved */
	int data_fd;	     /* -1: there is none */
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
	if (src->magnet)
		return json_pack("{ssss%}", "verb", "add", "magnet",
				 (const char *)src->raw, src->raw_len);
	return json_pack("{sssI}", "verb", "add", "metainfo_bytes",
			 (json_int_t)src->mi->file.len);
}

/* ---- the user's files ---- */

static bool open_data(struct adding *a, const char *dir)
{
	struct stat data, point;

	if (realpath(dir, a->data))
		a->data_fd = open(a->data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (a->data_fd < 0) {
		fprintf(stderr, "shoalctl add: %s: %s\n", dir, err_text(errno));
		return false;
	}
	if (fstat(a->data_fd, &data) == 0 && stat(a->point, &point) == 0 &&
	    data.st_dev == point.st_dev) {
		fprintf(stderr, "shoalctl add: %s is in the mount itself\n",
			dir);
		return false;
	}
	return true;
}

static unsigned count_files(const struct adding *a, const struct metainfo *mi,
			    uint32_t skip, unsigned *all)
{
	unsigned n = 0;

	*all = 0;
	for (uint32_t i = 0; i < mi->n_files; i++) {
		char *path = lend_path(mi, i);
		struct stat sb;

		if (!path)
			continue;
		++*all;
		n += path_job_stat(a->data_fd, path + skip, &sb) == 0 &&
		     S_ISREG(sb.st_mode) &&
		     (uint64_t)sb.st_size == mi->files[i].len_bytes;
		mem_free(path);
	}
	return n;
}

/* How many of its files are there; 0: refused. */
static unsigned look_at_data(const struct adding *a, const struct metainfo *mi,
			     unsigned *all, char why[WHY_BYTES])
{
	uint32_t top = lend_top_bytes(mi);
	unsigned n = count_files(a, mi, 0, all);
	unsigned m = top > 0 ? count_files(a, mi, top, all) : 0;

	n = n > m ? n : m;
	if (n == 0)
		(void)snprintf(why, WHY_BYTES,
			       "%.200s has no file of %.100s that is as long "
			       "as it must be",
			       a->data, mi->name);
	return n;
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

static int send_one(struct adding *a, const struct library_source *src,
		    json_t **answer, char why[WHY_BYTES])
{
	struct ask_parcel with = {.fd = a->data_fd};
	json_t *request = request_for(src);

	if (src->mi)
		with.bytes = src->mi->file;
	if (request && a->data_fd >= 0 &&
	    json_object_set_new(request, "data", json_string(a->data)) != 0) {
		(void)snprintf(why, WHY_BYTES, "%.300s: its name is not UTF-8",
			       a->data);
		json_decref(request);
		return EINVAL;
	}
	return request ? ask_with(a->point, request, &with, answer, why)
		       : ENOMEM;
}

static void add_one(void *arg, const char *text)
{
	struct adding *a = arg;
	struct library_source src = {0};
	char why[WHY_BYTES] = "";
	unsigned n = 0, all = 0;
	json_t *answer;
	int r = source_load(text, a->hasher, &src, why);

	if (!r && a->data_fd >= 0 && src.mi) {
		n = look_at_data(a, src.mi, &all, why);
		r = n == 0 ? ENOENT : 0;
	}
	if (!r)
		r = send_one(a, &src, &answer, why);
	source_free(&src);
	if (r) {
		complain(a, why[0] ? why : err_text(r));
		return;
	}
	if (n > 0) {
		(void)json_object_set_new(answer, "data_files",
					  json_integer(n));
		(void)json_object_set_new(answer, "files", json_integer(all));
	}
	if (a->as_json) {
		(void)json_array_append_new(a->answers, answer);
		return;
	}
	tell(answer);
	if (n > 0)
		printf("%u of %u file%s lie%s in %s, and are hashed now\n", n,
		       all, all == 1 ? "" : "s", n == 1 ? "s" : "", a->data);
	json_decref(answer);
}

static void add_word(struct adding *a, const char *word)
{
	char why[WHY_BYTES] = "";

	if (!folder_is(word))
		add_one(a, word);
	else if (folder_each(word, add_one, a, why) != 0)
		complain(a, why);
}

static int not_taken(const char *word, bool is_last)
{
	if (is_last && strcmp(word, "--data") == 0)
		fprintf(stderr, "shoalctl: --data needs a DIR; see -h\n");
	else
		fprintf(stderr, "shoalctl: add does not take %s; see -h\n",
			word);
	return 2;
}

int add_run(const char *mountpoint, int argc, char **argv)
{
	struct adding a = {.data_fd = -1};
	char why[WHY_BYTES] = "";
	const char *data = NULL;
	bool only_words = false;
	int n_words = 0;

	for (int i = 1; i < argc; i++) {
		if (!only_words && strcmp(argv[i], "--json") == 0)
			a.as_json = true;
		else if (!only_words && strcmp(argv[i], "--data") == 0 &&
			 i + 1 < argc)
			data = argv[++i];
		else if (!only_words && strncmp(argv[i], "--data=", 7) == 0)
			data = argv[i] + 7;
		else if (!only_words && strcmp(argv[i], "--") == 0)
			only_words = true;
		else if (!only_words && argv[i][0] == '-' && argv[i][1])
			return not_taken(argv[i], i + 1 == argc);
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
	if (data && !open_data(&a, data)) {
		hasher_free(a.hasher);
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
	if (a.data_fd >= 0)
		(void)close(a.data_fd);
	return a.n_failed == 0 ? 0 : 1;
}
