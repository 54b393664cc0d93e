/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of opening, reading clips, forward, saving and evaluating made to fail once: a clean error each
 * time, no block left. Training: test_failing_train.c. */
#include "failing_scene.h"

#include "data/dataset.h"
#include "data/loader.h"
#include "formats/npy.h"

/* With two transformers, a table that is computed, and a layer before the classifier. */
static tub_model_config tiny_encoder(void) {
    tub_model_config c = tiny();
    c.variant = TUB_VARIANT_FACTORISED_ENCODER;
    c.pooling = TUB_POOL_CLASS_TOKEN;
    c.positions = TUB_POSITIONS_SINUSOIDAL_1D;
    c.temporal_layers = 1;
    c.representation = 6;
    return c;
}

/* Every array of a model out and in again. */
static tub_status get_and_set(tub_model *model, tub_error *err) {
    tub_status status = TUB_OK;
    for (int64_t i = 0; status == TUB_OK && i < tub_model_parameters(model); i++) {
        float values[4096];
        tub_parameter p;
        status = tub_model_parameter(model, i, &p, err);
        if (status == TUB_OK && p.count <= 4096) {
            status = tub_model_get(model, i, values, err);
        }
        if (status == TUB_OK && p.count <= 4096) {
            status = tub_model_set(model, i, values, err);
        }
    }
    return status;
}

static tub_status open_data(tub_context *ctx, const scene *s, tub_error *err) {
    tub_dataset *data;
    TUB__TRY(tub_dataset_open(ctx, s->npz, NULL, &data, err));
    tub_dataset_close(data);
    return TUB_OK;
}

/* A clip as evaluation sees it, and one that training draws. */
static tub_status read_files(const tub_dataset *data, tub_error *err) {
    unsigned char clip[4 * 4 * 4];
    tub__source source = {0};
    const tub__sample_key key = {1, 0, 0, 0};
    TUB__TRY(tub_dataset_read(data, TUB_TRAIN, 0, 1, clip, err));
    tub_status status = tub__dataset_source(data, TUB_TRAIN, 0, &source, err);
    if (status == TUB_OK) {
        status = tub__source_clip(data, TUB_TRAIN, &source, &key, clip, err);
    }
    tub__source_free(data, &source);
    return status;
}

static tub_status open_set(tub_context *ctx, const scene *s, bool no_cache, tub_error *err) {
    tub_dataset_options o = tub_dataset_options_default();
    char path[700];
    tub_dataset *data;
    static const char *const order[] = {"c", "b", "a"};
    o.clip.frames = o.clip.height = o.clip.width = 4;
    o.class_names = order;
    o.class_count = 3;
    o.no_cache = no_cache;
    snprintf(path, sizeof path, "%s/set.csv", s->folder.path);
    TUB__TRY(tub_dataset_open(ctx, path, &o, &data, err));
    tub_status status = read_files(data, err);
    tub_dataset *fold = NULL;
    if (status == TUB_OK) {
        status = tub_dataset_fold(data, 2, 1, 0, &fold, err);
    }
    tub_dataset_close(data);
    tub_dataset_close(fold);
    return status;
}

static tub_status open_files(tub_context *ctx, const scene *s, tub_error *err) {
    return open_set(ctx, s, false, err);
}

/* set.csv of s/0.npy to s/3.npy, one of which can't be read, and of one of two volumes in s/stack.npy. */
static void write_files(const scene *s) {
    static unsigned char volume[6 * 8 * 7] = {1, 2, 3}, stack[2 * 6 * 8 * 7] = {5};
    const uint64_t shape[] = {6, 8, 7}, stack_shape[] = {2, 6, 8, 7};
    const char text[] = "path,label,group,split\ns/0.npy,a,p,train\n"
                        "s/1.npy,b,p,train\ns/2.npy,a,,val\ns/3.npy,b,,train\n"
                        "s/stack.npy[1],a,,train\n";
    char path[700];
    for (int i = 0; i < 4; i++) {
        volume[0] = (unsigned char)i; /* files of one content would be of one group */
        snprintf(path, sizeof path, "%s/s/%d.npy", s->folder.path, i);
        assert_int_equal(tub__parent_create(&tub__default_allocator, path, NULL), TUB_OK);
        assert_int_equal(
            i < 3 ? tub__npy_write(&tub__default_allocator, path, "|u1", 3, shape, volume, NULL)
                  : tub__file_write(&tub__default_allocator, path, "\x93NUMPY", 6, NULL),
            TUB_OK);
    }
    snprintf(path, sizeof path, "%s/s/stack.npy", s->folder.path);
    assert_int_equal(
        tub__npy_write(&tub__default_allocator, path, "|u1", 4, stack_shape, stack, NULL), TUB_OK);
    snprintf(path, sizeof path, "%s/set.csv", s->folder.path);
    assert_int_equal(tub__file_write(&tub__default_allocator, path, text, sizeof text - 1, NULL),
                     TUB_OK);
}

static tub_status read_volumes(tub_context *ctx, const scene *s, tub_error *err) {
    char argument[700];
    tub_volumes v;
    snprintf(argument, sizeof argument, "%s:test_images[1:3]", s->npz);
    TUB__TRY(tub_volumes_read(ctx, argument, NULL, &v, err));
    tub_volumes_free(&v);
    return TUB_OK;
}

/* A file's frames as they are and all of them; tests/unit/test_clip.c does it with videos and pictures. */
static tub_status plain_clip(tub_context *ctx, const char *path, const char *out, tub_error *err) {
    tub_clip_read_options o = tub_clip_read_options_default();
    tub_clip clip;
    o.frames = 3;
    o.side = 5;
    TUB__TRY(tub_clip_read(ctx, path, &o, &clip, err));
    const tub_status status = tub_clip_write(&clip, out, err);
    tub_clip_free(&clip);
    return status == TUB_OK ? tub_clip_write_all(ctx, path, out, NULL, NULL, err) : status;
}

/* The same as a model takes it. */
static tub_status model_clip(tub_context *ctx, const char *path, const char *out, tub_error *err) {
    const tub_model_config c = tiny();
    tub_clip_read_options o = tub_clip_read_options_default();
    tub_model *model;
    tub_clip clip;
    TUB__TRY(tub_model_create(ctx, &c, 1, &model, err));
    o.model = model;
    o.scaled = 1;
    tub_status status = tub_clip_read(ctx, path, &o, &clip, err);
    if (status == TUB_OK) {
        status = tub_clip_write(&clip, out, err);
        tub_clip_free(&clip);
    }
    tub_model_close(model);
    return status;
}

static tub_status read_clips(tub_context *ctx, const scene *s, tub_error *err) {
    char path[700], out[700];
    snprintf(path, sizeof path, "%s/clip.npy", s->folder.path);
    snprintf(out, sizeof out, "%s/out.npy", s->folder.path);
    TUB__TRY(plain_clip(ctx, path, out, err));
    return model_clip(ctx, path, out, err);
}

static void write_clip(const scene *s) {
    static unsigned char volume[SMALL_VOLUME] = {1, 2, 3};
    const uint64_t shape[] = {SMALL_SIDE, SMALL_SIDE, SMALL_SIDE};
    char path[700];
    snprintf(path, sizeof path, "%s/clip.npy", s->folder.path);
    assert_int_equal(tub__npy_write(&tub__default_allocator, path, "|u1", 3, shape, volume, NULL),
                     TUB_OK);
}

static tub_status forward_of(tub_context *ctx, const tub_model_config *c, tub_error *err) {
    static const char *const labels[] = {"liver", "heart", "spleen"};
    unsigned char x[2 * SMALL_VOLUME] = {0};
    float logits[2 * SMALL_CLASSES], probabilities[2 * SMALL_CLASSES];
    tub_model *model;
    TUB__TRY(tub_model_create(ctx, c, 1, &model, err));
    tub_status status = tub_model_set_labels(model, labels, SMALL_CLASSES, err);
    if (status == TUB_OK) {
        status = tub_model_forward(model, 1, TUB_U8, x, logits, probabilities, err);
    }
    if (status == TUB_OK) {
        status = tub_model_forward(model, 2, TUB_U8, x, logits, probabilities, err);
    }
    if (status == TUB_OK) {
        status = get_and_set(model, err);
    }
    tub_model_close(model);
    return status;
}

static tub_status forward(tub_context *ctx, const scene *s, tub_error *err) {
    const tub_model_config c = tiny();
    (void)s;
    return forward_of(ctx, &c, err);
}

static tub_status forward_encoder(tub_context *ctx, const scene *s, tub_error *err) {
    const tub_model_config c = tiny_encoder();
    (void)s;
    return forward_of(ctx, &c, err);
}

static tub_status one_step_of(tub_context *ctx, const tub_model_config *c, tub_error *err) {
    unsigned char x[4 * SMALL_VOLUME] = {0};
    const int32_t labels[4] = {0, 1, 2, 0};
    double losses[4];
    tub_model *model;
    tub__pass *pass;
    TUB__TRY(tub_model_create(ctx, c, 1, &model, err));
    tub_status status = tub__pass_create(
        model, &(tub__pass_config){.batch = 4, .training = true, .input_gradient = true}, &pass,
        err);
    if (status == TUB_OK) {
        tub__pass_forward(pass, 4, TUB_U8, x, NULL);
        tub__pass_loss(pass, &(tub__targets){.labels = labels, .global_batch = 4}, losses);
        tub__pass_backward(pass, false);
        tub__pass_destroy(pass);
    }
    tub_model_close(model);
    return status;
}

static tub_status baselines(tub_context *ctx, const scene *s, tub_error *err) {
    (void)s;
    for (int f = TUB_FAMILY_CNN_FRAME; f <= TUB_FAMILY_RESNET3D18; f++) {
        tub_model_config c = tiny();
        c.family = (tub_family)f;
        c.filters = 2, c.stages = 2, c.units = 3;
        TUB__TRY(forward_of(ctx, &c, err));
        TUB__TRY(one_step_of(ctx, &c, err));
    }
    return TUB_OK;
}

/* A map of a clip with its raw arrays, its curves, and a picture of it. */
static tub_status explain_by(tub_model *model, tub_explain_method method, const scene *s,
                             tub_error *err) {
    static unsigned char x[SMALL_VOLUME] = {1, 2, 3};
    const tub_clip clip = {.frames = SMALL_SIDE,
                           .height = SMALL_SIDE,
                           .width = SMALL_SIDE,
                           .channels = 1,
                           .dtype = TUB_U8,
                           .samples = x};
    tub_explain_options o = tub_explain_options_default();
    tub_explanation e;
    tub_explain_curves curves = {0};
    tub_clip picture = {0};
    char path[700];
    o.method = method;
    o.steps = method == TUB_EXPLAIN_INTEGRATED_GRADIENTS ? 2 : 0;
    o.raw = path;
    snprintf(path, sizeof path, "%s/map", s->folder.path);
    TUB__TRY(tub_explain(model, &o, TUB_U8, x, &e, err));
    tub_status status =
        tub_explanation_evaluate(model, &e, TUB_U8, x, 1, TUB_BASELINE_BLACK, &curves, err);
    if (status == TUB_OK) {
        status = tub_explanation_draw(&e, &clip, NULL, &picture, err);
    }
    if (status == TUB_OK) {
        snprintf(path, sizeof path, "%s/map.npy", s->folder.path);
        status = tub_explanation_write(&e, path, err);
    }
    tub_clip_free(&picture);
    tub_explain_curves_free(&curves);
    tub_explanation_free(&e);
    return status;
}

static tub_status explain(tub_context *ctx, const scene *s, tub_error *err) {
    const tub_model_config c = tiny_encoder();
    tub_model *model;
    TUB__TRY(tub_model_create(ctx, &c, 1, &model, err));
    tub_status status = TUB_OK;
    for (int m = 0; m < TUB_EXPLAIN_METHODS && status == TUB_OK; m++) {
        if (m != TUB_EXPLAIN_ROLLOUT &&
            m != TUB_EXPLAIN_ATTENTION) { /* parts of gradient rollout */
            status = explain_by(model, (tub_explain_method)m, s, err);
        }
    }
    tub_model_close(model);
    return status;
}

static tub_status one_step(tub_context *ctx, const scene *s, tub_error *err) {
    const tub_model_config joint = tiny(), encoder = tiny_encoder();
    (void)s;
    TUB__TRY(one_step_of(ctx, &joint, err));
    return one_step_of(ctx, &encoder, err);
}

static tub_status open_model(tub_context *ctx, const scene *s, tub_error *err) {
    tub_model *model;
    TUB__TRY(tub_model_open(ctx, s->model, &model, err));
    tub_model_close(model);
    return TUB_OK;
}

/* From float32 to whole numbers. */
static tub_status convert(tub_context *ctx, const scene *s, tub_error *err) {
    tub_model *model;
    char whole[700];
    snprintf(whole, sizeof whole, "%s-int8", s->model);
    TUB__TRY(tub_model_open(ctx, s->model, &model, err));
    tub_status status = tub_model_save(model, whole, err);
    tub_model_close(model);
    return status;
}

/* Whole numbers, and one forward pass. */
static tub_status open_converted(tub_context *ctx, const scene *s, tub_error *err) {
    unsigned char x[SMALL_VOLUME] = {0};
    float logits[SMALL_CLASSES];
    tub_model *model;
    char whole[700];
    snprintf(whole, sizeof whole, "%s-int8", s->model);
    TUB__TRY(tub_model_open(ctx, whole, &model, err));
    tub_status status = tub_model_forward(model, 1, TUB_U8, x, logits, NULL, err);
    tub_model_close(model);
    return status;
}

static tub_status evaluate_with(tub_context *ctx, const tub_model *model, const tub_dataset *data,
                                const scene *s, tub_error *err) {
    float probabilities[SMALL_TEST * SMALL_CLASSES];
    char path[4096];
    tub_metrics *metrics;
    tub_scores scores;
    const int32_t *labels = tub_dataset_labels(data, TUB_TEST);
    TUB__TRY(tub_predict_split((tub_model *)model, data, TUB_TEST, 2, NULL, probabilities, err));
    TUB__TRY(
        tub_scores_compute(ctx, SMALL_TEST, SMALL_CLASSES, probabilities, labels, &scores, err));
    TUB__TRY(tub_medmnist_result(ctx, s->folder.path, "small", "test", "run", SMALL_TEST,
                                 SMALL_CLASSES, probabilities, scores.auc, scores.top1, path,
                                 sizeof path, err));
    TUB__TRY(tub_metrics_compute(ctx, SMALL_TEST, SMALL_CLASSES, probabilities, labels, 1, 20,
                                 &metrics, err));
    tub_metrics_free(ctx, metrics);
    return TUB_OK;
}

static tub_status evaluate(tub_context *ctx, const scene *s, tub_error *err) {
    tub_model *model;
    tub_dataset *data;
    TUB__TRY(tub_model_open(ctx, s->model, &model, err));
    tub_status status = tub_dataset_open(ctx, s->npz, NULL, &data, err);
    if (status == TUB_OK) {
        status = evaluate_with(ctx, model, data, s, err);
        tub_dataset_close(data);
    }
    tub_model_close(model);
    return status;
}

static tub_status change_model(tub_context *ctx, const scene *s, tub_error *err) {
    tub_model *model;
    TUB__TRY(tub_model_open(ctx, s->model, &model, err));
    const tub_status status = get_and_set(model, err);
    tub_model_close(model);
    return status;
}

static tub_status load_batches(tub_context *ctx, const scene *s, tub_error *err) {
    tub_dataset *data;
    tub__loader *loader;
    TUB__TRY(tub_dataset_open(ctx, s->npz, NULL, &data, err));
    tub_status status = tub__loader_create(
        ctx,
        &(tub__loader_config){
            .data = data, .split = TUB_TRAIN, .batch = 5, .order = TUB__ORDER_BALANCED, .depth = 3},
        &loader, err);
    if (status == TUB_OK) {
        status = tub__loader_start(loader, 0, 0, err);
        for (int i = 0; i < 7 && status == TUB_OK; i++) {
            tub__batch batch;
            status = tub__loader_next(loader, &batch, err);
            if (status == TUB_OK) {
                tub__loader_release(loader);
            }
        }
        tub__loader_destroy(loader);
    }
    tub_dataset_close(data);
    return status;
}

static void test_bf16(void **state) {
    check_in(TUB_PRECISION_BF16, *state, evaluate, 20);
    check_in(TUB_PRECISION_BF16, *state, change_model, 20);
}

static void test_open_data(void **state) {
    check(*state, open_data, 8);
}
static void forget_survey(const scene *s) {
    char path[700];
    snprintf(path, sizeof path, "%s/data/surveys", s->folder.path);
    assert_int_equal(tub__folder_remove(&tub__default_allocator, path, NULL), TUB_OK);
}

static tub_status open_new_files(tub_context *ctx, const scene *s, tub_error *err) {
    forget_survey(s);
    return open_files(ctx, s, err);
}

static tub_status open_without_cache(tub_context *ctx, const scene *s, tub_error *err) {
    return open_set(ctx, s, true, err);
}

/* Looked at and kept, only looked at, and known from before. */
static void test_open_files(void **state) {
    write_files(*state);
    check(*state, open_new_files, 40);
    check(*state, open_without_cache, 40);
    check(*state, open_files, 30);
    forget_survey(*state);
}
static void test_read_volumes(void **state) {
    check(*state, read_volumes, 6);
}
static void test_read_clips(void **state) {
    write_clip(*state);
    check(*state, read_clips, 30);
}
static void test_forward(void **state) {
    check(*state, forward, 12);
    check(*state, forward_encoder, 14);
}
static void test_one_step(void **state) {
    check(*state, one_step, 8);
    check(*state, baselines, 40);
}
static void test_explain(void **state) {
    check(*state, explain, 100);
}
static void test_evaluate(void **state) {
    check(*state, evaluate, 20);
}
static void test_load_batches(void **state) {
    check(*state, load_batches, 10);
}

static void test_save_and_open(void **state) {
    check(*state, save_model, 10);
    check(*state, open_model, 10);
}

static void test_int8(void **state) {
    check_in(TUB_PRECISION_INT8, *state, convert, 20);
    check_in(TUB_PRECISION_INT8, *state, open_converted, 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_data),    cmocka_unit_test(test_open_files),
        cmocka_unit_test(test_read_volumes), cmocka_unit_test(test_read_clips),
        cmocka_unit_test(test_load_batches), cmocka_unit_test(test_forward),
        cmocka_unit_test(test_one_step),     cmocka_unit_test(test_save_and_open),
        cmocka_unit_test(test_evaluate),     cmocka_unit_test(test_explain),
        cmocka_unit_test(test_bf16),         cmocka_unit_test(test_int8)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
