/* SPDX-License-Identifier: Apache-2.0 */
/* The predicted time of a training fits together: its parts, and models of different depth. How near it
 * comes to the truth only a quiet machine can tell (tools/acceptance large). */
#include "cmocka_all.h"

#include <math.h>
#include <string.h>
#include <tubelet/tubelet.h>

static tub_train_pace pace_of(tub_train_config *c, int64_t max_steps) {
    tub_context_config config = tub_context_config_default();
    tub_context *ctx = NULL;
    tub_train_plan plan;
    tub_train_pace pace;
    tub_error err = {0};
    config.threads = 2;
    strcpy(c->data, "phantom3d");
    c->epochs = 3;
    c->max_steps = max_steps;
    assert_ok(tub_context_create(&config, &ctx, &err), err);
    assert_ok(tub_train_plan_of(ctx, c, NULL, NULL, 0, &plan, &err), err);
    assert_ok(tub_train_pace_of(ctx, &plan, &pace, &err), err);
    tub_context_destroy(ctx);
    return pace;
}

/* 971 samples are 30 and a third batches of 32, and the validation of 161 takes less than they do. */
static void parts_add_up(void **state) {
    (void)state;
    tub_train_config c = tub_train_config_default();
    const tub_train_pace p = pace_of(&c, 0);
    const double steps = 971.0 / 32 * p.step;
    print_message("%g s a step, %g s an epoch, %g s in all\n", p.step, p.epoch, p.total);
    assert_true(p.step > 0 && p.epoch > steps && p.epoch < 2 * steps);
    assert_true(fabs(p.total / (3 * p.epoch) - 1) < 1e-6);
    const tub_train_pace part = pace_of(&c, 10);
    assert_true(part.total < 0.7 * part.epoch);
}

/* As many epochs as fit by the pace that the plan tells: one more would not, but for the share that is kept in
 * reserve; one at least. Folds share the time. */
static void epochs_fit_into_a_budget(void **state) {
    (void)state;
    tub_context *ctx = NULL;
    tub_train_config c = tub_train_config_default();
    tub_train_plan plan;
    tub_error err = {0};
    strcpy(c.data, "phantom3d");
    c.warmup_epochs = 6;
    assert_ok(tub_context_create(NULL, &ctx, &err), err);
    for (int64_t folds = 0; folds <= 5; folds += 5) {
        const double share = 1e4;
        c.folds = folds;
        c.budget = share * (folds > 0 ? (double)folds : 1.0);
        assert_ok(tub_train_plan_of(ctx, &c, NULL, NULL, 0, &plan, &err), err);
        const tub_train_pace p = plan.pace;
        const double epochs = (double)plan.config.epochs;
        assert_true(epochs * p.epoch <= share && (epochs + 1) * p.epoch > 0.9 * share);
        assert_true(fabs(p.total / (epochs * p.epoch) - 1) < 1e-6);
        assert_int_equal(plan.steps, plan.config.epochs * plan.epoch_steps);
    }
    c.folds = 0;
    c.budget = 1e-6;
    assert_ok(tub_train_plan_of(ctx, &c, NULL, NULL, 0, &plan, &err), err);
    assert_true(plan.config.epochs == 1 && plan.steps == plan.epoch_steps);
    assert_true(fabs(plan.config.warmup_epochs - 6.0 / 60.0) < 1e-12);
    c.budget = 0;
    assert_ok(tub_train_plan_of(ctx, &c, NULL, NULL, 0, &plan, &err), err);
    assert_true(plan.config.epochs == 60 && plan.pace.epoch == 0.0);
    tub_context_destroy(ctx);
}

/* The deeper one is not timed whole. Four times as deep is about four times as long, and micro-batches
 * and recomputing add less than as much again. */
static void deep_models(void **state) {
    (void)state;
    tub_train_config c = tub_train_config_default();
    c.batch_size = 8;
    c.model.hidden = 192, c.model.heads = 3, c.model.mlp = 768;
    c.model.tubelet[0] = c.model.tubelet[1] = c.model.tubelet[2] = 4;
    c.model.layers = 4;
    const double shallow = pace_of(&c, 0).step;
    c.model.layers = 16;
    const double deep = pace_of(&c, 0).step;
    c.micro_batch = 1;
    c.recompute = 1;
    const double saving = pace_of(&c, 0).step;
    print_message("%g s, %g s, %g s\n", shallow, deep, saving);
    /* Other processes disturb: what is wrong would be wrong by much more. */
    assert_true(deep > 1.5 * shallow && deep < 12 * shallow);
    assert_true(saving > 0.5 * deep && saving < 4 * deep);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_add_up),
        cmocka_unit_test(epochs_fit_into_a_budget),
        cmocka_unit_test(deep_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
