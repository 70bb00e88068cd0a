/* steer_source — what a request to add has in it: a .torrent file in base64, a
 * magnet link, or an info-hash. */
#include "fs/steer_source.h"

#include <stdio.h>
#include <string.h>

#include "core/base64.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/magnet.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "fs/library_source.h"
#include "fs/mount_internal.h"
#include "fs/roster.h"

static int load_metainfo(struct mount *m, const struct steer_request *r,
			 struct library_source *src, struct mi_error *why)
{
	int err = base64_decode(r->metainfo, strlen(r->metainfo), &src->raw,
				&src->raw_len);

	if (err == EBADMSG)
		(void)snprintf(why->text, sizeof(why->text), "not base64");
	if (err == 0)
		err = metainfo_parse_file(src->raw, src->raw_len,
					  m->warmth.hasher, &src->mi, why);
	return err;
}

/* A bare hash is written down as the link that it stands for. */
static int load_magnet(const struct steer_request *r,
		       struct library_source *src, struct mi_error *why)
{
	struct buf link = {0};
	int err = 0;

	if (roster_name_is_hash(r->magnet))
		buf_addf(&link, "magnet:?xt=urn:%s%s",
			 strlen(r->magnet) == 2 * HASH_SHA1_BYTES ? "btih:"
								  : "btmh:1220",
			 r->magnet);
	else
		buf_add_str(&link, r->magnet);
	if (buf_cstr(&link) == NULL)
		err = ENOMEM;
	if (err == 0)
		err = magnet_parse((const char *)link.data, &src->magnet, why);
	if (err == 0) {
		src->raw = mem_dup(link.data, link.len);
		src->raw_len = link.len;
		err = src->raw != NULL ? 0 : ENOMEM;
	}
	buf_fini(&link);
	return err;
}

int steer_source(struct mount *m, const struct steer_request *r,
		 struct library_source *out, char why[STEER_WHY_BYTES])
{
	struct mi_error text = {.text = "out of memory"};
	bool is_file = r->metainfo != NULL;
	int err = is_file ? load_metainfo(m, r, out, &text)
			  : load_magnet(r, out, &text);

	if (err != 0)
		(void)snprintf(why, STEER_WHY_BYTES, "%s: %.120s",
			       is_file ? "not a valid torrent" : "magnet link",
			       text.text);
	return err;
}
