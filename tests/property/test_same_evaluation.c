/* SPDX-License-Identifier: Apache-2.0 */
/* One evaluation gives one SHA-256 of logits, probabilities and metrics, whatever the threads, the
 * batch and the instruction set; in bf16 AMX has one of its own. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/sha256.h"
#include "base/file.h"
#include "training.h"

enum { SAMPLES = 46, CLASSES = 5 };
static const int threads[] = {1, 2, 3, 5, 8};
static const int64_t batches[] = {1, 7, 32};

/* Both of the attention algorithms: 12 tokens, and 80; and 40 or 41, which two and three threads
 * share out by rows, of more layers than wait for each other at once (TUB__CPU_TAKEN). */
static const struct {
    const char *name, *tubelet, *layers, *pooling;
} models[] = {{"short", "4,5,3", "2", "mean"},
              {"middle", "4,3,2", "14", "mean"},
              {"token", "4,3,2", "1", "class_token"},
              {"long", "2,3,2", "2", "mean"}};
enum { MODELS = sizeof models / sizeof *models };

static int set_up(void **state) {
    if (scratch_enter(state) != 0) {
        return -1;
    }
    for (int i = 0; i < MODELS; i++) {
        tub_train_config c = small_recipe();
        c.epochs = 2;
        assert_int_equal(tub_train_config_set(&c, "model.tubelet", models[i].tubelet, NULL),
                         TUB_OK);
        assert_int_equal(tub_train_config_set(&c, "model.layers", models[i].layers, NULL), TUB_OK);
        assert_int_equal(tub_train_config_set(&c, "model.pooling", models[i].pooling, NULL),
                         TUB_OK);
        must_run(&c, &plainly, models[i].name);
    }
    return 0;
}

/* Bytes to be hashed, one piece after the other. */
typedef struct pile {
    unsigned char *bytes;
    size_t size;
} pile;

static void put(pile *p, const void *from, size_t size) {
    p->bytes = realloc(p->bytes, p->size + size);
    assert_non_null(p->bytes);
    memcpy(p->bytes + p->size, from, size);
    p->size += size;
}

static void put_metrics(pile *p, const tub_metrics *m) {
    const tub_interval intervals[] = {m->top1, m->top5, m->auc, m->acc, m->loss};
    const double others[] = {m->balanced_accuracy, m->macro_f1, m->calibration_error, m->brier};
    put(p, intervals, sizeof intervals);
    put(p, others, sizeof others);
    put(p, m->confusion, CLASSES * CLASSES * sizeof *m->confusion);
    put(p, m->per_class, CLASSES * sizeof *m->per_class);
}

/* What an evaluation is computed with. */
typedef struct means {
    tub_cpu cpu;
    int threads;
    int64_t batch;
    tub_precision precision;
} means;

static void evaluate(const char *folder, const means *by, char hex[65]) {
    float logits[SAMPLES * CLASSES], probabilities[SAMPLES * CLASSES];
    tub_error err = {0};
    tub_context_config config = tub_context_config_default();
    tub_context *ctx;
    tub_model *model;
    tub_dataset *data;
    tub_metrics *metrics;
    pile p = {0};
    config.cpu = by->cpu;
    config.threads = by->threads;
    config.precision = by->precision;
    assert_ok(tub_context_create(&config, &ctx, &err), err);
    assert_ok(tub_model_open(ctx, folder, &model, &err), err);
    assert_ok(tub_dataset_open(ctx, "tiny.npz", NULL, &data, &err), err);
    assert_int_equal(tub_dataset_describe(data)->count[TUB_TRAIN], SAMPLES);
    assert_ok(tub_predict_split(model, data, TUB_TRAIN, by->batch, logits, probabilities, &err),
              err);
    assert_ok(tub_metrics_compute(ctx, SAMPLES, CLASSES, probabilities,
                                  tub_dataset_labels(data, TUB_TRAIN), 1, 50, &metrics, &err),
              err);
    put(&p, logits, sizeof logits);
    put(&p, probabilities, sizeof probabilities);
    put_metrics(&p, metrics);
    sha256_hex((const char *)p.bytes, p.size, hex);
    free(p.bytes);
    tub_metrics_free(ctx, metrics);
    tub_dataset_close(data);
    tub_model_close(model);
    tub_context_destroy(ctx);
}

/* Every number of threads and every batch with one instruction set give `expected`. */
static void all_alike(const char *folder, tub_cpu cpu, tub_precision precision,
                      const char *expected) {
    for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
        for (size_t b = 0; b < sizeof batches / sizeof *batches; b++) {
            char hex[65];
            evaluate(folder, &(means){cpu, threads[t], batches[b], precision}, hex);
            if (strcmp(hex, expected) != 0) {
                fail_msg("%s model, precision %d, cpu %d, %d threads, batches of %d: %s, not %s",
                         folder, precision, cpu, threads[t], (int)batches[b], hex, expected);
            }
        }
    }
}

static void float32(void **state) {
    (void)state;
    for (int m = 0; m < MODELS; m++) {
        char expected[65];
        evaluate(models[m].name, &(means){TUB_CPU_PORTABLE, 1, SAMPLES, TUB_PRECISION_F32},
                 expected);
        for (tub_cpu cpu = TUB_CPU_PORTABLE; cpu <= TUB_CPU_AMX; cpu++) {
            if (runs_on(cpu)) {
                all_alike(models[m].name, cpu, TUB_PRECISION_F32, expected);
            }
        }
    }
}

static void bf16(void **state) {
    (void)state;
    for (int m = 0; m < MODELS; m++) {
        const char *folder = models[m].name;
        char full[65], expected[65];
        evaluate(folder, &(means){TUB_CPU_PORTABLE, 1, SAMPLES, TUB_PRECISION_F32}, full);
        evaluate(folder, &(means){TUB_CPU_PORTABLE, 1, SAMPLES, TUB_PRECISION_BF16}, expected);
        assert_string_not_equal(full, expected);
        for (tub_cpu cpu = TUB_CPU_PORTABLE; cpu <= TUB_CPU_AVX512_BF16; cpu++) {
            if (runs_on(cpu)) {
                all_alike(folder, cpu, TUB_PRECISION_BF16, expected);
            }
        }
    }
}

static void bf16_by_amx(void **state) {
    (void)state;
    for (int m = 0; m < MODELS && runs_on(TUB_CPU_AMX); m++) {
        const char *folder = models[m].name;
        char others[65], expected[65];
        evaluate(folder, &(means){TUB_CPU_PORTABLE, 1, SAMPLES, TUB_PRECISION_BF16}, others);
        evaluate(folder, &(means){TUB_CPU_AMX, 1, SAMPLES, TUB_PRECISION_BF16}, expected);
        assert_string_not_equal(others, expected);
        all_alike(folder, TUB_CPU_AMX, TUB_PRECISION_BF16, expected);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(float32), cmocka_unit_test(bf16),
                                       cmocka_unit_test(bf16_by_amx)};
    return cmocka_run_group_tests(tests, set_up, scratch_leave);
}
