/* Preloaded into a server under test: while the file that FAILING_DISK names holds a word, calls on
 * LMDB's data file fail with EIO. "sync": fdatasync and fsync; "write": writes of pages
 * with data; "meta": writes of the two meta pages, after the data have been synced. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define META_BYTES 8192

static int told_to(const char *what, int fd) {
    const char *control = getenv("FAILING_DISK");
    char link[64], path[4096], word[16] = "";
    if (!control) return 0;
    int file = open(control, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t got = read(file, word, sizeof word - 1);
    close(file);
    if (got <= 0 || strcmp(word, what) != 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    const char *name = strrchr(path, '/');
    return name && strcmp(name, "/data.mdb") == 0;
}

static int write_fails(int fd, off_t at) {
    if (told_to(at < META_BYTES ? "meta" : "write", fd)) {
        errno = EIO;
        return 1;
    }
    return 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    return write_fails(fd, at) ? -1 : REAL(pwrite)(fd, bytes, count, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t at) {
    return write_fails(fd, at) ? -1 : REAL(pwrite)(fd, bytes, count, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    return write_fails(fd, at) ? -1 : REAL(pwritev)(fd, parts, count, at);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at) {
    return write_fails(fd, at) ? -1 : REAL(pwritev)(fd, parts, count, at);
}

int fdatasync(int fd) {
    if (told_to("sync", fd)) {
        errno = EIO;
        return -1;
    }
    return REAL(fdatasync)(fd);
}

int fsync(int fd) {
    if (told_to("sync", fd)) {
        errno = EIO;
        return -1;
    }
    return REAL(fsync)(fd);
}
