/* SPDX-License-Identifier: Apache-2.0 */
/* Epoch orders: by number, shuffled, or every class equally often. */
#include "data/order.h"

#include "base/error.h"
#include "base/philox.h"
#include <string.h>

/* Counts of the classes into sizes, then what is needed of those that have samples. */
static tub_status group_by_class(tub__order *o, const int32_t *labels, const size_t *sizes,
                                 size_t classes, tub_error *err) {
    const tub_allocator *a = o->allocator;
    for (size_t c = 0; c < classes; c++) {
        o->classes += sizes[c] > 0;
    }
    TUB__TRY(tub__alloc_array(a, o->classes, sizeof *o->class_of, (void **)&o->class_of, err));
    TUB__TRY(tub__alloc_array(a, o->classes + 1, sizeof *o->begin, (void **)&o->begin, err));
    TUB__TRY(tub__alloc_array(a, o->count, sizeof *o->members, (void **)&o->members, err));
    TUB__TRY(tub__alloc_array(a, o->count, sizeof *o->turn, (void **)&o->turn, err));
    TUB__TRY(tub__alloc_array(a, o->count, sizeof *o->drawn, (void **)&o->drawn, err));
    size_t k = 0, at = 0;
    for (size_t c = 0; c < classes; c++) {
        if (sizes[c] > 0) {
            o->class_of[k] = (uint32_t)c;
            o->begin[k++] = at;
            for (size_t i = 0; i < o->count; i++) {
                if ((size_t)labels[i] == c) {
                    o->members[at++] = (uint32_t)i;
                }
            }
        }
    }
    o->begin[k] = at;
    return TUB_OK;
}

static tub_status prepare(tub__order *o, const int32_t *labels, size_t classes, tub_error *err) {
    void *memory = NULL;
    TUB__TRY(tub__alloc_array(o->allocator, classes, sizeof(size_t), &memory, err));
    size_t *sizes = memory;
    for (size_t i = 0; i < o->count; i++) {
        sizes[labels[i]]++;
    }
    const tub_status status = group_by_class(o, labels, sizes, classes, err);
    tub__free(o->allocator, sizes);
    return status;
}

tub_status tub__order_create(const tub_allocator *a, tub__order_kind kind, uint64_t seed,
                             const int32_t *labels, size_t count, size_t classes, tub__order *out,
                             tub_error *err) {
    *out = (tub__order){.allocator = a, .kind = kind, .seed = seed, .count = count};
    const tub_status status =
        kind == TUB__ORDER_BALANCED ? prepare(out, labels, classes, err) : TUB_OK;
    if (status != TUB_OK) {
        tub__order_destroy(out);
    }
    return status;
}

void tub__order_destroy(tub__order *o) {
    if (o->allocator == NULL) {
        return;
    }
    tub__free(o->allocator, o->class_of);
    tub__free(o->allocator, o->begin);
    tub__free(o->allocator, o->members);
    tub__free(o->allocator, o->turn);
    tub__free(o->allocator, o->drawn);
    memset(o, 0, sizeof *o);
}

/* Order number `round` of a class into o->turn. */
static void take_turn(tub__order *o, size_t k, uint32_t round, uint32_t epoch) {
    const size_t size = o->begin[k + 1] - o->begin[k];
    tub__random r = tub__random_start(tub__random_key(o->seed, TUB__RANDOM_SHUFFLE),
                                      1 + o->class_of[k], round, epoch);
    memcpy(o->turn, o->members + o->begin[k], size * sizeof *o->turn);
    for (size_t i = size; i > 1; i--) {
        const uint32_t j = tub__random_below(&r, (uint32_t)i), last = o->turn[i - 1];
        o->turn[i - 1] = o->turn[j];
        o->turn[j] = last;
    }
}

static void balance(tub__order *o, uint32_t epoch, uint32_t *out) {
    const size_t share = o->count / o->classes, rest = o->count % o->classes,
                 first = (size_t)((uint64_t)epoch * rest % o->classes);
    size_t at = 0;
    for (size_t k = 0; k < o->classes; k++) {
        const size_t size = o->begin[k + 1] - o->begin[k];
        const bool more = (k + o->classes - first) % o->classes < rest;
        size_t left = share + (more ? 1 : 0);
        for (uint32_t round = 0; left > 0; round++) {
            const size_t n = tub__min(left, size);
            take_turn(o, k, round, epoch);
            memcpy(o->drawn + at, o->turn, n * sizeof *o->drawn);
            at += n;
            left -= n;
        }
    }
    tub__permutation(o->seed, epoch, o->count, out);
    for (size_t i = 0; i < o->count; i++) {
        out[i] = o->drawn[out[i]];
    }
}

void tub__order_fill(tub__order *o, uint32_t epoch, uint32_t *out) {
    switch (o->kind) {
    case TUB__ORDER_FILE:
        for (size_t i = 0; i < o->count; i++) {
            out[i] = (uint32_t)i;
        }
        break;
    case TUB__ORDER_SHUFFLED:
        tub__permutation(o->seed, epoch, o->count, out);
        break;
    case TUB__ORDER_BALANCED:
        balance(o, epoch, out);
        break;
    }
}
