/* SPDX-License-Identifier: Apache-2.0 */
/* Conversions of whole models against the numbers of the programs that they come from, in every form
 * of a folder, with what is refused, and a negative control of the check at the end. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tubelet/tubelet.h>
#include <unistd.h>

#include "convert/converted.h"
#include "support/cmocka_all.h"
#include "support/failing_alloc.h"
#include "support/golden_npz.h"
#include "support/scenic_roots.h"
#include "support/temp_folder.h"

#define HF SHARED "/golden/hf/"

static const tub_allocator *const heap = &tub__default_allocator;

typedef struct fixture {
    tub_context *ctx;
    temp_folder folder;
    char places[12][512]; /* the last ones */
    unsigned next;
} fixture;

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    temp_folder_make(&f->folder);
    *state = f;
    return tub_context_create(NULL, &f->ctx, NULL) == TUB_OK ? 0 : -1;
}

static int tear_down(void **state) {
    fixture *f = *state;
    tub_context_destroy(f->ctx);
    temp_folder_drop(&f->folder);
    free(f);
    return 0;
}

static bool have(const char *path) {
    if (!tub__file_exists(path)) {
        printf("skipped: %s is not here\n", path);
        return false;
    }
    return true;
}

/* A path in the fixture's folder; the last twelve live. */
static const char *place(fixture *f, const char *name) {
    char *out = f->places[f->next++ % 12];
    snprintf(out, sizeof f->places[0], "%s/%s", f->folder.path, name);
    return out;
}

static void drop(const char *path) {
    tub_error err = {0};
    if (tub__is_folder(path)) {
        assert_ok(tub__folder_remove(heap, path, &err), err);
    } else {
        assert_int_equal(remove(path), 0);
    }
}

static tub_convert_report *converted(fixture *f, const char *in, const char *out,
                                     const tub_convert_options *o) {
    tub_convert_report *report = NULL;
    tub_error err = {0};
    assert_ok(tub_convert(f->ctx, in, out, o, &report, &err), err);
    assert_int_equal(report->checked, o == NULL || !o->dry_run);
    return report;
}

static void convert(fixture *f, const char *in, const char *out, const tub_convert_options *o) {
    tub_convert_report_free(f->ctx, converted(f, in, out, o));
}

/* ---- Logits of other programs ---- */

/* Clips [B,T,H,W,C], or (channels_first) [B,T,C,H,W], of a file, as the model takes them. */
static float *clips_of(const float *all, const tub__npy *npy, bool channels_first) {
    const size_t frames = npy->shape[0] * npy->shape[1];
    const size_t channels = npy->shape[channels_first ? 2 : 4],
                 pixels = npy->elements / frames / channels;
    float *out = malloc(npy->elements * sizeof *out);
    memcpy(out, all, npy->elements * sizeof *out);
    for (size_t i = 0; channels_first && i < npy->elements; i++) {
        const size_t t = i / (channels * pixels), k = i / pixels % channels, p = i % pixels;
        out[(t * pixels + p) * channels + k] = all[i];
    }
    return out;
}

/* Largest distance from a file's logits in float64, as a share of the largest. */
static double distance(fixture *f, const char *folder, const char *golden, const char *input) {
    char path[512];
    tub_model *model = NULL;
    tub_error err = {0};
    tub__npy in, out;
    snprintf(path, sizeof path, "%s/io.npz", golden);
    tub__npz *z = golden_npz(path);
    float *all = golden_floats(z, input, &in);
    float *clips = clips_of(all, &in, strcmp(input, "pixel_values") == 0);
    tub__npz_close(z);
    snprintf(path, sizeof path, "%s/io_f64.npz", golden);
    z = golden_npz(path);
    double *expected = golden_doubles(z, "logits", &out), error = 0, largest = 0;
    float *logits = malloc(out.elements * sizeof *logits);
    assert_ok(tub_model_open(f->ctx, folder, &model, &err), err);
    assert_ok(tub_model_forward(model, (int64_t)out.shape[0], TUB_F32, clips, logits, NULL, &err),
              err);
    for (size_t i = 0; i < out.elements; i++) {
        const double d = fabs((double)logits[i] - expected[i]);
        error = d > error || d != d ? d : error;
        largest = fmax(largest, fabs(expected[i]));
    }
    tub_model_close(model);
    free(logits);
    free(expected);
    free(clips);
    free(all);
    tub__npz_close(z);
    return error / largest;
}

/* ---- Checkpoints of scenic ---- */

static const tub_convert_array *array_of(const tub_convert_report *r, const char *here) {
    for (int64_t i = 0; i < r->count; i++) {
        if (strcmp(r->arrays[i].here, here) == 0) {
            return &r->arrays[i];
        }
    }
    fail_msg("%s: not in the report", here);
    return NULL;
}

/* Every array of the file is in the report once, with its own shape. */
static void expect_listed(const tub_convert_report *r, tub__npz *z, const char *root) {
    char name[256];
    assert_int_equal(r->count, tub__npz_count(z));
    for (size_t i = 0; i < tub__npz_count(z); i++) {
        tub__npy npy;
        int found = 0;
        free(golden_floats(z, tub__npz_name(z, i), &npy));
        snprintf(name, sizeof name, "%s%s", root, tub__npz_name(z, i));
        for (int64_t k = 0; k < r->count; k++) {
            const tub_convert_array *a = &r->arrays[k];
            if (strcmp(a->there, name) == 0) {
                found++;
                assert_int_equal(a->there_rank, npy.rank);
                for (int d = 0; d < npy.rank; d++) {
                    assert_int_equal(a->there_shape[d], npy.shape[d]);
                }
            }
        }
        assert_int_equal(found, 1);
    }
}

static void check_scenic(fixture *f, scenic_root root, const char *name, const char *below,
                         const tub_convert_options *o) {
    char golden[512];
    const char *checkpoint = place(f, "checkpoint_1"), *folder = place(f, "model");
    snprintf(golden, sizeof golden, "%s/cases/%s", scenic_roots[root], name);
    tub__npz *z = golden_npz(scenic_case(root, name, "params.npz"));
    golden_checkpoint(z, "", below, checkpoint);
    tub_convert_options dry = *o;
    dry.dry_run = 1;
    tub_convert_report *r = converted(f, checkpoint, folder, &dry);
    assert_false(tub__file_exists(folder));
    assert_int_equal(r->from, TUB_CONVERT_SCENIC);
    assert_int_equal(r->to, TUB_CONVERT_FOLDER);
    expect_listed(r, z, below);
    const tub_convert_array *head = array_of(r, "classifier.weight");
    assert_string_equal(head->order, "transposed");
    assert_int_equal(head->there_shape[0], head->here_shape[1]);
    assert_int_equal(head->there_shape[1], head->here_shape[0]);
    tub_convert_report_free(f->ctx, r);
    convert(f, checkpoint, folder, o);
    const double d = distance(f, folder, golden, "input");
    printf("%s: %.2g of the largest logit\n", name, d);
    assert_true(d <= 2e-6);
    tub__npz_close(z);
    drop(folder);
    drop(checkpoint);
}

static const tub_pooling maximum = TUB_POOL_MAX, sum = TUB_POOL_SUM;
static const tub_attention_order space_first = TUB_ORDER_SPACE_TIME;

static void check_scenic_cases(fixture *f, scenic_root root) {
    static const struct {
        const char *name, *below;
        tub_convert_options hints;
    } cases[] = {
        {"v1_cls", "optimizer/target/", {.frames = 8, .height = 24, .width = 16}},
        {"v1_gap", "params/", {.height = 24, .width = 16}},
        {"v1_gmp", "", {.height = 24, .width = 16, .pooling = &maximum}},
        {"v1_gsp_rep", "", {.height = 24, .width = 16, .pooling = &sum}},
        {"v2_cls", "params/", {.height = 24, .width = 16}},
        {"v2_gap", "params/", {.height = 24, .width = 16, .variant = 2}},
        {"v2_spatial_only", "params/", {.frames = 8, .height = 24, .width = 16}},
        {"v3_time_space", "params/", {.height = 24, .width = 16}},
        {"v3_space_time", "params/", {.height = 24, .width = 16, .attention_order = &space_first}},
        {"v4", "params/", {.height = 24, .width = 16, .variant = 4}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tub_convert_options o = cases[i].hints;
        o.size = sizeof o;
        if (scenic_has(root, cases[i].name)) {
            check_scenic(f, root, cases[i].name, cases[i].below, &o);
        }
    }
}

static void test_scenic_part(void **state) {
    check_scenic_cases(*state, SCENIC_PART);
}

static void test_scenic_whole(void **state) {
    if (!scenic_whole_is_here()) {
        skip();
    }
    check_scenic_cases(*state, SCENIC_WHOLE);
}

/* A model folder says what a checkpoint does not, and how pixels were scaled is kept. */
static void test_hints(void **state) {
    fixture *f = *state;
    const char *checkpoint = place(f, "checkpoint_2"), *first = place(f, "first"),
               *second = place(f, "second");
    static const int64_t shape[4] = {8, 24, 16, 3};
    static const unsigned char levels[8 * 24 * 16 * 3] = {0, 255, 51};
    float *input = malloc(sizeof levels * sizeof *input);
    tub_model *model = NULL;
    tub_error err = {0};
    tub__npz *z = golden_npz(scenic_case(SCENIC_PART, "v4", "params.npz"));
    golden_checkpoint(z, "", "params/", checkpoint);
    tub__npz_close(z);
    tub_convert_options o = tub_convert_options_default();
    o.height = 24;
    o.width = 16;
    o.variant = 4;
    o.pixels = TUB_CONVERT_PIXELS_SIGNED;
    convert(f, checkpoint, first, &o);
    o = tub_convert_options_default();
    o.like = first;
    convert(f, checkpoint, second, &o);
    assert_ok(tub_model_open(f->ctx, second, &model, &err), err);
    assert_int_equal(tub_model_describe(model)->variant, TUB_VARIANT_FACTORISED_DOT_PRODUCT);
    assert_false(tub_model_prepares(model));
    tub_model_close(model);
    assert_ok(tub_model_open(f->ctx, first, &model, &err), err);
    assert_true(tub_model_prepares(model));
    assert_ok(tub_model_prepare(model, 1, shape, levels, input, &err), err);
    assert_true(input[0] == -1.0f && input[1] == 1.0f && input[2] == -0.6f);
    tub_model_close(model);
    free(input);
    drop(first);
    drop(second);
}

/* ---- Folders of transformers ---- */

static void expect_same_file(const char *one, const char *other, const char *name) {
    char path[512], *a, *b;
    size_t a_size, b_size;
    tub_error err = {0};
    snprintf(path, sizeof path, "%s/%s", one, name);
    assert_ok(tub__file_read(heap, path, 1 << 26, &a, &a_size, &err), err);
    snprintf(path, sizeof path, "%s/%s", other, name);
    assert_ok(tub__file_read(heap, path, 1 << 26, &b, &b_size, &err), err);
    assert_int_equal(a_size, b_size);
    assert_memory_equal(a, b, a_size);
    tub__free(heap, a);
    tub__free(heap, b);
}

/* Through several files of newer names and back: the same bytes. */
static void check_forms(fixture *f, const char *folder) {
    const char *forms = place(f, "forms"), *back = place(f, "back");
    tub_convert_options o = tub_convert_options_default();
    o.newer_names = 1;
    o.shard_size = 40000;
    convert(f, folder, forms, &o);
    char path[512];
    snprintf(path, sizeof path, "%s/model.safetensors", forms);
    assert_false(tub__file_exists(path));
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", forms);
    assert_true(tub__file_exists(path));
    convert(f, forms, back, NULL);
    expect_same_file(folder, back, "model.safetensors");
    expect_same_file(folder, back, "config.json");
    drop(forms);
    drop(back);
}

/* Without the classifier, also from there on. */
static void check_encoder(fixture *f, const char *folder) {
    const char *encoder = place(f, "encoder"), *again = place(f, "again");
    tub_convert_options o = tub_convert_options_default();
    tub_convert_kind kind;
    tub_error err = {0};
    o.encoder_only = 1;
    tub_convert_report *r = converted(f, folder, encoder, &o);
    assert_int_equal(r->count, r->config.qkv_bias ? 54 : 32);
    tub_convert_report_free(f->ctx, r);
    assert_ok(tub_convert_detect(f->ctx, encoder, &kind, &err), err);
    assert_int_equal(kind, TUB_CONVERT_ENCODER);
    convert(f, encoder, again, NULL);
    expect_same_file(encoder, again, "model.safetensors");
    expect_same_file(encoder, again, "config.json");
    drop(encoder);
    drop(again);
}

static void test_transformers(void **state) {
    static const char *const names[][2] = {
        {"model_small", "model_small"},
        {"model_small/sharded", "model_small"},
        {"model_small/new_spelling", "model_small"},
        {"model_gelu", "model_gelu"},
        {"model_gelu/sharded", "model_gelu"},
        {"model_gelu/new_spelling", "model_gelu"},
    };
    fixture *f = *state;
    if (!have(HF "model_small")) {
        skip();
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char in[256], golden[256];
        const char *out = place(f, "folder");
        snprintf(in, sizeof in, HF "%s", names[i][0]);
        snprintf(golden, sizeof golden, HF "%s", names[i][1]);
        convert(f, in, out, NULL);
        const double d = distance(f, out, golden, "pixel_values");
        printf("%s: %.2g of the largest logit\n", names[i][0], d);
        assert_true(d <= 2e-6);
        check_forms(f, out);
        check_encoder(f, out);
        drop(out);
    }
}

static void test_encoder(void **state) {
    fixture *f = *state;
    if (!have(HF "model_pool")) {
        skip();
    }
    static const char *const names[] = {"model_pool", "model_pool/sharded",
                                        "model_pool/new_spelling"};
    const char *first = place(f, "pool"), *other = place(f, "other");
    convert(f, HF "model_pool", first, NULL);
    for (size_t i = 1; i < sizeof names / sizeof *names; i++) {
        char in[256];
        snprintf(in, sizeof in, HF "%s", names[i]);
        convert(f, in, other, NULL);
        expect_same_file(first, other, "model.safetensors");
        drop(other);
    }
    drop(first);
}

/* ---- The check at the end ---- */

enum { FRAMES = 4, SIDE = 8 };

static const tub_model_config small = {.size = sizeof small,
                                       .frames = FRAMES,
                                       .height = SIDE,
                                       .width = SIDE,
                                       .channels = 1,
                                       .tubelet = {2, 4, 4},
                                       .hidden = 8,
                                       .heads = 2,
                                       .layers = 2,
                                       .mlp = 12,
                                       .classes = 3,
                                       .qkv_bias = 1,
                                       .pooling = TUB_POOL_CLASS_TOKEN,
                                       .norm_epsilon = 1e-6};

static void save_small(fixture *f, const char *folder, const tub_model_config *config) {
    tub_model *model = NULL;
    tub_error err = {0};
    assert_ok(tub_model_create(f->ctx, config, 5, &model, &err), err);
    assert_ok(tub_model_save(model, folder, &err), err);
    tub_model_close(model);
}

/* Negative control: one bit of one element, a setting of training, labels, preprocessing, a name. */
static void test_check(void **state) {
    fixture *f = *state;
    const char *folder = place(f, "small");
    const tub_convert_options o = tub_convert_options_default();
    tub__converted one, other;
    tub_error err = {0};
    save_small(f, folder, &small);
    assert_ok(tub__converted_open(f->ctx, folder, TUB_CONVERT_FOLDER, &o, &one, &err), err);
    assert_ok(tub__converted_open(f->ctx, folder, TUB_CONVERT_FOLDER, &o, &other, &err), err);
    assert_ok(tub__converted_check(&one, &other, one.arrays, &err), err);
    for (int64_t i = 0; i < tub_model_parameters(other.model); i++) {
        tub_parameter p;
        assert_ok(tub_model_parameter(other.model, i, &p, &err), err);
        float *values = malloc((size_t)p.count * sizeof *values);
        assert_ok(tub_model_get(other.model, i, values, &err), err);
        const float last = values[p.count - 1];
        values[p.count - 1] = nextafterf(last, 2.0f);
        assert_ok(tub_model_set(other.model, i, values, &err), err);
        assert_int_equal(tub__converted_check(&one, &other, one.arrays, &err), TUB_E_NUMERIC);
        assert_non_null(strstr(err.message, p.name));
        assert_non_null(strstr(err.message, "nothing is written"));
        values[p.count - 1] = last;
        assert_ok(tub_model_set(other.model, i, values, &err), err);
        free(values);
    }
    assert_ok(tub__converted_check(&one, &other, one.arrays, &err), err);
    other.model->config.attention_dropout = 0.5; /* changes no logit */
    assert_int_equal(tub__converted_check(&one, &other, one.arrays, &err), TUB_E_NUMERIC);
    assert_non_null(strstr(err.message, "config.json is read as another model"));
    other.model->config.attention_dropout = 0;
    static const char *const labels[] = {"a", "b", "c"};
    assert_ok(tub_model_set_labels(other.model, labels, 3, &err), err);
    assert_int_equal(tub__converted_check(&one, &other, one.arrays, &err), TUB_E_NUMERIC);
    assert_ok(tub_model_set_labels(one.model, labels, 3, &err), err);
    other.model->preprocessor_text[1] = ' ';
    assert_int_equal(tub__converted_check(&one, &other, one.arrays, &err), TUB_E_NUMERIC);
    assert_non_null(strstr(err.message, "preprocessor_config.json"));
    strcpy(other.model->preprocessor_text, one.model->preprocessor_text);
    assert_ok(tub__converted_check(&one, &other, one.arrays, &err), err);
    strcpy(other.arrays[3].name, "another");
    assert_int_equal(tub__converted_check(&one, &other, one.arrays, &err), TUB_E_NUMERIC);
    tub__converted_close(&other);
    tub__converted_close(&one);
    drop(folder);
}

/* ---- What is refused ---- */

static void write_text(const char *path, const char *text, size_t size) {
    tub_error err = {0};
    assert_ok(tub__file_write(heap, path, text, size, &err), err);
}

static void test_unknown_kinds(void **state) {
    static const char safetensors[] = "\x10\0\0\0\0\0\0\0{\"a\": 1}       ";
    static const char pickle[] = "\x80\x02}q\0.";
    static const struct {
        const char *bytes;
        size_t size;
        const char *words;
    } cases[] = {
        {"hello", 5, "no kind of model that is known; known are folders with config.json"},
        {"", 0, "no kind of model that is known"},
        {safetensors, sizeof safetensors - 1, "arrays alone; give the folder"},
        {pickle, sizeof pickle - 1, "no kind of model that is known"},
        {"PK\3\4 and no zip", 15, "zip"},
        {"\x81\xa1"
         "a",
         3, ""}, /* a map that ends early: a checkpoint, and a damaged one */
    };
    fixture *f = *state;
    const char *path = place(f, "file"), *out = place(f, "out");
    tub_error err = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_text(path, cases[i].bytes, cases[i].size);
        assert_int_equal(tub_convert(f->ctx, path, out, NULL, NULL, &err), TUB_E_FORMAT);
        if (strstr(err.message, cases[i].words) == NULL) {
            fail_msg("case %zu: %s", i, err.message);
        }
        assert_false(tub__file_exists(out));
        drop(path);
    }
    assert_int_equal(tub_convert(f->ctx, path, out, NULL, NULL, &err), TUB_E_NOT_FOUND);
    assert_ok(tub__folder_create(path, &err), err);
    assert_int_equal(tub_convert(f->ctx, path, out, NULL, NULL, &err), TUB_E_FORMAT);
    assert_non_null(strstr(err.message, "has no config.json, so it is no model"));
    drop(path);
}

static void expect_refused(fixture *f, const tub_model_config *config, const char *out,
                           tub_convert_options o, tub_status expected, const char *words) {
    const char *folder = place(f, "refused");
    tub_error err = {0};
    o.size = sizeof o;
    save_small(f, folder, config);
    const tub_status status = tub_convert(f->ctx, folder, place(f, out), &o, NULL, &err);
    if (status != expected || strstr(err.message, words) == NULL) {
        fail_msg("%s: %s", tub_status_name(status), err.message);
    }
    assert_false(tub__file_exists(place(f, out)));
    drop(folder);
}

static void test_refused(void **state) {
    fixture *f = *state;
    tub_model_config mean = small, factorised = small;
    mean.pooling = TUB_POOL_MEAN;
    factorised.variant = TUB_VARIANT_FACTORISED_ENCODER;
    factorised.temporal_layers = 1;
    expect_refused(f, &small, "a.keras", (tub_convert_options){0}, TUB_E_UNSUPPORTED,
                   "the Keras example's model has no class token");
    expect_refused(f, &factorised, "a.keras", (tub_convert_options){0}, TUB_E_UNSUPPORTED,
                   "joint attention only");
    expect_refused(f, &mean, "a", (tub_convert_options){.encoder_only = 1}, TUB_E_UNSUPPORTED,
                   "ViViT classifies by a class token, so an encoder alone can't be written");
    expect_refused(f, &factorised, "a", (tub_convert_options){.newer_names = 1}, TUB_E_UNSUPPORTED,
                   "ViViT has joint attention only, so the names of newer transformers can't");
    expect_refused(f, &mean, "a.keras", (tub_convert_options){.pixels = TUB_CONVERT_PIXELS_SIGNED},
                   TUB_E_ARGUMENT, "has no place for how pixels are scaled");
    static const tub_pooling usual = TUB_POOL_MEAN;
    static const tub_attention_order first = TUB_ORDER_TIME_SPACE;
    expect_refused(f, &small, "a", (tub_convert_options){.pooling = &usual}, TUB_E_ARGUMENT,
                   "are hints for checkpoints of scenic");
    expect_refused(f, &small, "a", (tub_convert_options){.attention_order = &first}, TUB_E_ARGUMENT,
                   "are hints for checkpoints of scenic");
    expect_refused(f, &small, "a", (tub_convert_options){.task = TUB_TASK_MULTI_LABEL},
                   TUB_E_ARGUMENT, "are hints for checkpoints of scenic");
    expect_refused(f, &mean, "a.keras", (tub_convert_options){.shard_size = 5}, TUB_E_ARGUMENT,
                   "several files are for folders");
    expect_refused(f, &small, "a", (tub_convert_options){.frames = 4}, TUB_E_ARGUMENT,
                   "are hints for checkpoints of scenic");
    expect_refused(f, &small, "a", (tub_convert_options){.pixels = TUB_CONVERT_PIXELS_UNIT},
                   TUB_E_ARGUMENT, "a model folder says how pixels are scaled");
    expect_refused(f, &small, "a.safetensors", (tub_convert_options){0}, TUB_E_ARGUMENT,
                   "a model becomes a folder, or a .keras, .weights.h5 or .onnx file");
    expect_refused(f, &small, "a", (tub_convert_options){.shard_size = -1}, TUB_E_RANGE,
                   "shard_size is -1");
    expect_refused(f, &small, "a", (tub_convert_options){.like = "nothing"}, TUB_E_ARGUMENT,
                   "says all sizes itself");
}

/* All variants into another form of the same folder; transformers' names only where it has them. */
static void test_variants(void **state) {
    fixture *f = *state;
    for (int variant = 0; variant < 4; variant++) {
        tub_model_config config = small;
        const char *one = place(f, "one"), *shards = place(f, "shards"), *back = place(f, "back");
        config.variant = (tub_variant)variant;
        config.pooling = variant < 2 ? TUB_POOL_CLASS_TOKEN : TUB_POOL_MEAN;
        config.temporal_layers = variant == 1;
        save_small(f, one, &config);
        tub_convert_options o = tub_convert_options_default();
        o.shard_size = 1;
        convert(f, one, shards, &o);
        convert(f, shards, back, NULL);
        expect_same_file(one, back, "model.safetensors");
        expect_same_file(one, back, "config.json");
        drop(one);
        drop(shards);
        drop(back);
    }
}

/* Asked to stop, it leaves nothing, and the next one is not stopped. */
static void test_stop(void **state) {
    fixture *f = *state;
    const char *folder = place(f, "small"), *out = place(f, "stopped");
    tub_error err = {0};
    save_small(f, folder, &small);
    tub_train_stop(f->ctx);
    assert_int_equal(tub_convert(f->ctx, folder, out, NULL, NULL, &err), TUB_E_CANCELLED);
    assert_string_equal(err.message, "stopped; nothing was written");
    assert_false(tub__file_exists(out));
    drop(folder);
    assert_int_equal(rmdir(f->folder.path), 0); /* no temporary folder either */
    assert_ok(tub__folder_create(f->folder.path, &err), err);
    save_small(f, folder, &small);
    convert(f, folder, out, NULL);
    drop(folder);
    drop(out);
}

/* ---- Memory ---- */

typedef struct paths {
    const char *in, *out;
} paths;

static tub_status convert_once(const tub_allocator *a, void *user, tub_error *err) {
    const paths *p = user;
    tub_context_config config = tub_context_config_default();
    tub_convert_options o = tub_convert_options_default();
    tub_convert_report *report = NULL;
    tub_context *ctx = NULL;
    config.threads = 1;
    config.allocator = *a;
    o.encoder_only = 1;
    o.shard_size = 2000;
    tub_status status = tub_context_create(&config, &ctx, err);
    if (status == TUB_OK) {
        status = tub_convert(ctx, p->in, p->out, &o, &report, err);
        tub_convert_report_free(ctx, report);
        tub_context_destroy(ctx);
    }
    tub_error ignored = {0};
    assert_int_equal(status == TUB_OK, tub__file_exists(p->out));
    assert_int_equal(tub__folder_remove(heap, p->out, &ignored), TUB_OK);
    return status;
}

static void test_failing_allocations(void **state) {
    fixture *f = *state;
    paths p = {place(f, "small"), place(f, "out")};
    save_small(f, p.in, &small);
    failing_report r = failing_run(convert_once, &p);
    assert_string_equal(r.problem, "");
    printf("%ld allocations, each refused once\n", r.allocations);
    drop(p.in);
    assert_int_equal(rmdir(f->folder.path), 0); /* nothing was left by any of them */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_scenic_part, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_scenic_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hints, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_transformers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_encoder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_check, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unknown_kinds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_variants, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failing_allocations, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
