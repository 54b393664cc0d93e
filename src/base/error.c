/* SPDX-License-Identifier: Apache-2.0 */
/* Error sentences, the names of the status codes, and the version. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One line whatever a file name holds: control characters become '?'. Cutting keeps whole UTF-8
 * characters. */
static void store(tub_error *err, tub_status status, const char *text) {
    size_t n = strnlen(text, TUB_ERROR_LENGTH);
    if (n == TUB_ERROR_LENGTH) {
        n = TUB_ERROR_LENGTH - 1;
        while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80) {
            n--;
        }
    }
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        err->message[i] = c < 0x20 || c == 0x7F ? '?' : text[i];
    }
    err->message[n] = '\0';
    err->status = status;
}

/* Adds ": tail" to a text of `length` characters as far as there is room. */
static void append(char text[TUB_ERROR_LENGTH + 1], int length, const char *tail) {
    if (length < 0 || length >= TUB_ERROR_LENGTH - 1) {
        return;
    }
    size_t at = (size_t)length;
    text[at++] = ':';
    text[at++] = ' ';
    size_t n = strnlen(tail, TUB_ERROR_LENGTH - at);
    memcpy(text + at, tail, n);
    text[at + n] = '\0';
}

tub_status tub__fail(tub_error *err, tub_status status, const char *format, ...) {
    if (err != NULL) {
        char text[TUB_ERROR_LENGTH +
                  1]; /* apart from *err, whose old message may be among the arguments */
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof text, format, args);
        va_end(args);
        store(err, status, text);
    }
    return status;
}

static tub_status status_of_errno(int value) {
    switch (value) {
    case ENOENT:
    case ENOTDIR:
        return TUB_E_NOT_FOUND;
    case EEXIST:
        return TUB_E_EXISTS;
    case ENOMEM:
        return TUB_E_MEMORY;
    default:
        return TUB_E_IO;
    }
}

tub_status tub__fail_errno(tub_error *err, int errno_value, const char *format, ...) {
    tub_status status = status_of_errno(errno_value);
    if (err != NULL) {
        char text[TUB_ERROR_LENGTH + 1];
        char reason[128];
        va_list args;
        va_start(args, format);
        int n = vsnprintf(text, sizeof text, format, args);
        va_end(args);
        append(text, n, strerror_r(errno_value, reason, sizeof reason));
        store(err, status, text);
    }
    return status;
}

tub_status tub__prefix(tub_error *err, tub_status status, const char *format, ...) {
    if (err != NULL) {
        char text[TUB_ERROR_LENGTH + 1];
        va_list args;
        va_start(args, format);
        int n = vsnprintf(text, sizeof text, format, args);
        va_end(args);
        append(text, n, err->message);
        store(err, status, text);
    }
    return status;
}

tub_status tub__suffix(tub_error *err, tub_status status, const char *format, ...) {
    if (err != NULL) {
        char text[TUB_ERROR_LENGTH + 1];
        const size_t n = strlen(err->message);
        va_list args;
        va_start(args, format);
        memcpy(text, err->message, n);
        vsnprintf(text + n, sizeof text - n, format, args);
        va_end(args);
        store(err, status, text);
    }
    return status;
}

const char *tub_status_name(tub_status status) {
    switch (status) {
    case TUB_OK:
        return "ok";
    case TUB_E_ARGUMENT:
        return "wrong argument";
    case TUB_E_MEMORY:
        return "out of memory";
    case TUB_E_IO:
        return "input/output error";
    case TUB_E_FORMAT:
        return "wrong format";
    case TUB_E_SHAPE:
        return "wrong shape";
    case TUB_E_RANGE:
        return "out of range";
    case TUB_E_NOT_FOUND:
        return "not found";
    case TUB_E_EXISTS:
        return "exists already";
    case TUB_E_UNSUPPORTED:
        return "not supported";
    case TUB_E_MODULE:
        return "module missing";
    case TUB_E_CHECKSUM:
        return "wrong checksum";
    case TUB_E_NETWORK:
        return "network error";
    case TUB_E_CANCELLED:
        return "cancelled";
    case TUB_E_NUMERIC:
        return "not a finite number";
    }
    return "unknown status";
}

const char *tub_version(void) {
    return TUB__VERSION;
}

tub_status tub__in_range(const char *name, int64_t value, int64_t low, int64_t high,
                         tub_error *err) {
    if (value < low || value > high) {
        return tub__fail(err, TUB_E_RANGE, "%s is %lld; it must be from %lld to %lld", name,
                         (long long)value, (long long)low, (long long)high);
    }
    return TUB_OK;
}

tub_status tub__check_size(const char *type, size_t given, size_t known, tub_error *err) {
    return given == known ? TUB_OK
                          : tub__fail(err, TUB_E_ARGUMENT,
                                      "%s: size is %zu, this library knows %zu bytes; start from "
                                      "%s_default()",
                                      type, given, known, type);
}
