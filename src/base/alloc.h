/* SPDX-License-Identifier: Apache-2.0 */
/* The one allocator of a context: 64-byte aligned blocks, checked sizes, and the arenas carved
 * from them. */
#ifndef TUB__BASE_ALLOC_H
#define TUB__BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tubelet/context.h>
#include <tubelet/status.h>

enum { TUB__ALIGN = 64 };

/* Checked size arithmetic: false on overflow, *out untouched then. */
static inline bool tub__mul(size_t a, size_t b, size_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool tub__add(size_t a, size_t b, size_t *out) {
    return !__builtin_add_overflow(a, b, out);
}
static inline size_t tub__round_up(size_t n, size_t to) {
    return (n + to - 1) / to * to;
}
static inline size_t tub__min(size_t a, size_t b) {
    return a < b ? a : b;
}

/* A block of bytes, 64-byte aligned, not cleared. Zero bytes give a valid pointer too. */
TUB_MUST_USE tub_status tub__alloc(const tub_allocator *a, size_t bytes, void **out,
                                   tub_error *err);
/* count elements of size bytes each, cleared; the product is checked. */
TUB_MUST_USE tub_status tub__alloc_array(const tub_allocator *a, size_t count, size_t size,
                                         void **out, tub_error *err);
/* A larger block with the first `used` bytes of *block copied; the old block is freed. On failure
 * *block stays. */
TUB_MUST_USE tub_status tub__alloc_grow(const tub_allocator *a, void **block, size_t used,
                                        size_t bytes, tub_error *err);
/* Room for one more element of a growing list of `count` elements of `size` bytes; *room: how many
 * it has room for. On failure *list stays. */
TUB_MUST_USE tub_status tub__alloc_room(const tub_allocator *a, void **list, size_t count,
                                        size_t size, size_t *room, tub_error *err);
TUB_MUST_USE tub_status tub__alloc_string(const tub_allocator *a, const char *text, char **out,
                                          tub_error *err);
/* Accepts NULL. */
void tub__free(const tub_allocator *a, void *block);

/* The default allocator: aligned_alloc and free. */
extern const tub_allocator tub__default_allocator;

/* An arena: addresses handed out in a row from one block, released all at once. A measuring arena
 * has no block: it hands out NULL and only counts, so that the set-up code itself says how much a
 * real run needs. */
typedef struct tub__arena {
    char *block; /* NULL while measuring */
    size_t size; /* bytes in block */
    size_t used;
    size_t peak;   /* largest `used` since init */
    bool overflow; /* a request did not fit; looked at once, at the end of set-up */
} tub__arena;

/* Starts a measuring pass. */
void tub__arena_measure(tub__arena *arena);
/* Over a block owned by the caller. */
void tub__arena_init(tub__arena *arena, void *block, size_t size);
/* count elements of size bytes, 64-byte aligned; NULL when measuring, and when they do not fit. */
void *tub__arena_take(tub__arena *arena, size_t count, size_t size);
static inline size_t tub__arena_mark(const tub__arena *arena) {
    return arena->used;
}
static inline void tub__arena_release(tub__arena *arena, size_t mark) {
    arena->used = mark;
}

#endif
