/* name — the one place where a stranger's name becomes a file name.
 *
 * Used for every source of metadata: .torrent files, ut_metadata, magnets,
 * the store's own records. Pure; idempotent. */
#ifndef SHOAL_CORE_NAME_H
#define SHOAL_CORE_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NAME_BUF_BYTES = 256 };

/* name_clean — `out` gets one valid path component: non-empty, valid UTF-8,
 * at most NAME_MAX_BYTES bytes (an extension of up to 10 bytes survives the
 * cut), without '/', NUL, C0, DEL or C1 (each becomes '_'), without bidi and
 * zero-width characters (dropped), never "." or "..". Invalid or overlong
 * UTF-8 becomes '_'. An empty result is "_". */
void name_clean(const void *raw, size_t len, char out[NAME_BUF_BYTES]);

/* name_suffix — "stem.ext" → "stem.N.ext", cut so that it still fits. */
void name_suffix(char name[NAME_BUF_BYTES], uint32_t n);

/* name_is_skipped — the element is ".", ".." or empty before cleaning:
 * path elements of that kind are left out rather than renamed. */
bool name_is_skipped(const void *raw, size_t len);

#endif
