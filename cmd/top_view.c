/* top_view — see top_view.h.
 *
 *   MOUNTPOINT, port 6881, up 1:02:03
 *   down 1.2 MiB/s, up 0 B/s; 2 torrents in use, 98 asleep; 1 read waits
 *
 *   NAME                       HELD            DOWN        UP  PEERS   OPEN
 *   some film             12% of 4.1 GiB  1.2 MiB/s     0 B/s   3/12      1
 *     film.mkv: 4096 bytes at 0, for 3.2 s: none of 3 connected peers has …
 *
 * The name takes what the figures leave, but beyond 80 columns no more than the
 * longest one needs: in a pipe there is no window. PEERS are those who let us
 * ask, and all that are connected; OPEN its open files. Several reads of a file
 * that wait for the same are one line, with the oldest. Everything that is
 * printed goes through one function, which counts characters and lets nothing
 * pass that a terminal would obey. */
#include "cmd/top_view.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/mem.h"

enum {
	FIGURES_COLUMNS = 58,
	NAME_MIN = 12,
	NAME_USUAL = 80 - FIGURES_COLUMNS,
	LINE_BYTES = 1024,
};

struct view {
	struct buf *out;
	const char *eol;
	unsigned columns, rows; /* rows: those that are left */
	unsigned longest;	/* name */
};

static uint64_t number(const json_t *j, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(j, key));
}

static const char *text(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s != NULL ? s : "";
}

/* U+0080 … U+009F are commands, too: C2 80 … C2 9F. */
static bool is_command(const char *s)
{
	uint8_t c = (uint8_t)s[0], next = c != 0 ? (uint8_t)s[1] : 0;

	return c < ' ' || c == 0x7f ||
	       (c == 0xc2 && next >= 0x80 && next <= 0x9f);
}

/* Whole characters of `s`, at most `columns`; how many. */
static unsigned add_text(struct view *v, const char *s, unsigned columns)
{
	unsigned n = 0;

	while (*s != '\0' && n < columns) {
		bool is_bad = is_command(s);

		if (is_bad)
			buf_add_u8(v->out, '?');
		else
			buf_add_u8(v->out, (uint8_t)*s);
		s++;
		while (((uint8_t)*s & 0xc0) == 0x80) {
			if (!is_bad)
				buf_add_u8(v->out, (uint8_t)*s);
			s++;
		}
		n++;
	}
	return n;
}

static void end_line(struct view *v)
{
	buf_add_str(v->out, v->eol);
	v->rows--;
}

__attribute__((format(printf, 2, 3))) static void line(struct view *v,
						       const char *fmt, ...)
{
	char s[LINE_BYTES];
	va_list args;

	if (v->rows == 0)
		return;
	va_start(args, fmt);
	(void)vsnprintf(s, sizeof(s), fmt, args);
	va_end(args);
	(void)add_text(v, s, v->columns);
	end_line(v);
}

static const char *size(uint64_t bytes, char out[24])
{
	static const char units[] = "KMGTPE";
	double x = (double)bytes;
	int u = -1;

	for (; x >= 1024 && u < 5; u++)
		x /= 1024;
	if (u < 0)
		(void)snprintf(out, 24, "%" PRIu64 " B", bytes);
	else
		(void)snprintf(out, 24, "%.1f %ciB", x, units[u]);
	return out;
}

/* ---- the head ---- */

static void head(struct view *v, const json_t *status, json_t *const *torrents,
		 size_t n)
{
	uint64_t s = number(status, "uptime_s"), down = 0, up = 0;
	size_t n_reads = json_array_size(json_object_get(status, "reads"));
	char d[24], u[24];

	for (size_t i = 0; i < n; i++) {
		down += number(torrents[i], "down_Bps");
		up += number(torrents[i], "up_Bps");
	}
	line(v, "%s, port %" PRIu64 ", up %" PRIu64 ":%02u:%02u",
	     text(status, "mountpoint"), number(status, "port"), s / 3600,
	     (unsigned)(s / 60 % 60), (unsigned)(s % 60));
	line(v,
	     "down %s/s, up %s/s; %zu torrent%s in use, %" PRIu64
	     " asleep; %zu read%s",
	     size(down, d), size(up, u), n, n == 1 ? "" : "s",
	     number(status, "asleep"), n_reads,
	     n_reads == 1 ? " waits" : "s wait");
	line(v, "%s", "");
}

/* ---- torrents ---- */

static unsigned name_columns(const struct view *v)
{
	unsigned need = v->longest < NAME_USUAL ? NAME_USUAL : v->longest + 1;
	unsigned room = v->columns > FIGURES_COLUMNS + NAME_MIN
				? v->columns - FIGURES_COLUMNS
				: NAME_MIN;

	return room < need ? room : need;
}

static unsigned count_characters(const char *s)
{
	unsigned n = 0;

	for (; *s != '\0'; s++)
		n += ((uint8_t)*s & 0xc0) != 0x80;
	return n;
}

static void title(struct view *v)
{
	if (v->rows > 0)
		line(v, "%-*s%20s%12s%12s%7s%7s", (int)name_columns(v), "NAME",
		     "HELD", "DOWN", "UP", "PEERS", "OPEN");
}

static void figures(struct view *v, const json_t *t, unsigned columns)
{
	uint64_t all = number(t, "size_bytes"), held = number(t, "held_bytes");
	unsigned unchoked = 0;
	char s[24], d[24], u[24], got[48], row[LINE_BYTES], peers[24];
	json_t *p;
	size_t i;

	json_array_foreach(json_object_get(t, "peers"), i, p) unchoked +=
		!json_is_true(json_object_get(p, "chokes_us"));
	(void)snprintf(got, sizeof(got), "%u%% of %s",
		       all == 0 ? 0
				: (unsigned)((double)held * 100 / (double)all),
		       size(all, s));
	if (all == 0)
		(void)snprintf(got, sizeof(got), "%.20s", text(t, "state"));
	(void)snprintf(peers, sizeof(peers), "%u/%" PRIu64, unchoked,
		       number(t, "peers_connected"));
	(void)snprintf(row, sizeof(row), "%20s%10s/s%10s/s%7s%7" PRIu64, got,
		       size(number(t, "down_Bps"), d),
		       size(number(t, "up_Bps"), u), peers,
		       number(t, "readers"));
	(void)add_text(v, row, columns);
}

static void one_torrent(struct view *v, const json_t *t)
{
	unsigned room = name_columns(v), n;

	if (v->rows == 0)
		return;
	n = add_text(v, text(t, "name"), room - 1);
	for (; n < room; n++)
		buf_add_u8(v->out, ' ');
	figures(v, t, v->columns > room ? v->columns - room : 0);
	end_line(v);
}

/* ---- what reads wait for ---- */

static bool is_same_wait(const json_t *a, const json_t *b)
{
	return strcmp(text(a, "path"), text(b, "path")) == 0 &&
	       strcmp(text(a, "why"), text(b, "why")) == 0;
}

static void one_wait(struct view *v, const json_t *reads, size_t at)
{
	const json_t *first = json_array_get(reads, at), *r;
	const char *path = text(first, "path"), *slash = strchr(path, '/');
	uint64_t waited = 0;
	unsigned n = 0;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)reads, i, r)
	{
		if (!is_same_wait(first, r))
			continue;
		if (i < at)
			return; /* it was shown with that one */
		if (number(r, "waited_ms") > waited)
			waited = number(r, "waited_ms");
		n++;
	}
	line(v, "  %s: %u read%s, for %" PRIu64 ".%u s: %s",
	     slash != NULL ? slash + 1 : path, n, n == 1 ? "" : "s",
	     waited / 1000, (unsigned)(waited / 100 % 10), text(first, "why"));
}

static void waits_of(struct view *v, const json_t *status, const json_t *t)
{
	const json_t *reads = json_object_get(status, "reads"), *r;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)reads, i,
			   r) if (v->rows > 0 && strcmp(text(r, "torrent"),
							text(t, "name")) == 0)
		one_wait(v, reads, i);
}

/* ---- all of it ---- */

static uint64_t weight(const json_t *t)
{
	return (number(t, "reads_waiting") << 48) + number(t, "down_Bps") +
	       number(t, "up_Bps");
}

static int by_weight(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	uint64_t wx = weight(x), wy = weight(y);

	if (wx != wy)
		return wx < wy ? 1 : -1;
	return strcmp(text(x, "name"), text(y, "name"));
}

static void body(struct view *v, const json_t *status, json_t *const *torrents,
		 size_t n)
{
	title(v);
	for (size_t i = 0; i < n; i++) {
		/* The last row says that there are more. */
		if (v->rows == 1 && i + 1 < n) {
			line(v, "and %zu more", n - i);
			return;
		}
		one_torrent(v, torrents[i]);
		if (v->rows > 1)
			waits_of(v, status, torrents[i]);
	}
}

void top_view(const json_t *status, unsigned columns, unsigned rows,
	      const char *eol, struct buf *out)
{
	const json_t *list = json_object_get(status, "torrents");
	size_t n = json_array_size(list);
	json_t **torrents = mem_alloc((n + 1) * sizeof(*torrents));
	struct view v = {.out = out, .eol = eol, .rows = rows};

	v.columns = columns < TOP_COLUMNS_MIN	? TOP_COLUMNS_MIN
		    : columns > TOP_COLUMNS_MAX ? TOP_COLUMNS_MAX
						: columns;
	if (torrents == NULL) {
		line(&v, "out of memory");
		return;
	}
	for (size_t i = 0; i < n; i++) {
		unsigned len;

		torrents[i] = json_array_get(list, i);
		len = count_characters(text(torrents[i], "name"));
		if (len > v.longest)
			v.longest = len;
	}
	qsort(torrents, n, sizeof(*torrents), by_weight);
	head(&v, status, torrents, n);
	body(&v, status, torrents, n);
	mem_free(torrents);
}
