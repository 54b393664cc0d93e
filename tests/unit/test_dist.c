/* SPDX-License-Identifier: Apache-2.0 */
/* Ranks in one process: the order of the tree's sums, absent ranks, broadcast. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "cmocka_all.h"
#include "dist/dist.h"

enum { ELEMENTS = 3, MOST = 8 };

typedef struct member {
    tub__dist dist;
    float buffer[ELEMENTS];
    bool present;
    char word[8];
} member;

static void add(void *user, void *to, const void *from, size_t elements) {
    (void)user;
    float *sum = to;
    const float *more = from;
    for (size_t i = 0; i < elements; i++) {
        sum[i] += more[i];
    }
}

static void *work(void *argument) {
    member *m = argument;
    m->dist.tree_sum(&m->dist, m->buffer, ELEMENTS, sizeof(float), m->present, add, NULL);
    m->dist.barrier(&m->dist);
    m->dist.broadcast(&m->dist, m->word, sizeof m->word);
    return NULL;
}

static void run(member *members, int size) {
    tub__dist dists[MOST];
    tub__dist_group *group = NULL;
    pthread_t threads[MOST];
    assert_int_equal(tub__dist_group_create(&tub__default_allocator, size, dists, &group, NULL),
                     TUB_OK);
    for (int r = 0; r < size; r++) {
        members[r].dist = dists[r];
        snprintf(members[r].word, sizeof members[r].word, "rank %d", r);
        assert_int_equal(pthread_create(&threads[r], NULL, work, &members[r]), 0);
    }
    for (int r = 0; r < size; r++) {
        pthread_join(threads[r], NULL);
        assert_string_equal(members[r].word, "rank 0");
    }
    tub__dist_group_destroy(group);
}

/* Values whose sum depends on the order in float32. */
static float value(int rank) {
    static const float values[MOST] = {1e8f, 1.0f, -1e8f, 3.0f, 0.1f, 1e7f, -3.0f, 7.0f};
    return values[rank];
}

static void sums_are_pairwise(void **state) {
    (void)state;
    const float pairs = ((value(0) + value(1)) + (value(2) + value(3))) +
                        ((value(4) + value(5)) + (value(6) + value(7)));
    float chain = 0.0f;
    member members[MOST];
    for (int r = 0; r < MOST; r++) {
        members[r] = (member){.present = true};
        for (int i = 0; i < ELEMENTS; i++) {
            members[r].buffer[i] = value(r);
        }
        chain += value(r);
    }
    assert_true(pairs != chain); /* else this would prove nothing */
    run(members, MOST);
    for (int r = 0; r < MOST; r++) {
        for (int i = 0; i < ELEMENTS; i++) {
            assert_true(members[r].buffer[i] == pairs);
        }
    }
}

/* Absent ranks add nothing, whatever lies in their buffer. */
static void absent_ranks_add_nothing(void **state) {
    (void)state;
    for (int first = 0; first < 2; first++) { /* without the last two, and without the first too */
        member members[4];
        for (int r = 0; r < 4; r++) {
            members[r] = (member){.present = r < 2 && r >= first};
            for (int i = 0; i < ELEMENTS; i++) {
                members[r].buffer[i] = members[r].present ? value(r) : 0.0f / 0.0f;
            }
        }
        run(members, 4);
        float expected = first == 0 ? value(0) + value(1) : value(1);
        for (int r = 0; r < 4; r++) {
            assert_true(members[r].buffer[ELEMENTS - 1] == expected);
        }
    }
}

static void one_alone(void **state) {
    (void)state;
    member m = {.dist = tub__dist_alone(), .buffer = {1, 2, 3}, .present = true, .word = "same"};
    work(&m);
    assert_true(m.buffer[2] == 3.0f);
    assert_string_equal(m.word, "same");
    assert_int_equal(m.dist.size, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(sums_are_pairwise),
                                       cmocka_unit_test(absent_ranks_add_nothing),
                                       cmocka_unit_test(one_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
