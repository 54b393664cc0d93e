/* SPDX-License-Identifier: Apache-2.0 */
/* A backend that passes every operation on to another one and keeps account of the time. */
#ifndef TUB__BACKEND_PROFILE_H
#define TUB__BACKEND_PROFILE_H

#include "backend/backend.h"

/* Operations and shapes that are told apart; what comes after them is not counted. */
enum { TUB__PROFILE_LINES = 128 };

/* All calls of one operation with one shape. */
typedef struct tub__profile_line {
    const char *operation;
    size_t rows, depth, columns; /* of a product M, K, N; elsewhere what there is, else 0 */
    uint64_t calls;
    double seconds;
    double flop;  /* 2 for each multiply-add of the products; 0 for what is none */
    double bytes; /* each operand counted once, as if caches had no end */
} tub__profile_line;

/* Shares memory, pool and bits with `inner`, which must outlive it. Freed with
 * tub__profile_destroy.
 */
TUB_MUST_USE tub_status tub__profile_create(tub__backend *inner, tub__backend **out,
                                            tub_error *err);
void tub__profile_destroy(tub__backend *be); /* accepts NULL */

/* What was seen since the last clear, in order of first call; valid until the next operation. */
const tub__profile_line *tub__profile_lines(const tub__backend *be, size_t *count);
void tub__profile_clear(tub__backend *be);

#endif
