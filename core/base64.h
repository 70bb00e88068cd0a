/* base64 — bytes as text (RFC 4648, 4, with padding). Pure. */
#ifndef SHOAL_CORE_BASE64_H
#define SHOAL_CORE_BASE64_H

#include <stddef.h>
#include <stdint.h>

/* base64_encode — gives a string; NULL: ENOMEM. */
char *base64_encode(const void *bytes, size_t len);

/* base64_decode — gives. 0; EBADMSG: no such text; ENOMEM. */
int base64_decode(const char *text, size_t len, uint8_t **out, size_t *out_len);

#endif
