/* SPDX-License-Identifier: Apache-2.0 */
/* Recognising the Keras example's model in a graph, from its output backwards, and taking its
 * sizes.
 *
 * input -> tubelets -> positions -> blocks -> norm -> mean -> dense block: x -> norm -> attention
 * -> add x -> norm -> dense, dense -> add */
#include "convert/keras_config.h"

#include "base/error.h"
#include "convert/keras_graph.h"
#include <string.h>

typedef tub__keras_node node;

typedef struct block {
    node *norm1, *attention, *add1, *norm2, *mlp, *add2;
} block;

/* The example's model in the graph. */
typedef struct example {
    node *input, *embed, *position, *norm, *pool, *head;
    block *blocks; /* the last first */
    int layers;
} example;

/* ---- The graph ---- */

/* Of the two inputs of an addition, the one of a class, and the other. */
static tub_status split(const tub__keras_graph *g, const node *add, const char *class_name,
                        const char **of_class, const char **other, tub_error *err) {
    for (int i = 0; i < 2; i++) {
        if (strcmp(tub__keras_graph_class(g, add->inputs[i]), class_name) == 0) {
            *of_class = add->inputs[i];
            *other = add->inputs[1 - i];
            return TUB_OK;
        }
    }
    return tub__fail(err, TUB_E_UNSUPPORTED,
                     "layer '%.100s' adds no %s, as it does in the Keras example", add->name,
                     class_name);
}

static tub_status take_norm(tub__keras_graph *g, const char *name, const char *from, node **out,
                            tub_error *err) {
    TUB__TRY(tub__keras_graph_use(g, name, "LayerNormalization", 1, out, err));
    return strcmp((*out)->inputs[0], from) == 0
               ? TUB_OK
               : tub__fail(err, TUB_E_UNSUPPORTED,
                           "layer '%.100s' normalises '%.100s', in the Keras example it would be "
                           "'%.100s'",
                           name, (*out)->inputs[0], from);
}

/* A block by the name of its last addition; *before: the layer that feeds it. */
static tub_status take_block(tub__keras_graph *g, const char *name, block *b, const char **before,
                             tub_error *err) {
    const char *mlp = NULL, *sum = NULL, *attention = NULL;
    TUB__TRY(tub__keras_graph_use(g, name, "Add", 2, &b->add2, err));
    TUB__TRY(split(g, b->add2, "Sequential", &mlp, &sum, err));
    TUB__TRY(tub__keras_graph_use(g, mlp, "Sequential", 1, &b->mlp, err));
    TUB__TRY(tub__keras_graph_use(g, sum, "Add", 2, &b->add1, err));
    TUB__TRY(take_norm(g, b->mlp->inputs[0], sum, &b->norm2, err));
    TUB__TRY(split(g, b->add1, "MultiHeadAttention", &attention, before, err));
    TUB__TRY(tub__keras_graph_use(g, attention, "MultiHeadAttention", 2, &b->attention, err));
    TUB__TRY(take_norm(g, b->attention->inputs[0], *before, &b->norm1, err));
    return strcmp(b->attention->inputs[1], b->norm1->name) == 0
               ? TUB_OK
               : tub__fail(err, TUB_E_UNSUPPORTED,
                           "layer '%.100s' attends from '%.100s' to '%.100s'; in the Keras example "
                           "both are one",
                           attention, b->norm1->name, b->attention->inputs[1]);
}

static tub_status take_ends(tub__keras_graph *g, const char *x, example *e, tub_error *err) {
    TUB__TRY(tub__keras_graph_use(g, x, "PositionalEncoder", 1, &e->position, err));
    TUB__TRY(
        tub__keras_graph_use(g, e->position->inputs[0], "TubeletEmbedding", 1, &e->embed, err));
    return tub__keras_graph_use(g, e->embed->inputs[0], "InputLayer", 0, &e->input, err);
}

static tub_status recognise(tub__keras_graph *g, example *e, tub_error *err) {
    TUB__TRY(tub__keras_graph_use(g, g->output, "Dense", 1, &e->head, err));
    TUB__TRY(
        tub__keras_graph_use(g, e->head->inputs[0], "GlobalAveragePooling1D", 1, &e->pool, err));
    TUB__TRY(tub__keras_graph_use(g, e->pool->inputs[0], "LayerNormalization", 1, &e->norm, err));
    const char *x = e->norm->inputs[0];
    while (strcmp(tub__keras_graph_class(g, x), "Add") == 0) {
        TUB__TRY(take_block(g, x, &e->blocks[e->layers], &x, err));
        e->layers++;
    }
    TUB__TRY(take_ends(g, x, e, err));
    for (size_t i = 0; i < g->count; i++) {
        if (!g->nodes[i].used) {
            return tub__fail(err, TUB_E_UNSUPPORTED,
                             "layer '%.100s' has no part in the Keras example's model",
                             g->nodes[i].name);
        }
    }
    return e->layers > 0 ? TUB_OK
                         : tub__fail(err, TUB_E_UNSUPPORTED, "the model has no attention block");
}

/* ---- Values ---- */

static tub_status of_layer(tub_status status, const node *n, tub_error *err) {
    return status == TUB_OK ? TUB_OK : tub__prefix(err, status, "layer '%.100s'", n->name);
}

/* An option that would change what a layer computes must be missing, null or false. */
static tub_status must_be_off(const tub__json *config, const char *key, tub_error *err) {
    const tub__json *value = tub__json_get(config, key);
    bool on = value != NULL && tub__json_kind_of(value) != TUB__JSON_NULL;
    if (on && tub__json_kind_of(value) == TUB__JSON_BOOL) {
        TUB__TRY(tub__json_to_bool(value, key, &on, err));
    }
    return on ? tub__fail(err, TUB_E_UNSUPPORTED, "%s is set, which tubelet does not compute", key)
              : TUB_OK;
}

/* A policy names the type that a layer computes in. Those of floats differ in rounding only;
 * others, of quantized layers, in what is computed. */
static tub_status must_be_floats(const node *n, tub_error *err) {
    static const char *const floats[] = {"float32",  "float64",       "float16",
                                         "bfloat16", "mixed_float16", "mixed_bfloat16"};
    const tub__json *value = tub__json_get(n->config, "dtype");
    const char *name = floats[0], *class_name = "DTypePolicy";
    if (value != NULL && tub__json_kind_of(value) == TUB__JSON_OBJECT) {
        TUB__TRY(tub__json_opt_text(value, "class_name", &class_name, err));
        if (strcmp(class_name, "DTypePolicy") == 0) {
            TUB__TRY(tub__json_get_text(tub__json_get(value, "config"), "name", &name, err));
        } else {
            name = class_name;
        }
    } else if (value != NULL && tub__json_kind_of(value) != TUB__JSON_NULL) {
        TUB__TRY(tub__json_to_text(value, "dtype", &name, err));
    }
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        if (strcmp(floats[i], name) == 0) {
            return TUB_OK;
        }
    }
    return tub__fail(err, TUB_E_UNSUPPORTED, "dtype is '%.100s', which is no type of floats", name);
}

/* Clips, tokens and features in this order. */
static tub_status must_be_last(const tub__json *config, const char *key, tub_error *err) {
    const char *order = "channels_last";
    const tub__json *value = tub__json_get(config, key);
    if (value != NULL && tub__json_kind_of(value) != TUB__JSON_NULL) {
        TUB__TRY(tub__json_to_text(value, key, &order, err));
    }
    return strcmp(order, "channels_last") == 0
               ? TUB_OK
               : tub__fail(err, TUB_E_UNSUPPORTED,
                           "%s is '%.100s', in the Keras example it is 'channels_last'", key,
                           order);
}

static tub_status must_be_on(const tub__json *config, const char *key, tub_error *err) {
    bool on = true;
    TUB__TRY(tub__json_opt_bool(config, key, &on, err));
    return on ? TUB_OK
              : tub__fail(err, TUB_E_UNSUPPORTED, "%s is off, which tubelet does not compute", key);
}

/* A number or a list of one number, which must be the last of `rank` axes, or the one of tokens. */
static tub_status must_be_axis(const tub__json *config, const char *key, int64_t axis,
                               int64_t from_end, tub_error *err) {
    const tub__json *value = tub__json_get(config, key);
    if (value == NULL || tub__json_kind_of(value) == TUB__JSON_NULL) {
        return TUB_OK;
    }
    const tub__json *inner = tub__json_size(value) == 1 ? tub__json_at(value, 0) : value;
    int64_t number;
    TUB__TRY(tub__json_to_integer(inner, key, &number, err));
    return number == axis || number == from_end
               ? TUB_OK
               : tub__fail(err, TUB_E_UNSUPPORTED, "%s is %lld, in the Keras example it is %lld",
                           key, (long long)number, (long long)axis);
}

/* Takes a number from the first block, and holds the others to it. */
static tub_status agree(const char *key, bool first, double *have, double value, tub_error *err) {
    if (first) {
        *have = value;
    }
    return *have == value
               ? TUB_OK
               : tub__fail(err, TUB_E_UNSUPPORTED,
                           "%s is %g, in another block %g; tubelet's blocks are all alike", key,
                           value, *have);
}

static tub_status agree_integer(const tub__json *config, const char *key, bool first, int64_t *have,
                                tub_error *err) {
    int64_t value;
    double number = (double)*have;
    TUB__TRY(tub__json_get_integer(config, key, &value, err));
    TUB__TRY(agree(key, first, &number, (double)value, err));
    *have = value;
    return TUB_OK;
}

static tub_status agree_real(const tub__json *config, const char *key, bool first, double *have,
                             tub_error *err) {
    double value;
    TUB__TRY(tub__json_get_real(config, key, &value, err));
    return agree(key, first, have, value, err);
}

static tub_status read_norm(const node *n, bool first, tub_model_config *c, tub_error *err) {
    TUB__TRY(agree_real(n->config, "epsilon", first, &c->norm_epsilon, err));
    TUB__TRY(must_be_on(n->config, "center", err));
    TUB__TRY(must_be_on(n->config, "scale", err));
    TUB__TRY(must_be_off(n->config, "rms_scaling", err));
    return must_be_axis(n->config, "axis", -1, 2, err);
}

static tub_status read_attention(const node *n, bool first, tub_model_config *c, tub_error *err) {
    int64_t head = 0, value_head = 0;
    TUB__TRY(agree_integer(n->config, "num_heads", first, &c->heads, err));
    TUB__TRY(agree_real(n->config, "dropout", first, &c->attention_dropout, err));
    TUB__TRY(tub__json_get_integer(n->config, "key_dim", &head, err));
    value_head = head;
    TUB__TRY(tub__json_opt_integer(n->config, "value_dim", &value_head, err));
    if (head != value_head || c->heads < 1 || head < 1 || head > c->hidden ||
        head * c->heads != c->hidden) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "%lld heads of key_dim %lld and value_dim %lld; tubelet's heads share the "
                         "width %lld out",
                         (long long)c->heads, (long long)head, (long long)value_head,
                         (long long)c->hidden);
    }
    TUB__TRY(must_be_on(n->config, "use_bias", err));
    TUB__TRY(must_be_off(n->config, "use_gate", err));
    TUB__TRY(must_be_off(n->config, "output_shape", err));
    TUB__TRY(must_be_off(n->config, "sliding_window", err));
    return must_be_axis(n->config, "attention_axes", 1, -2, err);
}

typedef enum activation { LINEAR, GELU, GELU_TANH, SOFTMAX } activation;

/* Keras' own function by name, or a table for a registered one. */
static tub_status read_activation(const tub__json *config, activation *out, tub_error *err) {
    static const struct {
        const char *name;
        activation value;
    } known[] = {
        {"linear", LINEAR}, {"gelu", GELU}, {TUB__KERAS_TANH, GELU_TANH}, {"softmax", SOFTMAX}};
    const tub__json *value = tub__json_get(config, "activation");
    const char *name = "linear";
    if (value != NULL && tub__json_kind_of(value) == TUB__JSON_OBJECT) {
        TUB__TRY(tub__json_get_text(value, "config", &name, err));
    } else if (value != NULL && tub__json_kind_of(value) != TUB__JSON_NULL) {
        TUB__TRY(tub__json_to_text(value, "activation", &name, err));
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, name) == 0) {
            *out = known[i].value;
            return TUB_OK;
        }
    }
    return tub__fail(
        err, TUB_E_UNSUPPORTED,
        "activation '%.100s': the Keras example has gelu (or '%s'), and softmax at its "
        "end",
        name, TUB__KERAS_TANH);
}

/* A dense layer within a Sequential, by its number among them. */
static tub_status find_dense(const node *n, size_t number, const tub__json **config,
                             tub_error *err) {
    const tub__json *list = tub__json_get(n->config, "layers");
    size_t seen = 0;
    *config = NULL;
    for (size_t i = 0; i < tub__json_size(list); i++) {
        const tub__json *layer = tub__json_at(list, i);
        const char *class_name;
        TUB__TRY(tub__json_get_text(layer, "class_name", &class_name, err));
        if (strcmp(class_name, "Dense") == 0) {
            if (seen++ == number) {
                TUB__TRY(
                    tub__json_to_object(tub__json_get(layer, "config"), "config", config, err));
            }
        } else if (strcmp(class_name, "InputLayer") != 0) {
            return tub__fail(err, TUB_E_UNSUPPORTED,
                             "a %.100s lies in it; the Keras example has two Dense layers there",
                             class_name);
        }
    }
    return seen == 2 ? TUB_OK
                     : tub__fail(err, TUB_E_UNSUPPORTED,
                                 "%zu Dense layers lie in it; the Keras example has two", seen);
}

static tub_status read_mlp(const node *n, bool first, tub_model_config *c, tub__keras_says *says,
                           tub_error *err) {
    const tub__json *in, *out;
    activation inner, outer;
    int64_t width = c->hidden;
    double kind = (double)*says, twice = c->mlp_output_gelu;
    TUB__TRY(find_dense(n, 0, &in, err));
    TUB__TRY(find_dense(n, 1, &out, err));
    TUB__TRY(agree_integer(in, "units", first, &c->mlp, err));
    TUB__TRY(agree_integer(out, "units", false, &width, err));
    TUB__TRY(must_be_on(in, "use_bias", err));
    TUB__TRY(must_be_on(out, "use_bias", err));
    TUB__TRY(read_activation(in, &inner, err));
    TUB__TRY(read_activation(out, &outer, err));
    if ((inner != GELU && inner != GELU_TANH) || (outer != LINEAR && outer != inner)) {
        return tub__fail(
            err, TUB_E_UNSUPPORTED,
            "its activations are not gelu after the first Dense layer, and the same or "
            "none after the second");
    }
    TUB__TRY(agree("activation", first, &kind,
                   inner == GELU ? TUB__KERAS_SAYS_GELU : TUB__KERAS_SAYS_TANH, err));
    TUB__TRY(agree("activation after the second Dense layer", first, &twice, outer != LINEAR, err));
    *says = (tub__keras_says)(int)kind;
    c->mlp_output_gelu = (int)twice;
    return TUB_OK;
}

static tub_status read_input(const node *n, tub_model_config *c, tub_error *err) {
    const tub__json *shape = tub__json_get(n->config, "batch_shape");
    int64_t *const sizes[] = {&c->frames, &c->height, &c->width, &c->channels};
    if (tub__json_size(shape) != 5) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "batch_shape: expected [null, frames, height, width, channels]");
    }
    for (size_t i = 0; i < 4; i++) {
        TUB__TRY(tub__json_to_integer(tub__json_at(shape, i + 1), "batch_shape", sizes[i], err));
    }
    return TUB_OK;
}

static tub_status read_embed(const node *n, tub_model_config *c, tub_error *err) {
    const tub__json *patch = tub__json_get(n->config, "patch_size");
    const bool list = tub__json_size(patch) == 3;
    TUB__TRY(tub__json_get_integer(n->config, "embed_dim", &c->hidden, err));
    for (size_t i = 0; i < 3; i++) {
        TUB__TRY(tub__json_to_integer(list ? tub__json_at(patch, i) : patch, "patch_size",
                                      &c->tubelet[i], err));
    }
    return TUB_OK;
}

static tub_status read_position(const node *n, const tub_model_config *c, tub_error *err) {
    int64_t width = c->hidden;
    return agree_integer(n->config, "embed_dim", false, &width, err);
}

static tub_status read_head(const node *n, tub_model_config *c, tub_error *err) {
    activation last;
    TUB__TRY(tub__json_get_integer(n->config, "units", &c->classes, err));
    TUB__TRY(must_be_on(n->config, "use_bias", err));
    TUB__TRY(read_activation(n->config, &last, err));
    return last == SOFTMAX || last == LINEAR
               ? TUB_OK
               : tub__fail(err, TUB_E_UNSUPPORTED,
                           "the last activation is neither softmax nor none");
}

static tub_status read_values(const example *e, tub_model_config *c, tub__keras_says *says,
                              tub_error *err) {
    *c = (tub_model_config){.size = sizeof *c, .qkv_bias = 1, .pooling = TUB_POOL_MEAN};
    TUB__TRY(of_layer(read_input(e->input, c, err), e->input, err));
    TUB__TRY(of_layer(read_embed(e->embed, c, err), e->embed, err));
    TUB__TRY(of_layer(read_position(e->position, c, err), e->position, err));
    TUB__TRY(of_layer(read_norm(e->norm, true, c, err), e->norm, err));
    TUB__TRY(of_layer(must_be_off(e->pool->config, "keepdims", err), e->pool, err));
    TUB__TRY(of_layer(must_be_last(e->pool->config, "data_format", err), e->pool, err));
    TUB__TRY(of_layer(read_head(e->head, c, err), e->head, err));
    c->layers = e->layers;
    for (int i = 0; i < e->layers; i++) {
        const block *b = &e->blocks[i];
        TUB__TRY(of_layer(read_norm(b->norm1, false, c, err), b->norm1, err));
        TUB__TRY(of_layer(read_norm(b->norm2, false, c, err), b->norm2, err));
        TUB__TRY(of_layer(read_attention(b->attention, i == 0, c, err), b->attention, err));
        TUB__TRY(of_layer(read_mlp(b->mlp, i == 0, c, says, err), b->mlp, err));
    }
    return tub_model_config_check(c, err);
}

/* ---- Where the arrays are ---- */

static void set_place(tub__keras_layout *l, tub__keras_part part, int layer, const node *n) {
    tub__keras_place *place = tub__keras_place_of(l, part, layer);
    memcpy(place->group, n->group, sizeof place->group);
    place->rank = n->index;
}

static tub_status lay_out(const tub_allocator *a, const example *e, size_t nodes,
                          tub__keras_layout *l, tub_error *err) {
    TUB__TRY(tub__keras_layout_create(a, e->layers, l, err));
    set_place(l, TUB__KERAS_EMBED, -1, e->embed);
    set_place(l, TUB__KERAS_POSITION, -1, e->position);
    for (int i = 0; i < e->layers; i++) {
        const block *b = &e->blocks[e->layers - 1 - i];
        set_place(l, TUB__KERAS_NORM1, i, b->norm1);
        set_place(l, TUB__KERAS_ATTENTION, i, b->attention);
        set_place(l, TUB__KERAS_NORM2, i, b->norm2);
        set_place(l, TUB__KERAS_MLP, i, b->mlp);
    }
    set_place(l, TUB__KERAS_NORM, -1, e->norm);
    set_place(l, TUB__KERAS_HEAD, -1, e->head);
    l->ranks = nodes;
    return TUB_OK;
}

tub_status tub__keras_config_read(const tub_allocator *a, const tub__json *root,
                                  tub_model_config *config, tub__keras_says *gelu,
                                  tub__keras_layout *layout, tub_error *err) {
    tub__keras_graph g;
    example e = {0};
    TUB__TRY(tub__keras_graph_read(a, root, &g, err));
    /* A block has six layers. */
    tub_status status =
        tub__alloc_array(a, g.count / 6 + 1, sizeof *e.blocks, (void **)&e.blocks, err);
    if (status == TUB_OK) {
        status = recognise(&g, &e, err);
    }
    for (size_t i = 0; i < g.count && status == TUB_OK; i++) {
        status = of_layer(must_be_floats(&g.nodes[i], err), &g.nodes[i], err);
    }
    if (status == TUB_OK) {
        status = read_values(&e, config, gelu, err);
    }
    if (status == TUB_OK) {
        status = lay_out(a, &e, g.count, layout, err);
    }
    tub__free(a, e.blocks);
    tub__keras_graph_destroy(&g);
    return status;
}
