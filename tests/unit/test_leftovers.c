/* SPDX-License-Identifier: Apache-2.0 */
/* Removing the temporary folders that dead processes left, and nobody else's. */
#include "cmocka_all.h"

#include "base/file.h"
#include "temp_folder.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const tub_allocator *const a = &tub__default_allocator;

static int set_up(void **state) {
    static temp_folder t;
    temp_folder_make(&t);
    *state = &t;
    return chdir(t.path);
}

static int tear_down(void **state) {
    temp_folder_drop(*state);
    return chdir("/");
}

static char *make(const char *path, int *lock) {
    char *made, *inner;
    tub_error err;
    assert_ok(tub__folder_temporary(a, path, &made, lock, &err), err);
    assert_ok(tub__path_join(a, made, "file", &inner, &err), err);
    assert_ok(tub__file_write(a, inner, "1", 1, &err), err);
    tub__free(a, inner);
    return made;
}

/* A child makes one and is killed; its name is read from a pipe. */
static void make_and_die(const char *path, char *name, size_t size) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int lock;
        char *made = make(path, &lock);
        (void)!write(ends[1], made, strlen(made) + 1);
        raise(SIGKILL);
    }
    assert_true(read(ends[0], name, size) > 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(ends[0]);
    close(ends[1]);
}

static void of_the_dead_only(void **state) {
    (void)state;
    char dead[256], other[256];
    int lock;
    make_and_die("run", dead, sizeof dead);
    make_and_die("run2", other, sizeof other);
    char *alive = make("run", &lock);
    assert_true(tub__is_folder(dead) && tub__is_folder(other) && tub__is_folder(alive));
    tub__leftovers_remove("run/");
    assert_false(tub__file_exists(dead));
    assert_true(tub__is_folder(other) && tub__is_folder(alive));
    /* Under its later name it is safe even when its maker is gone. */
    assert_int_equal(tub__folder_commit(a, alive, "run", false, NULL), TUB_OK);
    close(lock);
    tub__leftovers_remove("run");
    assert_true(tub__file_exists("run/file"));
    tub__free(a, alive);
    char absolute[600];
    snprintf(absolute, sizeof absolute, "%s/run2", ((temp_folder *)*state)->path);
    tub__leftovers_remove(absolute);
    assert_false(tub__file_exists(other));
}

/* Names that look alike, files and links are not ours. */
static void nothing_else(void **state) {
    (void)state;
    static const char *const folders[] = {"run.tmp-backup", "run.tubelet.tmp-backups",
                                          "run.tubelet.tmp-", "my-run.tubelet.tmp-abc123",
                                          "target"};
    static const size_t count = sizeof folders / sizeof *folders;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(mkdir(folders[i], 0777), 0);
    }
    assert_int_equal(tub__file_write(a, "run.tubelet.tmp-afile1", "1", 1, NULL), TUB_OK);
    assert_int_equal(symlink("target", "run.tubelet.tmp-alink1"), 0);
    assert_int_equal(mkdir("run.tubelet.tmp-abc123", 0777), 0);
    tub__leftovers_remove("run");
    tub__leftovers_remove("nowhere/run");
    tub__leftovers_remove("");
    for (size_t i = 0; i < count; i++) {
        assert_true(tub__is_folder(folders[i]));
    }
    assert_true(tub__file_exists("run.tubelet.tmp-afile1"));
    assert_true(tub__file_exists("run.tubelet.tmp-alink1"));
    assert_false(tub__file_exists("run.tubelet.tmp-abc123"));
}

/* One process makes folders while another removes leftovers all the time: no folder is lost. */
static void while_others_work(void **state) {
    (void)state;
    enum { ROUNDS = 2000 };
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* whatever becomes of this test */
        for (;;) {
            tub__leftovers_remove("run");
        }
    }
    int old = -1;
    for (int i = 0; i < ROUNDS; i++) {
        int lock;
        tub_error err;
        char *made = make("run", &lock);
        assert_ok(tub__folder_commit(a, made, "run", true, &err), err);
        assert_true(tub__file_exists("run/file"));
        if (old >= 0) {
            close(old); /* not before: the replaced folder had a temporary name for an instant */
        }
        old = lock;
        tub__free(a, made);
    }
    close(old);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int main(void) {
    if (access("/dev/shm", W_OK) == 0) {
        setenv("TMPDIR", "/dev/shm", 0); /* thousands of flushes: not on a disk */
    }
#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {EACH(of_the_dead_only), EACH(nothing_else),
                                       EACH(while_others_work)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
