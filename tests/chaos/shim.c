/* What LD_PRELOAD puts between a program and its files and clock.

   CHAOS_CONTROL is a file of 64-bit numbers (see shim.py), shared by all processes and by the test
   that sets them. CHAOS_PLACES are folders, separated by colons. For files in them writes and fsyncs
   fail when they are told to, or the process dies at one. After each fsync the file is copied to the
   folder CHAOS_SHADOW, under its inode's number and birth: that is what a power cut would leave.
   The clock on the wall is moved by the first number, in nanoseconds. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { CLOCK, SHADOW, COUNTDOWN, PLACE, OPERATION, WHEN, DEATHS, FAILURES, ERRORS };
enum { WRITE = 1, SYNC = 2 };
enum { BEFORE, HALF, AFTER };

static int64_t *control;
static char *places[16];
static int place_count;
static const char *shadow;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
  real_write = dlsym(RTLD_NEXT, "write");
  real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
  const char *path = getenv("CHAOS_CONTROL"), *list = getenv("CHAOS_PLACES");
  shadow = getenv("CHAOS_SHADOW");
  if (!path || !list || !shadow) return;
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void *found = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (found == MAP_FAILED) return;
  char *copy = strdup(list), *rest = NULL;
  for (char *each = strtok_r(copy, ":", &rest); each && place_count < 16;
       each = strtok_r(NULL, ":", &rest))
    places[place_count++] = each;
  control = found;
}

/* The number of the place that a file is in, or -1. */
static int place_of(int fd) {
  if (!control) return -1;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0 || path[0] != '/') return -1;
  path[length] = 0;
  for (int i = 0; i < place_count; i++) {
    size_t size = strlen(places[i]);
    if (!strncmp(path, places[i], size) && (path[size] == '/' || !path[size])) return i;
  }
  return -1;
}

static void die(void) {
  __atomic_add_fetch(&control[DEATHS], 1, __ATOMIC_SEQ_CST);
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

/* Whether this is the operation to die at. */
static int is_last(int place, int operation) {
  if (place < 0 || control[COUNTDOWN] <= 0) return 0;
  if (control[PLACE] != place || control[OPERATION] != operation) return 0;
  return __atomic_sub_fetch(&control[COUNTDOWN], 1, __ATOMIC_SEQ_CST) == 0;
}

/* The error that an operation has, or 0. A full disk still has the room of what is in it. */
static int error_of(int place, int operation, int fd, off64_t end) {
  if (place < 0) return 0;
  int error = (int)control[ERRORS + 2 * place + (operation == SYNC)];
  struct stat status;
  if (error == ENOSPC && operation == WRITE && !fstat(fd, &status) && end <= status.st_size)
    error = 0;
  if (error) __atomic_add_fetch(&control[FAILURES], 1, __ATOMIC_SEQ_CST);
  return error;
}

static ssize_t written(int fd, const void *data, size_t size, off64_t at, int positioned) {
  int place = place_of(fd), last = 0;
  if (place >= 0) {
    struct stat status;
    off64_t start = positioned ? at : fstat(fd, &status) ? 0 : status.st_size; /* they append */
    int error = error_of(place, WRITE, fd, start + (off64_t)size);
    if (error) {
      errno = error;
      return -1;
    }
    last = is_last(place, WRITE);
    if (last && control[WHEN] == BEFORE) die();
    if (last && control[WHEN] == HALF) size /= 2;
  }
  ssize_t done = positioned ? real_pwrite(fd, data, size, at) : real_write(fd, data, size);
  if (last) die();
  return done;
}

ssize_t write(int fd, const void *data, size_t size) { return written(fd, data, size, 0, 0); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
  return written(fd, data, size, at, 1);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
  return written(fd, data, size, at, 1);
}

/* What a file is known by, also when its inode's number is used again: that, and its birth. Nothing
   is opened for it, as closing that would give up the locks that SQLite has. */
static int key_of(int folder, const char *name, int flags, char *key, size_t size) {
  struct statx found;
  if (statx(folder, name, flags | AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &found)) return -1;
  if (!S_ISREG(found.stx_mode) && !S_ISDIR(found.stx_mode)) return -1;
  snprintf(key, size, "%llu-%lld.%09u", (unsigned long long)found.stx_ino,
           (long long)found.stx_btime.tv_sec, found.stx_btime.tv_nsec);
  return S_ISDIR(found.stx_mode);
}

static int copy_open(char *name, size_t size) {
  snprintf(name, size, "%s/new-%d-%ld", shadow, getpid(), syscall(SYS_gettid));
  return open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static void copy_file(int fd, int out) {
  char buffer[65536];
  ssize_t count;
  for (off64_t at = 0; (count = pread64(fd, buffer, sizeof buffer, at)) > 0; at += count)
    if (real_write(out, buffer, (size_t)count) != count) break;
}

/* The names in a folder, each with the key of its file. */
static void copy_names(int fd, int out) {
  char from[64], line[512], its[64];
  snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
  DIR *folder = opendir(from);
  struct dirent *each;
  while (folder && (each = readdir(folder))) {
    if (key_of(fd, each->d_name, 0, its, sizeof its) != 0) continue;
    int length = snprintf(line, sizeof line, "%s %s\n", its, each->d_name);
    if (real_write(out, line, (size_t)length) != length) break;
  }
  if (folder) closedir(folder);
}

static void keep(int fd) {
  char key[64], name[4096], kept[4096];
  int is_folder = key_of(fd, "", AT_EMPTY_PATH, key, sizeof key);
  if (is_folder < 0) return;
  int out = copy_open(name, sizeof name);
  if (out < 0) return;
  (is_folder ? copy_names : copy_file)(fd, out);
  close(out);
  snprintf(kept, sizeof kept, "%s/%s", shadow, key);
  rename(name, kept);
}

static int synced(int fd, int (*sync)(int)) {
  int place = place_of(fd), last = 0;
  if (place >= 0) {
    int error = error_of(place, SYNC, fd, 0);
    if (error) {
      errno = error;
      return -1;
    }
    last = is_last(place, SYNC);
    if (last && control[WHEN] != AFTER) die();
  }
  /* The disk itself is not what is tested: what it would have is in the shadow. */
  int result = place >= 0 ? 0 : sync(fd);
  if (place >= 0 && control[SHADOW]) keep(fd);
  if (last) die();
  return result;
}

int fsync(int fd) { return synced(fd, real_fsync); }
int fdatasync(int fd) { return synced(fd, real_fdatasync); }

int clock_gettime(clockid_t clock, struct timespec *now) {
  if (!real_clock_gettime) real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
  int result = real_clock_gettime(clock, now);
  if (!result && control && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    int64_t nanoseconds = now->tv_nsec + control[0] % 1000000000;
    now->tv_sec += control[0] / 1000000000;
    if (nanoseconds < 0) now->tv_sec--, nanoseconds += 1000000000;
    if (nanoseconds >= 1000000000) now->tv_sec++, nanoseconds -= 1000000000;
    now->tv_nsec = nanoseconds;
  }
  return result;
}

int gettimeofday(struct timeval *now, void *zone) {
  (void)zone;
  struct timespec exact;
  clock_gettime(CLOCK_REALTIME, &exact);
  now->tv_sec = exact.tv_sec;
  now->tv_usec = exact.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *result) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (result) *result = now.tv_sec;
  return now.tv_sec;
}
