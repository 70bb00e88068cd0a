/* steer_request — a line of JSON, and nothing but what a verb may say.
 *
 * The parser is jansson's, which checks UTF-8, refuses a NUL within a string
 * and bounds its own depth; the line is bounded by steer.c. Each verb names the
 * keys it has; all of them must be there, but for a limit's, which come both
 * or not at all. */
#include "fs/steer_request.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/core_limits.h"
#include "core/mem.h"

static const struct {
	const char *name;
	bool has_path, has_torrent, may_have_rate, has_source, has_key,
		has_item, has_path_or_round;
} verbs[STEER_VERBS] = {
	[STEER_LS] = {.name = "ls"},
	[STEER_STATUS] = {.name = "status"},
	[STEER_WHY] = {.name = "why", .has_path = true},
	[STEER_PEERS] = {.name = "peers", .has_torrent = true},
	[STEER_PIN] = {.name = "pin", .has_path = true},
	[STEER_UNPIN] = {.name = "unpin", .has_path = true},
	[STEER_VERIFY] = {.name = "verify", .has_path_or_round = true},
	[STEER_LIMIT] = {.name = "limit", .may_have_rate = true},
	[STEER_ADD] = {.name = "add", .has_source = true},
	[STEER_RM] = {.name = "rm", .has_torrent = true},
	[STEER_KEY] = {.name = "key", .has_key = true},
	[STEER_PUBLISH] = {.name = "publish",
			   .has_key = true,
			   .has_item = true},
};

static int refuse(char why[STEER_WHY_BYTES], const char *what,
		  const char *which)
{
	(void)snprintf(why, STEER_WHY_BYTES, "%s%.100s", what, which);
	return EBADMSG;
}

static int find_verb(json_t *root, enum steer_verb *out,
		     char why[STEER_WHY_BYTES])
{
	const char *name = json_string_value(json_object_get(root, "verb"));
	unsigned v;

	if (name == NULL)
		return refuse(why, "a request is an object with a verb", "");
	for (v = 0; v < STEER_VERBS; v++) {
		if (strcmp(name, verbs[v].name) != 0)
			continue;
		*out = (enum steer_verb)v;
		return 0;
	}
	return refuse(why, "unknown verb ", name);
}

/* A string of the object; none that is empty. */
static int take_text(json_t *root, const char *key, const char **out,
		     size_t *n_keys, char why[STEER_WHY_BYTES])
{
	*out = json_string_value(json_object_get(root, key));
	if (*out == NULL)
		return refuse(why, "it takes a text: ", key);
	++*n_keys;
	return 0;
}

static int take_number(json_t *root, const char *key, int64_t *out,
		       size_t *n_keys, char why[STEER_WHY_BYTES])
{
	const json_t *j = json_object_get(root, key);

	if (!json_is_integer(j) || json_integer_value(j) < 0)
		return refuse(why, "it takes a number: ", key);
	*out = json_integer_value(j);
	++*n_keys;
	return 0;
}

static int take_file(json_t *root, struct steer_request *r, size_t *n_keys,
		     char why[STEER_WHY_BYTES])
{
	int64_t len;
	int err = take_number(root, "metainfo_bytes", &len, n_keys, why);

	if (err != 0)
		return err;
	if (len == 0 || len > METAINFO_MAX_BYTES)
		return refuse(why,
			      "not a valid torrent: no .torrent has so "
			      "many bytes",
			      "");
	r->file_len = (size_t)len;
	return 0;
}

static int take_source(json_t *root, struct steer_request *r, size_t *n_keys,
		       char why[STEER_WHY_BYTES])
{
	if (json_object_get(root, "data") != NULL) {
		int err = take_text(root, "data", &r->data, n_keys, why);

		if (err != 0)
			return err;
		if (r->data[0] != '/')
			return refuse(why, "data is an absolute path, not ",
				      r->data);
	}
	if (json_object_get(root, "metainfo_bytes") != NULL)
		return take_file(root, r, n_keys, why);
	return take_text(root, "magnet", &r->magnet, n_keys, why);
}

static int take_rate(json_t *root, struct steer_request *r, size_t *n_keys,
		     char why[STEER_WHY_BYTES])
{
	const json_t *rate = json_object_get(root, "Bps");
	const char *way;
	int err;

	if (rate == NULL && json_object_get(root, "way") == NULL)
		return 0;
	err = take_text(root, "way", &way, n_keys, why);
	if (err != 0)
		return err;
	if (strcmp(way, "down") != 0 && strcmp(way, "up") != 0)
		return refuse(why, "the way is down or up, not ", way);
	if (!json_is_integer(rate) || json_integer_value(rate) < 0)
		return refuse(why, "Bps is a number of bytes a second", "");
	++*n_keys;
	r->has_rate = true;
	r->is_up = strcmp(way, "up") == 0;
	r->Bps = (uint64_t)json_integer_value(rate);
	return 0;
}

static int take_item(json_t *root, struct steer_request *r, size_t *n_keys,
		     char why[STEER_WHY_BYTES])
{
	int err = take_text(root, "value", &r->value, n_keys, why);

	if (err == 0)
		err = take_text(root, "sig", &r->sig, n_keys, why);
	if (err == 0)
		err = take_number(root, "seq", &r->seq, n_keys, why);
	r->has_cas = json_object_get(root, "cas") != NULL;
	if (err == 0 && r->has_cas)
		err = take_number(root, "cas", &r->cas, n_keys, why);
	return err;
}

static int take_path_or_round(json_t *root, struct steer_request *r,
			      size_t *n_keys, char why[STEER_WHY_BYTES])
{
	if (json_object_get(root, "round") == NULL)
		return take_text(root, "path", &r->path, n_keys, why);
	return take_number(root, "round", &r->round, n_keys, why);
}

static int take(json_t *root, struct steer_request *r,
		char why[STEER_WHY_BYTES])
{
	size_t n_keys = 1;
	int err = find_verb(root, &r->verb, why);

	if (err == 0 && verbs[r->verb].has_path)
		err = take_text(root, "path", &r->path, &n_keys, why);
	if (err == 0 && verbs[r->verb].has_path_or_round)
		err = take_path_or_round(root, r, &n_keys, why);
	if (err == 0 && verbs[r->verb].has_torrent)
		err = take_text(root, "torrent", &r->torrent, &n_keys, why);
	if (err == 0 && verbs[r->verb].has_source)
		err = take_source(root, r, &n_keys, why);
	if (err == 0 && verbs[r->verb].may_have_rate)
		err = take_rate(root, r, &n_keys, why);
	if (err == 0 && verbs[r->verb].has_key)
		err = take_text(root, "key", &r->key, &n_keys, why);
	if (err == 0 && verbs[r->verb].has_item)
		err = take_item(root, r, &n_keys, why);
	if (err == 0 && json_object_size(root) != n_keys)
		err = refuse(why, "more than there is to say to ",
			     verbs[r->verb].name);
	return err;
}

int steer_request_decode(const char *line, size_t len,
			 struct steer_request *out, char why[STEER_WHY_BYTES])
{
	json_error_t error;
	json_t *root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
	int err;

	*out = (struct steer_request){.json = root, .data_fd = -1};
	if (root == NULL)
		return refuse(why, "not JSON: ", error.text);
	err = take(root, out, why);
	if (err != 0)
		steer_request_fini(out);
	return err;
}

void steer_request_fini(struct steer_request *r)
{
	json_decref(r->json);
	mem_free(r->file);
	*r = (struct steer_request){0};
}
