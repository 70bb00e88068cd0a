/* sign — Ed25519 signatures (RFC 8032) on OpenSSL's EVP. Pure; thread: any.
 *
 * A seed is the secret: 32 random bytes, of which the key pair follows. */
#ifndef SHOAL_CORE_SIGN_H
#define SHOAL_CORE_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SIGN_SEED_BYTES = 32, SIGN_KEY_BYTES = 32, SIGN_SIG_BYTES = 64 };

/* sign_key — the public key of a seed. 0, ENOMEM, or EIO when OpenSSL has no
 * Ed25519. */
int sign_key(const uint8_t seed[SIGN_SEED_BYTES], uint8_t key[SIGN_KEY_BYTES]);

/* sign_make — the signature of `len` bytes; the same input gives the same
 * signature. Errors as of sign_key. */
int sign_make(const uint8_t seed[SIGN_SEED_BYTES], const void *ptr, size_t len,
	      uint8_t sig[SIGN_SIG_BYTES]);

/* sign_is_right — whoever has the seed of `key` signed this. Any bytes may be
 * given as key and signature. Also false for want of memory. About 0.1 ms. */
bool sign_is_right(const uint8_t key[SIGN_KEY_BYTES], const void *ptr,
		   size_t len, const uint8_t sig[SIGN_SIG_BYTES]);

#endif
