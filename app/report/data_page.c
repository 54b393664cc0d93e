/* SPDX-License-Identifier: Apache-2.0 */
/* A page about a data set. */
#include "data_page.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "pictures.h"
#include "table.h"

/* Of very many classes fewer samples each, and no more classes than a page holds; of large
 * samples fewer, too: a class has its share of the bytes. */
enum { OF_CLASS = 6, SAMPLES_MOST = 300, CLASSES_MOST = 100, BYTES_MOST = 8000000 };

/* The answers of no model: what pictures and names are read by. */
typedef struct data_view {
    eval_subject eval; /* the names of the classes */
    report_facts facts;
} data_view;

static bool has_class(const tub_dataset *data, const tub_dataset_info *i, tub_split split,
                      int64_t sample, int64_t k) {
    const int32_t *labels = tub_dataset_labels(data, split) + sample * i->label_columns;
    int64_t first = 0;
    switch (i->task) {
    case TUB_TASK_MULTI_LABEL:
        return labels[k] != 0;
    case TUB_TASK_MULTI_HEAD:
        for (int64_t h = 0; h < i->label_columns; first += i->head_classes[h++]) {
            if (k >= first && k < first + i->head_classes[h]) {
                return labels[h] == k - first;
            }
        }
        return false;
    default:
        return labels[0] == k;
    }
}

static int64_t count_class(const tub_dataset *data, const tub_dataset_info *i, tub_split split,
                           int64_t k) {
    int64_t count = 0;
    for (int64_t s = 0; s < i->count[split]; s++) {
        count += has_class(data, i, split, s, k);
    }
    return count;
}

static void put_counts(page *p, const data_view *v) {
    static const char *const names[] = {"class", "train", "val", "test", NULL};
    const tub_dataset_info *i = v->facts.info;
    char name[REPORT_NAME], key[64];
    page_put(p, "<section><h2>Classes</h2>");
    table_open(p, "sortable", "Samples of the classes");
    table_head(p, names);
    for (int64_t k = 0; k < i->classes; k++) {
        table_row(p, report_class(&v->facts, k, name));
        for (int split = 0; split < TUB_SPLITS; split++) {
            snprintf(key, sizeof key, "class.%" PRId64 ".%s", k, tub_split_name((tub_split)split));
            page_put(p, "<td>");
            page_count(p, key, count_class(v->facts.data, i, (tub_split)split, k));
            page_put(p, "</td>");
        }
        page_put(p, "</tr>\n");
    }
    table_close(p);
    page_put(p, "</section>\n");
}

static tub_status put_sample(page *p, const data_view *v, int64_t sample, const char *name,
                             tub_error *err) {
    small_sample *small;
    char alt[2 * REPORT_NAME + 64], file[REPORT_NAME];
    const tub_status read = picture_read(&v->facts, sample, &small, err);
    if (read != TUB_OK) {
        return read;
    }
    snprintf(alt, sizeof alt, "Sample %" PRId64 "%s, moving: %s", sample,
             picture_file(&v->facts, sample, file), name);
    page_putf(p, "<figure class=\"sample\" data-sample=\"%" PRId64 "\">", sample);
    const tub_status status = picture_put(p, &v->facts, small, alt, err);
    page_put(p, "<figcaption>");
    picture_number(p, &v->facts, sample);
    page_put(p, "</figcaption></figure>\n");
    return status;
}

/* At most so many samples, at least one, until the page has so many bytes. */
typedef struct allowance {
    int64_t samples;
    size_t bytes;
} allowance;

/* Of a class, evenly spread over its samples of the split. */
static int64_t choose(const data_view *v, int64_t k, int64_t most, int64_t chosen[OF_CLASS]) {
    const tub_dataset_info *i = v->facts.info;
    const int64_t there = count_class(v->facts.data, i, v->facts.split, k);
    const int64_t shown = there < most ? there : most;
    int64_t seen = 0, count = 0;
    for (int64_t s = 0; s < i->count[v->facts.split] && count < shown; s++) {
        if (has_class(v->facts.data, i, v->facts.split, s, k) && seen++ == count * there / shown) {
            chosen[count++] = s;
        }
    }
    return count;
}

static tub_status put_class(page *p, const data_view *v, int64_t k, allowance most,
                            tub_error *err) {
    int64_t chosen[OF_CLASS];
    const int64_t count = choose(v, k, most.samples, chosen);
    char name[REPORT_NAME];
    size_t one = 0; /* bytes of the last sample */
    tub_status status = pictures_prepare(&v->facts, chosen, count, err);
    report_class(&v->facts, k, name);
    page_put(p, "<h3>");
    page_text(p, name);
    page_put(p, "</h3><div class=\"row\">\n");
    for (int64_t n = 0; n < count && status == TUB_OK; n++) {
        const size_t before = page_size(p);
        if (n > 0 && before + one > most.bytes) {
            break;
        }
        status = put_sample(p, v, chosen[n], name, err);
        one = page_size(p) - before;
    }
    page_put(p, "</div>\n");
    return status;
}

static tub_status put_samples(page *p, const data_view *v, tub_error *err) {
    const int64_t all = v->facts.info->classes, classes = all < CLASSES_MOST ? all : CLASSES_MOST;
    const int64_t each = SAMPLES_MOST / classes < OF_CLASS ? SAMPLES_MOST / classes : OF_CLASS;
    const size_t begin = page_size(p);
    tub_status status = TUB_OK;
    page_putf(p, "<section><h2>Samples of the %s split</h2>\n", tub_split_name(v->facts.split));
    for (int64_t k = 0; k < classes && status == TUB_OK; k++) {
        const size_t bytes = begin + BYTES_MOST / (size_t)classes * (size_t)(k + 1);
        status = put_class(p, v, k, (allowance){each, bytes}, err);
    }
    if (classes < all) {
        page_putf(p, "<p class=\"note\">and %" PRId64 " more classes</p>", all - classes);
    }
    page_put(p, "</section>\n");
    return status;
}

static tub_status put_page(page *p, const data_view *v, tub_error *err) {
    const tub_dataset_info *i = v->facts.info;
    document_begin(p, i->name);
    page_put(p, "<header><h1>");
    page_text(p, i->name);
    page_putf(p, "</h1><p>%" PRId64 " x %" PRId64 " x %" PRId64 " x %" PRId64 " (T H W C)",
              i->frames, i->height, i->width, i->channels);
    if (i->licence != NULL) {
        page_put(p, ", licence: ");
        page_text(p, i->licence);
    }
    if (i->left_out > 0) {
        page_putf(p, ", %" PRId64 " files can't be read", i->left_out);
    }
    page_put(p, "</p></header>\n<main>\n");
    put_counts(p, v);
    const tub_status status = put_samples(p, v, err);
    document_end(p);
    return status;
}

/* The first that has samples. */
static tub_split first_split(const tub_dataset_info *i) {
    return i->count[TUB_TRAIN] > 0 ? TUB_TRAIN : i->count[TUB_VAL] > 0 ? TUB_VAL : TUB_TEST;
}

int data_page_write(const cli_command *self, tub_context *ctx, const tub_dataset *data,
                    const char *path) {
    const tub_dataset_info *info = tub_dataset_describe(data);
    data_view v = {.eval = {.labels = info->labels}};
    char why[PATH_MAX + 128];
    tub_error err;
    page p;
    v.facts = (report_facts){
        .eval = &v.eval, .context = ctx, .data = data, .info = info, .split = first_split(info)};
    const int64_t samples = info->count[v.facts.split];
    if (!pictures_remember(&v.facts, samples) || !page_begin(&p)) {
        pictures_forget(&v.facts, samples);
        return cli_fail_with(self, "out of memory");
    }
    int code = put_page(&p, &v, &err) == TUB_OK ? CLI_GO : cli_fail(self, &err);
    pictures_forget(&v.facts, samples);
    if (code == CLI_GO && !page_end(&p)) {
        code = cli_fail_with(self, "out of memory");
    }
    if (code == CLI_GO && !output_bytes(p.bytes, p.size, path, why, sizeof why)) {
        code = cli_fail_with(self, "%s", why);
    }
    page_free(&p);
    return code;
}
