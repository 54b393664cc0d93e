/* SPDX-License-Identifier: Apache-2.0 */
/* Clips of a set of files: as evaluation and prediction see a file, and as training draws them from the frames
 * that are kept of it. */
#include "base/error.h"
#include "base/file.h"
#include "data/clip_read.h"
#include "data/file_facts.h"
#include "data/file_kept.h"
#include <stdatomic.h>
#include <string.h>

enum { DRAW = 0x46494c45 }; /* "FILE": apart from what else is drawn for a sample */

tub__preprocessing tub__clip_picture(const tub_clip_options *c, bool crop) {
    return (tub__preprocessing){.resize = c->resize > 0,
                                .crop = crop,
                                .shortest_edge = c->resize,
                                .crop_height = c->height,
                                .crop_width = c->width,
                                .filter = TUB__BILINEAR};
}

tub__intensity_window tub__clip_window(const tub_clip_options *c) {
    return (tub__intensity_window){c->intensity_window[0], c->intensity_window[1]};
}

static tub__frame_plan plan_of(const tub_clip_options *c) {
    return (tub__frame_plan){c->sampling, c->frames, c->stride};
}

/* What a job with an open file does. */
typedef tub_status job(const tub__file_set *set, const tub__item_facts *facts, tub__clip_reader *r,
                       void *user, tub_error *err);

static tub_status read_with(const tub__file_set *set, const tub__item_facts *facts,
                            tub__clip_file *clip, bool crop, job *work, void *user,
                            tub_error *err) {
    const tub__clip_form form = {crop ? set->picture : tub__clip_picture(&set->clip, false),
                                 set->channels, tub__clip_window(&set->clip)};
    tub__clip_reader *reader = NULL;
    int64_t shape[3];
    TUB__TRY(tub__clip_count(clip, err));
    const tub__clip_facts *f = tub__clip_describe(clip);
    TUB__TRY(tub__clip_reader_create(&set->ctx->allocator, clip, &form, 1, &reader, err));
    tub__clip_reader_shape(reader, shape);
    const bool same = f->height == facts->height && f->width == facts->width &&
                      f->dtype == facts->dtype && f->frames >= facts->first + facts->frames;
    const tub_status status =
        same ? work(set, facts, reader, user, err)
             : tub__fail(err, TUB_E_FORMAT,
                         "it is not what it was when the data set was opened; open it again");
    tub__clip_reader_destroy(reader);
    return status;
}

/* What was met in a file that can't be decoded, once. Without memory it is not told. */
static void note_damage(const tub__file_set *set, uint32_t number, const tub__clip_file *clip) {
    tub__file_entry *e = &set->entries[number];
    const char *said = tub__clip_damage(clip);
    char *text = NULL, *none = NULL;
    if (said == NULL || atomic_load(&e->met) != NULL ||
        tub__alloc_string(&set->ctx->allocator, said, &text, NULL) != TUB_OK) {
        return;
    }
    if (!atomic_compare_exchange_strong(&e->met, &none, text)) {
        tub__free(&set->ctx->allocator, text);
    }
}

/* Opens the file of a sample; the sentence of a failure names it. */
static tub_status with_file(const tub__file_set *set, uint32_t number, bool crop, job *work,
                            void *user, tub_error *err) {
    const char *path = set->list.items[number].path;
    tub__clip_file *clip = NULL;
    tub_error why = {0};
    const tub__intensity_window window = tub__clip_window(&set->clip);
    tub_status status = tub__clip_open(set->ctx, path, 1, &window, &clip, &why);
    if (status == TUB_OK) {
        status = read_with(set, &set->entries[number].facts, clip, crop, work, user, &why);
        note_damage(set, number, clip);
    }
    tub__clip_close(clip);
    if (status == TUB_OK) {
        return TUB_OK;
    }
    tub__file_facts_forget(set); /* which may be of a decoder that could more */
    const bool named = strncmp(why.message, path, strlen(path)) == 0;
    return tub__fail(err, status, "%s%s%s", named ? "" : path, named ? "" : ": ", why.message);
}

static tub_status read_view(const tub__file_set *set, const tub__item_facts *facts,
                            tub__clip_reader *r, void *user, tub_error *err) {
    const tub__frame_plan plan = plan_of(&set->clip);
    tub__clip_part part = {facts->first, facts->frames};
    return tub__clip_read_views(r, &plan, &part, 1, user, err);
}

tub_status tub__file_set_clip(const tub__file_set *set, tub_split split, size_t index, void *out,
                              tub_error *err) {
    const uint32_t number = set->sample[split][index];
    if (tub__file_kept_get_clip(set, number, out)) {
        return TUB_OK;
    }
    TUB__TRY(with_file(set, number, true, read_view, out, err));
    tub__file_kept_put_clip(set, number, out);
    return TUB_OK;
}

int64_t tub__file_set_kept(const tub__file_set *set, const tub__item_facts *facts) {
    return facts->frames < set->clip.max_frames ? facts->frames : set->clip.max_frames;
}

int64_t tub__file_set_memory(const tub__file_set *set) {
    enum { DECODER = 20 }; /* pictures: sixteen to refer to, and some at work */
    const tub__preprocessing picture = tub__clip_picture(&set->clip, false);
    int64_t most = 1;
    for (size_t i = 0; i < set->list.count; i++) {
        const tub__item_facts *facts = &set->entries[i].facts;
        const size_t from[2] = {(size_t)facts->height, (size_t)facts->width};
        size_t size[2] = {0};
        if (set->entries[i].problem == NULL &&
            tub__preprocessed_size(&picture, from, size, NULL) == TUB_OK) {
            const int64_t pixel = set->channels * (int64_t)tub__dtype_bytes(facts->dtype),
                          kept =
                              tub__file_set_kept(set, facts) * (int64_t)(size[0] * size[1]) * pixel,
                          whole = (facts->kind == TUB__CLIP_VIDEO ? DECODER : facts->frames) *
                                  facts->height * facts->width * facts->channels *
                                  (int64_t)tub__dtype_bytes(facts->dtype);
            most = kept + whole > most ? kept + whole : most;
        }
    }
    return most;
}

static tub_status grow(const tub_allocator *a, tub__source *source, size_t bytes, tub_error *err) {
    if (source->room_bytes >= bytes) {
        return TUB_OK;
    }
    tub__free(a, source->room);
    source->room = NULL;
    source->room_bytes = 0;
    TUB__TRY(tub__alloc(a, bytes, &source->room, err));
    source->room_bytes = bytes;
    return TUB_OK;
}

/* Kept frame i is the middle one of those that it stands for: i n / m to (i + 1) n / m. */
static tub_status read_middles(const tub__clip_part *part, tub__clip_reader *r, int64_t kept,
                               int64_t *indices, void *out, tub_error *err) {
    for (int64_t i = 0; i < kept; i++) {
        indices[i] = part->first + (2 * i + 1) * part->count / (2 * kept);
    }
    return tub__clip_read_frames(r, (size_t)kept, indices, out, err);
}

/* Of a damaged file there may be other frames than its packets told: then the same number is kept of those
 * that there are in the part's span, some of them twice perhaps. */
static tub_status read_there_are(const tub__file_set *set, const tub__item_facts *facts,
                                 tub__clip_reader *r, void *out, tub_error *err) {
    const tub_allocator *a = &set->ctx->allocator;
    const tub__clip_file *clip = tub__clip_reader_file(r);
    const int64_t kept = tub__file_set_kept(set, facts);
    tub__clip_part part = {facts->first, facts->frames};
    const tub__clip_span span = tub__clip_span_of(clip, &part);
    void *block;
    TUB__TRY(tub__alloc_array(a, (size_t)kept, sizeof(int64_t), &block, err));
    tub_status status = read_middles(&part, r, kept, block, out, err);
    while (status != TUB_OK && status != TUB_E_MEMORY && tub__clip_reader_recounted(r)) {
        status = tub__clip_part_in(clip, &span, &part, err);
        if (status == TUB_OK) {
            status = read_middles(&part, r, kept, block, out, err);
        }
    }
    tub__free(a, block);
    return status;
}

static tub_status read_kept(const tub__file_set *set, const tub__item_facts *facts,
                            tub__clip_reader *r, void *user, tub_error *err) {
    const int64_t kept = tub__file_set_kept(set, facts);
    tub__source *source = user;
    int64_t shape[3];
    size_t bytes = 0;
    tub__clip_reader_shape(r, shape);
    if (!tub__mul(tub__clip_reader_frame_bytes(r), (size_t)kept, &bytes)) {
        return tub__fail(err, TUB_E_MEMORY, "%lld frames are too large", (long long)kept);
    }
    TUB__TRY(grow(&set->ctx->allocator, source, TUB__SOURCE_HEAD + bytes, err));
    unsigned char *frames = (unsigned char *)source->room + TUB__SOURCE_HEAD;
    source->samples = frames;
    source->frames = kept;
    source->height = shape[0];
    source->width = shape[1];
    source->channels = shape[2];
    source->dtype = facts->dtype;
    return read_there_are(set, facts, r, frames, err);
}

tub_status tub__file_set_source(const tub__file_set *set, tub_split split, size_t index,
                                tub__source *source, tub_error *err) {
    const uint32_t number = set->sample[split][index];
    if (tub__file_kept_get_source(set, number, source)) {
        return TUB_OK;
    }
    TUB__TRY(with_file(set, number, false, read_kept, source, err));
    tub__file_kept_put_source(set, number, source);
    return TUB_OK;
}

void tub__clip_source_size(int64_t height, int64_t width, int64_t resize, int64_t size[2]) {
    const int64_t longer = height > width ? height : width,
                  side = resize > longer ? resize : longer;
    size[0] = height * side / longer;
    size[1] = width * side / longer;
}

void tub__file_set_source_size(const tub__file_set *set, int64_t size[2]) {
    tub__clip_source_size(set->clip.height, set->clip.width, set->clip.resize, size);
}

/* Copies the middle of a frame. */
static void cut_middle(const tub__source *source, int64_t frame, const int64_t cut[2],
                       unsigned char *out) {
    const size_t size[2] = {(size_t)source->height, (size_t)source->width};
    const size_t crop[2] = {(size_t)cut[0], (size_t)cut[1]};
    const size_t pixel = (size_t)source->channels * tub__dtype_bytes(source->dtype);
    size_t corner[2];
    tub__crop_corner(size, crop, TUB__CROP_ONLY, corner);
    const unsigned char *in =
        (const unsigned char *)source->samples + (size_t)frame * size[0] * size[1] * pixel;
    for (size_t y = 0; y < crop[0]; y++) {
        memcpy(out + y * crop[1] * pixel, in + ((corner[0] + y) * size[1] + corner[1]) * pixel,
               crop[1] * pixel);
    }
}

tub_status tub__file_set_draw(const tub__file_set *set, tub_split split, const tub__source *source,
                              const tub__sample_key *key, const int64_t cut[2], void *out,
                              tub_error *err) {
    const tub__item_facts *facts = &set->entries[set->sample[split][key->index]].facts;
    const tub__frame_plan plan = plan_of(&set->clip);
    const size_t bytes = (size_t)(cut[0] * cut[1] * set->channels) * tub__dtype_bytes(set->dtype);
    tub__random r = tub__random_start(tub__random_key(key->seed, TUB__RANDOM_AUGMENT),
                                      key->position, DRAW, key->epoch);
    void *block;
    TUB__TRY(
        tub__alloc_array(&set->ctx->allocator, (size_t)plan.frames, sizeof(int64_t), &block, err));
    int64_t *indices = block;
    tub__frames_at_random(&plan, facts->frames, &r, indices);
    for (int64_t i = 0; i < plan.frames; i++) { /* of the file's frames to the kept one for it */
        const int64_t kept = ((indices[i] + 1) * source->frames - 1) / facts->frames;
        cut_middle(source, kept, cut, (unsigned char *)out + (size_t)i * bytes);
    }
    tub__free(&set->ctx->allocator, block);
    return TUB_OK;
}
