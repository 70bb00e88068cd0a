/* steer_request — one line of the control socket, decoded. Pure.
 *
 * A request is one JSON object on one line:
 *
 *   {"verb": "ls"}                      every torrent, in a few figures
 *   {"verb": "status"}                  what status.json says
 *   {"verb": "why", "path": PATH}       what reads of it wait for
 *   {"verb": "peers", "torrent": NAME}  by its name in the root, or its hash
 *   {"verb": "pin", "path": PATH}       a directory: all files below it
 *   {"verb": "unpin", "path": PATH}
 *   {"verb": "limit"}                   which there are
 *   {"verb": "limit", "way": "down" or "up", "Bps": N}      N = 0: none
 *
 * PATH is below the mount point, elements joined by '/'. A key that the verb
 * does not have is an error: it was meant to say something. */
#ifndef SHOAL_FS_STEER_REQUEST_H
#define SHOAL_FS_STEER_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum steer_verb {
	STEER_LS,
	STEER_STATUS,
	STEER_WHY,
	STEER_PEERS,
	STEER_PIN,
	STEER_UNPIN,
	STEER_LIMIT,
	STEER_VERBS,
};

enum { STEER_WHY_BYTES = 160 };

/* Strings point into `json`. */
struct steer_request {
	enum steer_verb verb;
	const char *path, *torrent; /* NULL: not for this verb */
	bool has_rate, is_up;
	uint64_t Bps;
	void *json;
};

/* steer_request_decode — the line without its end. 0; EBADMSG, with a line for
 * a person in `why`; then there is nothing to free. */
int steer_request_decode(const char *line, size_t len,
			 struct steer_request *out, char why[STEER_WHY_BYTES]);
void steer_request_fini(struct steer_request *r);

#endif
