/* requestlimit — the kernel cuts a connection one of whose requests is too old
 * (Linux 6.15, fs.fuse.*_request_timeout). */
#include "fs/requestlimit.h"

#include <stdio.h>

/* Seconds in a sysctl; 0 when there is none. */
static uint64_t read_sysctl_s(const char *path)
{
	unsigned long long v = 0;
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return 0;
	if (fscanf(f, "%llu", &v) != 1)
		v = 0;
	fclose(f);
	return v;
}

uint64_t requestlimit_us(void)
{
	uint64_t max = read_sysctl_s("/proc/sys/fs/fuse/max_request_timeout");
	uint64_t s = read_sysctl_s("/proc/sys/fs/fuse/default_request_timeout");

	if (max != 0 && (s == 0 || s > max))
		s = max;
	return s != 0 ? s * 750000 : UINT64_MAX;
}
