/* ends — which files are read at both ends first.
 *
 * A player opens a film, reads its head, learns from it that the index is at
 * the end, reads that, and only then plays: two waits for the network one after
 * the other. When its first read comes both ends are asked for, and it waits
 * once. The same goes for archives, whose directory is at their end, and for
 * PDF.
 *
 * The name decides, for the content is not there yet, and when it is the time
 * is lost. Of a file with any other name nothing is fetched but what is read,
 * so that looking at the first byte of a data set costs one piece of it.
 *
 * ENDS_BYTES covers what players were seen to read: 64 KiB to 0.5 MiB at the
 * head, and at the end the index of two hours of film, some hundred KiB. */
#include "fs/ends.h"

#include <string.h>
#include <strings.h>

bool ends_matter(const char *name)
{
	static const char *const known[] = {
		"mkv", "mka",  "webm", "mp4", "m4v", "m4a",  "m4b",
		"mov", "qt",   "3gp",  "avi", "mxf", "ogg",  "ogv",
		"oga", "opus", "wmv",  "wma", "asf", "flv",  "mp3",
		"ape", "zip",  "cbz",  "7z",  "jar", "epub", "pdf",
	};
	const char *dot = strrchr(name, '.');

	if (dot == NULL || dot == name)
		return false;
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcasecmp(dot + 1, known[i]) == 0)
			return true;
	return false;
}

bool ends_are_near(uint64_t off_bytes, uint64_t size_bytes)
{
	return off_bytes < ENDS_BYTES || off_bytes + ENDS_BYTES >= size_bytes;
}
