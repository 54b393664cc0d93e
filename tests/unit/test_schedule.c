/* SPDX-License-Identifier: Apache-2.0 */
/* Learning rates against Keras' CosineDecay (the float64 numbers of the golden run
 * adam_cosine_warmup), and the edges of schedules. */
#include "cmocka_all.h"
#include "train/schedule.h"
#include <math.h>

/* lr of the 20 golden steps: initial 1e-4, target 2e-3, 5 warm-up steps, 12 decay steps, alpha
 * 0.05. */
static const double keras[20] = {0.0001,
                                 0.00048000000000000001,
                                 0.00086000000000000009,
                                 0.00124,
                                 0.0016200000000000001,
                                 0.002,
                                 0.0019676295349746148,
                                 0.0018727241335952168,
                                 0.0017217514421272199,
                                 0.0015249999999999999,
                                 0.0012958780928473948,
                                 0.0010500000000000002,
                                 0.00080412190715260518,
                                 0.00057500000000000021,
                                 0.0003782485578727799,
                                 0.00022727586640478324,
                                 0.0001323704650253852,
                                 0.0001,
                                 0.0001,
                                 0.0001};

static void cosine_is_keras(void **state) {
    (void)state;
    tub__rates r = {TUB_COSINE, 2e-3, 1e-4, 0.05, 5, 12, {{0}, 0}};
    for (uint64_t s = 0; s < 20; s++) {
        if (fabs(tub__rate(&r, s) - keras[s]) > 1e-16) {
            fail_msg("step %d: %.17g, Keras %.17g", (int)s, tub__rate(&r, s), keras[s]);
        }
    }
    /* Negative control: one step off is seen. */
    assert_true(fabs(tub__rate(&r, 7) - keras[6]) > 1e-16);
}

static void edges(void **state) {
    (void)state;
    tub__rates r = {TUB_CONSTANT, 1e-3, 0.0, 0.0, 4, 1, {{0}, 0}};
    assert_true(tub__rate(&r, 0) == 0.0);
    assert_true(tub__rate(&r, 2) == 5e-4);
    assert_true(tub__rate(&r, 4) == 1e-3);
    assert_true(tub__rate(&r, 1000000) == 1e-3);
    r = (tub__rates){TUB_COSINE, 1e-3, 0.0, 0.25, 0, 10, {{0}, 0}};
    assert_true(tub__rate(&r, 0) == 1e-3);
    assert_true(tub__rate(&r, 10) == 0.25e-3);
    assert_true(tub__rate(&r, 11) == 0.25e-3);
    for (uint64_t s = 1; s <= 10; s++) {
        assert_true(tub__rate(&r, s) < tub__rate(&r, s - 1));
    }
}

static void from_the_configuration(void **state) {
    (void)state;
    tub_train_config c = tub_train_config_default();
    c.schedule = TUB_COSINE;
    c.warmup_epochs = 1.5;
    c.warmup_start = 1e-6;
    c.final_lr_share = 0.1;
    tub__rates r = tub__rates_make(&c, 100, 10);
    assert_int_equal(r.warmup, 15);
    assert_int_equal(r.decay, 85);
    assert_true(r.target == c.lr && r.start == 1e-6 && r.share == 0.1);
    r = tub__rates_make(&c, 10, 10); /* max_steps ends inside the warm-up */
    assert_int_equal(r.warmup, 15);
    assert_int_equal(r.decay, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(cosine_is_keras), cmocka_unit_test(edges),
                                       cmocka_unit_test(from_the_configuration)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
