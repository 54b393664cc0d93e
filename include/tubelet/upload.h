/* SPDX-License-Identifier: Apache-2.0 */
/* Files of unknown origin, as clips that a model takes: decoded in a process of its own that can open nothing
 * and has limits (docs/serving.md). */
#ifndef TUBELET_UPLOAD_H
#define TUBELET_UPLOAD_H

#include <tubelet/model.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { TUB_UPLOAD_DAMAGE_LENGTH = 128 };

typedef struct tub_upload_options {
    size_t size;      /* sizeof(tub_upload_options) */
    const char *name; /* NULL, or what the file was called: only its ending counts, where nothing in
                            the file says its kind */
    int64_t window, hop;   /* nanoseconds: a clip of each window of a timeline, as tub_timeline has
                            them; both 0: one clip of all of it */
    int64_t frames;        /* at most in the file */
    int64_t clips;         /* at most */
    size_t memory;         /* address space of the process, in bytes */
    size_t answer;         /* bytes of its clips, at most */
    unsigned seconds;      /* of processor time */
    unsigned wall_seconds; /* by the clock */
} tub_upload_options;
/* One clip; 100000 frames, 256 clips of 256 MiB, a process of 2 GiB, 30 seconds, 60 by the clock. */
TUB_API tub_upload_options tub_upload_options_default(void);

typedef struct tub_upload {
    tub_context *owner;
    int64_t count, frames, height, width, channels; /* of clips: n, T, H, W, C */
    float *samples;        /* [n,T,H,W,C] as tub_model_forward takes them */
    unsigned char *levels; /* [n,T,H,W,C], sized and not yet scaled; NULL of files with floats */
    double *begin, *end;   /* [n]: seconds of each window; NULL of one clip */
    int64_t file_frames;
    char damage[TUB_UPLOAD_DAMAGE_LENGTH]; /* "", or what could not be decoded */
} tub_upload;

/* Takes the bytes of a file as tubelet predict takes the file, bit for bit: a video, an animation, a picture, a
 * .npy or .npz with one volume, a NIfTI volume. ctx: for memory and modules; the model is only read, so that
 * another thread may use it meanwhile, with the context it was opened with. *out is the caller's
 * (tub_upload_free). Sentences call the file "the upload". Errors: TUB_E_FORMAT (damaged, no video, or its
 * process crashed or took too long), TUB_E_UNSUPPORTED, TUB_E_SHAPE (does not fit the model), TUB_E_RANGE
 * (more frames, clips or bytes than allowed; a window or hop below 1 ns), TUB_E_IO (the system has no more
 * descriptors or processes), TUB_E_CANCELLED (its process was told to stop), TUB_E_MEMORY, TUB_E_MODULE. */
TUB_API TUB_MUST_USE tub_status tub_upload_read(tub_context *ctx, const tub_model *model,
                                                const void *bytes, size_t size,
                                                const tub_upload_options *options, tub_upload *out,
                                                tub_error *err);
TUB_API void tub_upload_free(tub_upload *upload); /* accepts one that is all zero */

/* The path of a module of the program's own, mod-NAME.so, where the library's lie. Errors: TUB_E_MODULE (a
 * sentence with the package), TUB_E_RANGE (room). */
TUB_API TUB_MUST_USE tub_status tub_module_path(tub_context *ctx, const char *name, char *path,
                                                size_t room, tub_error *err);

#ifdef __cplusplus
}
#endif
#endif
