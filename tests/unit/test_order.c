/* SPDX-License-Identifier: Apache-2.0 */
/* Epoch orders: what balanced ones promise, for several shapes of class counts. */
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/philox.h"
#include "data/order.h"
#include "failing_alloc.h"

enum { MOST = 64, CLASSES = 5 };

/* Samples of classes 0, 1, ... so many times, in an order that mixes them. */
static size_t make_labels(const int counts[CLASSES], int32_t labels[MOST]) {
    int left[CLASSES];
    size_t n = 0;
    memcpy(left, counts, sizeof left);
    for (bool more = true; more;) {
        more = false;
        for (int c = 0; c < CLASSES; c++) {
            if (left[c] > 0) {
                left[c]--;
                labels[n++] = c;
                more = true;
            }
        }
    }
    return n;
}

static const int shapes[][CLASSES] = {
    {40, 3, 0, 7, 1}, {1, 1, 1, 1, 1}, {0, 0, 30, 0, 0}, {10, 11, 0, 0, 13}, {9, 9, 9, 9, 9}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* Draws of each sample in an epoch; and those of each class into drawn. */
static void count(const uint32_t *order, size_t n, const int32_t *labels, int times[MOST],
                  int drawn[CLASSES]) {
    memset(times, 0, MOST * sizeof *times);
    memset(drawn, 0, CLASSES * sizeof *drawn);
    for (size_t i = 0; i < n; i++) {
        assert_true(order[i] < n);
        times[order[i]]++;
        drawn[labels[order[i]]]++;
    }
}

static void classes_come_equally_often(void **state) {
    (void)state;
    for (int s = 0; s < SHAPES; s++) {
        int32_t labels[MOST];
        uint32_t order[MOST];
        int times[MOST], drawn[CLASSES], whole[CLASSES] = {0}, present = 0;
        const size_t n = make_labels(shapes[s], labels);
        tub__order o;
        assert_int_equal(tub__order_create(&tub__default_allocator, TUB__ORDER_BALANCED, 7, labels,
                                           n, CLASSES, &o, NULL),
                         TUB_OK);
        for (int c = 0; c < CLASSES; c++) {
            present += shapes[s][c] > 0;
        }
        for (uint32_t epoch = 0; epoch < (uint32_t)present; epoch++) {
            tub__order_fill(&o, epoch, order);
            count(order, n, labels, times, drawn);
            for (int c = 0; c < CLASSES; c++) {
                const int share = (int)n / present;
                assert_true(shapes[s][c] == 0 ? drawn[c] == 0
                                              : drawn[c] == share || drawn[c] == share + 1);
                whole[c] += drawn[c];
            }
            for (size_t i = 0; i < n; i++) { /* evenly within its class */
                const int each = drawn[labels[i]] / shapes[s][labels[i]];
                assert_true(times[i] == each || times[i] == each + 1);
            }
        }
        for (int c = 0; c < CLASSES; c++) { /* the rest goes round */
            assert_int_equal(whole[c], shapes[s][c] > 0 ? (int)n : 0);
        }
        tub__order_destroy(&o);
    }
}

/* An epoch's order is its own, whatever was asked for before. */
static void epochs_stand_alone(void **state) {
    (void)state;
    int32_t labels[MOST];
    uint32_t first[MOST], again[MOST], other[MOST];
    const size_t n = make_labels(shapes[0], labels);
    tub__order o, p;
    for (int kind = TUB__ORDER_SHUFFLED; kind <= TUB__ORDER_BALANCED; kind++) {
        assert_int_equal(tub__order_create(&tub__default_allocator, (tub__order_kind)kind, 7,
                                           labels, n, CLASSES, &o, NULL),
                         TUB_OK);
        assert_int_equal(tub__order_create(&tub__default_allocator, (tub__order_kind)kind, 8,
                                           labels, n, CLASSES, &p, NULL),
                         TUB_OK);
        tub__order_fill(&o, 3, first);
        tub__order_fill(&o, 4, other);
        assert_memory_not_equal(first, other, n * sizeof *first);
        tub__order_fill(&p, 3, other); /* another seed */
        assert_memory_not_equal(first, other, n * sizeof *first);
        tub__order_fill(&o, 3, again);
        assert_memory_equal(first, again, n * sizeof *first);
        tub__order_destroy(&o);
        tub__order_destroy(&p);
    }
}

/* Equal classes: each sample once, as in a shuffled epoch. A negative control of the counting, too: a
 * shuffled epoch of unequal classes is not balanced. */
static void shuffled_epochs_are_not_balanced(void **state) {
    (void)state;
    int32_t labels[MOST];
    uint32_t order[MOST], plain[MOST];
    int times[MOST], drawn[CLASSES];
    size_t n = make_labels(shapes[0], labels);
    tub__order o;
    assert_int_equal(
        tub__order_create(&tub__default_allocator, TUB__ORDER_SHUFFLED, 7, NULL, n, 0, &o, NULL),
        TUB_OK);
    tub__order_fill(&o, 2, order);
    tub__permutation(7, 2, n, plain);
    assert_memory_equal(order, plain, n * sizeof *order);
    count(order, n, labels, times, drawn);
    assert_int_equal(drawn[0], 40);
    assert_int_equal(drawn[4], 1);
    tub__order_destroy(&o);
}

/* The first draws of one order, so that no later version changes them unseen. */
static void known_order(void **state) {
    (void)state;
    static const int32_t labels[8] = {0, 0, 0, 0, 0, 1, 1, 2};
    uint32_t order[8];
    int times[MOST], drawn[CLASSES];
    tub__order o;
    assert_int_equal(
        tub__order_create(&tub__default_allocator, TUB__ORDER_BALANCED, 42, labels, 8, 3, &o, NULL),
        TUB_OK);
    tub__order_fill(&o, 0, order);
    count(order, 8, labels, times, drawn);
    assert_true(drawn[0] == 3 && drawn[1] == 3 && drawn[2] == 2); /* the rest of 2: classes 0, 1 */
    tub__order_fill(&o, 1, order);
    count(order, 8, labels, times, drawn);
    assert_true(drawn[0] == 3 && drawn[1] == 2 && drawn[2] == 3); /* classes 2, 0 */
    tub__order_destroy(&o);
}

static tub_status order_once(const tub_allocator *a, void *user, tub_error *err) {
    static const int32_t labels[6] = {0, 0, 0, 2, 2, 0};
    uint32_t out[6];
    tub__order o;
    (void)user;
    TUB__TRY(tub__order_create(a, TUB__ORDER_BALANCED, 1, labels, 6, 3, &o, err));
    tub__order_fill(&o, 0, out);
    tub__order_destroy(&o);
    return TUB_OK;
}

static void failing_allocations(void **state) {
    (void)state;
    failing_report report = failing_run(order_once, NULL);
    assert_string_equal(report.problem, "");
    assert_int_equal(report.allocations, 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_come_equally_often), cmocka_unit_test(epochs_stand_alone),
        cmocka_unit_test(shuffled_epochs_are_not_balanced), cmocka_unit_test(known_order),
        cmocka_unit_test(failing_allocations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
