/* SPDX-License-Identifier: Apache-2.0 */
/* One optimiser step: scalars in double here, the arithmetic on arrays in the backend. */
#include "train/optimizer.h"

#include "base/error.h"
#include "base/scalar.h"
#include "train/depth.h"
#include <math.h>
#include <stdlib.h>

static int by_place(const void *a, const void *b) {
    const tub__segment *left = a, *right = b;
    return left->begin < right->begin ? -1 : left->begin > right->begin;
}

/* The runs of equal weight decay and learning rate in the slab, in the order of their places, which
 * is not the table's. Frozen arrays lie in none. */
static tub_status make_segments(tub__optimizer *o, const tub_train_config *c, tub_error *err) {
    const tub__params *params = &o->model->params;
    void *memory = NULL;
    TUB__TRY(tub__alloc_array(&o->model->context->allocator, params->count, sizeof *o->segments,
                              &memory, err));
    tub__segment *s = o->segments = memory;
    double rate = c->optimizer == TUB_ADAM ? 0.0 : c->weight_decay;
    size_t count = 0, last = 0;
    for (size_t i = 0; i < params->count; i++) {
        const tub__param *p = &params->list[i];
        const double decay = c->decay_scope == TUB_DECAY_ALL || p->decay ? rate : 0.0,
                     depth = tub__depth_rate(c, p);
        if (depth > 0.0) { /* the classifier's kernel's always is */
            s[count++] = (tub__segment){p->offset, p->offset + p->elements, decay, depth};
        }
    }
    qsort(s, count, sizeof *s, by_place);
    for (size_t i = 1; i < count; i++) {
        if (s[i].decay == s[last].decay && s[i].rate == s[last].rate && s[i].begin == s[last].end) {
            s[last].end = s[i].end;
        } else {
            s[++last] = s[i];
        }
    }
    o->segment_count = last + 1;
    return TUB_OK;
}

static tub_status make_norm_room(tub__optimizer *o, const tub_train_config *c, tub_error *err) {
    const tub__params *params = &o->model->params;
    const tub_allocator *a = &o->model->context->allocator;
    TUB__TRY(tub__alloc_array(a, params->count, sizeof *o->squares, (void **)&o->squares, err));
    TUB__TRY(tub__alloc_array(a, params->count, sizeof *o->trained, (void **)&o->trained, err));
    for (size_t i = 0; i < params->count; i++) {
        if (tub__depth_rate(c, &params->list[i]) > 0.0) {
            o->trained[o->trained_count++] = &params->list[i];
        }
    }
    return tub__alloc_array(a, params->count, sizeof *o->arrays, (void **)&o->arrays, err);
}

static tub__update_kind update_kind(const tub_train_config *c) {
    if (c->optimizer == TUB_SGD) {
        return c->sgd_form == TUB_SGD_KERAS ? TUB__SGD_KERAS : TUB__SGD_PYTORCH;
    }
    return c->adam_form == TUB_ADAM_KERAS ? TUB__ADAM_KERAS : TUB__ADAM_PYTORCH;
}

tub_status tub__optimizer_create(tub_model *model, const tub_train_config *config,
                                 tub__optimizer *out, tub_error *err) {
    tub__backend *be = model->backend;
    static const char *const names[] = {
        [TUB_ADAM] = "adam", [TUB_ADAMW] = "adamw", [TUB_SGD] = "sgd"};
    tub__optimizer o = {
        .model = model, .name = names[config->optimizer], .kind = update_kind(config)};
    o.beta1 = config->beta1;
    o.beta2 = config->beta2;
    o.epsilon = config->epsilon;
    o.momentum = config->momentum;
    o.clip_norm = config->clip_norm;
    size_t bytes = model->params.elements * be->real_size;
    tub_status status = be->ops->slab_create(be, bytes, &o.m, err);
    if (status == TUB_OK && config->optimizer != TUB_SGD) {
        status = be->ops->slab_create(be, bytes, &o.v, err);
    }
    if (status == TUB_OK) {
        status = make_segments(&o, config, err);
    }
    if (status == TUB_OK) {
        status = make_norm_room(&o, config, err);
    }
    if (status == TUB_OK) {
        status = tub__average_create(model, config, &o.average, err);
    }
    if (status != TUB_OK) {
        tub__optimizer_destroy(&o);
        return status;
    }
    *out = o;
    return TUB_OK;
}

void tub__optimizer_destroy(tub__optimizer *o) {
    if (o->model == NULL) {
        return;
    }
    tub__backend *be = o->model->backend;
    if (o->m != NULL) {
        be->ops->slab_destroy(be, o->m);
    }
    if (o->v != NULL) {
        be->ops->slab_destroy(be, o->v);
    }
    tub__average_destroy(&o->average);
    tub__free(&o->model->context->allocator, o->segments);
    tub__free(&o->model->context->allocator, o->trained);
    tub__free(&o->model->context->allocator, o->squares);
    tub__free(&o->model->context->allocator, o->arrays);
    *o = (tub__optimizer){0};
}

double tub__gradient_norm(const tub__optimizer *o, void *gradient) {
    tub__backend *be = o->model->backend;
    for (size_t i = 0; i < o->trained_count; i++) {
        const tub__param *p = o->trained[i];
        o->arrays[i] = tub__param_weight(be, p, gradient, NULL);
        if (!p->packed) {
            /* Padding is zero and adds nothing: a row-major array is one row of all its elements.
             */
            o->arrays[i].rows = 1;
            o->arrays[i].cols = p->elements;
        }
    }
    be->ops->square_sums(be, o->arrays, o->trained_count, o->squares);
    double sum = 0.0;
    for (size_t i = 0; i < o->trained_count; i++) {
        sum += o->squares[i];
    }
    return sqrt(sum);
}

void tub__optimizer_step(tub__optimizer *o, void *gradient, double norm, uint64_t step, double lr) {
    tub__backend *be = o->model->backend;
    tub__update u = {.kind = o->kind,
                     .lr = lr,
                     .rate = lr,
                     .beta1 = o->beta1,
                     .beta2 = o->beta2,
                     .epsilon = o->epsilon,
                     .v_scale = 1.0,
                     .momentum = o->momentum,
                     .gradient_scale = 1.0};
    if (o->kind == TUB__ADAM_KERAS || o->kind == TUB__ADAM_PYTORCH) {
        double correct1 = 1.0 - tub__powi(o->beta1, (unsigned long)step);
        double correct2 = sqrt(1.0 - tub__powi(o->beta2, (unsigned long)step));
        u.rate = o->kind == TUB__ADAM_KERAS ? lr * correct2 / correct1 : lr / correct1;
        u.v_scale = 1.0 / correct2;
    }
    if (o->clip_norm > 0.0) {
        /* As Keras writes it: c * min(1 / norm, 1 / c). */
        double inverse = norm > 0.0 ? 1.0 / norm : 1.0 / o->clip_norm, least = 1.0 / o->clip_norm;
        u.gradient_scale = o->clip_norm * (inverse < least ? inverse : least);
    }
    u.segments = o->segments;
    u.segment_count = o->segment_count;
    u.w = o->model->weights;
    u.g = gradient;
    u.m = o->m;
    u.v = o->v;
    be->ops->update(be, &u);
    o->model->reduced_stale = true;
    tub__average_step(&o->average, step);
}
