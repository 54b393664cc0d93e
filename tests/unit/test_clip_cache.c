/* SPDX-License-Identifier: Apache-2.0 */
/* The clip cache: what it keeps, what it forgets, its limit, and several users at once. */
#include "clip_sets.h"

#include "failing_alloc.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

static void keeps_what_was_put(void **state) {
    fixture *f = *state;
    const tub__clip_cache_config c = config_of(f, 1), other = config_of(f, 2);
    const void *data = NULL;
    size_t bytes = 0;
    assert_int_equal(open_and_stream(f, &c), SET);
    assert_int_equal(open_and_stream(f, &c), 0);
    assert_int_equal(open_and_stream(f, &other), SET); /* another key, other records */
    tub__clip_cache *cache = must_open(f, &c);
    assert_int_equal(tub__clip_cache_count(cache), SET);
    assert_int_equal(stream(f, cache), 0);
    assert_false(tub__clip_cache_get(cache, SET, &data, &bytes));
    assert_false(tub__clip_cache_has(cache, SET));
    tub__clip_cache_put(cache, SET, "", 1);
    const uint64_t size = file_bytes(file_of(f, 1));
    tub__clip_cache_put(cache, 0, "x", 1); /* it is there: nothing happens */
    assert_true(tub__clip_cache_get(cache, 0, &data, &bytes) && bytes == 100);
    assert_true(file_bytes(file_of(f, 1)) == size);
    assert_true((uintptr_t)data % 64 == 0);
    tub__clip_cache_close(cache);
    assert_int_equal(f->info + f->warnings, 0);
}

static void gives_records_of_this_pass(void **state) {
    fixture *f = *state;
    const tub__clip_cache_config c = config_of(f, 1);
    tub__clip_cache *cache = must_open(f, &c);
    assert_int_equal(stream(f, cache), SET);
    assert_int_equal(stream(f, cache), 0); /* the map reaches what was added after it was made */
    tub__clip_cache_close(cache);
}

static void is_nothing_when_switched_off(void **state) {
    fixture *f = *state;
    const void *data = NULL;
    size_t bytes = 0;
    assert_false(tub__clip_cache_get(NULL, 0, &data, &bytes));
    assert_false(tub__clip_cache_has(NULL, 0));
    assert_false(tub__clip_cache_takes(NULL));
    assert_int_equal(tub__clip_cache_count(NULL), 0);
    tub__clip_cache_put(NULL, 0, "", 0);
    tub__clip_cache_tell(NULL);
    tub__clip_cache_close(NULL);
    assert_int_equal(tub__clip_cache_fill(f->ctx, NULL, NULL, "set", NULL, NULL, NULL), TUB_OK);
}

/* Nothing that can be made: a warning, and no cache. */
static void goes_on_without_a_folder(void **state) {
    fixture *f = *state;
    tub__clip_cache_config c = config_of(f, 1);
    assert_int_equal(tub__file_write(&tub__default_allocator, f->clips, "x", 1, NULL), TUB_OK);
    assert_null(must_open(f, &c));
    assert_int_equal(f->warnings, 1);
    assert_non_null(strstr(f->last, "no cache of clips: "));
    assert_non_null(strstr(f->last, f->clips));
    unlink(f->clips);
    assert_int_equal(mkdir(f->clips, 0777), 0);
    assert_int_equal(mkdir(file_of(f, 1), 0777), 0); /* a folder has the file's name */
    assert_null(must_open(f, &c));
    assert_int_equal(f->warnings, 2);
    c = config_of(f, 2);
    c.limit = 100; /* less than the index */
    assert_null(must_open(f, &c));
    assert_int_equal(f->warnings, 3);
    assert_non_null(strstr(f->last, "no room for the index of 9 clips"));
}

/* Whether anybody holds the folder's lock. */
static bool lock_is_free(fixture *f) {
    const int fd = open(temp_path(&f->folder, "clips/lock"), O_RDWR);
    assert_true(fd >= 0);
    const bool alone = flock(fd, LOCK_EX | LOCK_NB) == 0;
    close(fd);
    return alone;
}

static void stops_at_the_limit(void **state) {
    fixture *f = *state;
    tub__clip_cache_config c = config_of(f, 1), more = config_of(f, 2);
    c.limit = 1 << 20; /* the long record and what comes after it don't fit */
    tub__clip_cache *cache = must_open(f, &c);
    assert_int_equal(stream(f, cache), SET);
    assert_false(tub__clip_cache_takes(cache));
    assert_true(lock_is_free(f));
    for (int pass = 0; pass < 2; pass++) {
        assert_int_equal(stream(f, cache), SET - 3);
        tub__clip_cache_tell(cache);
    }
    assert_int_equal(f->info, 1);
    assert_non_null(strstr(f->last, "limit of 1048576: "));
    assert_true(file_bytes(file_of(f, 1)) < c.limit);
    /* Others can work in the folder, with whoever gave up still there. */
    more.impatient = true;
    assert_int_equal(open_and_stream(f, &more), SET);
    assert_int_equal(open_and_stream(f, &more), 0);
    assert_true(lock_is_free(f));
    tub__clip_cache_close(cache);
    c.limit = 100 << 20;
    assert_int_equal(open_and_stream(f, &c), SET - 3);
    assert_int_equal(open_and_stream(f, &c), 0);
}

static void set_age(fixture *f, unsigned char key, time_t used) {
    const struct timespec times[2] = {{.tv_sec = used}, {.tv_sec = used}};
    assert_int_equal(utimensat(AT_FDCWD, file_of(f, key), times, 0), 0);
}

static void removes_what_was_used_longest_ago(void **state) {
    fixture *f = *state;
    tub__clip_cache_config c = config_of(f, 1);
    for (unsigned char key = 1; key <= 4; key++) {
        c = config_of(f, key);
        assert_int_equal(open_and_stream(f, &c), SET);
        set_age(f, key, 1000 + (key == 2 ? 0 : key)); /* 2, 1, 3, 4 */
    }
    assert_int_equal(tub__file_write(&tub__default_allocator,
                                     temp_path(&f->folder, "clips/mine.clips"), "x", 1, NULL),
                     TUB_OK); /* not the name of a set: it stays */
    const uint64_t one = file_bytes(file_of(f, 1));
    const tub__clip_cache_config used = config_of(f, 1);
    tub__clip_cache *open = must_open(f, &used);
    set_age(f, 1, 10); /* the oldest, but somebody has it open */
    c = config_of(f, 5);
    c.limit = 4 * one + one / 2;
    assert_int_equal(open_and_stream(f, &c), SET);
    assert_true(tub__file_exists(file_of(f, 1)));
    assert_false(tub__file_exists(file_of(f, 2)));
    assert_true(tub__file_exists(file_of(f, 3)) && tub__file_exists(file_of(f, 4)));
    assert_int_equal(stream(f, open), 0);
    tub__clip_cache_close(open);
    set_age(f, 1, 10);
    c.limit = 2 * one + one / 2;
    assert_int_equal(open_and_stream(f, &c), 0); /* opening it is enough for a lower limit */
    assert_false(tub__file_exists(file_of(f, 1)) || tub__file_exists(file_of(f, 3)));
    assert_true(tub__file_exists(file_of(f, 4)) && tub__file_exists(file_of(f, 5)));
    assert_true(tub__file_exists(temp_path(&f->folder, "clips/mine.clips")));
    assert_int_equal(f->info + f->warnings, 0);
}

/* A process that was stopped while it held the lock. */
static void does_not_hang_on_a_lock(void **state) {
    fixture *f = *state;
    tub__clip_cache_config c = config_of(f, 1);
    c.impatient = true;
    tub__clip_cache *cache = must_open(f, &c);
    const int fd = open(temp_path(&f->folder, "clips/lock"), O_RDWR);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(stream(f, cache), SET);
    assert_int_equal(stream(f, cache), SET); /* nothing was kept */
    const tub__clip_cache_config second = {
        .folder = c.folder, .count = 1, .limit = 1 << 20, .impatient = true};
    assert_null(must_open(f, &second));
    assert_int_equal(f->warnings, 1);
    close(fd);
    assert_int_equal(stream(f, cache), SET);
    assert_int_equal(stream(f, cache), 0);
    tub__clip_cache_close(cache);
}

static void processes_share_a_set(void **state) {
    fixture *f = *state;
    const tub__clip_cache_config c = config_of(f, 1);
    pid_t children[3];
    for (int k = 0; k < 3; k++) {
        children[k] = fork();
        if (children[k] == 0) {
            tub__clip_cache *cache = must_open(f, &c);
            (void)stream(f, cache);
            const int made = stream(f, cache);
            tub__clip_cache_close(cache);
            _exit(made == 0 ? 0 : 1);
        }
    }
    for (int k = 0; k < 3; k++) {
        int status = 0;
        assert_int_equal(waitpid(children[k], &status, 0), children[k]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    assert_int_equal(open_and_stream(f, &c), 0);
    /* Nobody wrote what another had written. */
    uint64_t most = 64 + 32 * SET + 64;
    for (size_t i = 0; i < SET; i++) {
        most += (record_bytes(i) + 63) / 64 * 64;
    }
    assert_true(file_bytes(file_of(f, 1)) <= most);
}

typedef struct visitor {
    pthread_t thread;
    tub__clip_cache *cache;
    size_t first;
    int wrong;
} visitor;

static void *visit(void *argument) {
    visitor *v = argument;
    unsigned char *own = malloc(LONGEST);
    for (size_t n = 0; n < 3 * SET; n++) {
        const size_t i = (v->first + n) % SET;
        const void *data = NULL;
        size_t bytes = 0;
        make_record(i, own);
        if (!tub__clip_cache_get(v->cache, i, &data, &bytes)) {
            tub__clip_cache_put(v->cache, i, own, record_bytes(i));
        } else if (bytes != record_bytes(i) || memcmp(data, own, bytes) != 0) {
            v->wrong++;
        }
    }
    free(own);
    return NULL;
}

static void threads_share_a_cache(void **state) {
    fixture *f = *state;
    const tub__clip_cache_config c = config_of(f, 1);
    visitor visitors[4];
    tub__clip_cache *cache = must_open(f, &c);
    for (size_t k = 0; k < 4; k++) {
        visitors[k] = (visitor){.cache = cache, .first = 2 * k};
        assert_int_equal(pthread_create(&visitors[k].thread, NULL, visit, &visitors[k]), 0);
    }
    for (size_t k = 0; k < 4; k++) {
        pthread_join(visitors[k].thread, NULL);
        assert_int_equal(visitors[k].wrong, 0);
    }
    assert_int_equal(stream(f, cache), 0);
    tub__clip_cache_close(cache);
}

/* --- the first pass ------------------------------------------------------------------------- */

typedef struct maker {
    fixture *f;
    tub__clip_cache *cache;
    unsigned char *room[3]; /* one a worker */
    bool bad[SET];
    size_t stop_at;
    int calls[SET];
} maker;

static tub_status make_one(void *user, size_t i, int worker, tub_error *err) {
    maker *m = user;
    m->calls[i]++; /* each record by one thread */
    if (m->bad[i]) {
        err->status = TUB_E_FORMAT;
        snprintf(err->message, sizeof err->message, "clip %zu is broken", i);
        return TUB_E_FORMAT;
    }
    make_record(i, m->room[worker]);
    tub__clip_cache_put(m->cache, i, m->room[worker], record_bytes(i));
    return TUB_OK;
}

static maker maker_of(fixture *f, const tub__clip_cache_config *c) {
    maker m = {.f = f, .cache = must_open(f, c)};
    for (int k = 0; k < 3; k++) {
        m.room[k] = malloc(LONGEST);
    }
    return m;
}

static void drop(maker *m) {
    tub__clip_cache_close(m->cache);
    for (int k = 0; k < 3; k++) {
        free(m->room[k]);
    }
}

static void fills_what_is_missing(void **state) {
    fixture *f = *state;
    const tub__clip_cache_config c = config_of(f, 1);
    tub_error e;
    maker m = maker_of(f, &c);
    make_record(4, f->made);
    tub__clip_cache_put(m.cache, 4, f->made, record_bytes(4));
    assert_ok(tub__clip_cache_fill(f->ctx, m.cache, NULL, "set", make_one, &m, &e), e);
    for (int i = 0; i < SET; i++) {
        assert_int_equal(m.calls[i], i != 4);
    }
    assert_true(f->clips_told >= 2);
    assert_true(f->last_done == SET - 1 && f->last_total == SET - 1);
    const int told = f->clips_told;
    assert_ok(tub__clip_cache_fill(f->ctx, m.cache, NULL, "set", make_one, &m, &e), e);
    assert_int_equal(f->clips_told, told); /* nothing to do, nothing to tell */
    assert_int_equal(stream(f, m.cache), 0);
    drop(&m);
}

static void fills_up_to_the_limit(void **state) {
    fixture *f = *state;
    tub__clip_cache_config c = config_of(f, 1);
    tub_error e;
    c.limit = 1 << 20;
    maker m = maker_of(f, &c);
    assert_ok(tub__clip_cache_fill(f->ctx, m.cache, NULL, "set", make_one, &m, &e), e);
    assert_int_equal(f->info, 1);
    assert_true(f->last_done == f->last_total);
    assert_true(stream(f, m.cache) >= 1);
    assert_ok(tub__clip_cache_fill(f->ctx, m.cache, NULL, "set", make_one, &m, &e), e);
    assert_int_equal(f->info, 1);
    drop(&m);
}

static void tells_the_first_broken_clip(void **state) {
    fixture *f = *state;
    for (unsigned char round = 1; round <= 5; round++) {
        const tub__clip_cache_config c = config_of(f, round);
        tub_error e;
        maker m = maker_of(f, &c);
        m.bad[round] = m.bad[6] = m.bad[SET - 1] = true;
        assert_int_equal(tub__clip_cache_fill(f->ctx, m.cache, NULL, "set", make_one, &m, &e),
                         TUB_E_FORMAT);
        char want[40];
        snprintf(want, sizeof want, "clip %d is broken", round);
        assert_string_equal(e.message, want);
        drop(&m);
    }
}

static void stops_when_asked_to(void **state) {
    fixture *f = *state;
    const tub__clip_cache_config c = config_of(f, 1);
    tub_error e = {0};
    maker m = maker_of(f, &c);
    f->ctx->stop = 1;
    const tub_status status = tub__clip_cache_fill(f->ctx, m.cache, NULL, "set", make_one, &m, &e);
    f->ctx->stop = 0;
    /* The other workers may have made all before the calling thread came to look. */
    assert_true(status == TUB_OK || status == TUB_E_CANCELLED);
    if (status == TUB_E_CANCELLED) {
        assert_string_equal(
            e.message, "set: stopped while its clips were prepared; those that are done are kept");
    }
    drop(&m);
}

static tub_status use_once(const tub_allocator *a, void *user, tub_error *err) {
    fixture *f = user;
    const tub__clip_cache_config c = config_of(f, 7);
    struct tub_context small = {.allocator = *a}; /* all that the cache wants of a context */
    tub__clip_cache *cache = NULL;
    tub_status status = tub__clip_cache_open(&small, &c, &cache, err);
    tub__clip_cache_put(cache, 0, "x", 1);
    tub__clip_cache_close(cache);
    return status;
}

static void survives_failing_allocations(void **state) {
    failing_report report = failing_run(use_once, *state);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations >= 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(keeps_what_was_put),           TEST(gives_records_of_this_pass),
        TEST(is_nothing_when_switched_off), TEST(goes_on_without_a_folder),
        TEST(stops_at_the_limit),           TEST(removes_what_was_used_longest_ago),
        TEST(does_not_hang_on_a_lock),      TEST(processes_share_a_set),
        TEST(threads_share_a_cache),        TEST(fills_what_is_missing),
        TEST(fills_up_to_the_limit),        TEST(tells_the_first_broken_clip),
        TEST(stops_when_asked_to),          TEST(survives_failing_allocations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
