/* ceiling_fetch — what the parts of the ceiling share: see ceiling_fetch.c. */
#ifndef CEILING_FETCH_H
#define CEILING_FETCH_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

enum { BLOCK = 16 << 10 };

/* The one file. */
extern int blob;
extern uint64_t size;
extern unsigned piece_bytes, n_pieces, n_blocks, n_bufs;

extern pthread_mutex_t lock;
extern pthread_cond_t changed;
/* Under the lock. Pieces: all below `freed` have given up their buffers, all
 * below `written` are in the file, all below `verified` are right, all below
 * `come` are whole. `begun`: it has been told to begin. */
extern unsigned freed, written, verified, come;
extern int begun;
/* Bytes of each piece that the reader has not got. */
extern uint32_t *unread;

_Noreturn void fail(const char *what);

static inline uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint32_t piece_len(unsigned piece);
/* Buffers are a ring in the order of the pieces. */
uint8_t *buffer_of(unsigned piece);
/* Under the lock: those that nobody needs any more. */
void free_buffers(void);
void start(void);
/* Pieces up to `come` are whole now. */
void pieces_come(unsigned now);

/* ---- ceiling_wire.c ---- */

/* Until the seed has unchoked us. */
void greet(const char *address, const char *port, const char *hash);
/* All of the file; calls pieces_come. */
void receive(void);

/* ---- ceiling_mount.c ---- */

void mount_at(const char *point);
void unmount(void);
int is_mounted(void);
/* The reads that waited for pieces that are right now. */
void wake_readers(void);

#endif
