/* SPDX-License-Identifier: Apache-2.0 */
/* Error sentences: formatting, cutting, prefixes, and the names of the codes. */
#include "cmocka_all.h"

#include "base/error.h"
#include <errno.h>
#include <string.h>

static void test_fail(void **state) {
    (void)state;
    tub_error err;
    assert_int_equal(tub__fail(&err, TUB_E_RANGE, "%s is %d", "heads", 7), TUB_E_RANGE);
    assert_int_equal(err.status, TUB_E_RANGE);
    assert_string_equal(err.message, "heads is 7");
    assert_int_equal(tub__fail(NULL, TUB_E_IO, "nobody listens"), TUB_E_IO);
    /* The old sentence may be an argument of the new one. */
    tub__fail(&err, TUB_E_RANGE, "again: %s", err.message);
    assert_string_equal(err.message, "again: heads is 7");
}

static void test_one_line(void **state) {
    (void)state;
    tub_error err;
    tub__fail(&err, TUB_E_IO, "a\nb\tc\x7f%s", "\x1b[31m");
    assert_string_equal(err.message, "a?b?c??[31m");
}

static void test_cut(void **state) {
    (void)state;
    tub_error err;
    char text[1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    tub__fail(&err, TUB_E_IO, "%s", text);
    assert_int_equal(strlen(err.message), TUB_ERROR_LENGTH - 1);
    /* A character of two bytes over the edge goes as a whole. */
    memcpy(text + TUB_ERROR_LENGTH - 2, "\xc3\xa9", 2);
    tub__fail(&err, TUB_E_IO, "%s", text);
    assert_int_equal(strlen(err.message), TUB_ERROR_LENGTH - 2);
    memset(text, 'x', sizeof text - 1);
    tub__fail(&err, TUB_E_IO, "fact");
    tub__prefix(&err, TUB_E_IO, "%s", text);
    assert_int_equal(strlen(err.message), TUB_ERROR_LENGTH - 1);
    tub__fail_errno(&err, ENOSPC, "%s", text);
    assert_int_equal(strlen(err.message), TUB_ERROR_LENGTH - 1);
}

static void test_errno(void **state) {
    (void)state;
    tub_error err;
    assert_int_equal(tub__fail_errno(&err, ENOSPC, "%s", "a/b.npz"), TUB_E_IO);
    assert_string_equal(err.message, "a/b.npz: No space left on device");
    assert_int_equal(err.status, TUB_E_IO);
    assert_int_equal(tub__fail_errno(NULL, ENOENT, "x"), TUB_E_NOT_FOUND);
    assert_int_equal(tub__fail_errno(NULL, EEXIST, "x"), TUB_E_EXISTS);
    assert_int_equal(tub__fail_errno(NULL, ENOMEM, "x"), TUB_E_MEMORY);
}

static void test_prefix(void **state) {
    (void)state;
    tub_error err;
    tub_status status = tub__fail(&err, TUB_E_FORMAT, "bad magic");
    assert_int_equal(tub__prefix(&err, status, "%s", "x.npz"), TUB_E_FORMAT);
    assert_string_equal(err.message, "x.npz: bad magic");
    assert_int_equal(tub__prefix(NULL, TUB_E_IO, "x"), TUB_E_IO);
    assert_int_equal(tub__suffix(&err, status, " (%s)", "a tail"), TUB_E_FORMAT);
    assert_string_equal(err.message, "x.npz: bad magic (a tail)");
    assert_int_equal(tub__suffix(NULL, TUB_E_IO, "x"), TUB_E_IO);
}

static void test_names(void **state) {
    (void)state;
    for (int i = TUB_OK; i <= TUB_E_NUMERIC; i++) {
        assert_string_not_equal(tub_status_name((tub_status)i), "unknown status");
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(tub_status_name((tub_status)i), tub_status_name((tub_status)j));
        }
    }
    assert_string_equal(tub_status_name((tub_status)999), "unknown status");
    assert_string_equal(tub_version(), TEST_VERSION);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fail),   cmocka_unit_test(test_one_line),
        cmocka_unit_test(test_cut),    cmocka_unit_test(test_errno),
        cmocka_unit_test(test_prefix), cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
