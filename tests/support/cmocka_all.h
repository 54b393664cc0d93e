/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka with the headers that it needs before it. */
#ifndef TEST_CMOCKA_ALL_H
#define TEST_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Shows the sentence of an unexpected failure. */
#define assert_ok(call, err)                                                                       \
    do {                                                                                           \
        tub_status assert_ok_ = (call);                                                            \
        if (assert_ok_ != TUB_OK) {                                                                \
            fail_msg("%s: %s", #call, (err).message);                                              \
        }                                                                                          \
    } while (0)

#endif
