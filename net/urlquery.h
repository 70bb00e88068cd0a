/* urlquery — the query of a stranger's URL: what we put into it, and what it
 * may not have of its own. Pure. */
#ifndef SHOAL_NET_URLQUERY_H
#define SHOAL_NET_URLQUERY_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

/* urlquery_escape — the bytes with all but the unreserved characters
 * percent-encoded (RFC 3986), so that nothing in them has a meaning. */
void urlquery_escape(struct buf *out, const void *ptr, size_t len);

/* urlquery_is_there — '?' comes before any '#'. */
bool urlquery_is_there(const char *url);

/* urlquery_has — the query has a field of one of these names, which are in
 * lower case: in any case, percent-encoded or not. */
bool urlquery_has(const char *url, const char *const *words, size_t n_words);

/* urlquery_begin — the URL without its fragment, up to where a field can be
 * added. */
void urlquery_begin(struct buf *out, const char *url);

#endif
