/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of one file of any kind: video or animation (mod-video), a folder of pictures, .npy, .npz, NIfTI.
 * All frames come out as uint8 or float32 [H,W,C], C fastest, rotation metadata applied. */
#ifndef TUB__DATA_CLIP_FILE_H
#define TUB__DATA_CLIP_FILE_H

#include "base/context.h"
#include "picture/intensity.h"
#include <stdbool.h>
#include <stdint.h>
#include <tubelet/data.h>

typedef struct tub__clip_file tub__clip_file;

typedef enum tub__clip_kind {
    TUB__CLIP_VIDEO = 0,
    TUB__CLIP_PICTURES, /* a folder: its pictures in natural order of their names */
    TUB__CLIP_ARRAY,    /* .npy, a member of a .npz */
    TUB__CLIP_VOLUME    /* NIfTI: frames are slices along the last axis */
} tub__clip_kind;

typedef struct tub__clip_facts {
    tub__clip_kind kind;
    tub_dtype dtype;       /* of the samples of a frame: TUB_U8, or TUB_F32 (arrays, volumes) */
    bool windowed;         /* they are intensities of the file that a window made TUB_U8 */
    int64_t height, width; /* of every frame, as they are shown: after rotation, the pixel aspect as
                              stored; frames of a video that are larger or smaller than its first
                              are resized to it, as the ffmpeg program does */
    int64_t
        channels; /* 1 for gray arrays and volumes, 3 for videos and pictures, else as the array has them */
    int64_t frames;    /* 0: not known before the end (a stream) */
    bool frames_exact; /* false: the container's word, which may differ from what can be decoded;
                          tub__clip_count and the end, once
                          it was reached, make it true; the end has the last word */
    /* Time of frame i where frames have no time of their own: i * rate_denominator / rate_numerator seconds. */
    int64_t rate_numerator,
        rate_denominator; /* average frames a second; 0/1: none (volumes, arrays, pictures) */
    int64_t time_base_numerator, time_base_denominator; /* seconds of one unit of
                              tub__clip_frame.time; 0/1: frames have no times (theirs is their index) */
} tub__clip_facts;

typedef struct tub__clip_frame {
    const void *samples;   /* [height,width,channels] of facts' dtype; valid until the next call */
    int64_t height, width; /* those of facts */
    int64_t index;         /* from 0 */
    int64_t time; /* presentation time in time_base units, from the first frame's (so that is 0);
                     never falls */
} tub__clip_frame;

/* Opens a file or folder. One sentence for what is no clip: no such file, no video stream (audio only), encrypted,
 * a codec that is not built in, a missing module. threads: that the decoder may use (1: none beside the caller).
 * window: what becomes of float32; NULL: nothing. */
TUB_MUST_USE tub_status tub__clip_open(tub_context *ctx, const char *path, int threads,
                                       const tub__intensity_window *window, tub__clip_file **out,
                                       tub_error *err);
const tub__clip_facts *tub__clip_describe(const tub__clip_file *clip);
/* As it was opened by; valid until close. */
const char *tub__clip_path(const tub__clip_file *clip);
/* The next frame in presentation order; *end at the end. A broken tail ends the clip with *end, after what could be
 * decoded, and tub__clip_damage tells it; no frame at all is an error of the first call. */
TUB_MUST_USE tub_status tub__clip_next(tub__clip_file *clip, tub__clip_frame *out, bool *end,
                                       tub_error *err);
/* Goes over one frame: as tub__clip_next, and cheaper, because a video's frame is decoded (later ones
 * need it) and not made rgb. *out is as there, with samples NULL; it may be NULL. */
TUB_MUST_USE tub_status tub__clip_skip(tub__clip_file *clip, tub__clip_frame *out, bool *end,
                                       tub_error *err);
/* Makes facts.frames exact and tub__clip_times known, and goes to frame 0: by reading the packets of
 * a video without decoding them where that is known to be enough, else by decoding it all once. */
TUB_MUST_USE tub_status tub__clip_count(tub__clip_file *clip, tub_error *err);
/* [facts.frames] times of all frames, as tub__clip_frame.time; NULL before tub__clip_count and where
 * frames have no times. Valid until tub__clip_counts changes. */
const int64_t *tub__clip_times(const tub__clip_file *clip);
/* How often tub__clip_next, tub__clip_skip and tub__clip_seek found that packets, by which frames were counted, had
 * promised what can't be decoded: facts.frames and the times are others then, and an index may mean another frame. */
int64_t tub__clip_counts(const tub__clip_file *clip);
/* Goes to frame `index` without decoding what is not needed (keyframes), so that the next frame is that one. Exact:
 * the frames are those that reading from the start gives. TUB_E_RANGE behind the last. */
TUB_MUST_USE tub_status tub__clip_seek(tub__clip_file *clip, int64_t index, tub_error *err);
/* Warns of floats that nobody has scaled. */
void tub__clip_warn_far(const tub__clip_file *clip);
/* NULL, or a sentence's part: "the last 1.2 s can't be decoded". Of what was met so far; all is known once the end was
 * reached. */
const char *tub__clip_damage(const tub__clip_file *clip);
void tub__clip_close(tub__clip_file *clip); /* accepts NULL */

#endif
