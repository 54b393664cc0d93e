/* SPDX-License-Identifier: Apache-2.0 */
/* A run that is killed or stopped, and resumed, ends as the uninterrupted one; and what else a
 * run promises to its folder. */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "training.h"

static tub_train_config recipe(void) {
    tub_train_config c = small_recipe();
    c.epochs = 6;
    c.batch_size = 8; /* six steps an epoch */
    c.checkpoint_every = 4;
    return c;
}

static int set_up(void **state) {
    (void)state;
    if (scratch_make() == NULL) {
        return -1;
    }
    tub_train_config c = recipe();
    must_run(&c, &plainly, scratch("reference"));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    scratch_remove();
    return 0;
}

/* Kills the process at its n-th event of any kind that happens while a run is under way. */
static void kill_at(void *user, const tub_event *event) {
    int *left = user;
    if (event->kind != TUB_EVENT_LOG && --*left == 0) {
        raise(SIGKILL);
    }
}

/* Trains or resumes in a child, with recipe() where c is NULL; true when it ended by itself (and
 * well), false when it was killed. delay >= 0: the parent kills after so many microseconds. */
static bool child_of(const tub_train_config *c, const char *folder, bool resume, int events,
                     int delay) {
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        tub_train_config usual = recipe();
        tub_error err = {0};
        tub_status status =
            run(c != NULL ? c : &usual, &plainly, folder, resume, kill_at, &events, NULL, &err);
        if (status != TUB_OK) {
            fprintf(stderr, "%s\n", err.message);
        }
        _exit(status == TUB_OK ? 0 : 1);
    }
    if (delay >= 0) {
        nanosleep(&(struct timespec){.tv_sec = delay / 1000000, .tv_nsec = delay % 1000000 * 1000L},
                  NULL);
        kill(pid, SIGKILL);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status)) {
        assert_int_equal(WEXITSTATUS(status), 0);
        return true;
    }
    assert_int_equal(WTERMSIG(status), SIGKILL);
    return false;
}

static bool child(const char *folder, bool resume, int events, int delay) {
    return child_of(NULL, folder, resume, events, delay);
}

static bool is_run(const char *folder) {
    char path[2048];
    snprintf(path, sizeof path, "%s/recipe.yaml", folder);
    return tub__file_exists(path);
}

static void assert_clean(const char *folder) {
    char inside[2048];
    assert_int_equal(count_temporaries(folder), 0);
    snprintf(inside, sizeof inside, "%s/checkpoint", folder);
    assert_int_equal(count_temporaries(inside), 0);
}

/* A kill at every event of the run in turn: start, each step, each checkpoint (written, not yet
 * told), each epoch, the end. */
static void killed_at_every_event(void **state) {
    (void)state;
    int kills = 0;
    for (int events = 1;; events++) {
        char name[32];
        snprintf(name, sizeof name, "killed-%d", events);
        bool ended = child(scratch(name), false, events, -1);
        if (!ended) {
            kills++;
            assert_true(is_run(scratch(name))); /* the configuration is there before step 1 */
            assert_true(child(scratch(name), true, 0, -1));
        }
        assert_same_run(scratch("reference"), scratch(name));
        assert_clean(scratch(name));
        assert_int_equal(tub__folder_remove(&tub__default_allocator, scratch(name), NULL), TUB_OK);
        if (ended) {
            break;
        }
    }
    print_message("%d kills\n", kills);
    assert_true(kills > 40);
}

/* One run, killed again and again a few events after each resume: it goes on as long as it gets
 * beyond a checkpoint. */
static void killed_again_and_again(void **state) {
    (void)state;
    bool ended = child(scratch("again"), false, 9, -1);
    int kills = 0;
    for (; !ended && kills < 50; kills++) {
        ended = child(scratch("again"), true, 8 + kills % 3, -1);
    }
    print_message("%d kills\n", kills);
    assert_true(ended && kills > 4);
    assert_same_run(scratch("reference"), scratch("again"));
}

static int microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int)(now.tv_sec % 1000 * 1000000 + now.tv_nsec / 1000);
}

/* Kills at random times: inside a write, a rename, a step. Runs are killed until they end by
 * themselves, and begun anew. */
static void killed_at_random_times(void **state) {
    (void)state;
    enum { KILLS = 40 };
    int begin = microseconds();
    assert_true(child(scratch("timed"), false, 0, -1));
    int whole = microseconds() - begin, kills = 0, runs = 0, before_run = 0;
    unsigned seed = 7;
    while (kills < KILLS) {
        const char *folder = scratch("random");
        bool ended = false;
        for (runs++; !ended;) {
            bool resume = is_run(folder);
            before_run += !resume;
            ended = child(folder, resume, 0, kills < KILLS ? rand_r(&seed) % whole : -1);
            kills += !ended;
        }
        assert_same_run(scratch("reference"), folder);
        assert_clean(folder);
        assert_int_equal(tub__folder_remove(&tub__default_allocator, folder, NULL), TUB_OK);
    }
    print_message("%d kills at random times in %d runs, %d starts of them anew\n", kills, runs,
                  before_run);
}

typedef struct stopper {
    tub_context *ctx;
    uint64_t step;
} stopper;

static void stop_at(void *user, const tub_event *event) {
    stopper *s = user;
    if (event->kind == TUB_EVENT_STEP && event->done == s->step) {
        tub_train_stop(s->ctx);
    }
}

static void stopped_and_resumed(void **state) {
    (void)state;
    static const uint64_t steps[] = {1, 5, 6, 35,
                                     36}; /* inside, at and after epochs, before and at the end */
    for (int i = 0; i < 5; i++) {
        stopper s = {NULL, steps[i]};
        tub_context_config context = tub_context_config_default();
        tub_train_config c = recipe();
        tub_train_result result;
        tub_error err = {0};
        context.threads = 2;
        context.on_event = stop_at;
        context.event_user = &s;
        assert_int_equal(tub_context_create(&context, &s.ctx, NULL), TUB_OK);
        if (tub_train(s.ctx, &c, NULL, scratch("stopped"), i > 0, &result, &err) != TUB_OK) {
            fail_msg("%s", err.message);
        }
        assert_int_equal(result.steps, steps[i]);
        assert_int_equal(result.stopped, steps[i] < 36);
        s.step = 0;
        assert_int_equal(tub_train_resume(s.ctx, scratch("stopped"), NULL, 0, &result, &err),
                         TUB_OK);
        assert_int_equal(result.steps, 36);
        assert_int_equal(result.stopped, 0);
        tub_context_destroy(s.ctx);
        assert_same_run(scratch("reference"), scratch("stopped"));
    }
}

/* Another split of the batch may take over: the checkpoint does not depend on it. */
static void resumed_with_other_ranks(void **state) {
    (void)state;
    assert_false(child(scratch("ranks"), false, 20, -1));
    tub_train_config c = recipe();
    c.epochs = 0;
    tub_error err = {0};
    if (run(&c, &(how){3, TUB_CPU_PORTABLE, 1, 1}, scratch("ranks"), true, NULL, NULL, NULL,
            &err) != TUB_OK) {
        fail_msg("%s", err.message);
    }
    assert_same_run(scratch("reference"), scratch("ranks"));
}

static void more_epochs_go_on(void **state) {
    (void)state;
    tub_train_config c = recipe();
    tub_train_result result;
    tub_error err = {0};
    c.schedule = TUB_CONSTANT;
    must_run(&c, &plainly, scratch("longer"));
    c.epochs = 9;
    must_run(&c, &plainly, scratch("nine"));
    assert_int_equal(run(&c, &plainly, scratch("longer"), true, NULL, NULL, &result, &err), TUB_OK);
    assert_int_equal(result.epochs, 9);
    assert_same_run(scratch("nine"), scratch("longer"));
    c.epochs = 4;
    assert_int_equal(run(&c, &plainly, scratch("longer"), true, NULL, NULL, &result, &err),
                     TUB_E_ARGUMENT);
    assert_non_null(strstr(err.message, "9 epochs already"));
}

static void max_steps_and_patience(void **state) {
    (void)state;
    tub_train_config c = recipe();
    tub_train_result result;
    tub_error err = {0};
    c.max_steps = 8;
    assert_int_equal(run(&c, &plainly, scratch("max"), false, NULL, NULL, &result, &err), TUB_OK);
    assert_int_equal(result.steps, 8);
    assert_int_equal(result.stopped, 0);
    c.epochs = 0;
    assert_int_equal(run(&c, &plainly, scratch("max"), true, NULL, NULL, &result, &err), TUB_OK);
    assert_int_equal(result.steps, 8);

    c = recipe();
    c.lr = 0.0; /* nothing gets better after the first epoch */
    c.warmup_epochs = 0.0;
    c.patience = 2;
    assert_int_equal(run(&c, &plainly, scratch("patience"), false, NULL, NULL, &result, &err),
                     TUB_OK);
    assert_int_equal(result.epochs, 3);
    assert_int_equal(result.best_epoch, 1);

    /* More epochs give the patience back, and a kill right after that takes nothing away. */
    c.epochs = 9;
    assert_false(child_of(&c, scratch("patience"), true, 1, -1));
    c.epochs = 0;
    assert_int_equal(run(&c, &plainly, scratch("patience"), true, NULL, NULL, &result, &err),
                     TUB_OK);
    assert_int_equal(result.epochs, 5);
}

/* At the first step of a run: nobody else may resume or replace it. */
static void intrude(void *user, const tub_event *event) {
    int *refused = user;
    if (event->kind != TUB_EVENT_STEP || event->done != 1) {
        return;
    }
    tub_train_config c = recipe();
    tub_context *ctx = NULL;
    tub_error err = {0};
    assert_int_equal(tub_context_create(NULL, &ctx, NULL), TUB_OK);
    *refused += tub_train_resume(ctx, scratch("busy"), NULL, 0, NULL, &err) == TUB_E_EXISTS;
    assert_non_null(strstr(err.message, "another process is at work"));
    *refused += tub_train(ctx, &c, NULL, scratch("busy"), 1, NULL, &err) == TUB_E_EXISTS;
    tub_context_destroy(ctx);
}

/* At the first log line: somebody else trains into the folder that is only about to be made. */
static void come_first(void *user, const tub_event *event) {
    bool *there = user;
    if (event->kind == TUB_EVENT_LOG && !*there) {
        tub_train_config c = recipe();
        *there = true;
        must_run(&c, &plainly, scratch("late"));
    }
}

/* Force replaces the run that was there at the beginning, no other. */
static void force_meets_a_new_run(void **state) {
    (void)state;
    tub_train_config c = recipe();
    tub_error err = {0};
    tub_context *ctx = NULL;
    tub_dataset *data = NULL;
    bool there = false;
    tub_context_config context = tub_context_config_default();
    context.on_event = come_first;
    context.event_user = &there;
    assert_int_equal(tub_context_create(&context, &ctx, NULL), TUB_OK);
    assert_int_equal(tub_dataset_open(ctx, c.data, NULL, &data, NULL), TUB_OK);
    ((tub_dataset_info *)tub_dataset_describe(data))->count[TUB_VAL] = 0; /* worth a log line */
    assert_int_equal(tub_train(ctx, &c, data, scratch("late"), 1, NULL, &err), TUB_E_EXISTS);
    assert_true(there);
    assert_same_run(scratch("reference"), scratch("late"));
    tub_dataset_close(data);
    tub_context_destroy(ctx);
}

static void one_at_a_time(void **state) {
    (void)state;
    tub_train_config c = recipe();
    tub_error err = {0};
    int refused = 0;
    if (run(&c, &plainly, scratch("busy"), false, intrude, &refused, NULL, &err) != TUB_OK) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(refused, 2);
    assert_same_run(scratch("reference"), scratch("busy"));
    assert_int_equal(run(&c, &plainly, scratch("busy"), true, NULL, NULL, NULL, &err), TUB_OK);
}

/* Without a val split there is no best model, and settings that need one are refused. */
static void no_validation_split(void **state) {
    (void)state;
    tub_train_config c = recipe();
    tub_train_result result;
    tub_error err = {0};
    tub_context *ctx = NULL;
    tub_dataset *data = NULL;
    assert_int_equal(tub_context_create(NULL, &ctx, NULL), TUB_OK);
    assert_int_equal(tub_dataset_open(ctx, c.data, NULL, &data, NULL), TUB_OK);
    ((tub_dataset_info *)tub_dataset_describe(data))->count[TUB_VAL] =
        0; /* files always have one */
    assert_int_equal(tub_train(ctx, &c, data, scratch("no-val"), 0, &result, &err), TUB_OK);
    assert_true(result.val.loss != result.val.loss && result.best_epoch == 0);
    assert_false(tub__file_exists(scratch("no-val/best")));
    char *log = log_without_time(scratch("no-val"));
    assert_non_null(strstr(log, ",,,,"));
    free(log);
    c.patience = 2;
    assert_int_equal(tub_train(ctx, &c, data, scratch("no-val-2"), 0, &result, &err),
                     TUB_E_ARGUMENT);
    assert_non_null(strstr(err.message, "val split is empty"));
    assert_false(tub__file_exists(scratch("no-val-2")));
    tub_dataset_close(data);
    tub_context_destroy(ctx);
}

static void existing_folders_are_safe(void **state) {
    (void)state;
    tub_train_config c = recipe();
    tub_error err = {0};
    char before[65], after[65];
    file_hash(scratch("reference"), "checkpoint/state.safetensors", before);
    assert_int_equal(run(&c, &plainly, scratch("reference"), false, NULL, NULL, NULL, &err),
                     TUB_E_EXISTS);
    file_hash(scratch("reference"), "checkpoint/state.safetensors", after);
    assert_string_equal(before, after);

    /* Force replaces runs, and nothing else. */
    assert_int_equal(tub__folder_create(scratch("precious"), &err), TUB_OK);
    tub_context *ctx = NULL;
    assert_int_equal(tub_context_create(NULL, &ctx, NULL), TUB_OK);
    assert_int_equal(tub_train(ctx, &c, NULL, scratch("precious"), 1, NULL, &err), TUB_E_EXISTS);
    assert_true(tub__is_folder(scratch("precious")));
    assert_int_equal(tub_train_resume(ctx, scratch("precious"), NULL, 0, NULL, &err),
                     TUB_E_NOT_FOUND);
    tub_context_destroy(ctx);
}

static void nan_stops_with_a_sentence(void **state) {
    (void)state;
    tub_train_config c = recipe();
    tub_error err = {0};
    c.optimizer = TUB_SGD;
    c.clip_norm = 0.0;
    c.lr = 1000.0;
    c.warmup_epochs = 0.0;
    c.schedule = TUB_CONSTANT;
    c.weight_decay = 0.0;
    c.momentum = 1.0;
    c.epochs = 100;
    assert_int_equal(run(&c, &plainly, scratch("nan"), false, NULL, NULL, NULL, &err),
                     TUB_E_NUMERIC);
    print_message("%s\n", err.message);
    assert_non_null(strstr(err.message, "not a finite number"));
    assert_clean(scratch("nan"));
}

static void edited_recipes_are_noticed(void **state) {
    (void)state;
    tub_train_config c = recipe();
    tub_error err = {0};
    must_run(&c, &plainly, scratch("edited"));
    char path[1024], *text = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "%s/recipe.yaml", scratch("edited"));
    assert_int_equal(tub__file_read(&tub__default_allocator, path, 1 << 20, &text, &size, NULL),
                     TUB_OK);
    char *lr = strstr(text, "\"momentum\": 0.9");
    assert_non_null(lr);
    lr[strlen("\"momentum\": 0.")] = '8';
    assert_int_equal(tub__file_write(&tub__default_allocator, path, text, size, NULL), TUB_OK);
    c.epochs = 0;
    assert_int_equal(run(&c, &plainly, scratch("edited"), true, NULL, NULL, NULL, &err),
                     TUB_E_ARGUMENT);
    assert_non_null(strstr(err.message, "other settings"));
    lr[strlen("\"momentum\": 0.")] = 'x';
    assert_int_equal(tub__file_write(&tub__default_allocator, path, text, size, NULL), TUB_OK);
    assert_int_not_equal(run(&c, &plainly, scratch("edited"), true, NULL, NULL, NULL, &err),
                         TUB_OK);
    tub__free(&tub__default_allocator, text);
}

/* A checkpoint that is damaged anywhere is refused with a sentence, and the run is left alone. */
static void damaged_checkpoints_are_refused(void **state) {
    (void)state;
    tub_train_config c = recipe();
    tub_error err = {0};
    must_run(&c, &plainly, scratch("damaged"));
    char path[1024], *bytes = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "%s/checkpoint/state.safetensors", scratch("damaged"));
    assert_int_equal(tub__file_read(&tub__default_allocator, path, 1 << 26, &bytes, &size, NULL),
                     TUB_OK);
    c.epochs = 7;
    static const size_t cuts[] = {0, 7, 100, 5000};
    for (int i = 0; i < 5; i++) {
        size_t keep = i < 4 ? cuts[i] : size - 1;
        assert_int_equal(tub__file_write(&tub__default_allocator, path, bytes, keep, NULL), TUB_OK);
        err.message[0] = '\0';
        assert_int_not_equal(run(&c, &plainly, scratch("damaged"), true, NULL, NULL, NULL, &err),
                             TUB_OK);
        assert_non_null(strstr(err.message, "state.safetensors"));
    }
    assert_int_equal(tub__file_write(&tub__default_allocator, path, bytes, size, NULL), TUB_OK);
    assert_int_equal(run(&c, &plainly, scratch("damaged"), true, NULL, NULL, NULL, &err), TUB_OK);
    tub__free(&tub__default_allocator, bytes);
}

/* In a child with mounts of its own: a run on a small disk, the disk filled up, resumed in vain,
 * room made, resumed. Returns the name of what went wrong, or NULL. */
static const char *fill_the_disk(const char *disk) {
    char folder[1024], filler[1024], block[4096] = {1};
    snprintf(folder, sizeof folder, "%s/run", disk);
    snprintf(filler, sizeof filler, "%s/filler", disk);
    if (child(folder, false, 20, -1) || !is_run(folder)) {
        return "the run on the small disk was not killed inside";
    }
    int fd = open(filler, O_CREAT | O_WRONLY, 0666);
    while (write(fd, block, sizeof block) > 0) {
    }
    close(fd);
    tub_error err = {0};
    if (run(NULL, &plainly, folder, true, NULL, NULL, NULL, &err) != TUB_E_IO) {
        return "a full disk did not fail with TUB_E_IO";
    }
    print_message("%s\n", err.message);
    unlink(filler);
    if (run(NULL, &plainly, folder, true, NULL, NULL, NULL, NULL) != TUB_OK) {
        return "the run could not go on";
    }
    assert_same_run(scratch("reference"), folder);
    assert_clean(folder);
    return NULL;
}

static void a_full_disk_keeps_the_checkpoint(void **state) {
    (void)state;
    enum { SKIP = 77 };
    assert_int_equal(mkdir(scratch("small"), 0777), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        int spaces = geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER;
        if (unshare(spaces) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("none", scratch("small"), "tmpfs", 0, "size=1500k") != 0) {
            _exit(SKIP);
        }
        const char *wrong = fill_the_disk(scratch("small"));
        if (wrong != NULL) {
            fprintf(stderr, "%s\n", wrong);
        }
        _exit(wrong != NULL);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIP) {
        print_message("skip: no tmpfs may be mounted here\n");
        return;
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_every_event),
        cmocka_unit_test(killed_again_and_again),
        cmocka_unit_test(killed_at_random_times),
        cmocka_unit_test(stopped_and_resumed),
        cmocka_unit_test(resumed_with_other_ranks),
        cmocka_unit_test(more_epochs_go_on),
        cmocka_unit_test(max_steps_and_patience),
        cmocka_unit_test(one_at_a_time),
        cmocka_unit_test(force_meets_a_new_run),
        cmocka_unit_test(no_validation_split),
        cmocka_unit_test(existing_folders_are_safe),
        cmocka_unit_test(nan_stops_with_a_sentence),
        cmocka_unit_test(edited_recipes_are_noticed),
        cmocka_unit_test(damaged_checkpoints_are_refused),
        cmocka_unit_test(a_full_disk_keeps_the_checkpoint),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
