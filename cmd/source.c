/* source — .torrent files, their addresses, and magnet links.
 *
 * A word that begins like a magnet link or an address is one, and the name that
 * a key has in a mount is its link; everything else
 * is the path of a file. The file is read whole, up to METAINFO_MAX_BYTES, and
 * must be a regular file: a fifo or a device would hang a mount. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/fetch.h"
#include "cmd/source.h"
#include "core/btpk.h"
#include "core/core_limits.h"
#include "core/err.h"
#include "core/magnet.h"
#include "core/mem.h"

static int read_all(int fd, uint8_t *data, size_t len, size_t *got)
{
	ssize_t n;

	for (*got = 0; *got < len; *got += (size_t)n) {
		n = read(fd, data + *got, len - *got);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			return errno;
		else if (n == 0)
			break;
	}
	return 0;
}

static int slurp(const char *path, uint8_t **data, size_t *len)
{
	struct stat st;
	int fd, r;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return errno;
	if (fstat(fd, &st) != 0)
		r = errno;
	else if (S_ISDIR(st.st_mode))
		r = EISDIR;
	else if (!S_ISREG(st.st_mode))
		r = EINVAL;
	else if (st.st_size > METAINFO_MAX_BYTES)
		r = EFBIG;
	else
		r = 0;
	if (r)
		goto close_fd;
	*data = mem_alloc((size_t)st.st_size + 1);
	if (!*data) {
		r = ENOMEM;
		goto close_fd;
	}
	r = read_all(fd, *data, (size_t)st.st_size, len);
	if (r)
		mem_free(*data);
close_fd:
	(void)close(fd);
	return r;
}

static int load_magnet(const char *text, struct library_source *out,
		       char why[WHY_BYTES])
{
	struct mi_error err = {.text = "out of memory"};
	int r = magnet_parse(text, &out->magnet, &err);

	if (r)
		(void)snprintf(why, WHY_BYTES, "magnet link: %s", err.text);
	if (!r) {
		out->raw = mem_dup(text, strlen(text));
		out->raw_len = strlen(text);
		r = out->raw ? 0 : ENOMEM;
	}
	return r == ENOMEM ? r : r ? EINVAL : 0;
}

static int read_bytes(const char *path, uint8_t **data, size_t *len,
		      char why[WHY_BYTES])
{
	int r;

	if (fetch_is(path))
		return fetch_bytes(path, data, len, why);
	r = slurp(path, data, len);
	if (r)
		(void)snprintf(why, WHY_BYTES, "%.160s: %s", path, err_text(r));
	return r == EINVAL ? EBADMSG : r;
}

static int load_file(const char *path, struct hasher *h,
		     struct library_source *out, char why[WHY_BYTES])
{
	struct mi_error err = {.text = "out of memory"};
	uint8_t *data = NULL;
	size_t len = 0;
	int r = read_bytes(path, &data, &len, why);

	if (r)
		return r;
	r = metainfo_make(&data, len, h, &out->mi, &err);
	if (r)
		(void)snprintf(why, WHY_BYTES, "%.90s: not a valid torrent: %s",
			       path, err.text);
	mem_free(data);
	return r;
}

int source_of_hash(const struct info_hash *hash, struct library_source *out)
{
	struct magnet *m = mem_new(struct magnet);

	if (!m)
		return ENOMEM;
	*(hash->len == HASH_SHA256_BYTES ? &m->id.v2 : &m->id.v1) = *hash;
	out->magnet = m;
	out->raw = (uint8_t *)magnet_format(&m->id, NULL, NULL, 0, NULL, 0);
	if (!out->raw)
		return ENOMEM;
	out->raw_len = strlen((const char *)out->raw);
	return 0;
}

int source_load(const char *text, struct hasher *h, struct library_source *out,
		char why[WHY_BYTES])
{
	char link[BTPK_MAGNET_BYTES];
	struct info_hash hash;
	struct btpk key;

	memset(out, 0, sizeof(*out));
	if (info_hash_parse(&hash, text, strlen(text)) == 0)
		return source_of_hash(&hash, out);
	if (text[0] == '\0') {
		(void)snprintf(why, WHY_BYTES, "an empty SOURCE");
		return EINVAL;
	}
	if (btpk_parse(&key, text) == 0)
		return load_magnet(btpk_magnet(&key, link), out, why);
	if (magnet_is(text))
		return load_magnet(text, out, why);
	return load_file(text, h, out, why);
}

void source_free(struct library_source *src)
{
	metainfo_free(src->mi);
	magnet_free(src->magnet);
	mem_free(src->raw);
	memset(src, 0, sizeof(*src));
}
