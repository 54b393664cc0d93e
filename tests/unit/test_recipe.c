/* SPDX-License-Identifier: Apache-2.0 */
/* Recipes: the ones that come with tubelet, mistakes in them, and the resolved recipe of a run. */
#include "cmocka_all.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/context.h"
#include "base/file.h"
#include "train/recipe.h"

static char folder[] = "/tmp/tubelet-recipe-XXXXXX";

static int set_up(void **state) {
    return mkdtemp(folder) != NULL &&
                   tub_context_create(NULL, (tub_context **)state, NULL) == TUB_OK
               ? 0
               : -1;
}

static int tear_down(void **state) {
    tub_context_destroy(*state);
    return tub__folder_remove(&tub__default_allocator, folder, NULL) == TUB_OK ? 0 : -1;
}

static const char *path_of(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static tub_status read_text(void **state, const char *text, tub_train_config *config,
                            tub_error *err) {
    const char *path = path_of("recipe.yaml");
    assert_int_equal(tub__file_write(&tub__default_allocator, path, text, strlen(text), NULL),
                     TUB_OK);
    return tub_recipe_read(*state, path, config, err);
}

static void the_example_is_the_default(void **state) {
    tub_train_config c = tub_train_config_default(), plain = c;
    tub_error err = {0};
    /* Start from something else, to see that the file says everything that it should. */
    c.seed = 1, c.epochs = 2, c.batch_size = 3, c.lr = 4, c.optimizer = TUB_SGD,
    c.schedule = TUB_COSINE;
    c.beta1 = c.beta2 = c.epsilon = 0.5, c.adam_form = TUB_ADAM_PYTORCH,
    c.evaluate = TUB_EVALUATE_BEST;
    c.model.hidden = 64, c.model.attention_dropout = 0.5, c.model.gelu = TUB_GELU_ERF;
    if (tub_recipe_read(*state, SOURCE "/recipes/keras-vivit.yaml", &c, &err) != TUB_OK) {
        fail_msg("%s", err.message);
    }
    size_t count = 0;
    const tub_option *options = tub_train_options(&count);
    for (size_t i = 0; i < count; i++) {
        char got[TUB_PATH_LENGTH], expected[TUB_PATH_LENGTH];
        assert_int_equal(tub_train_config_get(&c, options[i].key, got, sizeof got, NULL), TUB_OK);
        assert_int_equal(
            tub_train_config_get(&plain, options[i].key, expected, sizeof expected, NULL), TUB_OK);
        if (strcmp(got, expected) != 0) {
            fail_msg("%s: %s in the file, %s by default", options[i].key, got, expected);
        }
    }
}

static void the_other_one_reads(void **state) {
    tub_train_config c = tub_train_config_default();
    assert_int_equal(tub_recipe_read(*state, SOURCE "/recipes/vivit-adamw.yaml", &c, NULL), TUB_OK);
    assert_int_equal(tub_train_config_check(&c, NULL), TUB_OK);
    assert_int_equal(c.optimizer, TUB_ADAMW);
    assert_int_equal(c.schedule, TUB_COSINE);
    assert_true(c.warmup_start == 1e-6);
}

/* One for each variant of the model, all for the same data. */
static void those_of_motion_read(void **state) {
    for (int v = 0; v < 4; v++) {
        char path[512];
        tub_error err = {0};
        tub_train_config c = tub_train_config_default();
        snprintf(path, sizeof path, SOURCE "/recipes/motion-variant%d.yaml", v + 1);
        assert_ok(tub_recipe_read(*state, path, &c, &err), err);
        assert_ok(tub_train_config_check(&c, &err), err);
        assert_string_equal(c.data, "motion");
        assert_int_equal(c.model.variant, v);
    }
}

/* Those for single data sets: averaged weights, and epochs enough for their warm-up. */
static void those_for_accuracy_read(void **state) {
    static const char *const names[] = {"organ", "adrenal", "modelnet10"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[512];
        tub_error err = {0};
        tub_train_config c = tub_train_config_default();
        snprintf(path, sizeof path, SOURCE "/recipes/%s.yaml", names[i]);
        assert_ok(tub_recipe_read(*state, path, &c, &err), err);
        assert_ok(tub_train_config_check(&c, &err), err);
        assert_true(c.optimizer == TUB_ADAMW && c.schedule == TUB_COSINE && c.ema > 0.9);
        assert_true(c.evaluate == TUB_EVALUATE_LAST && c.folds == 0);
    }
}

static void the_scenic_one_reads(void **state) {
    tub_train_config c = tub_train_config_default();
    assert_int_equal(tub_recipe_read(*state, SOURCE "/recipes/vivit-scenic.yaml", &c, NULL),
                     TUB_OK);
    assert_int_equal(tub_train_config_check(&c, NULL), TUB_OK);
    assert_int_equal(c.optimizer, TUB_SGD);
    assert_int_equal(c.schedule, TUB_COMPOUND);
    assert_string_equal(c.lr_factors, "constant * cosine_decay * linear_warmup");
}

static void refuse(void **state, const char *text, tub_status status, const char *part) {
    tub_train_config c = tub_train_config_default(), before = c;
    tub_error err = {0};
    assert_int_equal(read_text(state, text, &c, &err), status);
    if (strstr(err.message, part) == NULL || strstr(err.message, "recipe.yaml") == NULL) {
        fail_msg("'%s' does not say '%s' and the file", err.message, part);
    }
    assert_memory_equal(&c, &before, sizeof c);
}

static void mistakes_are_named(void **state) {
    refuse(state, "lr: 1e-3\nepoch: 3\n", TUB_E_ARGUMENT, "did you mean 'epochs'?");
    refuse(state, "model:\n  head: 3\n", TUB_E_ARGUMENT, "did you mean 'model.heads'?");
    refuse(state, "modle:\n  heads: 3\n", TUB_E_ARGUMENT, "'modle' is a mapping");
    refuse(state, "model: 3\n", TUB_E_FORMAT, "model");
    refuse(state, "epochs: many\n", TUB_E_ARGUMENT, "epochs is 'many'");
    refuse(state, "epochs: 1.5\n", TUB_E_ARGUMENT, "whole number");
    refuse(state, "epochs:\n", TUB_E_FORMAT, "epochs");
    refuse(state, "epochs: [1, 2]\n", TUB_E_ARGUMENT, "epochs is '1,2'");
    refuse(state, "seed: -1\n", TUB_E_RANGE, "seed is -1");
    refuse(state, "model:\n  tubelet: [8, 8]\n", TUB_E_ARGUMENT, "model.tubelet");
    refuse(state, "optimizer: rmsprop\n", TUB_E_ARGUMENT, "adam|adamw|sgd");
    refuse(state, "- 1\n- 2\n", TUB_E_FORMAT, "a recipe");
    refuse(state, "lr: 1\nlr: 2\n", TUB_E_FORMAT, "");
    refuse(state, "lr: [1\n", TUB_E_FORMAT, "");
}

static void a_preset_comes_first_wherever_it_stands(void **state) {
    tub_train_config c = tub_train_config_default();
    assert_int_equal(
        read_text(state, "model:\n  heads: 4\n  tubelet: [2, 3, 4]\nlr: 1e-4\npreset: vivit-b\n",
                  &c, NULL),
        TUB_OK);
    assert_int_equal(c.model.heads, 4);
    assert_int_equal(c.model.tubelet[1], 3);
    assert_int_equal(c.model.hidden, 768);
    assert_true(c.lr == 1e-4);
}

/* The run folder's recipe.yaml is read without mod-yaml, by tub_run_config, and is a recipe like
 * any other. */
static void the_resolved_recipe_goes_both_ways(void **state) {
    tub_train_config c = tub_train_config_default(), as_json, as_yaml = c;
    tub_error err = {0};
    c.lr = 0.1 + 0.2;
    c.seed = 9007199254740993;
    c.model.heads = 2;
    c.model.stride[2] = 5;
    c.model.qkv_bias = 0;
    c.evaluate = TUB_EVALUATE_BEST;
    strcpy(c.data, "a \"quoted\" name\\with: '#' and \xc3\xa4.npz");
    assert_int_equal(tub__recipe_write(&tub__default_allocator, path_of("recipe.yaml"), &c, &err),
                     TUB_OK);
    if (tub_run_config(*state, folder, &as_json, &err) != TUB_OK ||
        tub_recipe_read(*state, path_of("recipe.yaml"), &as_yaml, &err) != TUB_OK) {
        fail_msg("%s", err.message);
    }
    c.pooling_source = TUB_POOLING_GIVEN; /* as every value of a resolved recipe */
    assert_memory_equal(&as_json, &c, sizeof c);
    assert_memory_equal(&as_yaml, &c, sizeof c);
}

static void digests_tell_what_decides(void **state) {
    (void)state;
    tub_train_config c = tub_train_config_default();
    char a[33], b[33];
    assert_int_equal(tub__recipe_digest(&c, a, NULL), TUB_OK);
    c.epochs = 7, c.ranks = 2, c.micro_batch = 2, c.checkpoint_every = 9, c.patience = 3;
    strcpy(c.data, "elsewhere");
    assert_int_equal(tub__recipe_digest(&c, b, NULL), TUB_OK);
    assert_string_equal(a, b);
    c.lr *= 2;
    assert_int_equal(tub__recipe_digest(&c, b, NULL), TUB_OK);
    assert_string_not_equal(a, b);
}

/* Every recipe of the folder (but for searches) is found by its name, and the sentence for an unknown one lists it. */
static void own_recipes_have_names(void **state) {
    tub_train_config config = tub_train_config_default();
    tub_error unknown = {0}, err = {0};
    assert_int_equal(tub_recipe_read(*state, "nothing-of-the-kind", &config, &unknown),
                     TUB_E_NOT_FOUND);
    DIR *recipes = opendir(SOURCE "/recipes");
    assert_non_null(recipes);
    int count = 0;
    for (struct dirent *e = readdir(recipes); e != NULL; e = readdir(recipes)) {
        char name[64];
        size_t length = strcspn(e->d_name, ".");
        if (strcmp(e->d_name + length, ".yaml") == 0 && strncmp(e->d_name, "sweep-", 6) != 0) {
            snprintf(name, sizeof name, "%.*s", (int)length, e->d_name);
            assert_ok(tub_recipe_read(*state, name, &config, &err), err);
            assert_non_null(strstr(unknown.message, name));
            count++;
        }
    }
    closedir(recipes);
    assert_int_equal(count, 12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_scenic_one_reads),
        cmocka_unit_test(those_for_accuracy_read),
        cmocka_unit_test(own_recipes_have_names),
        cmocka_unit_test(the_example_is_the_default),
        cmocka_unit_test(the_other_one_reads),
        cmocka_unit_test(those_of_motion_read),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(a_preset_comes_first_wherever_it_stands),
        cmocka_unit_test(the_resolved_recipe_goes_both_ways),
        cmocka_unit_test(digests_tell_what_decides),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
