/* replay — runs a fuzz target over every file of the directories or files
 * named, without libFuzzer: a corpus as a plain test. Fails when it finds no
 * file, so that a lost corpus does not look like a pass. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data;
	struct stat st;
	size_t len;

	if (!f || fstat(fileno(f), &st) != 0) {
		perror(path);
		exit(1);
	}
	/* Exactly the file's size, so that ASan sees one byte too many. */
	data = malloc(st.st_size > 0 ? (size_t)st.st_size : 1);
	if (!data)
		exit(1);
	len = fread(data, 1, (size_t)st.st_size, f);
	(void)LLVMFuzzerTestOneInput(data, len);
	free(data);
	(void)fclose(f);
	return 1;
}

static int replay_path(const char *path)
{
	struct stat st;
	struct dirent *e;
	char sub[4096];
	int n = 0;
	DIR *dir;

	if (stat(path, &st) != 0) {
		perror(path);
		exit(1);
	}
	if (!S_ISDIR(st.st_mode))
		return replay_file(path);
	dir = opendir(path);
	if (!dir)
		exit(1);
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name);
		n += replay_path(sub);
	}
	(void)closedir(dir);
	return n;
}

int main(int argc, char **argv)
{
	int n = 0;

	for (int i = 1; i < argc; i++)
		n += replay_path(argv[i]);
	printf("%d inputs\n", n);
	return n > 0 ? 0 : 1;
}
