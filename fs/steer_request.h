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
 *   {"verb": "verify", "path": PATH}    hash again what is held of it; a number
 *   {"verb": "verify", "round": N}      how far that is
 *   {"verb": "add", "magnet": LINK}     or an info-hash in hex; a link of a key
 *                                       is followed
 *   {"verb": "add", "metainfo_bytes": N}  a .torrent file: N bytes, which
 * follow the end of the line as they are
 *   {"verb": "add", …, "data": DIR}     with a descriptor of that directory,
 *                                       which comes along (SCM_RIGHTS)
 *   {"verb": "rm", "torrent": NAME}     or KEY
 *   {"verb": "limit"}                   which there are
 *   {"verb": "limit", "way": "down" or "up", "Bps": N}      N = 0: none
 *
 *   {"verb": "key", "key": KEY}         what it names, as far as that is known
 *   {"verb": "publish", "key": KEY, "seq": N, "value": HEX, "sig": HEX}
 *                                       put what was signed; with "cas": N if
 *                                       that is the seq there is
 *
 * KEY is a name as in the root (core/btpk.h). PATH is below the mount point,
 * elements joined by '/'. A key that the verb does not have is an error: it was
 * meant to say something. */
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
	STEER_VERIFY,
	STEER_LIMIT,
	STEER_ADD,
	STEER_RM,
	STEER_KEY,
	STEER_PUBLISH,
	STEER_VERBS,
};

enum { STEER_WHY_BYTES = 160 };

/* Strings point into `json`. */
struct steer_request {
	enum steer_verb verb;
	const char *path, *torrent; /* NULL: not for this verb */
	const char *magnet;	    /* add: this, or: */
	size_t file_len;	    /* so long a .torrent follows */
	uint8_t *file;		    /* … it; who takes it leaves NULL */
	const char *data;	    /* add; or NULL */
	int data_fd;		    /* the caller's: what came along, or -1 */
	bool has_rate, is_up;
	uint64_t Bps;
	const char *key, *value, *sig;
	int64_t seq, cas;
	bool has_cas;
	int64_t round; /* verify: 0: path */
	void *json;
};

/* steer_request_decode — the line without its end. 0; EBADMSG or ENOMEM, with a
 * line for a person in `why`; then there is nothing to free. Thread: any. */
int steer_request_decode(const char *line, size_t len,
			 struct steer_request *out, char why[STEER_WHY_BYTES]);
void steer_request_fini(struct steer_request *r);

#endif
