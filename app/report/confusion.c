/* SPDX-License-Identifier: Apache-2.0 */
/* The confusion matrix, whose cells lead to their samples. */
#include "sections.h"
#include "stills.h"
#include "table.h"

#include <inttypes.h>
#include <stdlib.h>

/* More classes make no table that one can read: the most frequent mistakes are listed instead. */
enum { TABLE_MOST = 32, MISTAKES = 30, OF_CELL = 12 };

static void open_cell(page *p, const report_part *part, int64_t i, int64_t j) {
    page_putf(p, "%s-%" PRId64 "-%" PRId64, part->id, i, j);
}

/* Counts decide the shade: the share of the row. */
static void put_cell(page *p, const report_facts *f, const report_part *part, int64_t i,
                     int64_t j) {
    const tub_metrics *m = part->metrics;
    const int64_t count = m->confusion[i * m->classes + j], row = m->per_class[i].support;
    const double share = row > 0 ? (double)count / (double)row : 0;
    char key[96], from[REPORT_NAME], to[REPORT_NAME];
    page_putf(p, "<td class=\"%s\" style=\"--share:%.3f\">", i == j ? "hit" : "miss", share);
    if (count > 0) {
        page_put(p, "<a href=\"#");
        open_cell(p, part, i, j);
        page_put(p, "\" title=\"");
        page_text(p, report_class(f, part->first + i, from));
        page_put(p, i == j ? ", right: " : ", taken for ");
        page_text(p, i == j ? "" : report_class(f, part->first + j, to));
        page_putf(p, "%s%.1f %%\">", i == j ? "" : ": ", 100 * share);
    }
    snprintf(key, sizeof key, "%s.confusion.%" PRId64 ".%" PRId64, part->key, i, j);
    page_count(p, key, count);
    page_put(p, count > 0 ? "</a></td>" : "</td>");
}

static void put_table(page *p, const report_facts *f, const report_part *part) {
    const int64_t n = part->metrics->classes;
    char name[REPORT_NAME];
    table_open(p, "confusion", "Confusion matrix: true classes down, predicted ones across");
    table_begin_head(p);
    table_heading(p, "true \\ predicted");
    for (int64_t j = 0; j < n; j++) {
        page_put(p, "<th scope=\"col\"><span>");
        page_text(p, report_class(f, part->first + j, name));
        page_put(p, "</span></th>");
    }
    table_end_head(p);
    for (int64_t i = 0; i < n; i++) {
        table_row(p, report_class(f, part->first + i, name));
        for (int64_t j = 0; j < n; j++) {
            put_cell(p, f, part, i, j);
        }
        page_put(p, "</tr>\n");
    }
    table_close(p);
}

/* ---- the samples of the cells ---- */

/* Samples by their cells, in one list: those of cell c = true * K + predicted from begin[c] to
 * begin[c + 1]. */
typedef struct sorted {
    int64_t *begin, *samples;
} sorted;

static void sorted_free(sorted *s) {
    free(s->begin);
    free(s->samples);
}

/* False: no memory; sorted_free in any case. */
static bool sort_samples(const report_facts *f, const report_part *part, sorted *out) {
    const int64_t n = part->metrics->classes;
    out->begin = calloc((size_t)(n * n + 2), sizeof *out->begin);
    out->samples = calloc((size_t)f->samples + 1, sizeof *out->samples);
    int64_t *cells = calloc((size_t)f->samples + 1, sizeof *cells);
    const bool fine = out->begin != NULL && out->samples != NULL && cells != NULL;
    for (int64_t s = 0; fine && s < f->samples; s++) {
        cells[s] = report_truth(f, part, s) * n + report_prediction(f, part, s);
        out->begin[cells[s] + 2]++;
    }
    for (int64_t c = 2; fine && c < n * n + 2; c++) {
        out->begin[c] += out->begin[c - 1];
    }
    for (int64_t s = 0; fine && s < f->samples; s++) {
        out->samples[out->begin[cells[s] + 1]++] = s;
    }
    free(cells);
    return fine;
}

/* What the cells of a part are put together from. */
typedef struct cells {
    const report_facts *f;
    const report_part *part;
    sorted sorted;
    stills *stills; /* of all parts */
} cells;

static tub_status put_cell_samples(page *p, const cells *c, int64_t i, int64_t j, tub_error *err) {
    const report_facts *f = c->f;
    const report_part *part = c->part;
    const int64_t *begin = c->sorted.begin + i * part->metrics->classes + j;
    const int64_t count = begin[1] - begin[0], shown = count < OF_CELL ? count : OF_CELL;
    char from[REPORT_NAME], to[REPORT_NAME];
    tub_status status = TUB_OK;
    page_put(p, "<div class=\"cell\" id=\"");
    open_cell(p, part, i, j);
    page_put(p, "\"><h4>T: ");
    page_text(p, report_class(f, part->first + i, from));
    page_put(p, " | P: ");
    page_text(p, report_class(f, part->first + j, to));
    page_putf(p, " <span class=\"range\">%" PRId64 "</span></h4><ul>", count);
    for (int64_t k = 0; k < shown && status == TUB_OK; k++) {
        const int64_t s = c->sorted.samples[begin[0] + k];
        page_put(p, "<li>");
        status = stills_put(p, f, c->stills, s, err);
        const char *file = report_file(f, s);
        page_put(p, "<span title=\"");
        page_text(p, file != NULL ? file : "");
        page_putf(p, "\">#%" PRId64 ", %.0f %%</span></li>", s, 100 * report_score(f, part, s, j));
    }
    page_put(p, "</ul>");
    if (count > shown) {
        page_putf(p, "<p class=\"note\">and %" PRId64 " more</p>", count - shown);
    }
    page_put(p, "</div>\n");
    return status;
}

typedef struct mistake {
    int64_t i, j, count;
} mistake;

static int most_first(const void *a, const void *b) {
    const mistake *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count ? 1 : -1)
           : x->i != y->i       ? (x->i < y->i ? -1 : 1)
                                : (x->j > y->j) - (x->j < y->j);
}

/* The most frequent mistakes; false: no memory. */
static bool list_mistakes(const report_part *part, mistake **out, size_t *count) {
    const int64_t n = part->metrics->classes;
    size_t used = 0;
    for (int64_t at = 0; at < n * n; at++) {
        used += at / n != at % n && part->metrics->confusion[at] > 0;
    }
    *out = calloc(used + 1, sizeof **out);
    *count = 0;
    for (int64_t at = 0; at < n * n && *out != NULL; at++) {
        if (at / n != at % n && part->metrics->confusion[at] > 0) {
            (*out)[(*count)++] = (mistake){at / n, at % n, part->metrics->confusion[at]};
        }
    }
    if (*out != NULL) {
        qsort(*out, *count, sizeof **out, most_first);
    }
    return *out != NULL;
}

static void put_mistakes(page *p, const report_facts *f, const report_part *part,
                         const mistake *list, size_t n) {
    static const char *const names[] = {"true", "predicted", "samples", NULL};
    char from[REPORT_NAME], to[REPORT_NAME];
    table_open(p, "sortable", "The most frequent mistakes");
    table_head(p, names);
    for (size_t i = 0; i < n && i < MISTAKES; i++) {
        table_row(p, report_class(f, part->first + list[i].i, from));
        page_put(p, "<td>");
        page_text(p, report_class(f, part->first + list[i].j, to));
        page_put(p, "</td><td><a href=\"#");
        open_cell(p, part, list[i].i, list[i].j);
        page_putf(p, "\">%" PRId64 "</a></td></tr>\n", list[i].count);
    }
    table_close(p);
}

/* Mistakes first, the most frequent of them before the others, so that they get the stills. */
static tub_status put_cells(page *p, const cells *c, const mistake *list, size_t mistakes,
                            tub_error *err) {
    const int64_t n = c->part->metrics->classes;
    tub_status status = TUB_OK;
    for (size_t i = 0; i < mistakes && status == TUB_OK; i++) {
        status = put_cell_samples(p, c, list[i].i, list[i].j, err);
    }
    for (int64_t k = 0; k < n && n <= TABLE_MOST && status == TUB_OK; k++) {
        if (c->part->metrics->confusion[k * n + k] > 0) {
            status = put_cell_samples(p, c, k, k, err);
        }
    }
    return status;
}

static tub_status put_part(page *p, cells *c, tub_error *err) {
    const report_part *part = c->part;
    const bool table = part->metrics->classes <= TABLE_MOST;
    mistake *list = NULL;
    size_t mistakes;
    tub_status status = TUB_E_MEMORY;
    *err = (tub_error){.status = TUB_E_MEMORY, .message = "out of memory"};
    if (list_mistakes(part, &list, &mistakes) && sort_samples(c->f, part, &c->sorted)) {
        if (c->f->parts > 1) {
            page_putf(p, "<h3>Head %" PRId64 "</h3>", part->column + 1);
        }
        if (table) {
            put_table(p, c->f, part);
        } else {
            put_mistakes(p, c->f, part, list, mistakes);
            mistakes = mistakes < MISTAKES ? mistakes : MISTAKES;
        }
        page_put(p, "<p class=\"note\">A number leads to its samples.</p><div class=\"cells\">\n");
        status = put_cells(p, c, list, mistakes, err);
        page_put(p, "</div>\n");
    }
    sorted_free(&c->sorted);
    free(list);
    return status;
}

/* The parts come first, in a page of their own: only they know which stills there are. */
static tub_status put_all(page *p, page *parts, const report_facts *f, stills *all,
                          tub_error *err) {
    tub_status status = TUB_OK;
    for (int64_t h = 0; h < f->parts && status == TUB_OK; h++) {
        cells c = {.f = f, .part = &f->part[h], .stills = all};
        status = put_part(parts, &c, err);
    }
    if (status == TUB_OK && !page_end(parts)) {
        *err = (tub_error){.status = TUB_E_MEMORY, .message = "out of memory"};
        status = TUB_E_MEMORY;
    }
    if (status == TUB_OK) {
        page_put(p, "<section id=\"confusion\"");
        status = stills_put_style(p, f, all, err);
        page_put(p, "><h2>What is taken for what</h2>\n");
        page_put_bytes(p, parts->bytes, parts->size);
        page_put(p, "</section>\n");
    }
    return status;
}

int report_confusion(const cli_command *self, page *p, const report_facts *f) {
    page parts;
    tub_error err;
    if (f->parts == 0) {
        return CLI_GO;
    }
    stills *all = calloc(1, sizeof *all);
    if (all == NULL || !page_begin(&parts)) {
        free(all);
        return cli_fail_with(self, "out of memory");
    }
    const tub_status status = put_all(p, &parts, f, all, &err);
    page_free(&parts);
    stills_free(all);
    free(all);
    return status == TUB_OK ? CLI_GO : cli_fail(self, &err);
}
