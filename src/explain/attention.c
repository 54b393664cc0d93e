/* SPDX-License-Identifier: Apache-2.0 */
/* Maps of attention: of one layer, rolled out over all (Abnar and Zuidema 2020), weighted by its
 * gradient (Chefer et al. 2021).
 *
 * All are one row of a product of matrices [N, N], one for each attention of each layer: the row
 * that says how the model pools its tokens. Multiplied from the last layer to the first it stays a
 * row, so that no product of two such matrices is ever made. In variants whose attentions are over
 * space or over time, a head's matrix is zero where two tokens do not meet. The factorised
 * encoder's two transformers are one after the other, as their pooled rows and tokens are. */
#include <string.h>

#include "base/error.h"
#include "explain/heads.h"

typedef struct look {
    tub__question *q;
    tub__variant_shape shape;
    tub__pass *pass;
    float *p, *dp; /* heads, and their gradients */
    double *row[TUB__TOWERS],
        *begin[TUB__TOWERS]; /* [tokens of a tower]: as it is, and as it began */
    double *next;            /* room for what a row becomes */
    tub__head_files files;
    tub_status status; /* of what went wrong on the way */
    tub_error *err;
} look;

/* ---- which attentions count ---- */

static const tub_explain_options *options_of(const look *l) {
    return &l->q->options;
}

/* Of attention: layer of tower i that is looked at; none: layers. */
static size_t chosen_layer(const look *l, size_t i) {
    const tub__tower_shape *s = &l->shape.tower[i];
    const int64_t layer = options_of(l)->layer;
    if (layer < 0) {
        return s->layers > 0 ? s->layers - 1 : 0;
    }
    return tub__variant_tower_of(&l->shape, (size_t)layer) == i ? (size_t)layer - s->first
                                                                : s->layers;
}

static bool axes_count(const look *l, size_t tower, size_t number) {
    const tub_axes wanted = options_of(l)->axes,
                   own = tub__heads_axes(&l->q->model->config, tower, number);
    return wanted == TUB_AXES_BOTH || wanted == own;
}

/* Whether anything in the tower counts; of one where nothing does, all tokens count the same. */
static bool tower_counts(const look *l, size_t i) {
    const tub__tower_shape *s = &l->shape.tower[i];
    bool axes = false;
    for (size_t n = 0; n < s->attentions * s->parts; n++) {
        axes = axes || axes_count(l, i, n);
    }
    return axes && s->layers > 0 &&
           (options_of(l)->method != TUB_EXPLAIN_ATTENTION || chosen_layer(l, i) < s->layers);
}

static bool layer_counts(const look *l, size_t tower, size_t layer) {
    return tower_counts(l, tower) &&
           (options_of(l)->method != TUB_EXPLAIN_ATTENTION || chosen_layer(l, tower) == layer);
}

/* Heads of a part, counted over the parts of an attention: those that are looked at. */
static bool part_counts(const look *l, size_t tower, size_t number) {
    const tub__tower_shape *s = &l->shape.tower[tower];
    const size_t heads = (size_t)l->q->model->config.heads / s->parts;
    const int64_t head = options_of(l)->head;
    return axes_count(l, tower, number) && (head < 0 || (size_t)head / heads == number % s->parts);
}

/* ---- a row through one attention ---- */

/* Of heads whose mean counts as one. */
static double share_of(const look *l, size_t tower, size_t attention) {
    const tub__tower_shape *s = &l->shape.tower[tower];
    const size_t heads = (size_t)l->q->model->config.heads / s->parts;
    size_t count = 0;
    for (size_t part = 0; part < s->parts; part++) {
        count += part_counts(l, tower, attention * s->parts + part) ? heads : 0;
    }
    return options_of(l)->head >= 0 ? 1 : 1 / (double)count;
}

/* next += share row M, for the matrices M of one group of one head: probabilities, or with
 * gradients those times them where that is above zero. */
static void add_group(const look *l, const tub__pattern *pattern, size_t group, const double *row,
                      const float *p, const float *dp, double share) {
    const size_t n = pattern->length, step = pattern->token_stride,
                 base = group * pattern->group_stride;
    for (size_t i = 0; i < n; i++) {
        const double weight = share * row[base + i * step];
        double *next = l->next + base;
        for (size_t j = 0; j < n && weight != 0; j++) {
            const double a =
                dp == NULL ? (double)p[i * n + j] : (double)p[i * n + j] * (double)dp[i * n + j];
            next[j * step] += weight * (a < 0 ? 0 : a); /* what is no number stays so */
        }
    }
}

/* Heads [first, first + count) of a part are in l->p and l->dp. */
static void add_heads(const look *l, size_t tower, const tub__head_range *range, double share) {
    const tub__tower_shape *s = &l->shape.tower[tower];
    const tub__pattern *pattern = &s->pattern[range->number];
    const size_t heads = (size_t)l->q->model->config.heads / s->parts,
                 square = pattern->length * pattern->length;
    const int64_t only = options_of(l)->head;
    for (size_t h = 0; h < range->count; h++) {
        const size_t number = range->number % s->parts * heads + range->first + h;
        if (only >= 0 && number != (size_t)only) {
            continue;
        }
        for (size_t g = 0; g < pattern->groups; g++) {
            const size_t at = (g * range->count + h) * square;
            add_group(l, pattern, g, l->row[tower], l->p + at, l->dp ? l->dp + at : NULL, share);
        }
    }
}

/* All heads of a part, some at a time: to files and, if they count, to the row. */
static tub_status go_through_part(look *l, size_t tower, size_t layer, size_t number, bool counts,
                                  double share) {
    const tub__tower_shape *s = &l->shape.tower[tower];
    const size_t heads = (size_t)l->q->model->config.heads / s->parts,
                 most = tub__pass_heads_most(l->pass, layer, number);
    if (!counts && options_of(l)->raw == NULL) {
        return TUB_OK;
    }
    for (size_t first = 0; first < heads; first += most) {
        const tub__head_range range = {number, first, tub__min(most, heads - first)};
        tub__pass_heads(l->pass, layer, &range, false, TUB_F32, l->p);
        TUB__TRY(tub__head_files_put(&l->files, &l->shape, layer, &range, false, l->p, l->err));
        if (l->dp) {
            tub__pass_heads(l->pass, layer, &range, true, TUB_F32, l->dp);
            TUB__TRY(tub__head_files_put(&l->files, &l->shape, layer, &range, true, l->dp, l->err));
        }
        if (counts) {
            add_heads(l, tower, &range, share);
        }
    }
    return TUB_OK;
}

/* What the row becomes: with rollout 1/2 (A + I), whose rows have the sum 1 as those of A; with
 * gradients I + A; else A. */
static void close_row(look *l, size_t tower) {
    const size_t n = tub__tower_rows(&l->shape.tower[tower]);
    const tub_explain_method method = options_of(l)->method;
    double *row = l->row[tower];
    for (size_t i = 0; i < n; i++) {
        row[i] = method == TUB_EXPLAIN_ATTENTION ? l->next[i]
                 : method == TUB_EXPLAIN_ROLLOUT ? (row[i] + l->next[i]) / 2
                                                 : row[i] + l->next[i];
    }
}

static tub_status go_through_attention(look *l, size_t tower, size_t layer, size_t attention) {
    const tub__tower_shape *s = &l->shape.tower[tower];
    const bool layer_does = layer_counts(l, tower, layer - s->first);
    const double share = share_of(l, tower, attention);
    bool any = false;
    memset(l->next, 0, tub__tower_rows(s) * sizeof *l->next);
    for (size_t part = 0; part < s->parts; part++) {
        const size_t number = attention * s->parts + part;
        const bool counts = layer_does && part_counts(l, tower, number);
        any = any || counts;
        TUB__TRY(go_through_part(l, tower, layer, number, counts, share));
    }
    if (any) {
        close_row(l, tower);
    }
    return TUB_OK;
}

/* ---- from tower to tower ---- */

/* What of the row came to a token of the first tower on the way: with gradients without what was
 * there to begin with, which tells nothing of it. */
static double gained(const look *l, size_t i) {
    const bool gradients = options_of(l)->method == TUB_EXPLAIN_GRADIENT_ROLLOUT;
    return l->row[0][i] - (gradients ? l->begin[0][i] : 0);
}

/* Tokens of a sequence without its class token. */
static size_t tokens_of(const tub__tower_shape *s) {
    return s->tokens - s->class_token;
}

/* The first tower's sequences count as much as their tokens in the second one do: as they are there
 * in the end, and for what the row began with, as they began. So row and begin are those of one
 * network of both. */
static void weight_sequences(look *l) {
    const tub__tower_shape *first = &l->shape.tower[0], *second = &l->shape.tower[1];
    const bool counts = l->shape.towers > 1 && tower_counts(l, 1);
    for (size_t s = 0; s < first->sequences; s++) {
        const size_t token = s + second->class_token;
        const double even = 1 / (double)first->sequences;
        for (size_t i = s * first->tokens; i < (s + 1) * first->tokens; i++) {
            l->row[0][i] *= counts ? l->row[1][token] : even;
            l->begin[0][i] *= counts ? l->begin[1][token] : even;
        }
    }
}

static void on_layer(void *user, size_t layer) {
    look *l = user;
    const size_t tower = tub__variant_tower_of(&l->shape, layer);
    const tub__tower_shape *s = &l->shape.tower[tower];
    for (size_t i = s->attentions; i-- > 0 && l->status == TUB_OK;) {
        l->status = go_through_attention(l, tower, layer, i);
    }
    if (tower == 1 && layer == s->first) {
        weight_sequences(l);
    }
    const size_t layers = tub__variant_layers(&l->shape);
    tub__explain_tell(l->q->model, layers - layer, layers);
    if (l->status == TUB_OK) {
        l->status = tub__explain_go_on(l->q->model, l->err);
    }
}

/* ---- beginning and end ---- */

/* The shares of a tower's tokens in what each of its sequences pools: by the gradient of that, the
 * mean over the columns. Of a class token its own, of a mean equal ones, of a maximum the columns
 * that a token wins. */
static tub_status begin_tower(look *l, size_t tower, tub_error *err) {
    const tub_allocator *a = &l->q->model->context->allocator;
    const tub__tower_shape *s = &l->shape.tower[tower];
    const size_t n = tub__tower_rows(s), width = (size_t)l->q->model->config.hidden;
    float *slopes;
    TUB__TRY(tub__alloc_array(a, 2 * n, sizeof *l->row[0], (void **)&l->row[tower], err));
    l->begin[tower] = l->row[tower] + n;
    TUB__TRY(tub__alloc_array(a, n, width * sizeof *slopes, (void **)&slopes, err));
    tub__pass_pooling(l->pass, tower, TUB_F32, slopes);
    for (size_t k = 0; k < s->sequences; k++) {
        double *row = l->row[tower] + k * s->tokens, all = 0;
        for (size_t i = 0; i < s->tokens; i++) {
            const float *from = slopes + (k * s->tokens + i) * width;
            for (size_t c = 0; c < width; c++) {
                row[i] += (double)from[c];
            }
            all += row[i];
        }
        for (size_t i = 0; i < s->tokens; i++) {
            row[i] /= all;
        }
    }
    memcpy(l->begin[tower], l->row[tower], n * sizeof *l->row[0]);
    tub__free(a, slopes);
    return TUB_OK;
}

/* PREFIX-pooling, -pooling-time: the rows as they begin. */
static tub_status write_pooling(const look *l, size_t tower, tub_error *err) {
    const tub_allocator *a = &l->q->model->context->allocator;
    const tub__tower_shape *s = &l->shape.tower[tower];
    const uint64_t shape[] = {s->sequences, s->tokens};
    const size_t n = tub__tower_rows(s);
    float *values;
    TUB__TRY(tub__alloc_array(a, n, sizeof *values, (void **)&values, err));
    for (size_t i = 0; i < n; i++) {
        values[i] = (float)l->row[tower][i];
    }
    const tub_status status =
        tub__raw_write(l->q->raws, tower == 0 ? "pooling" : "pooling-time", 2, shape, values, err);
    tub__free(a, values);
    return status;
}

static void fill_cells(const look *l) {
    const tub__tower_shape *s = &l->shape.tower[0];
    const bool counts = tower_counts(l, 0);
    float *cells = l->q->out->cells;
    for (size_t k = 0; k < s->sequences; k++) {
        const size_t first = k * s->tokens + s->class_token;
        double sequence = 0; /* where no token of the tower counts more than another */
        for (size_t i = k * s->tokens; i < (k + 1) * s->tokens; i++) {
            sequence += gained(l, i);
        }
        for (size_t i = 0; i < tokens_of(s); i++) {
            *cells++ = (float)(counts ? gained(l, first + i) : sequence / (double)tokens_of(s));
        }
    }
}

static tub_status finish(const look *l, tub_error *err) {
    const tub_allocator *a = &l->q->model->context->allocator;
    tub_explanation *e = l->q->out;
    tub__cells cells;
    TUB__TRY(tub__cells_of_model(l->q->model, &cells, err));
    const uint64_t shape[] = {cells.grid[0], cells.grid[1], cells.grid[2]};
    for (int i = 0; i < 3; i++) {
        e->grid[i] = (int64_t)cells.grid[i];
    }
    tub_status status =
        tub__alloc_array(a, tub__cells_count(&cells), sizeof *e->cells, (void **)&e->cells, err);
    if (status == TUB_OK) {
        fill_cells(l);
        status = tub__cells_spread(a, &cells, options_of(l)->upsampling, e->cells, e->map, err);
    }
    if (status == TUB_OK) {
        status = tub__raw_write(l->q->raws, "cells", 3, shape, e->cells, err);
    }
    tub__cells_free(a, &cells);
    return status;
}

static tub_status prepare(look *l, bool gradients, tub_error *err) {
    tub_model *m = l->q->model;
    const tub_allocator *a = &m->context->allocator;
    tub__pass_config config = {.batch = 1, .training = true, .frozen = true, .watch = true};
    TUB__TRY(tub__explain_fit(m, 1, &config, err));
    TUB__TRY(tub__pass_create(m, &config, &l->pass, err));
    const size_t room = tub__pass_heads_room(l->pass);
    TUB__TRY(tub__alloc_array(a, room, sizeof *l->p, (void **)&l->p, err));
    if (gradients) {
        TUB__TRY(tub__alloc_array(a, room, sizeof *l->dp, (void **)&l->dp, err));
    }
    size_t most = 0;
    for (size_t i = 0; i < l->shape.towers; i++) {
        const size_t n = tub__tower_rows(&l->shape.tower[i]);
        most = n > most ? n : most;
    }
    TUB__TRY(tub__alloc_array(a, most, sizeof *l->next, (void **)&l->next, err));
    return tub__head_files_open(l->q, gradients, &l->files, err);
}

static tub_status work(look *l, tub_error *err) {
    const bool gradients = options_of(l)->method == TUB_EXPLAIN_GRADIENT_ROLLOUT;
    TUB__TRY(prepare(l, gradients, err));
    tub__pass_forward(l->pass, 1, TUB_F32, l->q->x, NULL);
    for (size_t i = 0; i < l->shape.towers && l->shape.tower[i].layers > 0; i++) {
        TUB__TRY(begin_tower(l, i, err));
        TUB__TRY(write_pooling(l, i, err));
    }
    if (l->shape.towers == 1 || l->shape.tower[1].layers == 0) {
        weight_sequences(l);
    }
    if (gradients) {
        tub__pass_aim(l->pass, (size_t)l->q->out->target);
    }
    tub__pass_watch(l->pass, gradients, (tub__watch){on_layer, l});
    TUB__TRY(l->status);
    return finish(l, err);
}

tub_status tub__explain_by_attention(tub__question *q, tub_error *err) {
    const tub_allocator *a = &q->model->context->allocator;
    look l = {.q = q, .shape = tub__variant_shape_of(&q->model->config), .err = err};
    const tub_status status = work(&l, err);
    tub__pass_destroy(l.pass);
    for (int i = 0; i < TUB__TOWERS; i++) {
        tub__free(a, l.row[i]);
    }
    tub__free(a, l.next);
    tub__free(a, l.dp);
    tub__free(a, l.p);
    return status;
}
