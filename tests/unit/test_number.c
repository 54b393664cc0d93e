/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as text: every bit comes back, in a locale with another decimal separator too. */
#include "cmocka_all.h"

#include "base/number.h"
#include "temp_folder.h"
#include <float.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

static void check_all(void) {
    static const double values[] = {0, 0.1, 1e-4, 1e-7, 123456789.125, DBL_MIN, DBL_MAX, 0x1p-1074};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[TUB__NUMBER_ROOM];
        double back = -1;
        tub__number_print(text, values[i]);
        assert_null(strchr(text, ','));
        assert_true(tub__number_to_real(text, &back));
        assert_true(back == values[i]);
    }
}

static void comes_back(void **state) {
    (void)state;
    check_all();
}

static void refuses_what_is_none(void **state) {
    static const char *const texts[] = {"",     "inf", "nan",   "0x1p3", "1,5",
                                        "1.5 ", " 1",  "1e999", "-"};
    double real;
    int64_t whole;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_false(tub__number_to_real(texts[i], &real));
        assert_false(tub__number_to_int(texts[i], &whole));
    }
}

/* A locale with a decimal comma: of the system, or made here of its sources. */
static bool set_german(const temp_folder *folder) {
    char command[512];
    if (setlocale(LC_ALL, "de_DE.UTF-8") != NULL) {
        return true;
    }
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 2>&1",
             folder->path);
    setenv("LOCPATH", folder->path, 1);
    return system(command) == 0 && setlocale(LC_ALL, "de_DE.UTF-8") != NULL;
}

static void in_another_locale(void **state) {
    temp_folder folder;
    char text[8];
    (void)state;
    temp_folder_make(&folder);
    const bool german = set_german(&folder);
    temp_folder_drop(&folder);
    if (!german) {
        printf("skipped: no locale with a decimal comma here\n");
        skip();
    }
    snprintf(text, sizeof text, "%.1f", 0.5);
    assert_string_equal(text, "0,5");
    check_all();
    setlocale(LC_ALL, "C");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back),
        cmocka_unit_test(refuses_what_is_none),
        cmocka_unit_test(in_another_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
