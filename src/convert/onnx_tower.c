/* SPDX-License-Identifier: Apache-2.0 */
/* Transformers as ONNX operations: what model/tower.c, nn/attention.c, nn/mlp.c and nn/pooler.c
 * compute. */
#include <assert.h>
#include <math.h>

#include "convert/onnx_layers.h"
#include "model/variant.h"

enum { WHOLE = 4, GROUPED = 5 }; /* axes of queries */
enum { HEADS = 3 };              /* the axis of heads in [N, time, places, A, D / A] */

/* ---- Layers ---- */

size_t tub__onnx_dense(tub__onnx_maker *m, size_t x, tub__role kernel, int layer) {
    const tub__role bias = (tub__role)(kernel + 1);
    const size_t y = tub__onnx_op2(m, "MatMul", x, tub__onnx_param(m, kernel, layer));
    return tub__onnx_has(m, bias, layer)
               ? tub__onnx_op2(m, "Add", y, tub__onnx_param(m, bias, layer))
               : y;
}

size_t tub__onnx_gemm(tub__onnx_maker *m, size_t x, tub__role kernel) {
    const size_t w = tub__onnx_param(m, kernel, -1),
                 b = tub__onnx_param(m, (tub__role)(kernel + 1), -1);
    return tub__onnx_op3(m, "Gemm", x, w, b);
}

/* The default of epsilon is another one than most models': it is always written. */
static size_t norm(tub__onnx_maker *m, size_t x, tub__role gamma, int layer) {
    const size_t g = tub__onnx_param(m, gamma, layer),
                 b = tub__onnx_param(m, (tub__role)(gamma + 1), layer);
    const size_t y = tub__onnx_op3(m, "LayerNormalization", x, g, b);
    tub__onnx_integer(m, "axis", -1);
    tub__onnx_real(m, "epsilon", m->model->config.norm_epsilon);
    return y;
}

static size_t times(tub__onnx_maker *m, size_t x, double factor) {
    return tub__onnx_op2(m, "Mul", x, tub__onnx_scalar(m, factor));
}

/* Gelu is no operation before opset 20. */
static size_t gelu(tub__onnx_maker *m, size_t x) {
    size_t inner;
    if (m->model->config.gelu == TUB_GELU_ERF) {
        inner = tub__onnx_op1(m, "Erf", times(m, x, sqrt(0.5)));
    } else {
        const size_t cube = tub__onnx_op2(m, "Mul", tub__onnx_op2(m, "Mul", x, x), x);
        const size_t sum = tub__onnx_op2(m, "Add", x, times(m, cube, 0.044715));
        inner = tub__onnx_op1(m, "Tanh", times(m, sum, sqrt(2 / 3.14159265358979323846)));
    }
    const size_t one_more = tub__onnx_op2(m, "Add", inner, tub__onnx_scalar(m, 1));
    return times(m, tub__onnx_op2(m, "Mul", x, one_more), 0.5);
}

/* ---- Attention ---- */

/* How the tokens of a sample fall into groups that attend: axes and how they are turned. */
typedef struct layout {
    size_t axes;
    int64_t shape[GROUPED]; /* a sample's queries, split */
    int64_t query[GROUPED]; /* from there to [N, (groups,) A, tokens, D / A] */
    int64_t key[GROUPED];   /* the same, the last two turned */
    int64_t back[GROUPED];
} layout;

static layout whole(int64_t tokens, int64_t heads, int64_t width) {
    return (layout){WHOLE, {0, tokens, heads, width}, {0, 2, 1, 3}, {0, 2, 3, 1}, {0, 2, 1, 3}};
}

/* The tokens of a group lie next to each other. */
static layout side_by_side(int64_t groups, int64_t tokens, int64_t heads, int64_t width) {
    return (layout){GROUPED,
                    {0, groups, tokens, heads, width},
                    {0, 1, 3, 2, 4},
                    {0, 1, 3, 4, 2},
                    {0, 1, 3, 2, 4}};
}

/* Those of different groups do, and a group's come round. */
static layout in_turn(int64_t groups, int64_t tokens, int64_t heads, int64_t width) {
    return (layout){GROUPED,
                    {0, tokens, groups, heads, width},
                    {0, 2, 3, 1, 4},
                    {0, 2, 3, 4, 1},
                    {0, 3, 1, 2, 4}};
}

static layout layout_of(const tub__pattern *p, bool grouped, int64_t heads, int64_t width) {
    const int64_t groups = (int64_t)p->groups, tokens = (int64_t)p->length;
    if (!grouped && groups == 1) {
        return whole(tokens, heads, width);
    }
    if (p->token_stride == 1 && p->group_stride == p->length) {
        return side_by_side(groups, tokens, heads, width);
    }
    assert(p->group_stride == 1 && p->token_stride == p->groups);
    return in_turn(groups, tokens, heads, width);
}

/* Of some heads, [N, …, A, D / A] each. */
static size_t attend(tub__onnx_maker *m, const layout *l, size_t q, size_t k, size_t v) {
    const size_t scores = tub__onnx_op2(m, "MatMul", tub__onnx_transpose(m, q, l->axes, l->query),
                                        tub__onnx_transpose(m, k, l->axes, l->key));
    const size_t probabilities = tub__onnx_op1(m, "Softmax", scores);
    tub__onnx_integer(m, "axis", -1);
    const size_t o =
        tub__onnx_op2(m, "MatMul", probabilities, tub__onnx_transpose(m, v, l->axes, l->query));
    return tub__onnx_transpose(m, o, l->axes, l->back);
}

/* The heads of both halves: two values, the first of which is returned. */
static size_t halves(tub__onnx_maker *m, size_t x, int64_t heads) {
    const int64_t sizes[] = {heads / 2, heads / 2};
    const size_t inputs[] = {x, tub__onnx_list(m, 2, sizes)};
    const size_t first = tub__onnx_node_add(m, "Split", 2, 2, inputs);
    tub__onnx_integer(m, "axis", HEADS);
    return first;
}

/* Each half of the heads by its own pattern. Both split a sample's tokens into times and places. */
static size_t attend_in_halves(tub__onnx_maker *m, const tub__pattern *patterns,
                               const size_t qkv[3], int64_t heads, int64_t width) {
    size_t half[3], out[2];
    for (int i = 0; i < 3; i++) {
        const int64_t times = (int64_t)patterns[0].length, places = (int64_t)patterns[0].groups,
                      shape[] = {0, times, places, heads, width};
        half[i] = halves(m, tub__onnx_reshape(m, qkv[i], GROUPED, shape), heads);
    }
    for (size_t part = 0; part < 2; part++) {
        const layout l = layout_of(&patterns[part], true, heads, width);
        out[part] = attend(m, &l, half[0] + part, half[1] + part, half[2] + part);
    }
    const size_t joined = tub__onnx_op2(m, "Concat", out[0], out[1]);
    tub__onnx_integer(m, "axis", HEADS);
    return joined;
}

static size_t attend_at_once(tub__onnx_maker *m, const tub__pattern *pattern, const size_t qkv[3],
                             int64_t heads, int64_t width) {
    const layout l = layout_of(pattern, false, heads, width);
    size_t split[3];
    for (int i = 0; i < 3; i++) {
        split[i] = tub__onnx_reshape(m, qkv[i], l.axes, l.shape);
    }
    return attend(m, &l, split[0], split[1], split[2]);
}

/* Attention number i of a layer of a tower, and the sum with what enters it. */
static size_t attention(tub__onnx_maker *m, const tub__tower_shape *t, int layer, size_t i,
                        size_t x) {
    enum { TO_KEY = TUB__KEY_KERNEL - TUB__QUERY_KERNEL, TO_OUT = 3 * TO_KEY };
    const tub_model_config *c = &m->model->config;
    const tub__attention_roles roles = tub__params_attention(c, i);
    const tub__pattern *patterns = &t->pattern[i * t->parts];
    const int64_t heads = c->heads, width = c->hidden / c->heads;
    const size_t normed = norm(m, x, roles.norm, layer);
    size_t qkv[3];
    for (int j = 0; j < 3; j++) {
        qkv[j] = tub__onnx_dense(m, normed, (tub__role)(roles.query + j * TO_KEY), layer);
    }
    qkv[0] = times(m, qkv[0], 1 / sqrt((double)width));
    const size_t o = t->parts > 1 ? attend_in_halves(m, patterns, qkv, heads, width)
                                  : attend_at_once(m, patterns, qkv, heads, width);
    const int64_t rows[] = {0, (int64_t)tub__tower_rows(t), c->hidden};
    const size_t joined = tub__onnx_reshape(m, o, 3, rows);
    const size_t y = tub__onnx_dense(m, joined, (tub__role)(roles.query + TO_OUT), layer);
    return tub__onnx_op2(m, "Add", y, x);
}

static size_t mlp(tub__onnx_maker *m, int layer, size_t x) {
    const size_t normed = norm(m, x, TUB__NORM2_GAMMA, layer);
    const size_t hidden = gelu(m, tub__onnx_dense(m, normed, TUB__MLP1_KERNEL, layer));
    const size_t y = tub__onnx_dense(m, hidden, TUB__MLP2_KERNEL, layer);
    return tub__onnx_op2(m, "Add", m->model->config.mlp_output_gelu ? gelu(m, y) : y, x);
}

/* ---- Ends ---- */

/* A class token before each sequence of x [N, (sequences,) tokens, D], whatever N is. */
static size_t prepend(tub__onnx_maker *m, const tub__tower_shape *t, tub__role token, size_t x) {
    const int64_t one[] = {(int64_t)t->sequences, 1, m->model->config.hidden};
    const bool several = t->sequences > 1;
    const size_t batch = tub__onnx_op1(m, "Shape", x);
    tub__onnx_integer(m, "start", 0);
    tub__onnx_integer(m, "end", 1);
    const size_t rest = tub__onnx_list(m, several ? 3 : 2, several ? one : one + 1);
    const size_t shape = tub__onnx_op2(m, "Concat", batch, rest);
    tub__onnx_integer(m, "axis", 0);
    const size_t tokens = tub__onnx_op2(m, "Expand", tub__onnx_param(m, token, -1), shape);
    const size_t y = tub__onnx_op2(m, "Concat", tokens, x);
    tub__onnx_integer(m, "axis", several ? 2 : 1);
    return y;
}

/* The table that is added to each sequence; false: there is none. */
static bool find_positions(tub__onnx_maker *m, size_t tower, const tub__tower_shape *t,
                           tub__role role, size_t *out) {
    const tub__mat table = tub__model_sinusoids(m->model, tower);
    if (tub__onnx_has(m, role, -1)) {
        *out = tub__onnx_param(m, role, -1);
        return true;
    }
    if (table.data == NULL) {
        return false;
    }
    const int64_t shape[] = {1, (int64_t)t->tokens, m->model->config.hidden};
    tub__backend *be = m->model->backend;
    float *values;
    if (m->error.status != TUB_OK ||
        tub__alloc_array(m->allocator, table.rows * table.cols, sizeof *values, (void **)&values,
                         &m->error) != TUB_OK) {
        return false;
    }
    be->ops->mat_out(be, TUB_F32, values, table.cols, 1, table);
    *out = tub__onnx_reals(m, tower == 0 ? "positions" : "temporal_positions", 3, shape, values);
    tub__free(m->allocator, values);
    return true;
}

/* x and the result: [N, tokens of all sequences, D]. */
static size_t begin(tub__onnx_maker *m, size_t tower, const tub__tower_shape *t, size_t x) {
    const tub__role token = tower == 0 ? TUB__CLASS_TOKEN : TUB__TEMPORAL_CLASS_TOKEN,
                    position = tower == 0 ? TUB__POSITION : TUB__TEMPORAL_POSITION;
    const int64_t width = m->model->config.hidden, sequences = (int64_t)t->sequences,
                  inside[] = {0, sequences, (int64_t)t->tokens - t->class_token, width},
                  outside[] = {0, (int64_t)tub__tower_rows(t), width};
    size_t table = 0;
    const bool has_table = find_positions(m, tower, t, position, &table),
               apart = sequences > 1 && (has_table || t->class_token);
    x = apart ? tub__onnx_reshape(m, x, 4, inside) : x;
    x = t->class_token ? prepend(m, t, token, x) : x;
    x = has_table ? tub__onnx_op2(m, "Add", x, table) : x;
    return apart ? tub__onnx_reshape(m, x, 3, outside) : x;
}

/* Over the tokens of each sequence, which are axis `axis`. */
static size_t pool(tub__onnx_maker *m, size_t x, tub_pooling kind, int64_t axis) {
    size_t y;
    switch (kind) {
    case TUB_POOL_CLASS_TOKEN:
        y = tub__onnx_op2(m, "Gather", x, tub__onnx_index(m, 0));
        tub__onnx_integer(m, "axis", axis);
        return y;
    case TUB_POOL_SUM: /* the only one of the three whose axes are an input in opset 17 */
        y = tub__onnx_op2(m, "ReduceSum", x, tub__onnx_list(m, 1, &axis));
        break;
    default:
        y = tub__onnx_op1(m, kind == TUB_POOL_MAX ? "ReduceMax" : "ReduceMean", x);
        tub__onnx_integers(m, "axes", 1, &axis);
    }
    tub__onnx_integer(m, "keepdims", 0);
    return y;
}

/* below: there is another tower, which takes what each sequence gives, also of a single one. */
static size_t end(tub__onnx_maker *m, size_t tower, const tub__tower_shape *t, bool below,
                  size_t x) {
    const tub_pooling pooling = m->model->config.pooling;
    const int64_t shape[] = {0, (int64_t)t->sequences, (int64_t)t->tokens, m->model->config.hidden};
    x = norm(m, x, tower == 0 ? TUB__NORM_GAMMA : TUB__TEMPORAL_NORM_GAMMA, -1);
    return below ? pool(m, tub__onnx_reshape(m, x, 4, shape), pooling, 2) : pool(m, x, pooling, 1);
}

size_t tub__onnx_tower(tub__onnx_maker *m, size_t tower, size_t x) {
    const tub__variant_shape shape = tub__variant_shape_of(&m->model->config);
    const tub__tower_shape *t = &shape.tower[tower];
    if (t->layers == 0) {
        return pool(m, x, TUB_POOL_MEAN, 1);
    }
    tub__onnx_scope(m, "%s", tower == 0 ? "tokens" : "temporal_tokens");
    x = begin(m, tower, t, x);
    for (size_t l = 0; l < t->layers; l++) {
        const int layer = (int)(t->first + l);
        for (size_t i = 0; i < t->attentions; i++) {
            tub__onnx_scope(m, "layer_%d/attention%s", layer, i == 0 ? "" : "_2");
            x = attention(m, t, layer, i, x);
        }
        tub__onnx_scope(m, "layer_%d/mlp", layer);
        x = mlp(m, layer, x);
    }
    tub__onnx_scope(m, "%s", tower == 0 ? "pooling" : "temporal_pooling");
    return end(m, tower, t, tower + 1 < shape.towers, x);
}
