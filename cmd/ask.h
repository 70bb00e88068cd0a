/* ask — one question to a running mount, over its control socket. */
#ifndef SHOAL_CMD_ASK_H
#define SHOAL_CMD_ASK_H

#include <jansson.h>
#include <limits.h>

#include "cmd/exits.h"
#include "core/span.h"

struct buf;

/* ask_mount — which mount a person means: `given` (-m), else the one that is
 * running. 0, with its path resolved; EINVAL, with a line in `why`. */
int ask_mount(const char *given, char point[PATH_MAX], char why[WHY_BYTES]);

/* ask_path — the mount in which `path` is, and the path below it, which need
 * not be there; a path that is in none is taken to be below the mount that
 * ask_mount finds. */
int ask_path(const char *given, const char *path, char point[PATH_MAX],
	     char below[PATH_MAX], char why[WHY_BYTES]);

/* ask — send `request` (taken), wait for the answer (given). 0 and an object
 * that says ok; EINVAL, with a line in `why`, when the mount does not answer
 * or refuses. */
int ask(const char *point, json_t *request, json_t **answer,
	char why[WHY_BYTES]);

/* What goes along with a request. */
struct ask_parcel {
	int fd;		   /* the mount gets a copy; -1: none */
	struct span bytes; /* behind the line, which has to announce them */
};

/* ask_with — the same, with something. */
int ask_with(const char *point, json_t *request, const struct ask_parcel *with,
	     json_t **answer, char why[WHY_BYTES]);

/* ask_over — the line of `request`, and what goes along, over a connected
 * socket, and the answer's into `out`. Between any two pieces of either no more
 * than a time may pass that grows with what is sent. 0 or an errno. */
int ask_over(int fd, const json_t *request, const struct ask_parcel *with,
	     struct buf *out);

#endif
