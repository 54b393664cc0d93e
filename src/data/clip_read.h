/* SPDX-License-Identifier: Apache-2.0 */
/* From a file to clips of one size: the frames that sampling asks for, resized and cropped, levels as they
 * are. Data sets of files and prediction both read by this, so that both see the same bytes. */
#ifndef TUB__DATA_CLIP_READ_H
#define TUB__DATA_CLIP_READ_H

#include "data/clip_file.h"
#include "data/frame_sampling.h"
#include "picture/framing.h"

/* What is made of every frame. */
typedef struct tub__clip_form {
    tub__preprocessing picture; /* its resizing and its crop; the rest has no say */
    int64_t channels; /* 1: colours become gray, as Pillow's convert("L"); else the file's must be
                         these; 0: any */
    tub__intensity_window window; /* of intensities, when the file is opened */
} tub__clip_form;

/* The frames of a file from `first` on. */
typedef struct tub__clip_part {
    int64_t first, count;
} tub__clip_part;

/* Frames that are shown first at or after `from` and before `to`, in nanoseconds from the first frame;
 * to < 0: the file's end. Times are compared exactly. Where no frame begins the part is the one that is
 * shown then. Counts the file's frames (tub__clip_count). Errors: TUB_E_RANGE (from is not before to, or
 * behind the file's end; a file without times unless the part is all of it), those of reading. */
TUB_MUST_USE tub_status tub__clip_part_of(tub__clip_file *clip, int64_t from, int64_t to,
                                          tub__clip_part *out, tub_error *err);

/* The same of times that are known: [facts->frames]. The sentence does not name the file. */
TUB_MUST_USE tub_status tub__clip_between(const tub__clip_facts *facts, const int64_t *times,
                                          int64_t from, int64_t to, tub__clip_part *out,
                                          tub_error *err);
/* A part by times in units of the file's time base, which hold when the frames are counted anew. */
typedef struct tub__clip_span {
    int64_t begin, end; /* end: of the first frame behind it; INT64_MAX: to the file's end */
} tub__clip_span;
tub__clip_span tub__clip_span_of(const tub__clip_file *clip, const tub__clip_part *part);
/* The frames of that span as they are counted now; where none begins in it, the one that is shown then. Error:
 * TUB_E_RANGE (it begins behind what can be decoded). */
TUB_MUST_USE tub_status tub__clip_part_in(const tub__clip_file *clip, const tub__clip_span *span,
                                          tub__clip_part *out, tub_error *err);
#define TUB__CLIP_TIMELESS "its frames have no times, so that no part of it can be named by seconds"
/* How long a counted file is, in units of its time base. */
int64_t tub__clip_length(const tub__clip_facts *facts, const int64_t *times);

typedef struct tub__clip_reader tub__clip_reader;

/* Of an open file, which must outlive the reader. Errors: TUB_E_SHAPE (channels; a crop of three that
 * resizing does not leave; float32 that would have to be resized), TUB_E_RANGE, TUB_E_MEMORY. crops: 1, or
 * 3 as picture/framing.h says. */
TUB_MUST_USE tub_status tub__clip_reader_create(const tub_allocator *a, tub__clip_file *clip,
                                                const tub__clip_form *form, int crops,
                                                tub__clip_reader **out, tub_error *err);
void tub__clip_reader_destroy(tub__clip_reader *r); /* accepts NULL */
/* Height, width and channels of what comes out; its type is that of the file's facts. */
void tub__clip_reader_shape(const tub__clip_reader *r, int64_t shape[3]);
size_t tub__clip_reader_frame_bytes(const tub__clip_reader *r);
const tub__clip_file *tub__clip_reader_file(const tub__clip_reader *r);

/* Goes to a frame and resizes it. Forward is cheap, and nothing is done twice for the same frame. Errors: those of
 * reading; TUB_E_FORMAT where damage showed on the way that makes an index mean another frame
 * (tub__clip_reader_recounted). */
TUB_MUST_USE tub_status tub__clip_reader_go(tub__clip_reader *r, int64_t index, tub_error *err);
/* Whether frames were counted anew since the reader was created, or since this was asked last: what was planned by
 * their indices and times is to be planned again. */
bool tub__clip_reader_recounted(tub__clip_reader *r);
/* A crop of the frame that was gone to, 0 … crops - 1, into out [height, width, channels]. */
void tub__clip_reader_cut(const tub__clip_reader *r, int crop, void *out);

/* Frames by their indices, in any order, any of them more than once: out [crops, n, height, width,
 * channels]. Each is decoded once. */
TUB_MUST_USE tub_status tub__clip_read_frames(tub__clip_reader *r, size_t n, const int64_t *indices,
                                              void *out, tub_error *err);
/* Views of a part: out [crops, views, T, height, width, channels], the order of scenic. part: NULL for the
 * whole file. Where damage shows that there are other frames than packets told, it becomes that of the same span
 * and is read again. */
TUB_MUST_USE tub_status tub__clip_read_views(tub__clip_reader *r, const tub__frame_plan *plan,
                                             tub__clip_part *part, int64_t views, void *out,
                                             tub_error *err);

#endif
