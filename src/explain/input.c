/* SPDX-License-Identifier: Apache-2.0 */
/* Clips as float32, and clips on which there is nothing to be seen. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "convert/prepare.h"
#include "explain/question.h"

static size_t voxels_of(const tub_model *model) {
    return tub__geometry_voxels(&model->geometry);
}

static tub_status take(const tub_model *model, float **out, tub_error *err) {
    return tub__alloc_array(&model->context->allocator, voxels_of(model), sizeof **out,
                            (void **)out, err);
}

/* What the model gets of levels. */
static tub_status scaled(const tub_model *model, const unsigned char *levels, float **out,
                         tub_error *err) {
    TUB__TRY(take(model, out, err));
    const tub_status status = tub__model_scale(model, 1, levels, *out, err);
    if (status != TUB_OK) {
        tub__free(&model->context->allocator, *out);
        *out = NULL;
    }
    return status;
}

static tub_status check_finite(const float *x, size_t n, tub_error *err) {
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) {
            return tub__fail(err, TUB_E_NUMERIC,
                             "value %zu of the clip is no finite number: replace it", i);
        }
    }
    return TUB_OK;
}

tub_status tub__explain_floats(const tub_model *model, tub_dtype dtype, const void *x, float **out,
                               tub_error *err) {
    if (dtype == TUB_U8) {
        return scaled(model, x, out, err);
    }
    if (dtype != TUB_F32) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "a clip of type %d; an explanation takes uint8 and float32", (int)dtype);
    }
    TUB__TRY(check_finite(x, voxels_of(model), err));
    TUB__TRY(take(model, out, err));
    memcpy(*out, x, voxels_of(model) * sizeof **out);
    return TUB_OK;
}

static tub_status black(const tub_model *model, float **out, tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    unsigned char *levels;
    TUB__TRY(tub__alloc_array(a, voxels_of(model), 1, (void **)&levels, err));
    const tub_status status = scaled(model, levels, out, err);
    tub__free(a, levels);
    return status;
}

static void fill_mean(const float *x, size_t voxels, size_t channels, float *out) {
    for (size_t c = 0; c < channels; c++) {
        double sum = 0;
        for (size_t i = c; i < voxels; i += channels) {
            sum += (double)x[i];
        }
        const float mean = (float)(sum / (double)(voxels / channels));
        for (size_t i = c; i < voxels; i += channels) {
            out[i] = mean;
        }
    }
}

tub_status tub__explain_baseline(const tub_model *model, tub_baseline kind, const float *x,
                                 float **out, tub_error *err) {
    if (kind == TUB_BASELINE_BLACK) {
        return black(model, out, err);
    }
    TUB__TRY(take(model, out, err)); /* zeros */
    if (kind == TUB_BASELINE_MEAN) {
        fill_mean(x, voxels_of(model), model->geometry.channels, *out);
    }
    return TUB_OK;
}

void tub__explain_put_cell(const tub__cells *c, size_t channels, size_t index, const float *from,
                           float *to) {
    size_t begin[3];
    tub__cell_begin(c, index, begin);
    for (size_t t = begin[0]; t < begin[0] + c->size[0]; t++) {
        for (size_t h = begin[1]; h < begin[1] + c->size[1]; h++) {
            const size_t at = ((t * c->sides[1] + h) * c->sides[2] + begin[2]) * channels;
            memcpy(to + at, from + at, c->size[2] * channels * sizeof *to);
        }
    }
}
