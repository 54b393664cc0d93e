/* SPDX-License-Identifier: Apache-2.0 */
/* Starting from trained models, without other programs' numbers: what a start keeps of what the other
 * model computes, what it says, and what it refuses. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <tubelet/tubelet.h>

#include "base/context.h"
#include "cmocka_all.h"
#include "convert/folder.h"
#include "convert/vit_json.h"
#include "failing_alloc.h"
#include "failing_context.h"
#include "make_vit.h"
#include "same_config.h"
#include "temp_folder.h"

enum { PIXELS = 6 * 8, CLASSES = 5, CLIP_LIMIT = 8 * PIXELS * 3 };

static const tub_allocator *const heap = &tub__default_allocator;
static const char KERNEL[] = "vivit.embeddings.patch_embeddings.projection.weight";
static const char POSITIONS[] = "vivit.embeddings.position_embeddings";

typedef struct fixture {
    tub_context *ctx;
    tub_model *picture; /* a ViT, and in the folder "vit" */
    temp_folder folder;
} fixture;

/* A ViT of pictures of 6x8 in patches of 3x4, here a model of one frame. */
static tub_model_config picture_config(void) {
    return (tub_model_config){.size = sizeof(tub_model_config),
                              .frames = 1,
                              .height = 6,
                              .width = 8,
                              .channels = 3,
                              .tubelet = {1, 3, 4},
                              .hidden = 8,
                              .heads = 2,
                              .layers = 2,
                              .mlp = 12,
                              .classes = CLASSES,
                              .gelu = TUB_GELU_ERF,
                              .qkv_bias = 1,
                              .pooling = TUB_POOL_CLASS_TOKEN,
                              .norm_epsilon = 1e-12,
                              .attention_init = TUB_INIT_GLOROT};
}

/* Numbers between -1 and 1 that repeat nowhere near. */
static float number(int64_t i) {
    return (float)((i * 7919 + 13) % 1999) / 1000.0f - 1;
}

/* Every array random: what starts at zero or one would hide a mistake. */
static void randomise(tub_model *model) {
    for (int64_t i = 0; i < tub_model_parameters(model); i++) {
        tub_parameter p;
        tub_error err = {0};
        assert_ok(tub_model_parameter(model, i, &p, &err), err);
        float *values = malloc((size_t)p.count * sizeof *values);
        for (int64_t j = 0; j < p.count; j++) {
            values[j] = number(31 * i + j) * (p.rank > 1 ? 0.4f : 0.8f);
        }
        assert_ok(tub_model_set(model, i, values, &err), err);
        free(values);
    }
}

static tub_model *create(fixture *f, const tub_model_config *config) {
    tub_model *model = NULL;
    tub_error err = {0};
    assert_ok(tub_model_create(f->ctx, config, 5, &model, &err), err);
    return model;
}

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    const tub_model_config config = picture_config();
    assert_int_equal(tub_context_create(NULL, &f->ctx, NULL), TUB_OK);
    temp_folder_make(&f->folder);
    f->picture = create(f, &config);
    randomise(f->picture);
    make_vit(temp_path(&f->folder, "vit"), f->picture, &(vit_maker){0});
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    tub_model_close(f->picture);
    tub_context_destroy(f->ctx);
    temp_folder_drop(&f->folder);
    free(f);
    return 0;
}

/* The picture's model with other frames and tubelets of so many; changes are the caller's. */
static tub_model_config clip_config(int64_t frames, int64_t tubelet) {
    tub_model_config config = picture_config();
    config.frames = frames;
    config.tubelet[0] = tubelet;
    return config;
}

static int64_t find(const tub_model *model, const char *name, tub_parameter *p) {
    for (int64_t i = 0; i < tub_model_parameters(model); i++) {
        tub_error err = {0};
        assert_ok(tub_model_parameter(model, i, p, &err), err);
        if (strcmp(p->name, name) == 0) {
            return i;
        }
    }
    fail_msg("no array %s", name);
    return -1;
}

static float *values_of(const tub_model *model, const char *name) {
    tub_parameter p;
    tub_error err = {0};
    const int64_t index = find(model, name, &p);
    float *out = malloc((size_t)p.count * sizeof *out);
    assert_ok(tub_model_get(model, index, out, &err), err);
    return out;
}

static void assert_same_array(const tub_model *a, const tub_model *b, const char *name) {
    tub_parameter p;
    float *left = values_of(a, name), *right = values_of(b, name);
    (void)find(a, name, &p);
    if (memcmp(left, right, (size_t)p.count * sizeof *left) != 0) {
        fail_msg("%s differs", name);
    }
    free(right);
    free(left);
}

static const tub_start_array *row(const tub_start_report *r, const char *name) {
    for (int64_t i = 0; i < r->count; i++) {
        if (strcmp(r->arrays[i].here, name) == 0) {
            return &r->arrays[i];
        }
    }
    fail_msg("no row of %s", name);
    return NULL;
}

static void expect_what(const tub_start_report *r, const char *name, const char *what) {
    assert_string_equal(row(r, name)->what, what);
}

static tub_start_options with(tub_start_kernel kernel, tub_start_positions positions) {
    tub_start_options o = tub_start_options_default();
    o.kernel = kernel;
    o.positions = positions;
    return o;
}

static tub_model *start(fixture *f, const tub_model_config *config, const char *folder,
                        const tub_start_options *o, tub_start_report **report) {
    tub_error err = {0};
    tub_model *model = create(f, config);
    assert_ok(tub_model_start(model, folder, o, report, &err), err);
    return model;
}

static void forward(tub_model *model, const float *x, float *logits) {
    tub_error err = {0};
    assert_ok(tub_model_forward(model, 1, TUB_F32, x, logits, NULL, &err), err);
}

/* ---- What is kept of what the other computes ---- */

/* The frame in the middle of the only tubelet is the picture: the others are not seen, whatever they
 * hold, and not one bit of the answer changes. */
static void test_central_frame(void **state) {
    fixture *f = *state;
    for (int64_t frames = 1; frames <= 4; frames++) {
        const tub_model_config config = clip_config(frames, frames);
        const tub_start_options o = with(TUB_START_CENTRAL, TUB_START_RESIZE);
        tub_model *model = start(f, &config, temp_path(&f->folder, "vit"), &o, NULL);
        float clip[CLIP_LIMIT], expected[CLASSES], found[CLASSES];
        for (int64_t i = 0; i < frames * PIXELS * 3; i++) {
            clip[i] = number(i);
        }
        forward(f->picture, clip + frames / 2 * PIXELS * 3, expected);
        forward(model, clip, found);
        assert_memory_equal(found, expected, sizeof found);
        tub_model_close(model);
    }
}

/* Equal frames: each frame's share adds up to the picture. */
static void test_average(void **state) {
    fixture *f = *state;
    const tub_model_config config = clip_config(3, 3);
    const tub_start_options o = with(TUB_START_AVERAGE, TUB_START_RESIZE);
    tub_model *model = start(f, &config, temp_path(&f->folder, "vit"), &o, NULL);
    float clip[CLIP_LIMIT], expected[CLASSES], found[CLASSES];
    for (int64_t i = 0; i < 3 * PIXELS * 3; i++) {
        clip[i] = number(i % (PIXELS * 3));
    }
    forward(f->picture, clip, expected);
    forward(model, clip, found);
    for (int k = 0; k < CLASSES; k++) {
        assert_true(fabsf(found[k] - expected[k]) <= 1e-5f);
    }
    tub_model_close(model);
}

/* Weights of approximate rank pooling sum to nothing: equal frames are no clip at all. */
static void test_rank_pooling(void **state) {
    fixture *f = *state;
    const tub_model_config config = clip_config(4, 4);
    const tub_start_options o = with(TUB_START_ARP, TUB_START_RESIZE);
    tub_model *model = start(f, &config, temp_path(&f->folder, "vit"), &o, NULL);
    float clip[CLIP_LIMIT], nothing[CLIP_LIMIT] = {0}, expected[CLASSES], found[CLASSES];
    for (int64_t i = 0; i < 4 * PIXELS * 3; i++) {
        clip[i] = number(i % (PIXELS * 3));
    }
    forward(model, nothing, expected);
    forward(model, clip, found);
    for (int k = 0; k < CLASSES; k++) {
        assert_true(fabsf(found[k] - expected[k]) <= 1e-5f);
    }
    tub_model_close(model);
}

/* One channel stands for three equal ones. */
static void test_grey(void **state) {
    fixture *f = *state;
    tub_model_config config = clip_config(2, 2);
    config.channels = 1;
    const tub_start_options o = with(TUB_START_CENTRAL, TUB_START_RESIZE);
    tub_start_report *report = NULL;
    tub_model *model = start(f, &config, temp_path(&f->folder, "vit"), &o, &report);
    float picture[PIXELS * 3], clip[2 * PIXELS], expected[CLASSES], found[CLASSES];
    for (int64_t i = 0; i < PIXELS; i++) {
        clip[i] = number(i + 100);
        clip[PIXELS + i] = picture[3 * i] = picture[3 * i + 1] = picture[3 * i + 2] = number(i);
    }
    forward(f->picture, picture, expected);
    forward(model, clip, found);
    for (int k = 0; k < CLASSES; k++) {
        assert_true(fabsf(found[k] - expected[k]) <= 1e-5f);
    }
    expect_what(report, KERNEL, "inflated (central frame), channels added up");
    tub_start_report_free(f->ctx, report);
    tub_model_close(model);
}

/* Attention over time that gives nothing: each time index is a picture by itself, and the mean over
 * all tokens that of the pictures' means. */
static void test_zero_over_time(void **state) {
    fixture *f = *state;
    tub_model_config config = picture_config();
    config.pooling = TUB_POOL_MEAN;
    tub_model *picture = create(f, &config);
    randomise(picture);
    make_vit(temp_path(&f->folder, "mean"), picture, &(vit_maker){0});
    tub_model_close(picture);
    /* A ViT of transformers has a class token. */
    tub_model *unread = create(f, &config);
    tub_error err = {0};
    assert_int_equal(tub_model_start(unread, temp_path(&f->folder, "mean"), NULL, NULL, &err),
                     TUB_E_NOT_FOUND);
    assert_non_null(strstr(err.message, "vit.embeddings.cls_token: missing"));
    tub_model_close(unread);

    config.frames = 4;
    config.variant = TUB_VARIANT_FACTORISED_SELF_ATTENTION;
    tub_start_report *report = NULL;
    tub_model *model = start(f, &config, temp_path(&f->folder, "vit"), NULL, &report);
    expect_what(report, "vivit.encoder.layer.1.temporal_attention.output.dense.weight", "zero");
    expect_what(report, "vivit.encoder.layer.1.temporal_attention.attention.query.weight", "fresh");
    expect_what(report, "vivit.encoder.layer.0.temporal_layernorm_before.weight", "fresh");
    expect_what(report, POSITIONS, "1x2x2 repeated 4 times, without the class token's row");
    tub_start_report_free(f->ctx, report);
    float clip[CLIP_LIMIT], all[CLASSES], one[CLASSES], mean[CLASSES] = {0};
    for (int64_t i = 0; i < 4 * PIXELS * 3; i++) {
        clip[i] = number(i);
    }
    forward(model, clip, all);
    config.frames = 1;
    tub_model *single = start(f, &config, temp_path(&f->folder, "vit"), NULL, NULL);
    for (int64_t t = 0; t < 4; t++) {
        forward(single, clip + t * PIXELS * 3, one);
        for (int k = 0; k < CLASSES; k++) {
            mean[k] += one[k] / 4;
        }
    }
    for (int k = 0; k < CLASSES; k++) {
        assert_true(fabsf(all[k] - mean[k]) <= 1e-5f);
    }
    tub_model_close(single);
    tub_model_close(model);
}

/* A model of the same sizes is that model, bit by bit, of every variant. */
static void test_same(void **state) {
    fixture *f = *state;
    for (int variant = TUB_VARIANT_JOINT; variant <= TUB_VARIANT_FACTORISED_DOT_PRODUCT;
         variant++) {
        tub_model_config config = clip_config(4, 2);
        config.variant = (tub_variant)variant;
        config.temporal_layers = variant == TUB_VARIANT_FACTORISED_ENCODER;
        config.pooling =
            variant < TUB_VARIANT_FACTORISED_SELF_ATTENTION ? TUB_POOL_CLASS_TOKEN : TUB_POOL_MEAN;
        config.representation = 6;
        tub_model *there = create(f, &config);
        randomise(there);
        tub_error err = {0};
        const char *folder = temp_path(&f->folder, "same");
        assert_ok(tub_model_save(there, folder, &err), err);
        tub_start_report *report = NULL;
        tub_model *here = start(f, &config, folder, NULL, &report);
        assert_string_equal(report->kind, "model folder");
        for (int64_t i = 0; i < report->count; i++) {
            assert_same_array(there, here, report->arrays[i].here);
            assert_string_equal(report->arrays[i].there, report->arrays[i].here);
            assert_string_equal(report->arrays[i].what, "copied");
        }
        tub_start_report_free(f->ctx, report);
        tub_model_close(here);
        tub_model_close(there);
    }
}

/* ---- What becomes of the arrays ---- */

static void test_rows(void **state) {
    fixture *f = *state;
    tub_model_config config = clip_config(8, 2);
    config.height = 9;
    config.width = 12;
    config.classes = 7;
    tub_start_report *report = NULL;
    tub_model *fresh = create(f, &config);
    tub_model *model = start(f, &config, temp_path(&f->folder, "vit"), NULL, &report);
    assert_string_equal(report->kind, "ViT of transformers");
    assert_int_equal(report->count, tub_model_parameters(model));
    assert_int_equal(report->source.classes, CLASSES);
    expect_what(report, POSITIONS, "resized 2x2 to 3x3, repeated 4 times");
    expect_what(report, KERNEL, "inflated (central frame)");
    expect_what(report, "vivit.embeddings.cls_token", "copied");
    expect_what(report, "vivit.encoder.layer.1.output.dense.weight", "copied");
    expect_what(report, "classifier.weight", "fresh");
    const tub_start_array *kernel = row(report, KERNEL), *head = row(report, "classifier.bias");
    assert_string_equal(kernel->there, "vit.embeddings.patch_embeddings.projection.weight");
    assert_int_equal(kernel->here_shape[2], 2);
    assert_int_equal(kernel->there_shape[2], 1);
    assert_string_equal(head->there, "");
    assert_same_array(fresh, model, "classifier.weight");
    assert_same_array(f->picture, model, "vivit.encoder.layer.1.output.dense.weight");
    tub_start_report_free(f->ctx, report);
    tub_model_close(model);
    tub_model_close(fresh);
}

/* Names with and without prefix, old and new; ViTModel with its pooler. */
static void test_spellings(void **state) {
    fixture *f = *state;
    for (int spelling = 0; spelling < 4; spelling++) {
        for (int headless = 0; headless < 2; headless++) {
            const vit_maker m = {.spelling = spelling,
                                 .headless = headless,
                                 .more = headless ? NULL : "vit.embeddings.mask_token"};
            const tub_model_config config = picture_config();
            const char *folder = temp_path(&f->folder, "spelled");
            tub_start_report *report = NULL;
            make_vit(folder, f->picture, &m);
            tub_model *model = start(f, &config, folder, NULL, &report);
            for (int64_t i = 0; i < report->count; i++) {
                const char *name = report->arrays[i].here;
                const bool head = strncmp(name, "classifier.", 11) == 0;
                assert_string_equal(report->arrays[i].what, head && headless ? "fresh" : "copied");
                if (!head || !headless) {
                    assert_same_array(f->picture, model, name);
                }
            }
            tub_start_report_free(f->ctx, report);
            tub_model_close(model);
        }
    }
}

/* A classifier is taken for the same classes only. */
static void test_classes(void **state) {
    static const char *const mine[CLASSES] = {"a", "b", "c", "d", "e"}, *const others[CLASSES] = {
                                                                            "a", "b", "c", "d",
                                                                            "x"};
    static const struct {
        const char *const *there, *const *here;
        const char *what;
    } cases[] = {{NULL, NULL, "copied"},
                 {mine, NULL, "copied"},
                 {NULL, mine, "copied"},
                 {mine, mine, "copied"},
                 {mine, others, "fresh"}};
    fixture *f = *state;
    const tub_model_config config = clip_config(2, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tub_error err = {0};
        tub_start_report *report = NULL;
        const char *folder = temp_path(&f->folder, "classes");
        tub_model *there = create(f, &config), *here = create(f, &config);
        if (cases[i].there != NULL) {
            assert_ok(tub_model_set_labels(there, cases[i].there, CLASSES, &err), err);
        }
        if (cases[i].here != NULL) {
            assert_ok(tub_model_set_labels(here, cases[i].here, CLASSES, &err), err);
        }
        assert_ok(tub_model_save(there, folder, &err), err);
        assert_ok(tub_model_start(here, folder, NULL, &report, &err), err);
        expect_what(report, "classifier.weight", cases[i].what);
        tub_start_report_free(f->ctx, report);
        tub_model_close(here);
        tub_model_close(there);
    }
}

/* A clip of another length and size: each axis by itself, or time repeated. */
static void test_clips(void **state) {
    static const struct {
        tub_start_positions how;
        const char *what;
    } cases[] = {{TUB_START_RESIZE, "resized 3x2x2 to 6x2x3"},
                 {TUB_START_TILE, "resized 2x2 to 2x3, repeated 2 times"},
                 {TUB_START_BICUBIC, "resized 3x2x2 to 6x2x3, bicubic"}};
    fixture *f = *state;
    const tub_model_config short_clip = clip_config(3, 1);
    tub_model_config long_clip = clip_config(6, 1);
    tub_error err = {0};
    long_clip.width = 12;
    tub_model *there = create(f, &short_clip);
    randomise(there);
    assert_ok(tub_model_save(there, temp_path(&f->folder, "clip"), &err), err);
    float *from = values_of(there, POSITIONS); /* [1 + 3*2*2, 8] */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tub_start_report *report = NULL;
        const tub_start_options o = with(TUB_START_CENTRAL, cases[i].how);
        tub_model *here = start(f, &long_clip, temp_path(&f->folder, "clip"), &o, &report);
        float *to = values_of(here, POSITIONS); /* [1 + 6*2*3, 8] */
        expect_what(report, POSITIONS, cases[i].what);
        assert_memory_equal(to, from, 8 * sizeof *to); /* the class token's */
        if (cases[i].how != TUB_START_BICUBIC) {       /* ends lie on ends */
            assert_memory_equal(to + 8, from + 8, 8 * sizeof *to);
            assert_memory_equal(to + 8 * 36, from + 8 * 12, 8 * sizeof *to);
        }
        if (cases[i].how == TUB_START_TILE) {
            assert_memory_equal(to + 8 * (1 + 18), to + 8, 8 * 18 * sizeof *to);
        }
        free(to);
        tub_start_report_free(f->ctx, report);
        tub_model_close(here);
    }
    free(from);
    tub_model_close(there);
}

/* ---- Configurations ---- */

static void test_config(void **state) {
    fixture *f = *state;
    tub_model_config c, there = clip_config(6, 3);
    tub_error err = {0};
    assert_ok(tub_start_config(f->ctx, temp_path(&f->folder, "vit"), NULL, &c, &err), err);
    assert_int_equal(c.frames, 2);
    assert_int_equal(c.tubelet[0], 2);
    assert_int_equal(c.tubelet[1], 3);
    assert_int_equal(c.tubelet[2], 4);
    assert_int_equal(c.hidden, 8);
    assert_int_equal(c.gelu, TUB_GELU_ERF);
    assert_true(c.norm_epsilon == 1e-12);
    assert_int_equal(c.pooling, TUB_POOL_CLASS_TOKEN);
    tub_model *model = create(f, &there);
    assert_ok(tub_model_save(model, temp_path(&f->folder, "clip"), &err), err);
    assert_ok(tub_start_config(f->ctx, temp_path(&f->folder, "clip"), NULL, &c, &err), err);
    assert_same_config(&c, &there);
    tub_model_close(model);
}

/* What transformers leaves out of config.json means its own defaults. */
static void test_vit_json(void **state) {
    static const struct {
        const char *text, *words;
        tub_status status;
    } bad[] = {
        {"{\"model_type\": \"vit\", \"patch_size\": [1, 2, 3]}",
         "patch_size: expected 2 whole numbers, found 3 values", TUB_E_FORMAT},
        {"{\"model_type\": \"vit\", \"patch_size\": \"16\"}", "patch_size", TUB_E_FORMAT},
        {"{\"model_type\": \"vit\", \"patch_size\": 300}", "model.tubelet's height is 300",
         TUB_E_RANGE},
        {"{\"model_type\": \"vit\", \"hidden_act\": \"relu\"}", "hidden_act: 'relu' is not known",
         TUB_E_ARGUMENT},
        {"{\"model_type\": \"vit\", \"num_attention_heads\": 7}", "heads 7 does not divide",
         TUB_E_RANGE},
    };
    static const char plain[] = "{\"model_type\": \"vit\", \"num_labels\": 1}";
    tub__json *root = NULL;
    tub_model_config c;
    char **labels = NULL;
    bool classifier = true;
    tub_error err = {0};
    (void)state;
    assert_ok(tub__json_parse(plain, sizeof plain - 1, &root, &err), err);
    assert_true(tub__vit_is(root));
    assert_ok(tub__vit_from_json(heap, root, &c, &classifier, &labels, &err), err);
    assert_false(classifier);
    assert_null(labels);
    assert_int_equal(c.hidden, 768);
    assert_int_equal(c.tubelet[0], 1);
    assert_int_equal(c.tubelet[1], 16);
    assert_int_equal(c.height, 224);
    tub__json_free(root);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_ok(tub__json_parse(bad[i].text, strlen(bad[i].text), &root, &err), err);
        assert_int_equal(tub__vit_from_json(heap, root, &c, &classifier, &labels, &err),
                         bad[i].status);
        assert_non_null(strstr(err.message, bad[i].words));
        tub__json_free(root);
    }
}

/* ---- What is refused ---- */

static void expect_refused(fixture *f, const tub_model_config *config, const char *path,
                           const tub_start_options *o, tub_status status, const char *words) {
    tub_error err = {0};
    tub_start_report *report = NULL;
    tub_model *model = create(f, config);
    const tub_status got = tub_model_start(model, path, o, &report, &err);
    if (got != status || strstr(err.message, words) == NULL || report != NULL) {
        fail_msg("expected '%s', got %s: %s", words, tub_status_name(got), err.message);
    }
    tub_model_close(model);
}

static void test_sizes_refused(void **state) {
    static const struct {
        const char *words;
        size_t field;
        int64_t value;
    } cases[] = {
        {"its model.hidden is 8, this model's 16", offsetof(tub_model_config, hidden), 16},
        {"its model.heads is 2, this model's 4", offsetof(tub_model_config, heads), 4},
        {"its model.layers is 2, this model's 1", offsetof(tub_model_config, layers), 1},
        {"its model.mlp is 12, this model's 13", offsetof(tub_model_config, mlp), 13},
        {"its patches are of 3x4 pixels, this model's tubelets of 2x4",
         offsetof(tub_model_config, tubelet[1]), 2},
        {"it was trained on 3 channels and these clips have 2",
         offsetof(tub_model_config, channels), 2},
    };
    fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tub_model_config config = clip_config(4, 2);
        memcpy((char *)&config + cases[i].field, &cases[i].value, sizeof cases[i].value);
        expect_refused(f, &config, temp_path(&f->folder, "vit"), NULL, TUB_E_SHAPE, cases[i].words);
    }
    tub_model_config config = clip_config(4, 2);
    config.qkv_bias = 0;
    expect_refused(f, &config, temp_path(&f->folder, "vit"), NULL, TUB_E_SHAPE,
                   "it has biases of query, key and value; this model has none");
}

static void test_clips_refused(void **state) {
    fixture *f = *state;
    const tub_start_options tile = with(TUB_START_CENTRAL, TUB_START_TILE);
    tub_model_config there = clip_config(6, 2), here = clip_config(6, 3);
    tub_error err = {0};
    tub_model *model = create(f, &there);
    const char *folder = temp_path(&f->folder, "clip");
    assert_ok(tub_model_save(model, folder, &err), err);
    tub_model_close(model);
    expect_refused(f, &here, folder, NULL, TUB_E_SHAPE,
                   "its tubelets are of 2 frames, this model's of 3");
    here = clip_config(8, 2);
    expect_refused(f, &here, folder, &tile, TUB_E_ARGUMENT,
                   "its positions have 3 time indices, which can't be repeated to make up 4");
    here = there;
    here.variant = TUB_VARIANT_FACTORISED_ENCODER;
    expect_refused(f, &here, folder, NULL, TUB_E_SHAPE, "its positions are over space and time");
    there = here;
    there.temporal_layers = 1;
    model = create(f, &there);
    assert_ok(tub_model_save(model, folder, &err), err);
    tub_model_close(model);
    expect_refused(f, &here, folder, NULL, TUB_E_SHAPE, "its model.temporal_layers is 1");
    here = clip_config(6, 2);
    expect_refused(f, &here, folder, NULL, TUB_E_SHAPE,
                   "it is of variant factorised_encoder, this model of joint");
}

static void test_files_refused(void **state) {
    static const char query[] = "vivit.encoder.layer.1.attention.attention.query.weight";
    static const struct {
        vit_maker m;
        tub_status status;
        const char *words;
    } cases[] = {
        {{.without = query},
         TUB_E_NOT_FOUND,
         "vit.encoder.layer.1.attention.attention.query.weight: missing"},
        {{.broken = query},
         TUB_E_RANGE,
         "vit.encoder.layer.1.attention.attention.query.weight: element 32 is not finite"},
        {{.flat = query},
         TUB_E_SHAPE,
         "vit.encoder.layer.1.attention.attention.query.weight: expected [8,8], file has [64]"},
        {{.flat = KERNEL}, TUB_E_SHAPE, "expected [8,3,3,4], file has [288]"},
        {{.more = "vit.encoder.layer.2.output.dense.bias"},
         TUB_E_FORMAT,
         "vit.encoder.layer.2.output.dense.bias: unexpected"},
        {{.keys = "\"qkv_bias\": false, "}, TUB_E_FORMAT, "attention.key.bias: unexpected"},
        {{.keys = "\"model_type\": \"deit\", "}, TUB_E_FORMAT, "config.json"},
    };
    fixture *f = *state;
    const tub_model_config config = clip_config(4, 2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *folder = temp_path(&f->folder, "bad");
        make_vit(folder, f->picture, &cases[i].m);
        expect_refused(f, &config, folder, NULL, cases[i].status, cases[i].words);
    }
}

static void write_text(const char *path, const char *text) {
    tub_error err = {0};
    assert_ok(tub__file_write(heap, path, text, strlen(text), &err), err);
}

static void test_others_refused(void **state) {
    fixture *f = *state;
    const tub_model_config config = clip_config(4, 2);
    tub_error err = {0};
    expect_refused(f, &config, "/nonexistent", NULL, TUB_E_NOT_FOUND,
                   "/nonexistent: no such folder; a start is a folder with config.json");
    const char *folder = temp_path(&f->folder, "empty");
    assert_ok(tub__folder_create(folder, &err), err);
    expect_refused(f, &config, folder, NULL, TUB_E_NOT_FOUND, "empty/config.json: No such file");
    write_text(temp_path(&f->folder, "empty/config.json"), "{\"model_type\": \"deit\"}");
    expect_refused(f, &config, folder, NULL, TUB_E_UNSUPPORTED,
                   "model_type: expected 'vivit' or 'tubelet_vivit' (or 'vit', to start a training "
                   "from), found 'deit'");
    write_text(temp_path(&f->folder, "text"), "no checkpoint");
    expect_refused(f, &config, temp_path(&f->folder, "text"), NULL, TUB_E_FORMAT, "text: ");
    tub_start_options o = tub_start_options_default();
    o.kernel = (tub_start_kernel)9;
    expect_refused(f, &config, temp_path(&f->folder, "vit"), &o, TUB_E_RANGE, "kernel is 9");
    o = tub_start_options_default();
    o.clip[1] = -1;
    expect_refused(f, &config, temp_path(&f->folder, "vit"), &o, TUB_E_RANGE, "clip is -1");
    o.size = 1;
    expect_refused(f, &config, temp_path(&f->folder, "vit"), &o, TUB_E_ARGUMENT, "size 1");
}

/* A folder of whole numbers is no start. */
static void test_int8_refused(void **state) {
    fixture *f = *state;
    const tub_model_config config = clip_config(4, 2);
    tub_context_config context = tub_context_config_default();
    tub_context *ctx = NULL;
    tub_model *rounded = NULL;
    tub_error err = {0};
    const char *folder = temp_path(&f->folder, "int8");
    context.precision = TUB_PRECISION_INT8;
    assert_ok(tub_context_create(&context, &ctx, &err), err);
    assert_ok(tub_model_create_for_inference(ctx, &config, 1, &rounded, &err), err);
    assert_ok(tub_model_save(rounded, folder, &err), err);
    expect_refused(f, &config, folder, NULL, TUB_E_UNSUPPORTED,
                   "holds int8 weights, which can't be trained on");
    assert_int_equal(tub_model_start(rounded, temp_path(&f->folder, "vit"), NULL, NULL, &err),
                     TUB_E_ARGUMENT);
    assert_non_null(strstr(err.message, "only a model in float32 can start"));
    tub_model_close(rounded);
    tub_context_destroy(ctx);
}

/* A sum of channels that float32 can't hold, though it holds each. */
static void test_overflow(void **state) {
    fixture *f = *state;
    tub_model_config config = picture_config();
    tub_parameter p;
    tub_error err = {0};
    tub_model *large = create(f, &config);
    const int64_t index = find(large, KERNEL, &p);
    float *values = values_of(large, KERNEL);
    for (int64_t i = 0; i < p.count; i++) {
        values[i] = 2e38f;
    }
    assert_ok(tub_model_set(large, index, values, &err), err);
    free(values);
    make_vit(temp_path(&f->folder, "large"), large, &(vit_maker){0});
    tub_model_close(large);
    config.channels = 1;
    expect_refused(f, &config, temp_path(&f->folder, "large"), NULL, TUB_E_RANGE,
                   "projection.weight: element 0 is not finite");
}

/* ---- Failing allocations ---- */

static tub_status start_with(tub_context *ctx, const void *user, tub_error *err) {
    const tub_model_config config = clip_config(4, 2);
    tub_model *model = NULL;
    tub_start_report *report = NULL;
    TUB__TRY(tub_model_create(ctx, &config, 1, &model, err));
    const tub_status status = tub_model_start(model, user, NULL, &report, err);
    tub_start_report_free(ctx, report);
    tub_model_close(model);
    return status;
}

static tub_status failing_start(const tub_allocator *a, void *user, tub_error *err) {
    return in_failing_context(a, 1, TUB_PRECISION_F32, start_with, user, err);
}

static tub_status config_with(tub_context *ctx, const void *user, tub_error *err) {
    tub_model_config config;
    return tub_start_config(ctx, user, NULL, &config, err);
}

static tub_status failing_config(const tub_allocator *a, void *user, tub_error *err) {
    return in_failing_context(a, 1, TUB_PRECISION_F32, config_with, user, err);
}

static void test_failing_allocations(void **state) {
    fixture *f = *state;
    char folder[512];
    snprintf(folder, sizeof folder, "%s", temp_path(&f->folder, "vit"));
    failing_report report = failing_run(failing_start, folder);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations > 30);
    report = failing_run(failing_config, folder);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_central_frame),
        cmocka_unit_test(test_average),
        cmocka_unit_test(test_rank_pooling),
        cmocka_unit_test(test_grey),
        cmocka_unit_test(test_zero_over_time),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_clips),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_vit_json),
        cmocka_unit_test(test_sizes_refused),
        cmocka_unit_test(test_clips_refused),
        cmocka_unit_test(test_files_refused),
        cmocka_unit_test(test_others_refused),
        cmocka_unit_test(test_int8_refused),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
