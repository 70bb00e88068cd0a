/* log — one line per fact, to stderr or syslog; at most 1 KiB of it.
 *
 * When stderr is the journal's (JOURNAL_STREAM names it) each line begins with
 * its priority as "<N>", as sd-daemon(3) has it. What a stranger can cause is
 * at most DEBUG, or goes through log_limited. Control bytes in a message are
 * written as \xNN: names come from the network.
 *
 * Thread: any; the one mutex beside worker.c's is here. The log is the one
 * module with state of its own, so that an essay-less assert can speak. */
#ifndef SHOAL_CORE_LOG_H
#define SHOAL_CORE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level { /* syslog's numbers */
		 LOG_LEVEL_ERR = 3,
		 LOG_LEVEL_WARN = 4,
		 LOG_LEVEL_NOTICE = 5,
		 LOG_LEVEL_INFO = 6,
		 LOG_LEVEL_DEBUG = 7,
};

enum log_sink { LOG_SINK_STDERR, LOG_SINK_SYSLOG };

/* log_open — set the sink and what is dropped. `ident` is kept. */
void log_open(const char *ident, enum log_sink sink, enum log_level max);
enum log_level log_max(void);

void log_line(enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#define log_err(...)	log_line(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warn(...)	log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_notice(...) log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)	log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                          \
	do {                                                    \
		if (log_max() >= LOG_LEVEL_DEBUG)               \
			log_line(LOG_LEVEL_DEBUG, __VA_ARGS__); \
	} while (0)

/* A token bucket for one kind of line: at most `burst` lines, then one each
 * `every_ms`; the next line that passes says how many were dropped. */
struct log_limit {
	uint32_t burst;
	uint32_t every_ms;
	/* log.c's own */
	uint64_t last_ms;
	uint32_t spent;
	uint32_t dropped;
};

#define LOG_LIMIT(burst_, every_ms_) \
	((struct log_limit){.burst = (burst_), .every_ms = (every_ms_)})

void log_limited(struct log_limit *lim, enum log_level level, const char *fmt,
		 ...) __attribute__((format(printf, 3, 4)));

#endif
