/* mem — counted allocation; the only caller of malloc in the program.
 *
 * Thread: any. Every function may return NULL, and callers handle it: tests
 * make the n-th allocation fail until a scenario passes untouched. */
#ifndef SHOAL_CORE_MEM_H
#define SHOAL_CORE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* mem_alloc — `size` uninitialised bytes; gives. A size of 0 gives a valid
 * pointer. */
void *mem_alloc(size_t size);

/* mem_alloc_aligned — as mem_alloc, at a multiple of `align`, a power of two
 * not below sizeof(void *). mem_free frees it; mem_grow would lose the
 * alignment. */
void *mem_alloc_aligned(size_t align, size_t size);

/* mem_zalloc — `n` zeroed elements of `size` bytes; gives. NULL when n * size
 * overflows. */
void *mem_zalloc(size_t n, size_t size);

/* mem_new — one zeroed object of `type`. */
#define mem_new(type) ((type *)mem_zalloc(1, sizeof(type)))

/* mem_grow — `ptr` (or NULL) resized to `n` elements of `size` bytes, as
 * realloc; on NULL the old block is untouched. */
void *mem_grow(void *ptr, size_t n, size_t size);

/* mem_dup — a copy of `len` bytes, with a NUL after them; gives. */
void *mem_dup(const void *ptr, size_t len);

/* mem_strdup — a copy of a string; gives. */
char *mem_strdup(const char *s);

/* mem_free — free; NULL is fine. */
void mem_free(void *ptr);

/* mem_in_use_bytes — bytes allocated and not freed, as malloc counts them. */
uint64_t mem_in_use_bytes(void);

/* mem_fail_after — tests only: let `n` more allocations pass, then fail one
 * (and with `for_ever` all that follow). UINT64_MAX switches it off. */
void mem_fail_after(uint64_t n, int for_ever);

/* mem_has_failed — tests only: the allocation that mem_fail_after named last
 * has come, and failed. */
bool mem_has_failed(void);

#endif
