/* Preloaded into ggraft: writes down the calls that decide what a crash leaves behind, and makes one of them fail.
 *
 * GGRAFT_FAULT_TRACE   file to append a line to for each call, before it is made
 * GGRAFT_FAULT_STEP    number of the call (from 1) to interfere with
 * GGRAFT_FAULT_ACTION  errno that it fails with, or 0: the process is killed instead of making it
 * GGRAFT_FAULT_FLIP    a bit of this byte of every file changes when it was synced
 * GGRAFT_FAULT_NAMED   if set, there are no unnamed files on this file system
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int steps;

/* Says whether the call is to fail, with errno set. */
static int step(const char *call, const char *path) {
    char line[9000];
    int saved = errno, number = __atomic_add_fetch(&steps, 1, __ATOMIC_SEQ_CST);
    const char *trace = getenv("GGRAFT_FAULT_TRACE"), *fault = getenv("GGRAFT_FAULT_STEP");
    if (trace) {
        int fd = syscall(SYS_openat, AT_FDCWD, trace, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
        int len = snprintf(line, sizeof line, "%s %s\n", call, path);
        if (fd < 0 || write(fd, line, len) != len)
            abort();
        syscall(SYS_close, fd);
    }
    errno = saved;
    if (!fault || atoi(fault) != number)
        return 0;
    errno = atoi(getenv("GGRAFT_FAULT_ACTION"));
    if (errno == 0)
        raise(SIGKILL);
    return 1;
}

static const char *path_of(int fd, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, size - 1);
    path[len < 0 ? 0 : len] = 0;
    return path;
}

int fsync(int fd) {
    char path[4096], byte;
    struct stat found;
    int directory = fstat(fd, &found) == 0 && S_ISDIR(found.st_mode);
    if (step(directory ? "fsync-directory" : "fsync", path_of(fd, path, sizeof path)))
        return -1;
    int result = REAL(fsync)(fd);
    const char *flip = getenv("GGRAFT_FAULT_FLIP");
    if (flip && !directory && pread(fd, &byte, 1, atoll(flip)) == 1) {
        byte ^= 1;
        if (pwrite(fd, &byte, 1, atoll(flip)) != 1)
            abort();
    }
    return result;
}

/* Only of what is written to. */
int close(int fd) {
    char path[4096];
    struct stat found;
    int output = fstat(fd, &found) == 0 && S_ISREG(found.st_mode) && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR;
    int failed = output && step("close", path_of(fd, path, sizeof path));
    int reported = errno, result = syscall(SYS_close, fd);
    if (failed)
        errno = reported;
    return failed ? -1 : result;
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    return step("link", to) ? -1 : REAL(linkat)(from_dir, from, to_dir, to, flags);
}

int rename(const char *from, const char *to) {
    return step("rename", to) ? -1 : REAL(rename)(from, to);
}

int unlink(const char *path) {
    return step("unlink", path) ? -1 : REAL(unlink)(path);
}

static int open_file(const char *path, int flags, mode_t mode) {
    if ((flags & O_TMPFILE) == O_TMPFILE && getenv("GGRAFT_FAULT_NAMED")) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return open_file(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return open_file(path, flags | O_LARGEFILE, mode);
}
