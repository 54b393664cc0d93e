/* SPDX-License-Identifier: Apache-2.0 */
/* Trainings that start from another model: the same bits however they are computed, and without that
 * model once the run is there. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "formats/json.h"
#include "training.h"

static const tub_allocator *const heap = &tub__default_allocator;

/* A model of other clips and classes, with nothing left at zero or one. */
static void make_source(const char *folder) {
    tub_train_config c = small_recipe();
    tub_context *ctx = NULL;
    tub_model *model = NULL;
    tub_error err = {0};
    c.model.frames = 12, c.model.height = 10, c.model.width = 6, c.model.channels = 2;
    c.model.classes = 3;
    assert_ok(tub_context_create(NULL, &ctx, &err), err);
    assert_ok(tub_model_create(ctx, &c.model, 77, &model, &err), err);
    for (int64_t i = 0; i < tub_model_parameters(model); i++) {
        tub_parameter p;
        assert_ok(tub_model_parameter(model, i, &p, &err), err);
        float *values = malloc((size_t)p.count * sizeof *values);
        assert_ok(tub_model_get(model, i, values, &err), err);
        for (int64_t j = 0; j < p.count; j++) {
            values[j] += (float)((j * 31 + i) % 17) * 0.01f;
        }
        assert_ok(tub_model_set(model, i, values, &err), err);
        free(values);
    }
    assert_ok(tub_model_save(model, folder, &err), err);
    tub_model_close(model);
    tub_context_destroy(ctx);
}

static tub_train_config recipe(void) {
    tub_train_config c = long_recipe();
    strcpy(c.init_from, "source");
    return c;
}

static int enter(void **state) {
    if (scratch_enter(state) != 0) {
        return -1;
    }
    const tub_train_config c = recipe(), fresh = long_recipe();
    make_source("source");
    must_run(&c, &plainly, "reference");
    must_run(&fresh, &plainly, "fresh");
    return 0;
}

/* Threads, instruction sets, ranks and parts of a batch. */
static void same_bits(void **state) {
    static const how ways[] = {{2, TUB_CPU_PORTABLE, 1, 1},
                               {3, TUB_CPU_AUTO, 1, 2},
                               {2, TUB_CPU_AUTO, 2, 1},
                               {1, TUB_CPU_AVX2, 1, 1}};
    const tub_train_config c = recipe();
    (void)state;
    assert_other_weights("reference", "fresh");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char name[32];
        snprintf(name, sizeof name, "way-%zu", i);
        if (ways[i].cpu == TUB_CPU_AUTO || runs_on(ways[i].cpu)) {
            must_run(&c, &ways[i], name);
            assert_same_run("reference", name);
        }
    }
}

/* Killed at every other event, from the first on, and resumed where the other model is gone. */
static void killed_without_source(void **state) {
    const tub_train_config c = recipe();
    int kills = 0;
    bool ended = false;
    (void)state;
    for (int events = 1; !ended; events += 4) {
        char name[32];
        snprintf(name, sizeof name, "killed-%d", events);
        ended = child_of(&c, name, false, events, -1);
        if (!ended) {
            kills++;
            assert_int_equal(rename("source", "away"), 0);
            assert_true(child(name, true, 0, -1));
            assert_int_equal(rename("away", "source"), 0);
        }
        assert_same_run("reference", name);
        assert_clean(name);
    }
    assert_true(kills > 8);
}

static tub_status resume(const char *folder, tub_error *err) {
    return run(NULL, &plainly, folder, true, NULL, NULL, NULL, err);
}

/* Beginning again from the seed would be another run. */
static void no_checkpoint(void **state) {
    const tub_train_config c = recipe();
    tub_error err = {0};
    (void)state;
    assert_false(child_of(&c, "lost", false, 1, -1));
    assert_int_equal(unlink("lost/checkpoint/state.safetensors"), 0);
    assert_int_equal(resume("lost", &err), TUB_E_NOT_FOUND);
    assert_string_equal(err.message,
                        "lost has no checkpoint any more, and with it the weights that "
                        "it started from; train a new run, or replace this one by "
                        "force");
}

/* The recipe has the absolute path, and init.json every array. */
static void files(void **state) {
    tub_context *ctx = NULL;
    tub_train_config c;
    tub__json *root = NULL;
    const char *from, *what, *here;
    tub_error err = {0};
    (void)state;
    assert_ok(tub_context_create(NULL, &ctx, &err), err);
    assert_ok(tub_run_config(ctx, "reference", &c, &err), err);
    assert_int_equal(c.init_from[0], '/');
    assert_ok(tub__json_load(heap, "reference/init.json", 1 << 20, &root, &err), err);
    assert_ok(tub__json_get_text(root, "from", &from, &err), err);
    assert_string_equal(from, c.init_from);
    const tub__json *arrays = tub__json_get(root, "arrays");
    assert_int_equal(tub__json_size(arrays), 2 * 16 + 7);
    for (size_t i = 0; i < tub__json_size(arrays); i++) {
        const tub__json *row = tub__json_at(arrays, i);
        assert_ok(tub__json_get_text(row, "here", &here, &err), err);
        assert_ok(tub__json_get_text(row, "what", &what, &err), err);
        const bool head = strncmp(here, "classifier.", 11) == 0;
        assert_string_equal(what, head ? "fresh"
                                  : strcmp(here, "vivit.embeddings.position_embeddings") == 0
                                      ? "resized 3x2x2 to 2x2x3"
                                      : "copied");
    }
    tub__json_free(root);
    char *card = NULL;
    size_t size;
    assert_ok(tub__file_read(heap, "reference/README.md", 1 << 20, &card, &size, &err), err);
    assert_non_null(strstr(card, "Started from the weights of `source`.\n"));
    tub__free(heap, card);
    tub_context_destroy(ctx);
}

/* A plan does all but write. */
static void plan(void **state) {
    tub_context *ctx = NULL;
    tub_train_config c = recipe();
    tub_train_plan out;
    tub_error err = {0};
    (void)state;
    assert_ok(tub_context_create(NULL, &ctx, &err), err);
    assert_ok(tub_train_plan_of(ctx, &c, NULL, "planned", 0, &out, &err), err);
    assert_int_equal(out.config.init_from[0], '/');
    c.model.mlp = 41;
    assert_int_equal(tub_train_plan_of(ctx, &c, NULL, "planned", 0, &out, &err), TUB_E_SHAPE);
    assert_non_null(strstr(err.message, "source: its model.mlp is 40, this model's 41"));
    assert_int_equal(tub_train(ctx, &c, NULL, "planned", 0, NULL, &err), TUB_E_SHAPE);
    assert_false(tub__file_exists("planned"));
    tub_context_destroy(ctx);
}

/* The model's settings as they are there; a preset's before, a recipe's own after them. */
static void settings(void **state) {
    tub_context *ctx = NULL;
    tub_train_config c = tub_train_config_default();
    tub_error err = {0};
    (void)state;
    assert_ok(tub_context_create(NULL, &ctx, &err), err);
    assert_ok(tub_train_config_start(ctx, "source", &c, &err), err);
    assert_string_equal(c.init_from, "source");
    assert_int_equal(c.model.hidden, 24);
    assert_int_equal(c.model.tubelet[1], 5);
    assert_int_equal(c.model.frames, 0);
    assert_int_equal(c.model.classes, 0);
    tub_train_config same = c;
    assert_int_equal(tub_train_config_start(ctx, "nowhere", &c, &err), TUB_E_NOT_FOUND);
    assert_memory_equal(&c, &same, sizeof c);
    tub_context_destroy(ctx);
}

/* In bf16 the rounded weights are made of those that the model started with. */
static void in_bf16(void **state) {
    tub_train_config c = recipe();
    (void)state;
    c.precision = TUB_PRECISION_BF16;
    c.epochs = 2;
    must_run(&c, &plainly, "bf16");
    assert_false(child_of(&c, "bf16-killed", false, 1, -1));
    assert_true(child_of(&(tub_train_config){0}, "bf16-killed", true, 0, -1));
    assert_same_run("bf16", "bf16-killed");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits),     cmocka_unit_test(killed_without_source),
        cmocka_unit_test(no_checkpoint), cmocka_unit_test(files),
        cmocka_unit_test(plan),          cmocka_unit_test(settings),
        cmocka_unit_test(in_bf16),
    };
    return cmocka_run_group_tests(tests, enter, scratch_leave);
}
