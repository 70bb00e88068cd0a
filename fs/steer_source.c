/* steer_source — what a request to add has in it: a .torrent file, a magnet
 * link, or an info-hash. */
#include "fs/steer_source.h"

#include <stdio.h>
#include <string.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/magnet.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "fs/library_source.h"
#include "fs/roster.h"

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

int steer_source(struct steer_request *r, struct library_source *out,
		 char why[STEER_WHY_BYTES])
{
	struct mi_error text = {.text = "out of memory"};
	int err = 0;

	if (r->file_len > 0) {
		out->raw = r->file;
		out->raw_len = r->file_len;
		r->file = NULL;
	} else {
		err = load_magnet(r, out, &text);
	}
	if (err != 0)
		(void)snprintf(why, STEER_WHY_BYTES, "magnet link: %.120s",
			       text.text);
	return err;
}
