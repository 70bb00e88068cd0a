/* follow — keys that are followed (BEP 46), for they were SOURCEs, of this run
 * or an earlier one, or of shoalctl add: what they name is a torrent of the
 * mount like others, and so is what they come to name later. Thread: loop. */
#ifndef SHOAL_CMD_FOLLOW_H
#define SHOAL_CMD_FOLLOW_H

struct btpk;
struct engine;
struct magnet;
struct mount;
struct signpost;

struct follow {
	struct mount *mount;
	void (*on_change)(void *arg); /* a number below is another */
	void *arg;
	struct btpk *keys; /* SOURCEs of this run, not looked up yet */
	unsigned n_keys;
	unsigned n_adding; /* torrents that are being added */
};

/* follow_key — of a link that names one, from now on; others are passed over.
 * 0, EBUSY, ENOMEM. */
int follow_key(struct follow *f, struct engine *e, const struct magnet *m);

void follow_fini(struct follow *f);

/* follow_on_signpost — the engine's word of a key, of a SOURCE or not. */
void follow_on_signpost(struct follow *f, struct signpost *s);

#endif
