/* SPDX-License-Identifier: Apache-2.0 */
/* Which arrays a method writes. */
#include "explain/heads.h"
#include "explain/question.h"

typedef struct list {
    const char *name[TUB__RAW_FILES];
    int count;
} list;

/* Two parts of an attention are of one axis each, and so are a layer's attentions; towers have
 * their own. */
static void add_heads(const tub_model_config *c, const tub__variant_shape *shape, bool gradients,
                      list *out) {
    for (size_t i = 0; i < shape->towers; i++) {
        const tub__tower_shape *s = &shape->tower[i];
        for (size_t n = 0; n < s->attentions * s->parts && s->layers > 0; n++) {
            out->name[out->count++] = tub__heads_name(tub__heads_axes(c, i, n), gradients);
        }
    }
}

static list names_of(const tub_model_config *c, tub_explain_method method) {
    const tub__variant_shape shape = tub__variant_shape_of(c);
    list l = {0};
    if (method == TUB_EXPLAIN_INTEGRATED_GRADIENTS) {
        return (list){{"input", "baseline", "gradients"}, 3};
    }
    if (tub__explain_attends(method)) {
        add_heads(c, &shape, false, &l);
        if (tub__explain_differentiates(method)) {
            add_heads(c, &shape, true, &l);
        }
        for (size_t i = 0; i < shape.towers && shape.tower[i].layers > 0; i++) {
            l.name[l.count++] = i == 0 ? "pooling" : "pooling-time";
        }
    }
    l.name[l.count++] = "cells";
    return l;
}

const char *tub_explain_raw_name(const tub_model *model, const tub_explain_options *options,
                                 int number) {
    tub_explain_options settled;
    if (tub__explain_settle(model, options, &settled, NULL) != TUB_OK) {
        return NULL;
    }
    const list l = names_of(&model->config, settled.method);
    return number >= 0 && number < l.count ? l.name[number] : NULL;
}
