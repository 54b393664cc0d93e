/* SPDX-License-Identifier: Apache-2.0 */
/* Data sets that are .csv files: a row for each file, or for each part of one. */
#include "base/error.h"
#include "base/file.h"
#include "data/csv.h"
#include "data/file_list.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { PATH, LABEL, START, END, SPLIT, GROUP, COLUMNS };
static const char *const column_names[COLUMNS] = {"path", "label", "start",
                                                  "end",  "split", "group"};

typedef struct rows {
    tub_context *ctx;
    const char *path; /* of the .csv */
    tub__csv csv;
    size_t column[COLUMNS];
    bool has[COLUMNS];
    char *folder; /* that relative paths begin in, with a slash; "" here */
} rows;

static const char *column_name(const void *names, size_t i) {
    return ((const char *const *)names)[i];
}

/* The column that a name is nearly that of; NULL: of none. */
static const char *nearest(const char *name) {
    for (int k = 0; k < COLUMNS; k++) {
        if (strcasecmp(name, column_names[k]) == 0) {
            return column_names[k];
        }
    }
    const size_t i = tub_nearest(name, column_names, COLUMNS, column_name);
    return i < COLUMNS ? column_names[i] : NULL;
}

/* What another program may have written in the place of commas and line ends; NULL: none of it. */
static const char *find_separator(const rows *r) {
    const char *first = tub__csv_field(&r->csv, 0, 0);
    for (size_t c = 0; c < r->csv.columns; c++) {
        if (strchr(tub__csv_field(&r->csv, 0, c), '\r') != NULL) {
            return "its lines end with CR alone; save it with LF, or CR LF";
        }
    }
    return r->csv.columns > 1            ? NULL
           : strchr(first, ';') != NULL  ? "it has semicolons; save it with commas"
           : strchr(first, '\t') != NULL ? "it has tabs; save it with commas"
                                         : NULL;
}

/* Which of the two is not there, and what may be meant for it. */
static tub_status fail_header(const rows *r, tub_error *err) {
    const char *missing = column_names[r->has[PATH] ? LABEL : PATH];
    const char *separator = find_separator(r), *meant = NULL;
    for (size_t c = 0; c < r->csv.columns && meant == NULL; c++) {
        const char *name = tub__csv_field(&r->csv, 0, c), *near = nearest(name);
        meant = near != NULL && strcmp(near, missing) == 0 ? name : NULL;
    }
    if (separator != NULL) {
        return tub__fail(err, TUB_E_FORMAT, "%s: there is no column %s: %s", r->path, missing,
                         separator);
    }
    if (meant != NULL) {
        return tub__fail(err, TUB_E_FORMAT,
                         "%s: there is no column %s, but one that is called '%.40s'; call it %s",
                         r->path, missing, meant, missing);
    }
    return tub__fail(err, TUB_E_FORMAT,
                     "%s: there is no column %s: its first line must name the columns, path and "
                     "label among them (and start, end, split, group where wanted); it begins with "
                     "'%.40s'",
                     r->path, missing, tub__csv_field(&r->csv, 0, 0));
}

static bool is_column(const char *name) {
    for (int k = 0; k < COLUMNS; k++) {
        if (strcmp(name, column_names[k]) == 0) {
            return true;
        }
    }
    return false;
}

/* A misspelt column would vanish without a word. */
static tub_status note_passed_over(const rows *r, tub__file_list *out, tub_error *err) {
    char text[400];
    size_t found = 0;
    const char *meant = NULL, *name = NULL;
    int used = snprintf(text, sizeof text, "columns that are passed over:");
    for (size_t c = 0; c < r->csv.columns; c++) {
        const char *one = tub__csv_field(&r->csv, 0, c), *near = nearest(one);
        if (is_column(one) || one[0] == '\0') {
            continue;
        }
        if (used < 300) {
            used += snprintf(text + used, sizeof text - (size_t)used, "%s %.40s",
                             found > 0 ? "," : "", one);
        }
        found++;
        if (near != NULL && meant == NULL) {
            meant = near;
            name = one;
        }
    }
    if (found == 0) {
        return TUB_OK;
    }
    if (meant != NULL) {
        snprintf(text + used, sizeof text - (size_t)used, "; is '%.30s' meant for %s?", name,
                 meant);
    }
    out->misspelt = meant != NULL;
    return tub__alloc_string(out->allocator, text, &out->passed_over, err);
}

static tub_status find_columns(rows *r, tub__file_list *out, tub_error *err) {
    for (size_t c = 0; c < r->csv.columns; c++) {
        for (int k = 0; k < COLUMNS; k++) {
            if (strcmp(tub__csv_field(&r->csv, 0, c), column_names[k]) == 0) {
                if (r->has[k]) {
                    return tub__fail(err, TUB_E_FORMAT, "%s: two columns are called %s", r->path,
                                     column_names[k]);
                }
                r->has[k] = true;
                r->column[k] = c;
            }
        }
    }
    return r->has[PATH] && r->has[LABEL] ? note_passed_over(r, out, err) : fail_header(r, err);
}

/* "" where there is no such column. */
static const char *field(const rows *r, size_t row, int column) {
    return r->has[column] ? tub__csv_field(&r->csv, row, r->column[column]) : "";
}

/* Blanks around a field are no part of it ("a.mp4, cat" is of the class cat); only the name of a file may
 * have them. */
static void trim(char *text) {
    static const char blanks[] = " \t";
    const size_t from = strspn(text, blanks);
    size_t length = strlen(text + from);
    while (length > 0 && strchr(blanks, text[from + length - 1]) != NULL) {
        length--;
    }
    memmove(text, text + from, length);
    text[length] = '\0';
}

/* Those of rows from `begin` to before `end`; while no column is known, all. */
static void trim_rows(rows *r, size_t begin, size_t end) {
    for (size_t i = begin * r->csv.columns; i < end * r->csv.columns; i++) {
        if (!r->has[PATH] || i % r->csv.columns != r->column[PATH]) {
            trim(r->csv.fields[i]);
        }
    }
}

/* Seconds as decimal digits, exactly in nanoseconds. */
static bool parse_seconds(const char *text, int64_t *out) {
    const int64_t limit = INT64_MAX / 1000000000 / 10 - 1;
    int64_t whole = 0, part = 0, unit = 1000000000;
    bool digits = false;
    for (; *text >= '0' && *text <= '9' && whole < limit; text++, digits = true) {
        whole = whole * 10 + (*text - '0');
    }
    if (*text == '.') {
        for (text++; *text >= '0' && *text <= '9'; text++, digits = true) {
            if (unit == 1) { /* below a nanosecond */
                return false;
            }
            unit /= 10;
            part += unit * (*text - '0');
        }
    }
    *out = whole * 1000000000 + part;
    return digits && *text == '\0';
}

static tub_status fail_field(const rows *r, size_t row, int column, const char *what,
                             tub_error *err) {
    return tub__fail(err, TUB_E_FORMAT, "%s: line %zu: %s '%.100s' %s", r->path, r->csv.line[row],
                     column_names[column], field(r, row, column), what);
}

static tub_status read_part(const rows *r, size_t row, tub__file_item *item, tub_error *err) {
    static const char seconds[] = "is no number of seconds with at most nine decimals, as 2.5 is";
    if (field(r, row, START)[0] != '\0' && !parse_seconds(field(r, row, START), &item->start)) {
        return fail_field(r, row, START, seconds, err);
    }
    if (field(r, row, END)[0] == '\0') {
        return TUB_OK;
    }
    if (!parse_seconds(field(r, row, END), &item->end)) {
        return fail_field(r, row, END, seconds, err);
    }
    return item->end > item->start ? TUB_OK
                                   : fail_field(r, row, END, "is not behind the start", err);
}

static tub_status read_split(const rows *r, size_t row, tub__file_item *item, tub_error *err) {
    const char *text = field(r, row, SPLIT);
    tub_split split = TUB_TRAIN;
    if (text[0] != '\0' && tub_split_parse(text, &split, NULL) != TUB_OK) {
        return fail_field(r, row, SPLIT, "is none: choose train, val or test", err);
    }
    item->split = text[0] != '\0' ? (int)split : -1;
    return TUB_OK;
}

/* Without "./" and double slashes, so that one file has one name. */
static void tidy(char *path) {
    char *to = path;
    const char *from = path;
    for (bool begin = true; *from != '\0';) {
        if (begin && from[0] == '.' && from[1] == '/') {
            from += 2;
        } else if (begin && from[0] == '/' && from != path) {
            from++;
        } else {
            begin = *from == '/';
            *to++ = *from++;
        }
    }
    *to = '\0';
}

static tub_status make_path(const rows *r, size_t row, tub__file_item *item, tub_error *err) {
    const tub_allocator *a = &r->ctx->allocator;
    const char *name = field(r, row, PATH);
    const size_t folder = name[0] == '/' ? 0 : strlen(r->folder), length = strlen(name);
    void *block;
    if (length == 0) {
        return fail_field(r, row, PATH, "is empty", err);
    }
    TUB__TRY(tub__alloc(a, folder + length + 1, &block, err));
    item->path = block;
    memcpy(item->path, r->folder, folder);
    memcpy(item->path + folder, name, length + 1);
    tidy(item->path + folder);
    item->name = item->path + folder;
    return TUB_OK;
}

static tub_status read_row(rows *r, size_t row, tub__file_list *out, tub_error *err) {
    tub__file_item *item;
    TUB__TRY(tub__file_list_add(out, &item, err));
    item->line = r->csv.line[row];
    TUB__TRY(make_path(r, row, item, err));
    if (field(r, row, LABEL)[0] == '\0') {
        return fail_field(r, row, LABEL, "is empty", err);
    }
    TUB__TRY(tub__file_list_class(out, field(r, row, LABEL), &item->label, err));
    TUB__TRY(read_part(r, row, item, err));
    TUB__TRY(read_split(r, row, item, err));
    return field(r, row, GROUP)[0] != '\0'
               ? tub__alloc_string(out->allocator, field(r, row, GROUP), &item->group, err)
               : TUB_OK;
}

/* Splits in some rows only leave open what the others are. */
static tub_status check_splits(const rows *r, tub__file_list *out, tub_error *err) {
    size_t said = 0, without = 0;
    for (size_t i = 0; i < out->count; i++) {
        said += out->items[i].split >= 0;
        without = out->items[i].split < 0 && without == 0 ? out->items[i].line : without;
    }
    out->has_splits = said > 0;
    return said == 0 || said == out->count
               ? TUB_OK
               : tub__fail(err, TUB_E_FORMAT,
                           "%s: line %zu has no split, others have; name all splits, or none for "
                           "one by seed",
                           r->path, without);
}

/* A class that only val or test have can't be learned. Where nothing is to be learned from, there is none. */
static tub_status check_trained(const rows *r, const tub__file_list *out, tub_error *err) {
    void *block;
    size_t rows_of_train = 0;
    TUB__TRY(tub__alloc_array(out->allocator, out->class_count + 1, 1, &block, err));
    unsigned char *trained = block;
    tub_status status = TUB_OK;
    for (size_t i = 0; i < out->count; i++) {
        const bool train = out->items[i].split == TUB_TRAIN;
        trained[out->items[i].label] |= train;
        rows_of_train += train;
    }
    for (size_t i = 0; rows_of_train > 0 && i < out->count && status == TUB_OK; i++) {
        if (!trained[out->items[i].label]) {
            status =
                tub__fail(err, TUB_E_FORMAT, "%s: line %zu: no row of train has the label '%.100s'",
                          r->path, out->items[i].line, out->classes[out->items[i].label]);
        }
    }
    tub__free(out->allocator, block);
    return status;
}

static tub_status read_rows(rows *r, tub__file_list *out, tub_error *err) {
    const char *slash = strrchr(r->path, '/');
    const size_t folder = slash != NULL ? (size_t)(slash - r->path) + 1 : 0;
    void *block;
    trim_rows(r, 0, 1);
    TUB__TRY(find_columns(r, out, err));
    trim_rows(r, 1, r->csv.rows);
    TUB__TRY(tub__alloc(&r->ctx->allocator, folder + 1, &block, err));
    r->folder = block;
    memcpy(r->folder, r->path, folder);
    r->folder[folder] = '\0';
    for (size_t row = 1; row < r->csv.rows; row++) {
        TUB__TRY(read_row(r, row, out, err));
    }
    if (out->count == 0) {
        return tub__fail(err, TUB_E_FORMAT, "%s: no row stands below its header", r->path);
    }
    TUB__TRY(check_splits(r, out, err));
    return out->has_splits ? check_trained(r, out, err) : TUB_OK;
}

tub_status tub__file_list_rows(tub_context *ctx, const char *path, tub__file_list *out,
                               tub_error *err) {
    rows r = {.ctx = ctx, .path = path};
    TUB__TRY(tub__csv_read(&ctx->allocator, path, &r.csv, err));
    const tub_status status = read_rows(&r, out, err);
    tub__free(&ctx->allocator, r.folder);
    tub__csv_free(&r.csv);
    return status;
}
