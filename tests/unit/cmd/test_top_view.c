/* test_top_view — what `shoalctl top` shows of a status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cmd/top_view.h"
#include "core/buf.h"

/* ---- Fixture: a status, and what is made of it ---- */

static const char mount[] =
	"'mountpoint': '/mnt/films', 'port': 6881, 'uptime_s': 3723, "
	"'asleep': 98";
static const char idle[] = "{'name': 'an idle one', 'state': 'ready', "
			   "'size_bytes': 1000, 'held_bytes': 1000}";
static const char busy[] =
	"{'name': 'films', 'state': 'ready', 'size_bytes': 4294967296, "
	"'held_bytes': 515396076, 'down_Bps': 1258291, 'up_Bps': 10, "
	"'peers_connected': 2, 'readers': 3, 'reads_waiting': 3, "
	"'peers': [{'chokes_us': true}, {'chokes_us': false}]}";
static const char reads[] =
	"{'path': 'films/b/c.mkv', 'torrent': 'films', 'waited_ms': 1200, "
	"'why': 'all 2 peers with piece 7 choke us'}, "
	"{'path': 'films/a.mkv', 'torrent': 'films', 'waited_ms': 100, "
	"'why': 'no peers'}, "
	"{'path': 'films/b/c.mkv', 'torrent': 'films', 'waited_ms': 3260, "
	"'why': 'all 2 peers with piece 7 choke us'}";

static char shown[4096];

/* `parts`: JSON with apostrophes for quotes. */
static const char *view(const char *torrents, const char *waits,
			unsigned columns, unsigned rows)
{
	char json[4096];
	struct buf out = {0};
	json_t *j;

	(void)snprintf(json, sizeof(json),
		       "{%s, 'torrents': [%s], 'reads': [%s]}", mount, torrents,
		       waits);
	for (char *p = json; *p != '\0'; p++)
		if (*p == '\'')
			*p = '"';
	j = json_loads(json, 0, NULL);
	assert_non_null(j);
	top_view(j, columns, rows, "\n", &out);
	json_decref(j);
	assert_int_equal(buf_err(&out), 0);
	assert_true(out.len < sizeof(shown));
	memcpy(shown, out.data, out.len);
	shown[out.len] = '\0';
	buf_fini(&out);
	return shown;
}

static const char *line_of(const char *text, unsigned ix)
{
	static char line[1024];

	while (ix-- > 0)
		text = strchr(text, '\n') + 1;
	(void)snprintf(line, sizeof(line), "%.*s", (int)strcspn(text, "\n"),
		       text);
	return line;
}

static unsigned count_lines(const char *text)
{
	unsigned n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

/* ---- Tests ---- */

/* The head sums up; the torrent that is waited for comes first, and below it,
 * once a reason, what its files wait for. */
static void shows_all(void **state)
{
	char torrents[1024];
	const char *s;

	(void)snprintf(torrents, sizeof(torrents), "%s, %s", idle, busy);
	s = view(torrents, reads, 80, TOP_ALL_ROWS);
	assert_string_equal(line_of(s, 0), "/mnt/films, port 6881, up 1:02:03");
	assert_string_equal(line_of(s, 1),
			    "down 1.2 MiB/s, up 10 B/s; 2 torrents in use, 98 "
			    "asleep; 3 reads wait");
	assert_string_equal(line_of(s, 3),
			    "NAME                                  HELD        "
			    "DOWN          UP  PEERS   OPEN");
	assert_string_equal(line_of(s, 4),
			    "films                       12% of 4.0 GiB   1.2 "
			    "MiB/s      10 B/s    1/2      3");
	assert_string_equal(line_of(s, 5),
			    "  b/c.mkv: 2 reads, for 3.2 s: all 2 peers with "
			    "piece 7 choke us");
	assert_string_equal(line_of(s, 6),
			    "  a.mkv: 1 read, for 0.1 s: no peers");
	assert_non_null(strstr(line_of(s, 7), "an idle one"));
	assert_int_equal(count_lines(s), 8);
}

/* No line is wider than the window, and there are no more than fit; what does
 * not is counted. */
static void fits_the_window(void **state)
{
	char torrents[4000];
	const char *s;

	(void)snprintf(torrents, sizeof(torrents), "%s, %s, %s", idle, busy,
		       idle);
	for (unsigned columns = TOP_COLUMNS_MIN; columns < 120; columns++) {
		for (unsigned rows = 1; rows < 12; rows++) {
			s = view(torrents, reads, columns, rows);
			assert_true(count_lines(s) <= rows);
			for (unsigned i = 0; i < count_lines(s); i++)
				assert_true(strlen(line_of(s, i)) <= columns);
		}
	}
	s = view(torrents, reads, 80, 6);
	assert_string_equal(line_of(s, 5), "and 2 more");
}

/* Where there is no window the names take what the longest needs, and what
 * reads wait for is whole. */
static void is_not_wider_than_needed(void **state)
{
	char torrents[1024];
	const char *s;

	(void)snprintf(torrents, sizeof(torrents), "%s, %s", idle, busy);
	s = view(torrents, reads, TOP_COLUMNS_MAX, TOP_ALL_ROWS);
	assert_int_equal(strlen(line_of(s, 3)), 80);
	assert_int_equal(strlen(line_of(s, 4)), 80);
	s = view("{'name': 'the \\u6771 one with a name that is long, long', "
		 "'size_bytes': 1}",
		 "", TOP_COLUMNS_MAX, TOP_ALL_ROWS);
	assert_int_equal(strlen(line_of(s, 3)), 40 + 1 + 58);
	assert_non_null(strstr(line_of(s, 4), "name that is long, long "));
}

/* What a terminal would obey is shown as a question mark; characters are cut
 * whole. */
static void is_only_text(void **state)
{
	const char *s = view("{'name': 'a\\u001b[2Jb\\u0085c\\u007f', "
			     "'size_bytes': 1}",
			     "", 80, TOP_ALL_ROWS);

	assert_memory_equal(line_of(s, 4), "a?[2Jb?c? ", 10);
	s = view("{'name': '\\u6771\\u4eac\\u6771\\u4eac\\u6771\\u4eac"
		 "\\u6771\\u4eac\\u6771\\u4eac\\u6771\\u4eac\\u6771', "
		 "'size_bytes': 1}",
		 "", TOP_COLUMNS_MIN, TOP_ALL_ROWS);
	assert_memory_equal(line_of(s, 4),
			    "\xe6\x9d\xb1\xe4\xba\xac\xe6\x9d\xb1\xe4\xba\xac"
			    "\xe6\x9d\xb1\xe4\xba\xac\xe6\x9d\xb1\xe4\xba\xac"
			    "\xe6\x9d\xb1\xe4\xba\xac\xe6\x9d\xb1 ",
			    34);
}

/* A link without metadata has no size, but a state; nothing at all is no error
 * either. */
static void knows_little(void **state)
{
	const char *s = view("{'name': 'x', 'state': 'waiting for metadata'}",
			     "", 80, TOP_ALL_ROWS);

	assert_non_null(strstr(line_of(s, 4), "waiting for metadata"));
	s = view("", "", 80, TOP_ALL_ROWS);
	assert_int_equal(count_lines(s), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shows_all),
		cmocka_unit_test(fits_the_window),
		cmocka_unit_test(is_not_wider_than_needed),
		cmocka_unit_test(is_only_text),
		cmocka_unit_test(knows_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
