// Some syncs of the files below one path fail with EIO. Instead of the sync there is one of a descriptor that cannot be synced
// (O_PATH), so that strace sees a sync of that file fail. Loaded with LD_PRELOAD; see failing-syncs.ts.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_long syncs;

static long bound(const char *name) {
  const char *text = getenv(name);
  return text == NULL ? 0 : atol(text);
}

static int sync_or_fail(int descriptor, long number) {
  const char *prefix = getenv("FAILING_SYNCS_BELOW");
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (prefix == NULL || length < 0) return syscall(number, descriptor);
  path[length] = 0;
  if (strncmp(path, prefix, strlen(prefix)) != 0) return syscall(number, descriptor);
  long count = atomic_fetch_add(&syncs, 1) + 1;
  if (count < bound("FAILING_SYNCS_FROM") || count > bound("FAILING_SYNCS_TO")) return syscall(number, descriptor);
  int unsyncable = open(link, O_PATH | O_CLOEXEC);
  syscall(number, unsyncable);
  close(unsyncable);
  errno = EIO;
  return -1;
}

int fsync(int descriptor) { return sync_or_fail(descriptor, SYS_fsync); }
int fdatasync(int descriptor) { return sync_or_fail(descriptor, SYS_fdatasync); }
