/* SPDX-License-Identifier: Apache-2.0 */
/* Carrying out the plan of a start, one array after the other. */
#include <string.h>

#include "base/error.h"
#include "convert/array_values.h"
#include "convert/inflate.h"
#include "convert/start_plan.h"

/* Arrays there and here, each with scratch for another order. */
typedef struct buffers {
    tub__array_buffers there, here;
} buffers;

/* Without more frames, the time axis is one more axis of taps. */
static void inflate(const tub__start_plan *plan, const tub__start_step *s, const float *from,
                    float *out) {
    static const double whole = 1;
    const size_t *n = s->there->shape, *m = s->here->shape;
    const tub__inflation f = {.filters = m[0],
                              .channels_there = n[1],
                              .channels = m[1],
                              .frames = tub__start_is_longer(s) ? m[2] : 1,
                              .taps = n[2] * n[3] * n[4],
                              .weights = tub__start_is_longer(s) ? plan->weights : &whole};
    tub__inflate(&f, from, out);
}

/* The class token's row stays fresh where there is none there. */
static tub_status resize(const tub__start_plan *plan, const tub__start_step *s, const float *from,
                         float *out, void *scratch, tub_error *err) {
    const size_t width = s->here->cols;
    const tub__grid grid_there = tub__start_grid(plan->source->model, s->here->role),
                    grid_here = tub__start_grid(plan->model, s->here->role);
    const bool there = tub__start_has_token(plan->source->model),
               here = tub__start_has_token(plan->model);
    if (here && there) {
        memcpy(out, from, width * sizeof *out);
    } else if (here) {
        TUB__TRY(tub__model_read(plan->model, s->here, TUB_F32, out, scratch, err));
    }
    return tub__grid_resize(&plan->model->context->allocator, plan->options.positions, &grid_there,
                            from + (there ? width : 0), &grid_here, out + (here ? width : 0), width,
                            err);
}

/* What the array is to hold, into b->here.values. */
static tub_status compute(const tub__start_plan *plan, const tub__start_step *s, const buffers *b,
                          tub_error *err) {
    float *out = b->here.values, *from = b->there.values;
    const size_t n = tub__param_elements(s->here);
    if (s->action == TUB__START_ZERO) {
        memset(out, 0, n * sizeof *out);
        return TUB_OK;
    }
    TUB__TRY(tub__model_read(plan->source->model, s->there, TUB_F32, from, b->there.scratch, err));
    if (s->action == TUB__START_INFLATE) {
        inflate(plan, s, from, out);
    } else if (s->action == TUB__START_RESIZE) {
        TUB__TRY(resize(plan, s, from, out, b->here.scratch, err));
    } else {
        memcpy(out, from, n * sizeof *out);
    }
    return TUB_OK;
}

/* Sums of large numbers may leave the range, though the numbers there were in it. */
static tub_status fill_one(const tub__start_plan *plan, const tub__start_step *s, const buffers *b,
                           tub_error *err) {
    if (s->action == TUB__START_FRESH) {
        return TUB_OK;
    }
    TUB__TRY(compute(plan, s, b, err));
    TUB__TRY(tub__check_finite(s->here->name, b->here.values, tub__param_elements(s->here), err));
    return tub__model_write(plan->model, s->here, TUB_F32, b->here.values, b->here.scratch, err);
}

tub_status tub__start_fill(const tub__start_plan *plan, tub_error *err) {
    buffers b;
    TUB__TRY(tub__array_buffers_create(plan->source->model, &b.there, err));
    tub_status status = tub__array_buffers_create(plan->model, &b.here, err);
    if (status == TUB_OK) {
        for (size_t i = 0; i < plan->count && status == TUB_OK; i++) {
            status = fill_one(plan, &plan->steps[i], &b, err);
        }
        tub__array_buffers_free(plan->model, &b.here);
    }
    tub__array_buffers_free(plan->source->model, &b.there);
    return status;
}
