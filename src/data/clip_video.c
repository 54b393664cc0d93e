/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of a video by mod-video: their times, and seeking that gives what reading from the start gives.
 *
 * How seeking stays exact: the packets, read once without decoding, tell the times of all frames and
 * which are key frames. After a jump to a key frame each frame that comes out must be the one that is
 * expected at its place by its time. The first that is not shows that packets promise what can't be
 * decoded: the clip begins at the start again, and where frames were counted by packets they are counted
 * anew, by decoding. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/clip_kind.h"

enum { ASSUMED_RATE = 25 }; /* frames a second where a file tells neither times nor a rate */
static const size_t PACKET_LIMIT = (size_t)1 << 28;
static const int64_t NO_TIME = INT64_MIN;

/* A packet's time and, in the lowest bit, whether it is a key frame; sorted by time. */
typedef struct packet_order {
    int64_t *entries;
    size_t count, room;
    bool known, reliable;
} packet_order;

typedef struct video_clip {
    tub__clip_file base;
    const tub__video_module *module;
    tub__video *video;
    packet_order order;
    bool by_packets; /* the times are those of packets, which nobody has decoded yet */
    bool begun;      /* a frame was taken from the module since it was opened */
    bool pending;    /* that frame (the first) is to be given yet */
    bool jumped;     /* since a jump: frames are compared with what is expected */
    int64_t pending_time;
    int64_t origin;               /* the file's time of frame 0; NO_TIME: not known yet */
    int64_t anchor_index, anchor; /* the last frame whose time is known, and that from the origin */
    int64_t latest;               /* time that was given last */
} video_clip;

/* ---- Times ---- */

/* `frames` frames in units of the time base, rounded to the nearest. */
static int64_t span(const tub__clip_facts *f, int64_t frames) {
    const bool rated = f->rate_numerator > 0;
    const __int128 units =
        (__int128)frames * (rated ? f->rate_denominator : 1) * f->time_base_denominator;
    const __int128 parts = (__int128)(rated ? f->rate_numerator : ASSUMED_RATE) *
                           (f->time_base_numerator > 0 ? f->time_base_numerator : 1);
    const __int128 result = (2 * units + parts) / (2 * parts);
    return result > INT64_MAX ? INT64_MAX : (int64_t)result;
}

static int64_t add(int64_t a, int64_t b) {
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? (a < 0 ? INT64_MIN : INT64_MAX) : sum;
}

static int64_t minus(int64_t a, int64_t b) {
    int64_t difference;
    return __builtin_sub_overflow(a, b, &difference) ? (a < 0 ? INT64_MIN : INT64_MAX) : difference;
}

/* The time of a frame from the first, by what the file says or, where it says nothing, by the average
 * rate from the last frame whose time is known. */
static int64_t settle_time(video_clip *v, int64_t index, int64_t said) {
    const int64_t filled = add(v->anchor, span(&v->base.facts, index - v->anchor_index));
    if (said != NO_TIME) {
        if (v->origin == NO_TIME) {
            v->origin = minus(said, filled);
        }
        v->anchor_index = index;
        v->anchor = minus(said, v->origin);
    }
    const int64_t time = said != NO_TIME ? v->anchor : filled;
    v->latest = time > v->latest ? time : v->latest;
    return v->latest;
}

static void forget_times(video_clip *v) {
    v->origin = NO_TIME;
    v->anchor_index = v->anchor = v->latest = 0;
}

/* ---- The order of packets ---- */

static int64_t packet_time(int64_t entry) {
    return entry >> 1;
}

static tub_status add_packet(void *user, int64_t time, bool key, tub_error *err) {
    video_clip *v = user;
    packet_order *o = &v->order;
    const bool fits = time >= INT64_MIN / 4 && time <= INT64_MAX / 4 && o->count < PACKET_LIMIT;
    if (!fits) {
        o->reliable = false; /* a missing time is INT64_MIN as well */
        return TUB_OK;
    }
    TUB__TRY(tub__alloc_room(&v->base.context->allocator, (void **)&o->entries, o->count,
                             sizeof *o->entries, &o->room, err));
    o->entries[o->count++] = time * 2 + key;
    return TUB_OK;
}

static int compare_entries(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Distinct times, and the first packet in the file is the first that is shown and a key frame. */
static bool is_plain_order(const packet_order *o, int64_t first) {
    for (size_t i = 1; i < o->count; i++) {
        if (packet_time(o->entries[i - 1]) == packet_time(o->entries[i])) {
            return false;
        }
    }
    return o->count > 0 && o->entries[0] == first && (first & 1) != 0;
}

static tub_status reopen(video_clip *v, tub_error *err) {
    v->begun = v->pending = v->jumped = false;
    forget_times(v);
    v->base.position = 0;
    return v->module->reopen(v->video, v->base.path, err);
}

/* Takes a frame from the module. */
static tub_status take(video_clip *v, int64_t *said, bool *end, tub_error *err) {
    if (v->pending) {
        v->pending = *end = false;
        *said = v->pending_time;
        return TUB_OK;
    }
    v->begun = true;
    return v->module->next(v->video, said, end, err);
}

/* Reads the packets, once. The clip is at its start afterwards. */
static tub_status find_order(video_clip *v, tub_error *err) {
    packet_order *o = &v->order;
    bool reliable = false, end = false;
    if (v->begun) {
        TUB__TRY(reopen(v, err));
    }
    o->count = 0;
    o->reliable = true;
    v->begun = true; /* of a scan that fails nothing is known */
    TUB__TRY(v->module->scan(v->video, add_packet, v, &reliable, err));
    o->known = true;
    const int64_t first = o->count > 0 ? o->entries[0] : 0;
    if (o->reliable && reliable) {
        qsort(o->entries, o->count, sizeof *o->entries, compare_entries);
    }
    TUB__TRY(take(v, &v->pending_time, &end, err));
    v->pending = !end;
    o->reliable = o->reliable && reliable && !end && is_plain_order(o, first) &&
                  packet_time(o->entries[0]) == v->pending_time;
    return TUB_OK;
}

/* ---- Going about ---- */

/* Goes over frames that are not wanted; the end before is told by the position. */
static tub_status go_on_to(video_clip *v, int64_t index, tub_error *err) {
    bool end = false;
    while (v->base.position < index && !end) {
        TUB__TRY(tub__clip_skip(&v->base, NULL, &end, err));
    }
    return TUB_OK;
}

static tub_status from_start(video_clip *v, int64_t index, tub_error *err) {
    TUB__TRY(reopen(v, err));
    return go_on_to(v, index, err);
}

/* The last key frame that is not behind a frame. */
static size_t key_before(const packet_order *o, size_t index) {
    while (index > 0 && (o->entries[index] & 1) == 0) {
        index--;
    }
    return index;
}

static bool find_entry(const packet_order *o, int64_t entry, size_t *index) {
    const int64_t *found =
        bsearch(&entry, o->entries, o->count, sizeof *o->entries, compare_entries);
    if (found != NULL) {
        *index = (size_t)(found - o->entries);
    }
    return found != NULL;
}

/* Jumps to a key frame at or before `key`. false: not possible, or another frame came out. */
static tub_status jump(video_clip *v, size_t key, bool *done, tub_error *err) {
    int64_t landed = 0, said = NO_TIME;
    size_t index = 0;
    bool end = false;
    v->pending = false;
    v->begun = v->jumped = true;
    *done = v->module->seek(v->video, packet_time(v->order.entries[key]), &landed) &&
            landed != NO_TIME && landed <= packet_time(v->order.entries[key]) &&
            find_entry(&v->order, landed * 2 + 1, &index);
    if (!*done) {
        return TUB_OK;
    }
    /* Frames that are shown before the key frame and come after it need what lies before. */
    do {
        TUB__TRY(v->module->next(v->video, &said, &end, err));
    } while (!end && said != NO_TIME && said < landed);
    *done = !end && said == landed;
    v->pending = *done;
    v->pending_time = said;
    v->base.position = (int64_t)index;
    forget_times(v);
    v->origin = packet_time(v->order.entries[0]);
    return TUB_OK;
}

/* What comes out is not the frame that is expected here: nothing that was read of packets holds. */
static bool is_unexpected(const video_clip *v, int64_t said, bool end) {
    const packet_order *o = &v->order;
    const size_t at = (size_t)v->base.position;
    return end ? at < o->count : at >= o->count || packet_time(o->entries[at]) != said;
}

/* Decodes all there is. */
static tub_status decode_times(video_clip *v, tub_error *err) {
    const tub_allocator *a = &v->base.context->allocator;
    size_t count = 0, room = 0;
    int64_t *times = NULL;
    bool end = false;
    tub_status status = v->base.position > 0 ? reopen(v, err) : TUB_OK;
    while (status == TUB_OK && !end) {
        tub__clip_frame frame;
        status = tub__clip_skip(&v->base, &frame, &end, err);
        if (status == TUB_OK && !end) {
            status = tub__alloc_room(a, (void **)&times, count, sizeof *times, &room, err);
        }
        if (status == TUB_OK && !end) {
            times[count++] = frame.time;
        }
    }
    if (status != TUB_OK) {
        tub__free(a, times);
        return status;
    }
    tub__free(a, v->base.times);
    v->base.times = times;
    v->base.facts.frames = (int64_t)count;
    return TUB_OK;
}

/* Where the frames were counted by packets that do not hold, their number and times are found anew. The clip is
 * where it was afterwards, by frames that can be decoded. */
static tub_status count_anew(video_clip *v, tub_error *err) {
    const int64_t position = v->base.position;
    v->order.reliable = false;
    if (v->by_packets) {
        v->by_packets = false;
        TUB__TRY(decode_times(v, err));
        v->base.counts++;
    }
    return from_start(v, position, err);
}

static tub_status next_frame(tub__clip_file *clip, bool samples, tub__clip_frame *out, bool *end,
                             tub_error *err) {
    video_clip *v = (video_clip *)clip;
    int64_t said = NO_TIME;
    TUB__TRY(take(v, &said, end, err));
    if (v->module->unsettled(v->video)) {
        TUB__TRY(count_anew(v, err));
        TUB__TRY(take(v, &said, end, err));
    }
    if (v->order.reliable && is_unexpected(v, said, *end)) {
        v->order.reliable = false;
        if (v->jumped ||
            !*end) { /* else it ends early, and what was read of the frames before holds */
            TUB__TRY(count_anew(v, err));
            TUB__TRY(take(v, &said, end, err));
        }
    }
    if (*end) {
        return TUB_OK;
    }
    out->time = settle_time(v, clip->position, said);
    return samples ? v->module->pixels(v->video, (const unsigned char **)&out->samples, err)
                   : TUB_OK;
}

static tub_status seek_frame(tub__clip_file *clip, int64_t index, tub_error *err) {
    video_clip *v = (video_clip *)clip;
    bool done = index == clip->position;
    if (!v->order.known && !done && index > 0) {
        TUB__TRY(find_order(v, err));
    }
    if (!done && v->order.reliable && index < (int64_t)v->order.count) {
        const size_t key = key_before(&v->order, (size_t)index);
        done = clip->position <= index && (int64_t)key <= clip->position;
        if (!done && key > 0) {
            TUB__TRY(jump(v, key, &done, err));
        }
    }
    if (done || (clip->position <= index && !v->jumped)) {
        TUB__TRY(go_on_to(v, index, err));
    } else {
        TUB__TRY(from_start(v, index, err));
    }
    bool end = clip->position < index;
    if (!end && !v->pending && !clip->facts.frames_exact) {
        TUB__TRY(take(v, &v->pending_time, &end, err)); /* is there one? */
        v->pending = !end;
    }
    return !end ? TUB_OK
                : tub__fail(err, TUB_E_RANGE, "%s: no frame %lld; there are %lld, counted from 0",
                            clip->path, (long long)index, (long long)clip->position);
}

/* ---- Counting ---- */

static tub_status take_times(video_clip *v, tub_error *err) {
    const packet_order *o = &v->order;
    TUB__TRY(tub__alloc_array(&v->base.context->allocator, o->count, sizeof *v->base.times,
                              (void **)&v->base.times, err));
    for (size_t i = 0; i < o->count; i++) {
        v->base.times[i] = packet_time(o->entries[i]) - packet_time(o->entries[0]);
    }
    v->base.facts.frames = (int64_t)o->count;
    v->by_packets = true;
    return TUB_OK;
}

static tub_status count_frames(tub__clip_file *clip, tub_error *err) {
    video_clip *v = (video_clip *)clip;
    if (!v->order.known) {
        TUB__TRY(find_order(v, err));
    }
    /* Reading to the end may have shown already that packets promise too much. */
    if (clip->facts.frames_exact && clip->facts.frames != (int64_t)v->order.count) {
        v->order.reliable = false;
    }
    TUB__TRY(v->order.reliable ? take_times(v, err) : decode_times(v, err));
    clip->facts.frames_exact = true;
    return TUB_OK;
}

static const char *tell_damage(const tub__clip_file *clip) {
    const video_clip *v = (const video_clip *)clip;
    return v->module->damage(v->video);
}

static void close_video(tub__clip_file *clip) {
    video_clip *v = (video_clip *)clip;
    v->module->close(v->video);
    tub__free(&clip->context->allocator, v->order.entries);
}

static const tub__clip_operations operations = {.next = next_frame,
                                                .count = count_frames,
                                                .seek = seek_frame,
                                                .damage = tell_damage,
                                                .close = close_video};

tub_status tub__clip_open_video(tub_context *ctx, const char *path, int threads,
                                tub__clip_file **out, tub_error *err) {
    const void *table;
    video_clip *v;
    tub__video_facts facts;
    TUB__TRY(tub__module_open(ctx, "video", &table, err));
    TUB__TRY(tub__alloc_array(&ctx->allocator, 1, sizeof *v, (void **)&v, err));
    *v = (video_clip){.base = {.operations = &operations, .context = ctx}, .module = table};
    const tub_status status = v->module->open(path, threads, &v->video, &facts, err);
    if (status != TUB_OK) {
        tub__free(&ctx->allocator, v);
        return status;
    }
    v->base.facts = (tub__clip_facts){.kind = TUB__CLIP_VIDEO,
                                      .dtype = TUB_U8,
                                      .height = facts.height,
                                      .width = facts.width,
                                      .channels = 3,
                                      .frames = facts.frames,
                                      .rate_numerator = facts.rate_numerator,
                                      .rate_denominator = facts.rate_denominator,
                                      .time_base_numerator = facts.time_base_numerator,
                                      .time_base_denominator = facts.time_base_denominator};
    forget_times(v);
    *out = &v->base;
    return TUB_OK;
}
