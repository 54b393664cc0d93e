/* SPDX-License-Identifier: Apache-2.0 */
/* Encodes frames by FFmpeg: PNG, and GIF, whose colours come from a palette that FFmpeg's filters make of
 * all frames together. */
#include "modules/video_write.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "modules/video_ffmpeg.h"

/* One palette over all frames; no colour is given up for a transparent one. */
static const char PALETTE[] =
    "[in]split[a][b];[a]palettegen=reserve_transparent=0[p];[b][p]paletteuse[out]";

typedef struct writer {
    const tub__video_picture *picture;
    AVFormatContext *format;
    AVCodecContext *encoder;
    AVFilterGraph *graph; /* NULL: frames are encoded as they are */
    AVFilterContext *source, *sink;
    AVPacket *packet;
    AVFrame *palette_frame;
} writer;

/* Frame `index` as FFmpeg's; NULL: no memory. */
static AVFrame *make_frame(const tub__video_picture *p, int64_t index) {
    AVFrame *f = av_frame_alloc();
    const size_t row = (size_t)(p->width * p->channels);
    if (f == NULL) {
        return NULL;
    }
    f->format = p->channels == 1 ? AV_PIX_FMT_GRAY8 : AV_PIX_FMT_RGB24;
    f->width = (int)p->width;
    f->height = (int)p->height;
    f->pts = index * p->hundredths;
    if (av_frame_get_buffer(f, 0) < 0) {
        av_frame_free(&f);
        return NULL;
    }
    for (int64_t y = 0; y < p->height; y++) {
        memcpy(f->data[0] + y * f->linesize[0], p->levels + (size_t)(index * p->height + y) * row,
               row);
    }
    return f;
}

static int open_graph(writer *w) {
    const tub__video_picture *p = w->picture;
    char arguments[128];
    w->graph = avfilter_graph_alloc();
    if (w->graph == NULL) {
        return AVERROR(ENOMEM);
    }
    w->graph->nb_threads = 1;
    snprintf(arguments, sizeof arguments, "video_size=%dx%d:pix_fmt=%d:time_base=1/100",
             (int)p->width, (int)p->height, AV_PIX_FMT_RGB24);
    int ret = avfilter_graph_create_filter(&w->source, avfilter_get_by_name("buffer"), "source",
                                           arguments, NULL, w->graph);
    if (ret >= 0) {
        ret = avfilter_graph_create_filter(&w->sink, avfilter_get_by_name("buffersink"), "sink",
                                           NULL, NULL, w->graph);
    }
    AVFilterInOut *from = avfilter_inout_alloc(), *to = avfilter_inout_alloc();
    if (from == NULL || to == NULL) {
        ret = AVERROR(ENOMEM);
    }
    if (ret >= 0) {
        *from = (AVFilterInOut){av_strdup("in"), w->source, 0, NULL};
        *to = (AVFilterInOut){av_strdup("out"), w->sink, 0, NULL};
        ret = avfilter_graph_parse_ptr(w->graph, PALETTE, &to, &from, NULL);
    }
    avfilter_inout_free(&from);
    avfilter_inout_free(&to);
    return ret < 0 ? ret : avfilter_graph_config(w->graph, NULL);
}

static int open_writer(writer *w, bool gif) {
    const tub__video_picture *p = w->picture;
    const AVCodec *codec = avcodec_find_encoder(gif ? AV_CODEC_ID_GIF : AV_CODEC_ID_PNG);
    if (codec == NULL) {
        return AVERROR_ENCODER_NOT_FOUND;
    }
    if (gif && p->channels == 3) {
        const int ret = open_graph(w);
        if (ret < 0) {
            return ret;
        }
    }
    w->packet = av_packet_alloc();
    w->palette_frame = av_frame_alloc();
    w->encoder = avcodec_alloc_context3(codec);
    if (w->packet == NULL || w->palette_frame == NULL || w->encoder == NULL) {
        return AVERROR(ENOMEM);
    }
    w->encoder->width = (int)p->width;
    w->encoder->height = (int)p->height;
    w->encoder->pix_fmt = p->channels == 1 ? AV_PIX_FMT_GRAY8
                          : gif            ? AV_PIX_FMT_PAL8
                                           : AV_PIX_FMT_RGB24;
    w->encoder->time_base = (AVRational){1, 100};
    w->encoder->thread_count = 1;
    w->encoder->flags |= AV_CODEC_FLAG_BITEXACT;
    int ret = avcodec_open2(w->encoder, codec, NULL);
    if (ret >= 0) {
        ret = avformat_alloc_output_context2(&w->format, NULL, gif ? "gif" : "image2pipe", NULL);
    }
    AVStream *stream = ret >= 0 ? avformat_new_stream(w->format, NULL) : NULL;
    if (ret >= 0 && stream == NULL) {
        return AVERROR(ENOMEM);
    }
    if (ret >= 0) {
        stream->time_base = w->encoder->time_base;
        w->format->flags |= AVFMT_FLAG_BITEXACT;
        ret = avcodec_parameters_from_context(stream->codecpar, w->encoder);
    }
    if (ret >= 0) {
        ret = avio_open_dyn_buf(&w->format->pb);
    }
    return ret < 0 ? ret : avformat_write_header(w->format, NULL);
}

/* frame NULL: the end. */
static int encode(writer *w, AVFrame *frame) {
    int ret = avcodec_send_frame(w->encoder, frame);
    while (ret >= 0) {
        ret = avcodec_receive_packet(w->encoder, w->packet);
        if (ret == AVERROR(EAGAIN) || ret == AVERROR_EOF) {
            return 0;
        }
        if (ret >= 0) {
            w->packet->stream_index = 0;
            w->packet->duration = w->picture->hundredths;
            ret = av_write_frame(w->format, w->packet);
            av_packet_unref(w->packet);
        }
    }
    return ret;
}

/* Frames with palettes come out of the graph when it has seen all. */
static int encode_palettes(writer *w) {
    int ret = av_buffersrc_add_frame_flags(w->source, NULL, 0);
    while (ret >= 0) {
        ret = av_buffersink_get_frame(w->sink, w->palette_frame);
        if (ret == AVERROR_EOF) {
            return 0;
        }
        if (ret >= 0) {
            w->palette_frame->pict_type = AV_PICTURE_TYPE_NONE;
            ret = encode(w, w->palette_frame);
            av_frame_unref(w->palette_frame);
        }
    }
    return ret;
}

static int write_all(writer *w) {
    int ret = 0;
    for (int64_t i = 0; i < w->picture->frames && ret >= 0; i++) {
        AVFrame *f = make_frame(w->picture, i);
        if (f == NULL) {
            return AVERROR(ENOMEM);
        }
        ret = w->graph != NULL ? av_buffersrc_add_frame_flags(w->source, f, 0) : encode(w, f);
        av_frame_free(&f);
    }
    if (ret >= 0 && w->graph != NULL) {
        ret = encode_palettes(w);
    }
    if (ret >= 0) {
        ret = encode(w, NULL);
    }
    return ret < 0 ? ret : av_write_trailer(w->format);
}

/* Takes the bytes that were written, whether wanted or not. */
static void close_writer(writer *w, void **bytes, size_t *size) {
    uint8_t *written = NULL;
    if (w->format != NULL && w->format->pb != NULL) {
        *size = (size_t)avio_close_dyn_buf(w->format->pb, &written);
    }
    *bytes = written;
    avformat_free_context(w->format);
    avcodec_free_context(&w->encoder);
    avfilter_graph_free(&w->graph);
    av_packet_free(&w->packet);
    av_frame_free(&w->palette_frame);
}

tub_status tub__video_encode(const tub__video_picture *picture, bool gif, void **bytes,
                             size_t *size, tub_error *err) {
    av_log_set_level(AV_LOG_QUIET); /* of an array no file was opened before */
    writer w = {.picture = picture};
    av_log_set_level(AV_LOG_QUIET); /* the filters say what they do */
    int ret = open_writer(&w, gif);
    if (ret >= 0) {
        ret = write_all(&w);
    }
    close_writer(&w, bytes, size);
    if (ret < 0) {
        av_free(*bytes);
        *bytes = NULL;
        return tub__fail(err, ret == AVERROR(ENOMEM) ? TUB_E_MEMORY : TUB_E_UNSUPPORTED,
                         "%lld frames of %lldx%lld pixels can't be written as a .%s file: %s",
                         (long long)picture->frames, (long long)picture->width,
                         (long long)picture->height, gif ? "gif" : "png", av_err2str(ret));
    }
    return TUB_OK;
}

void tub__video_release(void *bytes) {
    av_free(bytes);
}
