/* SPDX-License-Identifier: Apache-2.0 */
/* mod-video: opens a file by FFmpeg, picks its video stream as the ffmpeg program does, and decodes it
 * packet by packet. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/module.h"
#include "modules/video_ffmpeg.h"
#include "modules/video_file.h"
#include "modules/video_frames.h"
#include "modules/video_length.h"
#include "modules/video_write.h"

enum {
    /* Pixels of a frame that are decoded: 8192 x 4320, more than any camera's. A decoder keeps up to 17
     * frames, so that a file of a few bytes can't ask for more than some GiB. */
    PIXEL_LIMIT = 8192 * 4320,
    BLOCK_LIMIT = 1 << 30,  /* bytes of one block that FFmpeg takes */
    THREAD_LIMIT = 16,      /* more make decoding slower */
    QUEUE_LIMIT = 32 << 20, /* bytes of packets that are kept for decoding when all are counted */
    EARLY_LIMIT = 4096,     /* packets that may be read before the first frame comes out */
    PATH_ROOM = 4096,
    FAILURE_LIMIT = 64 /* in a row at the end of a stream, where some decoders never stop failing */
};

/* What counting needs of a packet. */
typedef struct note {
    int64_t time, end;
    bool key, shown, good;
} note;

struct tub__video {
    tub__video_file file;
    AVFormatContext *format;
    AVCodecContext *decoder;
    AVStream *stream;
    AVPacket *packet;
    AVFrame *frame; /* what was decoded last */
    int threads;
    bool held;                   /* frame is one that next() has not given yet */
    bool draining;               /* all packets are with the decoder */
    const unsigned char *pixels; /* of frame; NULL: not made yet */
    AVPacket **queue;            /* packets that were read ahead, from `queued_from` to `queued` */
    size_t queue_room, queued, queued_from;
    bool at_end; /* of reading */
    note *early; /* packets that were read until the first frame came out */
    size_t early_count;
    int64_t bad_packets, bad_frames;   /* since it was opened; bad_frames: shown all the same */
    int64_t most_packets, most_frames; /* whenever it was opened */
    int64_t frames_end,
        packets_end;            /* when the last of those seen ends; AV_NOPTS_VALUE: not known */
    bool all_decoded, all_seen; /* these are of all frames, of all packets */
    int read_failure;           /* why reading ended, if it was not the end of the file */
    bool encrypted;
    bool opening;  /* until the first frame has come out */
    char said[96]; /* damage() */
    char path[PATH_ROOM];
    tub__rgb rgb;
};

static tub_status fail_memory(const tub__video *v, tub_error *err) {
    return tub__fail(err, TUB_E_MEMORY, "%s: no memory to decode", v->path);
}

/* ---- Opening ---- */

/* The sentence of a file that no demuxer could open. */
static tub_status fail_open(tub__video *v, int ret, tub_error *err) {
    if (ret == AVERROR(ENOMEM)) {
        return fail_memory(v, err);
    }
    const char *kind = tub__video_file_kind(&v->file);
    if (v->file.refused || (kind != NULL && strcmp(kind, "concat") == 0)) {
        return tub__fail(err, TUB_E_UNSUPPORTED, "%s: a list of other files; give the video itself",
                         v->path);
    }
    if (kind == NULL) {
        return tub__fail(
            err, TUB_E_FORMAT,
            "%s: no video, animation or picture of a known kind; look at it with ffprobe", v->path);
    }
    return tub__fail(err, TUB_E_FORMAT,
                     "%s: begins as a file of the kind %s, and what describes its streams is "
                     "damaged or cut off; copy it again",
                     v->path, kind);
}

static tub_status open_format(tub__video *v, tub_error *err) {
    AVDictionary *options = NULL;
    v->format = avformat_alloc_context();
    if (v->format == NULL) {
        return fail_memory(v, err);
    }
    tub__video_file_attach(&v->file, v->format);
    av_dict_set(&options, "protocol_whitelist", "none", 0); /* no sockets either */
    av_dict_set(&options, "scan_all_pmts", "1", 0);         /* as the ffmpeg program */
    av_dict_set(&options, "pattern_type", "none", 0);       /* a picture's name is no pattern */
    const int ret = avformat_open_input(&v->format, v->file.name, NULL, &options);
    av_dict_free(&options);
    if (ret < 0) {
        return fail_open(v, ret, err);
    }
    /* Its failure is no end: what is known may do. */
    return avformat_find_stream_info(v->format, NULL) == AVERROR(ENOMEM) ? fail_memory(v, err)
                                                                         : TUB_OK;
}

/* How much the ffmpeg program wants a stream (open_output_file): decodable, usual, large. */
static int64_t score(const AVStream *s) {
    const AVCodecParameters *p = s->codecpar;
    return (int64_t)p->width * p->height +
           (s->event_flags & AVSTREAM_EVENT_FLAG_NEW_PACKETS ? 100000000 : 0) +
           (s->disposition & AV_DISPOSITION_DEFAULT ? 5000000 : 0);
}

static tub_status fail_no_video(const tub__video *v, bool audio, bool cover, tub_error *err) {
    return tub__fail(err, TUB_E_FORMAT, "%s: no video stream (%s)", v->path,
                     cover   ? "audio with a cover picture"
                     : audio ? "audio only"
                             : "nothing that can be seen");
}

static tub_status choose_stream(tub__video *v, tub_error *err) {
    bool audio = false, cover = false;
    v->stream = NULL;
    for (unsigned i = 0; i < v->format->nb_streams; i++) {
        AVStream *s = v->format->streams[i];
        audio = audio || s->codecpar->codec_type == AVMEDIA_TYPE_AUDIO;
        s->discard = AVDISCARD_ALL;
        if (s->codecpar->codec_type != AVMEDIA_TYPE_VIDEO) {
            continue;
        }
        if (s->disposition & AV_DISPOSITION_ATTACHED_PIC) {
            cover = true;
        } else if (v->stream == NULL || score(s) > score(v->stream)) {
            v->stream = s;
        }
    }
    if (v->stream == NULL) {
        return fail_no_video(v, audio, cover, err);
    }
    v->stream->discard = AVDISCARD_NONE;
    return TUB_OK;
}

static tub_status open_decoder(tub__video *v, tub_error *err) {
    const AVCodecParameters *p = v->stream->codecpar;
    const AVCodec *codec = avcodec_find_decoder(p->codec_id);
    if (p->codec_id == AV_CODEC_ID_NONE) {
        return tub__fail(err, TUB_E_FORMAT,
                         "%s: of an unknown codec, or what describes its video is damaged or cut "
                         "off",
                         v->path);
    }
    if (codec == NULL) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "%s: its codec (%s) can't be decoded by this build of FFmpeg; convert the "
                         "file to H.264 first",
                         v->path, avcodec_get_name(p->codec_id));
    }
    v->decoder = avcodec_alloc_context3(codec);
    if (v->decoder == NULL || avcodec_parameters_to_context(v->decoder, p) < 0) {
        return fail_memory(v, err);
    }
    v->decoder->pkt_timebase = v->stream->time_base;
    v->decoder->thread_count = v->threads;
    v->decoder->max_pixels = PIXEL_LIMIT;
    if ((int64_t)p->width * p->height > PIXEL_LIMIT) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "%s: frames of %dx%d pixels; at most %d are decoded (8192x4320)", v->path,
                         p->width, p->height, PIXEL_LIMIT);
    }
    const int ret = avcodec_open2(v->decoder, codec, NULL);
    return ret == AVERROR(ENOMEM) ? fail_memory(v, err)
           : ret < 0              ? tub__fail(err, TUB_E_FORMAT,
                                              "%s: the decoder (%s) refuses what the file says of its video; it "
                                                           "is damaged",
                                              v->path, codec->name)
                                  : TUB_OK;
}

/* ---- Decoding ---- */

/* Reads the next packet of the stream; one without bytes at the end. */
static void read_on(tub__video *v) {
    while (!v->at_end) {
        av_packet_unref(v->packet);
        const int ret = av_read_frame(v->format, v->packet);
        if (ret < 0) {
            v->read_failure = ret == AVERROR_EOF ? 0 : ret;
            v->at_end = true;
            break;
        }
        /* Empty ones are passed over, as in the ffmpeg program: to a decoder they mean the end. */
        if (v->packet->stream_index == v->stream->index && v->packet->size > 0) {
            v->encrypted =
                v->encrypted ||
                av_packet_get_side_data(v->packet, AV_PKT_DATA_ENCRYPTION_INFO, NULL) != NULL;
            return;
        }
    }
    av_packet_unref(v->packet);
}

static note note_of(const AVPacket *p) {
    const int64_t begin = p->pts != AV_NOPTS_VALUE ? p->pts : p->dts;
    int64_t end;
    const bool known = begin != AV_NOPTS_VALUE && !__builtin_add_overflow(begin, p->duration, &end);
    return (note){.time = p->pts,
                  .end = known ? end : AV_NOPTS_VALUE,
                  .key = (p->flags & AV_PKT_FLAG_KEY) != 0,
                  .shown = !(p->flags & AV_PKT_FLAG_DISCARD),
                  .good = p->pts != AV_NOPTS_VALUE && !(p->flags & AV_PKT_FLAG_CORRUPT)};
}

/* The next packet, from the queue or the file. */
static void next_packet(tub__video *v) {
    if (v->queued_from < v->queued) {
        av_packet_unref(v->packet);
        av_packet_move_ref(v->packet, v->queue[v->queued_from]);
        av_packet_free(&v->queue[v->queued_from++]);
        return;
    }
    read_on(v);
    if (v->opening && v->packet->size > 0) {
        if (v->early_count < EARLY_LIMIT) {
            v->early[v->early_count] = note_of(v->packet);
        }
        v->early_count++;
    }
}

static void clear_queue(tub__video *v) {
    while (v->queued_from < v->queued) {
        av_packet_free(&v->queue[v->queued_from++]);
    }
    v->queued = v->queued_from = 0;
}

static void send_packet(tub__video *v) {
    next_packet(v);
    v->draining = v->packet->size == 0;
    const int ret = avcodec_send_packet(v->decoder, v->draining ? NULL : v->packet);
    v->bad_packets += ret < 0 && !v->draining;
}

/* INT64_MIN (AV_NOPTS_VALUE) when the file says none. */
static int64_t frame_time(const AVFrame *frame) {
    return frame->pts != AV_NOPTS_VALUE ? frame->pts : frame->best_effort_timestamp;
}

/* When the frame ends that was decoded last, by its length or the average rate. */
static void note_end(tub__video *v) {
    const AVRational rate = v->stream->avg_frame_rate;
    int64_t end = frame_time(v->frame), length = v->frame->pkt_duration;
    if (length <= 0 && rate.num > 0 && rate.den > 0) {
        length = av_rescale_q(1, av_inv_q(rate), v->stream->time_base);
    }
    if (end == AV_NOPTS_VALUE || __builtin_add_overflow(end, length, &end)) {
        return;
    }
    v->frames_end = end > v->frames_end ? end : v->frames_end;
}

/* Decodes the next frame. false at the end. */
static bool decode(tub__video *v) {
    int failures = 0;
    v->pixels = NULL;
    for (;;) {
        const int ret = avcodec_receive_frame(v->decoder, v->frame);
        if (ret >= 0) {
            note_end(v);
            v->bad_frames +=
                v->frame->decode_error_flags != 0 || (v->frame->flags & AV_FRAME_FLAG_CORRUPT) != 0;
            return true;
        }
        if (ret == AVERROR_EOF || (v->draining && ++failures > FAILURE_LIMIT)) {
            return false;
        }
        if (ret != AVERROR(EAGAIN)) {
            v->bad_packets++;
        } else if (v->draining) {
            return false;
        } else {
            send_packet(v);
        }
    }
}

static tub_status fail_no_frame(const tub__video *v, tub_error *err) {
    if (v->encrypted ||
        av_stream_get_side_data(v->stream, AV_PKT_DATA_ENCRYPTION_INIT_INFO, NULL) != NULL) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "%s: the video is encrypted; only its owner's player can show it",
                         v->path);
    }
    const char *codec = avcodec_get_name(v->stream->codecpar->codec_id);
    if (v->bad_packets == 0) {
        return tub__fail(err, TUB_E_FORMAT,
                         "%s: a video stream (%s) without one frame; the file was cut off or never "
                         "finished",
                         v->path, codec);
    }
    return tub__fail(err, TUB_E_FORMAT,
                     "%s: not one frame of its video (%s) can be decoded; the file is damaged",
                     v->path, codec);
}

/* Seconds of the stream behind its last frame or, before all were decoded, packet; 0 where it is so little that rounding
 * may make it. */
static double missing_seconds(const tub__video *v) {
    int64_t end = v->frames_end;
    if (v->stream == NULL) {
        return 0;
    }
    if (!v->all_decoded) {
        end = v->packets_end > end ? v->packets_end : end;
    }
    const double said = tub__video_length(v->format, v->stream),
                 rate = av_q2d(v->stream->avg_frame_rate);
    if (said <= 0 || end == AV_NOPTS_VALUE) {
        return 0;
    }
    const double frame = rate > 0 ? 1 / rate : 0;
    const double missing = said - (double)end * av_q2d(v->stream->time_base);
    return missing >= 2 * frame && missing >= 0.1 ? missing : 0;
}

static const char *tell_damage(tub__video *v) {
    v->most_packets = v->bad_packets > v->most_packets ? v->bad_packets : v->most_packets;
    v->most_frames = v->bad_frames > v->most_frames ? v->bad_frames : v->most_frames;
    const double missing = v->all_seen || v->all_decoded ? missing_seconds(v) : 0;
    if (missing > 0) {
        snprintf(v->said, sizeof v->said, "the last %.1f s can't be decoded", missing);
    } else if (v->most_packets > 0) {
        snprintf(v->said, sizeof v->said, "%lld packet%s can't be decoded",
                 (long long)v->most_packets, v->most_packets == 1 ? "" : "s");
    } else if (v->most_frames > 0) {
        snprintf(v->said, sizeof v->said, "%lld frame%s damaged", (long long)v->most_frames,
                 v->most_frames == 1 ? " is" : "s are");
    } else if (v->read_failure != 0) {
        snprintf(v->said, sizeof v->said, "the rest can't be read");
    } else {
        return NULL;
    }
    return v->said;
}

static void close_file(tub__video *v) {
    (void)tell_damage(v); /* remembers it */
    clear_queue(v);
    avcodec_free_context(&v->decoder);
    avformat_close_input(&v->format);
    tub__video_file_close(&v->file);
    v->stream = NULL;
}

/* Opens the file and its decoder, and decodes nothing. */
static tub_status open_file(tub__video *v, const char *path, tub_error *err) {
    if (strcmp(path, v->path) != 0) { /* of the same file what was found broken is still known */
        v->most_packets = v->most_frames = v->read_failure = 0;
        v->frames_end = v->packets_end = AV_NOPTS_VALUE;
        v->all_seen = v->all_decoded = false;
        tub__video_file_drop(&v->file);
    }
    if (path != v->path &&
        (size_t)snprintf(v->path, sizeof v->path, "%s", path) >= sizeof v->path) {
        return tub__fail(err, TUB_E_ARGUMENT, "%.100s...: the name is too long", path);
    }
    v->held = v->draining = v->encrypted = v->at_end = false;
    v->pixels = NULL;
    v->bad_packets = v->bad_frames = 0;
    v->early_count = 0;
    TUB__TRY(tub__video_file_open(path, &v->file, err));
    TUB__TRY(open_format(v, err));
    TUB__TRY(choose_stream(v, err));
    return open_decoder(v, err);
}

static tub_status open_and_decode(tub__video *v, const char *path, tub_error *err) {
    TUB__TRY(open_file(v, path, err));
    v->opening = true;
    v->held = decode(v);
    v->opening = false;
    return v->held ? TUB_OK : fail_no_frame(v, err);
}

static tub_status reopen_video(tub__video *v, const char *path, tub_error *err) {
    close_file(v);
    const tub_status status = open_and_decode(v, path, err);
    if (status != TUB_OK) {
        close_file(v);
    }
    return status;
}

static tub_status next_frame(tub__video *v, int64_t *time, bool *end, tub_error *err) {
    (void)err;
    *end = v->decoder == NULL || (!v->held && !decode(v));
    v->held = false;
    v->all_decoded = v->all_decoded || *end;
    if (!*end) {
        *time = frame_time(v->frame);
    }
    return TUB_OK;
}

static tub_status make_pixels(tub__video *v, const unsigned char **rgb, tub_error *err) {
    if (v->pixels == NULL) {
        const tub_status status = tub__rgb_convert(&v->rgb, v->stream, v->frame, &v->pixels, err);
        if (status != TUB_OK) {
            v->pixels = NULL;
            return tub__prefix(err, status, "%s", v->path);
        }
    }
    *rgb = v->pixels;
    return TUB_OK;
}

static bool is_unsettled(tub__video *v) {
    const bool unsettled = v->threads > 1 && v->bad_packets + v->bad_frames > 0;
    v->threads = unsettled ? 1 : v->threads;
    return unsettled;
}

/* ---- Going about ---- */

/* Codecs of which one packet is one frame, and whose key frames are a fresh start. */
static bool one_packet_one_frame(const tub__video *v) {
    const AVCodecParameters *p = v->stream->codecpar;
    if (p->field_order != AV_FIELD_UNKNOWN && p->field_order != AV_FIELD_PROGRESSIVE) {
        return false; /* a packet may be a field */
    }
    switch (p->codec_id) {
    case AV_CODEC_ID_H264:
    case AV_CODEC_ID_HEVC:
    case AV_CODEC_ID_AV1:
    case AV_CODEC_ID_VP9:
    case AV_CODEC_ID_MJPEG:
    case AV_CODEC_ID_PNG:
    case AV_CODEC_ID_FFV1:
    case AV_CODEC_ID_PRORES:
    case AV_CODEC_ID_DNXHD:
    case AV_CODEC_ID_RAWVIDEO:
        return true;
    default:
        return false;
    }
}

/* Puts the packet behind the queue; false where it can't be kept. */
static bool enqueue(tub__video *v, size_t *bytes) {
    *bytes += (size_t)v->packet->size + sizeof *v->packet;
    if (*bytes > QUEUE_LIMIT) {
        return false;
    }
    if (v->queued == v->queue_room) {
        const size_t room = v->queue_room == 0 ? 256 : 2 * v->queue_room;
        AVPacket **more = realloc(v->queue, room * sizeof *more);
        if (more == NULL) {
            return false;
        }
        v->queue = more;
        v->queue_room = room;
    }
    AVPacket *kept = av_packet_clone(v->packet);
    if (kept != NULL) {
        v->queue[v->queued++] = kept;
    }
    return kept != NULL;
}

static tub_status tell_note(tub__video *v, note n, tub__video_packet *visit, void *user,
                            bool *reliable, tub_error *err) {
    *reliable = *reliable && n.good;
    v->packets_end = n.end > v->packets_end ? n.end : v->packets_end;
    return n.shown ? visit(user, n.time, n.key, err) : TUB_OK;
}

/* The packets behind those that opening has read. *kept: all of them lie in the queue. */
static tub_status scan_rest(tub__video *v, tub__video_packet *visit, void *user, bool *reliable,
                            bool *kept, tub_error *err) {
    size_t bytes = 0;
    *kept = true;
    for (;;) {
        read_on(v);
        if (v->packet->size == 0) {
            *reliable = *reliable && v->read_failure == 0;
            return TUB_OK;
        }
        TUB__TRY(tell_note(v, note_of(v->packet), visit, user, reliable, err));
        if (*kept && !enqueue(v, &bytes)) {
            *kept = false;
            clear_queue(v);
        }
    }
}

static tub_status scan_packets(tub__video *v, tub__video_packet *visit, void *user, bool *reliable,
                               tub_error *err) {
    bool kept;
    *reliable = one_packet_one_frame(v) && v->early_count <= EARLY_LIMIT;
    for (size_t i = 0; i < v->early_count && i < EARLY_LIMIT; i++) {
        TUB__TRY(tell_note(v, v->early[i], visit, user, reliable, err));
    }
    TUB__TRY(scan_rest(v, visit, user, reliable, &kept, err));
    v->all_seen = true;
    return kept ? TUB_OK : reopen_video(v, v->path, err);
}

static bool seek_packet(tub__video *v, int64_t time, int64_t *landed) {
    size_t bytes = 0;
    if (v->decoder == NULL || !v->file.seekable) {
        return false;
    }
    clear_queue(v);
    v->held = v->draining = v->at_end = false;
    v->pixels = NULL;
    const bool found = av_seek_frame(v->format, v->stream->index, time, AVSEEK_FLAG_BACKWARD) >= 0;
    avcodec_flush_buffers(v->decoder);
    if (!found) {
        return false;
    }
    read_on(v);
    *landed = v->packet->pts;
    return v->packet->size > 0 && enqueue(v, &bytes);
}

/* ---- The table ---- */

static void close_video(tub__video *v) {
    if (v != NULL) {
        close_file(v);
        tub__video_file_drop(&v->file);
        tub__rgb_close(&v->rgb);
        av_packet_free(&v->packet);
        av_frame_free(&v->frame);
        free(v->early);
        free(v->queue);
        free(v);
    }
}

static void describe(const tub__video *v, tub__video_facts *out) {
    AVRational rate = v->stream->avg_frame_rate;
    if (rate.num <= 0 || rate.den <= 0) {
        rate = v->stream->r_frame_rate;
    }
    const bool known = rate.num > 0 && rate.den > 0;
    int64_t frames = v->stream->nb_frames;
    if (frames <= 0 && known && v->stream->duration > 0) {
        frames = av_rescale_q(v->stream->duration, v->stream->time_base, av_inv_q(rate));
    } else if (frames <= 0 && known && v->format->duration > 0) {
        frames = av_rescale_q(v->format->duration, AV_TIME_BASE_Q, av_inv_q(rate));
    }
    *out = (tub__video_facts){.height = v->rgb.height,
                              .width = v->rgb.width,
                              .frames = frames > 0 ? frames : 0,
                              .rate_numerator = known ? rate.num : 0,
                              .rate_denominator = known ? rate.den : 1,
                              .time_base_numerator = v->stream->time_base.num,
                              .time_base_denominator = v->stream->time_base.den};
}

static tub_status open_video(const char *path, int threads, tub__video **out,
                             tub__video_facts *facts, tub_error *err) {
    const unsigned char *rgb;
    av_log_set_level(AV_LOG_QUIET);
    av_max_alloc(BLOCK_LIMIT);
    tub__video *v = calloc(1, sizeof *v);
    if (v == NULL) {
        return tub__fail(err, TUB_E_MEMORY, "%s: no memory to decode", path);
    }
    tub__video_file_init(&v->file);
    v->threads = v->rgb.threads = threads < 1 ? 1 : threads > THREAD_LIMIT ? THREAD_LIMIT : threads;
    v->packet = av_packet_alloc();
    v->frame = av_frame_alloc();
    v->early = calloc(EARLY_LIMIT, sizeof *v->early);
    tub_status status = TUB_OK;
    if (v->packet == NULL || v->frame == NULL || v->early == NULL) {
        status = tub__fail(err, TUB_E_MEMORY, "%s: no memory to decode", path);
    }
    if (status == TUB_OK) {
        status = open_and_decode(v, path, err);
    }
    if (status == TUB_OK) {
        status = make_pixels(v, &rgb, err);
    }
    if (status != TUB_OK) {
        close_video(v);
        return status;
    }
    describe(v, facts);
    *out = v;
    return TUB_OK;
}

/* Looked up by name when the module is opened. */
extern __attribute__((visibility("default"))) const tub__video_module tub__module_table;
const tub__video_module tub__module_table = {.version = TUB__MODULE_VERSION,
                                             .open = open_video,
                                             .reopen = reopen_video,
                                             .next = next_frame,
                                             .pixels = make_pixels,
                                             .scan = scan_packets,
                                             .seek = seek_packet,
                                             .encode = tub__video_encode,
                                             .release = tub__video_release,
                                             .unsettled = is_unsettled,
                                             .damage = tell_damage,
                                             .close = close_video};
