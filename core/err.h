/* err — the one error currency: 0 or a positive errno value.
 *
 * Nothing returns -1, nothing returns -errno. What the values mean here:
 *
 *   ENOENT     not held, not known, no such name
 *   EAGAIN     would have to wait; ask the asynchronous way
 *   EBADMSG    malformed input, or bytes that do not match their hash
 *   EPROTO     a peer or server broke the rules
 *   EFBIG      larger than a named limit allows
 *   ETIMEDOUT  a deadline passed
 *   ESTALE     the torrent was closed
 *   ESHUTDOWN  the program is ending
 *   EIO        the store failed
 *   ENOMEM     no memory, or a cap on memory was reached */
#ifndef SHOAL_CORE_ERR_H
#define SHOAL_CORE_ERR_H

#include <errno.h>

/* err_text — a short English text for `err`. Lends a string constant or a
 * thread-local buffer, valid until the next call on the same thread. */
const char *err_text(int err);

#endif
