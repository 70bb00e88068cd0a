/* mem — counted allocation.
 *
 * Purpose: one door to the heap, so that the program can say what it uses
 * (`mem_in_use_bytes`, shown in the status files) and so that tests can make
 * the n-th allocation fail.
 *
 * How: the count is what malloc_usable_size reports, so no header is put
 * before a block and a pointer from libc that was meant for free (none of
 * ours is) would still be freed rightly. Sizes of 0 are made 1, since what
 * libc does with 0 is its own choice.
 *
 * Failure: NULL, nothing else. The fail hook is compiled in always: it costs
 * one relaxed load, and the binary that is tested is the one that is shipped.
 *
 * Threads: any. Count and hook are the process's own, as the heap is; both
 * are atomics, and neither orders anything else. */
#include "core/mem.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static atomic_uint_fast64_t in_use_bytes;

/* Allocations that may still pass; UINT64_MAX: all. */
static atomic_uint_fast64_t fail_in = UINT64_MAX;
static atomic_bool fail_for_ever;
static atomic_bool has_failed;

static bool must_fail(void)
{
	uint_fast64_t left =
		atomic_load_explicit(&fail_in, memory_order_relaxed);

	while (left != UINT64_MAX) {
		uint_fast64_t then = left - 1;

		if (left == 0)
			then = atomic_load(&fail_for_ever) ? 0 : UINT64_MAX;
		if (!atomic_compare_exchange_weak(&fail_in, &left, then))
			continue;
		if (left == 0)
			atomic_store(&has_failed, true);
		return left == 0;
	}
	return false;
}

static void *count_in(void *ptr)
{
	if (ptr != NULL)
		atomic_fetch_add_explicit(&in_use_bytes,
					  malloc_usable_size(ptr),
					  memory_order_relaxed);
	return ptr;
}

void *mem_alloc(size_t size)
{
	if (must_fail())
		return NULL;
	return count_in(malloc(size != 0 ? size : 1));
}

void *mem_alloc_aligned(size_t align, size_t size)
{
	void *ptr;

	if (must_fail())
		return NULL;
	if (posix_memalign(&ptr, align, size != 0 ? size : 1) != 0)
		return NULL;
	return count_in(ptr);
}

void *mem_zalloc(size_t n, size_t size)
{
	size_t bytes;

	if (must_fail() || __builtin_mul_overflow(n, size, &bytes))
		return NULL;
	return count_in(calloc(1, bytes != 0 ? bytes : 1));
}

void *mem_grow(void *ptr, size_t n, size_t size)
{
	size_t bytes, before;
	void *grown;

	if (must_fail() || __builtin_mul_overflow(n, size, &bytes))
		return NULL;
	before = ptr != NULL ? malloc_usable_size(ptr) : 0;
	grown = realloc(ptr, bytes != 0 ? bytes : 1);
	if (grown == NULL)
		return NULL;
	atomic_fetch_sub_explicit(&in_use_bytes, before, memory_order_relaxed);
	return count_in(grown);
}

void *mem_dup(const void *ptr, size_t len)
{
	char *copy;

	if (len == SIZE_MAX)
		return NULL;
	copy = mem_alloc(len + 1);
	if (copy == NULL)
		return NULL;
	if (len != 0)
		memcpy(copy, ptr, len);
	copy[len] = '\0';
	return copy;
}

char *mem_strdup(const char *s)
{
	return mem_dup(s, strlen(s));
}

void mem_free(void *ptr)
{
	if (ptr == NULL)
		return;
	atomic_fetch_sub_explicit(&in_use_bytes, malloc_usable_size(ptr),
				  memory_order_relaxed);
	free(ptr);
}

uint64_t mem_in_use_bytes(void)
{
	return atomic_load_explicit(&in_use_bytes, memory_order_relaxed);
}

void mem_fail_after(uint64_t n, int for_ever)
{
	atomic_store(&has_failed, false);
	atomic_store(&fail_for_ever, for_ever != 0);
	atomic_store(&fail_in, n);
}

bool mem_has_failed(void)
{
	return atomic_load(&has_failed);
}
