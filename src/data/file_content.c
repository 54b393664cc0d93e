/* SPDX-License-Identifier: Apache-2.0 */
/* What files hold, by a digest that costs little: whether two are the same, and whether a data set still
 * is what it was. */
#include "base/error.h"
#include "base/file.h"
#include "base/md5.h"
#include "data/file_set.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { END_BYTES = 1 << 20 };

static tub_status add_file(tub__md5 *md5, const char *path, tub_error *err) {
    tub__map map;
    TUB__TRY(tub__map_open(path, &map, err));
    const uint64_t size = map.size;
    const size_t head = tub__min(map.size, END_BYTES), tail = tub__min(map.size - head, END_BYTES);
    tub__md5_update(md5, &size, sizeof size);
    if (map.size > 0) {
        tub__md5_update(md5, map.data, head);
        tub__md5_update(md5, map.data + map.size - tail, tail);
    }
    tub__map_close(&map);
    return TUB_OK;
}

static tub_status add_folder(tub_context *ctx, tub__md5 *md5, const char *path, tub_error *err) {
    const tub_allocator *a = &ctx->allocator;
    tub__names names;
    tub_status status = tub__names_read(a, path, &names, err);
    for (size_t i = 0; i < names.count && status == TUB_OK; i++) {
        char *file = NULL;
        status = tub__path_join(a, path, names.list[i], &file, err);
        if (status == TUB_OK && !tub__is_folder(file)) {
            tub__md5_update(md5, names.list[i], strlen(names.list[i]) + 1);
            status = add_file(md5, file, err);
        }
        tub__free(a, file);
    }
    tub__names_free(&names);
    return status;
}

/* "set.npz:array[3]" is no file of that name: the archive, and what is named in it. */
static tub_status add_member(tub_context *ctx, tub__md5 *md5, const char *path, tub_error *err) {
    const tub_allocator *a = &ctx->allocator;
    const char *behind = strstr(path, ".npz:");
    char *file = NULL;
    if (behind == NULL) {
        return tub__fail(err, TUB_E_NOT_FOUND, "%s: no such file", path);
    }
    TUB__TRY(tub__alloc_string(a, path, &file, err));
    file[behind - path + 4] = '\0';
    tub__md5_update(md5, behind, strlen(behind));
    const tub_status status = add_file(md5, file, err);
    tub__free(a, file);
    return status;
}

tub_status tub__content_digest(tub_context *ctx, const char *path, char hex[33], tub_error *err) {
    tub__md5 md5;
    tub__md5_init(&md5);
    TUB__TRY(tub__is_folder(path)     ? add_folder(ctx, &md5, path, err)
             : tub__file_exists(path) ? add_file(&md5, path, err)
                                      : add_member(ctx, &md5, path, err));
    tub__md5_finish(&md5, hex);
    return TUB_OK;
}

/* Whether two files are the same to the last byte; folders and members by their digests alone. */
static bool same_bytes(const char *a, const char *b) {
    tub__map x, y;
    bool same = true;
    if (tub__is_folder(a) || tub__is_folder(b) || tub__map_open(a, &x, NULL) != TUB_OK) {
        return true;
    }
    if (tub__map_open(b, &y, NULL) == TUB_OK) {
        same = x.size == y.size && (x.size <= 2 * END_BYTES || memcmp(x.data, y.data, x.size) == 0);
        tub__map_close(&y);
    }
    tub__map_close(&x);
    return same;
}

typedef struct sorted {
    const char *content;
    uint32_t item;
} sorted;

static int compare(const void *a, const void *b) {
    const sorted *x = a, *y = b;
    const int order = strcmp(x->content, y->content);
    return order != 0 ? order : (x->item > y->item) - (x->item < y->item);
}

static bool in_one_split(const tub__file_place *places, const sorted *e, size_t count) {
    size_t same = 1;
    while (same < count && places[e[same].item].split == places[e[0].item].split) {
        same++;
    }
    return same >= count;
}

/* Items e[0 … count - 1] have one digest. A file may be in parts by the thousand, which share its
 * split and what it is the same as: it is compared once. */
static void mark(tub__file_set *set, const sorted *e, size_t count) {
    const tub__file_item *items = set->list.items;
    if (in_one_split(set->places, e, count)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        tub__file_place *place = &set->places[e[i].item];
        const uint32_t one = e[i].item;
        if (i > 0 && strcmp(items[one].path, items[e[i - 1].item].path) == 0) {
            place->duplicate = set->places[e[i - 1].item].duplicate;
            continue;
        }
        for (size_t j = 0; j < count && place->duplicate < 0; j++) {
            const uint32_t other = e[j].item;
            if (place->split != set->places[other].split &&
                same_bytes(items[one].path, items[other].path)) {
                place->duplicate = other;
            }
        }
    }
}

tub_status tub__file_set_duplicates(tub__file_set *set, tub_error *err) {
    void *block;
    size_t count = 0;
    TUB__TRY(
        tub__alloc_array(&set->ctx->allocator, set->list.count + 1, sizeof(sorted), &block, err));
    sorted *e = block;
    for (size_t i = 0; i < set->list.count; i++) {
        set->places[i].duplicate = -1;
        if (set->entries[i].problem == NULL) {
            e[count++] = (sorted){set->entries[i].content, (uint32_t)i};
        }
    }
    qsort(e, count, sizeof *e, compare);
    for (size_t begin = 0, end = 0; begin < count; begin = end) {
        while (end < count && strcmp(e[end].content, e[begin].content) == 0) {
            end++;
        }
        mark(set, e + begin, end - begin);
    }
    tub__free(&set->ctx->allocator, block);
    return TUB_OK;
}

/* Bytes in an order of their own on every machine. */
static void add_numbers(tub__md5 *md5, const int64_t *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char text[32];
        tub__md5_update(md5, text, (size_t)snprintf(text, sizeof text, "%" PRId64 ",", numbers[i]));
    }
}

void tub__file_set_digest(const tub__file_set *set, char hex[33]) {
    tub__md5 md5;
    tub__md5_init(&md5);
    for (tub_split split = TUB_TRAIN; split <= TUB_VAL; split++) {
        for (int64_t i = 0; i < set->count[split]; i++) {
            const uint32_t number = set->sample[split][i];
            const tub__file_item *item = &set->list.items[number];
            const int64_t numbers[] = {split, item->label, item->start, item->end};
            tub__md5_update(&md5, item->name, strlen(item->name) + 1);
            add_numbers(&md5, numbers, sizeof numbers / sizeof *numbers);
            tub__md5_update(&md5, set->entries[number].content, 32);
        }
    }
    for (size_t k = 0; k < set->list.class_count; k++) {
        tub__md5_update(&md5, set->list.classes[k], strlen(set->list.classes[k]) + 1);
    }
    tub__md5_finish(&md5, hex);
}

void tub__file_set_key(const tub__file_set *set, const tub__file_entry *entry, bool training,
                       char hex[33]) {
    const tub_clip_options *c = &set->clip;
    const tub__preprocessing p = training ? tub__clip_picture(c, false) : set->picture;
    const int64_t picture[] = {p.resize,      p.crop,       p.shortest_edge, p.height, p.width,
                               p.crop_height, p.crop_width, p.filter,        p.order};
    const int64_t numbers[] = {1, /* of this layout */
                               entry->first,
                               entry->frames,
                               c->height,
                               c->width,
                               c->resize,
                               set->channels,
                               training,
                               training ? c->max_frames : c->frames,
                               training ? 0 : (int64_t)c->sampling,
                               training ? 0 : c->stride};
    tub__md5 md5;
    tub__md5_init(&md5);
    tub__md5_update(&md5, entry->content, 32);
    add_numbers(&md5, numbers, sizeof numbers / sizeof *numbers);
    add_numbers(&md5, picture, sizeof picture / sizeof *picture);
    tub__md5_finish(&md5, hex);
}
