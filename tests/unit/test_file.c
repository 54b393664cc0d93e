/* SPDX-License-Identifier: Apache-2.0 */
/* Files and folders: whole reads, maps, and replacement that survives kills, full disks and
 * refused writes. */
#include "cmocka_all.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file_parts.h"
#include "failing_alloc.h"
#include "temp_folder.h"
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const tub_allocator *const a = &tub__default_allocator;

static int setup(void **state) {
    static temp_folder folder;
    temp_folder_make(&folder);
    *state = &folder;
    return 0;
}

static int teardown(void **state) {
    temp_folder_drop(*state);
    return 0;
}

static void expect_content(const char *path, const char *content) {
    tub_error err;
    char *text;
    size_t size;
    assert_ok(tub__file_read(a, path, 1 << 20, &text, &size, &err), err);
    assert_int_equal(size, strlen(content));
    assert_memory_equal(text, content, size + 1);
    tub__free(a, text);
}

static int count_entries(const char *folder) {
    char command[600];
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", folder);
    FILE *f = popen(command, "r");
    int n = -1;
    assert_int_equal(fscanf(f, "%d", &n), 1);
    pclose(f);
    return n;
}

static void test_write_and_read(void **state) {
    temp_folder *t = *state;
    tub_error err;
    char *text;
    size_t size;
    const char *path = temp_path(t, "file");
    umask(022);
    assert_ok(tub__file_write(a, path, "first", 5, &err), err);
    expect_content(path, "first");
    assert_ok(tub__file_write(a, path, "", 0, &err), err);
    expect_content(path, "");
    assert_ok(tub__file_write(a, path, "12345678", 8, &err), err);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    assert_int_equal(count_entries(t->path), 1);
    /* The limit is inclusive. */
    assert_ok(tub__file_read(a, path, 8, &text, &size, &err), err);
    tub__free(a, text);
    assert_int_equal(tub__file_read(a, path, 7, &text, &size, &err), TUB_E_FORMAT);
    assert_int_equal(tub__file_read(a, temp_path(t, "no"), 7, &text, &size, &err), TUB_E_NOT_FOUND);
    assert_non_null(strstr(err.message, "no: No such file"));
    assert_int_not_equal(tub__file_read(a, t->path, 7, &text, &size, &err), TUB_OK);
    /* A file that says it has no bytes and then has some. */
    assert_ok(tub__file_read(a, "/proc/self/smaps", 1 << 22, &text, &size, &err), err);
    assert_true(size > 4096);
    assert_int_equal(text[size], 0);
    tub__free(a, text);
    assert_int_equal(tub__file_read(a, "/dev/zero", 100000, &text, &size, &err), TUB_E_FORMAT);
}

static void test_map(void **state) {
    temp_folder *t = *state;
    tub_error err;
    tub__map map;
    const char *path = temp_path(t, "map");
    assert_ok(tub__file_write(a, path, "abc", 3, &err), err);
    assert_ok(tub__map_open(path, &map, &err), err);
    assert_int_equal(map.size, 3);
    assert_memory_equal(map.data, "abc", 3);
    tub__map_close(&map);
    assert_null(map.data);
    tub__map_close(&map);
    assert_ok(tub__file_write(a, path, "", 0, &err), err);
    assert_ok(tub__map_open(path, &map, &err), err);
    assert_true(map.data == NULL && map.size == 0);
    tub__map_close(&map);
    assert_int_equal(tub__map_open(temp_path(t, "no"), &map, &err), TUB_E_NOT_FOUND);
    assert_int_equal(tub__map_open(t->path, &map, &err), TUB_E_IO);
    assert_non_null(strstr(err.message, "is a folder"));
    assert_int_equal(mkfifo(temp_path(t, "pipe"), 0600), 0);
    assert_int_equal(tub__map_open(temp_path(t, "pipe"), &map, &err),
                     TUB_E_IO); /* and does not wait */
}

/* A file that comes to be while another is made stays; so do links that lead nowhere. */
static void test_move_new(void **state) {
    temp_folder *t = *state;
    tub_error err = {0};
    char made[512], path[512], link[512];
    snprintf(made, sizeof made, "%s", temp_path(t, "made"));
    snprintf(path, sizeof path, "%s", temp_path(t, "new"));
    snprintf(link, sizeof link, "%s", temp_path(t, "link"));
    assert_ok(tub__file_write(a, made, "mine", 4, &err), err);
    assert_ok(tub__file_write(a, path, "theirs", 6, &err), err);
    assert_int_equal(tub__file_move_new(made, path, &err), TUB_E_EXISTS);
    assert_non_null(strstr(err.message, "is there already"));
    expect_content(path, "theirs");
    assert_int_equal(symlink("nowhere", link), 0);
    assert_true(tub__name_taken(link) && !tub__file_exists(link));
    assert_int_equal(tub__file_move_new(made, link, &err), TUB_E_EXISTS);
    assert_int_equal(unlink(path), 0);
    assert_ok(tub__file_move_new(made, path, &err), err);
    expect_content(path, "mine");
    assert_false(tub__name_taken(made));
}

static void test_writer_steps(void **state) {
    temp_folder *t = *state;
    tub_error err;
    tub__writer w;
    const char *path = temp_path(t, "file");
    assert_ok(tub__file_write(a, path, "old", 3, &err), err);
    assert_ok(tub__writer_open(a, path, &w, &err), err);
    assert_ok(tub__writer_write(&w, "ne", 2, &err), err);
    expect_content(path, "old");
    assert_ok(tub__writer_write(&w, "w", 1, &err), err);
    assert_ok(tub__writer_commit(&w, &err), err);
    expect_content(path, "new");
    tub__writer_abort(&w); /* closed: nothing happens */
    expect_content(path, "new");
    assert_ok(tub__writer_open(a, path, &w, &err), err);
    assert_ok(tub__writer_write(&w, "lost", 4, &err), err);
    tub__writer_abort(&w);
    expect_content(path, "new");
    assert_int_equal(count_entries(t->path), 1);
    assert_int_equal(tub__writer_open(a, temp_path(t, "no/file"), &w, &err), TUB_E_NOT_FOUND);
    tub__writer_abort(&w);
    /* Neither a folder nor a device is replaced by a file. */
    assert_int_equal(tub__writer_open(a, t->path, &w, &err), TUB_E_IO);
    assert_int_equal(tub__file_write(a, "/dev/null", "x", 1, &err), TUB_E_IO);
}

static void test_append(void **state) {
    temp_folder *t = *state;
    tub_error err;
    const char *path = temp_path(t, "log");
    assert_ok(tub__file_append(path, "a\n", 2, &err), err);
    assert_ok(tub__file_append(path, "b\n", 2, &err), err);
    expect_content(path, "a\nb\n");
    assert_int_equal(tub__file_append("/dev/full", "a\n", 2, &err), TUB_E_IO);
    assert_string_equal(err.message, "/dev/full: No space left on device");
    assert_int_equal(tub__file_append(temp_path(t, "no/log"), "a", 1, &err), TUB_E_NOT_FOUND);
}

/* What a full disk must leave: the old file, whole; nothing beside it; a log of whole lines; an
 * error. 0 when so. */
static int survive_refused_writes(temp_folder *t) {
    static char large[1 << 20];
    tub_error err;
    const char *path = temp_path(t, "file"), *log = temp_path(t, "log");
    int entries = count_entries(t->path);
    memset(large, 'x', sizeof large);
    if (tub__file_write(a, path, large, sizeof large, &err) != TUB_E_IO ||
        strstr(err.message, path) == NULL) {
        return 1;
    }
    if (tub__file_append(log, large, sizeof large, &err) != TUB_E_IO) {
        return 2;
    }
    expect_content(path, "old");
    expect_content(log, "line\n");
    return count_entries(t->path) == entries ? 0 : 3;
}

static void make_old(temp_folder *t) {
    tub_error err;
    assert_ok(tub__file_write(a, temp_path(t, "file"), "old", 3, &err), err);
    assert_ok(tub__file_append(temp_path(t, "log"), "line\n", 5, &err), err);
}

/* A limit on file sizes refuses writes in the middle as a full disk does, and needs no rights. */
static void test_size_limit(void **state) {
    temp_folder *t = *state;
    make_old(t);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){100000, 100000});
        _exit(survive_refused_writes(t));
    }
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
}

/* A real full disk: a tmpfs of 256 KiB, where this process may mount one. */
static void test_full_disk(void **state) {
    enum { NO_RIGHTS = 77 };
    temp_folder *t = *state;
    pid_t child = fork();
    if (child == 0) {
        if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("tmpfs", t->path, "tmpfs", 0, "size=256k") != 0) {
            _exit(NO_RIGHTS);
        }
        make_old(t);
        int result = survive_refused_writes(t);
        umount2(t->path, MNT_DETACH);
        _exit(result);
    }
    int status;
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_RIGHTS) {
        printf("skipped: full disk (mounting a tmpfs needs more rights)\n");
        return;
    }
    assert_int_equal(status, 0);
}

/* What a folder is filled with, and what happens then. */
typedef struct filling {
    const char *appears; /* a folder that somebody makes meanwhile, or NULL */
    tub_status status;
} filling;

static tub_status fill_folder(void *user, const char *folder, tub_error *err) {
    const filling *f = user;
    char path[700];
    snprintf(path, sizeof path, "%s/inner", folder);
    TUB__TRY(tub__folder_create(path, err));
    snprintf(path, sizeof path, "%s/inner/file", folder);
    TUB__TRY(tub__file_write(a, path, "x", 1, err));
    if (f->appears != NULL) {
        TUB__TRY(tub__folder_create(f->appears, err));
    }
    return f->status == TUB_OK ? TUB_OK : tub__fail(err, f->status, "a failure");
}

/* Whole or not at all, below folders that are made for it, and in the place of nobody else's. */
static void test_folder_in_one_step(void **state) {
    temp_folder *t = *state;
    tub_error err = {0};
    char above[600], folder[620], file[640];
    snprintf(above, sizeof above, "%s/above", t->path);
    snprintf(folder, sizeof folder, "%s/new", above);
    snprintf(file, sizeof file, "%s/inner/file", folder);
    filling f = {.status = TUB_E_RANGE};
    assert_int_equal(tub__folder_make(a, folder, fill_folder, &f, &err), TUB_E_RANGE);
    assert_string_equal(err.message, "a failure");
    assert_int_equal(rmdir(above), 0); /* empty: no temporary folder either */
    f = (filling){.appears = folder};
    assert_int_equal(tub__folder_make(a, folder, fill_folder, &f, &err), TUB_E_EXISTS);
    assert_non_null(strstr(err.message, "is there already"));
    assert_int_equal(rmdir(folder), 0); /* still theirs, and empty */
    assert_int_equal(rmdir(above), 0);
    f = (filling){0};
    assert_ok(tub__folder_make(a, folder, fill_folder, &f, &err), err);
    expect_content(file, "x");
    assert_int_equal(tub__folder_make(a, folder, fill_folder, &f, &err), TUB_E_EXISTS);
    assert_ok(tub__folder_remove(a, above, &err), err);
}

enum { KILL_SIZE = 300000 };

/* Writes whole files of one letter, and folders with two such files: for ever, until it is killed,
 * or a number of rounds. */
static void write_rounds(const char *file, const char *folder, int rounds) {
    static char bytes[KILL_SIZE];
    char path[600];
    for (int i = 0; i < rounds; i++) {
        char *filled = NULL;
        int lock = -1;
        memset(bytes, 'a' + i % 26, sizeof bytes);
        bool ok = tub__file_write(a, file, bytes, sizeof bytes, NULL) == TUB_OK &&
                  tub__folder_temporary(a, folder, &filled, &lock, NULL) == TUB_OK;
        for (int j = 0; j < 2 && ok; j++) {
            snprintf(path, sizeof path, "%s/%d", filled, j);
            ok = tub__file_write(a, path, bytes, 1000, NULL) == TUB_OK;
        }
        if (!ok || tub__folder_commit(a, filled, folder, true, NULL) != TUB_OK) {
            _exit(1);
        }
        close(lock);
        tub__free(a, filled);
    }
}

/* -1 when the file has not `size` equal letters, else the letter. */
static int only_letter(const char *path, size_t size) {
    char *text;
    size_t got;
    int letter = -1;
    if (tub__file_read(a, path, 1 << 20, &text, &got, NULL) == TUB_OK) {
        letter = got == size && strspn(text, (const char[]){text[0], 0}) == size ? text[0] : -1;
        tub__free(a, text);
    }
    return letter;
}

static void test_kills(void **state) {
    temp_folder *t = *state;
    tub_error err;
    char file[600], folder[600], first[700], second[700];
    snprintf(file, sizeof file, "%s/file", t->path);
    snprintf(folder, sizeof folder, "%s/folder", t->path);
    snprintf(first, sizeof first, "%s/0", folder);
    snprintf(second, sizeof second, "%s/1", folder);
    int left_over = 0;
    double start = tub__seconds();
    write_rounds(file, folder, 3);
    double round = (tub__seconds() - start) / 3; /* disks and loads differ a hundredfold */
    for (int i = 0; i < 40; i++) {
        pid_t child = fork();
        if (child == 0) {
            write_rounds(file, folder, INT_MAX);
        }
        usleep((useconds_t)(1e6 * round * (i * 37 % 100) / 40));
        kill(child, SIGKILL);
        int status;
        waitpid(child, &status, 0);
        assert_true(WIFSIGNALED(status));
        if (tub__file_exists(file)) {
            assert_int_not_equal(only_letter(file, KILL_SIZE), -1);
        }
        if (tub__is_folder(folder)) {
            assert_int_not_equal(only_letter(first, 1000), -1);
            assert_int_equal(only_letter(first, 1000), only_letter(second, 1000));
        }
        left_over += count_entries(t->path) > 2;
        assert_ok(tub__temporaries_remove(a, t->path, &err), err);
        assert_true(count_entries(t->path) <= 2);
    }
    printf("%d of 40 kills left a temporary file or folder\n", left_over);
    assert_true(tub__file_exists(file) && tub__is_folder(folder));
    /* The check itself sees half a file. */
    assert_int_equal(truncate(file, KILL_SIZE / 2), 0);
    assert_int_equal(only_letter(file, KILL_SIZE), -1);
}

static void test_folder_create_and_remove(void **state) {
    temp_folder *t = *state;
    tub_error err;
    assert_ok(tub__folder_create(temp_path(t, "x/y//z/"), &err), err);
    assert_true(tub__is_folder(temp_path(t, "x/y/z")));
    assert_ok(tub__folder_create(temp_path(t, "x/y"), &err), err);
    assert_ok(tub__file_write(a, temp_path(t, "x/y/f"), "1", 1, &err), err);
    assert_int_equal(tub__folder_create(temp_path(t, "x/y/f"), &err), TUB_E_EXISTS);
    assert_int_not_equal(tub__folder_create(temp_path(t, "x/y/f/g"), &err), TUB_OK);
    assert_int_not_equal(tub__folder_create("", &err), TUB_OK);
    /* A link in a removed folder goes, what it points to stays. */
    assert_ok(tub__folder_create(temp_path(t, "keep"), &err), err);
    assert_ok(tub__file_write(a, temp_path(t, "keep/f"), "1", 1, &err), err);
    assert_int_equal(symlink(temp_path(t, "keep"), temp_path(t, "x/link")), 0);
    assert_int_equal(symlink(temp_path(t, "keep"), temp_path(t, "link")), 0);
    assert_ok(tub__folder_remove(a, temp_path(t, "x"), &err), err);
    assert_false(tub__file_exists(temp_path(t, "x")));
    assert_int_not_equal(tub__folder_remove(a, temp_path(t, "link"), &err), TUB_OK);
    assert_int_not_equal(tub__folder_remove(a, temp_path(t, "keep/f"), &err), TUB_OK);
    assert_true(tub__file_exists(temp_path(t, "keep/f")));
    assert_ok(tub__folder_remove(a, temp_path(t, "x"), &err), err);
}

static char *make_temporary(const char *path, const char *content) {
    tub_error err;
    char *temporary, *inner;
    int lock;
    assert_ok(tub__folder_temporary(a, path, &temporary, &lock, &err), err);
    close(lock);
    assert_ok(tub__path_join(a, temporary, "f", &inner, &err), err);
    assert_ok(tub__file_write(a, inner, content, strlen(content), &err), err);
    tub__free(a, inner);
    return temporary;
}

static void test_folder_commit(void **state) {
    temp_folder *t = *state;
    tub_error err;
    char run[600];
    snprintf(run, sizeof run, "%s/run", t->path);
    char *temporary = make_temporary(run, "1");
    assert_false(tub__file_exists(run));
    assert_ok(tub__folder_commit(a, temporary, run, false, &err), err);
    tub__free(a, temporary);
    expect_content(temp_path(t, "run/f"), "1");
    temporary = make_temporary(run, "2");
    assert_int_equal(tub__folder_commit(a, temporary, run, false, &err), TUB_E_EXISTS);
    expect_content(temp_path(t, "run/f"), "1");
    assert_ok(tub__folder_commit(a, temporary, run, true, &err), err);
    expect_content(temp_path(t, "run/f"), "2");
    assert_int_equal(count_entries(t->path), 1);
    tub__free(a, temporary);
    /* A trailing slash is no other place. */
    strcat(run, "/");
    temporary = make_temporary(run, "3");
    assert_ok(tub__folder_commit(a, temporary, run, true, &err), err);
    expect_content(temp_path(t, "run/f"), "3");
    assert_int_equal(count_entries(t->path), 1);
    tub__free(a, temporary);
    /* A file in the way is not replaced. */
    assert_ok(tub__file_write(a, temp_path(t, "file"), "1", 1, &err), err);
    temporary = make_temporary(temp_path(t, "file"), "4");
    assert_int_not_equal(tub__folder_commit(a, temporary, temp_path(t, "file"), true, &err),
                         TUB_OK);
    expect_content(temp_path(t, "file"), "1");
    tub__free(a, temporary);
    assert_ok(tub__temporaries_remove(a, t->path, &err), err);
    assert_int_equal(count_entries(t->path), 2);
}

static void test_paths(void **state) {
    (void)state;
    static const char *const joined[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"/", "b", "/b"}};
    tub_error err;
    char *path;
    for (size_t i = 0; i < sizeof joined / sizeof joined[0]; i++) {
        assert_ok(tub__path_join(a, joined[i][0], joined[i][1], &path, &err), err);
        assert_string_equal(path, joined[i][2]);
        tub__free(a, path);
    }
    assert_string_equal(tub__path_name("a/b.npz"), "b.npz");
    assert_string_equal(tub__path_name("b.npz"), "b.npz");
    static const char *const split[][3] = {
        {"a/b", "a/", "b"}, {"b", ".", "b"}, {"../a//b/", "../a//", "b/"}, {"/b", "/", "b"}};
    char folder[8];
    for (size_t i = 0; i < sizeof split / sizeof split[0]; i++) {
        assert_string_equal(tub__path_split(split[i][0], folder, sizeof folder), split[i][2]);
        assert_string_equal(folder, split[i][1]);
    }
    assert_null(tub__path_split("/", folder, sizeof folder));
    assert_null(tub__path_split("", folder, sizeof folder));
    assert_null(tub__path_split("longer/than/room", folder, sizeof folder));
    assert_ok(tub__path_absolute(a, "/b/../c", &path, &err), err);
    assert_string_equal(path, "/b/../c");
    tub__free(a, path);
    assert_ok(tub__path_absolute(a, ".", &path, &err), err);
    assert_int_equal(path[0], '/');
    tub__free(a, path);
    assert_int_equal(tub__path_absolute(a, "missing/x", &path, &err), TUB_E_NOT_FOUND);
}

static tub_status all_operations(const tub_allocator *allocator, void *user, tub_error *err) {
    temp_folder *t = user;
    char *text, *temporary;
    size_t size;
    int lock;
    TUB__TRY(tub__file_write(allocator, temp_path(t, "f"), "abc", 3, err));
    TUB__TRY(tub__file_read(allocator, temp_path(t, "f"), 10, &text, &size, err));
    tub__free(allocator, text);
    TUB__TRY(tub__file_read(allocator, "/proc/self/smaps", 1 << 22, &text, &size, err));
    tub__free(allocator, text);
    TUB__TRY(tub__folder_temporary(allocator, temp_path(t, "d"), &temporary, &lock, err));
    close(lock);
    tub_status status = tub__folder_commit(allocator, temporary, temp_path(t, "d"), true, err);
    tub__free(allocator, temporary);
    TUB__TRY(status);
    TUB__TRY(tub__temporaries_remove(allocator, t->path, err));
    return tub__folder_remove(allocator, temp_path(t, "d"), err);
}

static void test_failing_allocations(void **state) {
    failing_report report = failing_run(all_operations, *state);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations >= 8);
}

int main(void) {
    if (access("/dev/shm", W_OK) == 0) {
        setenv("TMPDIR", "/dev/shm", 0); /* hundreds of flushes: not on a disk that others use */
    }
#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {EACH(test_write_and_read),
                                       EACH(test_map),
                                       EACH(test_move_new),
                                       EACH(test_writer_steps),
                                       EACH(test_append),
                                       EACH(test_size_limit),
                                       EACH(test_full_disk),
                                       EACH(test_folder_in_one_step),
                                       EACH(test_kills),
                                       EACH(test_folder_create_and_remove),
                                       EACH(test_folder_commit),
                                       EACH(test_paths),
                                       EACH(test_failing_allocations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
