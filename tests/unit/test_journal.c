/* SPDX-License-Identifier: Apache-2.0 */
/* The journal of a sweep: what was written is there after a kill at any write, wait for the disk
 * or removal that SQLite does; two can't have it; damaged files are refused. */
#include "cmocka_all.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <tubelet/tubelet.h>
#include <unistd.h>

#include "base/context.h"
#include "failing_alloc.h"
#include "temp_folder.h"

/* ---- Calls of SQLite that change the disk: the n-th one is not reached any more ---- */

static long calls, kill_at;

static void count_call(void) {
    if (++calls == kill_at) {
        raise(SIGKILL);
    }
}

/* Of this program, so that they stand before libc's, also for the module's library. */
ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at);
ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) {
    count_call();
    return syscall(SYS_pwrite64, fd, bytes, size, at);
}
int fdatasync(int fd) {
    count_call();
    return (int)syscall(SYS_fdatasync, fd);
}
int fsync(int fd) {
    count_call();
    return (int)syscall(SYS_fsync, fd);
}
int ftruncate64(int fd, off64_t size) {
    count_call();
    return (int)syscall(SYS_ftruncate, fd, size);
}
int unlink(const char *path) {
    count_call();
    return (int)syscall(SYS_unlink, path);
}

/* ---- What is done, and what must be there ---- */

static tub_context *context;
static char path[512];

enum { STEPS = 12 };

/* Step number `step` of a small sweep. */
static tub_status do_step(tub_journal *j, int step, tub_error *err) {
    switch (step) {
    case 0:
        return tub_journal_put(j, "sweep", "{\"method\": \"random\"}", err);
    case 1:
        return tub_journal_add(j, "{\"a\": 1}", err);
    case 2:
        return tub_journal_report(j, 0, 0.5, err);
    case 3:
        return tub_journal_add(j, "{\"a\": 2}", err);
    case 4:
        return tub_journal_report(j, 1, 0.25, err);
    case 5:
        return tub_journal_report(j, 0, NAN, err);
    case 6:
        return tub_journal_report(j, 0, 0.125, err);
    case 7:
        return tub_journal_end(j, 0, TUB_TRIAL_FINISHED, 1.5, NULL, err);
    case 8:
        return tub_journal_end(j, 1, TUB_TRIAL_STOPPED, 2.5, "worse", err);
    case 9:
        return tub_journal_add(j, "{\"a\": 3}", err);
    case 10:
        return tub_journal_end(j, 2, TUB_TRIAL_FAILED, 0, "no memory", err);
    default:
        return tub_journal_put(j, "sweep", "{}", err);
    }
}

/* The journal is exactly as after so many steps. */
static bool is_after(const tub_journal *j, int steps, const char *fact) {
    int64_t count;
    const tub_trial *t = tub_journal_trials(j, &count);
    const int64_t reports = (steps > 2) + (steps > 5) + (steps > 6);
    const char *known = steps > 11 ? "{}" : "{\"method\": \"random\"}";
    bool right = count == (steps > 1) + (steps > 3) + (steps > 9) &&
                 (fact != NULL) == (steps > 0) && (fact == NULL || strcmp(fact, known) == 0);
    if (right && count > 0) {
        right = t[0].steps == reports && strcmp(t[0].parameters, "{\"a\": 1}") == 0 &&
                (t[0].state == TUB_TRIAL_FINISHED) == (steps > 7) &&
                (reports < 1 || t[0].history[0] == 0.5) &&
                (reports < 2 || isnan(t[0].history[1])) &&
                (reports < 3 || t[0].history[2] == 0.125) &&
                tub_journal_seconds(j, 0) == (steps > 7 ? 1.5 : 0);
    }
    if (right && count > 1) {
        const char *note = tub_journal_note(j, 1);
        right = t[1].steps == (steps > 4) && (t[1].state == TUB_TRIAL_STOPPED) == (steps > 8) &&
                (note != NULL) == (steps > 8);
    }
    if (right && count > 2) {
        right = (t[2].state == TUB_TRIAL_FAILED) == (steps > 10);
    }
    return right;
}

static bool journal_is_after(int steps) {
    tub_journal *j = NULL;
    tub_error err = {0};
    char *fact = NULL;
    if (tub_journal_open(context, path, &j, &err) != TUB_OK ||
        tub_journal_get(context, j, "sweep", &fact, &err) != TUB_OK) {
        fail_msg("%s", err.message);
    }
    const bool right = is_after(j, steps, fact);
    tub_sweep_text_free(context, fact);
    tub_journal_close(j);
    return right;
}

/* In a process of its own; after each step one byte says that it is done. */
static void child(int told) {
    tub_journal *j = NULL;
    if (tub_journal_open(context, path, &j, NULL) != TUB_OK) {
        _exit(2);
    }
    for (int i = 0; i < STEPS; i++) {
        if (do_step(j, i, NULL) != TUB_OK || write(told, "x", 1) != 1) {
            _exit(3);
        }
    }
    tub_journal_close(j);
    _exit(0);
}

/* Kills a process at call number n. Returns the steps that it told of; *done: it came to its
 * end. */
static int run_killed(long n, bool *done) {
    int ends[2], status = 0, steps = 0;
    char byte;
    assert_int_equal(pipe(ends), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        calls = 0;
        kill_at = n;
        child(ends[1]);
    }
    close(ends[1]);
    while (read(ends[0], &byte, 1) == 1) {
        steps++;
    }
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    *done = WIFEXITED(status);
    assert_true(*done ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGKILL);
    return steps;
}

static void remove_journal(void) {
    char rest[600];
    remove(path);
    snprintf(rest, sizeof rest, "%s-journal", path);
    remove(rest);
}

static void test_kills(void **state) {
    (void)state;
    bool done = false;
    long kills = 0;
    for (long n = 1; !done; n++) {
        remove_journal();
        const int steps = run_killed(n, &done);
        /* What was told is there; of the step that was going on all or nothing. */
        if (!journal_is_after(steps) && !(steps < STEPS && journal_is_after(steps + 1))) {
            fail_msg("killed at call %ld, after %d steps: the journal is another", n, steps);
        }
        kills += !done;
    }
    print_message("%ld kills\n", kills);
    assert_true(kills > 3 * STEPS); /* each step changes the disk several times */
    assert_true(journal_is_after(STEPS));
    remove_journal();
}

/* A checker that finds nothing wrong would be none. */
static void test_control(void **state) {
    (void)state;
    bool done;
    remove_journal();
    assert_int_equal(run_killed(0, &done), STEPS);
    for (int i = 0; i < STEPS; i++) {
        assert_false(journal_is_after(i));
    }
    remove_journal();
}

static void test_one_at_a_time(void **state) {
    (void)state;
    int ready[2], end[2], status = 0;
    char byte;
    tub_journal *j = NULL;
    tub_error err = {0};
    remove_journal();
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(end), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        const bool fine = tub_journal_open(context, path, &j, NULL) == TUB_OK &&
                          write(ready[1], "x", 1) == 1 && read(end[0], &byte, 1) == 1;
        _exit(!fine);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(tub_journal_open(context, path, &j, &err), TUB_E_EXISTS);
    assert_non_null(strstr(err.message, "another sweep is at work on it"));
    assert_int_equal(write(end[1], "x", 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(tub_journal_open(context, path, &j, &err), TUB_OK);
    tub_journal_close(j);
    remove_journal();
}

static void write_file(const char *bytes, size_t size) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void test_damaged(void **state) {
    (void)state;
    static char bytes[1 << 16];
    tub_journal *j = NULL;
    tub_error err = {0};
    bool done;
    remove_journal();
    write_file("this is not a database, however long it may be: this is not a database", 70);
    assert_int_equal(tub_journal_open(context, path, &j, &err), TUB_E_FORMAT);
    assert_non_null(strstr(err.message, path));
    remove_journal();
    (void)run_killed(0, &done);
    FILE *file = fopen(path, "r");
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    /* Every page overwritten in turn: refused, or what it says is whole. */
    for (size_t at = 0; at < size; at += 256) {
        char copy[sizeof bytes];
        memcpy(copy, bytes, size);
        memset(copy + at, 0xff, 128);
        remove_journal();
        write_file(copy, size);
        if (tub_journal_open(context, path, &j, &err) == TUB_OK) {
            tub_journal_close(j);
        } else {
            assert_true(err.message[0] != '\0' && strchr(err.message, '\n') == NULL);
        }
    }
    remove_journal();
    assert_int_equal(tub_journal_open(context, "/nowhere/at/all", &j, &err), TUB_E_IO);
}

static void test_numbers(void **state) {
    (void)state;
    tub_journal *j = NULL;
    remove_journal();
    assert_int_equal(tub_journal_open(context, path, &j, NULL), TUB_OK);
    assert_int_equal(tub_journal_report(j, 0, 1, NULL), TUB_E_RANGE);
    assert_int_equal(tub_journal_end(j, -1, TUB_TRIAL_FAILED, 0, NULL, NULL), TUB_E_RANGE);
    assert_null(tub_journal_note(j, 0));
    assert_true(isnan(tub_journal_seconds(j, 0)));
    for (int i = 0; i < 40; i++) { /* grows */
        assert_int_equal(tub_journal_add(j, "{}", NULL), TUB_OK);
        assert_int_equal(tub_journal_report(j, 0, i, NULL), TUB_OK);
    }
    tub_journal_close(j);
    assert_int_equal(tub_journal_open(context, path, &j, NULL), TUB_OK);
    int64_t count;
    const tub_trial *trials = tub_journal_trials(j, &count);
    assert_int_equal(count, 40);
    assert_int_equal(trials[0].steps, 40);
    assert_true(trials[0].history[39] == 39);
    tub_journal_close(j);
    remove_journal();
}

/* ---- Allocations ---- */

static tub_status whole(const tub_allocator *a, void *user, tub_error *err) {
    tub_context other = *context; /* modules are open; only memory is another's */
    tub_journal *j = NULL;
    char *fact = NULL;
    (void)user;
    other.allocator = *a;
    remove_journal();
    tub_status status = tub_journal_open(&other, path, &j, err);
    for (int i = 0; i < STEPS && status == TUB_OK; i++) {
        status = do_step(j, i, err);
    }
    if (status == TUB_OK) {
        status = tub_journal_get(&other, j, "sweep", &fact, err);
    }
    tub_sweep_text_free(&other, fact);
    tub_journal_close(j);
    j = NULL;
    if (status == TUB_OK) {
        status = tub_journal_open(&other, path, &j, err); /* with trials to read */
        tub_journal_close(status == TUB_OK ? j : NULL);
    }
    return status;
}

static void test_failing_allocations(void **state) {
    (void)state;
    const failing_report report = failing_run(whole, NULL);
    if (report.problem[0] != '\0') {
        fail_msg("%s", report.problem);
    }
    assert_true(report.allocations > 20);
    remove_journal();
}

static temp_folder folder;

static int begin(void **state) {
    (void)state;
    temp_folder_make(&folder);
    snprintf(path, sizeof path, "%s", temp_path(&folder, "journal.sqlite"));
    return tub_context_create(NULL, &context, NULL) == TUB_OK ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    tub_context_destroy(context);
    temp_folder_drop(&folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kills),         cmocka_unit_test(test_control),
        cmocka_unit_test(test_one_at_a_time), cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_numbers),       cmocka_unit_test(test_failing_allocations)};
    return cmocka_run_group_tests_name("journal", tests, begin, end);
}
