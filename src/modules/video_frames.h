/* SPDX-License-Identifier: Apache-2.0 */
/* Decoded frames of any pixel format to rgb24 as they are shown: what the ffmpeg program's own filter
 * graph does between a decoder and `-pix_fmt rgb24`. */
#ifndef TUB__MODULES_VIDEO_FRAMES_H
#define TUB__MODULES_VIDEO_FRAMES_H

#include "modules/video_ffmpeg.h"
#include <stdbool.h>
#include <stdint.h>
#include <tubelet/status.h>

typedef struct tub__rgb {
    AVFilterGraph *graph; /* for frames that look as below; NULL: none yet */
    AVFilterContext *source, *sink;
    AVFrame *frame; /* what came out last */
    int in_width, in_height, in_format;
    int32_t in_matrix[9];
    int threads;
    int64_t width, height; /* of what comes out; 0 before the first frame */
    unsigned char *packed; /* [height,width,3], where the frame's rows have gaps */
} tub__rgb;

/* *rgb is zero but for threads. stream: for its rotation and its time base. *out is valid until the
 * next call. Frames that are larger or smaller than the first ever are resized to it. */
TUB_MUST_USE tub_status tub__rgb_convert(tub__rgb *rgb, const AVStream *stream, AVFrame *in,
                                         const unsigned char **out, tub_error *err);
void tub__rgb_close(tub__rgb *rgb);

#endif
