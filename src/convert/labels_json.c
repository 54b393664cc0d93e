/* SPDX-License-Identifier: Apache-2.0 */
/* Class names in config.json: id2label and label2id. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "convert/config_json.h"

enum { DEFAULT_NAME = 32 };

/* transformers' name of a class without a name. */
static void default_label(int64_t index, char out[DEFAULT_NAME]) {
    snprintf(out, DEFAULT_NAME, "LABEL_%lld", (long long)index);
}

static const char *label_of(const char *const *labels, int64_t index, char spare[DEFAULT_NAME]) {
    if (labels != NULL) {
        return labels[index];
    }
    default_label(index, spare);
    return spare;
}

/* Shell sort of class indices by name, equal names by index: label2id is sorted, and a name that
 * two classes have stands once. */
static void sort_by_name(int64_t n, const char *const *labels, int64_t *order) {
    char left[DEFAULT_NAME], right[DEFAULT_NAME];
    int64_t gap = 1;
    while (gap < n / 3) {
        gap = 3 * gap + 1;
    }
    for (; gap > 0; gap /= 3) {
        for (int64_t i = gap; i < n; i++) {
            int64_t moving = order[i], j = i;
            for (; j >= gap; j -= gap) {
                int compared =
                    strcmp(label_of(labels, order[j - gap], left), label_of(labels, moving, right));
                if (compared < 0 || (compared == 0 && order[j - gap] < moving)) {
                    break;
                }
                order[j] = order[j - gap];
            }
            order[j] = moving;
        }
    }
}

tub_status tub__labels_to_json(const tub_allocator *a, tub__json_writer *w, int64_t classes,
                               const char *const *labels, tub_error *err) {
    char key[DEFAULT_NAME], spare[DEFAULT_NAME], before[DEFAULT_NAME];
    int64_t *order;
    TUB__TRY(tub__alloc_array(a, (size_t)classes, sizeof *order, (void **)&order, err));
    tub__json_open_object(w, "id2label");
    for (int64_t k = 0; k < classes; k++) {
        order[k] = k;
        snprintf(key, sizeof key, "%lld", (long long)k);
        tub__json_put_text(w, key, label_of(labels, k, spare));
    }
    tub__json_close_object(w);
    sort_by_name(classes, labels, order);
    tub__json_open_object(w, "label2id");
    for (int64_t k = 0; k < classes; k++) {
        const char *name = label_of(labels, order[k], spare);
        if (k == 0 || strcmp(name, label_of(labels, order[k - 1], before)) != 0) {
            tub__json_put_integer(w, name, order[k]);
        }
    }
    tub__json_close_object(w);
    tub__free(a, order);
    return TUB_OK;
}

/* The number in a key of id2label: digits only, no leading zero. -1 when it is none below classes.
 */
static int64_t index_of_key(const char *key, int64_t classes) {
    int64_t index = 0;
    if (key[0] == '\0' || (key[0] == '0' && key[1] != '\0')) {
        return -1;
    }
    for (const char *c = key; *c != '\0'; c++) {
        index = *c < '0' || *c > '9' || index >= classes ? -1 : 10 * index + (*c - '0');
        if (index < 0) {
            return -1;
        }
    }
    return index < classes ? index : -1;
}

static tub_status read_names(const tub_allocator *a, const tub__json *map, int64_t classes,
                             char **names, bool *all_default, tub_error *err) {
    char expected[DEFAULT_NAME];
    *all_default = true;
    for (void *it = tub__json_first(map); it != NULL; it = tub__json_next(map, it)) {
        const char *text, *key = tub__json_key(it);
        int64_t index = index_of_key(key, classes);
        if (index < 0) {
            return tub__fail(err, TUB_E_FORMAT,
                             "id2label: key '%s' is not one of the class numbers 0 to %lld", key,
                             (long long)classes - 1);
        }
        TUB__TRY(tub__json_to_text(tub__json_value(it), "id2label", &text, err));
        TUB__TRY(tub__alloc_string(a, text, &names[index], err));
        default_label(index, expected);
        *all_default = *all_default && strcmp(text, expected) == 0;
    }
    return TUB_OK;
}

tub_status tub__labels_from_json(const tub_allocator *a, const tub__json *root, int64_t *classes,
                                 char ***labels, tub_error *err) {
    const tub__json *value = tub__json_get(root, "id2label"), *map;
    bool all_default;
    char **names;
    *labels = NULL;
    if (value == NULL) {
        return tub__json_opt_integer(root, "num_labels", classes, err);
    }
    TUB__TRY(tub__json_to_object(value, "id2label", &map, err));
    int64_t count = (int64_t)tub__json_size(map);
    if (count < 1 || count > TUB_LABEL_LIMIT) {
        return tub__fail(err, TUB_E_RANGE, "id2label: %lld classes; allowed are 1 to %d",
                         (long long)count, TUB_LABEL_LIMIT);
    }
    TUB__TRY(tub__alloc_array(a, (size_t)count, sizeof *names, (void **)&names, err));
    tub_status status = read_names(a, map, count, names, &all_default, err);
    if (status != TUB_OK || all_default) {
        tub__labels_free(a, names, count);
        names = NULL;
    }
    *classes = status == TUB_OK ? count : *classes;
    *labels = names;
    return status;
}

void tub__labels_free(const tub_allocator *a, char **labels, int64_t classes) {
    for (int64_t k = 0; labels != NULL && k < classes; k++) {
        tub__free(a, labels[k]);
    }
    tub__free(a, labels);
}
