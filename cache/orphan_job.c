/* orphan_job — see orphan_job.h.
 *
 * Purpose: a file gets its row with the first commit of what is in it, so a
 * process that is killed, or loses power, between the first write and that
 * commit leaves a blob that nobody can use, and that no removal would find. So
 * does a torn end of the index's log. It costs a look at the index for each
 * name in files/, and is done behind such an end only, and not if the index was
 * made anew: of what lies there that does not know all.
 *
 * Threads: store. */
#include "cache/orphan_job.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/home_job.h"
#include "cache/index_job.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/worker.h"

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "<root>.<length>", its hash tree's name or its own; `path` gets the blob's.
 */
static bool parse(const char *name, uint8_t root[HASH_SHA256_BYTES],
		  uint64_t *bytes, char path[INDEX_PATH_BYTES])
{
	const char *at = name + 2 * HASH_SHA256_BYTES;
	char *end;

	if (strlen(name) <= 2 * HASH_SHA256_BYTES + 1 || *at != '.' ||
	    digit(at[1]) < 0)
		return false;
	for (unsigned i = 0; i < HASH_SHA256_BYTES; i++) {
		int hi = digit(name[2 * i]), lo = digit(name[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		root[i] = (uint8_t)(hi << 4 | lo);
	}
	*bytes = strtoull(at + 1, &end, 10);
	if (*end != '\0' && strcmp(end, HOME_TREE) != 0)
		return false;
	index_file_path(root, *bytes, path);
	return strncmp(path + strlen("files/"), name, (size_t)(end - name)) ==
	       0;
}

static void look(struct index_db *index, const struct home *home,
		 const char *name)
{
	uint8_t root[HASH_SHA256_BYTES];
	char path[INDEX_PATH_BYTES];
	uint64_t bytes;
	int64_t row;
	bool ignored;
	int err;

	if (!parse(name, root, &bytes, path) ||
	    index_job_find_file(index, root, bytes, 0, &row, &ignored) !=
		    ENOENT)
		return;
	err = home_job_remove(home, path);
	if (err != 0)
		log_debug("store: %s is nobody's and stays: %s", path,
			  err_text(err));
}

void orphan_job(struct index_db *index, const struct home *home)
{
	int fd =
		openat(home->files_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	ASSERT_WORKER();
	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL)
		look(index, home, e->d_name);
	closedir(d);
}
