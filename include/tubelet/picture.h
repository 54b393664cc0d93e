/* SPDX-License-Identifier: Apache-2.0 */
/* Pixels as the bytes of a picture file: PNG, or an animated GIF. */
#ifndef TUBELET_PICTURE_H
#define TUBELET_PICTURE_H

#include <tubelet/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Frames that strips of longer clips show, at equal distances. */
enum { TUB_STRIP_FRAMES = 16 };

typedef enum tub_picture_kind { TUB_PICTURE_PNG = 0, TUB_PICTURE_GIF } tub_picture_kind;

typedef struct tub_picture {
    const unsigned char *levels;             /* [frames,height,width,channels] */
    int64_t frames, height, width, channels; /* channels: 1 gray, 3 red, green and blue */
    int hundredths; /* of a second that a frame of an animation is shown, 1 to 65535 */
} tub_picture;

/* A PNG of the one frame, or a GIF that repeats for ever: gray exact, colours of one palette for
 * all frames, exact where there are no more than 256. *bytes is the caller's (tub_picture_free).
 * Errors: TUB_E_ARGUMENT (kind; a PNG of several frames; hundredths), TUB_E_SHAPE (channels),
 * TUB_E_RANGE (a side below 1 or above 65535), TUB_E_MODULE (mod-draw, of a GIF mod-video),
 * TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_picture_encode(tub_context *ctx, const tub_picture *picture,
                                                   tub_picture_kind kind, void **bytes,
                                                   size_t *size, tub_error *err);

/* A picture as bytes. */
typedef struct tub_encoded {
    void *bytes; /* NULL before it is made; the caller's (tub_picture_free) */
    size_t size;
} tub_encoded;

/* The same of `count` pictures on the context's threads: out [count]. Errors: as above, of the first that has one,
 * and none is made then. */
TUB_API TUB_MUST_USE tub_status tub_pictures_encode(tub_context *ctx, size_t count,
                                                    const tub_picture *pictures,
                                                    const tub_picture_kind *kinds, tub_encoded *out,
                                                    tub_error *err);
TUB_API void tub_picture_free(tub_context *ctx, void *bytes); /* accepts NULL */

#ifdef __cplusplus
}
#endif
#endif
