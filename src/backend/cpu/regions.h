/* SPDX-License-Identifier: Apache-2.0 */
/* Sharing an operation out over the pool: alone, or together with its neighbours.
 *
 * How the work is split changes no bit: every output element is computed whole by one worker, and
 * sums over samples follow the groups and the tree of docs/numerics.md. */
#ifndef TUB__CPU_REGIONS_H
#define TUB__CPU_REGIONS_H

#include "backend/cpu/cpu.h"

/* Makes `op` in the pool's workers now: items [0, count) in shares. */
void tub__cpu_run(tub__backend *be, tub__part_fn *part, const void *op, size_t count);
/* The same for an operation that goes over its elements once: a few thousand are done before
 * another thread has heard of them. */
void tub__cpu_run_light(tub__backend *be, tub__part_fn *part, const void *op, size_t count,
                        size_t elements);

/* Between these two, operations that are taken down with tub__cpu_take run at the end. */
void tub__cpu_blocks_begin(tub__backend *be, const tub__blocks *blocks);
void tub__cpu_blocks_end(tub__backend *be);
/* Few rows are shared out by columns: then there are too few tiles of rows for all workers. */
bool tub__cpu_few_rows(const tub__cpu *cpu, size_t rows);
/* False when nothing is being taken down now: run it. Else keeps a copy of the operation. Where
 * order is TUB__BY_BLOCKS, each sample has an equal part of the items (samples_per_item 1), or each
 * item has so many samples. after: called with the operation when all have run, or NULL. */
bool tub__cpu_take(tub__backend *be, tub__part_fn *part, const void *op, size_t size, size_t count,
                   size_t samples_per_item, tub__after_fn *after);
/* Where the order is TUB__BY_ROWS: takes down an operation on `rows` rows that reads those of all
 * workers, who wait for each other before it. Until the next such operation, nothing may write them. */
bool tub__cpu_take_gathering(tub__backend *be, tub__part_fn *part, const void *op, size_t size,
                             size_t rows);
/* Likewise an operation that also writes rows of all workers: its items are shared out anew, and they
 * wait for each other after it, too. */
bool tub__cpu_take_apart(tub__backend *be, tub__part_fn *part, const void *op, size_t size,
                         size_t count);

#endif
