/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU backend's own state, and the halves of its table of operations. */
#ifndef TUB__CPU_CPU_H
#define TUB__CPU_CPU_H

#include "backend/cpu.h"
#include "backend/cpu/kernels.h"

typedef struct tub__cpu {
    tub__backend base; /* first: a tub__backend * is one of these */
    struct tub__backend_ops ops;
    const struct tub__kernels *kernels;
    void **scratch; /* one block per worker */
    int workers;
} tub__cpu;

static inline tub__cpu *tub__cpu_of(tub__backend *be) {
    return (tub__cpu *)be;
}

/* memory.c: slabs, and moving numbers in and out. */
void tub__cpu_memory_ops(struct tub__backend_ops *ops);
/* parallel.c: the model's operations, split over the pool. */
void tub__cpu_model_ops(struct tub__backend_ops *ops);

#endif
