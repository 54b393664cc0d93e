/* SPDX-License-Identifier: Apache-2.0 */
/* The contact sheet: its pictures are what a training's loader gives at those epochs; what it refuses; and
 * every allocation made to fail. A module of the tests' own keeps the pixels as they are. */
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "failing_alloc.h"
#include "temp_folder.h"
#include <tubelet/sheet.h>

enum { COUNT = 21, FRAMES = 3, HEIGHT = 6, WIDTH = 7, PLANE = HEIGHT * WIDTH, BATCH = 8, GAP = 4 };
enum { SAMPLES = 4, VERSIONS = 3, FIRST = 2, ZOOM = 96 / WIDTH };

typedef struct scene {
    temp_folder folder;
    tub_dataset data;
    unsigned char samples[COUNT * FRAMES * PLANE];
    int32_t labels[COUNT];
    tub_train_config config;
    tub_sheet_options options;
    char path[500], name[8];
} scene;

static tub_status open_context(const tub_allocator *a, tub_context **out, tub_error *err) {
    tub_context_config c = tub_context_config_default();
    c.threads = 1;
    c.module_folder = TEST_MODULES;
    c.allocator = *a;
    return tub_context_create(&c, out, err);
}

static tub_context *plain_context(void) {
    tub_context *ctx = NULL;
    assert_int_equal(open_context(&tub__default_allocator, &ctx, NULL), TUB_OK);
    return ctx;
}

static int set_up(void **state) {
    scene *s = calloc(1, sizeof *s);
    temp_folder_make(&s->folder);
    snprintf(s->path, sizeof s->path, "%s/sheet.png", s->folder.path);
    strcpy(s->name, "made");
    for (size_t i = 0; i < sizeof s->samples; i++) {
        s->samples[i] = (unsigned char)((uint32_t)i * 2654435761u >> 24);
    }
    for (int i = 0; i < COUNT; i++) {
        s->labels[i] = i % 2;
    }
    s->data.info = (tub_dataset_info){.name = "made",
                                      .frames = FRAMES,
                                      .height = HEIGHT,
                                      .width = WIDTH,
                                      .channels = 1,
                                      .classes = 2,
                                      .task = TUB_TASK_MULTI_CLASS,
                                      .label_columns = 1,
                                      .count = {COUNT, 0, 0}};
    s->data.source = s->name;
    s->data.samples[0] = s->samples;
    s->data.labels[0] = s->labels;
    s->config = tub_train_config_default();
    s->config.batch_size = BATCH;
    for (int i = 0; i < 3; i++) {
        s->config.model.tubelet[i] = 3;
    }
    s->config.augment.rotate = 40;
    s->config.augment.flip_w = 0.5;
    s->config.augment.intensity[1] = 1.5;
    s->config.augment.cutmix = 1;
    s->options = tub_sheet_options_default();
    s->options.samples = SAMPLES;
    s->options.versions = VERSIONS;
    s->options.epoch = FIRST;
    *state = s;
    return 0;
}

static int tear_down(void **state) {
    scene *s = *state;
    temp_folder_drop(&s->folder);
    free(s);
    return 0;
}

/* The picture in a cell, every ZOOM-th pixel. */
static void assert_cell(const unsigned char *file, int row, int column,
                        const unsigned char *frame) {
    uint32_t head[3];
    memcpy(head, file, sizeof head);
    const unsigned char *pixels = file + sizeof head;
    const size_t top = (size_t)(GAP + row * (HEIGHT * ZOOM + GAP)),
                 left = (size_t)(GAP + column * (WIDTH * ZOOM + GAP) + (column > 0 ? 2 * GAP : 0));
    for (size_t y = 0; y < HEIGHT * ZOOM; y++) {
        for (size_t x = 0; x < WIDTH * ZOOM; x++) {
            assert_int_equal(pixels[(top + y) * head[0] + left + x],
                             frame[y / ZOOM * WIDTH + x / ZOOM]);
        }
    }
}

static void shows_what_training_sees(void **state) {
    scene *s = *state;
    tub_context *ctx = plain_context();
    tub_error err = {0};
    char *file = NULL;
    size_t size = 0;
    s->data.ctx = ctx;
    assert_ok(tub_augment_sheet(ctx, &s->config, &s->data, &s->options, s->path, &err), err);
    assert_ok(tub__file_read(&tub__default_allocator, s->path, 1 << 24, &file, &size, &err), err);
    const unsigned char *pixels = (const unsigned char *)file;
    const int64_t clip[3] = {FRAMES, HEIGHT, WIDTH};
    tub__augmenter *augmenter = NULL;
    tub__loader *loader = NULL;
    assert_ok(tub__augmenter_create(&ctx->allocator, &s->config.augment, s->config.seed,
                                    &s->data.info, clip, &augmenter, &err),
              err);
    const tub__loader_config lc = {.data = &s->data,
                                   .split = TUB_TRAIN,
                                   .seed = s->config.seed,
                                   .batch = BATCH,
                                   .order = TUB__ORDER_SHUFFLED,
                                   .depth = 2,
                                   .augmenter = augmenter};
    assert_ok(tub__loader_create(ctx, &lc, &loader, &err), err);
    assert_ok(tub__loader_start(loader, FIRST - 1, 0, &err), err);
    for (int row = 0; row < SAMPLES; row++) {
        assert_cell(pixels, row, 0,
                    s->samples + ((size_t)(row * COUNT / SAMPLES) * FRAMES + FRAMES / 2) * PLANE);
    }
    int seen = 0, changed = 0;
    for (int epoch = 0; epoch < VERSIONS; epoch++) {
        for (size_t b = 0; b < tub__loader_batches(loader); b++) {
            tub__batch batch;
            assert_ok(tub__loader_next(loader, &batch, &err), err);
            for (size_t i = 0; i < batch.count; i++) {
                for (int row = 0; row < SAMPLES; row++) {
                    const unsigned char *frame =
                        (const unsigned char *)batch.samples + (i * FRAMES + FRAMES / 2) * PLANE;
                    if (batch.index[i] == (uint32_t)(row * COUNT / SAMPLES)) {
                        assert_cell(pixels, row, 1 + epoch, frame);
                        seen++;
                        changed +=
                            memcmp(frame,
                                   s->samples + (batch.index[i] * FRAMES + FRAMES / 2) * PLANE,
                                   PLANE) != 0;
                    }
                }
            }
            tub__loader_release(loader);
        }
    }
    assert_int_equal(seen, SAMPLES * VERSIONS);
    assert_int_equal(changed, seen);
    tub__loader_destroy(loader);
    tub__augmenter_destroy(augmenter);
    tub__free(&tub__default_allocator, file);
    tub_context_destroy(ctx);
}

static void refuse(scene *s, tub_status status, const char *words) {
    tub_context *ctx = plain_context();
    tub_error err = {0};
    s->data.ctx = ctx;
    assert_int_equal(tub_augment_sheet(ctx, &s->config, &s->data, &s->options, s->path, &err),
                     status);
    if (strstr(err.message, words) == NULL) {
        fail_msg("'%s' lacks '%s'", err.message, words);
    }
    assert_false(tub__file_exists(s->path));
    tub_context_destroy(ctx);
}

static void refuses(void **state) {
    scene *s = *state;
    s->options.samples = 0;
    refuse(s, TUB_E_RANGE, "samples");
    s->options.samples = TUB_SHEET_SAMPLES + 1;
    refuse(s, TUB_E_RANGE, "samples");
    s->options.samples = SAMPLES;
    s->options.versions = -1;
    refuse(s, TUB_E_RANGE, "versions");
    s->options.versions = 1;
    s->options.epoch = 0;
    refuse(s, TUB_E_RANGE, "epoch");
    s->options.epoch = 1;
    s->options.size = 3;
    refuse(s, TUB_E_ARGUMENT, "tub_sheet_options_default");
    s->options.size = sizeof s->options;
    s->config.augment.rotate = 300;
    refuse(s, TUB_E_RANGE, "augment.rotate");
    s->config.augment.rotate = 3;
    s->data.info.task = TUB_TASK_MULTI_LABEL;
    s->data.info.label_columns = 2;
    refuse(s, TUB_E_ARGUMENT, "augment.cutmix");
    s->data.info.task = TUB_TASK_MULTI_CLASS;
    s->data.info.label_columns = 1;
    strcpy(s->path, "/nonexistent/folder/sheet.png");
    refuse(s, TUB_E_NOT_FOUND, "/nonexistent/folder");
}

static tub_status draw_once(const tub_allocator *a, void *user, tub_error *err) {
    scene *s = user;
    tub_context *ctx = NULL;
    tub_status status = open_context(a, &ctx, err);
    if (status == TUB_OK) {
        s->data.ctx = ctx;
        status = tub_augment_sheet(ctx, &s->config, &s->data, &s->options, s->path, err);
        tub_context_destroy(ctx);
    }
    return status;
}

static void memory_may_fail(void **state) {
    scene *s = *state;
    const failing_report report = failing_run(draw_once, s);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations > 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(shows_what_training_sees, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_may_fail, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
