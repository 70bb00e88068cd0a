/* drive — a directory whose every file operation is seen: recorded, made to
 * fail, and rebuilt as a disk could show it after the power was cut.
 *
 * The functions by which a program changes files (openat, pwrite, fdatasync,
 * renameat, …) are defined here, so whatever is linked with this file uses
 * them, shared libraries as well: SQLite too. What is not under the directory
 * that is watched passes.
 *
 * What a disk shows. A write, a cut or a hole is certain once its file was
 * synced after it; a name (made, removed, changed) once its directory was.
 * Everything else is kept or not, in any order, a write by sectors of 512
 * bytes; only changes of one name keep their order. That is less than any file
 * system promises: journals keep more of an order. What a sync that failed
 * should have made certain no later one makes so: it must be written again.
 *
 * Thread: any; drive_* but drive_len from one that runs while no job does. */
#ifndef SHOAL_TESTS_DRIVE_H
#define SHOAL_TESTS_DRIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum drive_op {
	DRIVE_OPEN = 1 << 0,
	DRIVE_MAKE = 1 << 1, /* a file or a directory */
	DRIVE_READ = 1 << 2,
	DRIVE_WRITE = 1 << 3,
	DRIVE_SYNC = 1 << 4,
	DRIVE_RESIZE = 1 << 5,
	DRIVE_PUNCH = 1 << 6,
	DRIVE_RENAME = 1 << 7,
	DRIVE_UNLINK = 1 << 8,
	DRIVE_STAT = 1 << 9,
	DRIVE_ANY = (1 << 10) - 1,
};

/* drive_watch — `dir` is empty, and certain. Operations are recorded from now
 * on if `records`. drive_unwatch — forgets the record too. */
void drive_watch(const char *dir, bool records);
void drive_stop(void); /* nothing is seen any more; the record stays */
void drive_unwatch(void);

/* drive_len — how many operations were recorded. */
size_t drive_len(void);

/* drive_name — one of them for a person, by its number from 0. */
const char *drive_name(size_t ix, char buf[160]);

/* drive_build — into `dir`, which is empty: what could be there when the power
 * was cut after the first `n` operations. `seed` 0: everything, the last write
 * torn; 1: nothing that was not certain; others: by chance. */
void drive_build(const char *dir, size_t n, uint64_t seed);

/* drive_fail — of the operations in the set `ops`, let `n` pass, then fail one
 * (or `for_ever` all that follow) with `err`; 0: fails nothing any more. A sync
 * that fails drops nothing by itself. drive_n_failed — how many did, since. */
void drive_fail(unsigned ops, uint64_t n, int err, bool for_ever);
uint64_t drive_n_failed(void);

#endif
