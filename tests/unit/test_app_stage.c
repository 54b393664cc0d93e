/* SPDX-License-Identifier: Apache-2.0 */
/* Files that appear together: all of them or none, and what is replaced comes back where one fails.
 * */
#include "cmocka_all.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stage.h"
#include "temp_folder.h"

enum { FILES = 3 };

typedef struct scene {
    temp_folder folder;
    char prefix[PATH_MAX / 2];
    char path[FILES][PATH_MAX];
    const char *names[FILES];
} scene;

static void write_text(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
}

static void expect_text(const char *path, const char *text) {
    char found[64] = "";
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_true(fread(found, 1, sizeof found - 1, f) > 0 && fclose(f) == 0);
    assert_string_equal(found, text);
}

static bool is_there(const char *path) {
    struct stat facts;
    return lstat(path, &facts) == 0;
}

static int set_up(void **state) {
    static scene s;
    *state = &s;
    temp_folder_make(&s.folder);
    snprintf(s.prefix, sizeof s.prefix, "%s/map", s.folder.path);
    for (int i = 0; i < FILES; i++) {
        snprintf(s.path[i], sizeof s.path[i], "%s-%d.txt", s.prefix, i);
        s.names[i] = s.path[i];
    }
    return 0;
}

static int tear_down(void **state) {
    temp_folder_drop(&((scene *)*state)->folder);
    return 0;
}

static stage begin(const scene *s) {
    stage out;
    assert_true(stage_begin(&out, s->prefix));
    for (int i = 0; i < FILES; i++) {
        char path[PATH_MAX];
        assert_true(stage_path(&out, s->names[i], path));
        assert_false(is_there(s->names[i]));
        write_text(path, "new");
    }
    return out;
}

/* Nothing but the files is left. */
static void end(stage *s, const char *folder) {
    char made[PATH_MAX];
    snprintf(made, sizeof made, "%s", folder);
    stage_end(s);
    assert_false(is_there(made));
    stage_end(s);
}

static void test_appear(void **state) {
    const scene *s = *state;
    stage made = begin(s);
    char folder[PATH_MAX];
    memcpy(folder, made.folder, sizeof folder);
    assert_null(stage_commit(&made, s->names, FILES, false));
    end(&made, folder);
    for (int i = 0; i < FILES; i++) {
        expect_text(s->names[i], "new");
    }
}

/* One came to be there meanwhile. */
static void test_taken(void **state) {
    const scene *s = *state;
    stage made = begin(s);
    char folder[PATH_MAX];
    memcpy(folder, made.folder, sizeof folder);
    write_text(s->names[1], "old");
    assert_ptr_equal(stage_commit(&made, s->names, FILES, false), s->names[1]);
    assert_int_equal(errno, EEXIST);
    end(&made, folder);
    expect_text(s->names[1], "old");
    assert_true(!is_there(s->names[0]) && !is_there(s->names[2]));
}

static void test_replaced(void **state) {
    const scene *s = *state;
    stage made = begin(s);
    write_text(s->names[1], "old");
    assert_null(stage_commit(&made, s->names, FILES, true));
    stage_end(&made);
    for (int i = 0; i < FILES; i++) {
        expect_text(s->names[i], "new");
    }
}

/* The last one can't be replaced: the others are as they were. */
static void test_comes_back(void **state) {
    const scene *s = *state;
    stage made = begin(s);
    write_text(s->names[1], "old");
    assert_int_equal(mkdir(s->names[2], 0777), 0);
    assert_ptr_equal(stage_commit(&made, s->names, FILES, true), s->names[2]);
    assert_int_equal(errno, EISDIR);
    stage_end(&made);
    assert_false(is_there(s->names[0]));
    expect_text(s->names[1], "old");
    assert_int_equal(rmdir(s->names[2]), 0);
}

/* One was never made. */
static void test_missing(void **state) {
    const scene *s = *state;
    stage made = begin(s);
    char path[PATH_MAX];
    assert_true(stage_path(&made, s->names[2], path));
    assert_int_equal(unlink(path), 0);
    assert_ptr_equal(stage_commit(&made, s->names, FILES, false), s->names[2]);
    assert_int_equal(errno, ENOENT);
    stage_end(&made);
    assert_true(!is_there(s->names[0]) && !is_there(s->names[1]));
}

static void test_sentences(void **state) {
    const scene *s = *state;
    char sentence[2 * PATH_MAX], path[PATH_MAX], expected[2 * PATH_MAX];
    stage made;
    assert_true(stage_begin(&made, s->prefix) && stage_path(&made, s->names[0], path));
    snprintf(sentence, sizeof sentence, "%s: full", path);
    snprintf(expected, sizeof expected, "%s: full", s->names[0]);
    stage_rename_in(&made, sentence);
    assert_string_equal(sentence, expected);
    stage_rename_in(&made, sentence);
    assert_string_equal(sentence, expected);
    stage_end(&made);
    assert_false(stage_begin(&made, "/nowhere/at/all"));
    assert_int_equal(errno, ENOENT);
    stage_end(&made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_appear, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sentences, set_up, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
