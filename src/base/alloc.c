/* SPDX-License-Identifier: Apache-2.0 */
/* Aligned blocks from a context's allocator, and arenas carved from them. */
#include "base/alloc.h"

#include "base/error.h"
#include <stdlib.h>
#include <string.h>

static void *default_alloc(void *user, size_t size) {
    (void)user;
    return aligned_alloc(TUB__ALIGN, size);
}

static void default_free(void *user, void *block) {
    (void)user;
    free(block);
}

const tub_allocator tub__default_allocator = {default_alloc, default_free, NULL};

tub_status tub__alloc(const tub_allocator *a, size_t bytes, void **out, tub_error *err) {
    if (bytes > (size_t)PTRDIFF_MAX - TUB__ALIGN) {
        return tub__fail(err, TUB_E_MEMORY, "%zu bytes are more than an address space holds",
                         bytes);
    }
    size_t size = tub__round_up(bytes == 0 ? 1 : bytes, TUB__ALIGN);
    void *block = a->alloc(a->user, size);
    if (block == NULL) {
        return tub__fail(err, TUB_E_MEMORY, "out of memory: %zu bytes could not be allocated",
                         size);
    }
    *out = block;
    return TUB_OK;
}

tub_status tub__alloc_array(const tub_allocator *a, size_t count, size_t size, void **out,
                            tub_error *err) {
    size_t bytes;
    if (!tub__mul(count, size, &bytes)) {
        return tub__fail(err, TUB_E_MEMORY,
                         "%zu times %zu bytes are more than an address space holds", count, size);
    }
    TUB__TRY(tub__alloc(a, bytes, out, err));
    memset(*out, 0, bytes);
    return TUB_OK;
}

tub_status tub__alloc_grow(const tub_allocator *a, void **block, size_t used, size_t bytes,
                           tub_error *err) {
    void *larger = NULL;
    TUB__TRY(tub__alloc(a, bytes, &larger, err));
    if (*block != NULL) {
        memcpy(larger, *block, used < bytes ? used : bytes);
        tub__free(a, *block);
    }
    *block = larger;
    return TUB_OK;
}

tub_status tub__alloc_room(const tub_allocator *a, void **list, size_t count, size_t size,
                           size_t *room, tub_error *err) {
    size_t more, bytes;
    if (count < *room) {
        return TUB_OK;
    }
    if (!tub__mul(*room, 2, &more) || !tub__add(more, 16, &more) || !tub__mul(more, size, &bytes)) {
        return tub__fail(err, TUB_E_MEMORY, "a list of %zu elements is too long", count);
    }
    TUB__TRY(tub__alloc_grow(a, list, count * size, bytes, err));
    *room = more;
    return TUB_OK;
}

tub_status tub__alloc_string(const tub_allocator *a, const char *text, char **out, tub_error *err) {
    size_t size = strlen(text) + 1;
    void *copy = NULL;
    TUB__TRY(tub__alloc(a, size, &copy, err));
    memcpy(copy, text, size);
    *out = copy;
    return TUB_OK;
}

void tub__free(const tub_allocator *a, void *block) {
    if (block != NULL) {
        a->free(a->user, block);
    }
}

void tub__arena_measure(tub__arena *arena) {
    *arena = (tub__arena){.block = NULL, .size = PTRDIFF_MAX};
}

void tub__arena_init(tub__arena *arena, void *block, size_t size) {
    *arena = (tub__arena){.block = block, .size = size};
}

void *tub__arena_take(tub__arena *arena, size_t count, size_t size) {
    size_t bytes, end;
    /* Sizes are rounded up to whole lines, so every address handed out is aligned as the block
     * is. */
    if (!tub__mul(count, size, &bytes) || bytes > (size_t)PTRDIFF_MAX - TUB__ALIGN ||
        !tub__add(arena->used, tub__round_up(bytes, TUB__ALIGN), &end) || end > arena->size) {
        arena->overflow = true;
        return NULL;
    }
    void *address = arena->block == NULL ? NULL : arena->block + arena->used;
    arena->used = end;
    if (arena->peak < end) {
        arena->peak = end;
    }
    return address;
}
