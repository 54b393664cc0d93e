/* SPDX-License-Identifier: Apache-2.0 */
/* Clips of files: frames of videos, animations, pictures, arrays and volumes, as they are or as a
 * model takes them (docs/video.md). */
#ifndef TUBELET_CLIP_H
#define TUBELET_CLIP_H

#include <tubelet/model.h>
#include <tubelet/sampling.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { TUB_CLIP_DAMAGE_LENGTH = 128 };

typedef struct tub_clip_read_options {
    size_t size; /* sizeof(tub_clip_read_options) */
    const tub_model
        *model; /* NULL, or the model whose clips they are to be: its length and channels,
                               and how its folder samples, resizes and crops */
    int scaled; /* with a model, non-zero: float32 as tub_model_forward takes them; else levels */
    int64_t frames;        /* of the clip; 0: the model's, 16 without one. A model has its own */
    tub_sampling sampling; /* TUB_SAMPLING_DEFAULT: as the model's folder says, uniform without */
    int64_t stride;        /* of stride and linspace */
    int64_t from, to;      /* nanoseconds: the part of the file; to < 0: up to its end */
    int64_t
        side; /* without a model, above 0: frames are resized so that the shorter side is this long,
                     and the square in the middle is cut out */
    double intensity_window[2]; /* without a model: low, high, as of tub_clip_options */
} tub_clip_read_options;
/* 16 frames of the whole file at equal distances, of the file's own size. */
TUB_API tub_clip_read_options tub_clip_read_options_default(void);

typedef struct tub_clip {
    tub_context *owner;
    int64_t frames, height, width, channels; /* T, H, W, C */
    tub_dtype dtype;  /* TUB_U8, or TUB_F32 of files with floats and of clips that are scaled */
    void *samples;    /* [T,H,W,C] */
    int64_t *indices; /* [T]: which frames of the file, counted from 0 */
    double *
        seconds; /* [T]: when they are shown, from the file's first frame; NULL where frames have no
                         times */
    int64_t file_frames;                 /* of the whole file */
    char damage[TUB_CLIP_DAMAGE_LENGTH]; /* "", or what could not be decoded */
} tub_clip;

/* Reads a clip of a file: any video, animation or picture that FFmpeg knows, a folder of pictures,
 * a .npy or member of a .npz as tub_volumes_read names them, a NIfTI volume. *out is the caller's
 * (tub_clip_free), before the context goes. Decodes with the context's threads. Errors:
 * TUB_E_NOT_FOUND, TUB_E_FORMAT (damaged, no video), TUB_E_UNSUPPORTED (codec, encrypted),
 * TUB_E_SHAPE (does not fit the model), TUB_E_RANGE (the part, the length), TUB_E_ARGUMENT (options
 * that contradict each other), TUB_E_MODULE, TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_clip_read(tub_context *ctx, const char *path,
                                              const tub_clip_read_options *options, tub_clip *out,
                                              tub_error *err);
TUB_API void tub_clip_free(tub_clip *clip); /* accepts one that is all zero */

/* Writes a clip by the ending of the name, whole or not at all: .npy [T,H,W,C] of the clip's type;
 * .gif, an animation that lasts as long as the frames are apart; .png, all frames side by side.
 * Pictures have one channel (exact) or three (a .gif of more than 256 colours is reduced to so
 * many); floats are shown with the clip's least value black and its greatest white, what is no
 * finite number black. Replaces an existing file. Errors: TUB_E_ARGUMENT (another ending),
 * TUB_E_SHAPE (channels), TUB_E_RANGE (a picture wider or higher than 65535), TUB_E_NOT_FOUND (no
 * such folder), TUB_E_IO, TUB_E_MODULE, TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_clip_write(const tub_clip *clip, const char *path,
                                               tub_error *err);
/* Writes every frame of a file untouched as .npy [T,H,W,C], one after another, so that memory does
 * not grow with the file. shape: its T, H, W, C; damage: room for TUB_CLIP_DAMAGE_LENGTH; both may
 * be NULL. Errors: as tub_clip_read and tub_clip_write. */
TUB_API TUB_MUST_USE tub_status tub_clip_write_all(tub_context *ctx, const char *path,
                                                   const char *npy, int64_t shape[4], char *damage,
                                                   tub_error *err);

#ifdef __cplusplus
}
#endif
#endif
