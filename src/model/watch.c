/* SPDX-License-Identifier: Apache-2.0 */
/* Looking into a pass: the attention of every layer and its gradient, from the last layer to the first,
 * and how the tokens of a tower share in what it pools. For explanations (src/explain). */
#include "base/alloc.h"
#include "model/pass.h"

static tub__call call_of(const tub__pass *pass) {
    return (tub__call){
        .be = pass->be, .samples = pass->samples, .training = true, .frozen = pass->config.frozen};
}

/* A column of host memory whose numbers are all the same. */
static void fill(tub__backend *be, tub__mat m, float value) {
    be->ops->mat_in(be, m, TUB_F32, &value, 0, 0);
}

void tub__pass_aim(tub__pass *pass, size_t column) {
    tub__backend *be = pass->be;
    tub__mat d = tub__first_rows(pass->head.dlogits, pass->samples);
    be->ops->clear(be, d.data, d.rows * d.ld);
    d.data = (char *)d.data + column * be->real_size;
    d.cols = 1;
    fill(be, d, 1);
}

static void watch_towers(tub__pass *pass, tub__watch watch) {
    for (size_t i = 0; i < pass->towers; i++) {
        pass->tower[i].watch = watch;
    }
}

void tub__pass_watch(tub__pass *pass, bool gradients, tub__watch watch) {
    const tub__call call = call_of(pass);
    watch_towers(pass, watch);
    if (gradients) {
        tub__pass_backward(pass, false);
    } else {
        for (size_t i = pass->towers; i-- > 0;) {
            tub__tower_again(&call, &pass->tower[i]);
        }
    }
    watch_towers(pass, (tub__watch){0});
}

/* Reals of one head of an attention of all samples. */
static size_t head_size(const tub__pattern *p, size_t samples) {
    return samples * p->groups * p->length * p->length;
}

/* One head always finds room; more of them as long as they are no more than this. */
enum { HEADS_ROOM = 32 << 20 };

static size_t heads_at_once(size_t head, size_t heads) {
    const size_t fit = HEADS_ROOM / head;
    return fit < 1 ? 1 : tub__min(fit, heads);
}

size_t tub__pass_heads_room(const tub__pass *pass) {
    const size_t heads = (size_t)pass->model->config.heads;
    size_t most = 0;
    for (size_t i = 0; i < pass->towers; i++) {
        const tub__tower_shape *s = &pass->tower[i].shape;
        for (size_t k = 0; k < s->attentions * s->parts && s->layers > 0; k++) {
            const size_t head = head_size(&s->pattern[k], pass->config.batch),
                         size = head * heads_at_once(head, heads / s->parts);
            most = size > most ? size : most;
        }
    }
    return most;
}

typedef struct place {
    const tub__tower *tower;
    const tub__attention_layer *attention;
    size_t part;
} place;

static place place_of(tub__pass *pass, size_t layer, size_t number) {
    const tub__tower *t = tub__pass_tower_of(pass, layer);
    const size_t parts = t->shape.parts;
    return (place){t, &t->blocks[layer - t->shape.first].attention[number / parts], number % parts};
}

size_t tub__pass_heads_most(tub__pass *pass, size_t layer, size_t number) {
    const place p = place_of(pass, layer, number);
    return heads_at_once(head_size(&p.attention->patterns[p.part], pass->config.batch),
                         p.attention->heads / p.attention->parts);
}

void tub__pass_heads(tub__pass *pass, size_t layer, const tub__head_range *range, bool gradients,
                     tub_dtype host, void *out) {
    const place p = place_of(pass, layer, range->number);
    const tub__heads heads = {p.part, range->first, range->count};
    const tub__call call = call_of(pass);
    const size_t n = p.attention->patterns[p.part].length,
                 rows = pass->samples * tub__tower_rows(&p.tower->shape);
    if (gradients) {
        tub__attention_layer_dp(&call, p.attention, &heads, rows, pass->heads);
    } else {
        tub__attention_layer_probabilities(&call, p.attention, &heads,
                                           tub__first_rows(p.tower->dnormed, rows), pass->heads);
    }
    const tub__mat all = {
        pass->heads, head_size(&p.attention->patterns[p.part], pass->samples) / n * range->count, n,
        n};
    pass->be->ops->mat_out(pass->be, host, out, n, 1, all);
}

void tub__pass_pooling(tub__pass *pass, size_t tower, tub_dtype host, void *out) {
    const tub__tower *t = &pass->tower[tower];
    const tub__pooler *p = &t->pooler;
    const size_t count = pass->samples * p->sequences,
                 rows = pass->samples * tub__tower_rows(&t->shape);
    const tub__mat dx = tub__first_rows(t->dnormed, rows);
    const tub__pool_backward op = {.kind = p->pooling,
                                   .samples = count,
                                   .x = tub__first_rows(p->normed, rows),
                                   .y = tub__first_rows(p->pooled, count),
                                   .dy = tub__first_rows(p->dpooled, count),
                                   .dx = dx};
    fill(pass->be, op.dy, 1);
    pass->be->ops->pool_backward(pass->be, &op);
    pass->be->ops->mat_out(pass->be, host, out, dx.cols, 1, dx);
}
