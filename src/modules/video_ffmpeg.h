/* SPDX-License-Identifier: Apache-2.0 */
/* What mod-video uses of FFmpeg, in one place. */
#ifndef TUB__MODULES_VIDEO_FFMPEG_H
#define TUB__MODULES_VIDEO_FFMPEG_H

#include <libavcodec/avcodec.h>
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>

#endif
