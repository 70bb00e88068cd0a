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
#include "cmd/mounts.h"
#include "cmd/source.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/mem.h"

static const char program[] = "shoalfs";

static enum exits say(enum exits code, const char *why)
{
	fprintf(stderr, "%s: %s\n", program, why);
	return code;
}

static void help(void)
{
	printf("usage: %s [-f] [-d] [-o OPT[,OPT...]] [SOURCE...] MOUNTPOINT\n"
	       "Shows torrents as directories; what is read is fetched.\n"
	       "SOURCE is a .torrent file, a magnet: link, or an info-hash of\n"
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

static enum exits load_sources(const struct options *o,
			       struct engine_source *sources)
{
	char why[WHY_BYTES] = "";
	struct hasher *h;
	int r = hasher_new(&h);

	for (unsigned i = 0; r == 0 && i + 1 < o->n_operands; i++)
		r = source_load(o->operand[i], h, &sources[i], why);
	hasher_free(h);
	if (r == 0)
		return EXITS_OK;
	return say(r == EINVAL	 ? EXITS_USAGE
		   : r == ENOMEM ? EXITS_SYSTEM
				 : EXITS_MOUNT,
		   why[0] ? why : err_text(r));
}

static enum exits mount_all(struct options *o, struct engine_source *sources)
{
	struct daemon d;
	struct app_cfg cfg = {.options = o,
			      .daemon = &d,
			      .program = program,
			      .sources = sources,
			      .n_sources = o->n_operands - 1};
	char mountpoint[PATH_MAX], why[WHY_BYTES];
	int r;

	r = mounts_prepare(o->operand[o->n_operands - 1], mountpoint, why);
	if (r)
		return say(EXITS_MOUNT, why);
	cfg.mountpoint = mountpoint;
	r = make_store_absolute(o);
	if (!r && o->foreground)
		daemon_in_front(&d);
	else if (!r)
		r = daemon_fork(&d, program);
	if (r)
		return say(EXITS_SYSTEM, err_text(r));
	log_open(program, o->foreground ? LOG_SINK_STDERR : LOG_SINK_SYSLOG,
		 o->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	return app_run(&cfg);
}

/* A single operand is the mount point; anything else is a SOURCE for which
 * that was forgotten. */
static bool is_directory(const char *path)
{
	struct stat sb;

	return stat(path, &sb) != 0 ? errno == ENOTCONN : S_ISDIR(sb.st_mode);
}

static enum exits run(struct options *o)
{
	struct engine_source *sources;
	enum exits code;

	if (o->n_operands == 0)
		return say(EXITS_USAGE, "no SOURCE and no MOUNTPOINT; see -h");
	if (o->n_operands == 1 && !is_directory(o->operand[0]))
		return say(EXITS_USAGE,
			   "it takes a SOURCE and a MOUNTPOINT; see -h");
	sources = mem_zalloc(o->n_operands, sizeof(*sources));
	if (!sources)
		return say(EXITS_SYSTEM, err_text(ENOMEM));
	code = load_sources(o, sources);
	if (code == EXITS_OK)
		code = mount_all(o, sources);
	for (unsigned i = 0; i + 1 < o->n_operands; i++)
		source_free(&sources[i]);
	mem_free(sources);
	return code;
}

int main(int argc, char **argv)
{
	char why[WHY_BYTES] = "";
	enum exits code;
	struct options o;
	int r;

	daemon_open_streams();
	log_open(program, LOG_SINK_STDERR, LOG_LEVEL_INFO);
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
	} else {
		code = run(&o);
	}
	options_fini(&o);
	return (int)code;
}
