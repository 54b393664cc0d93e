/* SPDX-License-Identifier: Apache-2.0 */
/* The loader against a straightforward computation of its batches, and its starts, stops and wrong
 * uses. */
#include "cmocka_all.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/philox.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "data/sample_maker.h"
#include "failing_alloc.h"

enum { COUNT = 37, VOXELS = 6, BATCH = 8, BATCHES = 5 };

/* A set whose voxels tell the sample: built by hand, because the loader needs no more of it. */
typedef struct fixture {
    tub_context *ctx;
    tub_dataset data;
    unsigned char samples[COUNT * VOXELS];
    int32_t labels[COUNT];
} fixture;

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    assert_int_equal(
        tub_context_create(&(tub_context_config){.size = sizeof(tub_context_config), .threads = 1},
                           &f->ctx, NULL),
        TUB_OK);
    for (int i = 0; i < COUNT; i++) {
        f->labels[i] = i * 7 % 11;
        for (int v = 0; v < VOXELS; v++) {
            f->samples[i * VOXELS + v] = (unsigned char)(i * 5 + v);
        }
    }
    f->data.ctx = f->ctx;
    f->data.info = (tub_dataset_info){.name = "made",
                                      .frames = 1,
                                      .height = 2,
                                      .width = 3,
                                      .channels = 1,
                                      .classes = 11,
                                      .task = TUB_TASK_MULTI_CLASS,
                                      .label_columns = 1,
                                      .count = {COUNT, 0, 0}};
    f->data.samples[0] = f->samples;
    f->data.labels[0] = f->labels;
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    tub_context_destroy(f->ctx);
    free(f);
    return 0;
}

static tub__loader_config config_of(fixture *f) {
    return (tub__loader_config){.data = &f->data,
                                .split = TUB_TRAIN,
                                .seed = 42,
                                .batch = BATCH,
                                .order = TUB__ORDER_SHUFFLED,
                                .depth = 3};
}

/* Every field of a batch as the definition says it. */
static void check_batch(const fixture *f, const tub__loader_config *c, const tub__batch *b,
                        uint32_t epoch, size_t number) {
    uint32_t order[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        order[i] = i;
    }
    if (c->order == TUB__ORDER_SHUFFLED) {
        tub__permutation(c->seed, epoch, COUNT, order);
    }
    size_t start = number * c->batch, whole = COUNT - start < c->batch ? COUNT - start : c->batch;
    size_t begin = c->share_begin < whole ? c->share_begin : whole;
    size_t end = c->share_end == 0 || c->share_end > whole ? whole : c->share_end;
    assert_int_equal(b->epoch, epoch);
    assert_int_equal(b->batch, number);
    assert_int_equal(b->whole, whole);
    assert_int_equal(b->count, end - begin);
    assert_int_equal(b->position, start + begin);
    for (size_t i = 0; i < b->count; i++) {
        uint32_t from = order[start + begin + i];
        assert_int_equal(b->index[i], from);
        assert_int_equal(b->labels[i], f->labels[from]);
        assert_memory_equal((const unsigned char *)b->samples + i * VOXELS,
                            f->samples + from * VOXELS, VOXELS);
    }
}

static void run_and_check(fixture *f, const tub__loader_config *c, uint32_t epoch, size_t first,
                          int how_many) {
    tub__loader *l;
    tub__batch b;
    assert_int_equal(tub__loader_create(f->ctx, c, &l, NULL), TUB_OK);
    size_t batches = (COUNT + c->batch - 1) / c->batch;
    assert_int_equal(tub__loader_batches(l), batches);
    assert_int_equal(tub__loader_start(l, epoch, first, NULL), TUB_OK);
    for (int i = 0; i < how_many; i++) {
        size_t at = first + (size_t)i;
        assert_int_equal(tub__loader_next(l, &b, NULL), TUB_OK);
        check_batch(f, c, &b, epoch + (uint32_t)(at / batches), at % batches);
        tub__loader_release(l);
    }
    tub__loader_destroy(l);
}

static void delivers_what_the_definition_says(void **state) {
    fixture *f = *state;
    for (size_t depth = 1; depth <= 4; depth++) {
        tub__loader_config c = config_of(f);
        c.depth = depth;
        run_and_check(f, &c, 0, 0, 3 * BATCHES + 2);
        c.order = TUB__ORDER_FILE;
        run_and_check(f, &c, 0, 0, 2 * BATCHES);
    }
}

static void any_number_of_threads_makes_the_same(void **state) {
    fixture *f = *state;
    for (size_t threads = 1; threads <= 5; threads++) {
        for (size_t depth = 1; depth <= 3; depth++) {
            tub__loader_config c = config_of(f);
            c.depth = depth;
            c.threads = threads;
            c.polite = depth == 2;
            run_and_check(f, &c, 0, 1, 5 * BATCHES);
            c.share_begin = 5;
            c.share_end = 7; /* the last batch has 5 samples: nothing of it */
            run_and_check(f, &c, 3, BATCHES - 1, 3 * BATCHES);
        }
    }
}

static void starts_anywhere(void **state) {
    fixture *f = *state;
    tub__loader_config c = config_of(f);
    for (uint32_t epoch = 0; epoch < 3; epoch++) {
        for (size_t first = 0; first < BATCHES; first++) {
            run_and_check(f, &c, epoch, first, BATCHES + 1);
        }
    }
}

/* A batch's clips, labels, and what was mixed in, are the same whatever the shares. */
static void augments_the_same_in_shares(void **state) {
    fixture *f = *state;
    tub_augment_config a = tub_augment_config_default();
    a.flip_w = 0.5;
    a.intensity[1] = 2;
    a.mixup = a.cutmix = 1;
    const int64_t clip[3] = {1, 2, 3};
    tub__augmenter *augmenter;
    tub__loader *whole, *part;
    tub__batch b, p;
    tub__loader_config c = config_of(f);
    assert_int_equal(tub__augmenter_create(&f->ctx->allocator, &a, c.seed, &f->data.info, clip,
                                           &augmenter, NULL),
                     TUB_OK);
    c.augmenter = augmenter;
    assert_int_equal(tub__loader_create(f->ctx, &c, &whole, NULL), TUB_OK);
    c.share_begin = 3, c.share_end = 7;
    assert_int_equal(tub__loader_create(f->ctx, &c, &part, NULL), TUB_OK);
    assert_int_equal(tub__loader_start(whole, 0, 1, NULL), TUB_OK);
    assert_int_equal(tub__loader_start(part, 0, 1, NULL), TUB_OK);
    size_t changed = 0, mixed = 0;
    for (int i = 0; i < 2 * BATCHES; i++) {
        assert_int_equal(tub__loader_next(whole, &b, NULL), TUB_OK);
        assert_int_equal(tub__loader_next(part, &p, NULL), TUB_OK);
        assert_int_equal(p.sample_bytes, VOXELS);
        for (size_t k = 0; k < p.count; k++) {
            const unsigned char *clip_at = (const unsigned char *)p.samples + k * VOXELS;
            assert_memory_equal(clip_at, (const unsigned char *)b.samples + (k + 3) * VOXELS,
                                VOXELS);
            assert_int_equal(p.labels[k], b.labels[k + 3]);
            assert_int_equal(p.labels[k], f->labels[p.index[k]]);
            assert_int_equal(p.second[k], b.second[k + 3]);
            assert_true(p.share[k] == b.share[k + 3]);
            changed += memcmp(clip_at, f->samples + p.index[k] * VOXELS, VOXELS) != 0;
            mixed += p.share[k] > 0;
        }
        tub__loader_release(whole);
        tub__loader_release(part);
    }
    assert_true(changed > BATCHES && mixed > BATCHES);
    tub__loader_destroy(whole);
    tub__loader_destroy(part);
    tub__augmenter_destroy(augmenter);
}

static void gives_shares(void **state) {
    fixture *f = *state;
    static const size_t shares[][2] = {{0, 4}, {4, 8}, {2, 3}, {5, 5}, {7, 8}};
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        tub__loader_config c = config_of(f);
        c.share_begin = shares[i][0];
        c.share_end = shares[i][1];
        run_and_check(f, &c, 1, 0, 2 * BATCHES);
    }
    tub__loader_config large = config_of(f);
    large.batch = 1000;
    run_and_check(f, &large, 0, 0, 3);
}

/* Each epoch is a permutation, and no two seeds or epochs have the same. */
static void shuffles_whole_epochs(void **state) {
    fixture *f = *state;
    uint32_t seen[3][COUNT];
    for (int k = 0; k < 3; k++) {
        tub__loader_config c = config_of(f);
        c.seed = k == 2 ? 43 : 42;
        tub__loader *l;
        tub__batch b;
        int count[COUNT] = {0};
        assert_int_equal(tub__loader_create(f->ctx, &c, &l, NULL), TUB_OK);
        assert_int_equal(tub__loader_start(l, k == 1, 0, NULL), TUB_OK);
        for (int i = 0; i < BATCHES; i++) {
            assert_int_equal(tub__loader_next(l, &b, NULL), TUB_OK);
            for (size_t j = 0; j < b.count; j++) {
                count[b.index[j]]++;
                seen[k][b.position + j] = b.index[j];
            }
            tub__loader_release(l);
        }
        tub__loader_destroy(l);
        for (int i = 0; i < COUNT; i++) {
            assert_int_equal(count[i], 1);
        }
    }
    assert_memory_not_equal(seen[0], seen[1], sizeof seen[0]);
    assert_memory_not_equal(seen[0], seen[2], sizeof seen[0]);
}

static void restart_and_stop(fixture *f, size_t threads) {
    tub__loader_config c = config_of(f);
    c.threads = threads;
    tub__loader *l;
    tub__batch b;
    assert_int_equal(tub__loader_create(f->ctx, &c, &l, NULL), TUB_OK);
    for (uint32_t i = 0; i < 60; i++) {
        assert_int_equal(tub__loader_start(l, i, i % BATCHES, NULL), TUB_OK);
        for (uint32_t taken = 0; taken < i % 4; taken++) {
            assert_int_equal(tub__loader_next(l, &b, NULL), TUB_OK);
            tub__loader_release(l);
        }
        if (i % 3 == 0) {
            assert_int_equal(tub__loader_next(l, &b, NULL), TUB_OK);
            check_batch(f, &c, &b, i + (i % BATCHES + i % 4) / BATCHES,
                        (i % BATCHES + i % 4) % BATCHES);
            /* and not released: a new start takes it back */
        }
    }
    tub__loader_destroy(l);
    assert_int_equal(tub__loader_create(f->ctx, &c, &l, NULL), TUB_OK);
    tub__loader_destroy(l); /* never started */
    tub__loader_destroy(NULL);
}

static void restarts_and_stops_at_any_time(void **state) {
    for (size_t threads = 1; threads <= 4; threads++) {
        restart_and_stop(*state, threads);
    }
}

/* --- samples that are made by the test ------------------------------------------------------ */

/* Makes the samples that check_batch expects, in a way that the test says. */
typedef struct maker {
    fixture *f;
    pthread_barrier_t *meet; /* all threads meet in their first sample */
    size_t meetings;
    bool backwards; /* no sample is done before the one behind it in its batch */
    bool bad[COUNT];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done[COUNT]; /* by position, of epoch 0 */
    size_t made;
} maker;

static void wait_for_the_next(maker *m, const tub__sample_key *key) {
    const size_t next = key->position + 1;
    pthread_mutex_lock(&m->lock);
    while (next % 4 != 0 && next < COUNT && !m->done[next]) {
        pthread_cond_wait(&m->changed, &m->lock);
    }
    m->done[key->position] = true;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

static tub_status make_one(void *user, const tub__sample_key *key, void *out, tub_error *err) {
    maker *m = user;
    pthread_mutex_lock(&m->lock);
    const bool meets = m->meet != NULL && m->made < m->meetings;
    const bool bad = m->bad[key->position];
    m->made++;
    pthread_mutex_unlock(&m->lock);
    if (meets) {
        pthread_barrier_wait(m->meet);
    }
    if (m->backwards && key->epoch == 0) {
        wait_for_the_next(m, key);
    }
    memcpy(out, m->f->samples + key->index * VOXELS, VOXELS);
    return bad ? tub__fail(err, TUB_E_FORMAT, "clip %u is broken", key->position) : TUB_OK;
}

static maker maker_of(fixture *f) {
    maker m = {.f = f};
    pthread_mutex_init(&m.lock, NULL);
    pthread_cond_init(&m.changed, NULL);
    return m;
}

/* Were they not at work together, the first one would wait for ever. */
static void threads_work_together(void **state) {
    fixture *f = *state;
    pthread_barrier_t meet;
    maker m = maker_of(f);
    tub__loader_config c = config_of(f);
    assert_int_equal(pthread_barrier_init(&meet, NULL, 4), 0);
    m.meet = &meet;
    m.meetings = 4;
    c.threads = 4;
    c.instead = make_one;
    c.user = &m;
    run_and_check(f, &c, 0, 0, 2 * BATCHES);
    pthread_barrier_destroy(&meet);
}

/* The order in which samples come to their end is none of the reader's business. */
static void samples_may_be_done_in_any_order(void **state) {
    fixture *f = *state;
    maker m = maker_of(f);
    tub__loader_config c = config_of(f);
    m.backwards = true;
    c.batch = 4;
    c.threads = 4; /* as many as wait for each other */
    c.instead = make_one;
    c.user = &m;
    run_and_check(f, &c, 0, 0, 15);
}

static void tells_the_first_sample_that_fails(void **state) {
    fixture *f = *state;
    for (size_t threads = 1; threads <= 4; threads++) {
        maker m = maker_of(f);
        tub__loader_config c = config_of(f);
        tub__loader *l;
        tub__batch b;
        m.bad[19] = m.bad[21] = m.bad[23] = m.bad[30] = true; /* batches 2 and 3 */
        c.threads = threads;
        c.instead = make_one;
        c.user = &m;
        assert_int_equal(tub__loader_create(f->ctx, &c, &l, NULL), TUB_OK);
        for (int round = 0; round < 2; round++) {
            tub_error e = {0};
            assert_int_equal(tub__loader_start(l, 0, 0, NULL), TUB_OK);
            for (size_t i = 0; i < 2; i++) {
                assert_int_equal(tub__loader_next(l, &b, NULL), TUB_OK);
                check_batch(f, &c, &b, 0, i);
                tub__loader_release(l);
            }
            for (int again = 0; again < 2; again++) {
                assert_int_equal(tub__loader_next(l, &b, &e), TUB_E_FORMAT);
                assert_string_equal(e.message, "clip 19 is broken");
            }
        }
        pthread_mutex_lock(&m.lock); /* threads may still be at what comes behind the failure */
        memset(m.bad, 0, sizeof m.bad);
        pthread_mutex_unlock(&m.lock);
        assert_int_equal(tub__loader_start(l, 0, 2, NULL), TUB_OK);
        assert_int_equal(tub__loader_next(l, &b, NULL), TUB_OK);
        check_batch(f, &c, &b, 0, 2);
        tub__loader_destroy(l);
    }
}

static void counts_threads(void **state) {
    (void)state;
    assert_int_equal(tub__loader_threads(0, false, 8), 1);
    assert_int_equal(tub__loader_threads(3, false, 1), 3);
    assert_int_equal(tub__loader_threads(0, true, 1), 2);
    assert_int_equal(tub__loader_threads(0, true, 8), 4);
    assert_int_equal(tub__loader_threads(0, true, 1000), 256);
    assert_int_equal(tub__loader_threads(1, true, 8), 1);
}

static void refuses_wrong_use(void **state) {
    fixture *f = *state;
    tub_error e;
    tub__loader *l;
    tub__batch b;
    tub__loader_config c = config_of(f);
    c.split = TUB_VAL;
    assert_int_equal(tub__loader_create(f->ctx, &c, &l, &e), TUB_E_ARGUMENT);
    assert_string_equal(e.message, "made: the val split has no samples");
    c = config_of(f);
    c.batch = 0;
    assert_int_equal(tub__loader_create(f->ctx, &c, &l, &e), TUB_E_ARGUMENT);
    c = config_of(f);
    c.share_begin = 5;
    c.share_end = 4;
    assert_int_equal(tub__loader_create(f->ctx, &c, &l, &e), TUB_E_ARGUMENT);
    c.share_end = 9;
    assert_int_equal(tub__loader_create(f->ctx, &c, &l, &e), TUB_E_ARGUMENT);
    c = config_of(f);
    c.threads = TUB__LOADER_THREADS + 1;
    assert_int_equal(tub__loader_create(f->ctx, &c, &l, &e), TUB_E_RANGE);
    c = config_of(f);
    assert_int_equal(tub__loader_create(f->ctx, &c, &l, &e), TUB_OK);
    assert_int_equal(tub__loader_next(l, &b, &e), TUB_E_ARGUMENT);
    assert_int_equal(tub__loader_start(l, 0, BATCHES, &e), TUB_E_ARGUMENT);
    assert_int_equal(tub__loader_start(l, 0, 0, &e), TUB_OK);
    assert_int_equal(tub__loader_next(l, &b, &e), TUB_OK);
    assert_int_equal(tub__loader_next(l, &b, &e), TUB_E_ARGUMENT);
    tub__loader_release(l);
    tub__loader_release(l); /* nothing is held: nothing happens */
    assert_int_equal(tub__loader_next(l, &b, &e), TUB_OK);
    check_batch(f, &c, &b, 0, 1);
    tub__loader_destroy(l);
}

static tub_status load_one(const tub_allocator *a, void *user, tub_error *err) {
    fixture *f = user;
    tub__loader_config c = config_of(f);
    tub__loader *l;
    tub__batch b;
    struct tub_context small = {.allocator = *a}; /* all that the loader wants of a context */
    tub_status status = tub__loader_create(&small, &c, &l, err);
    if (status != TUB_OK) {
        return status;
    }
    status = tub__loader_start(l, 0, 0, err);
    if (status == TUB_OK) {
        status = tub__loader_next(l, &b, err);
    }
    tub__loader_destroy(l);
    return status;
}

static void survives_failing_allocations(void **state) {
    failing_report report = failing_run(load_one, *state);
    assert_string_equal(report.problem, "");
    assert_int_equal(report.allocations, 13); /* loader, order, workers, slots, three a slot */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(delivers_what_the_definition_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(any_number_of_threads_makes_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(threads_work_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(samples_may_be_done_in_any_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tells_the_first_sample_that_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counts_threads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(starts_anywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(augments_the_same_in_shares, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gives_shares, set_up, tear_down),
        cmocka_unit_test_setup_teardown(shuffles_whole_epochs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(restarts_and_stops_at_any_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_wrong_use, set_up, tear_down),
        cmocka_unit_test_setup_teardown(survives_failing_allocations, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
