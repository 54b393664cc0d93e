/* SPDX-License-Identifier: Apache-2.0 */
/* Laying out a pass: which memory each layer's parameters, gradients and activations are.
 *
 * The same code measures and places: with a measuring arena all addresses are NULL and only the
 * sizes count. In training every block keeps its own activations, or only what enters it, when the
 * rest is computed again in the backward pass: then all blocks share one set of that. In inference
 * they share everything, and what is dead is written over. */
#include "model/pass.h"

typedef struct plan {
    tub__pass *pass;
    tub__arena *arena;
    size_t rows; /* M = batch * tokens */
    bool training;
} plan;

static tub__mat take_mat(const plan *p, size_t rows, size_t cols) {
    const size_t ld = tub__padded(cols);
    return (tub__mat){tub__arena_take(p->arena, rows, ld * p->pass->be->real_size), rows, cols, ld};
}

static void *take_vector(const plan *p, size_t n) {
    return tub__arena_take(p->arena, n, p->pass->be->real_size);
}

static tub__mat take_training(const plan *p, size_t rows, size_t cols) {
    return p->training ? take_mat(p, rows, cols) : TUB__NO_MAT;
}

/* ---- parameters ---- */

static const tub__param *find(const plan *p, tub__role role, int layer) {
    return tub__params_find(&p->pass->model->params, role, layer);
}

static void *value_of(const plan *p, const tub__param *param) {
    return tub__param_mat(p->pass->be, param, p->pass->model->weights).data;
}

static void *gradient_of(const plan *p, const tub__param *param) {
    return p->training ? tub__param_mat(p->pass->be, param, p->pass->gradients).data : NULL;
}

static tub__dense dense(const plan *p, tub__role kernel, tub__role bias, int layer) {
    const tub_model *model = p->pass->model;
    const tub__param *w = find(p, kernel, layer), *b = find(p, bias, layer);
    tub__dense d = {0};
    (void)tub__model_factor(model, w, &d.w);
    if (b) {
        d.bias = value_of(p, b);
        d.dbias = gradient_of(p, b);
    }
    d.dw = (tub__weight){.data = gradient_of(p, w), .rows = d.w.rows, .cols = d.w.cols};
    return d;
}

static tub__layer_norm norm(const plan *p, tub__role gamma, tub__role beta, int layer,
                            void *workspace) {
    const tub__param *g = find(p, gamma, layer), *b = find(p, beta, layer);
    tub__layer_norm n = {.gamma = value_of(p, g),
                         .beta = value_of(p, b),
                         .dgamma = gradient_of(p, g),
                         .dbeta = gradient_of(p, b),
                         .epsilon = p->pass->model->config.norm_epsilon,
                         .workspace = workspace};
    return n;
}

static void take_statistics(const plan *p, tub__layer_norm *n) {
    if (p->training) {
        n->mean = take_vector(p, p->rows);
        n->inverse = take_vector(p, p->rows);
    }
}

/* ---- blocks ---- */

/* What backward passes write and read at once: one set for all blocks. */
typedef struct shared {
    void *workspace[2]; /* of a block's two norms */
    tub__mat dqkv, d_o, dhidden, dout;
    /* In inference, where nothing is kept: rows that hold query, key and value, and later the
     * MLP's hidden numbers. Of short sequences there are two sets, with which blocks take turns:
     * then one worker may be a block ahead of another. The tubelets' voxels are where the first
     * block's hidden numbers come. */
    tub__mat rows[2];
} shared;

static tub__mat mat_at(void *data, size_t rows, size_t cols) {
    return (tub__mat){data, rows, cols, tub__padded(cols)};
}

static size_t tubelets(const tub__pass *pass) {
    return pass->config.batch * tub__geometry_tokens(&pass->model->geometry);
}

static size_t largest(size_t a, size_t b) {
    return a > b ? a : b;
}

static void take_rows(const plan *p, shared *s) {
    const tub_model_config *c = &p->pass->model->config;
    const size_t voxels = tub__padded(tub__geometry_row(&p->pass->model->geometry)),
                 cols = largest(3 * tub__padded((size_t)c->hidden), tub__padded((size_t)c->mlp));
    /* An odd number of panels: rows a power of two apart would share few places of a cache. */
    const size_t ld = (cols / TUB__PANEL | 1) * TUB__PANEL, size = p->rows * ld,
                 before = tubelets(p->pass) * voxels;
    s->rows[1] = (tub__mat){take_vector(p, largest(size, before)), p->rows, ld, ld};
    s->rows[0] = s->rows[1];
    if (p->pass->tokens <= TUB__SHORT) {
        s->rows[0].data = take_vector(p, size);
    }
}

/* The first columns of a set of rows. */
static tub__mat shared_rows(const shared *s, int set, size_t cols) {
    tub__mat m = s->rows[set % 2];
    m.cols = cols;
    return m;
}

static shared take_shared(const plan *p) {
    const tub_model_config *c = &p->pass->model->config;
    const size_t width = (size_t)c->hidden;
    const size_t groups = (p->pass->config.batch + TUB__GROUP - 1) / TUB__GROUP;
    shared s = {0};
    if (p->training) {
        s.workspace[0] = take_vector(p, groups * 2 * tub__padded(width));
        s.workspace[1] = take_vector(p, groups * 2 * tub__padded(width));
        s.dqkv = take_mat(p, p->rows, 3 * tub__padded(width));
        s.d_o = take_mat(p, p->rows, width);
        s.dhidden = take_mat(p, p->rows, (size_t)c->mlp);
        s.dout = c->mlp_output_gelu ? take_mat(p, p->rows, width) : TUB__NO_MAT;
    } else {
        take_rows(p, &s);
    }
    return s;
}

/* What the backward pass of a block needs beside what entered it. */
static void kept_activations(const plan *p, tub__block *b) {
    const tub_model_config *c = &p->pass->model->config;
    const size_t width = (size_t)c->hidden, m = p->rows;
    take_statistics(p, &b->norm1);
    take_statistics(p, &b->norm2);
    b->attention.qkv_rows = take_mat(p, m, 3 * tub__padded(width));
    b->attention.o = take_mat(p, m, width);
    b->middle = take_mat(p, m, width);
    b->mlp.hidden_slope = take_mat(p, m, (size_t)c->mlp);
    b->mlp.hidden = take_mat(p, m, (size_t)c->mlp);
    b->mlp.output_slope = c->mlp_output_gelu ? take_mat(p, m, width) : TUB__NO_MAT;
    b->attention.stats = take_vector(p, m * (size_t)c->heads * TUB__ATTENTION_STATS);
}

/* The same in the first block's place, where they stay only until the next block comes. */
static void borrowed_activations(const tub__block *first, tub__block *b) {
    b->norm1.mean = first->norm1.mean, b->norm1.inverse = first->norm1.inverse;
    b->norm2.mean = first->norm2.mean, b->norm2.inverse = first->norm2.inverse;
    b->attention.qkv_rows = first->attention.qkv_rows;
    b->attention.o = first->attention.o;
    b->attention.stats = first->attention.stats;
    b->middle = first->middle;
    b->mlp.hidden_slope = first->mlp.hidden_slope;
    b->mlp.hidden = first->mlp.hidden;
    b->mlp.output_slope = first->mlp.output_slope;
}

static void training_activations(const plan *p, int layer, tub__block *b) {
    b->x = take_mat(p, p->rows, (size_t)p->pass->model->config.hidden);
    if (p->pass->config.recompute && layer > 0) {
        borrowed_activations(p->pass->blocks, b);
    } else {
        kept_activations(p, b);
    }
}

static void shared_activations(const plan *p, const shared *s, int layer, tub__block *b) {
    const tub_model_config *c = &p->pass->model->config;
    const size_t width = (size_t)c->hidden;
    b->x = layer > 0 ? b[-1].x : take_mat(p, p->rows, width);
    b->middle = layer > 0 ? b[-1].middle : take_mat(p, p->rows, width);
    b->attention.o = p->pass->normed1;
    b->attention.qkv_rows = shared_rows(s, layer, 3 * tub__padded(width));
    b->mlp.hidden = shared_rows(s, layer + 1, (size_t)c->mlp);
}

static void block(const plan *p, int layer, const shared *s) {
    const tub_model_config *c = &p->pass->model->config;
    tub__block *b = &p->pass->blocks[layer];
    b->norm1 = norm(p, TUB__NORM1_GAMMA, TUB__NORM1_BETA, layer, s->workspace[0]);
    b->norm2 = norm(p, TUB__NORM2_GAMMA, TUB__NORM2_BETA, layer, s->workspace[1]);
    b->attention = (tub__attention_layer){
        .qkv = dense(p, TUB__QUERY_KERNEL, TUB__QUERY_BIAS, layer),
        .out = dense(p, TUB__OUT_KERNEL, TUB__OUT_BIAS, layer),
        .width = (size_t)c->hidden,
        .heads = (size_t)c->heads,
        .number = (uint32_t)layer,
        .dqkv = s->dqkv,
        .d_o = s->d_o,
    };
    b->mlp = (tub__mlp){
        .first = dense(p, TUB__MLP1_KERNEL, TUB__MLP1_BIAS, layer),
        .second = dense(p, TUB__MLP2_KERNEL, TUB__MLP2_BIAS, layer),
        .activation = c->gelu == TUB_GELU_ERF ? TUB__GELU_ERF : TUB__GELU_TANH,
        .output_activation = c->mlp_output_gelu != 0,
        .dhidden = s->dhidden,
        .dout = s->dout,
    };
    if (p->training) {
        training_activations(p, layer, b);
    } else {
        shared_activations(p, s, layer, b);
    }
}

/* ---- ends ---- */

static void embedding(const plan *p, const shared *s) {
    tub__pass *pass = p->pass;
    const tub_model_config *c = &pass->model->config;
    const tub__param *token = find(p, TUB__CLASS_TOKEN, -1), *position = find(p, TUB__POSITION, -1);
    const size_t count = tubelets(pass);
    const size_t row = tub__geometry_row(&pass->model->geometry), width = (size_t)c->hidden;
    tub__embedding *e = &pass->embedding;
    *e = (tub__embedding){.geometry = pass->model->geometry,
                          .multiply = c->input_scale == TUB_SCALE_MULTIPLY,
                          .projection = dense(p, TUB__EMBED_KERNEL, TUB__EMBED_BIAS, -1),
                          .position = tub__param_mat(pass->be, position, pass->model->weights)};
    e->dposition = e->position;
    e->dposition.data = gradient_of(p, position);
    e->rows = p->training ? take_mat(p, count, row) : mat_at(s->rows[1].data, count, row);
    if (token) {
        e->class_token = value_of(p, token);
        e->dclass_token = gradient_of(p, token);
        e->bare =
            p->training ? take_mat(p, count, width) : mat_at(pass->normed1.data, count, width);
        e->dbare = take_training(p, count, width);
    }
    if (p->training && pass->config.input_gradient) {
        e->drows = take_mat(p, count, row);
        e->dinput =
            tub__arena_take(p->arena, pass->config.batch,
                            tub__geometry_voxels(&pass->model->geometry) * pass->be->real_size);
    }
}

static void head(const plan *p, const shared *s) {
    tub__pass *pass = p->pass;
    const tub_model_config *c = &pass->model->config;
    const size_t batch = pass->config.batch, width = (size_t)c->hidden,
                 classes = (size_t)c->classes;
    tub__head *h = &pass->head;
    *h = (tub__head){.norm = norm(p, TUB__NORM_GAMMA, TUB__NORM_BETA, -1, s->workspace[0]),
                     .pooling = c->pooling,
                     .classifier = dense(p, TUB__HEAD_KERNEL, TUB__HEAD_BIAS, -1)};
    take_statistics(p, &h->norm);
    pass->end = p->training ? take_mat(p, p->rows, width) : pass->blocks[0].x;
    h->normed = pass->normed1;
    h->pooled = take_mat(p, batch, width);
    h->logits = take_mat(p, batch, classes);
    pass->probabilities = take_mat(p, batch, classes);
    pass->losses = take_vector(p, batch);
    if (p->training) {
        h->dlogits = take_mat(p, batch, classes);
        h->dpooled = take_mat(p, batch, width);
        pass->dnormed = take_mat(p, p->rows, width);
        pass->dmiddle = take_mat(p, p->rows, width);
        pass->dtokens[0] = take_mat(p, p->rows, width);
        pass->dtokens[1] = take_mat(p, p->rows, width);
        h->dnormed = pass->dnormed;
    }
}

void tub__pass_layout(tub__pass *pass, tub__arena *arena) {
    const plan p = {.pass = pass,
                    .arena = arena,
                    .rows = pass->config.batch * pass->tokens,
                    .training = pass->config.training};
    const shared s = take_shared(&p);
    pass->normed1 = take_mat(&p, p.rows, (size_t)pass->model->config.hidden);
    pass->normed2 = take_training(&p, p.rows, (size_t)pass->model->config.hidden);
    embedding(&p, &s);
    for (int l = 0; l < (int)pass->model->config.layers; l++) {
        block(&p, l, &s);
    }
    head(&p, &s);
}
