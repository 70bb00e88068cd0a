/* hash — SHA-1 and SHA-256 on OpenSSL's EVP.
 *
 * Purpose: to be the only caller of OpenSSL's digests, and to pay for their
 * set-up once. Looking a digest up by name and making a context costs more
 * than hashing a 16 KiB block, so a hasher fetches both digests and makes one
 * context for each; beginning again only resets it.
 *
 * Failure: everything that can fail fails in hasher_new. A reset, an update or
 * a final of a context that was set up cannot fail for lack of anything; if
 * OpenSSL says so all the same, the program ends, since going on would call
 * right bytes wrong or wrong bytes right.
 *
 * Threads: a hasher has no lock; each worker is born with its own. */
#include "core/hash.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "core/mem.h"

enum { N_ALGOS = 2 };

struct hasher {
	EVP_MD *md[N_ALGOS];
	EVP_MD_CTX *ctx[N_ALGOS];
	EVP_MD_CTX *now; /* between begin and end; else NULL */
};

static const char *const algo_name[N_ALGOS] = {
	[HASH_SHA1] = "SHA1",
	[HASH_SHA256] = "SHA256",
};

static void must(int ok)
{
	if (ok != 1)
		abort();
}

static int set_up(struct hasher *h, enum hash_algo algo)
{
	h->ctx[algo] = EVP_MD_CTX_new();
	if (h->ctx[algo] == NULL)
		return ENOMEM;
	h->md[algo] = EVP_MD_fetch(NULL, algo_name[algo], NULL);
	if (h->md[algo] == NULL)
		return EIO;
	if (EVP_DigestInit_ex2(h->ctx[algo], h->md[algo], NULL) != 1)
		return EIO;
	return 0;
}

int hasher_new(struct hasher **out)
{
	struct hasher *h = mem_new(struct hasher);
	int r;

	if (h == NULL)
		return ENOMEM;
	r = set_up(h, HASH_SHA1);
	if (r == 0)
		r = set_up(h, HASH_SHA256);
	if (r != 0)
		goto free_hasher;
	*out = h;
	return 0;

free_hasher:
	hasher_free(h);
	return r;
}

void hasher_free(struct hasher *h)
{
	if (h == NULL)
		return;
	for (int i = 0; i < N_ALGOS; i++) {
		EVP_MD_CTX_free(h->ctx[i]);
		EVP_MD_free(h->md[i]);
	}
	mem_free(h);
}

void hasher_begin(struct hasher *h, enum hash_algo algo)
{
	h->now = h->ctx[algo];
	/* No digest named: the context keeps the one it has. */
	must(EVP_DigestInit_ex2(h->now, NULL, NULL));
}

void hasher_add(struct hasher *h, const void *ptr, size_t len)
{
	assert(h->now != NULL);
	must(EVP_DigestUpdate(h->now, ptr, len));
}

void hasher_add_zeros(struct hasher *h, uint64_t len)
{
	static const uint8_t zeros[4096];

	while (len > 0) {
		size_t n = len < sizeof(zeros) ? (size_t)len : sizeof(zeros);

		hasher_add(h, zeros, n);
		len -= n;
	}
}

void hasher_end(struct hasher *h, uint8_t *out)
{
	assert(h->now != NULL);
	must(EVP_DigestFinal_ex(h->now, out, NULL));
	h->now = NULL;
}

void hasher_once(struct hasher *h, enum hash_algo algo, const void *ptr,
		 size_t len, uint8_t *out)
{
	hasher_begin(h, algo);
	hasher_add(h, ptr, len);
	hasher_end(h, out);
}
