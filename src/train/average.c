/* SPDX-License-Identifier: Apache-2.0 */
/* The exponential moving average of the weights: one more slab. */
#include "train/average.h"

#include "base/error.h"

tub_status tub__average_create(tub_model *model, const tub_train_config *config, tub__average *out,
                               tub_error *err) {
    tub__backend *be = model->backend;
    *out = (tub__average){.model = model, .decay = config->ema, .warmup = config->ema_warmup != 0};
    if (config->ema == 0.0) {
        return TUB_OK;
    }
    TUB__TRY(be->ops->slab_create(be, model->params.elements * be->real_size, &out->slab, err));
    be->ops->copy(be, out->slab, model->weights, model->params.elements);
    return TUB_OK;
}

void tub__average_destroy(tub__average *a) {
    if (a->slab != NULL) {
        a->model->backend->ops->slab_destroy(a->model->backend, a->slab);
    }
    *a = (tub__average){0};
}

double tub__average_decay(const tub__average *a, uint64_t step) {
    const double most = (1.0 + (double)step) / (10.0 + (double)step);
    return step <= 1 ? 0.0 : a->warmup && most < a->decay ? most : a->decay;
}

/* Buffers are no weights: the average has the last ones, as AveragedModel of PyTorch. */
static void take_buffers(tub__average *a) {
    tub__backend *be = a->model->backend;
    const tub__params *params = &a->model->params;
    for (size_t i = 0; i < params->count; i++) {
        const tub__param *p = &params->list[i];
        if (p->buffer) {
            be->ops->copy(be, tub__param_weight(be, p, a->slab, NULL).data,
                          tub__param_weight(be, p, a->model->weights, NULL).data, p->elements);
        }
    }
}

void tub__average_step(tub__average *a, uint64_t step) {
    if (a->slab == NULL) {
        return;
    }
    tub__backend *be = a->model->backend;
    const size_t elements = a->model->params.elements;
    const double decay = tub__average_decay(a, step);
    if (decay == 0.0) {
        be->ops->copy(be, a->slab, a->model->weights, elements);
    } else {
        be->ops->average(be, a->slab, a->model->weights, 1.0 - decay, elements);
        take_buffers(a);
    }
}

static void put(tub__average *a, const void *from) {
    tub__backend *be = a->model->backend;
    be->ops->copy(be, a->model->weights, from, a->model->params.elements);
    a->model->reduced_stale = true;
}

void tub__average_show(tub__average *a, void *room) {
    if (a->slab != NULL) {
        tub__backend *be = a->model->backend;
        be->ops->copy(be, room, a->model->weights, a->model->params.elements);
        put(a, a->slab);
    }
}

void tub__average_hide(tub__average *a, const void *room) {
    if (a->slab != NULL) {
        put(a, room);
    }
}
