/* mounthelper — the letters of mount(8)'s helpers.
 *
 * They are not ours: -f is "do everything but the mount" there, and "stay in
 * front" here; -v and -n (no mtab) and -s (tolerate unknown options) say
 * nothing to us. We are strict with -s too: an option that is not known was
 * misspelt. */
#include "cmd/mounthelper.h"

#include <string.h>

static const char helper[] = "mount.shoalfs";

bool mounthelper_is(const char *argv0)
{
	const char *slash = argv0 != NULL ? strrchr(argv0, '/') : NULL;

	if (slash != NULL)
		argv0 = slash + 1;
	return argv0 != NULL && strcmp(argv0, helper) == 0;
}

/* The letters of one word. False: one is not mount(8)'s. */
static bool take_letters(const char *word, bool *is_fake)
{
	for (; *word != '\0'; word++) {
		if (!strchr("sfnvrw", *word))
			return false;
		*is_fake |= *word == 'f';
	}
	return true;
}

int mounthelper_words(int argc, char **argv, bool *is_fake)
{
	int n = 1;

	*is_fake = false;
	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];

		if (word[0] != '-' || word[1] == '\0' || word[1] == 'h' ||
		    word[1] == 'V') {
			argv[n++] = argv[i];
		} else if (strncmp(word, "-o", 2) == 0) {
			argv[n++] = argv[i];
			if (word[2] == '\0' && i + 1 < argc)
				argv[n++] = argv[++i];
		} else if (word[1] == 't' || word[1] == 'N') {
			i += word[2] == '\0';
		} else if (!take_letters(word + 1, is_fake)) {
			return -1;
		}
	}
	argv[n] = NULL;
	return n;
}
