/* SPDX-License-Identifier: Apache-2.0 */
/* Files of one content in more than one split: what is tested should not have been trained on. And in more
 * than one class, whatever the split: no model can learn both. */
#include "base/error.h"
#include "data/file_set.h"
#include <stdlib.h>
#include <string.h>

typedef struct sorted {
    const char *content;
    int32_t file;
    uint32_t item;
    size_t head;         /* the first of those that are the same; itself of that */
    size_t tail;         /* of a head: the last of its chain */
    int64_t other;       /* of a head: the first item in another split than its own; -1: none */
    uint32_t first_item; /* of the head */
    int64_t first_frame, frames; /* of the part */
} sorted;

static int compare(const void *a, const void *b) {
    const sorted *x = a, *y = b;
    const int order = strcmp(x->content, y->content);
    return order != 0           ? order
           : x->file != y->file ? (x->file > y->file) - (x->file < y->file)
                                : (x->item > y->item) - (x->item < y->item);
}

/* The first of entries 0 … i - 1 that has the same bytes as entry i; i: none has. A file may be in parts by the
 * thousand: it is compared once. */
static size_t find_head(const tub__file_item *items, const sorted *e, size_t i) {
    if (i > 0 && e[i].file == e[i - 1].file) {
        return e[i - 1].head;
    }
    for (size_t j = 0; j < i; j++) {
        if (e[j].head == j &&
            tub__content_same_bytes(items[e[j].item].path, items[e[i].item].path)) {
            return j;
        }
    }
    return i;
}

static void find_groups(const tub__file_set *set, sorted *e, size_t count) {
    for (size_t i = 0; i < count; i++) {
        sorted *head = &e[e[i].head = find_head(set->list.items, e, i)];
        if (head == &e[i]) {
            head->tail = i;
            head->other = -1;
        } else if (head->other < 0 &&
                   set->places[e[i].item].split != set->places[head->item].split) {
            head->other = e[i].item;
        }
        e[i].first_item = head->item;
    }
}

/* Links those of a group that is in more than one split: each file once for each of its splits. */
static void link_group(tub__file_set *set, sorted *e, size_t i) {
    sorted *head = &e[e[i].head], *last = &e[head->tail];
    tub__file_place *place = &set->places[e[i].item], *before = &set->places[last->item];
    place->duplicate =
        place->split == set->places[head->item].split ? head->other : (int64_t)head->item;
    place->same_first = head->item;
    if (head != &e[i] && (last->file != e[i].file || before->split != place->split)) {
        before->same_next = e[i].item;
        head->tail = i;
    }
}

/* By content and part, for classes: parts of one film may well be of several. */
static int compare_parts(const void *a, const void *b) {
    const sorted *x = a, *y = b;
    return x->first_item != y->first_item
               ? (x->first_item > y->first_item) - (x->first_item < y->first_item)
           : x->first_frame != y->first_frame
               ? (x->first_frame > y->first_frame) - (x->first_frame < y->first_frame)
           : x->frames != y->frames ? (x->frames > y->frames) - (x->frames < y->frames)
                                    : (x->item > y->item) - (x->item < y->item);
}

static bool is_same_part(const sorted *x, const sorted *y) {
    return x->first_item == y->first_item && x->first_frame == y->first_frame &&
           x->frames == y->frames;
}

static bool in_one_class(const tub__file_item *items, const sorted *e, size_t count) {
    size_t same = 1;
    while (same < count && items[e[same].item].label == items[e[0].item].label) {
        same++;
    }
    return same >= count;
}

/* Links the items of one part that is of several classes. */
static void link_classes(tub__file_set *set, sorted *e, size_t count) {
    qsort(e, count, sizeof *e, compare_parts);
    for (size_t begin = 0, end = 0; begin < count; begin = end) {
        while (end < count && is_same_part(&e[begin], &e[end])) {
            end++;
        }
        for (size_t i = begin; i < end && !in_one_class(set->list.items, e + begin, end - begin);
             i++) {
            set->places[e[i].item].class_first = e[begin].item;
            set->places[e[i].item].class_next = i + 1 < end ? (int64_t)e[i + 1].item : -1;
        }
    }
}

/* Items e[0 … count - 1] have one digest. */
static void mark(tub__file_set *set, sorted *e, size_t count) {
    find_groups(set, e, count);
    for (size_t i = 0; i < count; i++) {
        if (e[e[i].head].other >= 0) {
            link_group(set, e, i);
        }
    }
    link_classes(set, e, count);
}

static bool in_one_split(const tub__file_place *places, const sorted *e, size_t count) {
    size_t same = 1;
    while (same < count && places[e[same].item].split == places[e[0].item].split) {
        same++;
    }
    return same >= count;
}

tub_status tub__file_set_duplicates(tub__file_set *set, tub_error *err) {
    void *block;
    size_t count = 0;
    TUB__TRY(
        tub__alloc_array(&set->ctx->allocator, set->list.count + 1, sizeof(sorted), &block, err));
    sorted *e = block;
    for (size_t i = 0; i < set->list.count; i++) {
        tub__file_place *place = &set->places[i];
        place->duplicate = place->same_first = place->same_next = -1;
        place->class_first = place->class_next = -1;
        if (set->entries[i].problem == NULL) {
            e[count++] = (sorted){.content = set->entries[i].content,
                                  .file = set->list.items[i].file,
                                  .item = (uint32_t)i,
                                  .first_frame = set->entries[i].facts.first,
                                  .frames = set->entries[i].facts.frames};
        }
    }
    qsort(e, count, sizeof *e, compare);
    for (size_t begin = 0, end = 0; begin < count; begin = end) {
        while (end < count && strcmp(e[end].content, e[begin].content) == 0) {
            end++;
        }
        /* Files are compared only where it matters. */
        if (!in_one_split(set->places, e + begin, end - begin) ||
            !in_one_class(set->list.items, e + begin, end - begin)) {
            mark(set, e + begin, end - begin);
        }
    }
    tub__free(&set->ctx->allocator, block);
    return TUB_OK;
}
