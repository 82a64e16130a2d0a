/* Preloaded into ggraft: writes down the calls it makes of the operating system, and makes one of them fail.
 *
 * GGRAFT_FAULT_TRACE   file to append a line to for each call, before it is made: its number, its kind, its path
 * GGRAFT_FAULT_ALL     if set, all calls count; by default only those that decide what a crash leaves behind
 * GGRAFT_FAULT_STEP    number of the call (from 1) to interfere with
 * GGRAFT_FAULT_ACTION  errno that it fails with; 0: the process is killed instead of making it;
 *                      -1: it reads or writes only half; -2: it reads or writes nothing, as at the end of a file;
 *                      -3: it is asked to stop (SIGTERM), and the call made
 * GGRAFT_FAULT_FLIP    a bit of this byte of every file changes when it was synced
 * GGRAFT_FAULT_NAMED   if set, there are no unnamed files on this file system
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
/* Not `syscall`, which is among the calls. */
#define kernel REAL(syscall)

enum { HALF = -1, NOTHING = -2, INTERRUPT = -3 };

static int steps;

/* Nothing that is tested takes that long. */
__attribute__((constructor)) static void do_not_hang(void) {
    alarm(120);
}

/* What is to become of this call: 0, HALF, NOTHING, or 1 to fail with errno set. */
static int interfere(const char *call, const char *path) {
    char line[9000];
    int saved = errno, number = __atomic_add_fetch(&steps, 1, __ATOMIC_SEQ_CST);
    const char *trace = getenv("GGRAFT_FAULT_TRACE"), *fault = getenv("GGRAFT_FAULT_STEP");
    if (trace) {
        int fd = kernel(SYS_openat, AT_FDCWD, trace, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
        int len = snprintf(line, sizeof line, "%d %s %s\n", number, call, path);
        if (fd < 0 || kernel(SYS_write, fd, line, len) != len)
            abort();
        kernel(SYS_close, fd);
    }
    errno = saved;
    if (!fault || atoi(fault) != number)
        return 0;
    int action = atoi(getenv("GGRAFT_FAULT_ACTION"));
    if (action == INTERRUPT) {
        raise(SIGTERM);
        errno = saved;
        return 0;
    }
    if (action < 0)
        return action;
    errno = action;
    if (errno == 0)
        raise(SIGKILL);
    return 1;
}

/* A call that decides what a crash leaves behind. Says whether it is to fail. */
static int step(const char *call, const char *path) {
    return interfere(call, path) == 1;
}

/* Any other call. */
static int other(const char *call, const char *path) {
    return getenv("GGRAFT_FAULT_ALL") ? interfere(call, path) : 0;
}

static const char *path_of(int fd, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = kernel(SYS_readlink, link, path, size - 1);
    path[len < 0 ? 0 : len] = 0;
    return path;
}

static int other_fd(const char *call, int fd) {
    char path[4096];
    return getenv("GGRAFT_FAULT_ALL") ? interfere(call, path_of(fd, path, sizeof path)) : 0;
}

/* -- What a crash leaves behind -- */

static mode_t mode_of(int fd) {
    struct stat found;
    return REAL(fstat)(fd, &found) == 0 ? found.st_mode : 0;
}

int fsync(int fd) {
    char path[4096], byte;
    int directory = S_ISDIR(mode_of(fd));
    if (step(directory ? "fsync-directory" : "fsync", path_of(fd, path, sizeof path)))
        return -1;
    int result = REAL(fsync)(fd);
    const char *flip = getenv("GGRAFT_FAULT_FLIP");
    if (flip && !directory && kernel(SYS_pread64, fd, &byte, 1, atoll(flip)) == 1) {
        byte ^= 1;
        if (kernel(SYS_pwrite64, fd, &byte, 1, atoll(flip)) != 1)
            abort();
    }
    return result;
}

/* Of what is written to. */
int close(int fd) {
    char path[4096];
    int output = S_ISREG(mode_of(fd)) && (kernel(SYS_fcntl, fd, F_GETFL) & O_ACCMODE) == O_RDWR;
    int failed = output ? step("close", path_of(fd, path, sizeof path)) : other_fd("close-other", fd) == 1;
    int reported = errno, result = kernel(SYS_close, fd);
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

/* -- Names -- */

static int open_file(const char *path, int flags, mode_t mode) {
    int unnamed = (flags & O_TMPFILE) == O_TMPFILE;
    if (unnamed && getenv("GGRAFT_FAULT_NAMED")) {
        errno = EOPNOTSUPP;
        return -1;
    }
    if (other(unnamed || flags & O_CREAT ? "create" : flags & O_PATH ? "open-to-look" : "open", path) == 1)
        return -1;
    return kernel(SYS_openat, AT_FDCWD, path, flags, mode);
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

int mkdir(const char *path, mode_t mode) {
    return other("mkdir", path) == 1 ? -1 : REAL(mkdir)(path, mode);
}

int rmdir(const char *path) {
    return other("rmdir", path) == 1 ? -1 : REAL(rmdir)(path);
}

ssize_t readlink(const char *path, char *target, size_t size) {
    return other("readlink", path) == 1 ? -1 : REAL(readlink)(path, target, size);
}

char *realpath(const char *path, char *resolved) {
    return other("realpath", path) == 1 ? NULL : REAL(realpath)(path, resolved);
}

DIR *opendir(const char *path) {
    return other("opendir", path) == 1 ? NULL : REAL(opendir)(path);
}

struct dirent64 *readdir64(DIR *dir) {
    return other_fd("readdir", dirfd(dir)) == 1 ? NULL : REAL(readdir64)(dir);
}

/* -- What files are -- */

int statx(int dir, const char *path, int flags, unsigned mask, struct statx *found) {
    /* Whether there is this call is asked by one that cannot succeed, which its declaration does not foresee. */
    const char *volatile given = path;
    if (!given)
        return REAL(statx)(dir, path, flags, mask, found);
    int failed = *path ? other("stat", path) : other_fd("fstat", dir);
    return failed == 1 ? -1 : REAL(statx)(dir, path, flags, mask, found);
}

int stat64(const char *path, struct stat64 *found) {
    return other("stat", path) == 1 ? -1 : REAL(stat64)(path, found);
}

int lstat64(const char *path, struct stat64 *found) {
    return other("stat", path) == 1 ? -1 : REAL(lstat64)(path, found);
}

int fstat64(int fd, struct stat64 *found) {
    return other_fd("fstat", fd) == 1 ? -1 : REAL(fstat64)(fd, found);
}

int fstatfs64(int fd, struct statfs64 *found) {
    return other_fd("statfs", fd) == 1 ? -1 : REAL(fstatfs64)(fd, found);
}

int fstatvfs(int fd, struct statvfs *found) {
    return other_fd("statvfs", fd) == 1 ? -1 : REAL(fstatvfs)(fd, found);
}

int fchmod(int fd, mode_t mode) {
    return other_fd("fchmod", fd) == 1 ? -1 : REAL(fchmod)(fd, mode);
}

int fchown(int fd, uid_t user, gid_t group) {
    return other_fd("fchown", fd) == 1 ? -1 : REAL(fchown)(fd, user, group);
}

int flock(int fd, int operation) {
    return other_fd("flock", fd) == 1 ? -1 : REAL(flock)(fd, operation);
}

int fcntl(int fd, int command, ...) {
    va_list rest;
    va_start(rest, command);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    if (command == F_DUPFD_CLOEXEC && other_fd("dup", fd) == 1)
        return -1;
    return REAL(fcntl)(fd, command, argument);
}

/* -- What is in them -- */

/* How much of `size` is to be read or written, or -1. Half of a byte is a byte. */
static ssize_t part(int action, size_t size) {
    return action == 1 ? -1 : action == NOTHING ? 0 : action == HALF ? (ssize_t)(size + 1) / 2 : (ssize_t)size;
}

ssize_t read(int fd, void *buffer, size_t size) {
    ssize_t now = part(other_fd("read", fd), size);
    return now < 0 ? -1 : kernel(SYS_read, fd, buffer, now);
}

ssize_t pread64(int fd, void *buffer, size_t size, off64_t at) {
    ssize_t now = part(other_fd("pread", fd), size);
    return now < 0 ? -1 : kernel(SYS_pread64, fd, buffer, now, at);
}

ssize_t write(int fd, const void *buffer, size_t size) {
    ssize_t now = part(other_fd("write", fd), size);
    return now <= 0 ? now : kernel(SYS_write, fd, buffer, now);
}

ssize_t pwrite64(int fd, const void *buffer, size_t size, off64_t at) {
    ssize_t now = part(other_fd("pwrite", fd), size);
    return now <= 0 ? now : kernel(SYS_pwrite64, fd, buffer, now, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    int action = other_fd("write", fd);
    return action == 1 ? -1 : action == NOTHING ? 0 : kernel(SYS_writev, fd, parts, action == HALF ? 1 : count);
}

int ftruncate64(int fd, off64_t size) {
    return other_fd("ftruncate", fd) == 1 ? -1 : REAL(ftruncate64)(fd, size);
}

off64_t lseek64(int fd, off64_t at, int whence) {
    return other_fd("lseek", fd) == 1 ? -1 : REAL(lseek64)(fd, at, whence);
}

off_t lseek(int fd, off_t at, int whence) {
    return other_fd("lseek", fd) == 1 ? -1 : REAL(lseek)(fd, at, whence);
}

int ioctl(int fd, unsigned long request, ...) {
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    const char *call = request == FICLONERANGE ? "clone" : (request & 0xffff) == 0x660b ? "fiemap" : "ioctl";
    return other_fd(call, fd) == 1 ? -1 : kernel(SYS_ioctl, fd, request, argument);
}

long syscall(long number, ...) {
    long a[6];
    va_list rest;
    va_start(rest, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(rest, long);
    va_end(rest);
    if (number == SYS_copy_file_range) {
        ssize_t now = part(other_fd("copy_file_range", a[2]), a[4]);
        if (now <= 0)
            return now;
        a[4] = now;
    }
    return kernel(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int posix_fadvise64(int fd, off64_t at, off64_t size, int advice) {
    return other_fd("fadvise", fd) == 1 || kernel(SYS_fadvise64, fd, at, size, advice) < 0 ? errno : 0;
}

int posix_fadvise(int fd, off_t at, off_t size, int advice) {
    return posix_fadvise64(fd, at, size, advice);
}

int sync_file_range(int fd, off64_t at, off64_t size, unsigned flags) {
    return other_fd("sync_file_range", fd) == 1 ? -1 : REAL(sync_file_range)(fd, at, size, flags);
}

/* -- The process -- */

int madvise(void *at, size_t size, int advice) {
    return other("madvise", "") == 1 ? -1 : REAL(madvise)(at, size, advice);
}

int getrlimit(__rlimit_resource_t resource, struct rlimit *limit) {
    return other("getrlimit", "") == 1 ? -1 : REAL(getrlimit)(resource, limit);
}

int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit) {
    return other("setrlimit", "") == 1 ? -1 : REAL(setrlimit)(resource, limit);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *), void *argument) {
    return other("thread", "") == 1 ? EAGAIN : REAL(pthread_create)(thread, how, run, argument);
}
