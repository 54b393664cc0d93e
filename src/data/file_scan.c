/* SPDX-License-Identifier: Apache-2.0 */
/* Data sets that are folders: DIR/CLASS/FILE, or DIR/train/CLASS/FILE with val and test beside train. */
#include "base/error.h"
#include "base/file.h"
#include "data/dataset.h"
#include "data/file_list.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static tub_status add_name(tub__names *n, const char *name, tub_error *err) {
    void *list = n->list;
    TUB__TRY(tub__alloc_room(n->allocator, &list, n->count, sizeof(char *), &n->room, err));
    n->list = list;
    TUB__TRY(tub__alloc_string(n->allocator, name, &n->list[n->count], err));
    n->count++;
    return TUB_OK;
}

void tub__names_free(tub__names *n) {
    for (size_t i = 0; i < n->count; i++) {
        tub__free(n->allocator, n->list[i]);
    }
    tub__free(n->allocator, n->list);
}

tub_status tub__names_read(const tub_allocator *a, const char *path, tub__names *out,
                           tub_error *err) {
    tub_status status = TUB_OK;
    *out = (tub__names){.allocator = a};
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return tub__fail_errno(err, errno, "%s", path);
    }
    const struct dirent *entry;
    while (status == TUB_OK && (errno = 0, entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] != '.') {
            status = add_name(out, entry->d_name, err);
        }
    }
    if (status == TUB_OK && errno != 0) {
        status = tub__fail_errno(err, errno, "%s", path);
    }
    closedir(folder);
    if (out->count > 1) {
        qsort(out->list, out->count, sizeof *out->list, by_bytes);
    }
    return status;
}

/* What lies beside clips and never is one. */
static bool is_no_clip(const char *name) {
    static const char *const endings[] = {"txt",  "md",  "csv",  "tsv",   "json", "xml",
                                          "yaml", "yml", "html", "pdf",   "db",   "ini",
                                          "py",   "sh",  "md5",  "sha256"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && i < sizeof endings / sizeof *endings; i++) {
        if (strcasecmp(dot + 1, endings[i]) == 0) {
            return true;
        }
    }
    return false;
}

typedef struct scan {
    tub_context *ctx;
    tub__file_list *list;
    size_t root; /* bytes of the set's folder in a path, with the slash */
    int split;   /* -1: none said */
} scan;

static tub_status scan_class(scan *s, const char *folder, const char *class_name, tub_error *err) {
    const tub_allocator *a = &s->ctx->allocator;
    tub__names files;
    int32_t label = 0;
    tub_status status = tub__names_read(a, folder, &files, err);
    if (status == TUB_OK) {
        status = tub__file_list_class(s->list, class_name, &label, err);
    }
    for (size_t i = 0; i < files.count && status == TUB_OK; i++) {
        tub__file_item *item;
        if (is_no_clip(files.list[i])) {
            continue;
        }
        status = tub__file_list_add(s->list, &item, err);
        if (status == TUB_OK) {
            item->label = label;
            item->split = s->split;
            status = tub__path_join(a, folder, files.list[i], &item->path, err);
        }
        if (status == TUB_OK) {
            item->name = item->path + s->root;
        }
    }
    tub__names_free(&files);
    return status;
}

/* What lies beside what is read: the first by its name. */
static tub_status ignore(scan *s, const char *path, tub_error *err) {
    return s->list->ignored++ > 0 ? TUB_OK
                                  : tub__alloc_string(s->list->allocator, path + s->root,
                                                      &s->list->first_ignored, err);
}

/* "Train" is a class where the file system tells it from train, and hardly meant as one. */
static tub_status look_at_name(scan *s, const char *name, tub_error *err) {
    bool near = false;
    for (int split = 0; split < TUB_SPLITS; split++) {
        for (int i = 0; tub__split_name((tub_split)split, i) != NULL; i++) {
            near = near || strcasecmp(name, tub__split_name((tub_split)split, i)) == 0;
        }
    }
    return near && s->list->nearly_split == NULL
               ? tub__alloc_string(s->list->allocator, name, &s->list->nearly_split, err)
               : TUB_OK;
}

/* The class folders in a folder. */
static tub_status scan_classes(scan *s, const char *folder, tub_error *err) {
    const tub_allocator *a = &s->ctx->allocator;
    tub__names classes;
    tub_status status = tub__names_read(a, folder, &classes, err);
    for (size_t i = 0; i < classes.count && status == TUB_OK; i++) {
        char *path = NULL;
        status = tub__path_join(a, folder, classes.list[i], &path, err);
        if (status == TUB_OK && tub__is_folder(path)) {
            status = look_at_name(s, classes.list[i], err);
            if (status == TUB_OK) {
                status = scan_class(s, path, classes.list[i], err);
            }
        } else if (status == TUB_OK && !is_no_clip(classes.list[i])) {
            status = ignore(s, path, err);
        }
        tub__free(a, path);
    }
    tub__names_free(&classes);
    return status;
}

/* What lies beside the folders of splits. */
static tub_status ignore_others(scan *s, const char *folder, tub_error *err) {
    const tub_allocator *a = &s->ctx->allocator;
    tub__names names;
    tub_split split;
    tub_status status = tub__names_read(a, folder, &names, err);
    for (size_t i = 0; i < names.count && status == TUB_OK; i++) {
        char *path = NULL;
        status = tub__path_join(a, folder, names.list[i], &path, err);
        const bool folder_of_split = status == TUB_OK && tub__is_folder(path) &&
                                     tub_split_parse(names.list[i], &split, NULL) == TUB_OK;
        if (status == TUB_OK && !folder_of_split && !is_no_clip(names.list[i])) {
            status = ignore(s, path, err);
        }
        tub__free(a, path);
    }
    tub__names_free(&names);
    return status;
}

/* A class that only val or test have can't be learned. */
static tub_status check_trained(const tub__file_list *list, const char *folder, size_t trained,
                                tub_error *err) {
    return list->class_count == trained
               ? TUB_OK
               : tub__fail(err, TUB_E_FORMAT,
                           "%s: there is no train/%.200s, but such a class in val or test", folder,
                           list->classes[trained]);
}

/* The folder of a split in the set's, by any of the split's names; *name NULL: there is none. */
static tub_status find_split(const tub_allocator *a, const char *folder, tub_split split,
                             const char **name, tub_error *err) {
    *name = NULL;
    for (int i = 0; tub__split_name(split, i) != NULL; i++) {
        char *path = NULL;
        TUB__TRY(tub__path_join(a, folder, tub__split_name(split, i), &path, err));
        const bool there = tub__is_folder(path);
        tub__free(a, path);
        if (there && *name != NULL) {
            return tub__fail(err, TUB_E_FORMAT,
                             "%s: %s and %s are both there, two names of one split; put what "
                             "belongs to it into one of them",
                             folder, *name, tub__split_name(split, i));
        }
        *name = there ? tub__split_name(split, i) : *name;
    }
    return TUB_OK;
}

static tub_status scan_split(scan *s, const char *folder, const char *name, tub_split split,
                             tub_error *err) {
    char *path = NULL;
    TUB__TRY(tub__path_join(&s->ctx->allocator, folder, name, &path, err));
    s->split = split;
    const tub_status status = scan_classes(s, path, err);
    tub__free(&s->ctx->allocator, path);
    return status;
}

/* Whether a folder is a split by its name. */
static bool is_split(const char *name) {
    tub_split split;
    return tub_split_parse(name, &split, NULL) == TUB_OK;
}

/* Whether the folders in a folder are splits: train is there or, where there is nothing to learn from, no
 * folder of another name. */
static tub_status has_splits(const tub_allocator *a, const char *folder, bool *out,
                             tub_error *err) {
    tub__names names;
    size_t splits = 0, others = 0;
    bool train = false;
    tub_status status = tub__names_read(a, folder, &names, err);
    for (size_t i = 0; i < names.count && status == TUB_OK; i++) {
        char *path = NULL;
        status = tub__path_join(a, folder, names.list[i], &path, err);
        if (status == TUB_OK && tub__is_folder(path)) {
            train = train || strcmp(names.list[i], tub_split_name(TUB_TRAIN)) == 0;
            *(is_split(names.list[i]) ? &splits : &others) += 1;
        }
        tub__free(a, path);
    }
    tub__names_free(&names);
    *out = train || (splits > 0 && others == 0);
    return status;
}

/* DIR/train and so on. */
static tub_status scan_splits(scan *s, const char *folder, tub_error *err) {
    size_t trained = 0;
    bool any = false;
    for (int split = 0; split < TUB_SPLITS; split++) {
        const char *name;
        TUB__TRY(find_split(&s->ctx->allocator, folder, (tub_split)split, &name, err));
        if (name != NULL) {
            TUB__TRY(scan_split(s, folder, name, (tub_split)split, err));
        }
        if (split == TUB_TRAIN) {
            any = name != NULL;
            trained = s->list->class_count;
        }
    }
    TUB__TRY(ignore_others(s, folder, err));
    return any ? check_trained(s->list, folder, trained, err) : TUB_OK;
}

/* Somebody named a model where data belong: its parts in folders would be taken for classes. */
static tub_status check_no_model(const tub_allocator *a, const char *folder, tub_error *err) {
    char *path = NULL;
    TUB__TRY(tub__path_join(a, folder, "config.json", &path, err));
    const bool model = tub__file_exists(path);
    tub__free(a, path);
    return model ? tub__fail(err, TUB_E_FORMAT,
                             "%s is a model folder, no data set; name the data with --data", folder)
                 : TUB_OK;
}

static tub_status fail_empty(const char *folder, bool classes, tub_error *err) {
    return classes ? tub__fail(err, TUB_E_NOT_FOUND, "%s: its class folders have no files in them",
                               folder)
                   : tub__fail(err, TUB_E_NOT_FOUND,
                               "%s has no class folders: a data set is DIR/CLASS/FILE, or "
                               "DIR/train/CLASS/FILE with val and test beside train",
                               folder);
}

tub_status tub__file_list_scan(tub_context *ctx, const char *folder, tub__file_list *out,
                               tub_error *err) {
    const size_t length = strlen(folder);
    scan s = {.ctx = ctx,
              .list = out,
              .root = length + (length > 0 && folder[length - 1] != '/'),
              .split = -1};
    TUB__TRY(check_no_model(&ctx->allocator, folder, err));
    TUB__TRY(has_splits(&ctx->allocator, folder, &out->has_splits, err));
    TUB__TRY(out->has_splits ? scan_splits(&s, folder, err) : scan_classes(&s, folder, err));
    return out->count > 0 ? TUB_OK : fail_empty(folder, out->class_count > 0, err);
}
