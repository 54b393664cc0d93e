/* SPDX-License-Identifier: Apache-2.0 */
/* How everything is measured: calls that do not count, then those that do, each between two
 * looks at the machine's limits. */
#include "bench/measure.h"

#include "backend/peak.h"
#include "base/clock.h"
#include "base/context.h"
#include "base/error.h"
#include "base/fpenv.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

tub_bench_config tub_bench_config_default(void) {
    return (tub_bench_config){.size = sizeof(tub_bench_config), .repeats = 30};
}

static tub_status check_repeats(int repeats, tub_error *err) {
    if (repeats < 1 || repeats > TUB_BENCH_REPEATS) {
        return tub__fail(err, TUB_E_ARGUMENT, "%d repeats: give 1 to %d", repeats,
                         TUB_BENCH_REPEATS);
    }
    return TUB_OK;
}

tub_status tub__bench_read_config(const tub_bench_config *given, tub_bench_config *out,
                                  tub_error *err) {
    *out = tub_bench_config_default();
    if (given == NULL) {
        return TUB_OK;
    }
    if (given->size < sizeof given->size || given->size > sizeof *out) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "tub_bench_config: size is %zu, this library knows %zu bytes; start from "
                         "tub_bench_config_default()",
                         given->size, sizeof *out);
    }
    memcpy(out, given, given->size);
    if (out->precision < TUB_PRECISION_F32 || out->precision > TUB_PRECISION_INT8) {
        return tub__fail(err, TUB_E_ARGUMENT, "tub_bench_config: %d is no precision",
                         (int)out->precision);
    }
    if (!(out->idle_seconds >= 0 && out->idle_seconds <= 1e6)) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "tub_bench_config: idle_seconds is %g; it must be from 0 to a million",
                         out->idle_seconds);
    }
    return check_repeats(out->repeats, err);
}

static tub_status measure_limit(tub_context *ctx, tub__limit limit, int repeats, tub_spread *gflops,
                                tub_error *err) {
    TUB__TRY(check_repeats(repeats, err));
    const tub_spread rate = tub__limit_measure(ctx->backend, limit, 0.05, repeats);
    *gflops = (tub_spread){1e-9 * rate.median, 1e-9 * rate.least, 1e-9 * rate.most};
    return TUB_OK;
}

tub_status tub_bench_peak(tub_context *ctx, int repeats, tub_spread *gflops, tub_error *err) {
    return measure_limit(ctx, TUB__PEAK, repeats, gflops, err);
}

tub_status tub_bench_tile(tub_context *ctx, int repeats, tub_spread *gflops, tub_error *err) {
    return measure_limit(ctx, TUB__TILE, repeats, gflops, err);
}

/* Pages that are in memory: the second number of this file. */
static size_t resident_bytes(void) {
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file != NULL) {
        if (fscanf(file, "%*u %zu", &pages) != 1) {
            pages = 0;
        }
        fclose(file);
    }
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static double seconds_of(const tub__bench_work *work, long calls) {
    const double start = tub__seconds();
    for (long i = 0; i < calls; i++) {
        work->run(work->user);
    }
    return tub__seconds() - start;
}

/* How much one measurement is. */
typedef struct portion {
    long calls;                        /* of the work */
    tub__yardstick limit[TUB__LIMITS]; /* beside it */
} portion;

/* Brings operands into the caches and pages into memory. A look at a limit takes a fiftieth of its
 * measurement, but no less than what the hand-out of a region does not count in. The looks leave
 * things of their own in the caches, so a measurement is at least as long as they are: what is short
 * is called again and again, as who uses it does. */
static portion warm_up(tub__backend *be, const tub__bench_work *work) {
    const double least_look = 1e-3, share_of_look = 0.02;
    const double shortest = TUB__LIMITS * least_look;
    portion p = {.calls = 1};
    double seconds = seconds_of(work, TUB__BENCH_WARM_UP) / TUB__BENCH_WARM_UP;
    if (seconds < shortest) {
        while ((seconds = seconds_of(work, p.calls)) < shortest) {
            p.calls *= 2;
        }
    }
    seconds *= share_of_look;
    for (int l = 0; l < TUB__LIMITS; l++) {
        p.limit[l] = tub__yardstick_make(be, l, seconds > least_look ? seconds : least_look);
    }
    return p;
}

/* The limits right now. */
typedef struct look {
    double rate[TUB__LIMITS];
} look;

static look look_at_limits(tub__backend *be, const portion *p) {
    look now;
    for (int l = 0; l < TUB__LIMITS; l++) {
        now.rate[l] = tub__yardstick_rate(be, &p->limit[l]);
    }
    return now;
}

/* The measurements that count. */
typedef struct record {
    int count, tried;
    double seconds[TUB_BENCH_REPEATS];
    double rate[TUB__LIMITS][TUB_BENCH_REPEATS], times[TUB__LIMITS][TUB_BENCH_REPEATS];
    double peak, tile; /* the highest that a look saw */
} record;

static double larger(double a, double b) {
    return a > b ? a : b;
}

static look see(tub__backend *be, const portion *p, record *r) {
    const look now = look_at_limits(be, p);
    r->peak = larger(r->peak, now.rate[TUB__PEAK]);
    r->tile = larger(r->tile, now.rate[TUB__TILE]);
    return now;
}

static bool idle(const look *l, const record *r) {
    return l->rate[TUB__TILE] >= TUB_BENCH_IDLE * r->peak;
}

static void keep(record *r, const tub__bench_work *work, double seconds, const look *before,
                 const look *after) {
    const int i = r->count++;
    r->seconds[i] = seconds;
    for (int l = 0; l < TUB__LIMITS; l++) {
        r->rate[l][i] = 0.5 * (before->rate[l] + after->rate[l]);
        r->times[l][i] = seconds * r->rate[l][i] / work->operations;
    }
    if (work->keep != NULL) {
        work->keep(work->user, i);
    }
}

static void measure_often(tub__backend *be, const tub__bench_work *work,
                          const tub_bench_config *config, record *r) {
    const bool idle_only = config->idle_seconds > 0;
    const portion p = warm_up(be, work);
    const double begin = tub__seconds();
    look before = see(be, &p, r);
    while (r->count < config->repeats &&
           (!idle_only || r->tried == 0 || tub__seconds() - begin < config->idle_seconds)) {
        const double seconds = seconds_of(work, p.calls) / (double)p.calls;
        const look after = see(be, &p, r);
        r->tried++;
        if (!idle_only || (idle(&before, r) && idle(&after, r))) {
            keep(r, work, seconds, &before, &after);
        }
        before = after;
    }
}

static tub_status summary(const tub__bench_work *work, record *r, tub_bench_result *out,
                          tub_error *err) {
    const size_t n = (size_t)r->count;
    if (n == 0) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "the machine was never idle: in %d measurements products from the second "
                         "cache reached %.2f of the peak at best, and %.2f is idle",
                         r->tried, r->tile / r->peak, TUB_BENCH_IDLE);
    }
    *out = (tub_bench_result){.seconds = tub__spread_of(r->seconds, n),
                              .operations = work->operations,
                              .peak = tub__spread_of(r->rate[TUB__PEAK], n).median,
                              .t_peak = tub__spread_of(r->times[TUB__PEAK], n).median,
                              .tile = tub__spread_of(r->rate[TUB__TILE], n).median,
                              .t_tile = tub__spread_of(r->times[TUB__TILE], n).median,
                              .repeats = r->count,
                              .tried = r->tried,
                              .resident_bytes = resident_bytes()};
    return TUB_OK;
}

tub_status tub__bench_measure(tub__backend *be, const tub__bench_work *work,
                              const tub_bench_config *config, tub_bench_result *out,
                              tub_error *err) {
    record r = {0};
    const tub__fpenv saved = tub__fpenv_enter();
    measure_often(be, work, config, &r);
    tub__fpenv_leave(saved);
    return summary(work, &r, out, err);
}

tub_status tub__bench_runner(tub_model *model, tub_bench_pass kind, int64_t batch,
                             tub_precision precision, tub__runner *out, tub_error *err) {
    tub_train_config recipe = tub_train_config_default();
    recipe.precision = precision;
    TUB__TRY(tub__in_range("batch", batch, 1, TUB__BENCH_BATCH, err));
    const tub__pass_config pass = {.batch = (size_t)batch, .training = kind == TUB_BENCH_STEP};
    return tub__runner_create(model, &pass, &recipe, out, err);
}

/* rows * cols numbers of the host; the caller's. */
static tub_status numbers(tub__backend *be, size_t rows, size_t cols, float **out, tub_error *err) {
    size_t count = 0;
    if (!tub__mul(rows, cols, &count)) {
        return tub__fail(err, TUB_E_MEMORY, "%zu x %zu numbers do not fit into memory", rows, cols);
    }
    TUB__TRY(tub__alloc_array(&be->allocator, count, sizeof **out, (void **)out, err));
    for (size_t i = 0; i < count; i++) {
        const uint32_t mixed = (uint32_t)i * 2654435761u; /* Knuth's multiplicative hash */
        (*out)[i] = (float)(mixed >> 16) / 65536 - 0.5f;
    }
    return TUB_OK;
}

tub_status tub__bench_fill(tub__backend *be, tub__mat m, tub_error *err) {
    float *values;
    TUB__TRY(numbers(be, m.rows, m.cols, &values, err));
    be->ops->mat_in(be, m, TUB_F32, values, m.cols, 1);
    tub__free(&be->allocator, values);
    return TUB_OK;
}

tub_status tub__bench_fill_weight(tub__backend *be, tub__weight w, tub_error *err) {
    float *values;
    TUB__TRY(numbers(be, w.rows, w.cols, &values, err));
    be->ops->pack(be, w, TUB_F32, values, w.cols, 1);
    tub__free(&be->allocator, values);
    return TUB_OK;
}
