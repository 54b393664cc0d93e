/* SPDX-License-Identifier: Apache-2.0 */
/* What comes through a pipe, kept in a temporary file: a demuxer goes back and forth, and frames are counted
 * before the first is taken. */
#ifndef TUB__MODULES_VIDEO_PIPE_H
#define TUB__MODULES_VIDEO_PIPE_H

#include "modules/video_file.h"

/* Reads the pipe that file->fd is to its end, into file->copy, a file without a name in TMPDIR (/tmp). What begins
 * as nothing known is not read on. path is for sentences. The pipe stays the caller's. */
TUB_MUST_USE tub_status tub__video_keep_pipe(const char *path, tub__video_file *file,
                                             tub_error *err);

#endif
