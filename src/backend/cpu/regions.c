/* SPDX-License-Identifier: Apache-2.0 */
/* Regions of the pool: one for each operation, or one for many. */
#include "backend/cpu/regions.h"

#include "base/fpenv.h"
#include <assert.h>
#include <string.h>

/* What the workers of one region read. */
typedef struct region {
    const tub__cpu *cpu;
    tub__part_fn *part;
    const void *op;
    size_t count; /* items to share out */
} region;

static void region_part(void *argument, int worker, int workers) {
    const region *r = argument;
    size_t begin, end;
    tub__share(r->count, worker, workers, &begin, &end);
    r->part(r->cpu->kernels, r->op, begin, end, r->cpu->scratch[worker]);
}

/* Without waking anybody. */
static void run_alone(tub__pool_fn *fn, void *argument) {
    const tub__fpenv saved = tub__fpenv_enter();
    fn(argument, 0, 1);
    tub__fpenv_leave(saved);
}

static void run(tub__backend *be, tub__part_fn *part, const void *op, size_t count, bool alone) {
    assert(tub__cpu_of(be)->taken.order == TUB__AT_ONCE); /* it would overtake those that wait */
    region r = {tub__cpu_of(be), part, op, count};
    if (alone) {
        run_alone(region_part, &r);
    } else {
        tub__pool_run(be->pool, region_part, &r);
    }
}

void tub__cpu_run(tub__backend *be, tub__part_fn *part, const void *op, size_t count) {
    run(be, part, op, count, count == 1);
}

void tub__cpu_run_light(tub__backend *be, tub__part_fn *part, const void *op, size_t count,
                        size_t elements) {
    enum { WORTH_SHARING = 8192 };
    run(be, part, op, count, elements < WORTH_SHARING);
}

bool tub__cpu_few_rows(const tub__cpu *cpu, size_t rows) {
    return rows < (size_t)cpu->workers * cpu->kernels->tile_rows;
}

/* ---- operations that wait for each other ---- */

/* Whole groups are shared out: sums over samples are made of them. */
static size_t groups_of(size_t samples) {
    return (samples + TUB__GROUP - 1) / TUB__GROUP;
}

enum { L2_ELEMENTS = 262144 }; /* of weights: a megabyte of floats */

/* Weights pass by once for every block instead of once: that is cheap while they stay in L2 and a
 * block has rows enough to use them. And every worker needs equally many groups, or so many that
 * the last ones hardly matter. */
static bool worth_blocks(const tub__blocks *b, size_t workers) {
    enum { ROWS = 64 };
    const size_t groups = groups_of(b->samples),
                 own = (groups + workers - 1) / workers * TUB__GROUP; /* samples of a worker */
    return b->weights <= L2_ELEMENTS && tub__min(b->block, own) * b->rows >= ROWS && groups > 1 &&
           (groups % workers == 0 || groups >= 4 * workers);
}

/* A single sample with nearly a tile of rows for every worker: each streams all the weights, but
 * what it makes stays in its own cache, and the workers meet once a layer. */
static bool worth_rows(const tub__cpu *cpu, const tub__blocks *b) {
    const size_t workers = (size_t)cpu->workers, least = cpu->kernels->tile_rows * 3 / 4;
    return b->inference && b->samples == 1 && workers > 1 && b->rows <= TUB__K_SMALL &&
           b->weights <= L2_ELEMENTS && b->rows >= workers * least;
}

static tub__order choose_order(const tub__cpu *cpu, const tub__blocks *b) {
    if (b->independent) {
        return TUB__INDEPENDENTLY;
    }
    if (worth_rows(cpu, b)) {
        return TUB__BY_ROWS;
    }
    if (worth_blocks(b, (size_t)cpu->workers)) {
        return TUB__BY_BLOCKS;
    }
    return tub__cpu_few_rows(cpu, b->samples * b->rows) ? TUB__IN_TURN : TUB__AT_ONCE;
}

void tub__cpu_blocks_begin(tub__backend *be, const tub__blocks *blocks) {
    tub__cpu *cpu = tub__cpu_of(be);
    assert(blocks->independent || blocks->block % TUB__GROUP == 0);
    assert(cpu->taken.order == TUB__AT_ONCE);
    cpu->taken.order = choose_order(cpu, blocks);
    cpu->taken.samples = blocks->samples;
    cpu->taken.block = blocks->block;
    cpu->taken.rows = blocks->samples * blocks->rows;
    cpu->taken.count = 0;
}

/* Items of samples [sample0, sample1). */
static void run_block(const tub__cpu *cpu, const tub__taken_op *t, size_t sample0, size_t sample1,
                      void *scratch) {
    const size_t n = t->samples_per_item, each = n > 1 ? 1 : t->count / cpu->taken.samples;
    t->part(cpu->kernels, &t->op, (sample0 + n - 1) / n * each, (sample1 + n - 1) / n * each,
            scratch);
}

/* Calls piece(cpu, owner, number, worker) for pieces until it says that the owner has no more.
 * Every worker begins with its own and goes on with those that the others have not begun: one
 * may have lost its processor to another process. */
typedef bool piece_fn(const tub__cpu *cpu, int owner, size_t number, int worker);

static void all_pieces(const tub__cpu *cpu, piece_fn *piece, int worker, int workers) {
    for (int i = 0; i < workers; i++) {
        const int owner = (worker + i) % workers;
        size_t number;
        do {
            number = atomic_fetch_add_explicit(&cpu->claims[owner].taken, 1, memory_order_relaxed);
        } while (piece(cpu, owner, number, worker));
    }
}

/* All operations on one block of samples. */
static bool block_piece(const tub__cpu *cpu, int owner, size_t number, int worker) {
    const size_t samples = cpu->taken.samples;
    size_t begin, end;
    tub__share(groups_of(samples), owner, cpu->workers, &begin, &end);
    end = tub__min(end * TUB__GROUP, samples);
    const size_t s = begin * TUB__GROUP + number * cpu->taken.block;
    for (size_t i = 0; s < end && i < cpu->taken.count; i++) {
        run_block(cpu, &cpu->taken.op[i], s, tub__min(s + cpu->taken.block, end),
                  cpu->scratch[worker]);
    }
    return s < end;
}

static void blocks_part(void *argument, int worker, int workers) {
    all_pieces(argument, block_piece, worker, workers);
}

/* The owner's share of one operation. */
static bool share_piece(const tub__cpu *cpu, int owner, size_t number, int worker) {
    size_t begin, end;
    if (number >= cpu->taken.count) {
        return false;
    }
    const tub__taken_op *t = &cpu->taken.op[number];
    tub__share(t->count, owner, cpu->workers, &begin, &end);
    t->part(cpu->kernels, &t->op, begin, end, cpu->scratch[worker]);
    return true;
}

static void shares_part(void *argument, int worker, int workers) {
    all_pieces(argument, share_piece, worker, workers);
}

/* All operations on all rows, each when all workers are done with the one before. */
static void turns_part(void *argument, int worker, int workers) {
    const tub__cpu *cpu = argument;
    for (size_t i = 0; i < cpu->taken.count; i++) {
        const tub__taken_op *t = &cpu->taken.op[i];
        size_t begin, end;
        if (i > 0) {
            tub__pool_barrier(cpu->base.pool);
        }
        tub__share(t->count, worker, workers, &begin, &end);
        t->part(cpu->kernels, &t->op, begin, end, cpu->scratch[worker]);
    }
}

/* The caller wrote it down a moment ago, in a cache of its own. */
static void ask_for_op(const tub__taken_op *t) {
    enum { LINE = 64 };
    for (size_t i = 0; i < sizeof *t; i += LINE) {
        __builtin_prefetch((const char *)t + i);
    }
}

static void rows_part(void *argument, int worker, int workers) {
    const tub__cpu *cpu = argument;
    size_t begin, end;
    tub__share(cpu->taken.rows, worker, workers, &begin, &end);
    for (size_t i = 0; i < cpu->taken.count; i++) {
        const tub__taken_op *t = &cpu->taken.op[i];
        if (worker > 0 && i + 1 < cpu->taken.count) {
            ask_for_op(t + 1);
        }
        if (t->gathers) {
            tub__pool_barrier(cpu->base.pool);
        }
        if (t->apart) {
            size_t first, stop;
            tub__share(t->count, worker, workers, &first, &stop);
            t->part(cpu->kernels, &t->op, first, stop, cpu->scratch[worker]);
            tub__pool_barrier(cpu->base.pool);
        } else {
            t->part(cpu->kernels, &t->op, begin, end, cpu->scratch[worker]);
        }
    }
}

static void run_taken(tub__backend *be) {
    static tub__pool_fn *const parts[] = {[TUB__BY_BLOCKS] = blocks_part,
                                          [TUB__IN_TURN] = turns_part,
                                          [TUB__BY_ROWS] = rows_part,
                                          [TUB__INDEPENDENTLY] = shares_part};
    tub__cpu *cpu = tub__cpu_of(be);
    for (int i = 0; i < cpu->workers; i++) {
        atomic_store_explicit(&cpu->claims[i].taken, 0, memory_order_relaxed);
    }
    tub__pool_run(be->pool, parts[cpu->taken.order], cpu);
    for (size_t i = 0; i < cpu->taken.count; i++) {
        const tub__taken_op *t = &cpu->taken.op[i];
        if (t->after) {
            t->after(be, &t->op);
        }
    }
    cpu->taken.count = 0;
}

/* The next place in the list, after those that are full have run. */
static tub__taken_op *take(tub__backend *be, tub__part_fn *part, const void *op, size_t size,
                           size_t count) {
    tub__cpu *cpu = tub__cpu_of(be);
    assert(size <= sizeof cpu->taken.op[0].op);
    if (cpu->taken.count == TUB__CPU_TAKEN) {
        run_taken(be);
    }
    tub__taken_op *t = &cpu->taken.op[cpu->taken.count++];
    t->part = part, t->after = NULL, t->count = count, t->samples_per_item = 1;
    t->gathers = t->apart = false;
    memcpy(&t->op, op, size);
    return t;
}

bool tub__cpu_take(tub__backend *be, tub__part_fn *part, const void *op, size_t size, size_t count,
                   size_t samples_per_item, tub__after_fn *after) {
    const tub__cpu *cpu = tub__cpu_of(be);
    if (cpu->taken.order == TUB__AT_ONCE) {
        return false;
    }
    assert(cpu->taken.order != TUB__BY_ROWS || (count == cpu->taken.rows && !after));
    assert(cpu->taken.order != TUB__BY_BLOCKS || samples_per_item > 1 ||
           count % cpu->taken.samples == 0);
    tub__taken_op *t = take(be, part, op, size, count);
    t->after = after, t->samples_per_item = samples_per_item;
    return true;
}

bool tub__cpu_take_gathering(tub__backend *be, tub__part_fn *part, const void *op, size_t size,
                             size_t rows) {
    if (tub__cpu_of(be)->taken.order != TUB__BY_ROWS) {
        return false;
    }
    take(be, part, op, size, rows)->gathers = true;
    return true;
}

bool tub__cpu_take_apart(tub__backend *be, tub__part_fn *part, const void *op, size_t size,
                         size_t count) {
    if (tub__cpu_of(be)->taken.order != TUB__BY_ROWS) {
        return false;
    }
    tub__taken_op *t = take(be, part, op, size, count);
    t->gathers = t->apart = true;
    return true;
}

void tub__cpu_blocks_end(tub__backend *be) {
    tub__cpu *cpu = tub__cpu_of(be);
    if (cpu->taken.count > 0) {
        run_taken(be);
    }
    cpu->taken.order = TUB__AT_ONCE;
}
