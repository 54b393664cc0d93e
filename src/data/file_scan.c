/* SPDX-License-Identifier: Apache-2.0 */
/* Data sets that are folders: DIR/CLASS/FILE, or DIR/train/CLASS/FILE with val and test beside train. */
#include "base/error.h"
#include "base/file.h"
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

/* The class folders in a folder. */
static tub_status scan_classes(scan *s, const char *folder, tub_error *err) {
    const tub_allocator *a = &s->ctx->allocator;
    tub__names classes;
    tub_status status = tub__names_read(a, folder, &classes, err);
    for (size_t i = 0; i < classes.count && status == TUB_OK; i++) {
        char *path = NULL;
        status = tub__path_join(a, folder, classes.list[i], &path, err);
        if (status == TUB_OK && tub__is_folder(path)) {
            status = scan_class(s, path, classes.list[i], err);
        }
        tub__free(a, path);
    }
    tub__names_free(&classes);
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

/* DIR/train and so on; *found: whether there is a train. */
static tub_status scan_splits(scan *s, const char *folder, bool *found, tub_error *err) {
    const tub_allocator *a = &s->ctx->allocator;
    size_t trained = 0;
    *found = true;
    for (int split = 0; split < TUB_SPLITS && *found; split++) {
        char *path = NULL;
        TUB__TRY(tub__path_join(a, folder, tub_split_name((tub_split)split), &path, err));
        const bool there = tub__is_folder(path);
        tub_status status = TUB_OK;
        *found = split != TUB_TRAIN || there;
        s->split = split;
        if (there) {
            status = scan_classes(s, path, err);
        }
        tub__free(a, path);
        TUB__TRY(status);
        trained = split == TUB_TRAIN ? s->list->class_count : trained;
    }
    return check_trained(s->list, folder, trained, err);
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
    TUB__TRY(scan_splits(&s, folder, &out->has_splits, err));
    if (!out->has_splits) {
        s.split = -1;
        TUB__TRY(scan_classes(&s, folder, err));
    }
    return out->count > 0 ? TUB_OK : fail_empty(folder, out->class_count > 0, err);
}
