/* hash — SHA-1 and SHA-256 on OpenSSL's EVP; the only home of <openssl/…>
 * digests. A hasher's contexts are made once and reused: EVP's own set-up
 * costs more than a 16 KiB block.
 *
 * Thread: a hasher belongs to one thread; workers are born with one. */
#ifndef SHOAL_CORE_HASH_H
#define SHOAL_CORE_HASH_H

#include <stddef.h>
#include <stdint.h>

enum hash_algo { HASH_SHA1, HASH_SHA256 };

enum { HASH_SHA1_BYTES = 20, HASH_SHA256_BYTES = 32 };

struct hasher;

/* hasher_new — 0, ENOMEM, or EIO when OpenSSL has no such digest. */
int hasher_new(struct hasher **out);
void hasher_free(struct hasher *h);

/* hasher_begin … hasher_add … hasher_end — `out` gets 20 or 32 bytes. */
void hasher_begin(struct hasher *h, enum hash_algo algo);
void hasher_add(struct hasher *h, const void *ptr, size_t len);
void hasher_end(struct hasher *h, uint8_t *out);

/* hasher_add_zeros — `len` of them. */
void hasher_add_zeros(struct hasher *h, uint64_t len);

/* hasher_once — the three in one. */
void hasher_once(struct hasher *h, enum hash_algo algo, const void *ptr,
		 size_t len, uint8_t *out);

#endif
