/* shoalctl — make torrents, and ask a running mount. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cmd/add.h"
#include "cmd/create.h"
#include "cmd/daemon.h"
#include "cmd/publish.h"
#include "cmd/status.h"
#include "cmd/top.h"
#include "cmd/verb.h"
#include "core/log.h"

static const char usage[] = "usage: shoalctl [-m MOUNTPOINT] status [--json]\n";
static const char more_usage[] =
	"       shoalctl [-m MOUNTPOINT] publish [...] TORRENT"
	"      (shoalctl publish -h)\n"
	"       shoalctl create [...] PATH      (shoalctl create -h)\n"
	"PATH is a path in the mount, or one below its mount point; a "
	"directory "
	"stands\nfor all files in it. SOURCE is a .torrent file, a directory "
	"of them, a magnet:\nlink, an info-hash, or an http(s) address of a "
	".torrent. TORRENT is a name in the mount, or an "
	"info-hash. DIR has\nfiles of what is added: they are read and seeded "
	"where "
	"they lie, never written.\nRATE is bytes a second (K M), or none. With "
	"one mount "
	"running, -m is not needed.\n";

static int misuse(const char *why, const char *word)
{
	fprintf(stderr, "shoalctl: %s%s; see -h\n", why, word);
	return 2;
}

static int run_status(const char *mountpoint, int argc, char **argv)
{
	bool json = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") != 0)
			return misuse("status does not take ", argv[i]);
		json = true;
	}
	return status_run(mountpoint, json);
}

static int help(void)
{
	(void)fputs(usage, stdout);
	(void)fputs(top_usage, stdout);
	(void)fputs(verb_usage, stdout);
	(void)fputs(more_usage, stdout);
	return 0;
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "-h") == 0 ||
		    strcmp(argv[i], "--help") == 0)
			return true;
	return false;
}

static int run_create(int argc, char **argv)
{
	if (!wants_help(argc, argv))
		return create_run(argc, argv);
	(void)fputs(create_usage, stdout);
	return 0;
}

static int run_verb(const char *mountpoint, int argc, char **argv)
{
	int code;

	if (strcmp(argv[0], "publish") == 0)
		return publish_run(mountpoint, argc, argv);
	if (strcmp(argv[0], "create") == 0 && !mountpoint)
		return run_create(argc, argv);
	if (strcmp(argv[0], "create") == 0)
		return misuse("create needs no -m", "");
	if (wants_help(argc, argv))
		return help();
	if (strcmp(argv[0], "status") == 0)
		return run_status(mountpoint, argc, argv);
	if (strcmp(argv[0], "top") == 0)
		return top_run(mountpoint, argc, argv);
	if (strcmp(argv[0], "add") == 0) {
		code = add_run(mountpoint, argc, argv);
		return code >= 0 ? code : misuse("add takes a SOURCE", "");
	}
	code = verb_run(mountpoint, argc, argv);
	return code >= 0 ? code : misuse("unknown verb ", argv[0]);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	const char *mountpoint = NULL;
	int opt, code;

	daemon_open_streams();
	log_open("shoalctl", LOG_SINK_STDERR, LOG_LEVEL_WARN);
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "+:hVm:", longs, NULL)) != -1) {
		switch (opt) {
		case 'h':
			return help();
		case 'V':
			printf("shoalctl %s\n", SHOAL_VERSION);
			return 0;
		case 'm':
			mountpoint = optarg;
			break;
		case ':':
			return misuse("it needs an argument: ",
				      argv[optind - 1]);
		default:
			return misuse("unknown option ", argv[optind - 1]);
		}
	}
	argc -= optind;
	argv += optind;
	if (argc == 0)
		return misuse("it takes a VERB", "");
	code = run_verb(mountpoint, argc, argv);
	/* A long answer may have failed before, and have left nothing. */
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == 0) {
		fprintf(stderr, "shoalctl %s: not all of it could be written\n",
			argv[0]);
		code = 1;
	}
	return code;
}
