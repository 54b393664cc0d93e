/* SPDX-License-Identifier: Apache-2.0 */
/* Steps and forward passes on a backend that keeps account of every operation. */
#include "backend/profile.h"

#include "base/error.h"
#include "base/fpenv.h"
#include "bench/measure.h"
#include <stdlib.h>

_Static_assert((int)TUB_BENCH_OPERATIONS == (int)TUB__PROFILE_LINES,
               "every operation has room in the caller's table");

static int costlier(const void *a, const void *b) {
    const double x = ((const tub_bench_operation *)a)->seconds,
                 y = ((const tub_bench_operation *)b)->seconds;
    return (y > x) - (y < x);
}

static size_t collect(const tub__backend *be, int runs, tub_bench_operation *out) {
    size_t count;
    const tub__profile_line *lines = tub__profile_lines(be, &count);
    for (size_t i = 0; i < count; i++) {
        const tub__profile_line *l = &lines[i];
        out[i] = (tub_bench_operation){.name = l->operation,
                                       .rows = (int64_t)l->rows,
                                       .depth = (int64_t)l->depth,
                                       .columns = (int64_t)l->columns,
                                       .calls = (double)l->calls / runs,
                                       .seconds = l->seconds / runs,
                                       .operations = l->flop / runs,
                                       .bytes = l->bytes / runs};
    }
    qsort(out, count, sizeof *out, costlier);
    return count;
}

/* On the profiling backend, which the model has for the while. */
static tub_status profile(tub_model *model, tub_bench_pass pass, int64_t batch,
                          const tub_bench_config *c, tub_bench_operation *out, size_t *count,
                          tub_error *err) {
    tub__runner r;
    void (*run)(void *) = pass == TUB_BENCH_STEP ? tub__runner_step : tub__runner_predict;
    TUB__TRY(tub__bench_runner(model, pass, batch, c->precision, &r, err));
    const tub__fpenv saved = tub__fpenv_enter();
    for (int i = 0; i < TUB__BENCH_WARM_UP; i++) {
        run(&r);
    }
    tub__profile_clear(model->backend);
    for (int i = 0; i < c->repeats; i++) {
        run(&r);
    }
    tub__fpenv_leave(saved);
    *count = collect(model->backend, c->repeats, out);
    tub__runner_destroy(&r);
    return TUB_OK;
}

tub_status tub_bench_profile(tub_model *model, tub_bench_pass pass, int64_t batch,
                             const tub_bench_config *config,
                             tub_bench_operation out[TUB_BENCH_OPERATIONS], size_t *count,
                             tub_error *err) {
    tub_bench_config c;
    tub__backend *const inner = model->backend, *account;
    TUB__TRY(tub__bench_read_config(config, &c, err));
    if (pass != TUB_BENCH_PREDICT && pass != TUB_BENCH_STEP) {
        return tub__fail(err, TUB_E_ARGUMENT, "tub_bench_pass: there is none with number %d",
                         (int)pass);
    }
    TUB__TRY(tub__profile_create(inner, &account, err));
    model->backend = account;
    const tub_status status = profile(model, pass, batch, &c, out, count, err);
    model->backend = inner;
    tub__profile_destroy(account);
    return status;
}
