/* SPDX-License-Identifier: Apache-2.0 */
/* What the kinds of clip files implement (clip_video.c, clip_pictures.c, clip_array.c). */
#ifndef TUB__DATA_CLIP_KIND_H
#define TUB__DATA_CLIP_KIND_H

#include "base/module.h"
#include "data/clip_file.h"

typedef struct tub__clip_operations {
    /* The frame at the clip's position, which the caller moves on afterwards. samples: false leaves
     * out->samples. Index, height and width are the caller's to fill in. */
    tub_status (*next)(tub__clip_file *clip, bool samples, tub__clip_frame *out, bool *end,
                       tub_error *err);
    tub_status (*count)(tub__clip_file *clip,
                        tub_error *err); /* sets times; NULL: there are none */
    /* To an index that is not behind facts.frames where that is exact; TUB_E_RANGE behind the last. */
    tub_status (*seek)(tub__clip_file *clip, int64_t index, tub_error *err);
    void (*warn_far)(const tub__clip_file *clip);      /* of floats; NULL: there are none */
    const char *(*damage)(const tub__clip_file *clip); /* NULL: never any */
    void (*close)(tub__clip_file *clip);               /* what the kind itself has */
} tub__clip_operations;

/* The first member of each kind's own struct. */
struct tub__clip_file {
    const tub__clip_operations *operations;
    tub_context *context;
    char *path;
    tub__clip_facts facts;
    int64_t position; /* index of the next frame */
    int64_t *times;   /* [facts.frames] once they are known */
    int64_t counts;   /* tub__clip_counts */
    tub__intensity_window window;
    unsigned char *levels; /* the frame at hand where the window made levels of it; else NULL */
};

/* Each allocates its own struct, with operations and context set; on failure *out stays. */
TUB_MUST_USE tub_status tub__clip_open_video(tub_context *ctx, const char *path, int threads,
                                             tub__clip_file **out, tub_error *err);
TUB_MUST_USE tub_status tub__clip_open_pictures(tub_context *ctx, const char *folder, int threads,
                                                tub__clip_file **out, tub_error *err);
/* intensities: of integers, too, which become float32. */
TUB_MUST_USE tub_status tub__clip_open_array(tub_context *ctx, const char *argument,
                                             bool intensities, tub__clip_file **out,
                                             tub_error *err);
TUB_MUST_USE tub_status tub__clip_open_volume(tub_context *ctx, const char *path,
                                              tub__clip_file **out, tub_error *err);

#endif
