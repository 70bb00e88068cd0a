/* shoalfs — mount torrents.
 *
 * parse → load the sources → look at the mount point → go to the background →
 * run. Everything that a person can get wrong is found before the fork, while
 * his terminal is still there. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/app.h"
#include "cmd/daemon.h"
#include "cmd/folder.h"
#include "cmd/holder.h"
#include "cmd/mounthelper.h"
#include "cmd/mounts.h"
#include "cmd/place.h"
#include "cmd/source.h"
#include "cmd/successor.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/mem.h"

static const char program[] = "shoalfs";

/* What main finds before it looks at the words. */
struct birth {
	struct successor next;
	/* this process takes over a mount that is there: */
	bool is_successor;
	struct held held;
	char mountpoint[PATH_MAX];
};

static enum exits say(enum exits code, const char *why)
{
	fprintf(stderr, "%s: %s\n", program, why);
	return code;
}

static void help(void)
{
	printf("usage: %s [-f] [-d] [-o OPT[,OPT...]] [SOURCE...] MOUNTPOINT\n"
	       "Shows torrents as directories; what is read is fetched.\n"
	       "SOURCE is a .torrent file, a directory of them (watched), the\n"
	       "http(s) address of one, a magnet: link, or an info-hash of\n"
	       "40 or 64 hex digits. MOUNTPOINT/<info-hash> is looked for "
	       "when\n"
	       "it is named.\n\n%s",
	       program, options_help());
}

/* A relative store would be lost when the daemon changes to "/". */
static int make_store_absolute(struct options *o)
{
	char cwd[PATH_MAX], path[PATH_MAX];
	char *copy;

	if (!o->store || o->store[0] == '/')
		return 0;
	if (!getcwd(cwd, sizeof(cwd)))
		return errno;
	if (snprintf(path, sizeof(path), "%s/%s", cwd, o->store) >= PATH_MAX)
		return ENAMETOOLONG;
	copy = mem_strdup(path);
	if (!copy)
		return ENOMEM;
	mem_free(o->store);
	o->store = copy;
	return 0;
}

/* What is to be added: files and links are read here; directories are watched
 * later, by their absolute paths. */
struct wanted {
	struct library_source *sources;
	char **folders;
	unsigned n_sources, n_folders;
};

/* A daemon that waits for itself hangs, and cannot be told to end. */
static enum exits check_places(const struct options *o, const struct wanted *w,
			       const char *mountpoint)
{
	char path[PATH_MAX] = "", why[WHY_BYTES];

	if (o->store)
		(void)snprintf(path, sizeof(path), "%s", o->store);
	else if (o->store_mem_bytes == 0)
		(void)place_store(mountpoint, path);
	if (path[0] != '\0' && place_is_in(path, mountpoint)) {
		(void)snprintf(why, WHY_BYTES,
			       "store %.300s: it would lie in the mount itself",
			       path);
		return say(EXITS_MOUNT, why);
	}
	for (unsigned i = 0; i < w->n_folders; i++) {
		if (!place_is_in(w->folders[i], mountpoint))
			continue;
		(void)snprintf(why, WHY_BYTES,
			       "%.300s cannot be watched: it would lie in the "
			       "mount itself",
			       w->folders[i]);
		return say(EXITS_MOUNT, why);
	}
	return EXITS_OK;
}

static int load_one(struct wanted *w, const char *text, struct hasher *h,
		    char why[WHY_BYTES])
{
	char path[PATH_MAX];

	if (!folder_is(text))
		return source_load(text, h, &w->sources[w->n_sources++], why);
	if (!realpath(text, path)) {
		(void)snprintf(why, WHY_BYTES, "%.200s: %s", text,
			       err_text(errno));
		return errno;
	}
	w->folders[w->n_folders] = mem_strdup(path);
	return w->folders[w->n_folders++] ? 0 : ENOMEM;
}

/* A successor has no terminal to complain to, and a mount to keep: what was to
 * be added once is remembered in the store, if there is one. */
static enum exits load_sources(const struct options *o, struct wanted *w,
			       bool is_successor)
{
	char why[WHY_BYTES] = "";
	struct hasher *h;
	int r = hasher_new(&h);

	for (unsigned i = 0; r == 0 && i + 1 < o->n_operands; i++) {
		unsigned n = w->n_sources;

		r = load_one(w, o->operand[i], h, why);
		if (r == 0 || r == ENOMEM || !is_successor)
			continue;
		log_warn("left out: %s", why);
		while (w->n_sources > n)
			source_free(&w->sources[--w->n_sources]);
		r = 0;
	}
	hasher_free(h);
	if (r == 0)
		return EXITS_OK;
	return say(r == EINVAL	 ? EXITS_USAGE
		   : r == ENOMEM ? EXITS_SYSTEM
				 : EXITS_MOUNT,
		   why[0] ? why : err_text(r));
}

/* To the background, unless `o` says otherwise; a successor is there already,
 * and its predecessor has reported. */
static int go_behind(const struct options *o, bool is_successor,
		     struct daemon *d)
{
	if (!o->foreground && !is_successor)
		return daemon_fork(d, program);
	daemon_in_front(d);
	if (!is_successor)
		return 0;
	daemon_hand_over(d);
	return o->foreground || chdir("/") == 0 ? 0 : errno;
}

static enum exits mount_all(struct options *o, const struct wanted *w,
			    struct birth *b)
{
	struct daemon d;
	struct app_cfg cfg = {.options = o,
			      .daemon = &d,
			      .program = program,
			      .sources = w->sources,
			      .n_sources = w->n_sources,
			      .folders = w->folders,
			      .n_folders = w->n_folders,
			      .held = &b->held,
			      .mountpoint = b->mountpoint};
	char why[WHY_BYTES];
	enum exits code;
	int r = 0;

	if (!b->is_successor)
		r = mounts_prepare(o->operand[o->n_operands - 1], b->mountpoint,
				   why);
	if (r)
		return say(EXITS_MOUNT, why);
	r = make_store_absolute(o);
	code = r || b->is_successor ? EXITS_OK
				    : check_places(o, w, b->mountpoint);
	if (code != EXITS_OK)
		return code;
	if (!r)
		r = go_behind(o, b->is_successor, &d);
	if (r)
		return say(EXITS_SYSTEM, err_text(r));
	log_open(program, o->foreground ? LOG_SINK_STDERR : LOG_SINK_SYSLOG,
		 o->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	/* -d is for looking at one process. */
	if (!o->debug && !b->is_successor &&
	    !holder_run(b->mountpoint, &d, &b->next, &b->held, &code))
		return code;
	return app_run(&cfg);
}

/* A single operand is the mount point; anything else is a SOURCE for which
 * that was forgotten. */
static bool is_directory(const char *path)
{
	struct stat sb;

	return stat(path, &sb) != 0 ? errno == ENOTCONN : S_ISDIR(sb.st_mode);
}

static enum exits run(struct options *o, struct birth *b)
{
	struct wanted w = {0};
	enum exits code = EXITS_SYSTEM;

	if (o->n_operands == 0)
		return say(EXITS_USAGE, "no SOURCE and no MOUNTPOINT; see -h");
	/* Of a successor nobody answers below the mount point yet. */
	if (o->n_operands == 1 && !b->is_successor &&
	    !is_directory(o->operand[0]))
		return say(EXITS_USAGE,
			   "it takes a SOURCE and a MOUNTPOINT; see -h");
	w.sources = mem_zalloc(o->n_operands, sizeof(*w.sources));
	w.folders = mem_zalloc(o->n_operands, sizeof(*w.folders));
	if (w.sources && w.folders)
		code = load_sources(o, &w, b->is_successor);
	else
		(void)say(code, err_text(ENOMEM));
	if (code == EXITS_OK)
		code = mount_all(o, &w, b);
	for (unsigned i = 0; i < w.n_sources; i++)
		source_free(&w.sources[i]);
	for (unsigned i = 0; i < w.n_folders; i++)
		mem_free(w.folders[i]);
	mem_free(w.sources);
	mem_free(w.folders);
	return code;
}

int main(int argc, char **argv)
{
	char why[WHY_BYTES] = "";
	struct birth b = {.held = holder_none()};
	enum exits code;
	struct options o;
	bool is_fake = false;
	int r;

	daemon_open_streams();
	log_open(program, LOG_SINK_STDERR, LOG_LEVEL_INFO);
	b.is_successor = successor_inherit(&b.held, b.mountpoint);
	r = successor_remember(&b.next, argc, argv);
	if (r)
		return (int)say(EXITS_SYSTEM, err_text(r));
	if (mounthelper_is(argv[0])) {
		argc = mounthelper_words(argc, argv, &is_fake);
		if (argc < 0)
			return (int)say(EXITS_USAGE, "not an option of mount");
	}
	r = options_parse(&o, argc, argv, why);
	if (r) {
		code = say(r == ENOMEM ? EXITS_SYSTEM : EXITS_USAGE,
			   why[0] ? why : err_text(r));
	} else if (o.help) {
		help();
		code = EXITS_OK;
	} else if (o.version) {
		printf("%s %s\n", program, SHOAL_VERSION);
		code = EXITS_OK;
	} else if (is_fake) {
		code = EXITS_OK;
	} else {
		code = run(&o, &b);
	}
	options_fini(&o);
	successor_fini(&b.next);
	return (int)code;
}
