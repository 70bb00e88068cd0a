/* requestlimit — how old a request may become: three quarters of what makes the
 * kernel cut the connection; UINT64_MAX: it never does. Any thread. */
#ifndef SHOAL_FS_REQUESTLIMIT_H
#define SHOAL_FS_REQUESTLIMIT_H

#include <stdint.h>

uint64_t requestlimit_us(void);

#endif
