/* mountlist — parsing mountinfo.
 *
 * A line: "36 35 98:0 /root /mount\040point ro,… shared:1 - fuse.shoalfs
 * source ro,…". The fields before " - " vary in number; space, tab, newline
 * and backslash in a path are octal escapes. A line that is not of this form,
 * or has a path too long for any path, is skipped: the kernel writes none. */
#include "fs/mountlist.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/err.h"
#include "fs/fs_limits.h"

int mountlist_read(int fd, struct buf *text)
{
	enum { STEP_BYTES = 64 << 10 };
	ssize_t n;

	buf_reset(text);
	if (lseek(fd, 0, SEEK_SET) != 0)
		return errno;
	do {
		uint8_t *room = buf_room(text, STEP_BYTES);

		if (room == NULL)
			return ENOMEM;
		if (text->len > MOUNTINFO_MAX_BYTES)
			return EFBIG;
		n = read(fd, room, STEP_BYTES);
		if (n > 0)
			buf_took(text, (size_t)n);
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0)
		return errno;
	return buf_cstr(text) != NULL ? 0 : ENOMEM;
}

static bool is_octal(const char *p)
{
	return p[0] >= '0' && p[0] <= '3' && p[1] >= '0' && p[1] <= '7' &&
	       p[2] >= '0' && p[2] <= '7';
}

/* A field that ends at a space, without its escapes. */
static bool unescape(const char *field, const char *end, char *out, size_t cap)
{
	size_t n = 0;

	while (field < end && *field != ' ') {
		int c = (unsigned char)*field++;

		if (c == '\\' && end - field >= 3 && is_octal(field)) {
			c = (field[0] - '0') * 64 + (field[1] - '0') * 8 +
			    (field[2] - '0');
			field += 3;
		}
		if (n + 1 == cap)
			return false;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return n > 0;
}

/* The start of the n-th field of a line (from 0), or NULL. */
static const char *nth_field(const char *line, const char *end, unsigned n)
{
	while (line != NULL && n-- > 0) {
		line = memchr(line, ' ', (size_t)(end - line));
		if (line != NULL)
			line++;
	}
	return line;
}

static bool parse_line(const char *line, const char *end,
		       struct mountlist_entry *out)
{
	const char *point, *dash;

	if (sscanf(line, "%*u %*u %u:%u", &out->major, &out->minor) != 2)
		return false;
	point = nth_field(line, end, 4);
	if (point == NULL ||
	    !unescape(point, end, out->point, sizeof(out->point)))
		return false;
	dash = memmem(point, (size_t)(end - point), " - ", 3);
	if (dash == NULL)
		return false;
	return unescape(dash + 3, end, out->type, sizeof(out->type));
}

bool mountlist_next(const char **at, struct mountlist_entry *out)
{
	while (**at != '\0') {
		const char *line = *at;
		const char *end = line + strcspn(line, "\n");

		*at = *end == '\n' ? end + 1 : end;
		if (parse_line(line, end, out))
			return true;
	}
	return false;
}
