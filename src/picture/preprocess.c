/* SPDX-License-Identifier: Apache-2.0 */
/* Frames to a model's input. Everything up to the crop is whole levels, so the numbers behind it are
 * 256 for each channel, in a table. */
#include "picture/preprocess.h"

#include "base/error.h"
#include "base/fpenv.h"
#include "picture/framing.h"

enum { LEVELS = 256 };

/* ---- Levels ---- */

/* What transformers computes of a level: rescaled in float64 and rounded, the rest in float32. */
static float value_of(const tub__preprocessing *p, int level, size_t channel) {
    const size_t c = p->channels == 1 ? 0 : channel;
    float x = (float)level;
    if (p->rescale) {
        x = p->multiply ? x * (float)p->factor : (float)((double)level * p->factor);
        x = p->offset ? x - 1.0f : x;
    }
    return p->normalize ? (x - p->mean[c]) / p->deviation[c] : x;
}

void tub__preprocessed_range(const tub__preprocessing *p, float *low, float *high) {
    *low = *high = value_of(p, 0, 0);
    for (int c = 0; c < p->channels; c++) {
        const float ends[2] = {value_of(p, 0, (size_t)c), value_of(p, LEVELS - 1, (size_t)c)};
        for (int i = 0; i < 2; i++) {
            *low = ends[i] < *low ? ends[i] : *low;
            *high = ends[i] > *high ? ends[i] : *high;
        }
    }
}

bool tub__preprocessed_finite(const tub__preprocessing *p) {
    const int levels[] = {0, LEVELS - 1}; /* the others lie between */
    for (int c = 0; c < p->channels; c++) {
        for (int i = 0; i < 2; i++) {
            const float x = value_of(p, levels[i], (size_t)c);
            if (x - x != 0.0f) {
                return false;
            }
        }
    }
    return true;
}

typedef struct levels {
    float value[TUB__PREPROCESS_CHANNELS][LEVELS];
} levels;

static tub_status fill_levels(const tub__preprocessing *p, size_t channels, levels *out,
                              tub_error *err) {
    if (channels < 1 || channels > TUB__PREPROCESS_CHANNELS) {
        return tub__fail(err, TUB_E_SHAPE, "pictures have %zu channels; up to %d can be prepared",
                         channels, TUB__PREPROCESS_CHANNELS);
    }
    if (p->normalize && p->channels != 1 && (size_t)p->channels != channels) {
        return tub__fail(err, TUB_E_SHAPE,
                         "pictures have %zu channels; image_mean and image_std have %d", channels,
                         p->channels);
    }
    const tub__fpenv saved = tub__fpenv_enter();
    for (size_t c = 0; c < channels; c++) {
        for (int i = 0; i < LEVELS; i++) {
            out->value[c][i] = value_of(p, i, c);
        }
    }
    tub__fpenv_leave(saved);
    return TUB_OK;
}

/* ---- All of it ---- */

static void put_levels(const levels *l, size_t channels, const unsigned char *in, size_t pixels,
                       float *out) {
    for (size_t i = 0; i < pixels; i++) {
        for (size_t c = 0; c < channels; c++) {
            out[i * channels + c] = l->value[c][in[i * channels + c]];
        }
    }
}

tub_status tub__preprocess(const tub_allocator *a, const tub__preprocessing *p, size_t frames,
                           const size_t from[2], size_t channels, const unsigned char *in,
                           float *out, tub_error *err) {
    levels l;
    tub__framer *framer = NULL;
    unsigned char *cut = NULL;
    TUB__TRY(fill_levels(p, channels, &l, err));
    TUB__TRY(tub__framer_create(a, p, from, channels, false, &framer, err));
    const size_t *size = tub__framer_size(framer), pixels = size[0] * size[1];
    const tub_status status = tub__alloc(a, pixels * channels, (void **)&cut, err);
    for (size_t t = 0; t < frames && status == TUB_OK; t++) {
        tub__framer_take(framer, in + t * from[0] * from[1] * channels);
        tub__framer_cut(framer, TUB__CROP_ONLY, cut);
        put_levels(&l, channels, cut, pixels, out + t * pixels * channels);
    }
    tub__free(a, cut);
    tub__framer_destroy(framer);
    return status;
}
