/* place — where a mount keeps what it needs on disk when nobody says where, and
 * where it must not.
 *
 * Names are mount points with '%' for '/'. A directory's has to be a file name
 * (255 bytes), a socket's has to fit into its address (108 bytes, of which
 * steer_addr needs some): a longer one is the SHA-1 of the mount point instead.
 */
#include "cmd/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"
#include "core/hash.h"

enum { SOCKET_NAME_MAX = 80 };

static void escape(const char *mountpoint, char *out)
{
	for (; *mountpoint; mountpoint++)
		*out++ = *mountpoint == '/' ? '%' : *mountpoint;
	*out = '\0';
}

static int hash_name(const char *mountpoint, char *out)
{
	uint8_t digest[HASH_SHA1_BYTES];
	struct hasher *h;
	int r = hasher_new(&h);

	if (r)
		return r;
	hasher_once(h, HASH_SHA1, mountpoint, strlen(mountpoint), digest);
	hasher_free(h);
	for (unsigned i = 0; i < HASH_SHA1_BYTES; i++)
		(void)snprintf(out + 2 * (size_t)i, 3, "%02x", digest[i]);
	return 0;
}

int place_store(const char *mountpoint, char path[PATH_MAX])
{
	const char *data = getenv("XDG_DATA_HOME");
	const char *home = getenv("HOME");
	int n;

	if (data && data[0] == '/')
		n = snprintf(path, PATH_MAX, "%s/shoalfs/", data);
	else if (home && home[0] == '/')
		n = snprintf(path, PATH_MAX, "%s/.local/share/shoalfs/", home);
	else
		return ENOENT;
	if (n < 0 || n + NAME_MAX >= PATH_MAX)
		return ENAMETOOLONG;
	if (strlen(mountpoint) > NAME_MAX)
		return hash_name(mountpoint, path + n);
	escape(mountpoint, path + n);
	return 0;
}

int place_control(const char *mountpoint, char dir[PATH_MAX],
		  char name[NAME_MAX + 1])
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	int n;

	if (run && run[0] == '/')
		n = snprintf(dir, PATH_MAX, "%s/shoalfs", run);
	else if (geteuid() == 0)
		n = snprintf(dir, PATH_MAX, "/run/shoalfs");
	else
		return ENOENT;
	if (n < 0 || n >= PATH_MAX)
		return ENAMETOOLONG;
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return errno;
	if (strlen(mountpoint) > SOCKET_NAME_MAX)
		return hash_name(mountpoint, name);
	escape(mountpoint, name);
	return 0;
}

bool place_is_in(const char *path, const char *dir)
{
	char at[PATH_MAX], real[PATH_MAX];
	size_t len = strlen(dir);
	char *slash;

	if (snprintf(at, sizeof(at), "%s", path) >= PATH_MAX)
		return false;
	while (!realpath(at, real)) {
		slash = strrchr(at, '/');
		if (errno != ENOENT || !slash || slash == at)
			return false;
		*slash = '\0';
	}
	return strncmp(real, dir, len) == 0 &&
	       (real[len] == '/' || real[len] == '\0' || len == 1);
}
