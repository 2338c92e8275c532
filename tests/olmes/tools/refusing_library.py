"""Libraries that are put before the C library, so that real processes meet a file system's refusals."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>

static int wanted(const char *name) { char *text = getenv(name); return text ? atoi(text) : 0; }

int flock(int fd, int operation) {
    int (*real)(int, int) = dlsym(RTLD_NEXT, "flock");
    if (wanted("FLOCK_ERRNO")) { errno = wanted("FLOCK_ERRNO"); return -1; }
    return real(fd, operation);
}

static int control(const char *name, int fd, int command, void *argument) {
    int (*real)(int, int, ...) = dlsym(RTLD_NEXT, name);
    int locks = command == F_SETLK || command == F_SETLKW || command == F_GETLK;
    if (wanted("FCNTL_ERRNO") && locks) { errno = wanted("FCNTL_ERRNO"); return -1; }
    return real(fd, command, argument);
}

int fcntl(int fd, int command, ...) {
    va_list rest; va_start(rest, command); void *argument = va_arg(rest, void *); va_end(rest);
    return control("fcntl", fd, command, argument);
}

int fcntl64(int fd, int command, ...) {
    va_list rest; va_start(rest, command); void *argument = va_arg(rest, void *); va_end(rest);
    return control("fcntl64", fd, command, argument);
}

#undef mmap
#undef mmap64
static void *map(void *at, size_t size, int rights, int flags, int fd, off_t offset) {
    void *(*real)(void *, size_t, int, int, int, off_t) = dlsym(RTLD_NEXT, "mmap");
    int shared = (flags & MAP_SHARED) && fd >= 0 && (rights & PROT_WRITE);
    if (wanted("MMAP_ERRNO") && shared) { errno = wanted("MMAP_ERRNO"); return MAP_FAILED; }
    return real(at, size, rights, flags, fd, offset);
}

void *mmap(void *at, size_t size, int rights, int flags, int fd, off_t offset) {
    return map(at, size, rights, flags, fd, offset);
}

void *mmap64(void *at, size_t size, int rights, int flags, int fd, off_t offset) {
    return map(at, size, rights, flags, fd, offset);
}
"""


def build_shim(folder: Path) -> Path:
    """The library, compiled now; the test is skipped where there is no compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    source, library = folder / "refusing.c", folder / "refusing.so"
    source.write_text(SOURCE, "ascii")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library
