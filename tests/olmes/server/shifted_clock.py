"""A wall clock that can be stepped for some processes: what libfaketime does, by a small library."""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from pathlib import Path

CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long shift(void) {
    static volatile long long *seconds;
    if (!seconds) {
        static long long none = 0;
        const char *name = getenv("SHIFTED_CLOCK");
        int file = name ? open(name, O_RDONLY) : -1;
        void *map = file < 0 ? MAP_FAILED : mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
        if (file >= 0) close(file);
        seconds = map == MAP_FAILED ? &none : map;
    }
    return *seconds;
}

int clock_gettime(clockid_t kind, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(kind, at);
    if (!failed && (kind == CLOCK_REALTIME || kind == CLOCK_REALTIME_COARSE)) at->tv_sec += shift();
    return failed;
}

int gettimeofday(struct timeval *at, void *zone) {
    static int (*real)(struct timeval *, void *);
    if (!real) real = dlsym(RTLD_NEXT, "gettimeofday");
    int failed = real(at, zone);
    if (!failed) at->tv_sec += shift();
    return failed;
}

time_t time(time_t *at) {
    static time_t (*real)(time_t *);
    if (!real) real = dlsym(RTLD_NEXT, "time");
    time_t now = real(0) + shift();
    if (at) *at = now;
    return now;
}
"""


class Clock:
    """The wall clock of a server's processes, which can be stepped: what libfaketime does."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("gcc") or shutil.which("cc")
        self.environment: dict[str, str] = {}
        if compiler is None:
            print("no C compiler: the clock is not stepped")
            return
        (folder / "clock.c").write_text(CLOCK, "ascii")
        library, shared = folder / "clock.so", folder / "clock"
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-o", library, folder / "clock.c", "-ldl"], check=True
        )
        shared.write_bytes(bytes(8))
        with shared.open("r+b") as stream:
            self.seconds = mmap.mmap(stream.fileno(), 8)
        self.environment = {"LD_PRELOAD": str(library), "SHIFTED_CLOCK": str(shared)}

    def step(self, seconds: int) -> None:
        """Have the clock differ from the true time by so much."""
        self.seconds[:] = struct.pack("q", seconds)
