/* SPDX-License-Identifier: Apache-2.0 */
/* Comma-separated values as RFC 4180 has them: quoted fields, "" for a quote, line breaks inside quotes;
 * lines may end in CR LF or LF, and the file may begin with a byte order mark. Blanks around quotes, which it does not
 * know, are passed over. */
#ifndef TUB__DATA_CSV_H
#define TUB__DATA_CSV_H

#include "base/alloc.h"

/* One field: text that ends with a zero. */
typedef struct tub__csv {
    const tub_allocator *allocator;
    char *text;    /* the file, cut into fields in place */
    char **fields; /* [rows][columns] */
    size_t *line;  /* [rows]: where each row begins in the file, from 1 */
    size_t rows, columns;
} tub__csv;

/* Reads a file; the first row says how many columns there are. Empty lines are passed over. Errors,
 * which name the file and the line: TUB_E_NOT_FOUND, TUB_E_IO, TUB_E_FORMAT (a quote that does not end,
 * text behind one, a zero byte, another number of fields, nothing at all, more than 256 MiB),
 * TUB_E_MEMORY. */
TUB_MUST_USE tub_status tub__csv_read(const tub_allocator *a, const char *path, tub__csv *out,
                                      tub_error *err);
void tub__csv_free(tub__csv *csv); /* accepts a cleared one */

static inline const char *tub__csv_field(const tub__csv *csv, size_t row, size_t column) {
    return csv->fields[row * csv->columns + column];
}

#endif
