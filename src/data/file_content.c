/* SPDX-License-Identifier: Apache-2.0 */
/* What files hold, by a digest that costs little: whether two are the same, and whether a data set still
 * is what it was. */
#include "base/error.h"
#include "base/file.h"
#include "base/md5.h"
#include "data/file_set.h"
#include "data/volumes.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { END_BYTES = 1 << 20 };

/* Bytes in an order of their own on every machine. */
static void add_numbers(tub__md5 *md5, const int64_t *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char text[32];
        tub__md5_update(md5, text, (size_t)snprintf(text, sizeof text, "%" PRId64 ",", numbers[i]));
    }
}

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

/* One of many volumes in a .npy, by its own values: the same in another array is the same content. */
static tub_status add_volume(tub_context *ctx, tub__md5 *md5, const char *path, tub_error *err) {
    tub_volumes v;
    TUB__TRY(tub__volumes_read(ctx, path, NULL, true, &v, err));
    const int64_t shape[] = {v.count, v.frames, v.height, v.width, v.channels, v.dtype};
    add_numbers(md5, shape, sizeof shape / sizeof *shape);
    tub__md5_update(md5, v.data,
                    (size_t)(v.count * v.frames * v.height * v.width * v.channels) *
                        tub__dtype_bytes(v.dtype));
    tub_volumes_free(&v);
    return TUB_OK;
}

/* "set.npz:array[3]" and "stack.npy[3]" are no files of these names. An archive has checksums at its end. */
static tub_status add_member(tub_context *ctx, tub__md5 *md5, const char *path, tub_error *err) {
    static const char ending[] = ".npz";
    const tub_allocator *a = &ctx->allocator;
    char *file = NULL;
    const tub_status found = tub__volumes_file(a, path, &file, err);
    if (found != TUB_OK) {
        return found != TUB_E_NOT_FOUND ? found : tub__fail(err, found, "%s: no such file", path);
    }
    const size_t length = strlen(file), tail = sizeof ending - 1;
    const bool archive = length > tail && strcmp(file + length - tail, ending) == 0;
    if (archive) {
        tub__md5_update(md5, path + length - tail, strlen(path + length - tail));
    }
    const tub_status status = archive ? add_file(md5, file, err) : add_volume(ctx, md5, path, err);
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

bool tub__content_same_bytes(const char *a, const char *b) {
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
                               entry->facts.first,
                               entry->facts.frames,
                               c->height,
                               c->width,
                               c->resize,
                               set->channels,
                               training,
                               training ? c->max_frames : c->frames,
                               training ? 0 : (int64_t)c->sampling,
                               training ? 0 : c->stride};
    const tub__intensity_window window = tub__clip_window(c);
    tub__md5 md5;
    tub__md5_init(&md5);
    tub__md5_update(&md5, entry->content, 32);
    if (entry->facts.windowed) {
        tub__md5_update(&md5, &window, sizeof window);
    }
    add_numbers(&md5, numbers, sizeof numbers / sizeof *numbers);
    add_numbers(&md5, picture, sizeof picture / sizeof *picture);
    tub__md5_finish(&md5, hex);
}
