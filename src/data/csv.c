/* SPDX-License-Identifier: Apache-2.0 */
/* Reads comma-separated values: one walk over the text, which moves each field's bytes to its front and
 * ends them with a zero. */
#include "data/csv.h"

#include "base/error.h"
#include "base/file.h"
#include <string.h>

enum { SIZE_LIMIT = 256 << 20 };

typedef struct reader {
    tub__csv *csv;
    const char *path;
    char *at, *end;
    size_t line;
    size_t fields, field_room, row_room;
} reader;

static tub_status add_field(reader *r, char *field, tub_error *err) {
    void *list = r->csv->fields;
    TUB__TRY(
        tub__alloc_room(r->csv->allocator, &list, r->fields, sizeof(char *), &r->field_room, err));
    r->csv->fields = list;
    r->csv->fields[r->fields++] = field;
    return TUB_OK;
}

static tub_status add_row(reader *r, size_t line, size_t fields, tub_error *err) {
    tub__csv *csv = r->csv;
    void *list = csv->line;
    if (csv->rows == 0) {
        csv->columns = fields;
    }
    if (fields != csv->columns) {
        return tub__fail(err, TUB_E_FORMAT,
                         "%s: line %zu has %zu fields, the first one has %zu; a comma inside a "
                         "field needs quotes around it",
                         r->path, line, fields, csv->columns);
    }
    TUB__TRY(tub__alloc_room(csv->allocator, &list, csv->rows, sizeof(size_t), &r->row_room, err));
    csv->line = list;
    csv->line[csv->rows++] = line;
    return TUB_OK;
}

static bool at_line_end(const reader *r) {
    return r->at == r->end || *r->at == '\n' ||
           (*r->at == '\r' && (r->at + 1 == r->end || r->at[1] == '\n'));
}

/* A quoted field: its bytes move to where the quote was. */
static tub_status read_quoted(reader *r, char **field, char **stop, tub_error *err) {
    const size_t line = r->line;
    char *to = r->at++;
    *field = to;
    while (r->at < r->end) {
        if (*r->at == '"' && (r->at + 1 == r->end || r->at[1] != '"')) {
            break;
        }
        r->at += *r->at == '"';
        r->line += *r->at == '\n';
        *to++ = *r->at++;
    }
    if (r->at == r->end) {
        return tub__fail(err, TUB_E_FORMAT, "%s: line %zu: a quote begins that does not end",
                         r->path, line);
    }
    r->at++;
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t')) {
        r->at++;
    }
    *stop = to;
    return at_line_end(r) || *r->at == ','
               ? TUB_OK
               : tub__fail(err, TUB_E_FORMAT,
                           "%s: line %zu: text stands behind a closing quote; a quote inside a "
                           "quoted field is written twice",
                           r->path, r->line);
}

/* As many programs write them: a.mp4, "cat". */
static void pass_blanks_before_quote(reader *r) {
    char *at = r->at;
    while (at < r->end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    if (at < r->end && *at == '"') {
        r->at = at;
    }
}

/* One row, and the line end behind it. */
static tub_status read_row(reader *r, tub_error *err) {
    const size_t line = r->line;
    size_t fields = 0;
    for (bool more = true; more;) {
        pass_blanks_before_quote(r);
        char *field = r->at, *stop = NULL;
        if (r->at < r->end && *r->at == '"') {
            TUB__TRY(read_quoted(r, &field, &stop, err));
        } else {
            while (!at_line_end(r) && *r->at != ',') {
                r->at++;
            }
            stop = r->at;
        }
        more = !at_line_end(r);
        r->at += more ? 1 : r->at == r->end ? 0 : *r->at == '\r' ? 1 : 0;
        r->at += !more && r->at < r->end && *r->at == '\n';
        *stop = '\0'; /* on the separator, or before it; the text has a byte behind its end */
        TUB__TRY(add_field(r, field, err));
        fields++;
    }
    r->line++;
    return add_row(r, line, fields, err);
}

static tub_status read_rows(reader *r, tub_error *err) {
    while (r->at < r->end) {
        if (at_line_end(r)) {
            r->at += *r->at == '\r' && r->at + 1 < r->end ? 2 : 1;
            r->line++;
            continue;
        }
        TUB__TRY(read_row(r, err));
    }
    return r->csv->rows > 0 ? TUB_OK
                            : tub__fail(err, TUB_E_FORMAT, "%s: there is nothing in it", r->path);
}

tub_status tub__csv_read(const tub_allocator *a, const char *path, tub__csv *out, tub_error *err) {
    size_t size = 0;
    *out = (tub__csv){.allocator = a};
    TUB__TRY(tub__file_read(a, path, SIZE_LIMIT, &out->text, &size, err));
    reader r = {.csv = out, .path = path, .at = out->text, .end = out->text + size, .line = 1};
    tub_status status = TUB_OK;
    if (memchr(out->text, '\0', size) != NULL) {
        status = tub__fail(err, TUB_E_FORMAT, "%s: there is a zero byte in it: no text", path);
    }
    if (size >= 3 && memcmp(out->text, "\xef\xbb\xbf", 3) == 0) {
        r.at += 3;
    }
    if (status == TUB_OK) {
        status = read_rows(&r, err);
    }
    if (status != TUB_OK) {
        tub__csv_free(out);
    }
    return status;
}

void tub__csv_free(tub__csv *csv) {
    if (csv->allocator != NULL) {
        tub__free(csv->allocator, csv->line);
        tub__free(csv->allocator, csv->fields);
        tub__free(csv->allocator, csv->text);
    }
    *csv = (tub__csv){0};
}
