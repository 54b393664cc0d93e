/* SPDX-License-Identifier: Apache-2.0 */
/* The weights of classes that the training computes from its labels. */
#include "cmocka_all.h"

#include "base/error.h"
#include "failing_alloc.h"
#include "train/trainer.h"

enum { SAMPLES = 8, CLASSES = 4 };

static const int32_t labels[SAMPLES] = {0, 3, 0, 0, 1, 0, 3, 0};

static void balanced_weights(void **state) {
    (void)state;
    static const float expected[CLASSES] = {8.0f / (4 * 5), 8.0f / (4 * 1), 0.0f, 8.0f / (4 * 2)};
    float *weights = NULL;
    assert_int_equal(
        tub__class_weights(&tub__default_allocator, labels, SAMPLES, CLASSES, &weights, NULL),
        TUB_OK);
    assert_memory_equal(weights, expected, sizeof expected);
    tub__free(&tub__default_allocator, weights);
}

static tub_status weigh(const tub_allocator *a, void *user, tub_error *err) {
    float *weights = NULL;
    (void)user;
    TUB__TRY(tub__class_weights(a, labels, SAMPLES, CLASSES, &weights, err));
    tub__free(a, weights);
    return TUB_OK;
}

static void failing_allocations(void **state) {
    (void)state;
    failing_report report = failing_run(weigh, NULL);
    assert_string_equal(report.problem, "");
    assert_int_equal(report.allocations, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(balanced_weights),
                                       cmocka_unit_test(failing_allocations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
