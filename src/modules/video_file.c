/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of one open file for FFmpeg's demuxers. */
#include "modules/video_file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "modules/video_pipe.h"

enum { BUFFER = 32768 }; /* as FFmpeg's own reader of files */

/* One reader with a place of its own. */
typedef struct reader {
    tub__video_file *file;
    int64_t at;
} reader;

/* "clip." and the ending, where that is a plain one: FFmpeg takes '%' and '*' for patterns. */
static void name_file(const char *path, char *out, size_t room) {
    const char *dot = strrchr(path, '.');
    size_t n = 0;
    while (dot != NULL && isalnum((unsigned char)dot[1 + n])) {
        n++;
    }
    const bool plain = dot != NULL && dot[1 + n] == '\0' && n > 0 && n < room - sizeof "clip.";
    snprintf(out, room, "clip%s", plain ? dot : "");
}

void tub__video_file_init(tub__video_file *file) {
    *file = (tub__video_file){.fd = -1, .copy = -1};
}

static tub_status check(const char *path, tub__video_file *file, tub_error *err) {
    struct stat facts;
    if (fstat(file->fd, &facts) != 0) {
        return tub__fail_errno(err, errno, "%s", path);
    }
    if (S_ISDIR(facts.st_mode)) {
        return tub__fail(err, TUB_E_FORMAT, "%s is a folder", path);
    }
    if (S_ISREG(facts.st_mode) && facts.st_size == 0) {
        return tub__fail(err, TUB_E_FORMAT, "%s: the file is empty", path);
    }
    file->seekable = S_ISREG(facts.st_mode) || S_ISBLK(facts.st_mode);
    return S_ISFIFO(facts.st_mode) || S_ISSOCK(facts.st_mode)
               ? tub__video_keep_pipe(path, file, err)
               : TUB_OK;
}

/* In the place of the pipe, or of nothing. */
static tub_status take_copy(const char *path, tub__video_file *file, tub_error *err) {
    if (file->fd >= 0) {
        close(file->fd);
    }
    file->fd = fcntl(file->copy, F_DUPFD_CLOEXEC, 0);
    file->seekable = true;
    return file->fd < 0 ? tub__fail_errno(err, errno, "%s", path) : TUB_OK;
}

static tub_status open_path(const char *path, tub__video_file *out, tub_error *err) {
    out->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (out->fd < 0) {
        return errno == ENOENT ? tub__fail(err, TUB_E_NOT_FOUND, "%s: no such file", path)
                               : tub__fail_errno(err, errno, "%s", path);
    }
    return check(path, out, err);
}

tub_status tub__video_file_open(const char *path, tub__video_file *out, tub_error *err) {
    tub_status status = out->copy < 0 ? open_path(path, out, err) : TUB_OK;
    if (status == TUB_OK && out->copy >= 0) {
        status = take_copy(path, out, err);
    }
    if (status != TUB_OK) {
        tub__video_file_close(out);
        return status;
    }
    out->refused = false;
    name_file(path, out->name, sizeof out->name);
    return TUB_OK;
}

static void close_reader(AVIOContext *io) {
    if (io != NULL) {
        av_free(io->opaque);
        av_free(io->buffer);
        avio_context_free(&io);
    }
}

void tub__video_file_close(tub__video_file *file) {
    for (int i = 0; i < TUB__VIDEO_READERS; i++) {
        close_reader(file->readers[i]);
        file->readers[i] = NULL;
    }
    if (file->fd >= 0) {
        close(file->fd);
    }
    file->fd = -1;
}

void tub__video_file_drop(tub__video_file *file) {
    tub__video_file_close(file);
    if (file->copy >= 0) {
        close(file->copy);
    }
    file->copy = -1;
}

static int read_bytes(void *opaque, uint8_t *out, int size) {
    reader *r = opaque;
    ssize_t n;
    do {
        n = r->file->seekable ? pread(r->file->fd, out, (size_t)size, r->at)
                              : read(r->file->fd, out, (size_t)size);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        r->at += n;
    }
    return n > 0 ? (int)n : n == 0 ? AVERROR_EOF : AVERROR(errno);
}

static int64_t seek_bytes(void *opaque, int64_t offset, int whence) {
    reader *r = opaque;
    struct stat facts;
    if (!r->file->seekable) {
        return AVERROR(ESPIPE);
    }
    if (fstat(r->file->fd, &facts) != 0) {
        return AVERROR(errno);
    }
    if (whence == AVSEEK_SIZE) {
        return facts.st_size;
    }
    const int64_t base = whence == SEEK_CUR ? r->at : whence == SEEK_END ? facts.st_size : 0;
    int64_t to;
    if (__builtin_add_overflow(base, offset, &to) || to < 0) {
        return AVERROR(EINVAL);
    }
    r->at = to;
    return to;
}

static int open_reader(tub__video_file *file, AVIOContext **out) {
    reader *r = av_mallocz(sizeof *r);
    unsigned char *buffer = av_malloc(BUFFER);
    AVIOContext *made = NULL;
    if (r != NULL && buffer != NULL) {
        r->file = file;
        made = avio_alloc_context(buffer, BUFFER, 0, r, read_bytes, NULL, seek_bytes);
    }
    if (made == NULL) {
        av_free(buffer);
        av_free(r);
        return AVERROR(ENOMEM);
    }
    made->seekable = file->seekable ? AVIO_SEEKABLE_NORMAL : 0;
    *out = made;
    return 0;
}

/* What a demuxer wants to open: only the file itself is there. */
static int io_open(AVFormatContext *format, AVIOContext **out, const char *url, int flags,
                   AVDictionary **options) {
    tub__video_file *file = format->opaque;
    (void)options;
    if (file == NULL) {
        return AVERROR(EACCES);
    }
    file->refused = (flags & AVIO_FLAG_WRITE) || strcmp(url, file->name) != 0;
    if (file->refused) {
        return AVERROR(EACCES);
    }
    for (int i = 0; i < TUB__VIDEO_READERS; i++) {
        if (file->readers[i] == NULL) {
            const int ret = open_reader(file, out);
            file->readers[i] = ret < 0 ? NULL : *out;
            return ret;
        }
    }
    return AVERROR(EACCES);
}

static int io_close(AVFormatContext *format, AVIOContext *io) {
    tub__video_file *file = format->opaque;
    for (int i = 0; i < TUB__VIDEO_READERS; i++) {
        if (file->readers[i] == io) {
            file->readers[i] = NULL;
        }
    }
    close_reader(io);
    return 0;
}

void tub__video_file_attach(tub__video_file *file, AVFormatContext *format) {
    format->opaque = file;
    format->flags |= AVFMT_FLAG_CUSTOM_IO;
    format->io_open = io_open;
    format->io_close2 = io_close;
}

/* *score: how sure that is. */
static const AVInputFormat *probe(tub__video_file *file, int *score) {
    const AVInputFormat *format = NULL;
    AVIOContext *io = NULL;
    if (!file->seekable || open_reader(file, &io) < 0) {
        return NULL;
    }
    *score = av_probe_input_buffer2(io, &format, file->name, NULL, 0, 0);
    close_reader(io);
    return *score < 0 ? NULL : format;
}

const char *tub__video_file_kind(tub__video_file *file) {
    int score;
    const AVInputFormat *format = probe(file, &score);
    return format != NULL && score > AVPROBE_SCORE_RETRY ? format->name : NULL;
}

bool tub__video_file_known(int fd) {
    tub__video_file file;
    int score;
    tub__video_file_init(&file);
    file.fd = fd;
    file.seekable = true;
    return probe(&file, &score) != NULL;
}
