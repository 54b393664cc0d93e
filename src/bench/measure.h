/* SPDX-License-Identifier: Apache-2.0 */
/* How everything is measured: calls that do not count, then those that do, each between two
 * looks at the machine's limits. */
#ifndef TUB__BENCH_MEASURE_H
#define TUB__BENCH_MEASURE_H

#include "backend/backend.h"
#include "base/spread.h"
#include "train/runner.h"

/* The caller's configuration over the defaults, checked. Error: TUB_E_ARGUMENT. */
TUB_MUST_USE tub_status tub__bench_read_config(const tub_bench_config *given, tub_bench_config *out,
                                               tub_error *err);

/* One call of what is measured. */
typedef struct tub__bench_work {
    void (*run)(void *user);
    void (*keep)(void *user,
                 int number); /* NULL, or: the last call's measurement counts, as this one */
    void *user;
    double operations; /* of one call */
} tub__bench_work;

enum { TUB__BENCH_BATCH = 65536 }; /* the most samples in a pass */
enum { TUB__BENCH_WARM_UP = 3 };   /* calls that come first, at least */

/* Runs the work and fills *out. Error: TUB_E_UNSUPPORTED (only idle moments count, and there was
 * none). */
TUB_MUST_USE tub_status tub__bench_measure(tub__backend *be, const tub__bench_work *work,
                                           const tub_bench_config *config, tub_bench_result *out,
                                           tub_error *err);

/* A step or a forward pass to measure. Errors: TUB_E_RANGE (batch), and those of tub__runner_create. */
TUB_MUST_USE tub_status tub__bench_runner(tub_model *model, tub_bench_pass kind, int64_t batch,
                                          tub_precision precision, tub__runner *out,
                                          tub_error *err);

/* Fills a row-major matrix with numbers between -0.5 and 0.5, the same ones every time. */
TUB_MUST_USE tub_status tub__bench_fill(tub__backend *be, tub__mat m, tub_error *err);
/* The same of a packed weight. */
TUB_MUST_USE tub_status tub__bench_fill_weight(tub__backend *be, tub__weight w, tub_error *err);

#endif
