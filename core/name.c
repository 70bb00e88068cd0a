/* name — the sanitiser.
 *
 * Purpose: whatever bytes a stranger calls a name, out comes one component of
 * a path that is safe to list, to print on a terminal, and to create.
 *
 * How: the input is read one code point at a time and judged by itself, so a
 * character that is dropped can never make its neighbours into something
 * new. The output buffer takes the first NAME_MAX_BYTES; the last bytes are
 * also kept in a small window, because the extension of a name that must be
 * cut is found only at its end. The input may be megabytes long.
 *
 * Invariants: the output is valid UTF-8, 1 … NAME_MAX_BYTES bytes, and
 * cleaning it again changes nothing.
 *
 * Not here: uniqueness within a directory (metainfo_paths.c), and Unicode
 * normalisation: on Linux two spellings of é are two names. */
#include "core/name.h"

#include <stdio.h>
#include <string.h>

#include "core/core_limits.h"

enum {
	EXT_MAX_BYTES = 1 + 10, /* a dot and what follows it */
	TAIL_BYTES = EXT_MAX_BYTES,
};

#define CODE_BAD UINT32_MAX

/* What has been cleaned so far. */
struct sink {
	char *out;
	size_t len;   /* in out; a code point that does not fit whole is out */
	bool is_full; /* a code point did not fit */
	char tail[TAIL_BYTES]; /* the last bytes of everything */
	size_t n_tail;
};

/* One code point at `p`: its value, CODE_BAD when it is not valid UTF-8, and
 * in *used how many bytes to step over (1 when bad). `left` is at least 1. */
static uint32_t read_code(const uint8_t *p, size_t left, size_t *used)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t code;
	size_t n;

	*used = 1;
	if (p[0] < 0x80)
		return p[0];
	if ((p[0] & 0xe0) == 0xc0)
		n = 2;
	else if ((p[0] & 0xf0) == 0xe0)
		n = 3;
	else if ((p[0] & 0xf8) == 0xf0)
		n = 4;
	else
		return CODE_BAD;
	if (n > left)
		return CODE_BAD;

	code = p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return CODE_BAD;
		code = code << 6 | (p[i] & 0x3fu);
	}
	/* Overlong forms, the surrogates of UTF-16, beyond Unicode. */
	if (code < smallest[n] || (code >= 0xd800 && code <= 0xdfff) ||
	    code > 0x10ffff)
		return CODE_BAD;
	*used = n;
	return code;
}

static bool is_forbidden(uint32_t code)
{
	return code == CODE_BAD || code < 0x20 || code == '/' ||
	       (code >= 0x7f && code <= 0x9f);
}

/* Characters that have no shape of their own and can make a name look like
 * another: directional marks, zero-width spaces and joiners. */
static bool is_invisible(uint32_t code)
{
	return code == 0x061c || (code >= 0x200b && code <= 0x200f) ||
	       (code >= 0x202a && code <= 0x202e) ||
	       (code >= 0x2060 && code <= 0x2064) ||
	       (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

static void sink_add(struct sink *s, const char *p, size_t n)
{
	size_t drop =
		s->n_tail + n > TAIL_BYTES ? s->n_tail + n - TAIL_BYTES : 0;

	memmove(s->tail, s->tail + drop, s->n_tail - drop);
	s->n_tail -= drop;
	memcpy(s->tail + s->n_tail, p, n);
	s->n_tail += n;

	if (s->is_full || s->len + n > NAME_MAX_BYTES) {
		s->is_full = true;
		return;
	}
	memcpy(s->out + s->len, p, n);
	s->len += n;
}

/* The longest length <= max that cuts no code point of the valid `s`. */
static size_t cut_length(const char *s, size_t len, size_t max)
{
	if (len <= max)
		return len;
	while (max > 0 && ((uint8_t)s[max] & 0xc0) == 0x80)
		max--;
	return max;
}

/* The extension with its dot, at most EXT_MAX_BYTES; "" when there is none. */
static const char *find_extension(const char *s, size_t len)
{
	for (size_t n = 2; n <= EXT_MAX_BYTES && n <= len; n++)
		if (s[len - n] == '.')
			return s + len - n;
	return s + len;
}

/* The name was too long: its extension takes the place of the stem's end. */
static void sink_cut(struct sink *s)
{
	char tail[TAIL_BYTES + 1];
	const char *ext;
	size_t n_ext;
	size_t stem;

	memcpy(tail, s->tail, s->n_tail);
	tail[s->n_tail] = '\0';
	ext = find_extension(tail, s->n_tail);
	n_ext = strlen(ext);
	stem = cut_length(s->out, s->len, NAME_MAX_BYTES - n_ext);
	memcpy(s->out + stem, ext, n_ext);
	s->len = stem + n_ext;
}

/* Nothing to change, and nothing to cut: most names. */
static bool is_plain(const uint8_t *p, size_t len)
{
	if (len > NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < len; i++)
		if (p[i] < 0x20 || p[i] >= 0x7f || p[i] == '/')
			return false;
	return true;
}

void name_clean(const void *raw, size_t len, char out[NAME_BUF_BYTES])
{
	const uint8_t *p = raw;
	struct sink s = {.out = out};
	size_t at = 0, used;

	if (len > 0 && is_plain(p, len)) {
		memcpy(out, p, len);
		s.len = at = len;
	}
	for (; at < len; at += used) {
		uint32_t code = read_code(p + at, len - at, &used);

		if (is_forbidden(code))
			sink_add(&s, "_", 1);
		else if (!is_invisible(code))
			sink_add(&s, (const char *)p + at, used);
	}
	if (s.is_full)
		sink_cut(&s);
	out[s.len] = '\0';
	/* Also when a dropped character stood between the dots. */
	if (s.len == 0 || strcmp(out, ".") == 0 || strcmp(out, "..") == 0)
		memcpy(out, "_", 2);
}

void name_suffix(char name[NAME_BUF_BYTES], uint32_t n)
{
	char ext[EXT_MAX_BYTES + 1];
	char number[sizeof(".4294967295")];
	size_t len = strlen(name);
	const char *dot = find_extension(name, len);
	size_t n_ext;
	size_t n_number;
	size_t stem;

	if (dot == name) /* ".profile" is a stem, not an extension */
		dot = name + len;
	n_ext = len - (size_t)(dot - name);
	memcpy(ext, dot, n_ext + 1);
	n_number = (size_t)snprintf(number, sizeof(number), ".%u", n);
	stem = cut_length(name, len - n_ext, NAME_MAX_BYTES - n_ext - n_number);
	memcpy(name + stem, number, n_number);
	memcpy(name + stem + n_number, ext, n_ext + 1);
}

bool name_is_skipped(const void *raw, size_t len)
{
	return len == 0 || (len == 1 && memcmp(raw, ".", 1) == 0) ||
	       (len == 2 && memcmp(raw, "..", 2) == 0);
}
