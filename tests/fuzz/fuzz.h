/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets share: the entry's name, an allocator that fails late, and a file made of
 * the input. */
#ifndef TUB__TESTS_FUZZ_H
#define TUB__TESTS_FUZZ_H

#include "base/alloc.h"
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise that the parser broke: the fuzzer keeps the input. */
#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Every error has its status and one line of text. */
#define FUZZ_CHECK_ERROR(result, err)                                                              \
    do {                                                                                           \
        FUZZ_CHECK((result) == (err).status && (err).message[0] != '\0');                          \
        for (const char *fuzz_c = (err).message; *fuzz_c != '\0'; fuzz_c++) {                      \
            FUZZ_CHECK((unsigned char)*fuzz_c >= 0x20);                                            \
        }                                                                                          \
    } while (0)

static inline void *fuzz_failing_alloc(void *user, size_t size) {
    int *left = user;
    return (*left)-- == 0 ? NULL : aligned_alloc(64, size);
}

static inline void fuzz_free(void *user, void *block) {
    (void)user;
    free(block);
}

/* Succeeds *left times, then once not. */
static inline tub_allocator fuzz_allocator(int *left) {
    return (tub_allocator){fuzz_failing_alloc, fuzz_free, left};
}

/* A file in memory (fd -1: a new one) that holds these bytes and no others. */
static inline void fuzz_fill(int *fd, const uint8_t *data, size_t size) {
    *fd = *fd < 0 ? memfd_create("input", MFD_CLOEXEC) : *fd;
    FUZZ_CHECK(*fd >= 0 && ftruncate(*fd, 0) == 0 && pwrite(*fd, data, size, 0) == (ssize_t)size);
}

/* The path of a file in memory that holds the input until the next call. */
static inline const char *fuzz_file(const uint8_t *data, size_t size) {
    static int fd = -1;
    static char path[40];
    fuzz_fill(&fd, data, size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return path;
}

#endif
