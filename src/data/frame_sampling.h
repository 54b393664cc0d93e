/* SPDX-License-Identifier: Apache-2.0 */
/* Which frames of a file a clip is made of: whole numbers to whole numbers, nothing is read. A file has
 * `count` frames, from 1 to 2^31 - 1; every index that comes out is from 0 to count - 1.
 *
 * In testing a file is seen from one or more views, each a clip; in training from a random one.
 *
 * uniform   T of n frames at equal distances that leave as much room at both ends: number k = 1 … T is
 *           k n / (T + 1), rounded to the nearest, ties to even (scenic's sample_frames_uniformly). A
 *           file of no more than T frames: all of them, then the last again and again.
 * linspace  from the first to the last: number i = 0 … T - 1 is i (n - 1) / (T - 1), cut down, as NumPy's
 *           linspace computes it in float64. With a stride s from a place p: i s T / (T - 1) from p on,
 *           cut down, at most p + s T - 1 (sample_frame_indices of transformers' examples); a file
 *           shorter than s T: over all of it.
 * stride    p, p + s, p + 2 s, …; behind the end the file begins again (DMVR, MMAction's "loop").
 * segments  the middle of each of T equal parts: (2 i + 1) n / (2 T), cut down.
 *
 * Views. uniform, linspace without a stride, segments: the frames of V clips as one clip of V T frames,
 * dealt out in turn. stride: V places at equal distances, i (n - s T) / (V - 1), cut down, as DMVR's
 * sample_linspace_sequence; linspace with a stride likewise, but rounded to the nearest, ties to even. One
 * view is in the middle.
 *
 * Random. stride, linspace with a stride: any place from which the clip lies in the file, all with the
 * same chance. The others: any frame of
 * each of T equal parts; of a part without frames as in testing. */
#ifndef TUB__DATA_FRAME_SAMPLING_H
#define TUB__DATA_FRAME_SAMPLING_H

#include "base/philox.h"
#include <stdint.h>
#include <tubelet/sampling.h>

enum { TUB__CLIP_FRAMES = 65536, TUB__STRIDE_LIMIT = 65536, TUB__VIEW_LIMIT = 1024 };

typedef struct tub__frame_plan {
    tub_sampling sampling;
    int64_t frames; /* T, of a clip */
    int64_t stride; /* s; 0: 1 of stride, none of linspace; the others have none */
} tub__frame_plan;

/* Error: TUB_E_RANGE, TUB_E_ARGUMENT (a stride where none is). */
TUB_MUST_USE tub_status tub__frame_plan_check(const tub__frame_plan *plan, tub_error *err);
/* Frames [T] of one of `views` views (1 to TUB__VIEW_LIMIT) of a file. */
void tub__frames_of_view(const tub__frame_plan *plan, int64_t count, int64_t view, int64_t views,
                         int64_t *out);
/* Frames [T] of a random clip of a file; takes words of r as it needs them. */
void tub__frames_at_random(const tub__frame_plan *plan, int64_t count, tub__random *r,
                           int64_t *out);

/* The parts of those, for tests and for other users: NumPy's linspace(start, stop, T), cut down and at
 * most `last`; and the two rules for where clips of `span` frames begin. */
void tub__frames_linspace(int64_t start, int64_t stop, int64_t last, int64_t frames, int64_t *out);
int64_t tub__place_cut(int64_t count, int64_t span, int64_t view, int64_t views);
int64_t tub__place_rounded(int64_t count, int64_t span, int64_t view, int64_t views);

#endif
