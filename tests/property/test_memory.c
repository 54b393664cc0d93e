/* SPDX-License-Identifier: Apache-2.0 */
/* The memory that a training takes is the one that was predicted: the largest resident size of a
 * process that does nothing else, within a tenth. Such a process is this program, started again. */
#include "cmocka_all.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "training.h"

extern char **environ;

enum { THREADS = 2, LENGTH = 256 };

/* Settings as "key=value key=value" over the default recipe, one step on the generated data set. */
static tub_train_config config_of(const char *settings) {
    tub_train_config c = tub_train_config_default();
    char text[LENGTH], *rest = text;
    tub_error err = {0};
    strcpy(c.data, "phantom3d");
    c.max_steps = 1;
    snprintf(text, sizeof text, "%s", settings);
    for (char *key; (key = strtok_r(rest, " ", &rest)) != NULL;) {
        char *value = strchr(key, '=');
        *value++ = '\0';
        assert_ok(tub_train_config_set(&c, key, value, &err), err);
    }
    return c;
}

static tub_context *open_context(void) {
    tub_context_config config = tub_context_config_default();
    tub_context *ctx = NULL;
    tub_error err = {0};
    config.threads = THREADS;
    assert_ok(tub_context_create(&config, &ctx, &err), err);
    return ctx;
}

static int train(const char *settings) {
    const tub_train_config c = config_of(settings);
    tub_error err = {0};
    tub_context *ctx = open_context();
    assert_ok(tub_train(ctx, &c, NULL, "run", 1, NULL, &err), err);
    tub_context_destroy(ctx);
    return 0;
}

/* Largest resident size of a process that trains so. */
static size_t taken(const char *settings) {
    char self[] = "/proc/self/exe", text[LENGTH];
    char *arguments[] = {self, text, NULL};
    struct rusage use;
    int status = 1;
    pid_t pid;
    snprintf(text, sizeof text, "%s", settings);
    assert_int_equal(posix_spawn(&pid, self, NULL, NULL, arguments, environ), 0);
    assert_int_equal(wait4(pid, &status, 0, &use), pid);
    assert_int_equal(status, 0);
    assert_int_equal(tub__folder_remove(&tub__default_allocator, "run", NULL), TUB_OK);
    return (size_t)use.ru_maxrss * 1024;
}

static tub_train_memory predicted(const char *settings) {
    const tub_train_config c = config_of(settings);
    tub_train_plan plan;
    tub_error err = {0};
    tub_context *ctx = open_context();
    assert_ok(tub_train_plan_of(ctx, &c, NULL, NULL, 0, &plan, &err), err);
    tub_context_destroy(ctx);
    const tub_train_memory *m = &plan.memory;
    const size_t sum = m->weights + m->gradients + m->moments + m->average + m->activations +
                       m->validation + m->data + m->program;
    assert_true(m->total == sum || (c.folds > 0 && m->total == m->program + 2 * m->data));
    return plan.memory;
}

static double check(const char *name, const char *settings) {
    const double forecast = (double)predicted(settings).total, real = (double)taken(settings),
                 mib = 1.0 / (1 << 20);
    print_message("%s: predicted %.1f MiB, was %.1f MiB: %+.1f %%\n", name, mib * forecast,
                  mib * real, 100 * (forecast / real - 1));
    if (forecast < 0.9 * real || forecast > 1.1 * real) {
        fail_msg("%s: the prediction is off by more than a tenth", name);
    }
    return real;
}

static void small_model(void **state) {
    (void)state;
    const double whole = check("small", "preset=vivit-tiny"),
                 pieces = check("small, micro-batches", "micro_batch=8"),
                 again = check("small, recomputed", "recompute=true");
    check("small, ranks", "ranks=2 micro_batch=4");
    check("small, bf16, sgd", "precision=bf16 optimizer=sgd");
    check("small, augmented", "augment.volume=true augment.rotate=10 augment.mixup=0.2");
    check("small, augmented by many", "augment.volume=true augment.rotate=10 augment.mixup=0.2 "
                                      "ranks=2 loader_threads=16 micro_batch=4");
    assert_true(pieces < 0.9 * whole && again < 0.8 * whole);
}

/* One more slab for each rank; and a fold that is cut from data larger than the model. */
static void averages_and_folds(void **state) {
    (void)state;
    const double plain = check("small, one epoch's end", "preset=vivit-tiny model.hidden=256"),
                 averaged = check("small, averaged", "model.hidden=256 ema=0.99");
    assert_true(averaged > 1.02 * plain);
    check("small, averaged, ranks", "ranks=2 micro_batch=4 ema=0.99");
    check("small, a fold", "folds=3 fold=1");
    const double fold = check("tiny, a fold", "model.hidden=16 model.heads=2 model.layers=1 "
                                              "model.mlp=16 batch_size=4 folds=3 fold=1");
    assert_true(fold > 60.0 * (1 << 20));
}

/* 343 tokens, 5 million parameters. */
#define MIDDLE                                                                                     \
    "model.tubelet=4 model.hidden=256 model.heads=4 model.layers=6 model.mlp=1024 batch_size=8 "   \
    "model.mlp_output_gelu=false "

static void middle_model(void **state) {
    (void)state;
    const double whole = check("middle", MIDDLE),
                 pieces =
                     check("middle, a sample at a time", MIDDLE "micro_batch=1 recompute=true");
    check("middle, factorised encoder, bf16",
          MIDDLE "precision=bf16 micro_batch=4 recompute=true "
                 "model.variant=factorised_encoder model.temporal_layers=2");
    assert_true(pieces < 0.6 * whole);
}

static void baselines(void **state) {
    (void)state;
    check("frames, recurrent", "model.family=cnn-rnn model.filters=16 batch_size=16");
    check("frames, transformer", "model.family=cnn-transformer model.layers=2 batch_size=16");
    check("residual", "model.family=resnet3d18 model.filters=16 batch_size=4");
}

static void without_data(void **state) {
    (void)state;
    tub_train_memory m, with = predicted("preset=vivit-tiny");
    tub_train_config c = tub_train_config_default();
    tub_error err = {0};
    assert_ok(tub_model_preset("vivit-tiny", &c.model, &err), err);
    assert_ok(tub_train_memory_of(&c, NULL, THREADS, &m, &err), err);
    assert_true(m.total - m.data == with.total - with.data && m.data < with.data);
    c.micro_batch = 64;
    assert_int_equal(tub_train_memory_of(&c, NULL, THREADS, &m, &err), TUB_E_RANGE);
}

/* A sanitizer takes memory of its own. */
static bool has_sanitizer(void) {
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
    return true;
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
    return true;
#else
    return false;
#endif
#else
    return false;
#endif
}

int main(int argc, char **argv) {
    if (argc > 1) {
        return train(argv[1]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_model),  cmocka_unit_test(averages_and_folds),
        cmocka_unit_test(middle_model), cmocka_unit_test(baselines),
        cmocka_unit_test(without_data),
    };
    if (has_sanitizer()) {
        puts("skipped: a sanitizer's own memory would count");
        return 0;
    }
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
