/* Any line of the control socket is refused with a reason, or has exactly what
 * its verb takes. */
#include <stdint.h>
#include <stdlib.h>

#include "fs/steer_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(int ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char why[STEER_WHY_BYTES] = "";
	struct steer_request r;

	if (steer_request_decode((const char *)data, len, &r, why) != 0) {
		must(why[0] != '\0' && r.json == NULL);
		return 0;
	}
	must(r.verb < STEER_VERBS && r.json != NULL);
	must((r.path != NULL) == (r.verb == STEER_WHY || r.verb == STEER_PIN ||
				  r.verb == STEER_UNPIN));
	must((r.torrent != NULL) ==
	     (r.verb == STEER_PEERS || r.verb == STEER_RM));
	must((r.magnet != NULL) + (r.file_len > 0) == (r.verb == STEER_ADD));
	must((r.key != NULL) ==
	     (r.verb == STEER_KEY || r.verb == STEER_PUBLISH));
	must((r.value != NULL && r.sig != NULL) == (r.verb == STEER_PUBLISH));
	must(r.seq >= 0 && r.cas >= 0);
	must(!r.has_rate || (r.verb == STEER_LIMIT && r.Bps <= INT64_MAX));
	steer_request_fini(&r);
	return 0;
}
