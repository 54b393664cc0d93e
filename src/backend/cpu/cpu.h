/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU backend's own state, and the halves of its table of operations. */
#ifndef TUB__CPU_CPU_H
#define TUB__CPU_CPU_H

#include "backend/cpu.h"
#include "backend/cpu/kernels.h"
#include <stdatomic.h>

/* One worker's part of an operation: items [begin, end). */
typedef void tub__part_fn(const struct tub__kernels *k, const void *op, size_t begin, size_t end,
                          void *scratch);
/* What an operation has left to do when all parts are done. */
typedef void tub__after_fn(tub__backend *be, const void *op);

typedef struct tub__product_op {
    tub__k_product p;  /* without next, which depends on the worker */
    tub__norm norm;    /* of the rows of p.a, on the way; gamma NULL: none */
    size_t rows, cols; /* of a, without padding */
    size_t panels, side;
    tub__weight next;
} tub__product_op;

typedef struct tub__multiply_op {
    tub__mat x, y, z;
} tub__multiply_op;

/* Arguments of all the operations that go sample by sample, and of cutting, which goes by
 * tubelets. */
typedef struct tub__tokens_op {
    const tub__geometry *g;
    size_t samples, group;
    bool more;
    tub_dtype dtype;
    const void *host;
    bool multiply;
    tub_pooling pooling;
    tub__mat x, y, position;
    void *data;
} tub__tokens_op;

/* An operation that waits; regions.h says what the fields mean. */
typedef struct tub__taken_op {
    tub__part_fn *part;
    tub__after_fn *after;
    size_t count, samples_per_item;
    bool gathers; /* reads rows that other workers made */
    bool apart;   /* and makes rows that are theirs */
    union {
        tub__product_op product;
        tub__multiply_op multiply;
        tub__tokens_op tokens;
        tub__norm norm;
        tub__norm_backward norm_backward;
        tub__attention attention;
        tub__attention_backward attention_backward;
        tub__drop drop;
        tub__k_dw dw;
        tub__weight weight;
    } op;
} tub__taken_op;

/* How operations run: each as it comes, or all that wait for block after block of samples, or one
 * after the other on all rows, but in one region; or every worker all of them on its own rows of a
 * single sample, where only those that gather wait for the others; or each worker its share of one
 * after the other, and nobody waits. */
typedef enum tub__order {
    TUB__AT_ONCE = 0,
    TUB__BY_BLOCKS,
    TUB__IN_TURN,
    TUB__BY_ROWS,
    TUB__INDEPENDENTLY
} tub__order;

/* How many pieces of a worker's own work are taken, by itself or by those who are done with
 * theirs. */
typedef struct tub__claims {
    _Alignas(TUB__ALIGN) atomic_size_t taken;
} tub__claims;

/* Operations that can wait; one more makes those run that do. A dozen blocks of a single sample are
 * five each. */
enum { TUB__CPU_TAKEN = 64 };

typedef struct tub__cpu {
    tub__backend base; /* first: a tub__backend * is one of these */
    struct tub__backend_ops ops;
    const struct tub__kernels *kernels;
    void **scratch;      /* one block per worker */
    tub__claims *claims; /* likewise */
    int workers;
    struct {
        tub__order order;
        size_t samples, block, count;
        size_t rows; /* of all samples */
        tub__taken_op op[TUB__CPU_TAKEN];
    } taken;
} tub__cpu;

static inline tub__cpu *tub__cpu_of(tub__backend *be) {
    return (tub__cpu *)be;
}

/* memory.c: slabs, and moving numbers in and out. */
void tub__cpu_memory_ops(struct tub__backend_ops *ops);
/* parallel.c: the model's operations, split over the pool. */
void tub__cpu_model_ops(struct tub__backend_ops *ops);
/* networks.c: likewise those of convolutional and recurrent networks. */
void tub__cpu_network_ops(struct tub__backend_ops *ops);

#endif
