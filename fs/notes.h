/* notes — what a successor must know of a mount, in memory that outlives us: a
 * memfd that somebody else keeps open.
 *
 * It has the kernel's INIT, which is said once and never again, and every open
 * of a twin (fs/passthrough.h), since how the first one was answered binds all
 * others. A note is there before the kernel has the reply.
 *
 * Thread: loop; notes_can_resend: any. */
#ifndef SHOAL_FS_NOTES_H
#define SHOAL_FS_NOTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct notes;

enum { NOTES_INIT_MAX = 256, NOTES_NONE = -1 };

struct notes_open {
	uint64_t fh;	 /* never 0 */
	uint64_t number; /* of the node */
	int32_t id;	 /* of its blob in the kernel; 0: it is cached */
};

/* notes_new — `fd` (kept, not taken) is a memfd with the predecessor's notes or
 * nothing; -1: nobody will come after us. 0, or an errno; EPROTO: they are not
 * from a program like this. */
int notes_new(int fd, struct notes **out);
void notes_free(struct notes *n);

/* notes_init — the kernel's INIT, as it was noted; its length, or 0. Lends. */
size_t notes_init(const struct notes *n, const uint8_t **init);
void notes_set_init(struct notes *n, const uint8_t *init, size_t len);

/* notes_add — a place, or NOTES_NONE: there are NOTES_OPENS_MAX already. */
int32_t notes_add(struct notes *n, const struct notes_open *o);
void notes_del(struct notes *n, int32_t place);

/* notes_next — walk what is noted, from place 0 on: the place, or NOTES_NONE.*/
int32_t notes_next(const struct notes *n, int32_t from, struct notes_open *out);

/* notes_can_resend — does the kernel whose INIT is noted in `fd` know how to
 * send a request again to who comes next? */
bool notes_can_resend(int fd);

#endif
