/* keep — the ledger as the mount wants it: fs/ knows no cache, so the calls are
 * handed down from here, where both are known. */
#include "cmd/keep.h"

#include "cache/ledger.h"
#include "cache/store_held.h"
#include "cache/store_lend.h"
#include "core/worker.h"

static struct ledger *ledger_of(void *ctx)
{
	struct keep *k = ctx;

	return k->ledger;
}

static void work(void *ctx, struct job *job TAKES)
{
	workers_submit(((struct keep *)ctx)->workers, job);
}

static uint32_t count(void *ctx)
{
	return ledger_count(ledger_of(ctx));
}

static void each(void *ctx, keeper_each_fn *fn, void *arg)
{
	ledger_each(ledger_of(ctx), fn, arg);
}

static int each_held(void *ctx, keeper_held_fn *fn, void *arg)
{
	struct keep *k = ctx;

	return store_each_held(k->store, fn, arg);
}

static int keep(void *ctx, const struct record *r, struct span source,
		keeper_fn *done, void *arg)
{
	return ledger_keep(ledger_of(ctx), r, source, done, arg);
}

static int forget(void *ctx, const struct record *r, keeper_fn *done, void *arg)
{
	return ledger_forget(ledger_of(ctx), r, done, arg);
}

static int read_now(void *ctx, const struct record *r, uint8_t *dst)
{
	return ledger_read_now(ledger_of(ctx), r, dst);
}

static int read_later(void *ctx, const struct record *r, uint8_t *dst,
		      keeper_fn *done, void *arg)
{
	return ledger_read(ledger_of(ctx), r, dst, done, arg);
}

static void soon(void *ctx, const struct record_place *places, unsigned n)
{
	ledger_soon(ledger_of(ctx), places, n);
}

static int lend(void *ctx, const struct torrent_id *id, const char *dir,
		int dir_fd TAKES, keeper_lent_fn *done, void *arg)
{
	struct keep *k = ctx;

	return store_lend_add(k->store, id, dir, dir_fd, done, arg);
}

struct keeper keep_with(struct keep *k)
{
	return (struct keeper){
		.ctx = k,
		.count = count,
		.work = work,
		.each = each,
		.each_held = each_held,
		.keep = keep,
		.forget = forget,
		.lend = lend,
		.read_now = read_now,
		.soon = soon,
		.read = read_later,
	};
}
