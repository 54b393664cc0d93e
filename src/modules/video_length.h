/* SPDX-License-Identifier: Apache-2.0 */
/* How long a container says that a stream is. */
#ifndef TUB__MODULES_VIDEO_LENGTH_H
#define TUB__MODULES_VIDEO_LENGTH_H

#include "modules/video_ffmpeg.h"

/* Seconds, from time 0 on; 0: it does not say. */
double tub__video_length(const AVFormatContext *format, const AVStream *stream);

#endif
