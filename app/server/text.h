/* SPDX-License-Identifier: Apache-2.0 */
/* Text that grows: answers, logs and metrics are written into it. */
#ifndef APP_SERVER_TEXT_H
#define APP_SERVER_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Begins all zero. Once there was no memory it stays failed, and what is added is lost. */
typedef struct textbuf {
    char *bytes;
    size_t size, room;
    bool failed;
} textbuf;

void text_add(textbuf *t, const void *bytes, size_t size);
void text_put(textbuf *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* In quotes, as JSON has strings; what is no UTF-8 becomes '?'. */
void text_json(textbuf *t, const char *string);
/* A number as JSON has it, from which the same float comes back; null where it is not finite. */
void text_float(textbuf *t, float value);
/* Label values of Prometheus: \, " and line ends escaped. */
void text_label(textbuf *t, const char *string);
void text_free(textbuf *t);

#endif
