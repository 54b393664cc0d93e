/* SPDX-License-Identifier: Apache-2.0 */
/* Laying out a pass: which memory each layer's parameters, gradients and activations are.
 *
 * The same code measures and places: with a measuring arena all addresses are NULL and only the
 * sizes count. In training every block keeps its own activations, or only what enters it, when the
 * rest is computed again in the backward pass: then all blocks share one set of that. In inference
 * they share everything, and what is dead is written over. */
#include "model/plan.h"

static tub__layer_norm norm(const tub__plan *p, tub__role gamma, tub__role beta, int layer,
                            void *workspace) {
    const tub__param *g = tub__plan_find(p, gamma, layer), *b = tub__plan_find(p, beta, layer);
    tub__layer_norm n = {.gamma = tub__plan_value(p, g),
                         .beta = tub__plan_value(p, b),
                         .dgamma = tub__plan_norm_gradient(p, g),
                         .dbeta = tub__plan_norm_gradient(p, b),
                         .epsilon = p->pass->model->config.norm_epsilon,
                         .workspace = workspace};
    return n;
}

static void take_statistics(const tub__plan *p, tub__layer_norm *n) {
    if (p->training) {
        n->mean = tub__plan_vector(p, p->rows);
        n->inverse = tub__plan_vector(p, p->rows);
    }
}

/* ---- blocks ---- */

/* What backward passes write and read at once: one set for all blocks. */
typedef struct shared {
    void *workspace[TUB__ATTENTIONS + 1]; /* of a block's norms */
    tub__mat dqkv[TUB__ATTENTIONS], dhidden, dout;
    tub__mat d_o[TUB__ATTENTIONS]; /* the same one, unless somebody looks at them afterwards */
    tub__mat dattention[TUB__ATTENTIONS]; /* with drops only */
    /* In inference, where nothing is kept: rows that hold query, key and value, and later the
     * MLP's hidden numbers. Of short sequences there are two sets, with which attentions take turns:
     * then one worker may be an attention ahead of another. The tubelets' voxels are in the set
     * that the first attention does not have. */
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

static bool is_first(const tub__plan *p) {
    return p->tower == p->pass->tower;
}

/* Whether the tower at hand is made of tubelets. */
static bool has_embedding(const tub__plan *p) {
    return is_first(p) && p->pass->model->config.family == TUB_FAMILY_VIVIT;
}

static void take_rows(const tub__plan *p, shared *s) {
    const tub_model_config *c = &p->pass->model->config;
    const size_t voxels = tub__padded(tub__geometry_row(&p->pass->model->geometry)),
                 cols = largest(3 * tub__padded((size_t)c->hidden), tub__padded((size_t)c->mlp));
    /* An odd number of panels: rows a power of two apart would share few places of a cache. */
    const size_t ld = (cols / TUB__PANEL | 1) * TUB__PANEL, size = p->rows * ld,
                 before = has_embedding(p) ? tubelets(p->pass) * voxels : 0;
    s->rows[1] = (tub__mat){tub__plan_vector(p, largest(size, before)), p->rows, ld, ld};
    s->rows[0] = s->rows[1];
    if (tub__tower_rows(&p->tower->shape) <= TUB__SHORT) {
        s->rows[0].data = tub__plan_vector(p, size);
    }
}

/* The first columns of a set of rows. */
static tub__mat shared_rows(const shared *s, size_t set, size_t cols) {
    tub__mat m = s->rows[set % 2];
    m.cols = cols;
    return m;
}

static shared take_shared(const tub__plan *p) {
    const tub_model_config *c = &p->pass->model->config;
    const size_t width = (size_t)c->hidden;
    const size_t groups = (p->pass->config.batch + TUB__GROUP - 1) / TUB__GROUP;
    shared s = {0};
    if (p->training) {
        const size_t attentions = p->tower->shape.attentions;
        for (size_t i = 0; i <= attentions; i++) {
            s.workspace[i] = tub__plan_vector(p, groups * 2 * tub__padded(width));
        }
        for (size_t i = 0; i < attentions; i++) {
            s.dqkv[i] = tub__plan_mat(p, p->rows, 3 * tub__padded(width));
        }
        for (size_t i = 0; i < attentions; i++) {
            s.d_o[i] =
                i > 0 && !p->pass->config.watch ? s.d_o[0] : tub__plan_mat(p, p->rows, width);
        }
        s.dhidden = tub__plan_mat(p, p->rows, (size_t)c->mlp);
        s.dout = c->mlp_output_gelu || c->mlp_dropout > 0 || c->drop_layer > 0
                     ? tub__plan_mat(p, p->rows, width)
                     : TUB__NO_MAT;
        for (size_t i = 0; i < attentions && (c->dropout > 0 || c->drop_layer > 0); i++) {
            s.dattention[i] = tub__plan_mat(p, p->rows, width);
        }
    } else {
        take_rows(p, &s);
    }
    return s;
}

/* What the backward pass of a block needs beside what entered it. */
static void kept_activations(const tub__plan *p, tub__block *b) {
    const tub_model_config *c = &p->pass->model->config;
    const size_t width = (size_t)c->hidden, m = p->rows;
    for (size_t i = 0; i < b->attentions; i++) {
        b->attention[i].qkv_rows = tub__plan_mat(p, m, 3 * tub__padded(width));
        b->attention[i].o = tub__plan_mat(p, m, width);
        b->attention[i].stats = tub__plan_vector(p, m * (size_t)c->heads * TUB__ATTENTION_STATS);
        b->x[i + 1] = tub__plan_mat(p, m, width);
    }
    for (size_t i = 0; i <= b->attentions; i++) {
        take_statistics(p, &b->norm[i]);
    }
    b->mlp.hidden_slope = tub__plan_mat(p, m, (size_t)c->mlp);
    b->mlp.hidden = tub__plan_mat(p, m, (size_t)c->mlp);
    b->mlp.output_slope = c->mlp_output_gelu ? tub__plan_mat(p, m, width) : TUB__NO_MAT;
}

/* The same in the first block's place, where they stay only until the next block comes. */
static void borrowed_activations(const tub__block *first, tub__block *b) {
    for (size_t i = 0; i < b->attentions; i++) {
        b->attention[i].qkv_rows = first->attention[i].qkv_rows;
        b->attention[i].o = first->attention[i].o;
        b->attention[i].stats = first->attention[i].stats;
        b->x[i + 1] = first->x[i + 1];
    }
    for (size_t i = 0; i <= b->attentions; i++) {
        b->norm[i].mean = first->norm[i].mean;
        b->norm[i].inverse = first->norm[i].inverse;
    }
    b->mlp.hidden_slope = first->mlp.hidden_slope;
    b->mlp.hidden = first->mlp.hidden;
    b->mlp.output_slope = first->mlp.output_slope;
}

static void training_activations(const tub__plan *p, size_t number, tub__block *b) {
    b->x[0] = tub__plan_mat(p, p->rows, (size_t)p->pass->model->config.hidden);
    if (p->pass->config.recompute && number > 0) {
        borrowed_activations(p->tower->blocks, b);
    } else {
        kept_activations(p, b);
    }
}

static void shared_activations(const tub__plan *p, const shared *s, size_t layer, tub__block *b) {
    const tub_model_config *c = &p->pass->model->config;
    const size_t width = (size_t)c->hidden;
    for (size_t i = 0; i <= b->attentions; i++) {
        b->x[i] = layer > 0 ? b[-1].x[i] : tub__plan_mat(p, p->rows, width);
    }
    const size_t first = layer * b->attentions; /* number of the block's first attention */
    for (size_t i = 0; i < b->attentions; i++) {
        b->attention[i].o = p->tower->normed[0];
        b->attention[i].qkv_rows = shared_rows(s, first + i, 3 * tub__padded(width));
    }
    b->mlp.hidden = shared_rows(s, first + b->attentions, (size_t)c->mlp);
}

/* Of a branch of block `number` of the tower; the rate of elements differs. Two attentions in a block
 * are always there, and so is their MLP, as in scenic. */
static tub__drops branch_drops(const tub__plan *p, double rate, size_t number) {
    const tub_model_config *c = &p->pass->model->config;
    const tub__tower_shape *shape = &p->tower->shape;
    const bool depth = shape->layers > 1 && shape->attentions == 1;
    return (tub__drops){
        .rate = rate,
        .layer_rate = depth ? c->drop_layer * (double)number / (double)(shape->layers - 1) : 0.0,
        .rescale = c->drop_layer_rescale != 0,
        .block = (uint32_t)(shape->first + number)};
}

static void attention(const tub__plan *p, int layer, size_t i, const shared *s, tub__block *b) {
    enum { TO_BIAS = 1, TO_BETA = 1, TO_OUT = TUB__OUT_KERNEL - TUB__QUERY_KERNEL };
    const tub_model_config *c = &p->pass->model->config;
    const tub__tower_shape *shape = &p->tower->shape;
    const tub__attention_roles r = tub__params_attention(c, i);
    const tub__role out = (tub__role)(r.query + TO_OUT);
    b->norm[i] = norm(p, r.norm, (tub__role)(r.norm + TO_BETA), layer, s->workspace[i]);
    b->attention[i] = (tub__attention_layer){
        .qkv = tub__plan_dense(p, r.query, (tub__role)(r.query + TO_BIAS), layer),
        .out = tub__plan_dense(p, out, (tub__role)(out + TO_BIAS), layer),
        .width = (size_t)c->hidden,
        .heads = (size_t)c->heads,
        .patterns = &shape->pattern[i * shape->parts],
        .parts = shape->parts,
        .number = (uint32_t)((size_t)layer * shape->attentions * shape->parts + i),
        .drops = branch_drops(p, c->dropout, (size_t)layer - shape->first),
        .dqkv = s->dqkv[i],
        .d_o = s->d_o[i],
        .dout = s->dattention[i],
    };
}

static void block(const tub__plan *p, size_t number, const shared *s) {
    const tub_model_config *c = &p->pass->model->config;
    const int layer = (int)(p->tower->shape.first + number);
    tub__block *b = &p->tower->blocks[number];
    const size_t n = p->tower->shape.attentions;
    b->attentions = n;
    for (size_t i = 0; i < n; i++) {
        attention(p, layer, i, s, b);
    }
    b->norm[n] = norm(p, TUB__NORM2_GAMMA, TUB__NORM2_BETA, layer, s->workspace[n]);
    b->mlp = (tub__mlp){
        .first = tub__plan_dense(p, TUB__MLP1_KERNEL, TUB__MLP1_BIAS, layer),
        .second = tub__plan_dense(p, TUB__MLP2_KERNEL, TUB__MLP2_BIAS, layer),
        .activation = c->gelu == TUB_GELU_ERF ? TUB__GELU_ERF : TUB__GELU_TANH,
        .output_activation = c->mlp_output_gelu != 0,
        .number = (uint32_t)layer,
        .drops = branch_drops(p, c->mlp_dropout, number),
        .dhidden = s->dhidden,
        .dout = s->dout,
    };
    if (p->training) {
        training_activations(p, number, b);
    } else {
        shared_activations(p, s, number, b);
    }
}

/* ---- ends ---- */

/* Class token and positions of the tower at hand. */
static tub__positions positions(const tub__plan *p, tub__role token_role, tub__role position_role) {
    tub__pass *pass = p->pass;
    const tub__param *token = tub__plan_find(p, token_role, -1),
                     *position = tub__plan_find(p, position_role, -1);
    tub__positions out = {.sequences = p->tower->shape.sequences,
                          .drops = {.rate = pass->model->config.dropout},
                          .number = (uint32_t)(p->tower - pass->tower)};
    if (position) {
        out.position = tub__param_mat(pass->be, position, pass->model->weights);
        out.dposition = tub__plan_gradient(p, position);
    } else {
        out.position = tub__model_sinusoids(pass->model, (size_t)(p->tower - pass->tower));
    }
    if (token) {
        out.class_token = tub__plan_value(p, token);
        out.dclass_token = tub__plan_gradient(p, token);
    }
    return out;
}

static void embedding(const tub__plan *p, const shared *s) {
    tub__pass *pass = p->pass;
    const tub_model_config *c = &pass->model->config;
    const size_t count = tubelets(pass);
    const size_t row = tub__geometry_row(&pass->model->geometry), width = (size_t)c->hidden;
    tub__embedding *e = &pass->embedding;
    *e = (tub__embedding){.geometry = pass->model->geometry,
                          .multiply = c->input_scale == TUB_SCALE_MULTIPLY,
                          .projection = tub__plan_dense(p, TUB__EMBED_KERNEL, TUB__EMBED_BIAS, -1),
                          .positions = positions(p, TUB__CLASS_TOKEN, TUB__POSITION)};
    e->rows = p->training ? tub__plan_mat(p, count, row) : mat_at(s->rows[1].data, count, row);
    if (p->tower->shape.class_token) {
        e->bare = p->training ? tub__plan_mat(p, count, width)
                              : mat_at(p->tower->normed[0].data, count, width);
        e->dbare = tub__plan_training(p, count, width);
    }
    if (p->training && pass->config.input_gradient) {
        e->drows = tub__plan_mat(p, count, row);
        e->dinput =
            tub__arena_take(p->arena, pass->config.batch,
                            tub__geometry_voxels(&pass->model->geometry) * pass->be->real_size);
    }
}

/* What the tower at hand pools of its sequences. A tower without layers has no norm, and its mean is
 * of the rows that it gets. */
static void pooler(const tub__plan *p, const shared *s) {
    const tub_model_config *c = &p->pass->model->config;
    tub__tower *t = p->tower;
    const size_t rows = p->pass->config.batch * t->shape.sequences, width = (size_t)c->hidden;
    const bool first = is_first(p);
    t->pooler = (tub__pooler){.bare = t->shape.layers == 0,
                              .pooling = t->shape.layers == 0 ? TUB_POOL_MEAN : c->pooling,
                              .sequences = t->shape.sequences,
                              .normed = t->normed[0],
                              .dnormed = t->dnormed,
                              .pooled = tub__plan_mat(p, rows, width),
                              .dpooled = tub__plan_training(p, rows, width)};
    if (!t->pooler.bare) {
        const tub__role gamma = first ? TUB__NORM_GAMMA : TUB__TEMPORAL_NORM_GAMMA;
        t->pooler.norm = norm(p, gamma, (tub__role)(gamma + 1), -1, s->workspace[0]);
        take_statistics(p, &t->pooler.norm);
    }
}

static void gradients_between(const tub__plan *p) {
    const size_t width = (size_t)p->pass->model->config.hidden;
    tub__tower *t = p->tower;
    for (int i = 0; i < 2; i++) {
        t->dtokens[i] = tub__plan_mat(p, p->rows, width);
    }
    t->dnormed = tub__plan_mat(p, p->rows, width);
    for (size_t i = 0; i < t->shape.attentions; i++) {
        t->dmiddle[i] = tub__plan_mat(p, p->rows, width);
    }
}

/* Blocks of the tower at hand, and what is around them. */
static void tower(const tub__plan *p) {
    tub__pass *pass = p->pass;
    tub__tower *t = p->tower;
    const size_t width = (size_t)pass->model->config.hidden;
    if (t->shape.layers == 0) {
        t->end = (t - 1)->pooler.pooled;
        pooler(p, NULL);
        return;
    }
    t->recompute = pass->config.recompute;
    if (p->training) {
        gradients_between(p);
    }
    const shared s = take_shared(p);
    t->normed[0] = tub__plan_mat(p, p->rows, width);
    for (size_t i = 1; i <= t->shape.attentions; i++) {
        t->normed[i] = tub__plan_training(p, p->rows, width);
    }
    if (has_embedding(p)) {
        embedding(p, &s);
    } else if (is_first(p)) {
        t->positions = positions(p, TUB__CLASS_TOKEN, TUB__POSITION);
    } else {
        t->positions = positions(p, TUB__TEMPORAL_CLASS_TOKEN, TUB__TEMPORAL_POSITION);
    }
    for (size_t l = 0; l < t->shape.layers; l++) {
        block(p, l, &s);
    }
    t->end = p->training ? tub__plan_mat(p, p->rows, width) : t->blocks[0].x[0];
    pooler(p, &s);
}

static void head(const tub__plan *p) {
    tub__pass *pass = p->pass;
    const tub_model_config *c = &pass->model->config;
    const size_t batch = pass->config.batch, classes = (size_t)c->classes,
                 features = (size_t)c->representation;
    tub__head *h = &pass->head;
    *h = (tub__head){.classifier = tub__plan_dense(p, TUB__HEAD_KERNEL, TUB__HEAD_BIAS, -1),
                     .logits = tub__plan_mat(p, batch, classes),
                     .dlogits = tub__plan_training(p, batch, classes)};
    if (features > 0) {
        h->representation =
            tub__plan_dense(p, TUB__REPRESENTATION_KERNEL, TUB__REPRESENTATION_BIAS, -1);
        h->represented = tub__plan_mat(p, batch, features);
        h->drepresented = tub__plan_training(p, batch, features);
        h->slope = tub__plan_training(p, batch, features);
    }
    if (pass->config.watch) {
        pass->heads = tub__plan_vector(p, tub__pass_heads_room(pass));
    }
    pass->probabilities = tub__plan_mat(p, batch, classes);
    pass->losses = tub__plan_vector(p, batch);
}

void tub__pass_layout(tub__pass *pass, tub__arena *arena) {
    tub__plan p = {.pass = pass, .arena = arena, .training = pass->config.training};
    if (pass->model->config.family == TUB_FAMILY_RESNET3D18) {
        tub__resnet_layout(&p);
    } else if (pass->model->config.family != TUB_FAMILY_VIVIT) {
        tub__cnn_layout(&p);
    }
    for (size_t i = 0; i < pass->towers; i++) {
        p.tower = &pass->tower[i];
        p.rows = pass->config.batch * tub__tower_rows(&p.tower->shape);
        tower(&p);
    }
    head(&p);
}
