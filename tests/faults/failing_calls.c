/* Preloaded by the tests: the n-th call that writes under a folder fails with a given errno, or ends the process. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int countdown = 0, seen = 0, code = 0;
static char folder[4096] = "";
static char watched[65536];

/* n: the call that fails, from 1. error: its errno; 0 ends the process, as a kill would. */
void fail_arm(int n, int error, const char *under) {
    strncpy(folder, under, sizeof folder - 1);
    countdown = n; code = error; seen = 0;
}
int fail_seen(void) { folder[0] = 0; return seen; }

static int under(const char *path) { return folder[0] && path && strncmp(path, folder, strlen(folder)) == 0; }
static int hit(void) {
    seen++;
    if (seen != countdown) return 0;
    if (code == 0) _exit(137);
    errno = code;
    return 1;
}
#define REAL(type, name, ...) static type (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, #name)

#define OPEN(name) \
int name(const char *path, int flags, ...) { \
    REAL(int, name, const char *, int, ...); \
    va_list list; va_start(list, flags); mode_t mode = va_arg(list, mode_t); va_end(list); \
    int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT), mine = under(path); \
    if (mine && writes && hit()) return -1; \
    int fd = real(path, flags, mode); \
    if (fd >= 0 && fd < (int)sizeof watched) watched[fd] = mine; \
    return fd; \
}
OPEN(open)
OPEN(open64)
ssize_t write(int fd, const void *data, size_t n) {
    REAL(ssize_t, write, int, const void *, size_t);
    if (folder[0] && fd >= 0 && fd < (int)sizeof watched && watched[fd] && hit()) return -1;
    return real(fd, data, n);
}
int fsync(int fd) {
    REAL(int, fsync, int);
    if (folder[0] && fd >= 0 && fd < (int)sizeof watched && watched[fd] && hit()) return -1;
    return real(fd);
}
int close(int fd) {
    REAL(int, close, int);
    if (fd >= 0 && fd < (int)sizeof watched) watched[fd] = 0;
    return real(fd);
}
int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *);
    if (under(from) && hit()) return -1;
    return real(from, to);
}
int mkdir(const char *path, mode_t mode) {
    REAL(int, mkdir, const char *, mode_t);
    if (under(path) && hit()) return -1;
    return real(path, mode);
}
