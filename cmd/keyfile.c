/* keyfile — a secret key in a file.
 *
 * RFC 8410's PrivateKeyInfo of an ed25519 key is sixteen bytes that are always
 * the same and the seed; in base64 that is one line of 64 characters. Nothing
 * else is taken, so that no DER has to be parsed.
 *
 * A new file is written under its own name, which is taken by O_EXCL: of two
 * that come at once, one finds the other's. One that could not be written whole
 * is removed. */
#include "cmd/keyfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"
#include "core/rng.h"

enum { DER_BYTES = 48, FILE_MAX = 4096 };

static const uint8_t der_head[] = {
	0x30, 0x2e,		      /* a sequence of 46 bytes */
	0x02, 0x01, 0x00,	      /* version 0 */
	0x30, 0x05,		      /* the algorithm: */
	0x06, 0x03, 0x2b, 0x65, 0x70, /* 1.3.101.112, Ed25519 */
	0x04, 0x22, 0x04, 0x20,	      /* the key, in two octet strings */
};
_Static_assert(sizeof(der_head) + KEYFILE_SEED_BYTES == DER_BYTES, "all");

static const char begin_line[] = "-----BEGIN PRIVATE KEY-----\n";
static const char end_line[] = "-----END PRIVATE KEY-----\n";
static const char digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* ---- text ---- */

size_t keyfile_write(const uint8_t seed[KEYFILE_SEED_BYTES],
		     char out[KEYFILE_TEXT_BYTES])
{
	uint8_t der[DER_BYTES];
	char line[DER_BYTES / 3 * 4 + 1];
	size_t n = 0;

	memcpy(der, der_head, sizeof(der_head));
	memcpy(der + sizeof(der_head), seed, KEYFILE_SEED_BYTES);
	for (size_t i = 0; i < sizeof(der); i += 3) {
		uint32_t three = (uint32_t)der[i] << 16 |
				 (uint32_t)der[i + 1] << 8 | der[i + 2];

		for (int shift = 18; shift >= 0; shift -= 6)
			line[n++] = digits[three >> shift & 63];
	}
	line[n] = '\0';
	return (size_t)snprintf(out, KEYFILE_TEXT_BYTES, "%s%s\n%s", begin_line,
				line, end_line);
}

/* A line of DER_BYTES in base64. */
static bool read_line(const char *text, uint8_t der[DER_BYTES])
{
	for (size_t i = 0; i < DER_BYTES; i += 3) {
		uint32_t three = 0;

		for (int k = 0; k < 4; k++) {
			const char *at = *text ? strchr(digits, *text) : NULL;

			if (!at)
				return false;
			text++;
			three = three << 6 | (uint32_t)(at - digits);
		}
		der[i] = (uint8_t)(three >> 16);
		der[i + 1] = (uint8_t)(three >> 8);
		der[i + 2] = (uint8_t)three;
	}
	return text[0] == '\n' || text[0] == '\r';
}

bool keyfile_read(const char *text, size_t len,
		  uint8_t seed[KEYFILE_SEED_BYTES])
{
	char copy[FILE_MAX + 1];
	uint8_t der[DER_BYTES];
	const char *at;

	if (len > FILE_MAX)
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	at = strstr(copy, "-----BEGIN PRIVATE KEY-----");
	at = at ? strchr(at, '\n') : NULL;
	if (!at || !read_line(at + 1, der) ||
	    memcmp(der, der_head, sizeof(der_head)) != 0)
		return false;
	memcpy(seed, der + sizeof(der_head), KEYFILE_SEED_BYTES);
	return true;
}

/* ---- files ---- */

int keyfile_place(char path[PATH_MAX])
{
	const char *config = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	char dir[PATH_MAX - 16];
	int n;

	if (config && config[0] == '/')
		n = snprintf(dir, sizeof(dir), "%s/shoalfs", config);
	else if (home && home[0] == '/')
		n = snprintf(dir, sizeof(dir), "%s/.config/shoalfs", home);
	else
		return ENOENT;
	if (n < 0 || (size_t)n >= sizeof(dir))
		return ENAMETOOLONG;
	for (char *slash = dir + 1; slash; slash = strchr(slash + 1, '/')) {
		char kept = *slash;

		if (slash == dir + 1)
			continue;
		*slash = '\0';
		if (mkdir(dir, 0700) != 0 && errno != EEXIST)
			return errno;
		*slash = kept;
	}
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return errno;
	(void)snprintf(path, PATH_MAX, "%s/key.pem", dir);
	return 0;
}

static int refuse(char why[WHY_BYTES], const char *path, int err,
		  const char *reason)
{
	(void)snprintf(why, WHY_BYTES, "%.160s: %s", path, reason);
	return err;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		text += n;
		len -= (size_t)n;
	}
	return fsync(fd) == 0 ? 0 : errno;
}

static int make(const char *path, int fd, uint8_t seed[KEYFILE_SEED_BYTES],
		char why[WHY_BYTES])
{
	char text[KEYFILE_TEXT_BYTES];
	int r;

	rng_bytes(seed, KEYFILE_SEED_BYTES);
	r = write_all(fd, text, keyfile_write(seed, text));
	if (!r)
		return 0;
	(void)unlink(path);
	return refuse(why, path, r, err_text(r));
}

static int load(const char *path, int fd, uint8_t seed[KEYFILE_SEED_BYTES],
		char why[WHY_BYTES])
{
	char text[FILE_MAX];
	struct stat sb;
	ssize_t n;

	if (fstat(fd, &sb) != 0)
		return refuse(why, path, errno, err_text(errno));
	if (!S_ISREG(sb.st_mode))
		return refuse(why, path, EBADMSG, "not a file");
	if (sb.st_mode & 077)
		return refuse(why, path, EACCES,
			      "a secret key that others may read; chmod 600");
	do {
		n = read(fd, text, sizeof(text));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return refuse(why, path, errno, err_text(errno));
	if (!keyfile_read(text, (size_t)n, seed))
		return refuse(why, path, EBADMSG,
			      "not an ed25519 secret key in PEM (openssl "
			      "genpkey -algorithm ed25519)");
	return 0;
}

int keyfile_open(const char *path, uint8_t seed[KEYFILE_SEED_BYTES],
		 bool *is_new, char why[WHY_BYTES])
{
	int r, fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	*is_new = fd >= 0;
	if (fd < 0 && errno == EEXIST)
		fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return refuse(why, path, errno, err_text(errno));
	r = *is_new ? make(path, fd, seed, why) : load(path, fd, seed, why);
	(void)close(fd);
	return r;
}
