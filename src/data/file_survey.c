/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at the files of a data set before it is used: which can be read, and what is in them. What is
 * found does not depend on who looked. Files that an earlier survey could read are looked at by their content only. */
#include "base/each.h"
#include "base/error.h"
#include "base/ratio.h"
#include "data/clip_read.h"
#include "data/file_facts.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef struct survey {
    tub__file_set *set;
    uint32_t *order; /* items by file: those of one in a row */
    size_t *begin;   /* [files + 1]: where each file's items begin in it */
    size_t files;
    tub__map facts;      /* what an earlier one has kept */
    atomic_bool learned; /* something that it has not kept */
} survey;

typedef struct by_file {
    int32_t file;
    uint32_t item;
} by_file;

static int compare(const void *a, const void *b) {
    const by_file *x = a, *y = b;
    return x->file != y->file ? (x->file > y->file) - (x->file < y->file)
                              : (x->item > y->item) - (x->item < y->item);
}

static tub_status order_items(survey *s, tub_error *err) {
    const tub__file_list *list = &s->set->list;
    const tub_allocator *a = list->allocator;
    void *block;
    TUB__TRY(tub__alloc_array(a, list->count + 1, sizeof(uint32_t), &block, err));
    s->order = block;
    TUB__TRY(tub__alloc_array(a, list->count + 1, sizeof(size_t), &block, err));
    s->begin = block;
    TUB__TRY(tub__alloc_array(a, list->count + 1, sizeof(by_file), &block, err));
    by_file *sorted = block;
    for (size_t i = 0; i < list->count; i++) {
        sorted[i] = (by_file){list->items[i].file, (uint32_t)i};
    }
    qsort(sorted, list->count, sizeof *sorted, compare);
    for (size_t i = 0; i < list->count; i++) {
        s->order[i] = sorted[i].item;
        if (i == 0 || sorted[i].file != sorted[i - 1].file) {
            s->begin[s->files++] = i;
        }
    }
    s->begin[s->files] = list->count;
    tub__free(a, block);
    return TUB_OK;
}

/* How long a part is shown: to the next frame's time, or to the file's end. */
static int64_t length_of(const tub__clip_facts *f, const int64_t *times,
                         const tub__clip_part *part) {
    const int64_t behind = part->first + part->count;
    const int64_t end = behind < f->frames ? times[behind] : tub__clip_length(f, times);
    return tub__to_nanoseconds(end - times[part->first], f->time_base_numerator,
                               f->time_base_denominator);
}

/* What a file has for an item, whose part is some of its frames. */
static tub_status find_facts(tub__clip_file *clip, const tub__file_item *item, tub__item_facts *out,
                             tub_error *err) {
    const tub__clip_facts *f = tub__clip_describe(clip);
    const int64_t *times = tub__clip_times(clip);
    const bool timed = times != NULL && f->time_base_numerator > 0;
    tub__clip_part part;
    TUB__TRY(tub__clip_part_of(clip, item->start, item->end, &part, err));
    *out = (tub__item_facts){.kind = f->kind,
                             .dtype = f->dtype,
                             .height = f->height,
                             .width = f->width,
                             .channels = f->channels,
                             .first = part.first,
                             .frames = part.count,
                             .rate_numerator = f->rate_numerator,
                             .rate_denominator = f->rate_denominator,
                             .nanoseconds = timed ? length_of(f, times, &part) : 0};
    return tub__item_measure(out, clip, err);
}

/* Why an item is left out, without the path that the sentence may begin with: as sentences write
 * it, without control characters. */
static tub_status set_problem(tub__file_set *set, uint32_t item, const char *opened,
                              const tub_error *why, tub_error *err) {
    const char *text = why->message;
    tub_error path;
    (void)tub__fail(&path, TUB_E_FORMAT, "%s: ", opened);
    const size_t length = strlen(path.message);
    if (strncmp(text, path.message, length) == 0 && text[length] != '\0') {
        text += length;
    }
    return tub__alloc_string(&set->ctx->allocator, text, &set->entries[item].problem, err);
}

/* Failures that are not the file's. */
static bool ends_all(tub_status status) {
    return status == TUB_E_MEMORY || status == TUB_E_MODULE;
}

static tub_status open_and_look(tub__file_set *set, const char *path, tub__clip_file **clip,
                                tub_error *err) {
    const tub__intensity_window window = tub__clip_window(&set->clip);
    tub__clip_frame frame;
    bool end = false;
    TUB__TRY(tub__clip_open(set->ctx, path, 1, &window, clip, err));
    TUB__TRY(tub__clip_count(*clip, err));
    TUB__TRY(tub__clip_next(*clip, &frame, &end, err));
    const tub__clip_facts *f = tub__clip_describe(*clip);
    return end || f->frames < 1    ? tub__fail(err, TUB_E_FORMAT, "no frame can be read")
           : f->frames > INT32_MAX ? tub__fail(err, TUB_E_RANGE, "more than %d frames", INT32_MAX)
                                   : TUB_OK;
}

static tub_status note_damage(tub__file_set *set, const tub__clip_file *clip, uint32_t item,
                              tub_error *err) {
    const char *said = tub__clip_damage(clip);
    return said == NULL
               ? TUB_OK
               : tub__alloc_string(&set->ctx->allocator, said, &set->entries[item].damage, err);
}

static tub_status look_at_item(tub__file_set *set, tub__clip_file *clip, uint32_t item,
                               tub_error *err) {
    tub__item_facts facts;
    tub_error why = {0};
    const tub_status status = find_facts(clip, &set->list.items[item], &facts, &why);
    if (ends_all(status)) {
        return tub__fail(err, status, "%s", why.message);
    }
    if (status != TUB_OK) {
        return set_problem(set, item, tub__clip_path(clip), &why, err);
    }
    set->entries[item].facts = facts;
    return note_damage(set, clip, item, err);
}

static tub_status find_content(survey *s, size_t file, tub_error *err) {
    tub__file_set *set = s->set;
    char content[33];
    const char *path = set->list.items[s->order[s->begin[file]]].path;
    TUB__TRY(tub__content_digest(set->ctx, path, content, err));
    for (size_t i = s->begin[file]; i < s->begin[file + 1]; i++) {
        memcpy(set->entries[s->order[i]].content, content, sizeof content);
    }
    return TUB_OK;
}

/* What can't be read has none, and its problem later. */
static tub_status try_content(void *argument, size_t file, int worker, tub_error *err) {
    tub_error why = {0};
    survey *s = argument;
    (void)worker;
    const tub_status status = find_content(s, file, &why);
    return ends_all(status) ? tub__fail(err, status, "%s", why.message) : TUB_OK;
}

/* The items of a file for which no earlier survey has kept anything, to the front of them. */
static tub_status take_kept(survey *s, size_t file, size_t *left, tub_error *err) {
    uint32_t *items = s->order + s->begin[file];
    const size_t count = s->begin[file + 1] - s->begin[file];
    *left = 0;
    for (size_t i = 0; i < count; i++) {
        bool found = false;
        TUB__TRY(tub__file_facts_get(&s->facts, s->set, items[i], &found, err));
        if (!found) {
            items[(*left)++] = items[i];
        }
    }
    return TUB_OK;
}

static tub_status look_at_items(survey *s, size_t file, size_t count, tub_error *err) {
    tub__file_set *set = s->set;
    const uint32_t *items = s->order + s->begin[file];
    tub__clip_file *clip = NULL;
    tub_error why = {0};
    const char *path = set->list.items[items[0]].path;
    tub_status status =
        set->entries[items[0]].content[0] == '\0' ? find_content(s, file, &why) : TUB_OK;
    if (status == TUB_OK) {
        status = open_and_look(set, path, &clip, &why);
    }
    const bool readable = status == TUB_OK;
    if (!readable && ends_all(status)) {
        status = tub__fail(err, status, "%s", why.message);
    } else {
        status = TUB_OK;
    }
    for (size_t i = 0; i < count && status == TUB_OK; i++) {
        status = readable ? look_at_item(set, clip, items[i], err)
                          : set_problem(set, items[i], path, &why, err);
    }
    if (readable) {
        atomic_store(&s->learned, true);
    }
    tub__clip_close(clip);
    return status;
}

static tub_status look_at_file(void *argument, size_t file, int worker, tub_error *err) {
    survey *s = argument;
    size_t left;
    (void)worker;
    TUB__TRY(take_kept(s, file, &left, err));
    return left > 0 ? look_at_items(s, file, left, err) : TUB_OK;
}

static tub_status look(survey *s, tub_error *err) {
    tub__pool *pool = s->set->ctx->pool;
    TUB__TRY(order_items(s, err));
    TUB__TRY(tub__pool_each(pool, s->files, try_content, s, err));
    TUB__TRY(tub__file_facts_open(s->set, &s->facts, err));
    TUB__TRY(tub__pool_each(pool, s->files, look_at_file, s, err));
    return atomic_load(&s->learned) ? tub__file_facts_put(s->set, err) : TUB_OK;
}

tub_status tub__file_set_survey(tub__file_set *set, tub_error *err) {
    const tub_allocator *a = &set->ctx->allocator;
    survey s = {.set = set};
    const tub_status status = look(&s, err);
    tub__file_facts_close(&s.facts);
    tub__free(a, s.begin);
    tub__free(a, s.order);
    return status;
}
