/* SPDX-License-Identifier: Apache-2.0 */
/* Attentions as files. */
#include "explain/heads.h"

#include "base/error.h"

tub_axes tub__heads_axes(const tub_model_config *c, size_t tower, size_t number) {
    switch (c->variant) {
    case TUB_VARIANT_FACTORISED_ENCODER:
        return tower == 0 ? TUB_AXES_SPACE : TUB_AXES_TIME;
    case TUB_VARIANT_FACTORISED_SELF_ATTENTION:
        return (number == 0) == (c->attention_order == TUB_ORDER_TIME_SPACE) ? TUB_AXES_TIME
                                                                             : TUB_AXES_SPACE;
    case TUB_VARIANT_FACTORISED_DOT_PRODUCT:
        return number == 0 ? TUB_AXES_TIME : TUB_AXES_SPACE;
    default:
        return TUB_AXES_BOTH;
    }
}

static const char *const names[TUB_AXES_KINDS][2] = {
    {"attention", "attention-gradients"},
    {"attention-space", "attention-space-gradients"},
    {"attention-time", "attention-time-gradients"}};

const char *tub__heads_name(tub_axes axes, bool gradients) {
    return names[axes][gradients];
}

static tub_status open_one(const tub__question *q, const tub__tower_shape *s, size_t number,
                           const char *name, tub__raw **out, tub_error *err) {
    const tub__pattern *p = &s->pattern[number];
    const size_t heads = (size_t)q->model->config.heads / s->parts;
    const uint64_t all[] = {s->layers, p->groups, heads, p->length, p->length},
                   without[] = {s->layers, heads, p->length, p->length};
    const bool grouped = p->groups > 1;
    return tub__raw_open(q->raws, name, grouped ? 5 : 4, grouped ? all : without, out, err);
}

tub_status tub__head_files_open(const tub__question *q, bool gradients, tub__head_files *out,
                                tub_error *err) {
    const tub__variant_shape shape = tub__variant_shape_of(&q->model->config);
    *out = (tub__head_files){.q = q};
    for (size_t i = 0; i < shape.towers; i++) {
        const tub__tower_shape *s = &shape.tower[i];
        for (size_t n = 0; n < s->attentions * s->parts && s->layers > 0; n++) {
            const tub_axes axes = tub__heads_axes(&q->model->config, i, n);
            for (int k = 0; k < (gradients ? 2 : 1); k++) {
                TUB__TRY(open_one(q, s, n, names[axes][k], &out->raw[axes][k], err));
            }
        }
    }
    return TUB_OK;
}

tub_status tub__head_files_put(tub__head_files *f, const tub__variant_shape *shape, size_t layer,
                               const tub__head_range *range, bool gradients, const float *values,
                               tub_error *err) {
    const tub_model_config *c = &f->q->model->config;
    const size_t tower = tub__variant_tower_of(shape, layer);
    const tub__tower_shape *s = &shape->tower[tower];
    const tub__pattern *p = &s->pattern[range->number];
    const size_t heads = (size_t)c->heads / s->parts, square = p->length * p->length;
    tub__raw *raw = f->raw[tub__heads_axes(c, tower, range->number)][gradients];
    for (size_t g = 0; g < p->groups; g++) {
        const uint64_t head = ((layer - s->first) * p->groups + g) * heads + range->first;
        TUB__TRY(tub__raw_put(raw, head * square, values + g * range->count * square,
                              range->count * square, err));
    }
    return TUB_OK;
}
