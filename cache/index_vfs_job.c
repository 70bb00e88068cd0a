/* index_vfs_job — a checksum at the end of each page of the index's file.
 *
 * Purpose: SQLite finds pages whose structure is broken, and takes a flipped
 * bit in a bitmap for a piece that is held. So the last bytes of each page,
 * which SQLite keeps free for us, are a hash of the others: set when a page is
 * written to the file, looked at when it is read from there.
 *
 * How: a VFS that hands everything on to the system's, but for whole pages of a
 * database. Its log and its journal are not touched: their checksums are
 * SQLite's own. A page comes into the file from the log by a checkpoint; one
 * that is torn then is in the log still, and read from there.
 *
 * The methods are those of version 1, which have no shared memory: all that a
 * log needs whose one connection keeps its lock.
 *
 * Failure modes: a page that does not match is SQLITE_IOERR_DATA. A file whose
 * header does not say that there is room for the hash is not looked at; who
 * opens one asks for that (index_vfs_is_summed).
 *
 * Threads: any; a file is one thread's at a time. */
#include "cache/index_vfs_job.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "core/be.h"
#include "core/mem.h"
#include "core/siphash.h"

enum {
	PAGE_LEAST_BYTES = 512,
	PAGE_MOST_BYTES = 65536,
	HEADER_BYTES = 100,
	HEADER_RESERVE_AT = 20, /* how many bytes a page has that are ours */
};

static const char magic[16] = "SQLite format 3";

/* A database; behind it lies the system's file. */
struct summed_file {
	struct sqlite3_file base;
	bool is_summed;
};

static sqlite3_vfs *system_vfs(sqlite3_vfs *vfs)
{
	return vfs->pAppData;
}

static struct sqlite3_file *inner(struct sqlite3_file *f)
{
	return (struct sqlite3_file *)(void *)((struct summed_file *)(void *)f +
					       1);
}

/* Not a secret: what it is to find was not made on purpose. */
static void sum_of(const uint8_t *page, size_t len,
		   uint8_t out[INDEX_SUM_BYTES])
{
	static const struct siphash_key key = {0x53686f616c667321,
					       0x696e646578};

	be64_put(out, siphash(&key, page, len - INDEX_SUM_BYTES));
}

static bool is_page(const struct summed_file *s, int amount,
		    sqlite3_int64 offset)
{
	return s->is_summed && amount >= PAGE_LEAST_BYTES &&
	       amount <= PAGE_MOST_BYTES && (amount & (amount - 1)) == 0 &&
	       offset % amount == 0;
}

static void look_at_header(struct summed_file *s, const uint8_t *page,
			   int amount, sqlite3_int64 offset)
{
	if (offset == 0 && amount >= HEADER_BYTES &&
	    memcmp(page, magic, sizeof(magic)) == 0)
		s->is_summed = page[HEADER_RESERVE_AT] == INDEX_SUM_BYTES;
}

/* ---- a file ---- */

static int on_read(struct sqlite3_file *f, void *dst, int amount,
		   sqlite3_int64 offset)
{
	struct summed_file *s = (struct summed_file *)(void *)f;
	int rc = inner(f)->pMethods->xRead(inner(f), dst, amount, offset);
	uint8_t sum[INDEX_SUM_BYTES];

	if (rc != SQLITE_OK)
		return rc;
	look_at_header(s, dst, amount, offset);
	if (!is_page(s, amount, offset))
		return SQLITE_OK;
	sum_of(dst, (size_t)amount, sum);
	return memcmp((uint8_t *)dst + amount - sizeof(sum), sum,
		      sizeof(sum)) == 0
		       ? SQLITE_OK
		       : SQLITE_IOERR_DATA;
}

static int on_write(struct sqlite3_file *f, const void *src, int amount,
		    sqlite3_int64 offset)
{
	struct summed_file *s = (struct summed_file *)(void *)f;
	uint8_t *page;
	int rc;

	look_at_header(s, src, amount, offset);
	if (!is_page(s, amount, offset))
		return inner(f)->pMethods->xWrite(inner(f), src, amount,
						  offset);
	page = mem_dup(src, (size_t)amount);
	if (page == NULL)
		return SQLITE_IOERR_NOMEM;
	sum_of(page, (size_t)amount, page + amount - INDEX_SUM_BYTES);
	rc = inner(f)->pMethods->xWrite(inner(f), page, amount, offset);
	mem_free(page);
	return rc;
}

static int on_close(struct sqlite3_file *f)
{
	return inner(f)->pMethods->xClose(inner(f));
}

static int on_truncate(struct sqlite3_file *f, sqlite3_int64 size)
{
	return inner(f)->pMethods->xTruncate(inner(f), size);
}

static int on_sync(struct sqlite3_file *f, int flags)
{
	return inner(f)->pMethods->xSync(inner(f), flags);
}

static int on_file_size(struct sqlite3_file *f, sqlite3_int64 *out)
{
	return inner(f)->pMethods->xFileSize(inner(f), out);
}

static int on_lock(struct sqlite3_file *f, int level)
{
	return inner(f)->pMethods->xLock(inner(f), level);
}

static int on_unlock(struct sqlite3_file *f, int level)
{
	return inner(f)->pMethods->xUnlock(inner(f), level);
}

static int on_check_lock(struct sqlite3_file *f, int *out)
{
	return inner(f)->pMethods->xCheckReservedLock(inner(f), out);
}

static int on_control(struct sqlite3_file *f, int op, void *arg)
{
	if (op == INDEX_VFS_IS_SUMMED) {
		*(bool *)arg = ((struct summed_file *)(void *)f)->is_summed;
		return SQLITE_OK;
	}
	return inner(f)->pMethods->xFileControl(inner(f), op, arg);
}

static int on_sector_size(struct sqlite3_file *f)
{
	return inner(f)->pMethods->xSectorSize(inner(f));
}

static int on_traits(struct sqlite3_file *f)
{
	return inner(f)->pMethods->xDeviceCharacteristics(inner(f));
}

static const sqlite3_io_methods methods = {
	.iVersion = 1,
	.xClose = on_close,
	.xRead = on_read,
	.xWrite = on_write,
	.xTruncate = on_truncate,
	.xSync = on_sync,
	.xFileSize = on_file_size,
	.xLock = on_lock,
	.xUnlock = on_unlock,
	.xCheckReservedLock = on_check_lock,
	.xFileControl = on_control,
	.xSectorSize = on_sector_size,
	.xDeviceCharacteristics = on_traits,
};

/* ---- the VFS ---- */

static int on_open(sqlite3_vfs *vfs, const char *name, struct sqlite3_file *f,
		   int flags, int *flags_out)
{
	sqlite3_vfs *sys = system_vfs(vfs);
	struct summed_file *s = (struct summed_file *)(void *)f;
	int rc;

	if ((flags & SQLITE_OPEN_MAIN_DB) == 0)
		return sys->xOpen(sys, name, f, flags, flags_out);
	*s = (struct summed_file){0};
	rc = sys->xOpen(sys, name, inner(f), flags, flags_out);
	/* Unless it is NULL SQLite closes it, also after an error. */
	if (inner(f)->pMethods != NULL)
		s->base.pMethods = &methods;
	return rc;
}

static int register_once(void)
{
	static sqlite3_vfs vfs;
	sqlite3_vfs *sys = sqlite3_vfs_find(NULL);

	if (sys == NULL)
		return SQLITE_ERROR;
	/* All but opening is the system's own, and does not look at what it is
	 * called on. */
	vfs = *sys;
	vfs.szOsFile += (int)sizeof(struct summed_file);
	vfs.zName = INDEX_VFS;
	vfs.pAppData = sys;
	vfs.pNext = NULL;
	vfs.xOpen = on_open;
	return sqlite3_vfs_register(&vfs, 0);
}

int index_vfs_init(void)
{
	return sqlite3_vfs_find(INDEX_VFS) != NULL ? SQLITE_OK
						   : register_once();
}

int index_vfs_make_room(sqlite3 *db)
{
	int n = INDEX_SUM_BYTES;

	return sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &n);
}

bool index_vfs_is_summed(sqlite3 *db)
{
	bool is = false;

	(void)sqlite3_file_control(db, "main", INDEX_VFS_IS_SUMMED, &is);
	return is;
}
