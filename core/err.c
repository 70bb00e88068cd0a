/* err — texts for the one error currency.
 *
 * The values that mean something particular in this program get a text of
 * their own: "Bad message" tells nobody that a hash did not match. All others
 * are libc's. Every text is a constant, so a lent one never goes stale and
 * any thread may ask. */
#include "core/err.h"

#include <stddef.h>
#include <string.h>

const char *err_text(int err)
{
	const char *text;

	switch (err) {
	case 0:
		return "no error";
	case ENOENT:
		return "not found";
	case EAGAIN:
		return "would have to wait";
	case EBADMSG:
		return "malformed data, or data that does not match its hash";
	case EPROTO:
		return "the other side broke the protocol";
	case EFBIG:
		return "larger than a limit allows";
	case ETIMEDOUT:
		return "a deadline passed";
	case ESTALE:
		return "the torrent was closed";
	case ESHUTDOWN:
		return "the program is ending";
	case EIO:
		return "input/output error";
	case ENOMEM:
		return "out of memory";
	}
	text = strerrordesc_np(err);
	return text ? text : "unknown error";
}
