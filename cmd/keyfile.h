/* keyfile — an ed25519 secret in a file, as OpenSSL writes it: PEM of PKCS#8
 * (RFC 8410), so that `openssl pkey` reads it and `openssl genpkey` makes one.
 */
#ifndef SHOAL_CMD_KEYFILE_H
#define SHOAL_CMD_KEYFILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/exits.h"

enum { KEYFILE_SEED_BYTES = 32, KEYFILE_TEXT_BYTES = 128 };

/* keyfile_place — where the key is when nobody says where; its directory is
 * made. 0 or an errno. */
int keyfile_place(char path[PATH_MAX]);

/* keyfile_open — the secret in `path`; a file that is not there is made, with a
 * new one, for us alone (0600). 0; else an errno and a line in `why`: EACCES:
 * others may read it; EBADMSG: it is something else. */
int keyfile_open(const char *path, uint8_t seed[KEYFILE_SEED_BYTES],
		 bool *is_new, char why[WHY_BYTES]);

/* keyfile_read, keyfile_write — the text itself. False: it is something else.
 * Pure. */
bool keyfile_read(const char *text, size_t len,
		  uint8_t seed[KEYFILE_SEED_BYTES]);
size_t keyfile_write(const uint8_t seed[KEYFILE_SEED_BYTES],
		     char out[KEYFILE_TEXT_BYTES]);

#endif
