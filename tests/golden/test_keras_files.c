/* SPDX-License-Identifier: Apache-2.0 */
/* Keras' files: what real Keras saved has the right bits, what tubelet writes has Keras' structure and comes
 * back with the same bits, and files that are not the example's model are one sentence each.
 * tests/keras/compare.py asks Keras itself. */
#include <math.h>
#include <tubelet/convert.h>
#include <unistd.h>

#include "base/error.h"
#include "convert/keras.h"
#include "convert/keras_arrays.h"
#include "formats/json.h"
#include "formats/zip.h"
#include "keras_golden.h"
#include "support/failing_alloc.h"
#include "support/same_config.h"
#include "support/temp_folder.h"

static const char MINI[] = GOLDEN "/keras/files/mini.keras";

typedef struct fixture {
    tub_context *ctx;
    temp_folder folder;
    int warnings;
    char warning[512]; /* the last one */
} fixture;

static void on_event(void *user, const tub_event *event) {
    fixture *f = user;
    if (event->kind == TUB_EVENT_LOG && event->level == TUB_LOG_WARNING) {
        f->warnings++;
        snprintf(f->warning, sizeof f->warning, "%s", event->message);
    }
}

static tub_status context_with(const tub_allocator *a, fixture *f, tub_context **out,
                               tub_error *err) {
    tub_context_config config = tub_context_config_default();
    config.threads = 1;
    config.cpu = TUB_CPU_PORTABLE;
    config.allocator = *a;
    config.on_event = f != NULL ? on_event : NULL;
    config.event_user = f;
    return tub_context_create(&config, out, err);
}

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    *state = f;
    temp_folder_make(&f->folder);
    return context_with(&tub__default_allocator, f, &f->ctx, NULL) == TUB_OK ? 0 : -1;
}

static int tear_down(void **state) {
    fixture *f = *state;
    tub_context_destroy(f->ctx);
    temp_folder_drop(&f->folder);
    free(f);
    return 0;
}

static tub__keras_model open_file(fixture *f, const char *path, const tub__keras_options *options) {
    static const tub__keras_options usual;
    tub__keras_model m;
    tub_error err = {0};
    assert_ok(tub__keras_open(f->ctx, path, options != NULL ? options : &usual, &m, &err), err);
    return m;
}

/* A file is refused with a sentence that begins with its path and has these words. */
static void assert_refused(fixture *f, const char *path, const tub__keras_options *options,
                           tub_status status, const char *words) {
    static const tub__keras_options usual;
    tub__keras_model m;
    tub_error err = {0};
    const tub_status got =
        tub__keras_open(f->ctx, path, options != NULL ? options : &usual, &m, &err);
    if (got != status || strstr(err.message, words) == NULL ||
        strncmp(err.message, path, strlen(path)) != 0) {
        fail_msg("'%s': got %d, '%s'", words, got, err.message);
    }
}

/* The member of an archive, zero-terminated; the caller frees it. */
static char *member(const char *path, const char *name, size_t *size) {
    tub__zip *z;
    size_t index;
    void *bytes;
    tub_error err = {0};
    assert_ok(tub__zip_open(&tub__default_allocator, path, &z, &err), err);
    assert_true(tub__zip_find(z, name, &index));
    assert_ok(tub__zip_read(z, index, 1 << 26, &bytes, size, &err), err);
    char *text = malloc(*size + 1);
    memcpy(text, bytes, *size);
    text[*size] = '\0';
    tub__free(&tub__default_allocator, bytes);
    tub__zip_close(z);
    return text;
}

/* An archive of a configuration and the arrays of another file. */
static void write_archive(const char *path, const char *config, const void *weights, size_t size) {
    const tub__zip_member members[] = {{"config.json", config, strlen(config)},
                                       {"model.weights.h5", weights, size}};
    tub_error err = {0};
    unlink(path);
    assert_ok(tub__zip_write(&tub__default_allocator, path, members, weights == NULL ? 1 : 2, &err),
              err);
}

static void assert_same_parameters(tub_model *a, tub_model *b) {
    tub_error err = {0};
    assert_int_equal(a->params.count, b->params.count);
    for (int64_t i = 0; i < (int64_t)a->params.count; i++) {
        tub_parameter p;
        assert_ok(tub_model_parameter(a, i, &p, &err), err);
        float *left = malloc((size_t)p.count * 4), *right = malloc((size_t)p.count * 4);
        assert_ok(tub_model_get(a, i, left, &err), err);
        assert_ok(tub_model_get(b, i, right, &err), err);
        assert_memory_equal(left, right, (size_t)p.count * 4);
        free(left);
        free(right);
    }
}

/* ---- What Keras saved ---- */

static tub_model *golden_mini(fixture *f) {
    const tub_model_config c = golden_config(true, TUB_GELU_TANH);
    return golden_model(f->ctx, f->ctx->backend, &c, GOLDEN "/keras/mini");
}

static void reads_keras(void **state) {
    fixture *f = *state;
    const tub_model_config expected = golden_config(true, TUB_GELU_TANH);
    tub_model *truth = golden_mini(f);
    tub__keras_model m = open_file(f, MINI, NULL);
    assert_int_equal(f->warnings, 1); /* it says only "gelu" */
    tub_model_config got = m.model->config;
    got.attention_dropout = 0; /* the golden models of the other tests have none */
    assert_same_config(&got, &expected);
    assert_same_parameters(m.model, truth);
    assert_null(m.moments.first);
    tub__keras_close(&m);
    tub_model_close(truth);
}

static void gelu_as_asked(void **state) {
    fixture *f = *state;
    for (int kind = TUB_GELU_TANH; kind <= TUB_GELU_ERF; kind++) {
        const tub_gelu gelu = (tub_gelu)kind;
        tub__keras_model m = open_file(f, MINI, &(tub__keras_options){.gelu = &gelu});
        assert_int_equal(m.model->config.gelu, gelu);
        tub__keras_close(&m);
    }
    assert_int_equal(f->warnings, 0);
}

/* To Keras' logits with the GELU asked for, and not to those with the other. */
static void computes_keras_logits(void **state) {
    enum { SAMPLES = 2, CLASSES = 5, VOXELS = 10 * 13 * 9 * 2 };
    static const char *const names[] = {"logits_tanh", "logits_erf"};
    fixture *f = *state;
    float x[SAMPLES * VOXELS], logits[SAMPLES * CLASSES];
    double got[SAMPLES * CLASSES], largest;
    tub_error err = {0};
    tub__npz *z = golden_open(GOLDEN "/keras/mini", "input.npz");
    double *input = golden_array(z, "x", NULL);
    for (size_t i = 0; i < SAMPLES * VOXELS; i++) {
        x[i] = (float)input[i];
    }
    free(input);
    tub__npz_close(z);
    z = golden_open(GOLDEN "/keras/mini", "forward_f64.npz");
    for (int kind = TUB_GELU_TANH; kind <= TUB_GELU_ERF; kind++) {
        const tub_gelu gelu = (tub_gelu)kind;
        tub__keras_model m = open_file(f, MINI, &(tub__keras_options){.gelu = &gelu});
        assert_ok(tub_model_forward(m.model, SAMPLES, TUB_F32, x, logits, NULL, &err), err);
        for (size_t i = 0; i < SAMPLES * CLASSES; i++) {
            got[i] = (double)logits[i];
        }
        for (int other = 0; other < 2; other++) {
            double *truth = golden_array(z, names[other], NULL);
            const double worst = largest_difference(got, truth, SAMPLES * CLASSES, &largest);
            assert_true(other == kind ? worst <= 2e-6 * largest : worst > 2e-5 * largest);
            free(truth);
        }
        tub__keras_close(&m);
    }
    tub__npz_close(z);
}

/* The arrays alone, with a model of the same clip beside them. */
static void reads_weights(void **state) {
    fixture *f = *state;
    size_t size;
    char *weights = member(MINI, "model.weights.h5", &size);
    const char *path = temp_path(&f->folder, "mini.weights.h5");
    tub_error err = {0};
    tub_model_config like = golden_config(true, TUB_GELU_ERF);
    tub_model *truth = golden_mini(f);
    assert_ok(tub__file_write(&tub__default_allocator, path, weights, size, &err), err);
    like.hidden = 512, like.heads = 4, like.layers = 7, like.classes = 99, like.mlp = 1;
    tub__keras_model m = open_file(f, path, &(tub__keras_options){.like = &like});
    const tub_model_config expected = golden_config(true, TUB_GELU_ERF);
    assert_same_config(&m.model->config, &expected);
    assert_same_parameters(m.model, truth);
    tub__keras_close(&m);
    assert_refused(f, path, NULL, TUB_E_ARGUMENT, "does not say the size of the clips");
    like.frames = 28;
    assert_refused(f, path, &(tub__keras_options){.like = &like}, TUB_E_SHAPE,
                   "the file is for 12 tokens, but a clip of 28x13x9 makes 42 of 4x5x3");
    tub_model_close(truth);
    free(weights);
}

/* Groups, names and arrays that tubelet writes are Keras', one by one. */
static void writes_as_keras(void **state) {
    fixture *f = *state;
    size_t size;
    char *weights = member(MINI, "model.weights.h5", &size);
    const char *path = temp_path(&f->folder, "mine.weights.h5");
    tub_error err = {0};
    tub__h5_file mine, theirs;
    tub__keras_model m = open_file(f, MINI, NULL);
    assert_ok(tub__keras_save(m.model, NULL, path, &err), err);
    assert_ok(tub__h5_open(f->ctx, path, &mine, &err), err);
    assert_ok(tub__h5_open_memory(f->ctx, weights, size, &theirs, &err), err);
    assert_int_equal(mine.count, theirs.count);
    for (size_t i = 0; i < mine.count; i++) {
        const tub__h5_array *a = &mine.arrays[i], *b = &theirs.arrays[i];
        assert_string_equal(a->name, b->name);
        assert_int_equal(a->type, b->type);
        assert_int_equal(a->rank, b->rank);
        assert_memory_equal(a->shape, b->shape, sizeof a->shape);
        assert_memory_equal(a->data, b->data, (size_t)a->elements * 4);
    }
    assert_int_equal(mine.label_count, theirs.label_count);
    for (size_t i = 0; i < mine.label_count; i++) {
        assert_string_equal(mine.labels[i].group, theirs.labels[i].group);
        assert_string_equal(mine.labels[i].text, theirs.labels[i].text);
    }
    tub__h5_close(&theirs);
    tub__h5_close(&mine);
    tub__keras_close(&m);
    free(weights);
}

/* After training, with the state of Adam. */
static void reads_fitted(void **state) {
    static const char folder[] = SHARED "/golden/keras/files";
    static const char *const names[] = {"fitted.keras", "fitted.weights.h5"};
    fixture *f = *state;
    if (access(folder, R_OK) != 0) {
        printf("skipped: no %s here\n", folder);
        skip();
    }
    const tub_model_config like = golden_config(true, TUB_GELU_TANH);
    tub__npz *z = golden_open(folder, "fitted_expected.npz");
    for (size_t k = 0; k < 2; k++) {
        char path[1024], name[160];
        snprintf(path, sizeof path, "%s/%s", folder, names[k]);
        tub__keras_model m = open_file(f, path, &(tub__keras_options){.like = &like});
        assert_non_null(m.moments.first);
        assert_int_equal(m.moments.iterations, 3);
        assert_true(m.moments.learning_rate == (double)0.001f);
        size_t at = 0;
        for (size_t i = 0; i < m.model->params.count; i++) {
            const tub__param *p = &m.model->params.list[i];
            const size_t n = p->rows * p->cols;
            const float *const slabs[] = {m.moments.first + at, m.moments.second + at};
            float *keras = malloc(n * sizeof *keras);
            double *matrix = malloc(n * sizeof *matrix);
            for (int s = 0; s < 2; s++) {
                snprintf(name, sizeof name, "%s/%s", s == 0 ? "m" : "v", p->keras);
                double *truth = golden_array(z, name, NULL);
                tub__keras_to(p, slabs[s], keras);
                for (size_t e = 0; e < n; e++) {
                    assert_true((double)keras[e] == truth[e]);
                }
                free(truth);
            }
            snprintf(name, sizeof name, "params/%s", p->keras);
            double *truth = golden_array(z, name, NULL);
            golden_get_param(m.model, p, m.model->weights, matrix);
            assert_memory_equal(matrix, truth, n * sizeof *matrix);
            free(truth);
            free(matrix);
            free(keras);
            at += n;
        }
        tub__keras_close(&m);
    }
    tub__npz_close(z);
}

static void refuses_damaged(void **state) {
    static const struct {
        const char *name;
        tub_status status;
        const char *words;
    } cases[] = {
        {"truncated.weights.h5", TUB_E_FORMAT, "truncated file"},
        {"wrong_shape.weights.h5", TUB_E_SHAPE,
         "layers/sequential/layers/dense/vars/0: expected [24,96], file has [96,24]"},
        {"bad_config.keras", TUB_E_FORMAT, "config.json: not valid JSON"},
    };
    static const char folder[] = SHARED "/golden/keras/files/damaged";
    fixture *f = *state;
    if (access(folder, R_OK) != 0) {
        printf("skipped: no %s here\n", folder);
        skip();
    }
    const tub_model_config like = golden_config(true, TUB_GELU_TANH);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, cases[i].name);
        assert_refused(f, path, &(tub__keras_options){.like = &like}, cases[i].status,
                       cases[i].words);
    }
}

/* ---- There and back ---- */

static tub__moments some_moments(const tub_model *model) {
    tub__moments m;
    tub_error err = {0};
    assert_ok(tub__moments_create(model, &m, &err), err);
    m.iterations = 12345678901;
    m.learning_rate = (double)1e-4f;
    for (size_t i = 0; i < model->params.numbers; i++) {
        m.first[i] = (float)i * 0x1p-20f - 1;
        m.second[i] = (float)i * 0x1p-30f;
    }
    return m;
}

static void comes_back(void **state) {
    fixture *f = *state;
    for (int kind = 0; kind < 4; kind++) {
        tub_model_config c = golden_config(true, kind % 2 ? TUB_GELU_ERF : TUB_GELU_TANH);
        tub_model *model;
        tub_error err = {0};
        c.attention_dropout = 0.25;
        c.mlp_output_gelu = kind < 2;
        c.norm_epsilon = 1e-5;
        assert_ok(tub_model_create(f->ctx, &c, 7, &model, &err), err);
        tub__moments moments = some_moments(model);
        const size_t bytes = model->params.numbers * sizeof(float);
        const char *const paths[] = {temp_path(&f->folder, "a.keras"),
                                     temp_path(&f->folder, "a.weights.h5")};
        for (int k = 0; k < 2; k++) {
            unlink(paths[k]);
            assert_ok(tub__keras_save(model, &moments, paths[k], &err), err);
            tub__keras_model m = open_file(f, paths[k], &(tub__keras_options){.like = &c});
            assert_same_config(&m.model->config, &c);
            assert_same_parameters(m.model, model);
            assert_int_equal(m.moments.iterations, moments.iterations);
            assert_true(m.moments.learning_rate == moments.learning_rate);
            assert_memory_equal(m.moments.first, moments.first, bytes);
            assert_memory_equal(m.moments.second, moments.second, bytes);
            tub__keras_close(&m);
        }
        tub__moments_destroy(&moments);
        tub_model_close(model);
    }
    assert_int_equal(f->warnings, 0); /* our files say which GELU */
}

static void same_model_same_bytes(void **state) {
    fixture *f = *state;
    size_t sizes[2];
    char *texts[2];
    tub_error err = {0};
    tub__keras_model m = open_file(f, MINI, NULL);
    for (int i = 0; i < 2; i++) {
        const char *path = temp_path(&f->folder, i == 0 ? "one.keras" : "two.keras");
        assert_ok(tub__keras_save(m.model, NULL, path, &err), err);
        assert_ok(
            tub__file_read(&tub__default_allocator, path, 1 << 26, &texts[i], &sizes[i], &err),
            err);
    }
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(texts[0], texts[1], sizes[0]);
    tub__free(&tub__default_allocator, texts[0]);
    tub__free(&tub__default_allocator, texts[1]);
    tub__keras_close(&m);
}

static void tanh_asks_for_a_function(void **state) {
    fixture *f = *state;
    const tub_gelu erf = TUB_GELU_ERF;
    const char *path = temp_path(&f->folder, "tanh.keras");
    size_t size;
    tub_error err = {0};
    tub__keras_model m = open_file(f, MINI, NULL);
    assert_ok(tub__keras_save(m.model, NULL, path, &err), err);
    char *config = member(path, "config.json", &size);
    assert_non_null(strstr(config, "tubelet>gelu_tanh"));
    assert_null(strstr(config, "\"gelu\""));
    assert_non_null(strstr(tub__keras_python, "package=\"tubelet\", name=\"gelu_tanh\""));
    assert_true(tub__keras_needs_python(&m.model->config, path));
    assert_refused(f, path, &(tub__keras_options){.gelu = &erf}, TUB_E_ARGUMENT,
                   "its gelu is tanh, not erf");
    free(config);
    tub__keras_close(&m);
}

static void writes_only_what_keras_has(void **state) {
    fixture *f = *state;
    static const char *const words[] = {"has no class token", "has biases in its attention",
                                        "neither overlap nor leave gaps"};
    for (int i = 0; i < 3; i++) {
        tub_model_config c = golden_config(true, TUB_GELU_TANH);
        tub_model *model;
        tub_error err = {0};
        c.pooling = i == 0 ? TUB_POOL_CLASS_TOKEN : TUB_POOL_MEAN;
        c.qkv_bias = i != 1;
        c.stride[0] = i == 2 ? 1 : 0;
        assert_ok(tub_model_create(f->ctx, &c, 7, &model, &err), err);
        const char *path = temp_path(&f->folder, "no.keras");
        assert_int_equal(tub__keras_save(model, NULL, path, &err), TUB_E_UNSUPPORTED);
        assert_non_null(strstr(err.message, words[i]));
        assert_false(tub__file_exists(path));
        tub_model_close(model);
    }
}

/* ---- Other models ---- */

/* The text with the first `from` behind `after` replaced; the caller frees it. */
static char *replaced(const char *text, const char *after, const char *from, const char *to) {
    const char *start = strstr(text, after), *at = start != NULL ? strstr(start, from) : NULL;
    assert_non_null(at);
    char *out = malloc(strlen(text) + strlen(to) + 1);
    sprintf(out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return out;
}

static void refuses_other_models(void **state) {
    static const struct {
        const char *after, *from, *to, *words;
    } cases[] = {
        {"", "\"Functional\"", "\"Sequential\"", "class_name: expected 'Functional'"},
        {"", "\"PositionalEncoder\"", "\"Dropout\"", "layer 'positional_encoder' is a Dropout"},
        {"\"LayerNormalization\"", "\"epsilon\": 1e-06", "\"epsilon\": 0.001", "epsilon is "},
        {"\"LayerNormalization\"", "\"center\": true", "\"center\": false", "center is off"},
        {"\"LayerNormalization\"", "\"rms_scaling\": false", "\"rms_scaling\": true",
         "rms_scaling is set"},
        {"\"LayerNormalization\"", "\"axis\": [-1]", "\"axis\": [1]", "axis is 1"},
        {"\"MultiHeadAttention\"", "\"num_heads\": 3", "\"num_heads\": 4", "heads"},
        {"\"MultiHeadAttention\"", "\"value_dim\": 8", "\"value_dim\": 4", "value_dim 4"},
        {"\"MultiHeadAttention\"", "\"use_bias\": true", "\"use_bias\": false", "use_bias is off"},
        {"\"MultiHeadAttention\"", "\"use_gate\": false", "\"use_gate\": true", "use_gate is set"},
        {"\"multi_head_attention_1\"", "\"dropout\": 0.1", "\"dropout\": 0.2",
         "'multi_head_attention': dropout"},
        {"\"MultiHeadAttention\"", "\"kwargs\": {}", "\"kwargs\": {\"use_causal_mask\": true}",
         "is called in another way"},
        {"\"name\": \"sequential\"", "\"gelu\"", "\"relu\"", "activation 'relu'"},
        {"\"name\": \"dense_1\"", "\"gelu\"", "\"softmax\"", "its activations are not gelu"},
        {"\"name\": \"dense_1\"", "\"units\": 24", "\"units\": 25", "units is 25"},
        {"\"name\": \"dense_4\"", "\"softmax\"", "\"gelu\"", "the last activation"},
        {"\"InputLayer\"", "10, 13, 9, 2", "null, 13, 9, 2",
         "batch_shape: expected a whole number"},
        {"\"InputLayer\"", "10, 13, 9, 2", "13, 9, 2", "batch_shape: expected [null, frames"},
        {"\"TubeletEmbedding\"", "[4, 5, 3]", "[40, 5, 3]", "40"},
        {"\"TubeletEmbedding\"", "\"patch_size\": [4, 5, 3]", "\"patch\": 3",
         "patch_size: missing"},
        {"\"name\": \"add\"", "\"positional_encoder\"", "\"layer_normalization\"", "normalises"},
        {"\"name\": \"add_1\"", "[\"add\", 0, 0]", "[\"nobody\", 0, 0]", "no layer 'nobody'"},
        {"\"name\": \"add_1\"", "[\"add\", 0, 0]", "[\"add_1\", 0, 0]", "called in another way"},
        {"\"name\": \"add_1\"", "[\"add\", 0, 0]", "[\"add\", 1, 0]", "called in another way"},
        {"\"output_layers\"", "\"dense_4\"", "\"add_3\"", "layer 'add_3' is a Add"},
        {"\"output_layers\"", "[\"dense_4\", 0, 0]", "[]", "output_layers"},
        {"\"output_layers\"", "[\"dense_4\", 0, 0]", "[[\"dense_4\", 0, 0], [\"add\", 0, 0]]",
         "output_layers: 2 outputs"},
        {"\"output_layers\"", "[\"dense_4\", 0, 0]", "[\"dense_4\", 0, 1]", "output_layers: layer"},
        {"\"GlobalAveragePooling1D\"", "\"channels_last\"", "\"channels_first\"",
         "data_format is 'channels_first'"},
        {"\"MultiHeadAttention\"", "\"name\": \"float32\"", "\"name\": \"int8_from_float32\"",
         "dtype is 'int8_from_float32'"},
        {"\"MultiHeadAttention\"", "\"DTypePolicy\"", "\"QuantizedDTypePolicy\"",
         "dtype is 'QuantizedDTypePolicy'"},
        {"\"InputLayer\"", "\"dtype\": \"float32\"", "\"dtype\": \"int32\"", "dtype is 'int32'"},
        {"\"multi_head_attention\"", "\"MultiHeadAttention\"", "\"GlobalAveragePooling1D\"",
         "adds no MultiHeadAttention"},
    };
    fixture *f = *state;
    size_t config_size, size;
    char *config = member(MINI, "config.json", &config_size),
         *weights = member(MINI, "model.weights.h5", &size);
    const char *path = temp_path(&f->folder, "other.keras");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = replaced(config, cases[i].after, cases[i].from, cases[i].to);
        tub__keras_model m;
        tub_error err = {0};
        write_archive(path, text, weights, size);
        const tub_status got = tub__keras_open(f->ctx, path, &(tub__keras_options){0}, &m, &err);
        if (got == TUB_OK || strstr(err.message, cases[i].words) == NULL ||
            strncmp(err.message, path, strlen(path)) != 0) {
            fail_msg("case %zu, '%s': got %d, '%s'", i, cases[i].words, got, err.message);
        }
        free(text);
    }
    write_archive(path, config, weights, size); /* and unchanged it is read */
    tub__keras_model m = open_file(f, path, NULL);
    tub__keras_close(&m);
    write_archive(path, config, NULL, 0);
    assert_refused(f, path, NULL, TUB_E_FORMAT, "it has no member model.weights.h5");
    write_archive(path, config, "nothing of the kind", 19);
    assert_refused(f, path, NULL, TUB_E_FORMAT, "model.weights.h5: it is no HDF5 file");
    free(weights);
    free(config);
}

static void refuses_what_is_no_archive(void **state) {
    fixture *f = *state;
    const char *path = temp_path(&f->folder, "bad.keras");
    char *bytes;
    size_t size;
    tub_error err = {0};
    assert_ok(tub__file_read(&tub__default_allocator, MINI, 1 << 26, &bytes, &size, &err), err);
    assert_ok(tub__file_write(&tub__default_allocator, path, bytes, size / 2, &err), err);
    assert_refused(f, path, NULL, TUB_E_FORMAT, "cut off?");
    assert_ok(tub__file_write(&tub__default_allocator, path, "a text", 6, &err), err);
    assert_refused(f, path, NULL, TUB_E_FORMAT, "neither a .keras file nor a .weights.h5");
    tub__free(&tub__default_allocator, bytes);
}

/* ---- Archives that claim much ---- */

/* An archive of a part of the true members, one replaced. */
static void write_with(const char *path, const char *name, const void *bytes, size_t size) {
    tub__zip_member members[] = {
        {"metadata.json", "{}", 2}, {"config.json", NULL, 0}, {"model.weights.h5", NULL, 0}};
    tub_error err = {0};
    char *texts[2];
    for (int i = 0; i < 2; i++) {
        texts[i] = member(MINI, members[i + 1].name, &members[i + 1].size);
        members[i + 1].bytes = texts[i];
    }
    for (int i = 0; i < 3; i++) {
        if (strcmp(members[i].name, name) == 0) {
            members[i].bytes = bytes;
            members[i].size = size;
        }
    }
    unlink(path);
    assert_ok(tub__zip_write(&tub__default_allocator, path, members, 3, &err), err);
    free(texts[1]);
    free(texts[0]);
}

static void refuses_bombs(void **state) {
    static const size_t metadata = ((size_t)64 << 10) + 1, config = ((size_t)2 << 20) + 1,
                        weights = ((size_t)64 << 20) + 17813 * 32 + 1;
    fixture *f = *state;
    const char *path = temp_path(&f->folder, "bomb.keras");
    char *zeros = calloc(1, weights);
    write_with(path, "metadata.json", zeros, metadata);
    assert_refused(f, path, NULL, TUB_E_RANGE, "metadata.json: it unpacks to 65537 bytes");
    write_with(path, "config.json", zeros, config);
    assert_refused(f, path, NULL, TUB_E_RANGE, "config.json: it unpacks to 2097153 bytes");
    write_with(path, "model.weights.h5", zeros, weights);
    assert_refused(f, path, NULL, TUB_E_RANGE, "model.weights.h5: it unpacks to 67678881 bytes");
    write_with(path, "metadata.json", "[1]", 3);
    assert_refused(f, path, NULL, TUB_E_FORMAT,
                   "metadata.json: the file: expected a table of keys");
    write_with(path, "metadata.json", "{\"tubelet\":[]}", 14);
    assert_refused(f, path, NULL, TUB_E_FORMAT, "metadata.json: tubelet: expected a table of keys");
    write_with(path, "metadata.json", "{\"tubelet\":{\"gelu\":\"relu\"}}", 27);
    assert_refused(f, path, NULL, TUB_E_FORMAT, "gelu: 'relu' is neither tanh nor erf");
    free(zeros);
}

/* ---- States of optimizers ---- */

/* MINI's arrays with so many optimizer variables: steps, rate, and zeros of the shapes of moments. */
static void write_optimizer(fixture *f, const char *path, const char *name, size_t pairs,
                            size_t more) {
    static const int64_t steps = 3;
    static const float rate = 0.5f;
    size_t made;
    const void *bytes;
    tub__map map;
    tub__h5_writer w;
    tub_error err = {0};
    tub__keras_model m = open_file(f, MINI, NULL);
    float *zeros = calloc(m.model->params.numbers, sizeof *zeros);
    size_t order[64];
    tub__keras_order(&m.layout, &m.model->params, order);
    tub__h5_start(&w);
    tub__h5_put_group(&w, "optimizer/vars", name);
    tub__h5_put(&w,
                &(tub__h5_array){.name = "optimizer/vars/0", .type = TUB__H5_I64, .data = &steps});
    tub__h5_put(&w,
                &(tub__h5_array){.name = "optimizer/vars/1", .type = TUB__H5_F32, .data = &rate});
    for (size_t i = 0; i < 2 * pairs + more; i++) {
        char text[TUB__KERAS_PATH];
        tub__file_array a;
        tub__keras_describe(&m.layout, &m.model->config,
                            &m.model->params.list[order[i / 2 % pairs]], &a);
        tub__h5_array array = {.name = text, .type = TUB__H5_F32, .rank = a.rank, .data = zeros};
        memcpy(array.shape, a.shape, sizeof a.shape);
        snprintf(text, sizeof text, "optimizer/vars/%zu", 2 + i);
        tub__h5_put(&w, &array);
    }
    for (size_t i = 0; i < m.model->params.count; i++) {
        const tub__param *p = &m.model->params.list[i];
        tub__file_array a;
        tub__keras_describe(&m.layout, &m.model->config, p, &a);
        tub__h5_array array = {.name = a.name, .type = TUB__H5_F32, .rank = a.rank, .data = zeros};
        memcpy(array.shape, a.shape, sizeof a.shape);
        tub__h5_put(&w, &array);
    }
    assert_ok(tub__h5_finish(f->ctx, &w, &map, &bytes, &made, &err), err);
    assert_ok(tub__file_write(&tub__default_allocator, path, bytes, made, &err), err);
    tub__map_close(&map);
    free(zeros);
    tub__keras_close(&m);
}

static void takes_only_adam(void **state) {
    enum { ALL = 39 };
    static const struct {
        const char *name;
        size_t pairs, more;
        bool taken;
        const char *warning; /* NULL: none */
    } cases[] = {
        {"adam", ALL, 0, true, NULL},
        {"adamw", ALL, 0, true, "its weight decay does not go along"},
        {"adam", ALL - 2, 0, false, "none is frozen"}, /* frozen layers */
        {"adam", ALL, ALL, false, "without amsgrad"},  /* amsgrad */
        {"SGD", ALL, 0, false, "its optimizer 'SGD' is left out"},
    };
    fixture *f = *state;
    const tub_model_config like = golden_config(true, TUB_GELU_TANH);
    char path[512];
    snprintf(path, sizeof path, "%s", temp_path(&f->folder, "state.weights.h5"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_optimizer(f, path, cases[i].name, cases[i].pairs, cases[i].more);
        f->warnings = 0;
        tub__keras_model m = open_file(f, path, &(tub__keras_options){.like = &like});
        assert_int_equal(m.moments.first != NULL, cases[i].taken);
        assert_int_equal(f->warnings, cases[i].warning != NULL);
        if (cases[i].warning != NULL && strstr(f->warning, cases[i].warning) == NULL) {
            fail_msg("%s: '%s'", cases[i].name, f->warning);
        }
        tub__keras_close(&m);
    }
}

/* ---- Other arrays ---- */

/* What happens to one array of the file on its way into another. */
typedef enum change { LEAVE_OUT, TURN, WHOLE, NOT_FINITE, ADD, ADD_GENERATOR } change;

static void write_changed(fixture *f, const char *path, const char *target, change how) {
    static const float one = 1;
    size_t size, made;
    const void *bytes;
    tub__map map;
    tub__h5_file file;
    tub__h5_writer w;
    tub_error err = {0};
    char *weights = member(MINI, "model.weights.h5", &size);
    assert_ok(tub__h5_open_memory(f->ctx, weights, size, &file, &err), err);
    tub__h5_start(&w);
    for (size_t i = 0; i < file.count; i++) {
        tub__h5_array a = file.arrays[i];
        void *copy = calloc(a.elements, sizeof(int64_t));
        memcpy(copy, a.data, a.elements * sizeof(float));
        a.data = copy;
        if (strcmp(a.name, target) == 0) {
            a.type = how == WHOLE ? TUB__H5_I64 : a.type;
            a.shape[0] = how == TURN ? file.arrays[i].shape[1] : a.shape[0];
            a.shape[1] = how == TURN ? file.arrays[i].shape[0] : a.shape[1];
            ((float *)copy)[1] = how == NOT_FINITE ? NAN : ((float *)copy)[1];
        }
        if (how != LEAVE_OUT || strcmp(a.name, target) != 0) {
            tub__h5_put(&w, &a);
        }
        free(copy);
    }
    if (how >= ADD) {
        tub__h5_put(&w, &(tub__h5_array){.name = target, .type = TUB__H5_F32, .data = &one});
    }
    assert_ok(tub__h5_finish(f->ctx, &w, &map, &bytes, &made, &err), err);
    assert_ok(tub__file_write(&tub__default_allocator, path, bytes, made, &err), err);
    tub__map_close(&map);
    tub__h5_close(&file);
    free(weights);
}

static void refuses_other_arrays(void **state) {
    static const struct {
        const char *target;
        change how;
        tub_status status;
        const char *words;
    } cases[] = {
        {"layers/sequential_1/layers/dense_1/vars/1", LEAVE_OUT, TUB_E_NOT_FOUND,
         "layers/sequential_1/layers/dense_1/vars/1: missing"},
        {"layers/positional_encoder/position_embedding/vars/0", LEAVE_OUT, TUB_E_NOT_FOUND,
         "missing; these are not weights of the Keras example's model"},
        {"layers/multi_head_attention_1/query_dense/vars/0", TURN, TUB_E_SHAPE,
         "expected [24,3,8], file has [3,24,8]"},
        {"layers/dense/vars/1", WHOLE, TUB_E_SHAPE, "must be floats, not whole numbers"},
        {"layers/layer_normalization_2/vars/0", NOT_FINITE, TUB_E_RANGE,
         "layers/layer_normalization_2/vars/0: element 1 is not finite"},
        {"layers/dense_1/vars/0", ADD, TUB_E_FORMAT, "layers/dense_1/vars/0: unexpected"},
    };
    fixture *f = *state;
    const tub_model_config like = golden_config(true, TUB_GELU_TANH);
    const tub__keras_options options = {.like = &like};
    const char *path = temp_path(&f->folder, "changed.weights.h5");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_changed(f, path, cases[i].target, cases[i].how);
        assert_refused(f, path, &options, cases[i].status, cases[i].words);
    }
    /* The state of a generator belongs to no parameter. */
    write_changed(f, path, "layers/dropout/seed_generator/vars/0", ADD_GENERATOR);
    tub__keras_model m = open_file(f, path, &options);
    tub__keras_close(&m);
}

/* ---- The graph, not the order of the list, says which layer is which. ---- */

/* "layers/STEM_k/…" of n such layers to "layers/STEM_(n-1-k)/…". */
static void reversed_name(const char *name, char out[TUB__KERAS_PATH]) {
    static const struct {
        const char *stem;
        int count;
    } kinds[] = {{"layer_normalization", 5}, {"multi_head_attention", 2}, {"sequential", 2}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const size_t length = strlen(kinds[i].stem);
        const char *rest = name + strlen("layers/");
        if (strncmp(rest, kinds[i].stem, length) == 0) {
            char group[TUB__KERAS_GROUP];
            const int number = rest[length] == '_' ? atoi(rest + length + 1) : 0;
            tub__keras_number(group, kinds[i].stem, kinds[i].count - 1 - number);
            snprintf(out, TUB__KERAS_PATH, "layers/%s%s", group, strchr(rest, '/'));
            return;
        }
    }
    snprintf(out, TUB__KERAS_PATH, "%s", name);
}

/* A configuration with its list of layers the other way round. */
static char *reversed_config(const char *text) {
    tub__json *root;
    tub__json_writer w;
    tub_error err = {0};
    char *out;
    size_t size;
    assert_ok(tub__json_parse(text, strlen(text), &root, &err), err);
    const tub__json *config = tub__json_get(root, "config"),
                    *layers = tub__json_get(config, "layers");
    tub__json_start(&w, &tub__default_allocator, 0);
    tub__json_open_object(&w, NULL);
    tub__json_put_text(&w, "class_name", "Functional");
    tub__json_open_object(&w, "config");
    tub__json_open_array(&w, "layers");
    for (size_t i = tub__json_size(layers); i-- > 0;) {
        tub__json_put_value(&w, NULL, tub__json_at(layers, i));
    }
    tub__json_close_array(&w);
    tub__json_put_value(&w, "output_layers", tub__json_get(config, "output_layers"));
    tub__json_close_object(&w);
    tub__json_close_object(&w);
    assert_ok(tub__json_finish(&w, &out, &size, &err), err);
    tub__json_free(root);
    return out;
}

static void follows_the_graph(void **state) {
    fixture *f = *state;
    size_t config_size, size, made;
    const void *bytes;
    tub__map map;
    tub__h5_file file;
    tub__h5_writer w;
    tub_error err = {0};
    char *config = member(MINI, "config.json", &config_size),
         *weights = member(MINI, "model.weights.h5", &size), *turned = reversed_config(config);
    const char *path = temp_path(&f->folder, "reversed.keras");
    assert_ok(tub__h5_open_memory(f->ctx, weights, size, &file, &err), err);
    tub__h5_start(&w);
    for (size_t i = 0; i < file.count; i++) {
        tub__h5_array a = file.arrays[i];
        char name[TUB__KERAS_PATH];
        reversed_name(a.name, name);
        a.name = name;
        tub__h5_put(&w, &a);
    }
    assert_ok(tub__h5_finish(f->ctx, &w, &map, &bytes, &made, &err), err);
    write_archive(path, turned, bytes, made);
    tub__keras_model m = open_file(f, path, NULL), plain = open_file(f, MINI, NULL);
    assert_same_parameters(m.model, plain.model);
    /* Trainable variables come in the list's order: the classifier's first. */
    size_t order[64];
    tub__keras_order(&m.layout, &m.model->params, order);
    assert_int_equal(m.model->params.list[order[0]].role, TUB__HEAD_KERNEL);
    tub__keras_order(&plain.layout, &plain.model->params, order);
    assert_int_equal(plain.model->params.list[order[0]].role, TUB__EMBED_KERNEL);
    assert_int_equal(plain.model->params.list[order[2]].role, TUB__POSITION);
    tub__keras_close(&plain);
    tub__keras_close(&m);
    tub__map_close(&map);
    tub__h5_close(&file);
    tub__free(&tub__default_allocator, turned);
    free(weights);
    free(config);
}

/* ---- The public function ---- */

static void assert_same_file(fixture *f, const char *one, const char *two) {
    char *left, *right;
    size_t left_size, right_size;
    tub_error err = {0};
    const tub_allocator *a = &tub__default_allocator;
    assert_ok(tub__file_read(a, temp_path(&f->folder, one), 1 << 26, &left, &left_size, &err), err);
    assert_ok(tub__file_read(a, temp_path(&f->folder, two), 1 << 26, &right, &right_size, &err),
              err);
    assert_int_equal(left_size, right_size);
    assert_memory_equal(left, right, left_size);
    tub__free(a, left);
    tub__free(a, right);
}

static void converts(fixture *f, const char *in, const char *out, tub_convert_report **report) {
    char from[512], to[512];
    tub_error err = {0};
    snprintf(from, sizeof from, "%s", in[0] == '/' ? in : temp_path(&f->folder, in));
    snprintf(to, sizeof to, "%s", temp_path(&f->folder, out));
    assert_ok(tub_convert(f->ctx, from, to, NULL, report, &err), err);
}

static void converts_both_ways(void **state) {
    fixture *f = *state;
    tub_error err = {0};
    tub_convert_report *report;
    tub__keras_model m = open_file(f, MINI, NULL);
    tub__moments moments = some_moments(m.model);
    assert_ok(tub__keras_save(m.model, &moments, temp_path(&f->folder, "a.keras"), &err), err);
    converts(f, "a.keras", "model", &report);
    assert_int_equal(report->count, 39);
    assert_int_equal(report->parameters, 17813);
    assert_int_equal(report->iterations, moments.iterations);
    assert_string_equal(report->arrays[1].there, "layers/tubelet_embedding/projection/vars/0");
    assert_string_equal(report->arrays[1].here,
                        "vivit.embeddings.patch_embeddings.projection.weight");
    assert_null(report->note);
    tub_convert_report_free(f->ctx, report);
    converts(f, "model", "b.keras", &report);
    assert_non_null(strstr(report->note, "gelu_tanh"));
    tub_convert_report_free(f->ctx, report);
    assert_same_file(f, "a.keras", "b.keras");
    converts(f, "b.keras", "deep/again", NULL);
    assert_same_file(f, "model/model.safetensors", "deep/again/model.safetensors");
    assert_same_file(f, "model/optimizer.safetensors", "deep/again/optimizer.safetensors");
    assert_int_equal(tub_convert(f->ctx, MINI, temp_path(&f->folder, "deep"), NULL, NULL, &err),
                     TUB_E_EXISTS);
    assert_int_equal(tub_convert(f->ctx, MINI, temp_path(&f->folder, "b.keras"), NULL, NULL, &err),
                     TUB_E_EXISTS);
    assert_int_equal(symlink("nowhere", temp_path(&f->folder, "link.keras")), 0);
    assert_int_equal(
        tub_convert(f->ctx, MINI, temp_path(&f->folder, "link.keras"), NULL, NULL, &err),
        TUB_E_EXISTS);
    converts(f, "model", "deep/er/c.keras", NULL); /* folders are made for files, too */
    assert_int_equal(tub_convert(f->ctx, temp_path(&f->folder, "model"),
                                 temp_path(&f->folder, "w.h5"), NULL, NULL, &err),
                     TUB_E_ARGUMENT);
    assert_non_null(strstr(err.message, "one that ends in .weights.h5"));
    tub_convert_options other = tub_convert_options_default();
    other.gelu = TUB_CONVERT_GELU_ERF;
    assert_int_equal(tub_convert(f->ctx, temp_path(&f->folder, "model"),
                                 temp_path(&f->folder, "e.keras"), &other, NULL, &err),
                     TUB_E_ARGUMENT);
    assert_non_null(strstr(err.message, "its gelu is tanh, not erf"));
    tub_convert_options dry = tub_convert_options_default();
    dry.dry_run = 1;
    assert_ok(tub_convert(f->ctx, MINI, temp_path(&f->folder, "dry"), &dry, NULL, &err), err);
    assert_false(tub__file_exists(temp_path(&f->folder, "dry")));
    dry.size = 1;
    assert_int_equal(tub_convert(f->ctx, MINI, "x", &dry, NULL, &err), TUB_E_ARGUMENT);
    assert_int_equal(tub_convert(f->ctx, "x", "y", NULL, NULL, &err), TUB_E_NOT_FOUND);
    tub__moments_destroy(&moments);
    tub__keras_close(&m);
}

/* ---- Failing allocations ---- */

static tub_status round_trip(const tub_allocator *a, void *user, tub_error *err) {
    fixture *f = user;
    tub_context *ctx;
    tub__keras_model m;
    TUB__TRY(context_with(a, NULL, &ctx, err));
    tub_status status =
        tub__keras_open(ctx, temp_path(&f->folder, "a.keras"), &(tub__keras_options){0}, &m, err);
    if (status == TUB_OK) {
        unlink(temp_path(&f->folder, "b.keras"));
        status = tub__keras_save(m.model, &m.moments, temp_path(&f->folder, "b.keras"), err);
        tub__keras_close(&m);
    }
    tub_context_destroy(ctx);
    return status;
}

static tub_status convert_once(const tub_allocator *a, void *user, tub_error *err) {
    fixture *f = user;
    tub_context *ctx;
    tub_convert_report *report;
    char out[512];
    snprintf(out, sizeof out, "%s", temp_path(&f->folder, "failing"));
    TUB__TRY(context_with(a, NULL, &ctx, err));
    tub_status status = tub_convert(ctx, temp_path(&f->folder, "a.keras"), out, NULL, &report, err);
    if (status == TUB_OK) {
        tub_convert_report_free(ctx, report);
    }
    tub_context_destroy(ctx);
    (void)!tub__folder_remove(&tub__default_allocator, out, NULL);
    return status;
}

static void survives_failing_allocations(void **state) {
    fixture *f = *state;
    tub_error err = {0};
    failing_operation *const operations[] = {round_trip, convert_once};
    tub__keras_model m = open_file(f, MINI, NULL);
    tub__moments moments = some_moments(m.model);
    assert_ok(tub__keras_save(m.model, &moments, temp_path(&f->folder, "a.keras"), &err), err);
    for (int i = 0; i < 2; i++) {
        const failing_report report = failing_run(operations[i], f);
        assert_string_equal(report.problem, "");
        assert_true(report.allocations > 20);
    }
    tub__moments_destroy(&moments);
    tub__keras_close(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_keras, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gelu_as_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(computes_keras_logits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reads_weights, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writes_as_keras, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reads_fitted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_damaged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(same_model_same_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tanh_asks_for_a_function, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writes_only_what_keras_has, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_other_models, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_what_is_no_archive, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_bombs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(takes_only_adam, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_other_arrays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(follows_the_graph, set_up, tear_down),
        cmocka_unit_test_setup_teardown(converts_both_ways, set_up, tear_down),
        cmocka_unit_test_setup_teardown(survives_failing_allocations, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
