/* SPDX-License-Identifier: Apache-2.0 */
/* A whole run with pool, loader and ranks at work together. Built with -Db_sanitize=thread it
 * shows that they order their memory; in any build, that the result is that of one thread. */
#include "cmocka_all.h"

#include "training.h"

static void test_all_threads(void **state) {
    (void)state;
    tub_train_config c = small_recipe();
    c.epochs = 2;
    const how together = {.threads = 3, .ranks = 2, .micro_batch = 4};
    must_run(&c, &plainly, "plain");
    must_run(&c, &together, "together");
    assert_same_run("plain", "together");
}

/* Ranks would change bits in bf16. */
static void test_all_threads_in_bf16(void **state) {
    (void)state;
    tub_train_config c = small_recipe();
    c.epochs = 2;
    c.precision = TUB_PRECISION_BF16;
    must_run(&c, &plainly, "bf16");
    must_run(&c, &(how){3, TUB_CPU_AUTO, 1, 0}, "bf16-together");
    assert_same_run("bf16", "bf16-together");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_threads),
                                       cmocka_unit_test(test_all_threads_in_bf16)};
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
