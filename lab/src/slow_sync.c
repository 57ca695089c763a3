/* Waits ten milliseconds before each sync, as a slow disk does. Built and preloaded by a bench, never shipped. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

static int after_a_while(int file, const char *name)
{
    const struct timespec ten_ms = {0, 10 * 1000 * 1000};
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    nanosleep(&ten_ms, 0);
    return real(file);
}

int fsync(int file) { return after_a_while(file, "fsync"); }
int fdatasync(int file) { return after_a_while(file, "fdatasync"); }
