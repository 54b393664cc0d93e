/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of training, going on and folds made to fail once: a clean error each time, no block left. */
#include "failing_scene.h"

static tub_train_config two_steps(const scene *s) {
    tub_train_config c = tub_train_config_default();
    snprintf(c.data, sizeof c.data, "%s", s->npz);
    c.model = tiny();
    c.batch_size = 8;
    c.epochs = 1; /* of 12 samples: two steps */
    c.checkpoint_every = 1;
    c.clip_norm = 1;
    c.class_weights = TUB_WEIGHTS_BALANCED;
    return c;
}

static tub_status train(tub_context *ctx, const scene *s, tub_error *err) {
    tub_train_config c = two_steps(s);
    tub_train_result result;
    char run[700];
    snprintf(run, sizeof run, "%s/run", s->folder.path);
    return tub_train(ctx, &c, NULL, run, 1, &result, err);
}

static tub_status train_in_parts(tub_context *ctx, const scene *s, tub_error *err) {
    tub_train_config c = two_steps(s);
    char run[700];
    c.ranks = 2; /* each with one of the batch's two groups of four samples */
    c.max_steps = 1;
    c.optimizer = TUB_ADAMW;
    c.schedule = TUB_COSINE;
    c.ema = 0.9;
    c.layer_decay = 0.75;
    c.class_weights = TUB_WEIGHTS_NONE;
    c.sampling = TUB_BALANCED;
    c.augment.noise[1] = 0.1;
    c.augment.cutmix = 1;
    snprintf(run, sizeof run, "%s/run2", s->folder.path);
    return tub_train(ctx, &c, NULL, run, 1, NULL, err);
}

/* Two folds, the second one resumed; then what eval does with them. */
static tub_status train_folds(tub_context *ctx, const scene *s, tub_error *err) {
    tub_train_config c = two_steps(s);
    char out[700];
    c.folds = 2;
    c.ema = 0.9;
    c.checkpoint_every = 0;
    c.max_steps = 1;
    strcpy(c.freeze, "embedding");
    snprintf(out, sizeof out, "%s/folds", s->folder.path);
    return tub_train_folds(ctx, &c, NULL, out, 1, NULL, err);
}

static tub_status resume_folds(tub_context *ctx, const scene *s, tub_error *err) {
    char out[700], run[720];
    tub_train_config c;
    tub_dataset *data;
    tub_folds_result result;
    int own;
    snprintf(out, sizeof out, "%s/folds", s->folder.path);
    snprintf(run, sizeof run, "%s/fold-1", out);
    TUB__TRY(tub_train_folds_resume(ctx, out, NULL, &result, err));
    TUB__TRY(tub_run_config(ctx, run, &c, err));
    TUB__TRY(tub_run_dataset(ctx, &c, s->npz, NULL, &data, &own, err));
    tub_dataset_close(data);
    return TUB_OK;
}

/* From the model of the scene, with a second rank that learns of it by the checkpoint. */
static tub_status train_from_model(tub_context *ctx, const scene *s, tub_error *err) {
    tub_train_config c = two_steps(s);
    char run[700];
    c.ranks = 2;
    c.max_steps = 1;
    snprintf(run, sizeof run, "%s/run-start", s->folder.path);
    TUB__TRY(tub_train_config_start(ctx, s->model, &c, err));
    return tub_train(ctx, &c, NULL, run, 1, NULL, err);
}

static tub_status train_in_bf16(tub_context *ctx, const scene *s, tub_error *err) {
    tub_train_config c = two_steps(s);
    char run[700];
    c.ranks = 2;
    c.max_steps = 1;
    c.precision = TUB_PRECISION_BF16;
    snprintf(run, sizeof run, "%s/run-bf16", s->folder.path);
    return tub_train(ctx, &c, NULL, run, 1, NULL, err);
}

static tub_status resume_in_bf16(tub_context *ctx, const scene *s, tub_error *err) {
    char run[700];
    snprintf(run, sizeof run, "%s/run-bf16", s->folder.path);
    return tub_train_resume(ctx, run, NULL, 0, 2, NULL, err);
}

/* The run of train() goes on for one more epoch; a failed attempt leaves a run that can still be
 * continued. */
static tub_status resume(tub_context *ctx, const scene *s, tub_error *err) {
    char run[700];
    snprintf(run, sizeof run, "%s/run", s->folder.path);
    return tub_train_resume(ctx, run, NULL, 2, -1, NULL, err);
}

static void test_train(void **state) {
    check(*state, train, 40);
    check(*state, resume, 40);
    check(*state, train_in_parts, 40);
    check(*state, train_from_model, 60);
}

static void test_folds(void **state) {
    check(*state, train_folds, 80);
    check(*state, resume_folds, 40);
}

static void test_bf16(void **state) {
    check(*state, train_in_bf16, 40);
    check(*state, resume_in_bf16, 40);
}

/* What a training starts from. */
static int set_up_with_model(void **state) {
    tub_context *ctx;
    if (set_up(state) != 0 || tub_context_create(NULL, &ctx, NULL) != TUB_OK) {
        return -1;
    }
    const tub_status status = save_model(ctx, *state, NULL);
    tub_context_destroy(ctx);
    return status == TUB_OK ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_train), cmocka_unit_test(test_folds),
                                       cmocka_unit_test(test_bf16)};
    return cmocka_run_group_tests(tests, set_up_with_model, tear_down);
}
