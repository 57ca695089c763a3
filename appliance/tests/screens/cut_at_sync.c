/* Ends its process at a sync: the file that CUT_AT_SYNC names says how many syncs still pass. Built and preloaded by a
   test, never shipped. It writes "cut" there before it does. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static void count(void)
{
    char digits[16] = {0};
    const char *path = getenv("CUT_AT_SYNC");
    int file = path ? open(path, O_RDWR) : -1;
    long left;
    if (file < 0)
        return;
    if (read(file, digits, sizeof digits - 1) > 0) {
        left = atol(digits);
        if (left <= 0) {
            pwrite(file, "cut     ", 8, 0);
            kill(getpid(), SIGKILL);
        }
        snprintf(digits, sizeof digits, "%-8ld", left - 1);
        pwrite(file, digits, 8, 0);
    }
    close(file);
}

static int counted(int file, const char *name)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    pthread_mutex_lock(&turn);
    count();
    pthread_mutex_unlock(&turn);
    return real(file);
}

int fsync(int file) { return counted(file, "fsync"); }
int fdatasync(int file) { return counted(file, "fdatasync"); }
