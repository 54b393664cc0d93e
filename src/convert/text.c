/* SPDX-License-Identifier: Apache-2.0 */
/* A growing text. */
#include "convert/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"

void tub__text_start(tub__text *t, const tub_allocator *a) {
    *t = (tub__text){.allocator = a};
}

/* Room for `more` bytes and a terminator; false after a failure. */
static bool reserve(tub__text *t, size_t more) {
    size_t needed = t->size + more + 1, capacity = t->capacity == 0 ? 4096 : t->capacity;
    if (t->error.status != TUB_OK) {
        return false;
    }
    while (capacity < needed) {
        capacity *= 2;
    }
    if (capacity == t->capacity) {
        return true;
    }
    void *block = t->data;
    if (tub__alloc_grow(t->allocator, &block, t->size, capacity, &t->error) != TUB_OK) {
        return false;
    }
    t->data = block;
    t->capacity = capacity;
    return true;
}

void tub__text_add(tub__text *t, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0 || !reserve(t, (size_t)length)) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(t->data + t->size, t->capacity - t->size, format, arguments);
    va_end(arguments);
    t->size += (size_t)length;
}

void tub__text_add_quoted(tub__text *t, const char *value) {
    tub__text_add(t, "\"");
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            tub__text_add(t, "\\%c", *c);
        } else if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            tub__text_add(t, "\\u%04x", (unsigned)(unsigned char)*c);
        } else {
            tub__text_add(t, "%c", *c);
        }
    }
    tub__text_add(t, "\"");
}

void tub__text_add_real(tub__text *t, double value) {
    if (value != value || fabs(value) > 1e15) {
        tub__text_add(t, "undefined");
        return;
    }
    long long thousandths = (long long)rint(fabs(value) * 1000.0);
    tub__text_add(t, "%s%lld.%03lld", value < 0.0 && thousandths > 0 ? "-" : "", thousandths / 1000,
                  thousandths % 1000);
}

tub_status tub__text_check(const tub__text *t, tub_error *err) {
    if (t->error.status != TUB_OK && err != NULL) {
        *err = t->error;
    }
    return t->error.status;
}

void tub__text_free(tub__text *t) {
    tub__free(t->allocator, t->data);
    t->data = NULL;
}
