/* SPDX-License-Identifier: Apache-2.0 */
/* Models in int8: the same bits however they are computed and wherever they come from, and answers
 * near those of float32. */
#include "cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu.h"
#include "base/file.h"
#include "formats/safetensors.h"
#include "tiny_data.h"
#include "training.h"

enum { SAMPLES = 5 };

static tub_context *context(tub_precision precision, tub_cpu cpu, int threads) {
    tub_context_config c = tub_context_config_default();
    tub_context *ctx;
    c.precision = precision, c.cpu = cpu, c.threads = threads;
    assert_int_equal(tub_context_create(&c, &ctx, NULL), TUB_OK);
    return ctx;
}

static tub_model *opened(tub_context *ctx, const char *folder) {
    tub_model *model = NULL;
    tub_error err = {0};
    if (tub_model_open(ctx, folder, &model, &err) != TUB_OK) {
        fail_msg("%s", err.message);
    }
    return model;
}

/* Logits of SAMPLES clips, so many at a time; the caller frees them. */
static float *logits_of(tub_context *ctx, const char *folder, int64_t batch) {
    tub_model *model = opened(ctx, folder);
    const tub_model_config *c = tub_model_describe(model);
    const size_t voxels = (size_t)(c->frames * c->height * c->width * c->channels);
    unsigned char *x = malloc(SAMPLES * voxels);
    float *out = malloc(SAMPLES * (size_t)c->classes * sizeof *out);
    for (size_t i = 0; i < SAMPLES * voxels; i++) {
        x[i] = (unsigned char)((uint32_t)i * 2654435761u >> 24);
    }
    for (int64_t s = 0; s < SAMPLES; s += batch) {
        const int64_t n = SAMPLES - s < batch ? SAMPLES - s : batch;
        assert_int_equal(tub_model_forward(model, n, TUB_U8, x + (size_t)s * voxels,
                                           out + s * c->classes, NULL, NULL),
                         TUB_OK);
    }
    free(x);
    tub_model_close(model);
    return out;
}

static tub_model_config odd_model(int64_t frames) {
    tub_model_config c;
    assert_int_equal(tub_model_preset("vivit-tiny", &c, NULL), TUB_OK);
    c.frames = frames, c.height = 13, c.width = 9, c.channels = 2;
    c.tubelet[0] = 3, c.tubelet[1] = 4, c.tubelet[2] = 3;
    c.hidden = 40, c.heads = 5, c.layers = 2, c.mlp = 70, c.classes = 7;
    c.gelu = TUB_GELU_ERF, c.qkv_bias = 0;
    return c;
}

static void save_new(const tub_model_config *config, const char *folder) {
    tub_context *ctx = context(TUB_PRECISION_F32, TUB_CPU_AUTO, 1);
    tub_model *model;
    assert_int_equal(tub_model_create(ctx, config, 3, &model, NULL), TUB_OK);
    assert_int_equal(tub_model_save(model, folder, NULL), TUB_OK);
    tub_model_close(model);
    tub_context_destroy(ctx);
}

/* All ways of computing; above 64 tokens attention is AMX's own. */
static void compare_all(const char *folder, int64_t classes, bool with_amx) {
    float *first = NULL;
    for (tub_cpu cpu = TUB_CPU_PORTABLE; cpu <= TUB_CPU_AMX; cpu++) {
        if (!tub__cpu_has(cpu) || (cpu == TUB_CPU_AMX && !with_amx)) {
            continue;
        }
        for (int threads = 1; threads <= 3; threads += 2) {
            tub_context *ctx = context(TUB_PRECISION_INT8, cpu, threads);
            for (int64_t batch = 1; batch <= SAMPLES; batch += 2) {
                float *l = logits_of(ctx, folder, batch);
                if (!first) {
                    first = l;
                    continue;
                }
                assert_memory_equal(first, l, SAMPLES * (size_t)classes * sizeof *l);
                free(l);
            }
            tub_context_destroy(ctx);
        }
    }
    free(first);
}

static void same_bits(void **state) {
    (void)state;
    tub_model_config c = odd_model(10); /* 3 x 3 x 3 tokens */
    save_new(&c, "odd");
    compare_all("odd", c.classes, true);
    c.pooling = TUB_POOL_CLASS_TOKEN, c.gelu = TUB_GELU_TANH, c.mlp_output_gelu = 0, c.qkv_bias = 1;
    save_new(&c, "plain");
    compare_all("plain", c.classes, true);
    c = odd_model(31); /* 90 tokens */
    save_new(&c, "long");
    compare_all("long", c.classes, false);
    tub_context *ctx = context(TUB_PRECISION_INT8, TUB_CPU_AUTO, 2);
    float *all = logits_of(ctx, "long", SAMPLES), *single = logits_of(ctx, "long", 1);
    assert_memory_equal(all, single, SAMPLES * (size_t)c.classes * sizeof *all);
    free(all), free(single);
    tub_context_destroy(ctx);
}

/* Negative control, and a trained model: int8 differs from float32, by little. */
static void near_float32(void **state) {
    (void)state;
    tub_train_config c = small_recipe();
    c.epochs = 30;
    must_run(&c, &plainly, "trained");
    tub_context *whole = context(TUB_PRECISION_INT8, TUB_CPU_AUTO, 2),
                *real = context(TUB_PRECISION_F32, TUB_CPU_AUTO, 2);
    float *a = logits_of(whole, "trained", SAMPLES), *b = logits_of(real, "trained", SAMPLES);
    float largest = 0, change = 0;
    for (int i = 0; i < SAMPLES * TINY_CLASSES; i++) {
        largest = fmaxf(largest, fabsf(b[i])), change = fmaxf(change, fabsf(a[i] - b[i]));
    }
    print_message("largest change %g of %g\n", (double)change, (double)largest);
    assert_true(change > 0 && change < 0.05f * largest);

    tub_dataset *data;
    tub_scores scores[2];
    float probabilities[TINY_VAL * TINY_CLASSES];
    assert_int_equal(tub_dataset_open(real, "tiny.npz", NULL, &data, NULL), TUB_OK);
    for (int i = 0; i < 2; i++) {
        tub_model *model = opened(i ? whole : real, "trained");
        assert_int_equal(tub_predict_split(model, data, TUB_VAL, 7, NULL, probabilities, NULL),
                         TUB_OK);
        assert_int_equal(tub_scores_compute(real, TINY_VAL, TINY_CLASSES, probabilities,
                                            tub_dataset_labels(data, TUB_VAL), &scores[i], NULL),
                         TUB_OK);
        tub_model_close(model);
    }
    print_message("top-1 %g, in int8 %g\n", scores[0].top1, scores[1].top1);
    assert_true(scores[0].top1 > 0.8 && scores[1].top1 >= scores[0].top1);
    tub_dataset_close(data);
    free(a), free(b);
    tub_context_destroy(whole), tub_context_destroy(real);
}

/* ---- folders ---- */

static void convert(const char *from, const char *to) {
    tub_context *ctx = context(TUB_PRECISION_INT8, TUB_CPU_AUTO, 2);
    tub_model *model = opened(ctx, from);
    assert_int_equal(tub_model_save(model, to, NULL), TUB_OK);
    tub_model_close(model);
    tub_context_destroy(ctx);
}

/* A folder of whole numbers is what rounding the float32 one gives, and gives itself again. */
static void folders(void **state) {
    (void)state;
    tub_model_config c = odd_model(10);
    char first[65], again[65];
    tub_error err = {0};
    save_new(&c, "real");
    convert("real", "whole");
    convert("whole", "again");
    file_hash("whole", "model.safetensors", first);
    file_hash("again", "model.safetensors", again);
    assert_string_equal(first, again);
    file_hash("whole", "config.json", first);
    file_hash("again", "config.json", again);
    assert_string_equal(first, again);
    tub_context *ctx = context(TUB_PRECISION_INT8, TUB_CPU_AUTO, 2);
    float *a = logits_of(ctx, "real", 2), *b = logits_of(ctx, "whole", 2);
    assert_memory_equal(a, b, SAMPLES * (size_t)c.classes * sizeof *a);
    free(a), free(b);
    tub_context_destroy(ctx);
    for (int i = TUB_PRECISION_F32; i <= TUB_PRECISION_BF16; i++) {
        tub_model *model = NULL;
        ctx = context((tub_precision)i, TUB_CPU_AUTO, 1);
        assert_int_equal(tub_model_open(ctx, "whole", &model, &err), TUB_E_UNSUPPORTED);
        assert_string_equal(err.message,
                            "whole holds int8 weights: use it with precision int8 (--precision "
                            "int8), or take the model that it was converted from");
        tub_context_destroy(ctx);
    }
}

/* An array got back is the scale times the whole number: within half a scale of the original. */
static void values(void **state) {
    (void)state;
    tub_context *whole = context(TUB_PRECISION_INT8, TUB_CPU_AUTO, 2),
                *real = context(TUB_PRECISION_F32, TUB_CPU_AUTO, 2);
    tub_model *a = opened(real, "real"), *b = opened(whole, "real");
    int rounded = 0;
    for (int64_t i = 0; i < tub_model_parameters(a); i++) {
        tub_parameter p;
        assert_int_equal(tub_model_parameter(a, i, &p, NULL), TUB_OK);
        float *x = malloc((size_t)p.count * sizeof *x), *y = malloc((size_t)p.count * sizeof *y);
        assert_int_equal(tub_model_get(a, i, x, NULL), TUB_OK);
        assert_int_equal(tub_model_get(b, i, y, NULL), TUB_OK);
        const int64_t columns = p.rank == 2 ? p.shape[1] : p.count, rows = p.count / columns;
        const bool same = memcmp(x, y, (size_t)p.count * sizeof *x) == 0;
        for (int64_t r = 0; r < rows && !same; r++) {
            float largest = 0;
            for (int64_t k = 0; k < columns; k++) {
                largest = fmaxf(largest, fabsf(x[r * columns + k]));
            }
            for (int64_t k = 0; k < columns; k++) {
                assert_true(fabsf(x[r * columns + k] - y[r * columns + k]) <=
                            largest / 127 * 0.5001f);
            }
        }
        rounded += !same;
        free(x), free(y);
    }
    assert_int_equal(rounded, 2 * 6); /* the dense kernels of both layers */
    tub_model_close(a), tub_model_close(b);
    tub_context_destroy(whole), tub_context_destroy(real);
}

/* ---- files that are not right ---- */

typedef enum fault { NONE, LOWEST, NEGATIVE, NO_SCALE, REAL_KERNEL, SHORT_SCALE, EXTRA } fault;

static const char KERNEL_NAME[] = "vivit.encoder.layer.1.output.dense.weight",
                  SCALE_NAME[] = "vivit.encoder.layer.1.output.dense.weight.scale";

/* What the faulty file has of an array: its declaration; false: nothing. */
static bool spoil(fault f, tub__st_array *a) {
    if (f == NO_SCALE && strcmp(a->name, SCALE_NAME) == 0) {
        return false;
    }
    if (f == REAL_KERNEL && strcmp(a->name, KERNEL_NAME) == 0) {
        a->dtype = TUB__ST_F32, a->size *= 4;
    }
    if (f == SHORT_SCALE && strcmp(a->name, SCALE_NAME) == 0) {
        a->shape[0]--, a->size -= 4;
    }
    return true;
}

static void write_faulty(fault f) {
    tub__st_file file;
    tub__st_writer *w;
    const tub_allocator *heap = &tub__default_allocator;
    assert_int_equal(tub__st_open(heap, "whole/model.safetensors", &file, NULL), TUB_OK);
    assert_int_equal(tub__st_create(heap, "bad/model.safetensors", &w, NULL), TUB_OK);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < file.count; i++) {
            tub__st_array a = file.arrays[i];
            if (!spoil(f, &a)) {
                continue;
            }
            if (!pass) {
                assert_int_equal(tub__st_declare(w, a.name, a.dtype, a.rank, a.shape, NULL),
                                 TUB_OK);
                continue;
            }
            char *bytes = calloc(1, a.size);
            memcpy(bytes, file.data + a.offset,
                   a.size < file.arrays[i].size ? a.size : file.arrays[i].size);
            if (f == LOWEST && strcmp(a.name, KERNEL_NAME) == 0) {
                bytes[5] = -128;
            }
            if (f == NEGATIVE && strcmp(a.name, SCALE_NAME) == 0) {
                memcpy(bytes + 4, &(float){-1}, 4);
            }
            assert_int_equal(tub__st_write(w, bytes, a.size, NULL), TUB_OK);
            free(bytes);
        }
        if (f == EXTRA) {
            const char *name = "classifier.weight.scale";
            const uint64_t shape[1] = {1};
            assert_int_equal(pass ? tub__st_write(w, &(float){1}, 4, NULL)
                                  : tub__st_declare(w, name, TUB__ST_F32, 1, shape, NULL),
                             TUB_OK);
        }
    }
    assert_int_equal(tub__st_commit(w, NULL), TUB_OK);
    tub__st_close(&file);
}

static void bad_files(void **state) {
    (void)state;
    static const char *const sentences[] = {
        [LOWEST] = "vivit.encoder.layer.1.output.dense.weight: element 5 is -128; numbers are from "
                   "-127 on",
        [NEGATIVE] = "vivit.encoder.layer.1.output.dense.weight.scale: element 1 is -1, below zero",
        [NO_SCALE] = "vivit.encoder.layer.1.output.dense.weight.scale: missing; "
                     "vivit.encoder.layer.1.output.dense.weight is I8",
        [REAL_KERNEL] =
            "vivit.encoder.layer.1.output.dense.weight: must be I8, as config.json says",
        [SHORT_SCALE] = "vivit.encoder.layer.1.output.dense.weight.scale: expected [40], file has "
                        "[39]",
        [EXTRA] = "classifier.weight.scale: unexpected; the configuration has no such array"};
    convert("real", "bad");
    for (fault f = NONE; f <= EXTRA; f++) {
        tub_context *ctx = context(TUB_PRECISION_INT8, TUB_CPU_AUTO, 1);
        tub_model *model = NULL;
        tub_error err = {0};
        write_faulty(f);
        const tub_status status = tub_model_open(ctx, "bad", &model, &err);
        if (f == NONE) {
            assert_int_equal(status, TUB_OK);
        } else {
            char whole[512];
            assert_int_not_equal(status, TUB_OK);
            snprintf(whole, sizeof whole, "bad/model.safetensors: %s", sentences[f]);
            assert_string_equal(err.message, whole);
        }
        tub_model_close(model);
        tub_context_destroy(ctx);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_bits), cmocka_unit_test(near_float32),
                                       cmocka_unit_test(folders), cmocka_unit_test(values),
                                       cmocka_unit_test(bad_files)};
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
