/* SPDX-License-Identifier: Apache-2.0 */
/* What a run folder promises whatever happens around it: other processes, full disks, changed
 * data, edited recipes, damaged files. */
#include "cmocka_all.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "training.h"

/* The bytes of a file, the caller's. */
static void take_file(const char *path, char **bytes, size_t *size) {
    tub_error err = {0};
    assert_ok(tub__file_read(&tub__default_allocator, path, 1 << 26, bytes, size, &err), err);
}

static void put_file(const char *path, const char *bytes, size_t size) {
    tub_error err = {0};
    assert_ok(tub__file_write(&tub__default_allocator, path, bytes, size, &err), err);
}

/* At the first step of a run: nobody else may resume or replace it. */
static void intrude(void *user, const tub_event *event) {
    int *refused = user;
    if (event->kind != TUB_EVENT_STEP || event->done != 1) {
        return;
    }
    tub_train_config c = long_recipe();
    tub_context *ctx = NULL;
    tub_error err = {0};
    assert_int_equal(tub_context_create(NULL, &ctx, NULL), TUB_OK);
    *refused += tub_train_resume(ctx, "busy", NULL, 0, -1, NULL, &err) == TUB_E_EXISTS;
    assert_non_null(strstr(err.message, "another process is at work"));
    *refused += tub_train(ctx, &c, NULL, "busy", 1, NULL, &err) == TUB_E_EXISTS;
    tub_context_destroy(ctx);
}

/* At the first log line: somebody else trains into the folder that is only about to be made. */
static void come_first(void *user, const tub_event *event) {
    bool *there = user;
    if (event->kind == TUB_EVENT_LOG && !*there) {
        tub_train_config c = long_recipe();
        *there = true;
        must_run(&c, &plainly, "late");
    }
}

/* Force replaces the run that was there at the beginning, no other. */
static void force_meets_a_new_run(void **state) {
    (void)state;
    tub_train_config c = long_recipe();
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
    assert_int_equal(tub_train(ctx, &c, data, "late", 1, NULL, &err), TUB_E_EXISTS);
    assert_true(there);
    assert_same_run("reference", "late");
    tub_dataset_close(data);
    tub_context_destroy(ctx);
}

static void one_at_a_time(void **state) {
    (void)state;
    tub_train_config c = long_recipe();
    tub_error err = {0};
    int refused = 0;
    if (run(&c, &plainly, "busy", false, intrude, &refused, NULL, &err) != TUB_OK) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(refused, 2);
    assert_same_run("reference", "busy");
    assert_int_equal(run(&c, &plainly, "busy", true, NULL, NULL, NULL, &err), TUB_OK);
}

static void existing_folders_are_safe(void **state) {
    (void)state;
    tub_train_config c = long_recipe();
    tub_error err = {0};
    char before[65], after[65];
    file_hash("reference", "checkpoint/state.safetensors", before);
    assert_int_equal(run(&c, &plainly, "reference", false, NULL, NULL, NULL, &err), TUB_E_EXISTS);
    file_hash("reference", "checkpoint/state.safetensors", after);
    assert_string_equal(before, after);

    /* Force replaces runs, and nothing else. */
    assert_int_equal(tub__folder_create("precious", &err), TUB_OK);
    tub_context *ctx = NULL;
    assert_int_equal(tub_context_create(NULL, &ctx, NULL), TUB_OK);
    assert_int_equal(tub_train(ctx, &c, NULL, "precious", 1, NULL, &err), TUB_E_EXISTS);
    assert_true(tub__is_folder("precious"));
    assert_int_equal(tub_train_resume(ctx, "precious", NULL, 0, -1, NULL, &err), TUB_E_NOT_FOUND);
    tub_context_destroy(ctx);
}

/* What a kill left while a run of that name was made goes when the name is used again. */
static void leftovers_go(void **state) {
    (void)state;
    static const char left[] = "again.tubelet.tmp-abc123";
    tub_train_config c = long_recipe();
    tub_error err = {0};
    for (int resume = 0; resume < 2; resume++) {
        assert_int_equal(mkdir(left, 0777), 0);
        c.epochs = 2 + resume;
        assert_ok(run(&c, &plainly, "again", resume, NULL, NULL, NULL, &err), err);
        assert_false(tub__file_exists(left));
    }
}

/* A name that no rename can replace is refused before any work, and nothing changes. */
static void force_needs_the_folder_itself(void **state) {
    (void)state;
    static const char *const names[] = {"link", "link/", "forced/.", "forced/best/..", "."};
    tub_train_config c = long_recipe();
    tub_error err = {0};
    tub_context *ctx = NULL;
    c.epochs = 2;
    must_run(&c, &plainly, "forced");
    assert_int_equal(symlink("forced", "link"), 0);
    strcpy(c.data, "missing.npz"); /* would be the next thing to fail */
    assert_int_equal(tub_context_create(NULL, &ctx, NULL), TUB_OK);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        bool inside = strcmp(names[i], ".") == 0;
        assert_int_equal(chdir(inside ? "forced" : "."), 0);
        assert_int_equal(tub_train(ctx, &c, NULL, names[i], 1, NULL, &err), TUB_E_ARGUMENT);
        assert_non_null(strstr(err.message, "so it can't be replaced by force"));
        assert_int_equal(chdir(inside ? ".." : "."), 0);
    }
    assert_int_equal(tub_train(ctx, &c, NULL, "forced", 1, NULL, &err), TUB_E_NOT_FOUND);
    tub_context_destroy(ctx);
    assert_true(is_run("forced"));
}

/* Refused before any work, by the name of what would have gone; the results of an evaluation may
 * go. */
static void force_spares_what_is_not_the_runs(void **state) {
    (void)state;
    static const char *const foreign[] = {
        "notes.txt",         "best/notes.txt", "checkpoint/keep",    "eval-notes.txt",
        "scores_[AUC]1.csv", ".hidden",        "best/deeper/folder", "log.csv.old"};
    static const char *const own[] = {"eval-test.json", "eval-other-val-best.json",
                                      "tiny_test_[AUC]0.9_[ACC]0.8@last.csv", "best/eval-test.json",
                                      "log.csv.tubelet.tmp-abc123"};
    tub_train_config c = long_recipe();
    tub_error err = {0};
    tub_context *ctx = NULL;
    char path[256], before[65], after[65];
    c.epochs = 2;
    must_run(&c, &plainly, "full");
    file_hash("full", "checkpoint/state.safetensors", before);
    assert_int_equal(tub_context_create(NULL, &ctx, NULL), TUB_OK);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        snprintf(path, sizeof path, "full/%s", own[i]);
        put_file(path, "x", 1);
    }
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        snprintf(path, sizeof path, "full/%s", foreign[i]);
        bool deep = strcmp(foreign[i], "best/deeper/folder") == 0;
        if (deep) {
            assert_int_equal(mkdir("full/best/deeper", 0777), 0);
        }
        put_file(path, "x", 1);
        assert_int_equal(tub_train(ctx, &c, NULL, "full", 1, NULL, &err), TUB_E_EXISTS);
        snprintf(path, sizeof path, "full has %s in it,", deep ? "best/deeper" : foreign[i]);
        assert_non_null(strstr(err.message, path));
        snprintf(path, sizeof path, "full/%s", foreign[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir("full/best/deeper"), 0);
    file_hash("full", "checkpoint/state.safetensors", after);
    assert_string_equal(before, after);
    assert_ok(tub_train(ctx, &c, NULL, "full", 1, NULL, &err), err);
    assert_false(tub__file_exists("full/eval-test.json"));
    tub_context_destroy(ctx);
}

/* Wherever inside, and however the place is named; a recipe alone makes no run of the folder. */
static void no_run_inside_another(void **state) {
    (void)state;
    static const char *const names[] = {"outer/inner", "outer/best/inner", "outer/new/inner/",
                                        "beside/../outer/inner", "alias/inner"};
    tub_train_config c = long_recipe();
    tub_error err = {0};
    tub_context *ctx = NULL;
    c.epochs = 2;
    must_run(&c, &plainly, "outer");
    assert_int_equal(mkdir("beside", 0777), 0);
    assert_int_equal(symlink("outer", "alias"), 0);
    assert_int_equal(tub_context_create(NULL, &ctx, NULL), TUB_OK);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(tub_train(ctx, &c, NULL, names[i], 0, NULL, &err), TUB_E_EXISTS);
        assert_non_null(strstr(err.message, "would lie inside the run /"));
        assert_false(tub__file_exists(names[i]));
    }
    put_file("beside/recipe.yaml", "epochs: 1", 9);
    assert_ok(tub_train(ctx, &c, NULL, "beside/inner", 0, NULL, &err), err);
    tub_context_destroy(ctx);
}

/* The plan says what the run's recipe and its result say afterwards, and leaves nothing. */
static void plans_come_true(void **state) {
    (void)state;
    tub_train_config c = long_recipe(), made;
    tub_train_plan plan;
    tub_train_result result = {0};
    tub_error err = {0};
    tub_context *ctx = NULL;
    c.max_steps = 9;
    assert_int_equal(tub_context_create(NULL, &ctx, NULL), TUB_OK);
    assert_ok(tub_train_plan_of(ctx, &c, NULL, "planned", 0, &plan, &err), err);
    assert_false(tub__file_exists("planned"));
    assert_ok(run(&c, &plainly, "planned", false, NULL, NULL, &result, &err), err);
    assert_ok(tub_run_config(ctx, "planned", &made, &err), err);
    plan.config.pooling_source = TUB_POOLING_GIVEN; /* as every value of a resolved recipe */
    assert_memory_equal(&made, &plan.config, sizeof made);
    assert_int_equal(plan.steps, result.steps);
    assert_true(plan.present);
    assert_int_equal(plan.count[TUB_TRAIN], 46);
    assert_int_equal(tub_train_plan_of(ctx, &c, NULL, "planned", 0, &plan, &err), TUB_E_EXISTS);
    assert_ok(tub_train_plan_of(ctx, &c, NULL, "planned", 1, &plan, &err), err);
    assert_true(is_run("planned"));
    strcpy(c.data, "missing.npz");
    assert_int_equal(tub_train_plan_of(ctx, &c, NULL, NULL, 0, &plan, &err), TUB_E_NOT_FOUND);
    tub_context_destroy(ctx);
}

/* Any voxel or label of what training and validation see counts; the test split does not. */
static void other_data_are_noticed(void **state) {
    (void)state;
    tub_train_config c = long_recipe();
    tub_error err = {0};
    tub_context *ctx = NULL;
    tub_dataset *data = NULL;
    c.epochs = 2;
    must_run(&c, &plainly, "data");
    assert_int_equal(tub_context_create(NULL, &ctx, NULL), TUB_OK);
    assert_int_equal(tub_dataset_open(ctx, "tiny.npz", NULL, &data, NULL), TUB_OK);
    const tub_dataset_info *info = tub_dataset_describe(data);
    size_t bytes = (size_t)(info->frames * info->height * info->width * info->channels);
    for (tub_split split = TUB_TRAIN; split <= TUB_TEST; split++) {
        tub_status expected = split == TUB_TEST ? TUB_OK : TUB_E_ARGUMENT;
        unsigned char *samples = (unsigned char *)tub_dataset_samples(data, split);
        for (int64_t i = 0; i < info->count[split]; i++) {
            unsigned char *voxel = samples + (size_t)i * bytes + (size_t)i % bytes;
            *voxel ^= 1;
            assert_int_equal(tub_train_resume(ctx, "data", data, 0, -1, NULL, &err), expected);
            *voxel ^= 1;
        }
        int32_t *label = (int32_t *)tub_dataset_labels(data, split) + info->count[split] - 1;
        int32_t right = *label;
        *label = right == 0;
        assert_int_equal(tub_train_resume(ctx, "data", data, 0, -1, NULL, &err), expected);
        *label = right;
    }
    assert_int_equal(tub_train_resume(ctx, "data", data, 0, -1, NULL, &err), TUB_OK);
    tub_dataset_close(data);
    tub_context_destroy(ctx);
}

/* A run that began with a relative path, or with an open data set, goes on from another folder. */
static void data_are_found_from_anywhere(void **state) {
    (void)state;
    static const char *const runs[] = {"by-path", "by-handle"};
    tub_train_config c = long_recipe();
    tub_error err = {0};
    tub_context *ctx = NULL;
    tub_dataset *data = NULL;
    c.epochs = 2;
    must_run(&c, &plainly, runs[0]);
    assert_int_equal(tub_context_create(NULL, &ctx, NULL), TUB_OK);
    assert_int_equal(tub_dataset_open(ctx, "./tiny.npz", NULL, &data, NULL), TUB_OK);
    c.data[0] = '\0';
    assert_ok(tub_train(ctx, &c, data, runs[1], 0, NULL, &err), err);
    tub_dataset_close(data);
    assert_same_run(runs[0], runs[1]);
    assert_int_equal(mkdir("elsewhere", 0777), 0);
    assert_int_equal(chdir("elsewhere"), 0);
    for (int i = 0; i < 2; i++) {
        char run[64];
        snprintf(run, sizeof run, "../%s", runs[i]);
        assert_ok(tub_train_resume(ctx, run, NULL, 6, -1, NULL, &err), err);
    }
    assert_int_equal(chdir(".."), 0);
    assert_same_run(runs[0], runs[1]);
    tub_context_destroy(ctx);
}

/* The same data from another place, and no others; the run remembers it. */
static void moved_data_are_found_again(void **state) {
    (void)state;
    tub_train_config c = long_recipe(), after;
    tub_error err = {0};
    tub_context *ctx = NULL;
    tub_dataset *data = NULL;
    assert_int_equal(tub_context_create(NULL, &ctx, NULL), TUB_OK);
    assert_int_equal(tub_dataset_open(ctx, "tiny.npz", NULL, &data, NULL), TUB_OK);
    c.epochs = 2;
    must_run(&c, &plainly, "moved");
    assert_int_equal(rename("tiny.npz", "new-place.npz"), 0);
    assert_int_equal(tub_train_resume(ctx, "moved", NULL, 6, -1, NULL, &err), TUB_E_NOT_FOUND);
    assert_non_null(strstr(err.message, "name the new place with --data FILE"));
    tub_dataset_close(data);
    assert_ok(tub_dataset_open(ctx, "new-place.npz", NULL, &data, &err), err);
    int32_t *label = (int32_t *)tub_dataset_labels(data, TUB_VAL), right = *label;
    *label = right == 0;
    assert_int_equal(tub_train_resume(ctx, "moved", data, 4, -1, NULL, &err), TUB_E_ARGUMENT);
    assert_non_null(strstr(err.message, "these are not the data"));
    *label = right;
    assert_ok(tub_train_resume(ctx, "moved", data, 4, -1, NULL, &err), err);
    tub_dataset_close(data);
    assert_ok(tub_run_config(ctx, "moved", &after, &err), err);
    assert_non_null(strstr(after.data, "/new-place.npz"));
    assert_ok(tub_train_resume(ctx, "moved", NULL, 6, -1, NULL, &err), err);
    assert_int_equal(rename("new-place.npz", "tiny.npz"), 0);
    tub_context_destroy(ctx);
}

static void edited_recipes_are_noticed(void **state) {
    (void)state;
    tub_train_config c = long_recipe();
    tub_error err = {0};
    must_run(&c, &plainly, "edited");
    size_t size = 0;
    char *text = NULL;
    take_file("edited/recipe.yaml", &text, &size);
    char *digit = strstr(text, "\"momentum\": 0.9");
    assert_non_null(digit);
    digit += strlen("\"momentum\": 0.");
    *digit = '8';
    put_file("edited/recipe.yaml", text, size);
    c.epochs = 0;
    assert_int_equal(run(&c, &plainly, "edited", true, NULL, NULL, NULL, &err), TUB_E_ARGUMENT);
    assert_non_null(strstr(err.message, "other settings"));
    *digit = 'x';
    put_file("edited/recipe.yaml", text, size);
    assert_int_not_equal(run(&c, &plainly, "edited", true, NULL, NULL, NULL, &err), TUB_OK);
    tub__free(&tub__default_allocator, text);
}

/* A checkpoint that is damaged anywhere is refused with a sentence, and the run is left alone. */
static void damaged_checkpoints_are_refused(void **state) {
    (void)state;
    tub_train_config c = long_recipe();
    tub_error err = {0};
    must_run(&c, &plainly, "damaged");
    static const char state_file[] = "damaged/checkpoint/state.safetensors";
    size_t size = 0;
    char *bytes = NULL;
    take_file(state_file, &bytes, &size);
    c.epochs = 7;
    static const size_t cuts[] = {0, 7, 100, 5000};
    for (int i = 0; i < 5; i++) {
        size_t keep = i < 4 ? cuts[i] : size - 1;
        put_file(state_file, bytes, keep);
        err.message[0] = '\0';
        assert_int_not_equal(run(&c, &plainly, "damaged", true, NULL, NULL, NULL, &err), TUB_OK);
        assert_non_null(strstr(err.message, "state.safetensors"));
    }
    put_file(state_file, bytes, size);
    assert_int_equal(run(&c, &plainly, "damaged", true, NULL, NULL, NULL, &err), TUB_OK);
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
    if (strstr(err.message, "--resume goes on") == NULL) {
        return "the sentence did not say how to go on";
    }
    unlink(filler);
    if (run(NULL, &plainly, folder, true, NULL, NULL, NULL, NULL) != TUB_OK) {
        return "the run could not go on";
    }
    assert_same_run("reference", folder);
    assert_clean(folder);
    return NULL;
}

static void a_full_disk_keeps_the_checkpoint(void **state) {
    (void)state;
    enum { SKIP = 77 };
    assert_int_equal(mkdir("small", 0777), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        int spaces = geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER;
        if (unshare(spaces) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("none", "small", "tmpfs", 0, "size=1500k") != 0) {
            _exit(SKIP);
        }
        const char *wrong = fill_the_disk("small");
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
        cmocka_unit_test(one_at_a_time),
        cmocka_unit_test(force_meets_a_new_run),
        cmocka_unit_test(existing_folders_are_safe),
        cmocka_unit_test(leftovers_go),
        cmocka_unit_test(force_needs_the_folder_itself),
        cmocka_unit_test(force_spares_what_is_not_the_runs),
        cmocka_unit_test(no_run_inside_another),
        cmocka_unit_test(plans_come_true),
        cmocka_unit_test(other_data_are_noticed),
        cmocka_unit_test(data_are_found_from_anywhere),
        cmocka_unit_test(moved_data_are_found_again),
        cmocka_unit_test(edited_recipes_are_noticed),
        cmocka_unit_test(damaged_checkpoints_are_refused),
        cmocka_unit_test(a_full_disk_keeps_the_checkpoint),
    };
    return cmocka_run_group_tests(tests, scratch_enter_with_reference, scratch_leave);
}
