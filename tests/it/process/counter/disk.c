/* What a full disk and a broken one do, to a program that is started with this as its
 * LD_PRELOAD: while the file that DISK_FULL names exists, files take no more bytes, and
 * while that of DISK_BROKEN does, nothing that was written is synced. No file becomes longer
 * than DISK_MOST bytes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int is_on(const char *variable, int fd) {
    const char *path = getenv(variable);
    struct stat file;
    int before = errno;
    int on = path && access(path, F_OK) == 0 && fstat(fd, &file) == 0 && S_ISREG(file.st_mode);
    errno = before;
    return on;
}

/* How much of a write is done; 0 if it fails. Half of it, and half of what is tried then:
 * so that it ends in the middle. */
static size_t room(int fd, size_t bytes) {
    if (!is_on("DISK_FULL", fd)) return bytes;
    return bytes < 512 ? 0 : bytes / 2;
}

/* How much of a write so far into a file is done. */
static size_t room_at(int fd, size_t bytes, off64_t at) {
    const char *most = getenv("DISK_MOST");
    off64_t left = most ? atoll(most) - at : (off64_t)bytes;
    size_t fit = left < 0 ? 0 : left < (off64_t)bytes ? (size_t)left : bytes;
    return room(fd, fit);
}

static int fails(int error) {
    errno = error;
    return -1;
}

ssize_t write(int fd, const void *from, size_t bytes) {
    size_t fit = room(fd, bytes);
    return fit || !bytes ? REAL(write)(fd, from, fit) : fails(ENOSPC);
}

ssize_t pwrite(int fd, const void *from, size_t bytes, off_t at) {
    size_t fit = room_at(fd, bytes, at);
    return fit || !bytes ? REAL(pwrite)(fd, from, fit, at) : fails(ENOSPC);
}

ssize_t pwrite64(int fd, const void *from, size_t bytes, off64_t at) {
    size_t fit = room_at(fd, bytes, at);
    return fit || !bytes ? REAL(pwrite64)(fd, from, fit, at) : fails(ENOSPC);
}

int fsync(int fd) {
    return is_on("DISK_BROKEN", fd) ? fails(EIO) : REAL(fsync)(fd);
}

int fdatasync(int fd) {
    return is_on("DISK_BROKEN", fd) ? fails(EIO) : REAL(fdatasync)(fd);
}
