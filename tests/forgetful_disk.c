/* An LD_PRELOAD shim: a disk that forgets what was not synced.
 *
 * Files below FORGETFUL_DIR are used as ever. Beside them, FORGETFUL_SHADOW is kept as the disk would be after a power
 * cut: fsync and fdatasync carry a file's written range and its length over; a new name, a new name of an old file and a
 * removed name are carried over when the file (except for removals) or its folder is synced. The shadow starts as a copy of
 * the folder, made by whoever starts the program. Files are told apart by inode, so that duplicated descriptors need no
 * care. With FORGETFUL_LIES set, a sync carries nothing over: the tests must notice that. Mappings are not watched: SQLite's -shm file is rebuilt after a crash anyway.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES 8192

struct file {
    ino_t inode;
    char name[PATH_MAX / 8];   /* below FORGETFUL_DIR; empty once unlinked */
    char shadow[PATH_MAX / 8]; /* below FORGETFUL_SHADOW; empty while the name is not durable */
    off_t from, to;            /* written since the last sync */
};

static struct file files[FILES];
static int used;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void fail(const char *what) {
    dprintf(2, "forgetful_disk: %s: %s\n", what, strerror(errno));
    abort();
}

static const char *dir(void) {
    static const char *value;
    if (!value) value = getenv("FORGETFUL_DIR");
    return value;
}

/* The part of a path below FORGETFUL_DIR, or NULL. */
static const char *below(const char *path) {
    size_t length = dir() ? strlen(dir()) : 0;
    if (!length || strncmp(path, dir(), length) != 0 || path[length] != '/') return NULL;
    return path + length + 1;
}

static void shadow_path(char *out, const char *name) {
    if (snprintf(out, PATH_MAX, "%s/%s", getenv("FORGETFUL_SHADOW"), name) >= PATH_MAX) abort();
}

static void make_parents(char *path) {
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(path, 0700) != 0 && errno != EEXIST) fail("mkdir");
        *slash = '/';
    }
}

static struct file *by_inode(ino_t inode) {
    for (int index = used - 1; index >= 0; index--)
        if (files[index].inode == inode && files[index].name[0]) return &files[index];
    return NULL;
}

static struct file *by_name(const char *name) {
    for (int index = used - 1; index >= 0; index--)
        if (files[index].name[0] && strcmp(files[index].name, name) == 0) return &files[index];
    return NULL;
}

static struct file *of(int fd) {
    struct stat status;
    if (!dir() || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return NULL;
    return by_inode(status.st_ino);
}

static void touched(struct file *file, off_t from, off_t to) {
    if (file->from >= file->to) file->from = from, file->to = to;
    if (from < file->from) file->from = from;
    if (to > file->to) file->to = to;
}

/* The name becomes durable; the content under it is what was synced before. */
static void link_shadow(struct file *file) {
    char now[PATH_MAX], before[PATH_MAX];
    if (strcmp(file->name, file->shadow) == 0) return;
    shadow_path(now, file->name);
    make_parents(now);
    for (int index = 0; index < used; index++)
        if (&files[index] != file && strcmp(files[index].shadow, file->name) == 0) files[index].shadow[0] = 0;
    if (file->shadow[0]) {
        shadow_path(before, file->shadow);
        if (REAL(rename)(before, now) != 0) fail("rename in the shadow");
    } else {
        int fd = REAL(open)(now, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (fd < 0) fail("open in the shadow");
        close(fd);
    }
    strcpy(file->shadow, file->name);
}

static void sync_file(int fd, struct file *file) {
    char path[PATH_MAX], buffer[65536];
    struct stat status;
    link_shadow(file);
    shadow_path(path, file->shadow);
    int shadow = REAL(open)(path, O_WRONLY);
    if (shadow < 0 || fstat(fd, &status) != 0) fail("open in the shadow");
    /* The descriptor may be write-only. */
    char own[64];
    snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
    int source = REAL(open)(own, O_RDONLY);
    if (source < 0) fail("open for reading");
    if (REAL(ftruncate)(shadow, status.st_size) != 0) fail("ftruncate in the shadow");
    off_t at = file->from, end = file->to < status.st_size ? file->to : status.st_size;
    while (at < end) {
        size_t want = end - at < (off_t)sizeof buffer ? (size_t)(end - at) : sizeof buffer;
        ssize_t got = pread(source, buffer, want, at);
        if (got <= 0) break;
        if (REAL(pwrite)(shadow, buffer, got, at) != got) fail("pwrite in the shadow");
        at += got;
    }
    file->from = file->to = 0;
    close(source);
    close(shadow);
}

static int is_child(const char *name, const char *folder) {
    size_t length = strlen(folder);
    const char *slash = strrchr(name, '/');
    size_t parent = slash ? (size_t)(slash - name) : 0;
    return name[0] && parent == length && strncmp(name, folder, length) == 0;
}

static void sync_folder(const char *folder) {
    char path[PATH_MAX];
    for (int index = 0; index < used; index++) {
        if (files[index].name[0] || !files[index].shadow[0] || !is_child(files[index].shadow, folder)) continue;
        shadow_path(path, files[index].shadow);
        if (REAL(unlink)(path) != 0 && errno != ENOENT) fail("unlink in the shadow");
        files[index].shadow[0] = 0;
    }
    for (int index = 0; index < used; index++)
        if (is_child(files[index].name, folder)) link_shadow(&files[index]);
}

static int synced(int fd, int (*real)(int)) {
    struct stat status;
    char own[64], path[PATH_MAX];
    if (!dir()) return real(fd);
    if (getenv("FORGETFUL_LIES")) return 0;
    if (fstat(fd, &status) != 0) return -1;
    pthread_mutex_lock(&lock);
    struct file *file = of(fd);
    if (file) sync_file(fd, file);
    if (S_ISDIR(status.st_mode)) {
        snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(own, path, sizeof path - 1);
        if (length > 0) {
            path[length] = 0;
            if (strcmp(path, dir()) == 0) sync_folder("");
            else if (below(path)) sync_folder(below(path));
        }
    }
    pthread_mutex_unlock(&lock);
    /* The machine itself does not crash: the real disk need not be waited for. */
    return 0;
}

int fsync(int fd) { return synced(fd, REAL(fsync)); }
int fdatasync(int fd) { return synced(fd, REAL(fdatasync)); }

static int opened(int (*real)(const char *, int, ...), const char *path, int flags, mode_t mode) {
    const char *name = below(path);
    if (!name || (flags & O_DIRECTORY)) return real(path, flags, mode);
    struct stat before, after;
    pthread_mutex_lock(&lock);
    int existed = stat(path, &before) == 0;
    int fd = real(path, flags, mode);
    int error = errno;
    if (fd >= 0 && fstat(fd, &after) == 0 && S_ISREG(after.st_mode)) {
        struct file *file = existed ? by_inode(after.st_ino) : NULL;
        if (!file) {
            if (used == FILES || strlen(name) >= sizeof file->name) abort();
            file = &files[used++];
            file->inode = after.st_ino;
            strcpy(file->name, name);
            strcpy(file->shadow, existed ? name : "");
            file->from = file->to = 0;
        }
        if (existed && (flags & O_TRUNC)) touched(file, 0, before.st_size);
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return fd;
}

static mode_t mode_of(int flags, va_list rest) { return (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0; }

#define OPEN(function)                                         \
    int function(const char *path, int flags, ...) {           \
        va_list rest;                                          \
        va_start(rest, flags);                                 \
        mode_t mode = mode_of(flags, rest);                    \
        va_end(rest);                                          \
        return opened(REAL(function), path, flags, mode);      \
    }
OPEN(open)
OPEN(open64)

static ssize_t wrote(int fd, ssize_t count, off_t at) {
    int error = errno;
    if (count > 0 && dir()) {
        pthread_mutex_lock(&lock);
        struct file *file = of(fd);
        if (file) {
            if (at < 0) at = lseek(fd, 0, SEEK_CUR) - count;
            touched(file, at, at + count);
        }
        pthread_mutex_unlock(&lock);
    }
    errno = error;
    return count;
}

ssize_t write(int fd, const void *data, size_t size) { return wrote(fd, REAL(write)(fd, data, size), -1); }
ssize_t writev(int fd, const struct iovec *data, int count) { return wrote(fd, REAL(writev)(fd, data, count), -1); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return wrote(fd, REAL(pwrite)(fd, data, size, at), at); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { return wrote(fd, REAL(pwrite64)(fd, data, size, at), at); }
ssize_t pwritev(int fd, const struct iovec *data, int count, off_t at) { return wrote(fd, REAL(pwritev)(fd, data, count, at), at); }
ssize_t pwritev64(int fd, const struct iovec *data, int count, off64_t at) { return wrote(fd, REAL(pwritev64)(fd, data, count, at), at); }

static int truncated(int fd, off_t length, int (*real)(int, off_t)) {
    struct stat before;
    if (!dir()) return real(fd, length);
    pthread_mutex_lock(&lock);
    struct file *file = fstat(fd, &before) == 0 ? of(fd) : NULL;
    int result = real(fd, length);
    if (result == 0 && file) touched(file, length < before.st_size ? length : before.st_size, length < before.st_size ? before.st_size : length);
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate(int fd, off_t length) { return truncated(fd, length, REAL(ftruncate)); }
int ftruncate64(int fd, off64_t length) { return truncated(fd, length, REAL(ftruncate64)); }

int rename(const char *from, const char *to) {
    pthread_mutex_lock(&lock);
    int result = REAL(rename)(from, to), error = errno;
    if (result == 0 && below(from) && below(to)) {
        struct file *moved = by_name(below(from)), *replaced = by_name(below(to));
        if (replaced && replaced != moved) replaced->name[0] = 0;
        if (moved) strcpy(moved->name, below(to));
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

int unlink(const char *path) {
    pthread_mutex_lock(&lock);
    int result = REAL(unlink)(path), error = errno;
    if (result == 0 && below(path)) {
        struct file *file = by_name(below(path));
        if (!file) {
            /* Never opened by this process: it was there at the start. */
            if (used == FILES || strlen(below(path)) >= sizeof file->name) abort();
            file = &files[used++];
            strcpy(file->shadow, below(path));
        }
        file->name[0] = 0;
        file->inode = 0;
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}
