/* sign — Ed25519 on OpenSSL's EVP.
 *
 * Purpose: to be the only caller of OpenSSL's signatures. Ed25519 hashes the
 * message itself, so the one-shot calls are the only ones there are, and each
 * needs a context of its own: there is nothing worth keeping between two.
 *
 * Failure: making a signature says why it could not; checking one is false for
 * any reason, since an item that cannot be checked is not to be believed. */
#include "core/sign.h"

#include <openssl/evp.h>

#include "core/err.h"

static EVP_PKEY *secret_of(const uint8_t seed[SIGN_SEED_BYTES])
{
	return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed,
					    SIGN_SEED_BYTES);
}

int sign_key(const uint8_t seed[SIGN_SEED_BYTES], uint8_t key[SIGN_KEY_BYTES])
{
	EVP_PKEY *secret = secret_of(seed);
	size_t len = SIGN_KEY_BYTES;
	int ok;

	if (secret == NULL)
		return EIO;
	ok = EVP_PKEY_get_raw_public_key(secret, key, &len);
	EVP_PKEY_free(secret);
	return ok == 1 && len == SIGN_KEY_BYTES ? 0 : EIO;
}

int sign_make(const uint8_t seed[SIGN_SEED_BYTES], const void *ptr, size_t len,
	      uint8_t sig[SIGN_SIG_BYTES])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY *secret = secret_of(seed);
	size_t sig_len = SIGN_SIG_BYTES;
	int r = EIO;

	if (ctx == NULL)
		r = ENOMEM;
	else if (secret != NULL &&
		 EVP_DigestSignInit(ctx, NULL, NULL, NULL, secret) == 1 &&
		 EVP_DigestSign(ctx, sig, &sig_len, ptr, len) == 1 &&
		 sig_len == SIGN_SIG_BYTES)
		r = 0;
	EVP_PKEY_free(secret);
	EVP_MD_CTX_free(ctx);
	return r;
}

bool sign_is_right(const uint8_t key[SIGN_KEY_BYTES], const void *ptr,
		   size_t len, const uint8_t sig[SIGN_SIG_BYTES])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY *pub = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key,
						    SIGN_KEY_BYTES);
	bool is_right =
		ctx != NULL && pub != NULL &&
		EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pub) == 1 &&
		EVP_DigestVerify(ctx, sig, SIGN_SIG_BYTES, ptr, len) == 1;

	EVP_PKEY_free(pub);
	EVP_MD_CTX_free(ctx);
	return is_right;
}
