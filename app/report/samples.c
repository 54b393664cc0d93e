/* SPDX-License-Identifier: Apache-2.0 */
/* Moving samples with what they are and what the model says. */
#include "pictures.h"
#include "sections.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GRID = 25, WORST = 10 };

static tub_status put_sample(page *p, const report_facts *f, const report_answer *a,
                             tub_error *err) {
    char truth[REPORT_TEXT], said[REPORT_TEXT], alt[3 * REPORT_TEXT], file[REPORT_NAME];
    small_sample *small;
    const tub_status read = picture_read(f, a->sample, &small, err);
    if (read != TUB_OK) {
        return read;
    }
    report_describe(f, a->sample, true, truth);
    report_describe(f, a->sample, false, said);
    snprintf(alt, sizeof alt, "Sample %lld%s, moving: is %s, predicted %s", (long long)a->sample,
             picture_file(f, a->sample, file), truth, said);
    page_putf(p, "<figure class=\"sample %s\" data-sample=\"%lld\">", a->right ? "right" : "wrong",
              (long long)a->sample);
    const tub_status status = picture_put(p, f, small, alt, err);
    page_put(p, "<figcaption>T: ");
    page_text(p, truth);
    page_put(p, " | P: ");
    page_text(p, said);
    page_put(p, " <span class=\"range\">");
    if (!isnan(a->confidence)) {
        page_putf(p, "%.0f %% ", 100 * a->confidence);
    }
    page_putf(p, "%s</span> ", a->right ? "✓" : "✗");
    picture_number(p, f, a->sample);
    page_put(p, "</figcaption></figure>\n");
    return status;
}

/* Samples under a title, GRID at most; kind: how the style sheet lays them out. */
typedef struct shown {
    const char *title, *about, *kind;
    const report_answer *list;
    int64_t count;
} shown;

static tub_status put_list(page *p, const report_facts *f, const shown *s, tub_error *err) {
    int64_t samples[GRID];
    for (int64_t i = 0; i < s->count; i++) {
        samples[i] = s->list[i].sample;
    }
    tub_status status = pictures_prepare(f, samples, s->count, err);
    page_putf(p, "<h3>%s</h3><p class=\"note\">%s</p><div class=\"%s\">\n", s->title, s->about,
              s->kind);
    for (int64_t i = 0; i < s->count && status == TUB_OK; i++) {
        status = put_sample(p, f, &s->list[i], err);
    }
    page_put(p, "</div>\n");
    return status;
}

/* A confidence that is no number is none at all. */
static double order_of(const report_answer *a) {
    return isnan(a->confidence) ? -1 : a->confidence;
}

/* Wrong ones first, the surest of them before the others. */
static int worst_first(const void *a, const void *b) {
    const report_answer *x = a, *y = b;
    if (x->right != y->right) {
        return x->right ? 1 : -1;
    }
    const double a_sure = order_of(x), b_sure = order_of(y);
    return a_sure != b_sure ? (a_sure < b_sure ? 1 : -1) : x->sample < y->sample ? -1 : 1;
}

static int least_sure_first(const void *a, const void *b) {
    const report_answer *x = a, *y = b;
    const double a_sure = order_of(x), b_sure = order_of(y);
    return a_sure != b_sure ? (a_sure < b_sure ? -1 : 1) : x->sample < y->sample ? -1 : 1;
}

static tub_status put_all(page *p, const report_facts *f, report_answer *all, tub_error *err) {
    const int64_t n = f->samples, grid = n < GRID ? n : GRID, few = n < WORST ? n : WORST;
    report_answer some[GRID];
    int64_t wrong = 0;
    for (int64_t i = 0; i < n; i++) {
        all[i] = report_answer_of(f, i);
    }
    for (int64_t i = 0; i < grid; i++) {
        some[i] = all[i * n / grid];
    }
    const shown look = {"A look at the split",
                        "Evenly spread over it. T: what it is, P: what the model says, how sure it "
                        "is, and the sample's number.",
                        "grid", some, grid};
    tub_status status = put_list(p, f, &look, err);
    qsort(all, (size_t)n, sizeof *all, worst_first);
    while (wrong < few && !all[wrong].right) {
        wrong++;
    }
    const shown worst = {"The worst mistakes", "Wrong, and the surest of all that are.", "row", all,
                         wrong};
    if (status == TUB_OK && wrong > 0) {
        status = put_list(p, f, &worst, err);
    }
    qsort(all, (size_t)n, sizeof *all, least_sure_first);
    const shown least = {"The least sure", "Answers of the least confidence.", "row", all, few};
    return status == TUB_OK ? put_list(p, f, &least, err) : status;
}

int report_samples(const cli_command *self, page *p, const report_facts *f) {
    tub_error err;
    report_answer *all = calloc((size_t)f->samples, sizeof *all);
    if (all == NULL) {
        return cli_fail_with(self, "out of memory");
    }
    page_put(p, "<section id=\"samples\"><h2>Samples</h2>\n");
    const tub_status status = put_all(p, f, all, &err);
    page_put(p, "</section>\n");
    free(all);
    return status == TUB_OK ? CLI_GO : cli_fail(self, &err);
}
