/* SPDX-License-Identifier: Apache-2.0 */
/* Views of a clip in testing: mirrored, and shifted by half a voxel. The answers are averaged in this
 * order: the clip, then each axis (time, height, width) back and forth, and of each the plain one
 * before the mirrored one. */
#include "base/context.h"
#include "base/error.h"
#include "data/sides.h"
#include "model/model.h"
#include <string.h>
#include <tubelet/predict.h>

static const char *const names[TUB_VIEWS_KINDS] = {"none", "flip", "shift", "all"};

const char *tub_views_name(tub_views views) {
    return (int)views >= 0 && views < TUB_VIEWS_KINDS ? names[views] : "unknown";
}

tub_status tub_views_parse(const char *text, tub_views *out, tub_error *err) {
    for (int i = 0; i < TUB_VIEWS_KINDS; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (tub_views)i;
            return TUB_OK;
        }
    }
    return tub__fail(err, TUB_E_ARGUMENT,
                     "'%.80s' is no kind of views: choose none, flip, shift or all", text);
}

static bool mirrors(tub_views v) {
    return v == TUB_VIEWS_FLIP || v == TUB_VIEWS_ALL;
}

static bool shifts(tub_views v) {
    return v == TUB_VIEWS_SHIFT || v == TUB_VIEWS_ALL;
}

tub_status tub_views_check(tub_views views, const char *const *labels, int64_t classes,
                           tub_error *err) {
    const char *side = mirrors(views) ? tub__side_name(labels, classes, true) : NULL;
    return side == NULL
               ? TUB_OK
               : tub__fail(err, TUB_E_ARGUMENT,
                           "views '%s' would mirror clips, and class '%.80s' is of one side: a "
                           "mirrored one is of the other; choose shift or none",
                           names[views], side);
}

/* Clips as they are classified: [count] clips of T,H,W,C elements. */
typedef struct clips {
    size_t count, size[4], element; /* bytes */
} clips;

static size_t volume(const clips *c) {
    return c->size[0] * c->size[1] * c->size[2] * c->size[3];
}

/* Each row of pixels from its end. */
static void mirror(const clips *c, const unsigned char *from, unsigned char *to) {
    const size_t width = c->size[2], pixel = c->size[3] * c->element,
                 rows = c->count * c->size[0] * c->size[1];
    for (size_t r = 0; r < rows; r++) {
        for (size_t w = 0; w < width; w++) {
            memcpy(to + (r * width + w) * pixel, from + (r * width + width - 1 - w) * pixel, pixel);
        }
    }
}

/* Half a voxel along an axis: the mean of each element and its neighbour, at the border itself. */
static void shift(const clips *c, int axis, bool forth, const float *from, float *to) {
    const size_t n = c->size[axis];
    size_t inner = 1, outer = c->count;
    for (int i = axis + 1; i < 4; i++) {
        inner *= c->size[i];
    }
    for (int i = 0; i < axis; i++) {
        outer *= c->size[i];
    }
    for (size_t o = 0; o < outer; o++) {
        for (size_t i = 0; i < n; i++) {
            const size_t beside = forth ? (i + 1 < n ? i + 1 : i) : (i > 0 ? i - 1 : i);
            const float *a = from + (o * n + i) * inner, *b = from + (o * n + beside) * inner;
            float *out = to + (o * n + i) * inner;
            for (size_t k = 0; k < inner; k++) {
                out[k] = 0.5f * (a[k] + b[k]);
            }
        }
    }
}

/* One call: the clips, room for two transforms of them, and for one answer. */
typedef struct work {
    tub_model *model;
    clips clips;
    tub_dtype dtype;
    const void *x;
    unsigned char *floats, *shifted, *mirrored;
    float *logits, *probabilities;
    tub_answers *answers;
} work;

static tub_status classify(work *w, const void *x, tub_error *err) {
    TUB__TRY(tub_model_forward(w->model, (int64_t)w->clips.count, w->dtype, x, w->logits,
                               w->probabilities, err));
    tub_answers_add(w->answers, w->logits, w->probabilities);
    return TUB_OK;
}

static tub_status classify_both(work *w, const void *x, tub_views views, tub_error *err) {
    TUB__TRY(classify(w, x, err));
    if (!mirrors(views)) {
        return TUB_OK;
    }
    mirror(&w->clips, x, w->mirrored);
    return classify(w, w->mirrored, err);
}

static tub_status classify_all(work *w, tub_views views, tub_error *err) {
    TUB__TRY(classify_both(w, w->x, views, err));
    for (int axis = 0; shifts(views) && axis < 3; axis++) {
        for (int forth = 0; w->clips.size[axis] > 1 && forth < 2; forth++) {
            shift(&w->clips, axis, forth != 0, w->x, (float *)(void *)w->shifted);
            TUB__TRY(classify_both(w, w->shifted, views, err));
        }
    }
    return TUB_OK;
}

static tub_status prepare(work *w, tub_views views, tub_average average, tub_error *err) {
    const tub_model_config *c = &w->model->config;
    const tub_allocator *a = &w->model->context->allocator;
    const size_t count = w->clips.count, answer = (size_t)c->classes * sizeof(float);
    if (shifts(views) && w->dtype == TUB_U8) { /* halves are no bytes */
        const int64_t shape[4] = {c->frames, c->height, c->width, c->channels};
        TUB__TRY(tub__alloc_array(a, count, volume(&w->clips) * sizeof(float), (void **)&w->floats,
                                  err));
        TUB__TRY(tub_model_prepare(w->model, (int64_t)count, shape, w->x,
                                   (float *)(void *)w->floats, err));
        w->x = w->floats;
        w->dtype = TUB_F32;
        w->clips.element = sizeof(float);
    }
    const size_t bytes = volume(&w->clips) * w->clips.element;
    if (shifts(views)) {
        TUB__TRY(tub__alloc_array(a, count, bytes, (void **)&w->shifted, err));
    }
    if (mirrors(views)) {
        TUB__TRY(tub__alloc_array(a, count, bytes, (void **)&w->mirrored, err));
    }
    TUB__TRY(tub__alloc_array(a, count, answer, (void **)&w->logits, err));
    TUB__TRY(tub__alloc_array(a, count, answer, (void **)&w->probabilities, err));
    return tub_answers_create(w->model->context, c, (int64_t)count, average, &w->answers, err);
}

tub_status tub_model_forward_views(tub_model *model, int64_t batch, tub_dtype dtype, const void *x,
                                   tub_views views, tub_average average, float *logits,
                                   float *probabilities, tub_error *err) {
    const tub_model_config *c = &model->config;
    if (views == TUB_VIEWS_NONE || batch < 1 || (dtype != TUB_U8 && dtype != TUB_F32) ||
        (dtype == TUB_U8 && tub_model_prepares(model))) { /* which it refuses */
        return tub_model_forward(model, batch, dtype, x, logits, probabilities, err);
    }
    TUB__TRY(tub_views_check(views, tub_model_labels(model), c->classes, err));
    work w = {.model = model, .dtype = dtype, .x = x};
    w.clips = (clips){(size_t)batch,
                      {(size_t)c->frames, (size_t)c->height, (size_t)c->width, (size_t)c->channels},
                      dtype == TUB_U8 ? 1 : sizeof(float)};
    tub_status status = prepare(&w, views, average, err);
    if (status == TUB_OK) {
        status = classify_all(&w, views, err);
    }
    if (status == TUB_OK) {
        tub_answers_mean(w.answers, logits, probabilities);
    }
    const tub_allocator *a = &model->context->allocator;
    tub_answers_free(w.answers);
    tub__free(a, w.probabilities);
    tub__free(a, w.logits);
    tub__free(a, w.mirrored);
    tub__free(a, w.shifted);
    tub__free(a, w.floats);
    return status;
}
