/* log — one line per fact.
 *
 * A line is put together in a buffer of its own thread's stack: prefix, text
 * with control bytes escaped, newline; at most LINE_BYTES, a longer one ends
 * in "...". It leaves in one write(2), so that lines of several threads and
 * of several processes on one terminal do not mix. Nothing is allocated: the
 * log must be able to say that memory has run out.
 *
 * Prefix: "<N>" when stderr is the journal's stream. JOURNAL_STREAM is passed
 * on to every child of a unit, terminals included; it counts only when it
 * names the very file that stderr is (systemd.exec(5)). Otherwise the
 * program's name, and the level's name where it matters.
 *
 * Escaped are C0, DEL, and C1 in its UTF-8 form: each could move a cursor or
 * end a line. All else passes, so that names stay readable.
 *
 * Failure modes: a line that cannot be written is lost; whom to tell? errno
 * is kept, so that a line may be logged between a failure and its reading.
 *
 * Threads: any. One mutex guards the sink and all token buckets; the level is
 * an atomic, because it is asked before each debug line. This state is the
 * process's own, as stderr is. */
#include "core/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "core/clock.h"

enum {
	LINE_BYTES = 1024, /* with the newline */
	TEXT_BYTES = 1024,
	JOURNAL_NAME_BYTES = 64,
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_int max_level = LOG_LEVEL_INFO;
static const char *program = "shoalfs";
static enum log_sink sink = LOG_SINK_STDERR;
static bool to_journal;

struct line {
	char text[LINE_BYTES + 1];
	size_t len;
	bool is_full;
};

/* ---- putting a line together ---- */

/* Appends all of `len` bytes or, when the "...\n" would not fit behind them,
 * nothing, and takes no more. */
static void add(struct line *line, const char *bytes, size_t len)
{
	const size_t tail = sizeof("...\n") - 1;

	if (line->is_full || line->len + len + tail > LINE_BYTES) {
		line->is_full = true;
		return;
	}
	for (size_t i = 0; i < len; i++)
		line->text[line->len++] = bytes[i];
}

static void add_str(struct line *line, const char *s)
{
	for (; *s != '\0'; s++)
		add(line, s, 1);
}

static bool is_control(const unsigned char *p)
{
	return p[0] < 0x20 || p[0] == 0x7f ||
	       (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f);
}

static void add_escaped(struct line *line, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	for (; *p != '\0'; p++) {
		char hex[8];
		int n;

		if (!is_control(p)) {
			add(line, (const char *)p, 1);
			continue;
		}
		n = snprintf(hex, sizeof(hex), "\\x%02x", p[0]);
		add(line, hex, (size_t)n);
		if (p[0] == 0xc2) {
			p++;
			n = snprintf(hex, sizeof(hex), "\\x%02x", p[0]);
			add(line, hex, (size_t)n);
		}
	}
}

static const char *level_prefix(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERR:
		return "error: ";
	case LOG_LEVEL_WARN:
		return "warning: ";
	case LOG_LEVEL_NOTICE:
	case LOG_LEVEL_INFO:
		return "";
	case LOG_LEVEL_DEBUG:
		return "debug: ";
	}
	return "";
}

/* mutex held */
static void add_prefix(struct line *line, enum log_level level)
{
	char number[16];

	if (sink == LOG_SINK_SYSLOG)
		return;
	if (to_journal) {
		snprintf(number, sizeof(number), "<%d>", (int)level);
		add_str(line, number);
		return;
	}
	add_str(line, program);
	add_str(line, ": ");
	add_str(line, level_prefix(level));
}

/* mutex held */
static void send_line(struct line *line, enum log_level level)
{
	ssize_t n;

	if (line->is_full)
		for (const char *p = "..."; *p != '\0'; p++)
			line->text[line->len++] = *p;
	if (sink == LOG_SINK_SYSLOG) {
		line->text[line->len] = '\0';
		syslog((int)level, "%s", line->text);
		return;
	}
	line->text[line->len++] = '\n';
	do
		n = write(STDERR_FILENO, line->text, line->len);
	while (n < 0 && errno == EINTR);
}

/* mutex held */
static void emit(enum log_level level, uint32_t n_dropped, const char *fmt,
		 va_list ap) __attribute__((format(printf, 3, 0)));

static void emit(enum log_level level, uint32_t n_dropped, const char *fmt,
		 va_list ap)
{
	struct line line = {.len = 0};
	char text[TEXT_BYTES];

	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		return;
	add_prefix(&line, level);
	if (n_dropped > 0) {
		char note[48];

		snprintf(note, sizeof(note), "(%lu like this not shown) ",
			 (unsigned long)n_dropped);
		add_str(&line, note);
	}
	add_escaped(&line, text);
	send_line(&line, level);
}

/* ---- the face ---- */

static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char name[JOURNAL_NAME_BYTES];
	struct stat st;

	if (stream == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	snprintf(name, sizeof(name), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	return strcmp(stream, name) == 0;
}

void log_open(const char *ident, enum log_sink to, enum log_level max)
{
	pthread_mutex_lock(&mutex);
	program = ident;
	sink = to;
	to_journal = to == LOG_SINK_STDERR && stderr_is_journal();
	if (to == LOG_SINK_SYSLOG)
		openlog(ident, LOG_PID | LOG_NDELAY, LOG_DAEMON);
	atomic_store_explicit(&max_level, (int)max, memory_order_relaxed);
	pthread_mutex_unlock(&mutex);
}

enum log_level log_max(void)
{
	return (enum log_level)atomic_load_explicit(&max_level,
						    memory_order_relaxed);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	if (level > log_max())
		return;
	va_start(ap, fmt);
	pthread_mutex_lock(&mutex);
	emit(level, 0, fmt, ap);
	pthread_mutex_unlock(&mutex);
	va_end(ap);
	errno = saved;
}

/* mutex held. One more line at `now_ms`: may it pass? */
static bool spend(struct log_limit *lim, uint64_t now_ms)
{
	uint64_t earned = lim->every_ms > 0
				  ? (now_ms - lim->last_ms) / lim->every_ms
				  : UINT32_MAX;

	if (earned >= lim->spent) {
		lim->spent = 0;
		lim->last_ms = now_ms;
	} else {
		lim->spent -= (uint32_t)earned;
		lim->last_ms += earned * lim->every_ms;
	}
	if (lim->spent >= lim->burst)
		return false;
	lim->spent++;
	return true;
}

void log_limited(struct log_limit *lim, enum log_level level, const char *fmt,
		 ...)
{
	int saved = errno;
	va_list ap;

	if (level > log_max())
		return;
	va_start(ap, fmt);
	pthread_mutex_lock(&mutex);
	if (spend(lim, clock_mono_us() / 1000)) {
		emit(level, lim->dropped, fmt, ap);
		lim->dropped = 0;
	} else {
		lim->dropped++;
	}
	pthread_mutex_unlock(&mutex);
	va_end(ap);
	errno = saved;
}
