/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the graph of a functional Keras model from its config.json. */
#include "convert/keras_graph.h"

#include "base/error.h"
#include <string.h>

enum { LAYER_LIMIT = 10000, NESTING = 4 };

/* The classes of the example, and the names that Keras gives to their groups. */
static const struct known_class {
    const char *name, *stem;
} classes[] = {
    {"InputLayer", "input_layer"},
    {"TubeletEmbedding", "tubelet_embedding"},
    {"PositionalEncoder", "positional_encoder"},
    {"LayerNormalization", "layer_normalization"},
    {"MultiHeadAttention", "multi_head_attention"},
    {"Add", "add"},
    {"Sequential", "sequential"},
    {"GlobalAveragePooling1D", "global_average_pooling1d"},
    {"Dense", "dense"},
};
enum { CLASSES = sizeof classes / sizeof *classes };

static tub_status class_of(const tub__keras_node *n, size_t *out, tub_error *err) {
    for (size_t i = 0; i < CLASSES; i++) {
        if (strcmp(classes[i].name, n->class_name) == 0) {
            *out = i;
            return TUB_OK;
        }
    }
    return tub__fail(err, TUB_E_UNSUPPORTED,
                     "layer '%.100s' is a %.100s, which the Keras example's model does not have",
                     n->name, n->class_name);
}

/* ---- Inputs ---- */

static tub_status odd_call(const tub__keras_node *n, tub_error *err) {
    return tub__fail(err, TUB_E_UNSUPPORTED,
                     "layer '%.100s' is called in another way than in the Keras example", n->name);
}

static tub_status add_tensor(tub__keras_node *n, const tub__json *tensor, tub_error *err) {
    const tub__json *history = tub__json_get(tub__json_get(tensor, "config"), "keras_history");
    const char *name;
    int64_t call = -1, output = -1;
    TUB__TRY(tub__json_to_text(tub__json_at(history, 0), "keras_history", &name, err));
    TUB__TRY(tub__json_to_integer(tub__json_at(history, 1), "keras_history", &call, err));
    TUB__TRY(tub__json_to_integer(tub__json_at(history, 2), "keras_history", &output, err));
    if (call != 0 || output != 0 || n->input_count == TUB__KERAS_INPUTS) {
        return odd_call(n, err);
    }
    n->inputs[n->input_count++] = name;
    return TUB_OK;
}

/* Tensors in lists and by keyword; beside them only what means nothing: null and false. */
static tub_status add_inputs(tub__keras_node *n, const tub__json *value, int depth,
                             tub_error *err) {
    const tub__json_kind kind = value == NULL ? TUB__JSON_NULL : tub__json_kind_of(value);
    bool on = false;
    if (kind == TUB__JSON_NULL) {
        return TUB_OK;
    }
    if (kind == TUB__JSON_BOOL) {
        TUB__TRY(tub__json_to_bool(value, "kwargs", &on, err));
        return on ? odd_call(n, err) : TUB_OK;
    }
    if (depth == NESTING) {
        return odd_call(n, err);
    }
    if (kind == TUB__JSON_ARRAY) {
        for (size_t i = 0; i < tub__json_size(value); i++) {
            TUB__TRY(add_inputs(n, tub__json_at(value, i), depth + 1, err));
        }
        return TUB_OK;
    }
    const char *class_name = NULL;
    TUB__TRY(kind == TUB__JSON_OBJECT ? tub__json_opt_text(value, "class_name", &class_name, err)
                                      : odd_call(n, err));
    return class_name != NULL && strcmp(class_name, "__keras_tensor__") == 0
               ? add_tensor(n, value, err)
               : odd_call(n, err);
}

static tub_status read_inputs(tub__keras_node *n, const tub__json *layer, tub_error *err) {
    const tub__json *calls = tub__json_get(layer, "inbound_nodes");
    if (tub__json_size(calls) > 1) {
        return tub__fail(
            err, TUB_E_UNSUPPORTED,
            "layer '%.100s' is used more than once, which no layer of the Keras example "
            "is",
            n->name);
    }
    const tub__json *call = tub__json_at(calls, 0), *keywords = tub__json_get(call, "kwargs");
    TUB__TRY(add_inputs(n, tub__json_get(call, "args"), 0, err));
    for (void *it = tub__json_first(keywords); it != NULL; it = tub__json_next(keywords, it)) {
        TUB__TRY(add_inputs(n, tub__json_value(it), 0, err));
    }
    return TUB_OK;
}

/* ---- Layers ---- */

static tub_status read_node(const tub__json *layer, int seen[CLASSES], tub__keras_node *n,
                            tub_error *err) {
    size_t class_index = 0;
    TUB__TRY(tub__json_get_text(layer, "class_name", &n->class_name, err));
    TUB__TRY(tub__json_get_text(layer, "name", &n->name, err));
    TUB__TRY(tub__json_to_object(tub__json_get(layer, "config"), "config", &n->config, err));
    TUB__TRY(class_of(n, &class_index, err));
    tub__keras_number(n->group, classes[class_index].stem, seen[class_index]++);
    return read_inputs(n, layer, err);
}

/* ["name", 0, 0], or a list of such. */
static tub_status read_output(const tub__json *config, const char **out, tub_error *err) {
    const tub__json *list = tub__json_get(config, "output_layers"), *first = tub__json_at(list, 0);
    const bool nested = first != NULL && tub__json_kind_of(first) == TUB__JSON_ARRAY;
    const tub__json *one = nested ? first : list;
    int64_t call = -1, output = -1;
    if (nested && tub__json_size(list) != 1) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "output_layers: %zu outputs; the Keras example has one",
                         tub__json_size(list));
    }
    TUB__TRY(tub__json_to_text(tub__json_at(one, 0), "output_layers", out, err));
    TUB__TRY(tub__json_to_integer(tub__json_at(one, 1), "output_layers", &call, err));
    TUB__TRY(tub__json_to_integer(tub__json_at(one, 2), "output_layers", &output, err));
    return call == 0 && output == 0
               ? TUB_OK
               : tub__fail(err, TUB_E_UNSUPPORTED,
                           "output_layers: layer '%.100s' is used more than once, or has more "
                           "outputs than one",
                           *out);
}

static tub_status read_nodes(const tub__json *list, tub__keras_graph *g, tub_error *err) {
    int seen[CLASSES] = {0};
    for (size_t i = 0; i < g->count; i++) {
        g->nodes[i].index = i;
        tub_status status = read_node(tub__json_at(list, i), seen, &g->nodes[i], err);
        if (status != TUB_OK) {
            return tub__prefix(err, status, "layers[%zu]", i);
        }
    }
    return TUB_OK;
}

tub_status tub__keras_graph_read(const tub_allocator *a, const tub__json *root,
                                 tub__keras_graph *out, tub_error *err) {
    const char *class_name;
    const tub__json *config, *list;
    TUB__TRY(tub__json_get_text(root, "class_name", &class_name, err));
    if (strcmp(class_name, "Functional") != 0) {
        return tub__fail(
            err, TUB_E_UNSUPPORTED,
            "class_name: expected 'Functional' as in the Keras example, found '%.100s'",
            class_name);
    }
    TUB__TRY(tub__json_to_object(tub__json_get(root, "config"), "config", &config, err));
    TUB__TRY(tub__json_to_array(tub__json_get(config, "layers"), "layers", &list, err));
    *out = (tub__keras_graph){.allocator = a, .count = tub__json_size(list)};
    if (out->count > LAYER_LIMIT) {
        return tub__fail(err, TUB_E_UNSUPPORTED, "layers: %zu, at most %d are read", out->count,
                         LAYER_LIMIT);
    }
    TUB__TRY(read_output(config, &out->output, err));
    TUB__TRY(tub__alloc_array(a, out->count, sizeof *out->nodes, (void **)&out->nodes, err));
    tub_status status = read_nodes(list, out, err);
    if (status != TUB_OK) {
        tub__keras_graph_destroy(out);
    }
    return status;
}

void tub__keras_graph_destroy(tub__keras_graph *g) {
    tub__free(g->allocator, g->nodes);
    *g = (tub__keras_graph){.allocator = g->allocator};
}

static tub__keras_node *find(const tub__keras_graph *g, const char *name) {
    for (size_t i = 0; i < g->count; i++) {
        if (strcmp(g->nodes[i].name, name) == 0) {
            return &g->nodes[i];
        }
    }
    return NULL;
}

const char *tub__keras_graph_class(const tub__keras_graph *g, const char *name) {
    const tub__keras_node *n = find(g, name);
    return n == NULL ? "" : n->class_name;
}

tub_status tub__keras_graph_use(tub__keras_graph *g, const char *name, const char *class_name,
                                int inputs, tub__keras_node **out, tub_error *err) {
    tub__keras_node *n = find(g, name);
    if (n == NULL) {
        return tub__fail(err, TUB_E_FORMAT,
                         "there is no layer '%.100s', but another takes what it "
                         "gives",
                         name);
    }
    if (strcmp(n->class_name, class_name) != 0) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "layer '%.100s' is a %.100s where the Keras example has a %s", name,
                         n->class_name, class_name);
    }
    if (n->input_count != inputs || n->used) {
        return odd_call(n, err);
    }
    n->used = true;
    *out = n;
    return TUB_OK;
}
