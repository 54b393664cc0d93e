/* SPDX-License-Identifier: Apache-2.0 */
/* The filter graph that makes rgb24 of frames. It follows ffmpeg_filter.c of FFmpeg 5.1 step by step
 * (configure_input_video_filter, configure_output_video_filter), because the bits depend on which
 * filter converts with which flags. */
#include "modules/video_frames.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "modules/video_ffmpeg.h"

enum { BYTES = 3 }; /* a pixel of rgb24 */
/* How the ffmpeg program scales when nothing else is asked for. */
static const char SCALER[] = "flags=bicubic";

/* The rotation that a frame carries itself, else the stream's; all zero for none. */
static void find_matrix(const AVStream *stream, const AVFrame *in, int32_t matrix[9]) {
    const AVFrameSideData *own = av_frame_get_side_data(in, AV_FRAME_DATA_DISPLAYMATRIX);
    size_t size = 0;
    const void *data = own != NULL && own->size >= 9 * sizeof *matrix
                           ? own->data
                           : av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
    memset(matrix, 0, 9 * sizeof *matrix);
    if (data != NULL && (own != NULL || size >= 9 * sizeof *matrix)) {
        memcpy(matrix, data, 9 * sizeof *matrix);
    }
}

/* Degrees clockwise in 0 … 360, as get_rotation() of the program. */
static double rotation(const int32_t matrix[9]) {
    const double raw =
        matrix[0] | matrix[1] | matrix[3] | matrix[4] ? -round(av_display_rotation_get(matrix)) : 0;
    return isnan(raw) ? 0 : raw - 360 * floor(raw / 360 + 0.9 / 360);
}

/* Puts a filter behind *last. */
static int append(AVFilterGraph *graph, AVFilterContext **last, const char *filter,
                  const char *arguments) {
    AVFilterContext *made;
    const int ret = avfilter_graph_create_filter(&made, avfilter_get_by_name(filter), filter,
                                                 arguments, NULL, graph);
    if (ret < 0) {
        return ret;
    }
    const int linked = avfilter_link(*last, 0, made, 0);
    *last = made;
    return linked;
}

/* Turns and mirrors as the program's autorotation. */
static int append_rotation(AVFilterGraph *graph, AVFilterContext **last, const int32_t m[9]) {
    const double theta = rotation(m);
    int ret = 0;
    if (fabs(theta - 90) < 1) {
        ret = append(graph, last, "transpose", m[3] > 0 ? "cclock_flip" : "clock");
    } else if (fabs(theta - 180) < 1) {
        if (m[0] < 0) {
            ret = append(graph, last, "hflip", NULL);
        }
        if (ret >= 0 && m[4] < 0) {
            ret = append(graph, last, "vflip", NULL);
        }
    } else if (fabs(theta - 270) < 1) {
        ret = append(graph, last, "transpose", m[3] < 0 ? "clock_flip" : "cclock");
    } else if (fabs(theta) > 1) {
        char turn[64];
        snprintf(turn, sizeof turn, "%f*PI/180", theta);
        ret = append(graph, last, "rotate", turn);
    } else if (m[4] < 0) {
        ret = append(graph, last, "vflip", NULL);
    }
    return ret;
}

static int append_source(tub__rgb *rgb, const AVStream *stream, const AVFrame *in) {
    char arguments[256];
    const AVRational aspect = in->sample_aspect_ratio;
    snprintf(arguments, sizeof arguments,
             "video_size=%dx%d:pix_fmt=%d:time_base=%d/%d:pixel_aspect=%d/%d", in->width,
             in->height, in->format, stream->time_base.num, stream->time_base.den,
             aspect.den ? aspect.num : 0, aspect.den ? aspect.den : 1);
    return avfilter_graph_create_filter(&rgb->source, avfilter_get_by_name("buffer"), "in",
                                        arguments, NULL, rgb->graph);
}

/* source, turning, resizing to what the first frame was, rgb24, sink. */
static int build(tub__rgb *rgb, const AVStream *stream, const AVFrame *in) {
    AVFilterContext *last;
    int ret = append_source(rgb, stream, in);
    if (ret < 0) {
        return ret;
    }
    last = rgb->source;
    ret = append_rotation(rgb->graph, &last, rgb->in_matrix);
    if (ret >= 0 && rgb->width > 0) {
        char arguments[96];
        snprintf(arguments, sizeof arguments, "%lld:%lld:%s", (long long)rgb->width,
                 (long long)rgb->height, SCALER);
        ret = append(rgb->graph, &last, "scale", arguments);
    }
    if (ret >= 0) {
        ret = append(rgb->graph, &last, "format", "rgb24");
    }
    if (ret >= 0) {
        ret = append(rgb->graph, &last, "buffersink", NULL);
        rgb->sink = last;
    }
    return ret < 0 ? ret : avfilter_graph_config(rgb->graph, NULL);
}

static tub_status rebuild(tub__rgb *rgb, const AVStream *stream, const AVFrame *in,
                          tub_error *err) {
    avfilter_graph_free(&rgb->graph);
    rgb->graph = avfilter_graph_alloc();
    if (rgb->graph == NULL) {
        return tub__fail(err, TUB_E_MEMORY, "no memory to convert frames");
    }
    rgb->graph->nb_threads = rgb->threads;
    rgb->graph->scale_sws_opts = av_strdup(SCALER);
    rgb->in_width = in->width;
    rgb->in_height = in->height;
    rgb->in_format = in->format;
    find_matrix(stream, in, rgb->in_matrix);
    const int ret = build(rgb, stream, in);
    if (ret < 0) {
        const char *name = av_get_pix_fmt_name(in->format);
        avfilter_graph_free(&rgb->graph);
        return tub__fail(err, ret == AVERROR(ENOMEM) ? TUB_E_MEMORY : TUB_E_UNSUPPORTED,
                         "frames of %dx%d pixels of the format %s can't be made rgb", in->width,
                         in->height, name == NULL ? "unknown" : name);
    }
    return TUB_OK;
}

static bool fits(const tub__rgb *rgb, const AVStream *stream, const AVFrame *in) {
    int32_t matrix[9];
    find_matrix(stream, in, matrix);
    return rgb->graph != NULL && in->width == rgb->in_width && in->height == rgb->in_height &&
           in->format == rgb->in_format && memcmp(matrix, rgb->in_matrix, sizeof matrix) == 0;
}

/* Rows without gaps. */
static tub_status pack(tub__rgb *rgb, const unsigned char **out, tub_error *err) {
    const AVFrame *f = rgb->frame;
    const size_t row = (size_t)f->width * BYTES;
    if (f->linesize[0] == (int)row) {
        *out = f->data[0];
        return TUB_OK;
    }
    if (rgb->packed == NULL) {
        rgb->packed = malloc(row * (size_t)f->height);
        if (rgb->packed == NULL) {
            return tub__fail(err, TUB_E_MEMORY, "no memory for a frame of %dx%d pixels", f->width,
                             f->height);
        }
    }
    for (int y = 0; y < f->height; y++) {
        memcpy(rgb->packed + (size_t)y * row, f->data[0] + (ptrdiff_t)y * f->linesize[0], row);
    }
    *out = rgb->packed;
    return TUB_OK;
}

tub_status tub__rgb_convert(tub__rgb *rgb, const AVStream *stream, AVFrame *in,
                            const unsigned char **out, tub_error *err) {
    if (rgb->frame == NULL && (rgb->frame = av_frame_alloc()) == NULL) {
        return tub__fail(err, TUB_E_MEMORY, "no memory for a frame");
    }
    av_frame_unref(rgb->frame);
    if (!fits(rgb, stream, in)) {
        TUB__TRY(rebuild(rgb, stream, in, err));
    }
    int ret = av_buffersrc_add_frame_flags(rgb->source, in, AV_BUFFERSRC_FLAG_KEEP_REF);
    if (ret >= 0) {
        ret = av_buffersink_get_frame(rgb->sink, rgb->frame);
    }
    if (ret < 0) {
        avfilter_graph_free(&rgb->graph);
        return tub__fail(err, ret == AVERROR(ENOMEM) ? TUB_E_MEMORY : TUB_E_FORMAT,
                         "a frame of %dx%d pixels can't be made rgb", in->width, in->height);
    }
    rgb->width = rgb->frame->width;
    rgb->height = rgb->frame->height;
    return pack(rgb, out, err);
}

void tub__rgb_close(tub__rgb *rgb) {
    avfilter_graph_free(&rgb->graph);
    av_frame_free(&rgb->frame);
    free(rgb->packed);
    *rgb = (tub__rgb){.threads = rgb->threads};
}
