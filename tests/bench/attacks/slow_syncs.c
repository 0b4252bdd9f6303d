/* Loaded into a program: each of its syncs takes SYNC_MS longer. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

static int slowly(const char *name, int file)
{
	struct timespec wait = { SYNC_MS / 1000, SYNC_MS % 1000 * 1000000L };
	int (*call)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);

	nanosleep(&wait, 0);
	return call(file);
}

int fsync(int file)
{
	return slowly("fsync", file);
}

int fdatasync(int file)
{
	return slowly("fdatasync", file);
}

int syncfs(int file)
{
	return slowly("syncfs", file);
}
