/* A disk that takes longer: each sync of every process that loads this waits NEARSIDE_SYNC_MS milliseconds more. For benches
   on machines whose disk answers from memory; scripts/bench builds it and loads it into all contenders alike. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static void wait_a_while(void) {
  const char *text = getenv("NEARSIDE_SYNC_MS");
  long ms = text ? strtol(text, NULL, 10) : 0;
  if (ms > 0) {
    struct timespec wait = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&wait, NULL);
  }
}

int fdatasync(int file) {
  static int (*next)(int);
  if (!next) next = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  wait_a_while();
  return next(file);
}

int fsync(int file) {
  static int (*next)(int);
  if (!next) next = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  wait_a_while();
  return next(file);
}
