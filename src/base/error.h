/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the one sentence of a failure and passing it up. */
#ifndef TUB__BASE_ERROR_H
#define TUB__BASE_ERROR_H

#include <stddef.h>
#include <stdint.h>
#include <tubelet/status.h>

/* Fills *err (which may be NULL) with the formatted sentence and returns status. Never allocates;
 * too long a sentence is cut, control characters become '?'. */
tub_status tub__fail(tub_error *err, tub_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As tub__fail for an operating-system failure: appends ": " and the text of errno_value. Returns
 * TUB_E_NOT_FOUND for a missing file or folder, TUB_E_EXISTS, TUB_E_MEMORY, else TUB_E_IO. */
tub_status tub__fail_errno(tub_error *err, int errno_value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before an existing sentence (the file or key in which the failure happened);
 * returns its status. */
tub_status tub__prefix(tub_error *err, tub_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts more behind an existing sentence (what to do, known only further up); returns its status. */
tub_status tub__suffix(tub_error *err, tub_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* TUB_E_RANGE with a sentence that names the value, unless low <= value <= high. */
TUB_MUST_USE tub_status tub__in_range(const char *name, int64_t value, int64_t low, int64_t high,
                                      tub_error *err);

/* TUB_E_ARGUMENT unless a struct of options, whose name is `type`, was made by its default for this
 * library. */
TUB_MUST_USE tub_status tub__check_size(const char *type, size_t given, size_t known,
                                        tub_error *err);

/* Returns from the calling function when the expression fails. Only where nothing has to be
 * released. */
#define TUB__TRY(expression)                                                                       \
    do {                                                                                           \
        tub_status tub__try_ = (expression);                                                       \
        if (tub__try_ != TUB_OK) {                                                                 \
            return tub__try_;                                                                      \
        }                                                                                          \
    } while (0)

#endif
