/* SPDX-License-Identifier: Apache-2.0 */
/* What tubelet info tells of the files of a data set: lengths, rates, sizes, what can't be read, what stands
 * in two splits. */
#include "info_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KINDS_SHOWN = 8 };

/* How many files have one value, a rate or a size. */
typedef struct kind {
    double rate;
    int64_t height, width, files;
} kind;

typedef struct summary {
    int64_t files, readable, groups; /* files: rows of them, parts each */
    int64_t distinct;
    double *frames, *seconds; /* sorted */
    int64_t timed;            /* files with seconds */
    kind *rates, *sizes;      /* the most common first */
    size_t rate_count, size_count;
    int64_t *classes; /* [splits][classes]: samples */
} summary;

static int by_number(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int by_files(const void *a, const void *b) {
    const kind *x = a, *y = b;
    if (x->files != y->files) {
        return x->files < y->files ? 1 : -1;
    }
    if (x->rate != y->rate) {
        return x->rate < y->rate ? -1 : 1;
    }
    return x->height != y->height ? (x->height > y->height) - (x->height < y->height)
                                  : (x->width > y->width) - (x->width < y->width);
}

static void count_kind(kind *list, size_t *count, kind one) {
    size_t i = 0;
    while (i < *count && (list[i].rate != one.rate || list[i].height != one.height ||
                          list[i].width != one.width)) {
        i++;
    }
    if (i == *count) {
        list[(*count)++] = one;
    }
    list[i].files++;
}

static void free_summary(summary *s) {
    free(s->frames);
    free(s->seconds);
    free(s->rates);
    free(s->sizes);
    free(s->classes);
}

static bool allocate(summary *s, int64_t classes) {
    const size_t n = (size_t)s->files + 1;
    s->frames = calloc(n, sizeof *s->frames);
    s->seconds = calloc(n, sizeof *s->seconds);
    s->rates = calloc(n, sizeof *s->rates);
    s->sizes = calloc(n, sizeof *s->sizes);
    s->classes = calloc((size_t)classes * TUB_SPLITS + 1, sizeof *s->classes);
    return s->frames != NULL && s->seconds != NULL && s->rates != NULL && s->sizes != NULL &&
           s->classes != NULL;
}

static tub_file file_at(const tub_dataset *data, int64_t i) {
    tub_file file = {0};
    (void)!tub_dataset_file(data, i, &file, NULL);
    return file;
}

/* Rates that differ behind the third decimal are one. */
static double thousandths(double rate) {
    return (double)(int64_t)(rate * 1000 + 0.5) / 1000;
}

static bool summarize(const tub_dataset *data, summary *s) {
    const int64_t classes = tub_dataset_describe(data)->classes;
    *s = (summary){.files = tub_dataset_files(data)};
    if (!allocate(s, classes)) {
        free_summary(s);
        return false;
    }
    for (int64_t i = 0; i < s->files; i++) {
        const tub_file f = file_at(data, i);
        s->distinct = f.file >= s->distinct ? f.file + 1 : s->distinct;
        s->groups = f.group_number >= s->groups ? f.group_number + 1 : s->groups;
        if (f.problem != NULL) {
            continue;
        }
        s->frames[s->readable++] = (double)f.frames;
        if (f.seconds > 0) {
            s->seconds[s->timed++] = f.seconds;
            count_kind(s->rates, &s->rate_count, (kind){.rate = thousandths(f.rate)});
        }
        count_kind(s->sizes, &s->size_count, (kind){.height = f.height, .width = f.width});
        s->classes[f.split * classes + f.label]++;
    }
    qsort(s->frames, (size_t)s->readable, sizeof(double), by_number);
    qsort(s->seconds, (size_t)s->timed, sizeof(double), by_number);
    qsort(s->rates, s->rate_count, sizeof(kind), by_files);
    qsort(s->sizes, s->size_count, sizeof(kind), by_files);
    return true;
}

static void print_row(const char *name) {
    printf("%-20s ", name);
}

/* The middle one, the lower of two. */
static double middle(const double *sorted, int64_t n) {
    return sorted[(n - 1) / 2];
}

static void print_spread(const char *name, const double *sorted, int64_t n) {
    if (n > 0) {
        print_row(name);
        printf("%.6g to %.6g, median %.6g\n", sorted[0], sorted[n - 1], middle(sorted, n));
    }
}

static void print_kinds(const char *name, const kind *list, size_t count, bool rates) {
    if (count == 0) {
        return;
    }
    print_row(name);
    for (size_t i = 0; i < count && i < KINDS_SHOWN; i++) {
        printf("%s", i > 0 ? ", " : "");
        if (rates) {
            printf("%.6g", list[i].rate);
        } else {
            printf("%lld x %lld", (long long)list[i].height, (long long)list[i].width);
        }
        if (count > 1) {
            printf(" (%lld)", (long long)list[i].files);
        }
    }
    printf("%s\n", count > KINDS_SHOWN ? ", ..." : "");
}

static void print_balance(const tub_dataset_info *info, const summary *s) {
    for (int split = 0; split < TUB_SPLITS; split++) {
        if (info->count[split] == 0) {
            continue;
        }
        char row[32], label[OUTPUT_NAME];
        snprintf(row, sizeof row, "%s classes", tub_split_name((tub_split)split));
        print_row(row);
        for (int64_t k = 0; k < info->classes; k++) {
            printf("%s%s %lld", k > 0 ? ", " : "", output_name(label, info->labels[k]),
                   (long long)s->classes[split * info->classes + k]);
        }
        putchar('\n');
    }
}

typedef int64_t same_fn(const tub_dataset *data, int64_t number, int64_t *first);

static const char *class_of(const tub_dataset *data, const tub_file *f) {
    return tub_dataset_describe(data)->labels[f->label];
}

/* A row for each chain of files of one content. */
static void print_same(const tub_dataset *data, const char *row, same_fn *chain, bool classes) {
    char name[OUTPUT_NAME], label[OUTPUT_NAME];
    for (int64_t i = 0; i < tub_dataset_files(data); i++) {
        int64_t one, next = 0;
        (void)chain(data, i, &one);
        if (one != i) {
            continue;
        }
        print_row(row);
        for (int64_t at = i; at >= 0; at = next) {
            const tub_file f = file_at(data, at);
            next = chain(data, at, &one);
            printf("%s%s (%s%s%s)",
                   at == i    ? ""
                   : next < 0 ? " and "
                              : ", ",
                   output_name(name, f.name), classes ? output_name(label, class_of(data, &f)) : "",
                   classes ? ", " : "", tub_split_name(f.split));
        }
        putchar('\n');
    }
}

static void print_problems(const tub_dataset *data) {
    char name[OUTPUT_NAME];
    const char *beside;
    const int64_t files = tub_dataset_files(data), ignored = tub_dataset_ignored(data, &beside);
    if (ignored > 0) {
        print_row("ignored");
        printf("%lld beside classes and splits, the first %s\n", (long long)ignored,
               output_name(name, beside));
    }
    for (int64_t i = 0; i < files; i++) {
        const tub_file f = file_at(data, i);
        if (f.problem != NULL) {
            print_row("unreadable");
            printf("%s: %s\n", output_name(name, f.name), f.problem);
        }
    }
    for (int64_t i = 0; i < files; i++) {
        const tub_file f = file_at(data, i);
        if (f.damage != NULL) {
            print_row("damaged");
            printf("%s: %s\n", output_name(name, f.name), f.damage);
        }
    }
    print_same(data, "same content", tub_dataset_same, false);
    print_same(data, "same, other class", tub_dataset_other_class, true);
}

bool info_print_files(const tub_dataset *data, uint64_t split_seed) {
    const tub_dataset_info *info = tub_dataset_describe(data);
    summary s;
    if (tub_dataset_files(data) == 0) {
        return true;
    }
    if (!summarize(data, &s)) {
        return false;
    }
    print_balance(info, &s);
    print_row("files");
    printf("%lld", (long long)s.distinct);
    if (s.distinct < s.files) {
        printf(", in %lld parts", (long long)s.files);
    }
    if (s.readable < s.files) {
        printf(", %lld of them can't be read", (long long)(s.files - s.readable));
    }
    putchar('\n');
    if (tub_dataset_has_groups(data)) {
        print_row("groups");
        printf("%lld\n", (long long)s.groups);
    }
    if (tub_dataset_split_by_seed(data)) {
        print_row("split");
        printf("by seed %llu\n", (unsigned long long)split_seed);
    }
    print_spread("frames of a file", s.frames, s.readable);
    print_spread("seconds", s.seconds, s.timed);
    print_kinds("frames a second", s.rates, s.rate_count, true);
    print_kinds("height x width", s.sizes, s.size_count, false);
    print_problems(data);
    free_summary(&s);
    return true;
}

static json_t *spread_json(const double *sorted, int64_t n) {
    return n == 0 ? json_null()
                  : json_pack("{s:f,s:f,s:f}", "min", sorted[0], "median", middle(sorted, n), "max",
                              sorted[n - 1]);
}

static json_t *kinds_json(const kind *list, size_t count, bool rates) {
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(
            array,
            rates ? json_pack("{s:f,s:I}", "rate", list[i].rate, "files", (json_int_t)list[i].files)
                  : json_pack("{s:I,s:I,s:I}", "height", (json_int_t)list[i].height, "width",
                              (json_int_t)list[i].width, "files", (json_int_t)list[i].files));
    }
    return array;
}

/* Files that can't be read or, of `damage`, of which something can't be decoded. */
static json_t *problems_json(const tub_dataset *data, bool damage) {
    json_t *array = json_array();
    for (int64_t i = 0; i < tub_dataset_files(data); i++) {
        const tub_file f = file_at(data, i);
        const char *what = damage ? f.damage : f.problem;
        if (what != NULL) {
            json_array_append_new(array,
                                  json_pack("{s:o,s:s,s:o}", "file", output_text(f.name), "split",
                                            tub_split_name(f.split), "reason", output_text(what)));
        }
    }
    return array;
}

static json_t *same_json(const tub_dataset *data, same_fn *chain, bool classes) {
    json_t *array = json_array();
    for (int64_t i = 0; i < tub_dataset_files(data); i++) {
        int64_t first, next = 0;
        (void)chain(data, i, &first);
        if (first != i) {
            continue;
        }
        json_t *files = json_array(), *splits = json_array(), *labels = json_array();
        for (int64_t at = i; at >= 0; at = next) {
            const tub_file f = file_at(data, at);
            next = chain(data, at, &first);
            json_array_append_new(files, output_text(f.name));
            json_array_append_new(splits, json_string(tub_split_name(f.split)));
            json_array_append_new(labels, output_text(class_of(data, &f)));
        }
        json_t *object = json_pack("{s:o,s:o}", "files", files, "splits", splits);
        if (classes) {
            json_object_set(object, "classes", labels);
        }
        json_decref(labels);
        json_array_append_new(array, object);
    }
    return array;
}

json_t *info_files_json(const tub_dataset *data, uint64_t split_seed) {
    const int64_t classes = tub_dataset_describe(data)->classes;
    summary s;
    if (!summarize(data, &s)) {
        return NULL;
    }
    const char *first;
    json_t *per_class = json_array();
    for (int split = 0; split < TUB_SPLITS; split++) {
        json_array_append_new(per_class, output_integers(s.classes + split * classes, classes));
    }
    json_t *object = json_pack(
        "{s:I,s:I,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "count", (json_int_t)s.files,
        "files", (json_int_t)s.distinct, "ignored", (json_int_t)tub_dataset_ignored(data, &first),
        "groups", (json_int_t)s.groups, "split_seed",
        tub_dataset_split_by_seed(data) ? json_integer((json_int_t)split_seed) : json_null(),
        "per_class", per_class, "frames", spread_json(s.frames, s.readable), "seconds",
        spread_json(s.seconds, s.timed), "rates", kinds_json(s.rates, s.rate_count, true), "sizes",
        kinds_json(s.sizes, s.size_count, false), "unreadable", problems_json(data, false),
        "damaged", problems_json(data, true), "duplicates",
        same_json(data, tub_dataset_same, false), "other_classes",
        same_json(data, tub_dataset_other_class, true));
    free_summary(&s);
    return object;
}
