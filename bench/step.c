/* SPDX-License-Identifier: Apache-2.0 */
/* Where a training step's time goes: the whole step, its parts, and batch-1 and batch-32 inference,
 * as multiples of the time that their operations take at the multiply-add peak measured in between.
 *
 * usage: bench_step [threads] [cpu] [repeats] [profile|bf16]
 * profile: a table of the operations instead, each run by itself */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/profile.h"
#include "base/clock.h"
#include "base/context.h"
#include "model/pass.h"
#include <tubelet/tubelet.h>

enum { BATCH = 32, SAMPLES = 971 };

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *t, int n) {
    qsort(t, (size_t)n, sizeof *t, compare);
    return t[n / 2];
}

static void die(const tub_error *err) {
    fprintf(stderr, "bench_step: %s\n", err->message);
    exit(1);
}

/* Everything a step needs. */
typedef struct bench {
    tub_context *ctx;
    tub_model *model;
    tub__pass *pass;
    unsigned char *x;
    int32_t labels[BATCH];
    void *m, *v;
} bench;

static void forward(bench *b) {
    const tub__dropout dropout = {.rate = 0.1, .key = {{1, 2}}};
    tub__pass_forward(b->pass, BATCH, TUB_U8, b->x, &dropout);
}

static void backward(bench *b) {
    const tub__targets targets = {.labels = b->labels, .global_batch = BATCH};
    tub__pass_loss(b->pass, &targets, NULL);
    tub__pass_backward(b->pass);
}

static void update(bench *b) {
    tub__backend *be = b->model->backend;
    const tub__segment all = {0, b->model->params.elements, 0};
    const tub__update op = {.kind = TUB__ADAM_KERAS,
                            .rate = 1e-4,
                            .beta1 = 0.9,
                            .beta2 = 0.999,
                            .epsilon = 1e-7,
                            .gradient_scale = 1,
                            .segments = &all,
                            .segment_count = 1,
                            .w = b->model->weights,
                            .g = tub__pass_gradients(b->pass),
                            .m = b->m,
                            .v = b->v};
    be->ops->update(be, &op);
    b->model->reduced_stale = true;
}

static void step(bench *b) {
    forward(b);
    backward(b);
    update(b);
}

static void predict(bench *b, int64_t batch) {
    tub_error err;
    float logits[BATCH * 11];
    if (tub_model_forward(b->model, batch, TUB_U8, b->x, logits, NULL, &err) != TUB_OK) {
        die(&err);
    }
}
static void predict1(bench *b) {
    predict(b, 1);
}
static void predict32(bench *b) {
    predict(b, BATCH);
}

static double timed(bench *b, void (*fn)(bench *), int repeats) {
    double *t = malloc((size_t)repeats * sizeof *t);
    for (int i = 0; i < 3; i++) {
        fn(b);
    }
    for (int i = 0; i < repeats; i++) {
        const double t0 = tub__seconds();
        fn(b);
        t[i] = tub__seconds() - t0;
    }
    const double s = median(t, repeats);
    free(t);
    return s;
}

static void report(const char *what, double seconds, double gflop, double peak) {
    printf("%-22s %9.3f ms  %7.1f GFLOP/s  %5.2f x T_peak\n", what, 1e3 * seconds, gflop / seconds,
           seconds * peak / gflop);
}

/* Every operation of some steps, the costliest first. */
static int costlier(const void *a, const void *b) {
    return compare(&((const tub__profile_line *)b)->seconds,
                   &((const tub__profile_line *)a)->seconds);
}

static void print_profile(tub__backend *be, int runs, double peak) {
    size_t count;
    tub__profile_line lines[TUB__PROFILE_LINES];
    const tub__profile_line *seen = tub__profile_lines(be, &count);
    double sum = 0;
    memcpy(lines, seen, count * sizeof *lines);
    qsort(lines, count, sizeof *lines, costlier);
    printf("\n%-20s %6s %6s %6s %6s %9s %9s %7s %8s\n", "operation", "rows", "depth", "cols",
           "calls", "ms", "GFLOP/s", "of peak", "GB/s");
    for (size_t i = 0; i < count; i++) {
        const tub__profile_line *l = &lines[i];
        const double rate = 1e-9 * l->flop / l->seconds;
        sum += l->seconds;
        printf("%-20s %6zu %6zu %6zu %6.0f %9.3f %9.1f %6.1f%% %8.1f\n", l->operation, l->rows,
               l->depth, l->columns, (double)l->calls / runs, 1e3 * l->seconds / runs, rate,
               100 * rate / peak, 1e-9 * l->bytes / l->seconds);
    }
    printf("%-47s %9.3f\n", "sum", 1e3 * sum / runs);
}

/* argv: threads, instruction set. */
static void set_up(bench *b, int argc, char **argv) {
    tub_error err;
    tub_context_config config = tub_context_config_default();
    config.threads = argc > 1 ? atoi(argv[1]) : 2;
    tub_model_config c;
    if ((argc > 2 && tub_cpu_parse(argv[2], &config.cpu, &err) != TUB_OK) ||
        tub_context_create(&config, &b->ctx, &err) != TUB_OK ||
        tub_model_preset("vivit-tiny", &c, &err) != TUB_OK ||
        tub_model_create(b->ctx, &c, 1, &b->model, &err) != TUB_OK) {
        die(&err);
    }
    b->x = malloc(BATCH * 28 * 28 * 28);
    for (size_t i = 0; i < BATCH * 28 * 28 * 28; i++) {
        b->x[i] = (unsigned char)(i * 2654435761u >> 24);
    }
    for (int i = 0; i < BATCH; i++) {
        b->labels[i] = i % 11;
    }
}

/* The training pass and the optimiser's moments, on the model's backend of now. */
static void prepare_training(bench *b) {
    tub_error err;
    tub__backend *be = b->model->backend;
    const size_t bytes = b->model->params.elements * be->real_size;
    const tub__pass_config training = {.batch = BATCH, .training = true};
    if (tub__pass_create(b->model, &training, &b->pass, &err) != TUB_OK ||
        be->ops->slab_create(be, bytes, &b->m, &err) != TUB_OK ||
        be->ops->slab_create(be, bytes, &b->v, &err) != TUB_OK) {
        die(&err);
    }
}

static void profiled(bench *b, void (*fn)(bench *), int repeats, double peak) {
    tub__backend *be = b->model->backend;
    for (int i = 0; i < 3; i++) {
        fn(b);
    }
    tub__profile_clear(be);
    for (int i = 0; i < repeats; i++) {
        fn(b);
    }
    print_profile(be, repeats, peak);
}

static void profile_all(bench *b, int repeats, double peak) {
    tub_error err;
    if (tub__profile_create(b->model->backend, &b->model->backend, &err) != TUB_OK) {
        die(&err);
    }
    prepare_training(b);
    profiled(b, step, repeats, peak);
    profiled(b, predict1, 10 * repeats, peak);
}

static void time_all(bench *b, int repeats, double peak) {
    /* GFLOP of a forward pass, and of a training step of the batch. */
    const double one = 0.0914525184, whole = 2 * 135424128.0e-9 * BATCH;
    prepare_training(b);
    const double t = timed(b, step, repeats);
    report("step", t, whole, peak);
    printf("%-22s %9.3f s\n", "epoch of 971", t * SAMPLES / BATCH);
    report("  forward", timed(b, forward, repeats), one * BATCH, peak);
    report("  backward", timed(b, backward, repeats), whole - one * BATCH, peak);
    report("  update", timed(b, update, repeats), 0, peak);
    report("predict batch 1", timed(b, predict1, 10 * repeats), one, peak);
    report("predict batch 32", timed(b, predict32, repeats), one * BATCH, peak);
}

int main(int argc, char **argv) {
    tub_error err;
    bench b = {0};
    double peak;
    const int repeats = argc > 3 ? atoi(argv[3]) : 30;
    set_up(&b, argc, argv);
    if (tub_bench_peak(b.ctx, 9, &peak, &err) != TUB_OK) {
        die(&err);
    }
    printf("%s, %d threads, peak %.1f GFLOP/s\n", tub_context_cpu(b.ctx),
           tub_context_threads(b.ctx), peak);
    if (argc > 4 && strcmp(argv[4], "profile") == 0) {
        profile_all(&b, repeats, peak);
    } else {
        if (argc > 4 && strcmp(argv[4], "bf16") == 0 &&
            tub__model_reduce(b.model, TUB__BF16, true, &err) != TUB_OK) {
            die(&err);
        }
        time_all(&b, repeats, peak);
    }
    return 0;
}
