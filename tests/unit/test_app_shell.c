/* SPDX-License-Identifier: Apache-2.0 */
/* Suggested commands: a shell reads every word back as it was. */
#include "cmocka_all.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shell.h"

static char out[SHELL_ROOM];

static void plain_names_stay(void **state) {
    (void)state;
    static const char *const names[] = {"run", "runs/first-1", "/tmp/a_b.c,d+e@64%:x/"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_string_equal(shell_path(out, names[i]), names[i]);
    }
}

static void others_are_quoted(void **state) {
    (void)state;
    assert_string_equal(shell_path(out, "we ird [1]/\xc3\xa4"), "'we ird [1]/\xc3\xa4'");
    assert_string_equal(shell_path(out, "it's"), "'it'\\''s'");
    assert_string_equal(shell_path(out, "~"), "'~'");
    assert_string_equal(shell_path(out, ""), "''");
    assert_string_equal(shell_path(out, "-x"), "./-x");
    assert_string_equal(shell_path(out, "-x y"), "'./-x y'");
}

/* A shell is the judge: every byte that a name can have, alone and at the beginning of a name. */
static void a_shell_reads_them_back(void **state) {
    (void)state;
    for (int c = 1; c < 256; c++) {
        const char names[2][4] = {{(char)c, '\0'}, {(char)c, '\'', (char)c, '\0'}};
        for (int i = 0; i < 2; i++) {
            char command[SHELL_ROOM + 64], read[16] = "", expected[16];
            snprintf(command, sizeof command, "printf '%%s|' %s", shell_path(out, names[i]));
            FILE *shell = popen(command, "r");
            assert_non_null(shell);
            (void)!fread(read, 1, sizeof read - 1, shell);
            assert_int_equal(pclose(shell), 0);
            snprintf(expected, sizeof expected, "%s%s|", c == '-' ? "./" : "", names[i]);
            assert_string_equal(read, expected);
        }
    }
}

static void the_longest_path_fits(void **state) {
    (void)state;
    char path[PATH_MAX + 1];
    memset(path, '\'', PATH_MAX);
    path[PATH_MAX] = '\0';
    assert_ptr_equal(shell_path(out, path), path);
    path[PATH_MAX - 1] = '\0';
    path[0] = '-';
    assert_ptr_equal(shell_path(out, path), out);
    assert_int_equal(strlen(out), 2 + 3 + 4 * (PATH_MAX - 2));
}

static void the_program_as_it_was_called(void **state) {
    (void)state;
    program_invocation_name = (char[]){"build/app/tubelet"};
    assert_string_equal(shell_program(out), "build/app/tubelet");
    program_invocation_name = (char[]){"my tools/tubelet"};
    assert_string_equal(shell_program(out), "'my tools/tubelet'");
    program_invocation_name = (char[]){""};
    assert_string_equal(shell_program(out), "tubelet");
}

/* The words of a line are those that it was made of. */
static void a_line_is_read_back(void **state) {
    (void)state;
    const char *words[] = {
        "tubelet", "--data=a/b.npz", "=", "it's",         "",       "--lr=1e-3", "a b",
        "a=b=c",   "$HOME",          "*", "--out=my run", "\n\t\"", "x;y",       NULL};
    const int count = sizeof words / sizeof *words - 1;
    char *line = shell_line("train", count, (char *const *)words), command[1024], read[256] = "",
         expected[256];
    assert_non_null(line);
    assert_ptr_equal(strstr(line, "tubelet train --data=a/b.npz '=' "), line);
    snprintf(command, sizeof command, "tubelet() { printf '%%s|' \"$@\"; }; %s", line);
    FILE *shell = popen(command, "r");
    assert_non_null(shell);
    (void)!fread(read, 1, sizeof read - 1, shell);
    assert_int_equal(pclose(shell), 0);
    int used = snprintf(expected, sizeof expected, "train|");
    for (int i = 1; i < count; i++) {
        used += snprintf(expected + used, sizeof expected - (size_t)used, "%s|", words[i]);
    }
    assert_string_equal(read, expected);
    free(line);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_names_stay),        cmocka_unit_test(others_are_quoted),
        cmocka_unit_test(a_shell_reads_them_back), cmocka_unit_test(the_longest_path_fits),
        cmocka_unit_test(a_line_is_read_back),     cmocka_unit_test(the_program_as_it_was_called),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
