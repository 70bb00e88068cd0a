/* content — walking a tree without recursion. Each directory is listed and
 * sorted by name, files and directories alike, and so "a-b" comes before "a/c"
 * as it must: elements are compared, not the joined text. The order of full
 * paths is then the one that other makers of torrents use too.
 *
 * The list comes first, by what directories say of their entries, and then the
 * sizes of all files, by all cores (content_job.c): of many small files, asking
 * for each costs as much as hashing it.
 *
 * Symlinks (BEP 47). A torrent states a target from its own top. So a link's
 * text is resolved against the directory it lies in, as text: what the names
 * on the way are is not looked at, and a target that is not there may come
 * later. One that leaves the tree, or is the tree itself, cannot be stated.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/content.h"
#include "cmd/content_internal.h"
#include "cmd/content_job.h"
#include "core/buf.h"
#include "core/core_limits.h"
#include "core/err.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/metainfo.h"

struct entry {
	union {
		size_t off; /* in names, while that grows */
		const char *name;
	};
	unsigned char type; /* DT_… */
};

/* A directory that is walked. */
struct level {
	struct buf names; /* what the entries' names lie in */
	struct entry *entries;
	uint32_t n, cap, next;
	size_t rel_len; /* of its own path */
};

struct scan {
	struct content *c;
	unsigned want;
	uint32_t cap;
	uint32_t n_unasked; /* links left out since nobody asked for any */
	uint32_t n_outside; /* links that lead out of the tree */
	/* the walk */
	int top_fd;
	char rel[PATH_MAX]; /* below the top */
	struct level *levels;
	uint32_t n_levels, cap_levels;
};

/* ---- paths ---- */

static uint32_t count_parts(const char *path)
{
	uint32_t n = 1;

	for (const char *p = path; *p; p++)
		n += *p == '/';
	return n;
}

/* "a/b/c", and its elements, in one block of memory: there may be millions. */
int content_set_path(struct content_file *f, const char *rel)
{
	size_t len = strlen(rel) + 1;
	uint32_t n = count_parts(rel), i = 0;
	char *text;

	f->path = mem_alloc(n * sizeof(*f->path) + 2 * len);
	if (!f->path)
		return ENOMEM;
	text = (char *)(f->path + n);
	memcpy(text, rel, len);
	f->rel = text;
	text += len;
	memcpy(text, rel, len);
	f->n_path = n;
	f->path[i++] = text;
	for (; *text; text++) {
		if (*text != '/')
			continue;
		*text = '\0';
		f->path[i++] = text + 1;
	}
	return 0;
}

/* Where a link at `f` with this text leads, into f->link; n_link is 0 when that
 * is not below the top. */
static int resolve(const struct content *c, struct content_file *f,
		   const char *text)
{
	size_t root_len = strlen(c->root);
	uint32_t n = f->n_path - 1; /* the directories above it */
	char *rest;

	if (text[0] == '/') {
		if (strncmp(text, c->root, root_len) != 0 ||
		    text[root_len] != '/')
			return 0;
		text += root_len;
		n = 0;
	}
	f->link_split = mem_strdup(text);
	f->link = mem_zalloc(n + count_parts(text), sizeof(*f->link));
	if (!f->link_split || !f->link)
		return ENOMEM;
	memcpy(f->link, f->path, n * sizeof(*f->link));
	for (char *word = strtok_r(f->link_split, "/", &rest); word;
	     word = strtok_r(NULL, "/", &rest)) {
		if (strcmp(word, ".") == 0)
			continue;
		if (strcmp(word, "..") != 0)
			f->link[n++] = word;
		else if (n-- == 0)
			return 0;
	}
	f->n_link = n;
	return 0;
}

/* ---- the list ---- */

int content_add_entry(struct content_file **files, uint32_t *n, uint32_t *cap,
		      struct content_file **out)
{
	struct content_file *grown;

	if (*n == METAINFO_MAX_FILES)
		return E2BIG;
	if (*n == *cap) {
		uint32_t more = *cap ? *cap * 2 : 64;

		grown = mem_grow(*files, more, sizeof(**files));
		if (!grown)
			return ENOMEM;
		*files = grown;
		*cap = more;
	}
	*out = &(*files)[(*n)++];
	memset(*out, 0, sizeof(**out));
	return 0;
}

void content_drop_entry(struct content_file *f)
{
	mem_free(f->path);
	mem_free(f->link_split);
	mem_free(f->link);
}

static int add_file(struct scan *s, const char *rel, struct content_file **out)
{
	int r = content_add_entry(&s->c->files, &s->c->n_files, &s->cap, out);

	return r ? r : content_set_path(*out, rel);
}

static int add_link(struct scan *s)
{
	char text[PATH_MAX];
	struct content_file *f;
	ssize_t n;
	int r;

	if (!(s->want & CONTENT_LINKS)) {
		s->n_unasked++;
		return 0;
	}
	n = readlinkat(s->top_fd, s->rel, text, sizeof(text));
	if (n < 0 || n == (ssize_t)sizeof(text))
		return n < 0 ? errno : ENAMETOOLONG;
	text[n] = '\0';
	r = add_file(s, s->rel, &f);
	if (r == 0)
		r = resolve(s->c, f, text);
	if (r != 0)
		return r;
	f->attr |= MI_ATTR_SYMLINK;
	if (s->want & CONTENT_EXEC) /* as the mode of every link says */
		f->attr |= MI_ATTR_EXEC;
	if (f->n_link == 0) {
		content_drop_entry(f);
		s->c->n_files--;
		s->n_outside++;
	}
	return 0;
}

/* ---- the walk ---- */

static int by_name(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int list_one(struct level *lv, const struct dirent *d)
{
	if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
		return 0;
	if (lv->n == lv->cap) {
		uint32_t more = lv->cap ? lv->cap * 2 : 64;
		struct entry *grown =
			mem_grow(lv->entries, more, sizeof(*grown));

		if (!grown)
			return ENOMEM;
		lv->entries = grown;
		lv->cap = more;
	}
	lv->entries[lv->n++] =
		(struct entry){.off = lv->names.len, .type = d->d_type};
	buf_add(&lv->names, d->d_name, strlen(d->d_name) + 1);
	return buf_err(&lv->names);
}

static int list_dir(struct level *lv, int fd)
{
	const struct dirent *d;
	DIR *dir = fdopendir(fd);
	int r = 0;

	if (!dir) {
		r = errno;
		(void)close(fd);
		return r;
	}
	while (r == 0 && (errno = 0, d = readdir(dir)) != NULL)
		r = list_one(lv, d);
	if (r == 0)
		r = errno;
	(void)closedir(dir);
	for (uint32_t i = 0; i < lv->n; i++)
		lv->entries[i].name =
			(const char *)lv->names.data + lv->entries[i].off;
	if (r == 0 && lv->n > 1)
		qsort(lv->entries, lv->n, sizeof(*lv->entries), by_name);
	return r;
}

/* The directory s->rel, or the top. */
static int enter(struct scan *s)
{
	struct level *lv;
	int fd;

	if (s->n_levels == s->cap_levels) {
		uint32_t more = s->cap_levels ? s->cap_levels * 2 : 16;

		lv = mem_grow(s->levels, more, sizeof(*lv));
		if (!lv)
			return ENOMEM;
		s->levels = lv;
		s->cap_levels = more;
	}
	fd = openat(s->top_fd, s->rel[0] ? s->rel : ".",
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno;
	lv = &s->levels[s->n_levels++];
	*lv = (struct level){.rel_len = strlen(s->rel)};
	return list_dir(lv, fd);
}

static void leave(struct scan *s)
{
	struct level *lv = &s->levels[--s->n_levels];

	mem_free(lv->entries);
	buf_fini(&lv->names);
}

/* File systems need not say what an entry is. */
static int find_type(const struct scan *s, unsigned char *type)
{
	struct stat sb;

	if (*type != DT_UNKNOWN)
		return 0;
	if (fstatat(s->top_fd, s->rel, &sb, AT_SYMLINK_NOFOLLOW) != 0)
		return errno;
	*type = (unsigned char)IFTODT(sb.st_mode);
	return 0;
}

static int visit(struct scan *s, unsigned char type)
{
	struct content_file *f;
	int r = find_type(s, &type);

	if (r != 0)
		return r;
	switch (type) {
	case DT_REG:
		return add_file(s, s->rel, &f);
	case DT_LNK:
		return add_link(s);
	case DT_DIR:
		return enter(s);
	default:
		log_warn("%s/%s: left out: not a file or directory", s->c->root,
			 s->rel);
		return 0;
	}
}

/* The next entry of the innermost directory, or its end. */
static int walk_on(struct scan *s)
{
	struct level *lv = &s->levels[s->n_levels - 1];
	size_t at = lv->rel_len;
	const struct entry *e;
	int r;

	if (lv->next == lv->n) {
		leave(s);
		return 0;
	}
	e = &lv->entries[lv->next++];
	if (at + 1 + strlen(e->name) >= sizeof(s->rel))
		return ENAMETOOLONG;
	if (at > 0)
		s->rel[at++] = '/';
	memcpy(s->rel + at, e->name, strlen(e->name) + 1);
	r = visit(s, e->type);
	if (r != 0)
		log_err("%s/%s: %s", s->c->root, s->rel, err_text(r));
	return r;
}

static int walk(struct scan *s)
{
	int r = enter(s);

	while (r == 0 && s->n_levels > 0)
		r = walk_on(s);
	while (s->n_levels > 0)
		leave(s);
	mem_free(s->levels);
	return r;
}

/* ---- sizes ---- */

struct sizes {
	struct scan *s;
	struct loop *loop;
	struct workers *workers;
	uint32_t next; /* file */
	unsigned n_out;
	int err;
};

static void submit_next(struct sizes *z, struct content_job *cj)
{
	uint32_t left = z->s->c->n_files - z->next;

	cj->files = z->s->c->files + z->next;
	cj->n = left < CONTENT_JOB_FILES ? left : CONTENT_JOB_FILES;
	z->next += cj->n;
	z->n_out++;
	workers_submit(z->workers, &cj->job);
}

static void content_on_sizes(struct job *job)
{
	struct content_job *cj = (struct content_job *)job;
	struct sizes *z = cj->owner;

	z->n_out--;
	if (cj->err && !z->err) {
		z->err = cj->err;
		log_err("%s/%s: %s", z->s->c->root, cj->err_rel,
			err_text(cj->err));
	}
	if (!z->err && z->next < z->s->c->n_files)
		submit_next(z, cj);
	else if (z->n_out == 0)
		loop_stop(z->loop);
}

/* Two jobs a thread: one waits while the other runs. */
static int ask_sizes(struct sizes *z)
{
	unsigned n = workers_cores();
	struct content_job *jobs = mem_zalloc(2 * (size_t)n, sizeof(*jobs));
	int r = jobs ? workers_new(z->loop, n, "scan", &z->workers) : ENOMEM;

	for (unsigned i = 0; r == 0 && i < 2 * n && z->next < z->s->c->n_files;
	     i++) {
		jobs[i] = (struct content_job){
			.job = {.run = content_job_run,
				.done = content_on_sizes},
			.top_fd = z->s->top_fd,
			.wants_exec = (z->s->want & CONTENT_EXEC) != 0,
			.owner = z,
		};
		submit_next(z, &jobs[i]);
	}
	if (r == 0 && z->n_out > 0)
		r = loop_run(z->loop);
	workers_free(z->workers);
	mem_free(jobs);
	return r ? r : z->err;
}

static int add_up(struct content *c)
{
	for (uint32_t i = 0; i < c->n_files; i++) {
		c->files[i].off_bytes = c->total_bytes;
		c->total_bytes += c->files[i].len_bytes;
		if (c->total_bytes > (uint64_t)METAINFO_MAX_TOTAL_BYTES)
			return EFBIG;
	}
	return 0;
}

/* ---- the whole ---- */

static void say_left_out(const struct scan *s)
{
	if (s->n_unasked > 0)
		log_warn("%s: %u symbolic links left out: --symlinks keeps "
			 "those that stay inside",
			 s->c->root, s->n_unasked);
	if (s->n_outside > 0)
		log_warn("%s: %u symbolic links left out: they lead outside",
			 s->c->root, s->n_outside);
}

static int scan_tree(struct scan *s, struct loop *loop)
{
	int r = walk(s);

	if (r == 0 && s->c->n_files > 0)
		r = ask_sizes(&(struct sizes){.s = s, .loop = loop});
	if (r == 0)
		say_left_out(s);
	return r;
}

/* A file, or all that is in a directory. */
static int scan(struct scan *s, struct loop *loop)
{
	struct content *c = s->c;
	struct content_file *f;
	struct stat sb;
	int r;

	if (stat(c->root, &sb) != 0)
		return errno;
	if (S_ISDIR(sb.st_mode)) {
		s->top_fd = open(c->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (s->top_fd < 0)
			return errno;
		r = scan_tree(s, loop);
		(void)close(s->top_fd);
	} else if (S_ISREG(sb.st_mode)) {
		c->is_single = true;
		r = add_file(s, c->name, &f);
		if (r == 0)
			content_job_note(f, &sb, (s->want & CONTENT_EXEC) != 0);
	} else {
		log_warn("%s: not a file or directory", c->root);
		return ENODATA;
	}
	return r ? r : add_up(c);
}

int content_scan(struct loop *loop, const char *path, unsigned want,
		 struct content *c, char why[WHY_BYTES])
{
	struct scan s = {.c = c, .want = want};
	char real[PATH_MAX];
	const char *slash;
	int r;

	memset(c, 0, sizeof(*c));
	if (!realpath(path, real)) {
		r = errno;
		goto fail;
	}
	slash = strrchr(real, '/');
	c->root = mem_strdup(real);
	c->name = mem_strdup(slash[1] ? slash + 1 : "root");
	r = c->root && c->name ? scan(&s, loop) : ENOMEM;
	if (!r && c->total_bytes == 0)
		r = ENODATA;
	if (!r)
		return 0;
fail:
	(void)snprintf(why, WHY_BYTES, "%.200s: %s", path,
		       r == ENODATA ? "there is not one byte in it"
				    : err_text(r));
	content_fini(c);
	return r;
}

void content_fini(struct content *c)
{
	for (uint32_t i = 0; i < c->n_files; i++)
		content_drop_entry(&c->files[i]);
	mem_free(c->files);
	mem_free(c->root);
	mem_free(c->name);
	memset(c, 0, sizeof(*c));
}
