/* SPDX-License-Identifier: Apache-2.0 */
/* Samples as strips of pictures. */
#include "train/strip.h"

#include "base/error.h"
#include "picture/levels.h"

tub_status tub__strip_make(const tub_allocator *a, const int64_t shape[4], tub_dtype dtype,
                           const void *sample, tub__strip *out, tub_error *err) {
    const size_t frames = (size_t)shape[0], height = (size_t)shape[1], width = (size_t)shape[2],
                 channels = (size_t)shape[3], drawn = tub__min(frames, TUB_STRIP_FRAMES),
                 colours = channels == 3 ? 3 : 1;
    const float *floats = sample;
    const unsigned char *bytes = sample;
    const tub__levels s = dtype == TUB_U8
                              ? (tub__levels){0}
                              : tub__levels_of(floats, frames * height * width * channels);
    void *block = NULL;
    TUB__TRY(tub__alloc(a, height * drawn * width * colours, &block, err));
    *out = (tub__strip){block, height, drawn * width, (int)colours};
    unsigned char *to = out->pixels;
    for (size_t y = 0; y < height; y++) {
        for (size_t t = 0; t < drawn; t++) {
            const size_t frame = tub__frame_shown(t, drawn, frames);
            for (size_t x = 0; x < width; x++) {
                const size_t from = ((frame * height + y) * width + x) * channels;
                for (size_t c = 0; c < colours; c++) {
                    *to++ = dtype == TUB_U8
                                ? bytes[from + c]
                                : (unsigned char)(tub__level(&s, (double)floats[from + c]) + 0.5);
                }
            }
        }
    }
    return TUB_OK;
}
