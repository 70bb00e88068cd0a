/* store_rate DIR MIB PIECE_KIB SYNC_MS MBPS — the store's way, alone: pieces
 * that lie in memory are hashed, written, synced and committed, as if peers had
 * sent them. For tests/bench/bench store.
 *
 * SYNC_MS: every sync takes so much longer. MBPS: pieces come at this rate; 0:
 * as fast as there is room for them.
 *
 * Prints one line of JSON: seconds until all was committed, processor seconds,
 * the longest turn of the loop, the longest in which its thread had to wait for
 * something (and was not only preempted), and how many turns took less than
 * 0.1, 0.5, 1, 2, 5, 10 ms, or more. A turn is what lies between two waits for
 * events; what the program itself does in it (a piece is copied, one a turn) is
 * part of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "cache/pieces.h"
#include "cache/store_disk.h"
#include "core/clock.h"
#include "tests/lib/cache_fix.h"

enum {
	N_BODIES = 16, /* pieces that differ */
	N_BUCKETS = 7,
	/* As the program has them. */
	POOL_BYTES = 32 << 20,
	UNVERIFIED_BYTES = 64 << 20,
	RECENT_BYTES = 8 << 20,
	QUARTER_US = 250,
	LOOK_US = 1000,
};

static const uint64_t bucket_us[N_BUCKETS - 1] = {100,	500,  1000,
						  2000, 5000, 10000};

struct rate {
	struct fix_loop l;
	struct metainfo *mi;
	struct store *store;
	struct piece_mem *mem;
	struct pieces *ps;
	uint8_t *bodies;
	uint64_t mbps, began_us;
	uint32_t next, n_verified;
	struct loop_task feed;
	struct loop_timer *timer, *look;
	bool is_open, is_gone;
};

/* ---- what is measured of the loop ---- */

static struct {
	uint64_t since_us; /* 0: it waits */
	long slept;	   /* how often the thread had, then */
	uint64_t longest_us, longest_slept_us;
	uint64_t n[N_BUCKETS];
	bool is_on;
} turns;

/* Not by being preempted. */
static long slept(void)
{
	struct rusage u;

	getrusage(RUSAGE_THREAD, &u);
	return u.ru_nvcsw;
}

static void turn_end(void)
{
	uint64_t took = clock_mono_us() - turns.since_us;
	unsigned i = 0;

	if (!turns.is_on || turns.since_us == 0)
		return;
	while (i < N_BUCKETS - 1 && took >= bucket_us[i])
		i++;
	turns.n[i]++;
	if (took > turns.longest_us)
		turns.longest_us = took;
	if (took > turns.longest_slept_us && slept() != turns.slept)
		turns.longest_slept_us = took;
}

static void turn_begin(void)
{
	turns.slept = slept();
	turns.since_us = clock_mono_us();
}

/* libevent's, in the place of libc's. */
int epoll_wait(int epfd, struct epoll_event *events, int max, int timeout)
{
	int n;

	turn_end();
	n = (int)syscall(SYS_epoll_pwait, epfd, events, max, timeout, NULL, 0);
	turn_begin();
	return n;
}

int epoll_pwait2(int epfd, struct epoll_event *events, int max,
		 const struct timespec *timeout, const sigset_t *mask)
{
	int n;

	turn_end();
	n = (int)syscall(SYS_epoll_pwait2, epfd, events, max, timeout, mask,
			 (size_t)8);
	turn_begin();
	return n;
}

/* ---- a slow disk ---- */

static unsigned sync_ms;

static void be_slow(void)
{
	struct timespec t = {sync_ms / 1000, sync_ms % 1000 * 1000000L};

	if (sync_ms > 0)
		nanosleep(&t, NULL);
}

int fsync(int fd)
{
	be_slow();
	return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	be_slow();
	return (int)syscall(SYS_fdatasync, fd);
}

/* ---- what comes ---- */

static bool is_due(const struct rate *r)
{
	uint64_t bytes = (uint64_t)r->next * r->mi->piece_bytes;

	return r->mbps == 0 || clock_mono_us() - r->began_us >= bytes / r->mbps;
}

/* One piece a turn. */
static void feed(void *arg)
{
	struct rate *r = arg;
	uint32_t ix = r->next;

	if (ix == r->mi->n_pieces)
		return;
	if (!is_due(r)) {
		loop_timer_start(r->timer, QUARTER_US);
		return;
	}
	if (pieces_begin(r->ps, ix) != 0)
		return; /* on_room comes */
	memcpy(pieces_place(r->ps, ix, 0),
	       r->bodies + (size_t)(ix % N_BODIES) * r->mi->piece_bytes,
	       r->mi->piece_bytes);
	pieces_filled(r->ps, ix, 0);
	r->next++;
	loop_defer(r->l.loop, &r->feed);
}

static void on_verified(void *arg, uint32_t ix)
{
	((struct rate *)arg)->n_verified++;
}

static void on_bad(void *arg, uint32_t ix)
{
	fix_die("a piece is wrong");
}

static void on_room(void *arg)
{
	struct rate *r = arg;

	loop_defer(r->l.loop, &r->feed);
}

static void on_lost(void *arg, uint32_t ix)
{
	fix_die("the store lost a piece");
}

static const struct pieces_ops ops = {
	.on_verified = on_verified,
	.on_bad = on_bad,
	.on_room = on_room,
	.on_lost = on_lost,
};

/* ---- beginning and end ---- */

static void make_torrent(struct rate *r, uint64_t mib, uint32_t piece_bytes)
{
	static const char *name = "store_rate";
	struct mi_source_file file = {
		.path = &name, .n_path = 1, .len_bytes = mib << 20};
	struct mi_source src = {.name = name,
				.files = &file,
				.n_files = 1,
				.is_single = true,
				.piece_bytes = piece_bytes,
				.n_pieces =
					(uint32_t)((mib << 20) / piece_bytes)};
	uint8_t *hashes = mem_alloc((size_t)src.n_pieces * HASH_SHA1_BYTES);
	struct buf out = {0};
	struct mi_error why;

	r->bodies = mem_alloc((size_t)N_BODIES * piece_bytes);
	fix_fill(r->bodies, 0, (size_t)N_BODIES * piece_bytes);
	for (uint32_t i = 0; i < src.n_pieces; i++)
		if (i < N_BODIES)
			hasher_once(r->l.hasher, HASH_SHA1,
				    r->bodies + (size_t)i * piece_bytes,
				    piece_bytes,
				    hashes + (size_t)i * HASH_SHA1_BYTES);
		else
			memcpy(hashes + (size_t)i * HASH_SHA1_BYTES,
			       hashes +
				       (size_t)(i % N_BODIES) * HASH_SHA1_BYTES,
			       HASH_SHA1_BYTES);
	src.v1_hashes = hashes;
	fix_must(metainfo_encode(&src, &out), "encode");
	fix_must(metainfo_parse_file(out.data, out.len, r->l.hasher, &r->mi,
				     &why),
		 "parse");
	buf_fini(&out);
	mem_free(hashes);
}

static void on_open(void *arg, int err, struct pieces *ps)
{
	struct rate *r = arg;

	fix_must(err, "open");
	r->is_open = true;
}

static void on_gone(void *arg)
{
	((struct rate *)arg)->is_gone = true;
}

static void look(void *arg)
{
	struct rate *r = arg;

	if (r->n_verified == r->mi->n_pieces)
		loop_stop(r->l.loop);
	else
		loop_timer_start(r->look, LOOK_US);
}

static void begin(struct rate *r, const char *dir)
{
	struct store_disk_cfg disk = {.loop = r->l.loop,
				      .workers = r->l.workers,
				      .thread = r->l.thread,
				      .dir = dir};
	struct piece_mem_cfg mem = {.pool = r->l.pool,
				    .unverified_bytes = UNVERIFIED_BYTES,
				    .recent_bytes = RECENT_BYTES};
	struct pieces_cfg cfg = {.loop = r->l.loop,
				 .workers = r->l.workers,
				 .mi = r->mi,
				 .ops = &ops,
				 .arg = r};
	char why[160];

	fix_must(store_disk_new(&disk, &r->store, why), "store");
	fix_must(piece_mem_new(&mem, &r->mem), "memory");
	cfg.store = r->store;
	cfg.mem = r->mem;
	fix_must(pieces_open_start(&cfg, on_open, r, &r->ps), "pieces");
	fix_until(&r->l, fix_is_set, &r->is_open);
	loop_task_init(&r->feed, feed, r);
	fix_must(loop_timer_new(r->l.loop, feed, r, &r->timer), "timer");
	fix_must(loop_timer_new(r->l.loop, look, r, &r->look), "timer");
}

static void end(struct rate *r)
{
	pieces_close(r->ps, on_gone, r);
	fix_until(&r->l, fix_is_set, &r->is_gone);
	loop_timer_free(r->timer);
	loop_timer_free(r->look);
	piece_mem_free(r->mem);
	store_free(r->store);
	metainfo_free(r->mi);
	mem_free(r->bodies);
	fix_loop_fini(&r->l);
}

static double cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void run(struct rate *r)
{
	double cpu = cpu_s();
	uint64_t took;

	r->began_us = clock_mono_us();
	turns.is_on = true;
	loop_defer(r->l.loop, &r->feed);
	loop_timer_start(r->look, LOOK_US);
	loop_run(r->l.loop);
	turns.is_on = false;
	fix_must(fix_flush(&r->l, r->store), "flush");
	took = clock_mono_us() - r->began_us;
	printf("{\"seconds\": %.4f, \"cpu\": %.3f, \"longest_ms\": %.3f, "
	       "\"longest_slept_ms\": %.3f, \"turns\": [",
	       (double)took / 1e6, cpu_s() - cpu,
	       (double)turns.longest_us / 1e3,
	       (double)turns.longest_slept_us / 1e3);
	for (unsigned i = 0; i < N_BUCKETS; i++)
		printf("%s%llu", i > 0 ? ", " : "",
		       (unsigned long long)turns.n[i]);
	printf("]}\n");
}

int main(int argc, char **argv)
{
	struct rate r = {0};

	if (argc != 6) {
		fprintf(stderr, "usage: store_rate DIR MIB PIECE_KIB SYNC_MS "
				"MBPS\n");
		return 2;
	}
	fix_loop_init(&r.l, 2);
	blk_pool_free(r.l.pool);
	fix_must(blk_pool_new(POOL_BYTES, &r.l.pool), "pool");
	make_torrent(&r, strtoull(argv[2], NULL, 10),
		     (uint32_t)strtoul(argv[3], NULL, 10) << 10);
	begin(&r, argv[1]);
	sync_ms = (unsigned)strtoul(argv[4], NULL, 10);
	r.mbps = strtoull(argv[5], NULL, 10);
	run(&r);
	sync_ms = 0;
	end(&r);
	return 0;
}
