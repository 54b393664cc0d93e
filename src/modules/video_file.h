/* SPDX-License-Identifier: Apache-2.0 */
/* The one file that a demuxer may read: FFmpeg gets bytes by these functions only, so that nothing in a
 * file (a play list, a reference) can make it open another one or an address of the net. */
#ifndef TUB__MODULES_VIDEO_FILE_H
#define TUB__MODULES_VIDEO_FILE_H

#include "modules/video_ffmpeg.h"
#include <stdbool.h>
#include <tubelet/status.h>

/* Readers of one file: the demuxer's, and once more by the demuxer of pictures. No recursion of lists
 * that name themselves. */
enum { TUB__VIDEO_READERS = 4 };

typedef struct tub__video_file {
    int fd;        /* -1: closed */
    int copy; /* a temporary file with what came through a pipe, which can't be read twice; -1: none */
    bool seekable; /* no pipe */
    char name[24]; /* what FFmpeg is told: "clip.mp4"; some formats show in the ending only */
    bool refused;  /* a demuxer wanted another file */
    AVIOContext *readers[TUB__VIDEO_READERS]; /* that are open */
} tub__video_file;

/* A closed one, with nothing in it. */
void tub__video_file_init(tub__video_file *file);
/* Where there is a copy, opens that again, whatever the path. */
TUB_MUST_USE tub_status tub__video_file_open(const char *path, tub__video_file *out,
                                             tub_error *err);
/* After the format contexts that read from it. Accepts a closed one. */
void tub__video_file_close(tub__video_file *file);
/* Before another file is opened, and at the end: the copy goes, too. */
void tub__video_file_drop(tub__video_file *file);
/* Makes a format context read from the file, and from nothing else. Its reader stays the file's: FFmpeg
 * would close it as one of its own. */
void tub__video_file_attach(tub__video_file *file, AVFormatContext *format);
/* What the file begins as: "mov,mp4,m4a,3gp,3g2,mj2"; NULL for nothing known. Static storage. */
const char *tub__video_file_kind(tub__video_file *file);
/* Whether a file that can be read from any place begins as anything at all that FFmpeg knows. */
bool tub__video_file_known(int fd);

#endif
