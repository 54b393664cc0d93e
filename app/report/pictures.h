/* SPDX-License-Identifier: Apache-2.0 */
/* Samples of a data set as pictures that fit into a page. */
#ifndef APP_REPORT_PICTURES_H
#define APP_REPORT_PICTURES_H

#include <tubelet/picture.h>

#include "facts.h"
#include "page.h"

/* A sample made small: uint8, 1 or 3 channels, no side above PICTURE_SIDE, no more frames than
 * PICTURE_FRAMES, of colours PICTURE_COLOUR_FRAMES: some fifty of them fit into a page of ten
 * megabytes. */
enum { PICTURE_SIDE = 96, PICTURE_FRAMES = 32, PICTURE_COLOUR_FRAMES = 16 };
typedef struct small_sample {
    int64_t frames, height, width, channels;
    tub_encoded moving, still; /* once they are made: all frames, and the middle one of several */
    unsigned char levels[];    /* [frames,height,width,channels] */
} small_sample;

/* Room for the samples of a split. False: no memory. */
bool pictures_remember(report_facts *f, int64_t samples);
/* Frees all that was read. */
void pictures_forget(report_facts *f, int64_t samples);
/* Reads one, or gives the one that was read before: decoding a film takes long. It stays the
 * facts'. Error: those of tub_dataset_read. */
tub_status picture_read(const report_facts *f, int64_t sample, small_sample **out, tub_error *err);
/* Makes what is not made yet of some of them, on the context's threads: each takes tens of
 * milliseconds. */
tub_status pictures_make(const report_facts *f, small_sample *const *list, int64_t count,
                         tub_error *err);
/* Reads and makes those of samples, all at once. */
tub_status pictures_prepare(const report_facts *f, const int64_t *samples, int64_t count,
                            tub_error *err);
/* Size of the picture's middle frame when every `by` by `by` pixels of it become one, and that
 * frame. */
void picture_still_size(const small_sample *s, int64_t by, int64_t size[2]);
void picture_still(const small_sample *s, int64_t by, unsigned char *out);
/* Writes <picture>: the moving sample, and its middle frame for paper and for those who want no
 * motion. Makes them where they are not made yet. alt: plain text. */
tub_status picture_put(page *p, const report_facts *f, small_sample *s, const char *alt,
                       tub_error *err);

/* A clip of uint8 made small as samples are; to be freed by picture_free. */
tub_status picture_of_clip(const tub_clip *clip, small_sample **out, tub_error *err);
void picture_free(const report_facts *f, small_sample *s); /* accepts NULL */

/* The end of a caption: #N and, where it is short, the file. It is all there in the title. */
void picture_number(page *p, const report_facts *f, int64_t sample);
/* ", cat/001.mp4" for the text in a picture's place; "" of a set in memory. */
const char *picture_file(const report_facts *f, int64_t sample, char out[REPORT_NAME]);

#endif
