/* SPDX-License-Identifier: Apache-2.0 */
/* Starting from ViTs that Flax programs wrote, transformers' FlaxViT and vision_transformer: as clips of
 * one frame they give the logits that those programs computed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tubelet/tubelet.h>

#include "base/file.h"
#include "formats/flax.h"
#include "support/context_folder.h"
#include "support/failing_alloc.h"
#include "support/failing_context.h"
#include "support/golden_npz.h"
#include "support/make_flax.h"

#define FILES GOLDEN "/vit_flax/"

static const tub_allocator *const heap = &tub__default_allocator;

typedef struct golden_case {
    const char *name, *file, *kind, *kernel;
    int64_t clip[3], patch_width, representation, qkv_bias;
    tub_gelu gelu;
    tub_pooling pooling;
    bool encoder;
} golden_case;

static const golden_case cases[] = {
    {.name = "classifier",
     .kind = "ViT of transformers",
     .kernel = "vit/embeddings/patch_embeddings/projection/kernel",
     .patch_width = 8,
     .qkv_bias = 1,
     .gelu = TUB_GELU_ERF,
     .pooling = TUB_POOL_CLASS_TOKEN},
    {.name = "no_qkv_bias",
     .kind = "ViT of transformers",
     .kernel = "vit/embeddings/patch_embeddings/projection/kernel",
     .patch_width = 8,
     .gelu = TUB_GELU_TANH,
     .pooling = TUB_POOL_CLASS_TOKEN},
    {.name = "encoder",
     .kind = "ViT of transformers",
     .kernel = "embeddings/patch_embeddings/projection/kernel",
     .patch_width = 8,
     .qkv_bias = 1,
     .gelu = TUB_GELU_ERF,
     .pooling = TUB_POOL_CLASS_TOKEN,
     .encoder = true},
    {.name = "training",
     .file = "checkpoint_7",
     .kind = "ViT of vision_transformer",
     .kernel = "0/embedding/kernel",
     .patch_width = 8,
     .qkv_bias = 1,
     .gelu = TUB_GELU_TANH,
     .pooling = TUB_POOL_CLASS_TOKEN},
    {.name = "representation",
     .file = "checkpoint_7",
     .kind = "ViT of vision_transformer",
     .kernel = "embedding/kernel",
     .clip = {1, 24, 24},
     .patch_width = 4,
     .representation = 7,
     .qkv_bias = 1,
     .gelu = TUB_GELU_TANH,
     .pooling = TUB_POOL_MEAN},
};
enum { CASES = sizeof cases / sizeof *cases, WIDTH = 12, PATH = 1024 };

static int64_t index_of(const tub_model *model, const char *name) {
    for (int64_t i = 0; i < tub_model_parameters(model); i++) {
        tub_parameter p;
        assert_int_equal(tub_model_parameter(model, i, &p, NULL), TUB_OK);
        if (strcmp(p.name, name) == 0) {
            return i;
        }
    }
    fail_msg("no array %s", name);
    return -1;
}

/* Where a file has no classifier, one that passes the class token's row on. */
static void pass_on(tub_model *model) {
    static const float bias[WIDTH];
    float weight[WIDTH * WIDTH] = {0};
    for (int i = 0; i < WIDTH; i++) {
        weight[i * WIDTH + i] = 1;
    }
    assert_int_equal(tub_model_set(model, index_of(model, "classifier.weight"), weight, NULL),
                     TUB_OK);
    assert_int_equal(tub_model_set(model, index_of(model, "classifier.bias"), bias, NULL), TUB_OK);
}

static void expect_config(const golden_case *k, const tub_model_config *c) {
    assert_int_equal(c->height, 24);
    assert_int_equal(c->width, 24);
    assert_int_equal(c->channels, 3);
    assert_int_equal(c->tubelet[1], 8);
    assert_int_equal(c->tubelet[2], k->patch_width);
    assert_int_equal(c->hidden, WIDTH);
    assert_int_equal(c->heads, 3);
    assert_int_equal(c->layers, 2);
    assert_int_equal(c->mlp, 20);
    assert_int_equal(c->representation, k->representation);
    assert_int_equal(c->qkv_bias, k->qkv_bias);
    assert_int_equal(c->gelu, k->gelu);
    assert_int_equal(c->pooling, k->pooling);
}

static tub_model *started(fixture *f, const golden_case *k, tub_start_report **report) {
    char path[PATH];
    tub_model_config c;
    tub_model *model = NULL;
    tub_error err = {0};
    tub_start_options o = tub_start_options_default();
    memcpy(o.clip, k->clip, sizeof o.clip);
    snprintf(path, sizeof path, FILES "%s%s%s", k->name, k->file != NULL ? "/" : "",
             k->file != NULL ? k->file : "");
    assert_ok(tub_start_config(f->ctx, path, &o, &c, &err), err);
    expect_config(k, &c);
    assert_int_equal(c.tubelet[0], 2);
    c.frames = c.tubelet[0] = 1; /* as there */
    c.classes = k->encoder ? WIDTH : c.classes;
    assert_ok(tub_model_create(f->ctx, &c, 1, &model, &err), err);
    assert_ok(tub_model_start(model, path, &o, report, &err), err);
    return model;
}

static void expect_report(const golden_case *k, const tub_model *model,
                          const tub_start_report *report) {
    static const char kernel[] = "vivit.embeddings.patch_embeddings.projection.weight";
    assert_string_equal(report->kind, k->kind);
    assert_string_equal(report->arrays[index_of(model, kernel)].there, k->kernel);
    for (int64_t i = 0; i < report->count; i++) {
        const bool fresh = k->encoder && strncmp(report->arrays[i].here, "classifier.",
                                                 strlen("classifier.")) == 0;
        assert_string_equal(report->arrays[i].what, fresh ? "fresh" : "copied");
    }
}

/* The largest difference, as a share of the largest of truth. */
static double distance(const float *got, const double *truth, size_t n) {
    double worst = 0, largest = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)got[i] - truth[i]);
        worst = d > worst || d != d ? d : worst;
    }
    for (size_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs(truth[i]));
    }
    return worst / largest;
}

static void check(fixture *f, tub__npz *z, const golden_case *k) {
    tub__npy in, out;
    tub_start_report *report = NULL;
    tub_error err = {0};
    float *pixels = golden_floats(z, "pixels", &in), logits[2 * WIDTH];
    double *truth = golden_doubles(z, k->name, &out), far;
    tub_model *model = started(f, k, &report);
    expect_report(k, model, report);
    tub_start_report_free(f->ctx, report);
    if (k->encoder) {
        pass_on(model);
    }
    assert_int_equal(out.elements, 2 * tub_model_describe(model)->classes);
    assert_ok(tub_model_forward(model, 2, TUB_F32, pixels, logits, NULL, &err), err);
    far = distance(logits, truth, out.elements);
    printf("%s: logits within %.2g of the largest\n", k->name, far);
    assert_true(far <= 2e-6);
    tub_model_close(model);
    free(truth);
    free(pixels);
}

static void test_logits(void **state) {
    tub__npz *z = golden_npz(FILES "numbers.npz");
    for (size_t i = 0; i < CASES; i++) {
        check(*state, z, &cases[i]);
    }
    tub__npz_close(z);
}

/* ---- Files that are refused ---- */

static void copy_file(const char *from, const char *to) {
    char *bytes;
    size_t size;
    tub_error err = {0};
    assert_ok(tub__file_read(heap, from, 1 << 20, &bytes, &size, &err), err);
    assert_ok(tub__file_write(heap, to, bytes, size, &err), err);
    tub__free(heap, bytes);
}

typedef struct change {
    const char *without, *more, *broken, *flat; /* arrays; NULL: none */
    tub_status status;
    const char *words;
} change;

static bool is(const char *wanted, const char *name) {
    return wanted != NULL && strcmp(wanted, name) == 0;
}

static void add(flax_maker *m, const tub__flax_file *file, const tub__flax_leaf *leaf,
                const change *c) {
    float *values = malloc(leaf->elements * sizeof *values);
    tub_error err = {0};
    assert_ok(tub__flax_to_f32(file, leaf, values, &err), err);
    values[0] = is(c->broken, leaf->name) ? NAN : values[0];
    const bool flat = is(c->flat, leaf->name);
    flax_array(m, leaf->name, "float32", flat ? 1 : leaf->rank,
               flat ? &leaf->elements : leaf->shape, values);
    free(values);
}

/* A folder like "classifier" but for one thing. */
static void write_changed(const char *folder, const change *c) {
    char path[PATH];
    const uint64_t one = 1;
    tub__flax_file file;
    tub_error err = {0};
    flax_maker m;
    snprintf(path, sizeof path, "%s/flax_model.msgpack", folder);
    assert_ok(tub__flax_open(heap, FILES "classifier/flax_model.msgpack", &file, &err), err);
    flax_begin(&m, path);
    for (size_t i = 0; i < file.count; i++) {
        if (!is(c->without, file.leaves[i].name)) {
            add(&m, &file, &file.leaves[i], c);
        }
    }
    if (c->more != NULL) {
        flax_array(&m, c->more, "float32", 1, &one, &(float){1});
    }
    flax_end(&m);
    tub__flax_close(&file);
}

static void expect(fixture *f, const char *path, tub_status status, const char *words) {
    tub_model_config c;
    tub_error err = {0};
    const tub_status got = tub_start_config(f->ctx, path, NULL, &c, &err);
    if (got != status || strstr(err.message, words) == NULL) {
        fail_msg("expected '%s', got %s: %s", words, tub_status_name(got), err.message);
    }
}

static void test_refused(void **state) {
    static const change changes[] = {
        {.status = TUB_OK, .words = ""},
        {.more = "pooler/dense/bias", .status = TUB_OK, .words = ""},
        {.without = "vit/layernorm/scale",
         .status = TUB_E_NOT_FOUND,
         .words = "flax_model.msgpack: vit/layernorm/scale: missing; the configuration needs it"},
        {.without = "vit/embeddings/cls_token",
         .status = TUB_E_NOT_FOUND,
         .words = "flax_model.msgpack: embeddings/cls_token: missing"},
        {.more = "vit/encoder/layer/2/output/dense/bias",
         .status = TUB_E_FORMAT,
         .words =
             "vit/encoder/layer/2/output/dense/bias: unexpected; the configuration has no such "
             "array"},
        {.without = "classifier/kernel", .status = TUB_OK, .words = ""}, /* no whole classifier */
        {.without = "classifier/bias",
         .status = TUB_E_NOT_FOUND,
         .words = "classifier/bias: missing"},
        {.broken = "vit/encoder/layer/1/intermediate/dense/kernel",
         .status = TUB_E_RANGE,
         .words = "vit/encoder/layer/1/intermediate/dense/kernel: element 0 is not finite"},
        {.flat = "vit/encoder/layer/1/intermediate/dense/kernel",
         .status = TUB_E_SHAPE,
         .words =
             "vit/encoder/layer/1/intermediate/dense/kernel: expected [12,20], file has [240]"},
        {.flat = "vit/embeddings/patch_embeddings/projection/kernel",
         .status = TUB_E_SHAPE,
         .words = "projection/kernel: expected [8,8,3,12], file has [2304]"},
    };
    fixture *f = *state;
    char config[PATH];
    tub_error err = {0};
    const char *folder = temp_path(&f->folder, "changed");
    assert_ok(tub__folder_create(folder, &err), err);
    snprintf(config, sizeof config, "%s/config.json", folder);
    copy_file(FILES "classifier/config.json", config);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        write_changed(folder, &changes[i]);
        expect(f, folder, changes[i].status, changes[i].words);
    }
    expect(
        f, FILES "classifier/flax_model.msgpack", TUB_E_FORMAT,
        "the arrays of transformers' FlaxViT, which need their config.json: give the folder that "
        "has both");
    expect(f, FILES "encoder/flax_model.msgpack", TUB_E_FORMAT, "give the folder that has both");
    expect(f, FILES "representation/checkpoint_7", TUB_E_ARGUMENT,
           "its 18 positions don't say how they lie");
}

/* Where both are there, safetensors are read. */
static void test_safetensors_first(void **state) {
    fixture *f = *state;
    char path[PATH];
    tub_error err = {0};
    const char *folder = temp_path(&f->folder, "both");
    assert_ok(tub__folder_create(folder, &err), err);
    snprintf(path, sizeof path, "%s/config.json", folder);
    copy_file(FILES "classifier/config.json", path);
    write_changed(folder, &(change){0});
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    assert_ok(tub__file_write(heap, path, "short", 5, &err), err);
    expect(f, folder, TUB_E_FORMAT, "model.safetensors");
}

/* ---- Failing allocations ---- */

static tub_status config_of_folder(tub_context *ctx, const void *user, tub_error *err) {
    tub_model_config config;
    return tub_start_config(ctx, user, NULL, &config, err);
}

static tub_status failing_config(const tub_allocator *a, void *user, tub_error *err) {
    return in_failing_context(a, 1, TUB_PRECISION_F32, config_of_folder, user, err);
}

static void test_failing_allocations(void **state) {
    (void)state;
    static char classifier[] = FILES "classifier", training[] = FILES "training/checkpoint_7";
    failing_report report = failing_run(failing_config, classifier);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations > 20);
    report = failing_run(failing_config, training);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logits),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_safetensors_first),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
