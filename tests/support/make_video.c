/* SPDX-License-Identifier: Apache-2.0 */
/* Encodes small clips whose pixels are known. */
#include "make_video.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/pixdesc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct maker {
    const video_plan *plan;
    AVFormatContext *format;
    AVCodecContext *encoder;
    AVStream *stream;
    AVPacket *packet;
} maker;

static void expect(bool good, const char *what, const char *path) {
    if (!good) {
        fprintf(stderr, "make_video: %s: %s failed\n", path, what);
        abort();
    }
}

unsigned char video_pattern(int frame, int y, int x, int c) {
    return (unsigned char)(17 * frame + (c == 0   ? 3 * x + y
                                         : c == 1 ? 5 * y
                                                  : 7 * x + 11 * y + 90));
}

static int level(const video_plan *p, int frame, int y, int x, int c) {
    return p->levels != NULL ? p->levels[frame] : video_pattern(frame, y, x, c);
}

/* Bytes of a packed pixel and where its channels lie; 0 for planes. */
static int packed_layout(enum AVPixelFormat format, int at[3]) {
    const bool blue_first = format == AV_PIX_FMT_BGR0;
    for (int c = 0; c < 3; c++) {
        at[c] = blue_first ? 2 - c : c;
    }
    switch (format) {
    case AV_PIX_FMT_RGB24:
        return 3;
    case AV_PIX_FMT_RGBA:
    case AV_PIX_FMT_BGR0:
        return 4;
    default:
        return 0;
    }
}

static void paint_packed(const video_plan *p, int i, AVFrame *f, int bytes, const int at[3]) {
    for (int y = 0; y < p->height; y++) {
        for (int x = 0; x < p->width; x++) {
            uint8_t *pixel = f->data[0] + y * f->linesize[0] + x * bytes;
            if (bytes == 4) {
                pixel[3] = (uint8_t)(x * 40); /* alpha, where there is one */
            }
            for (int c = 0; c < 3; c++) {
                pixel[at[c]] = (uint8_t)level(p, i, y, x, c);
            }
        }
    }
}

static void paint_planes(const video_plan *p, int i, AVFrame *f) {
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
    const int shift = d->comp[0].depth - 8;
    for (int plane = 0; plane < d->nb_components; plane++) {
        const int w = plane ? -(-p->width >> d->log2_chroma_w) : p->width;
        const int h = plane ? -(-p->height >> d->log2_chroma_h) : p->height;
        for (int y = 0; y < h; y++) {
            uint8_t *row = f->data[plane] + y * f->linesize[plane];
            for (int x = 0; x < w; x++) {
                const int value = plane ? 128 : level(p, i, y, x, 0);
                if (shift > 0) {
                    ((uint16_t *)row)[x] = (uint16_t)(value << shift);
                } else {
                    row[x] = (uint8_t)value;
                }
            }
        }
    }
}

static void open_output(maker *m) {
    const video_plan *p = m->plan;
    const AVCodec *codec = avcodec_find_encoder_by_name(p->codec);
    expect(codec != NULL, "finding the encoder", p->path);
    expect(avformat_alloc_output_context2(&m->format, NULL, NULL, p->path) >= 0,
           "finding the format", p->path);
    m->encoder = avcodec_alloc_context3(codec);
    m->encoder->width = p->width;
    m->encoder->height = p->height;
    m->encoder->pix_fmt = av_get_pix_fmt(p->pixels);
    m->encoder->time_base = (AVRational){p->denominator, p->numerator};
    m->encoder->framerate = (AVRational){p->numerator, p->denominator};
    m->encoder->thread_count = 1;
    m->encoder->flags |= AV_CODEC_FLAG_BITEXACT;
    m->format->flags |= AVFMT_FLAG_BITEXACT;
    if (p->gop > 0) {
        m->encoder->gop_size = p->gop;
    }
    m->encoder->max_b_frames = p->b_frames;
    if (m->format->oformat->flags & AVFMT_GLOBALHEADER) {
        m->encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    }
    expect(avcodec_open2(m->encoder, codec, NULL) >= 0, "opening the encoder", p->path);
    m->stream = avformat_new_stream(m->format, NULL);
    avcodec_parameters_from_context(m->stream->codecpar, m->encoder);
    m->stream->time_base = m->encoder->time_base;
    if (p->times == NULL) {
        m->stream->avg_frame_rate = m->encoder->framerate;
    }
    if (p->rotation != 0) {
        int32_t *matrix = (int32_t *)av_stream_new_side_data(m->stream, AV_PKT_DATA_DISPLAYMATRIX,
                                                             9 * sizeof(int32_t));
        av_display_rotation_set(matrix, p->rotation);
    }
    if (!(m->format->oformat->flags & AVFMT_NOFILE)) {
        expect(avio_open(&m->format->pb, p->path, AVIO_FLAG_WRITE) >= 0, "opening the file",
               p->path);
    }
    expect(avformat_write_header(m->format, NULL) >= 0, "writing the header", p->path);
}

/* frame NULL: the end. */
static void encode(maker *m, AVFrame *frame) {
    expect(avcodec_send_frame(m->encoder, frame) >= 0, "encoding", m->plan->path);
    while (avcodec_receive_packet(m->encoder, m->packet) >= 0) {
        av_packet_rescale_ts(m->packet, m->encoder->time_base, m->stream->time_base);
        m->packet->stream_index = 0;
        expect(av_interleaved_write_frame(m->format, m->packet) >= 0, "writing", m->plan->path);
    }
}

static AVFrame *new_frame(const maker *m) {
    AVFrame *f = av_frame_alloc();
    f->format = m->encoder->pix_fmt;
    f->width = m->plan->width;
    f->height = m->plan->height;
    expect(av_frame_get_buffer(f, 0) >= 0, "taking memory", m->plan->path);
    return f;
}

void make_video(const video_plan *plan) {
    maker m = {.plan = plan, .packet = av_packet_alloc()};
    int at[3];
    av_log_set_level(AV_LOG_ERROR);
    open_output(&m);
    const int bytes = packed_layout(m.encoder->pix_fmt, at);
    for (int i = 0; i < plan->frames; i++) {
        AVFrame *f = new_frame(&m);
        if (bytes > 0) {
            paint_packed(plan, i, f, bytes, at);
        } else {
            paint_planes(plan, i, f);
        }
        f->pts = plan->times != NULL ? plan->times[i] : i;
        encode(&m, f);
        av_frame_free(&f);
    }
    encode(&m, NULL);
    expect(av_write_trailer(m.format) >= 0, "writing the end", plan->path);
    if (!(m.format->oformat->flags & AVFMT_NOFILE)) {
        avio_closep(&m.format->pb);
    }
    av_packet_free(&m.packet);
    avcodec_free_context(&m.encoder);
    avformat_free_context(m.format);
}

void make_sound(const char *path) {
    enum { RATE = 8000, HEADER = 44 };
    const uint32_t size = RATE * 2;
    unsigned char head[HEADER] = "RIFF....WAVEfmt ....................data....";
    const uint32_t words[] = {HEADER - 8 + size, 16, RATE, RATE * 2, size};
    const int places[] = {4, 16, 24, 28, 40};
    const unsigned char rest[] = {1, 0, 1, 0}; /* plain samples of one channel */
    FILE *f = fopen(path, "wb");
    expect(f != NULL, "opening the file", path);
    for (int i = 0; i < 5; i++) {
        for (int b = 0; b < 4; b++) {
            head[places[i] + b] = (unsigned char)(words[i] >> (8 * b));
        }
    }
    memcpy(head + 20, rest, sizeof rest);
    memcpy(head + 32, (const unsigned char[]){2, 0, 16, 0}, 4);
    fwrite(head, 1, HEADER, f);
    for (uint32_t i = 0; i < size; i++) {
        fputc((int)(i / 20 % 64), f);
    }
    fclose(f);
}
