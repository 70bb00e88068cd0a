/* create — scan, hash, encode, write, and perhaps seed.
 *
 * The .torrent is written to a temporary name beside its place and renamed, so
 * that whoever watches the directory never sees half of one; what is no plain
 * file (/dev/null, a pipe) is written to. Its name is the content's with
 * ".torrent", in the current directory, unless -o says otherwise.
 *
 * The magnet link that --seed prints has x.pe for each address of this host
 * that others can reach (or the one of --bind), so that it can be pasted into
 * another shoalfs and found without any tracker. */
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/content.h"
#include "cmd/create.h"
#include "cmd/exits.h"
#include "cmd/options.h"
#include "cmd/piecehash.h"
#include "cmd/seed.h"
#include "cmd/stack.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/core_limits.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/metainfo.h"

const char create_usage[] =
	"usage: shoalctl create [-o FILE] [-t TRACKER]... "
	"[--v1|--v2|--hybrid]\n"
	"                       [--piece SIZE] [--symlinks] [--no-exec]\n"
	"                       [--seed] [--bind ADDR] [--port N]\n"
	"                       [--nodht] PATH\n"
	"Makes a torrent of a file or directory and prints its magnet link.\n"
	"  -o FILE       where the .torrent goes (NAME.torrent)\n"
	"  -t TRACKER    announce there; may be repeated\n"
	"  --v1          for version 1 only, which the oldest clients know\n"
	"  --v2          for version 2 only: no pad files, each file by "
	"itself\n"
	"  --hybrid      for both, in one torrent (that is what it makes)\n"
	"  --piece SIZE  of a piece, a power of two from 16K to 64M (as fits)\n"
	"  --symlinks    keep symbolic links that stay inside PATH\n"
	"  --no-exec     do not note which files may be executed\n"
	"  --seed        then serve the files where they are, until ^C\n"
	"  --bind ADDR   with --seed: listen on this address only\n"
	"  --port N      with --seed: listen on this port (a free one)\n"
	"  --nodht       with --seed: stay out of the DHT\n";

enum { PIECE_MIN_BYTES = 16 << 10, PIECE_MAX_BYTES = 64 << 20 };

struct create {
	const char *out;
	const char *trackers[METAINFO_MAX_TRACKERS];
	unsigned n_trackers;
	uint32_t piece_bytes; /* 0: as fits the content */
	struct content_kind kind;
	unsigned want; /* CONTENT_… */
	bool seed;
	struct stack_net net;
	const char *path;
};

static int fail(const char *why)
{
	fprintf(stderr, "shoalctl create: %s\n", why);
	return 1;
}

static int misuse(const char *why, const char *word)
{
	fprintf(stderr, "shoalctl create: %s%s\n", why, word);
	return 2;
}

static int add_tracker(struct create *c, const char *url)
{
	if (c->n_trackers == METAINFO_MAX_TRACKERS)
		return misuse("too many trackers, from ", url);
	if (strncmp(url, "http://", 7) != 0 &&
	    strncmp(url, "https://", 8) != 0 && strncmp(url, "udp://", 6) != 0)
		return misuse("not a tracker's address: ", url);
	c->trackers[c->n_trackers++] = url;
	return 0;
}

static int set_port(struct create *c, const char *text)
{
	unsigned port;
	char rest;

	if (sscanf(text, "%5u%c", &port, &rest) != 1 || port == 0 ||
	    port > UINT16_MAX)
		return misuse("not a port: ", text);
	c->net.port = (uint16_t)port;
	return 0;
}

static int set_piece(struct create *c, const char *text)
{
	uint64_t bytes;

	if (!options_size(text, &bytes) || (bytes & (bytes - 1)) != 0 ||
	    bytes < PIECE_MIN_BYTES || bytes > PIECE_MAX_BYTES)
		return misuse("not a piece size: ", text);
	c->piece_bytes = (uint32_t)bytes;
	return 0;
}

static int check(const struct create *c)
{
	if (!c->seed && (c->net.bind || c->net.port || c->net.no_dht))
		return misuse("--bind, --port and --nodht go with --seed", "");
	return 0;
}

static int parse(struct create *c, int argc, char **argv)
{
	static const struct option longs[] = {
		{"v1", no_argument, NULL, '1'},
		{"v2", no_argument, NULL, '2'},
		{"hybrid", no_argument, NULL, 'h'},
		{"symlinks", no_argument, NULL, 'y'},
		{"no-exec", no_argument, NULL, 'x'},
		{"seed", no_argument, NULL, 's'},
		{"bind", required_argument, NULL, 'b'},
		{"port", required_argument, NULL, 'p'},
		{"nodht", no_argument, NULL, 'd'},
		{"piece", required_argument, NULL, 'l'},
		{NULL, 0, NULL, 0},
	};
	int opt, r = 0;

	opterr = 0;
	optind = 0; /* anew, also whether options may come behind PATH */
	while (r == 0 &&
	       (opt = getopt_long(argc, argv, ":o:t:", longs, NULL)) != -1) {
		switch (opt) {
		case 'o':
			c->out = optarg;
			break;
		case 't':
			r = add_tracker(c, optarg);
			break;
		case '1':
		case '2':
		case 'h':
			c->kind.has_v1 = opt != '2';
			c->kind.has_v2 = opt != '1';
			break;
		case 'y':
			c->want |= CONTENT_LINKS;
			break;
		case 'x':
			c->want &= ~(unsigned)CONTENT_EXEC;
			break;
		case 's':
			c->seed = true;
			break;
		case 'b':
			c->net.bind = optarg;
			break;
		case 'p':
			r = set_port(c, optarg);
			break;
		case 'd':
			c->net.no_dht = true;
			break;
		case 'l':
			r = set_piece(c, optarg);
			break;
		case ':':
			return misuse("it needs an argument: ",
				      argv[optind - 1]);
		default:
			return misuse("unknown option ", argv[optind - 1]);
		}
	}
	if (r)
		return r;
	if (argc - optind != 1)
		return misuse("it takes one PATH", "");
	c->path = argv[optind];
	return check(c);
}

/* ---- encoding and writing ---- */

static uint32_t pieces_of(const struct content_file *f, uint32_t piece_bytes)
{
	return (uint32_t)((f->len_bytes + piece_bytes - 1) / piece_bytes);
}

static struct mi_source_file source_file(const struct content_file *f,
					 const struct piecehash_result *hashes,
					 uint32_t piece_bytes,
					 const uint8_t *root)
{
	struct mi_source_file file = {
		.path = f->path,
		.n_path = f->n_path,
		.len_bytes = f->len_bytes,
		.attr = f->attr,
		.link = f->link,
		.n_link = f->n_link,
		.root = root,
	};

	if (hashes->v2 && f->rel && pieces_of(f, piece_bytes) > 1)
		file.layer = hashes->v2 +
			     f->off_bytes / piece_bytes * HASH_SHA256_BYTES;
	return file;
}

static int encode(const struct create *c, const struct content *content,
		  uint32_t piece_bytes, const struct piecehash_result *hashes,
		  struct buf *out)
{
	struct mi_source_file *files;
	struct mi_source src = {
		.name = content->name,
		.is_single = content->is_single,
		.n_files = content->n_files,
		.piece_bytes = piece_bytes,
		.has_v2 = c->kind.has_v2,
		.v1_hashes = hashes->v1,
		.n_pieces = hashes->n_pieces,
		.trackers = c->trackers,
		.n_trackers = c->n_trackers,
		.created_s = clock_wall_s(),
	};
	int r;

	files = mem_zalloc(content->n_files, sizeof(*files));
	if (!files)
		return ENOMEM;
	for (uint32_t i = 0; i < content->n_files; i++)
		files[i] = source_file(
			&content->files[i], hashes, piece_bytes,
			hashes->roots
				? hashes->roots + (size_t)i * HASH_SHA256_BYTES
				: NULL);
	src.files = files;
	r = metainfo_encode(&src, out);
	mem_free(files);
	return r;
}

static int write_all(int fd, struct span data)
{
	ssize_t n;

	for (size_t at = 0; at < data.len; at += (size_t)n) {
		n = write(fd, data.ptr + at, data.len - at);
		if (n < 0 && errno != EINTR)
			return errno;
		if (n < 0)
			n = 0;
	}
	return 0;
}

/* A device, a pipe: it is written to, and not replaced. */
static int write_into(const char *path, struct span data)
{
	int fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC), r;

	if (fd < 0)
		return errno;
	r = write_all(fd, data);
	(void)close(fd);
	return r;
}

/* Nobody sees half a file. */
static int replace(const char *path, struct span data)
{
	char tmp[PATH_MAX];
	int fd, r;

	if (snprintf(tmp, sizeof(tmp), "%s.part-%ld", path, (long)getpid()) >=
	    (int)sizeof(tmp))
		return ENAMETOOLONG;
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return errno;
	r = write_all(fd, data);
	if (r == 0 && fsync(fd) != 0)
		r = errno;
	(void)close(fd);
	if (r == 0 && rename(tmp, path) != 0)
		r = errno;
	if (r)
		(void)unlink(tmp);
	return r;
}

/* Through links, which stay. */
static int write_file(const char *path, struct span data)
{
	char target[PATH_MAX];
	struct stat st;

	if (stat(path, &st) != 0)
		return replace(path, data);
	if (!S_ISREG(st.st_mode))
		return write_into(path, data);
	if (realpath(path, target) == NULL)
		return errno;
	return replace(target, data);
}

static void place_of(const struct create *c, const struct content *content,
		     char path[PATH_MAX])
{
	if (c->out)
		(void)snprintf(path, PATH_MAX, "%s", c->out);
	else
		(void)snprintf(path, PATH_MAX, "%s.torrent", content->name);
}

/* What is there already must be none of the files that it is made from. */
static int check_place(const struct create *c, const struct content *content,
		       char why[WHY_BYTES])
{
	size_t len = strlen(content->root);
	char path[PATH_MAX], real[PATH_MAX];
	bool is_content;

	place_of(c, content, path);
	if (!realpath(path, real) || strncmp(real, content->root, len) != 0)
		return 0;
	is_content = real[len] == '\0' && content->is_single;
	len -= content->root[len - 1] == '/';
	for (uint32_t i = 0; !is_content && i < content->n_files; i++)
		is_content = real[len] == '/' && content->files[i].rel &&
			     strcmp(content->files[i].rel, real + len + 1) == 0;
	if (!is_content)
		return 0;
	(void)snprintf(why, WHY_BYTES,
		       "%.300s: it is among the files that the torrent is of; "
		       "-o names another place",
		       path);
	return EEXIST;
}

static int write_torrent(const struct create *c, const struct content *content,
			 struct span torrent, char why[WHY_BYTES])
{
	char path[PATH_MAX];
	int r;

	place_of(c, content, path);
	r = write_file(path, torrent);
	if (r)
		(void)snprintf(why, WHY_BYTES, "%.200s: %s", path, err_text(r));
	return r;
}

static int parse_torrent(struct span torrent, struct metainfo **mi,
			 char why[WHY_BYTES])
{
	struct mi_error err = {""};
	struct hasher *h;
	int r = hasher_new(&h);

	if (r)
		return r;
	r = metainfo_parse_file(torrent.ptr, torrent.len, h, mi, &err);
	if (r && err.text[0])
		(void)snprintf(why, WHY_BYTES, "%s", err.text);
	hasher_free(h);
	return r;
}

/* From the content to a parsed torrent whose file is on disk. What our own
 * parser refuses is not written. */
static int make(const struct create *c, struct loop *loop,
		struct content *content, struct metainfo **mi,
		char why[WHY_BYTES])
{
	struct piecehash_cfg cfg = {
		.loop = loop,
		.content = content,
		.piece_bytes = c->piece_bytes,
		.kind = c->kind,
	};
	struct piecehash_result hashes = {0};
	struct buf torrent = {0};
	int r;

	if (cfg.piece_bytes == 0)
		cfg.piece_bytes = content_piece_bytes(content);
	r = content_layout(content, cfg.piece_bytes, c->kind, why);
	if (!r)
		r = piecehash_all(&cfg, &hashes, why);
	if (!r)
		r = encode(c, content, cfg.piece_bytes, &hashes, &torrent);
	if (!r)
		r = parse_torrent(buf_span(&torrent), mi, why);
	if (!r)
		r = write_torrent(c, content, buf_span(&torrent), why);
	piecehash_fini(&hashes);
	buf_fini(&torrent);
	return r;
}

int create_run(int argc, char **argv)
{
	char why[WHY_BYTES] = "";
	struct create c = {.kind = {true, true}, .want = CONTENT_EXEC};
	struct content content;
	struct metainfo *mi = NULL;
	struct loop *loop;
	int r;

	r = parse(&c, argc, argv);
	if (r)
		return r;
	r = loop_new(&loop);
	if (r)
		return fail(err_text(r));
	r = content_scan(loop, c.path, c.want, &content, why);
	if (!r)
		r = check_place(&c, &content, why);
	if (!r)
		r = make(&c, loop, &content, &mi, why);
	loop_free(loop);
	if (r)
		metainfo_free(mi);
	else
		r = seed_run(&(struct seed_cfg){.content = &content,
						.mi = mi,
						.trackers = c.trackers,
						.n_trackers = c.n_trackers,
						.net = &c.net,
						.stay = c.seed},
			     why);
	content_fini(&content);
	return r ? fail(why[0] ? why : err_text(r)) : 0;
}
