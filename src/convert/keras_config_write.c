/* SPDX-License-Identifier: Apache-2.0 */
/* Writing config.json of the Keras example's model. What all versions of Keras 3 know is written,
 * and nothing that is left out changes what is computed. */
#include "convert/keras_config.h"

#include "base/error.h"
#include <stdio.h>

typedef struct maker {
    tub__json_writer w;
    const tub_model_config *c;
    int64_t tokens;
} maker;

/* Shapes begin with null, the batch. */
static void put_shape(maker *m, const char *key, int rank, const int64_t *sizes) {
    tub__json_open_array(&m->w, key);
    tub__json_put_null(&m->w, NULL);
    for (int i = 0; i < rank; i++) {
        tub__json_put_integer(&m->w, NULL, sizes[i]);
    }
    tub__json_close_array(&m->w);
}

static void put_clip_shape(maker *m, const char *key) {
    const tub_model_config *c = m->c;
    put_shape(m, key, 4, (const int64_t[]){c->frames, c->height, c->width, c->channels});
}

/* [batch, tokens, width], and [batch, width] of what is no sequence. */
static void put_row_shape(maker *m, const char *key, int64_t width, bool sequence) {
    put_shape(m, key, sequence ? 2 : 1,
              sequence ? (const int64_t[]){m->tokens, width} : (const int64_t[]){width});
}

static void put_dtype(maker *m) {
    tub__json_open_object(&m->w, "dtype");
    tub__json_put_text(&m->w, "module", "keras");
    tub__json_put_text(&m->w, "class_name", "DTypePolicy");
    tub__json_open_object(&m->w, "config");
    tub__json_put_text(&m->w, "name", "float32");
    tub__json_close_object(&m->w);
    tub__json_put_null(&m->w, "registered_name");
    tub__json_close_object(&m->w);
}

/* A layer up to the first of its own values. module NULL: the user's class. */
static void open_layer(maker *m, const char *module, const char *class_name, const char *name) {
    tub__json_open_object(&m->w, NULL);
    tub__json_put_text(&m->w, "module", module);
    tub__json_put_text(&m->w, "class_name", class_name);
    tub__json_open_object(&m->w, "config");
    tub__json_put_text(&m->w, "name", name);
    tub__json_put_bool(&m->w, "trainable", true);
    put_dtype(m);
}

static void close_config(maker *m, const char *registered_name) {
    tub__json_close_object(&m->w);
    tub__json_put_text(&m->w, "registered_name", registered_name);
}

/* The tensors that a layer takes: what `from` give. */
enum wrap { AS_ARGUMENTS, AS_LIST };

static void put_inputs(maker *m, const char *name, enum wrap wrap, int count,
                       const char *const *from, int64_t width, bool sequence, bool clip) {
    tub__json_put_text(&m->w, "name", name);
    tub__json_open_array(&m->w, "inbound_nodes");
    tub__json_open_object(&m->w, NULL);
    tub__json_open_array(&m->w, "args");
    if (wrap == AS_LIST) {
        tub__json_open_array(&m->w, NULL);
    }
    for (int i = 0; i < count; i++) {
        tub__json_open_object(&m->w, NULL);
        tub__json_put_text(&m->w, "class_name", "__keras_tensor__");
        tub__json_open_object(&m->w, "config");
        if (clip) {
            put_clip_shape(m, "shape");
        } else {
            put_row_shape(m, "shape", width, sequence);
        }
        tub__json_put_text(&m->w, "dtype", "float32");
        tub__json_open_array(&m->w, "keras_history");
        tub__json_put_text(&m->w, NULL, from[i]);
        tub__json_put_integer(&m->w, NULL, 0);
        tub__json_put_integer(&m->w, NULL, 0);
        tub__json_close_array(&m->w);
        tub__json_close_object(&m->w);
        tub__json_close_object(&m->w);
    }
    if (wrap == AS_LIST) {
        tub__json_close_array(&m->w);
    }
    tub__json_close_array(&m->w);
    tub__json_open_object(&m->w, "kwargs");
    tub__json_close_object(&m->w);
    tub__json_close_object(&m->w);
    tub__json_close_array(&m->w);
    tub__json_close_object(&m->w); /* of the layer */
}

static void put_token_inputs(maker *m, const char *name, int count, const char *const *from) {
    put_inputs(m, name, AS_ARGUMENTS, count, from, m->c->hidden, true, false);
}

static void open_build(maker *m) {
    tub__json_open_object(&m->w, "build_config");
}

static void put_token_build(maker *m) {
    open_build(m);
    put_row_shape(m, "input_shape", m->c->hidden, true);
    tub__json_close_object(&m->w);
}

/* ---- The layers ---- */

static void put_input(maker *m) {
    tub__json_open_object(&m->w, NULL);
    tub__json_put_text(&m->w, "module", "keras.layers");
    tub__json_put_text(&m->w, "class_name", "InputLayer");
    tub__json_open_object(&m->w, "config");
    put_clip_shape(m, "batch_shape");
    tub__json_put_text(&m->w, "dtype", "float32");
    tub__json_put_bool(&m->w, "sparse", false);
    tub__json_put_text(&m->w, "name", "input_layer");
    close_config(m, NULL);
    tub__json_put_text(&m->w, "name", "input_layer");
    tub__json_open_array(&m->w, "inbound_nodes");
    tub__json_close_array(&m->w);
    tub__json_close_object(&m->w);
}

static void put_embed(maker *m) {
    open_layer(m, NULL, "TubeletEmbedding", "tubelet_embedding");
    tub__json_put_integer(&m->w, "embed_dim", m->c->hidden);
    tub__json_open_array(&m->w, "patch_size");
    for (int i = 0; i < 3; i++) {
        tub__json_put_integer(&m->w, NULL, m->c->tubelet[i]);
    }
    tub__json_close_array(&m->w);
    close_config(m, "TubeletEmbedding");
    open_build(m);
    put_clip_shape(m, "input_shape");
    tub__json_close_object(&m->w);
    put_inputs(m, "tubelet_embedding", AS_ARGUMENTS, 1, (const char *[]){"input_layer"}, 0, false,
               true);
}

static void put_position(maker *m) {
    open_layer(m, NULL, "PositionalEncoder", "positional_encoder");
    tub__json_put_integer(&m->w, "embed_dim", m->c->hidden);
    close_config(m, "PositionalEncoder");
    put_token_build(m);
    put_token_inputs(m, "positional_encoder", 1, (const char *[]){"tubelet_embedding"});
}

static void put_norm(maker *m, const char *name, const char *from) {
    open_layer(m, "keras.layers", "LayerNormalization", name);
    tub__json_open_array(&m->w, "axis");
    tub__json_put_integer(&m->w, NULL, -1);
    tub__json_close_array(&m->w);
    tub__json_put_real(&m->w, "epsilon", m->c->norm_epsilon);
    tub__json_put_bool(&m->w, "center", true);
    tub__json_put_bool(&m->w, "scale", true);
    close_config(m, NULL);
    put_token_build(m);
    put_token_inputs(m, name, 1, &from);
}

static void put_attention(maker *m, const char *name, const char *from) {
    const tub_model_config *c = m->c;
    open_layer(m, "keras.layers", "MultiHeadAttention", name);
    tub__json_put_integer(&m->w, "num_heads", c->heads);
    tub__json_put_integer(&m->w, "key_dim", c->hidden / c->heads);
    tub__json_put_integer(&m->w, "value_dim", c->hidden / c->heads);
    tub__json_put_real(&m->w, "dropout", c->attention_dropout);
    tub__json_put_bool(&m->w, "use_bias", true);
    tub__json_put_null(&m->w, "output_shape");
    tub__json_open_array(&m->w, "attention_axes");
    tub__json_put_integer(&m->w, NULL, 1);
    tub__json_close_array(&m->w);
    close_config(m, NULL);
    open_build(m);
    tub__json_open_object(&m->w, "shapes_dict");
    put_row_shape(m, "query_shape", c->hidden, true);
    put_row_shape(m, "value_shape", c->hidden, true);
    tub__json_close_object(&m->w);
    tub__json_close_object(&m->w);
    put_token_inputs(m, name, 2, (const char *[]){from, from});
}

static void put_add(maker *m, const char *name, const char *left, const char *right) {
    open_layer(m, "keras.layers", "Add", name);
    close_config(m, NULL);
    open_build(m);
    tub__json_open_array(&m->w, "input_shape");
    put_row_shape(m, NULL, m->c->hidden, true);
    put_row_shape(m, NULL, m->c->hidden, true);
    tub__json_close_array(&m->w);
    tub__json_close_object(&m->w);
    put_inputs(m, name, AS_LIST, 2, (const char *[]){left, right}, m->c->hidden, true, false);
}

/* "gelu" is erf to Keras. Its tanh form has no name there, so it gets one that Keras does not know
 * of itself: no result is better than another model's. */
static void put_gelu(maker *m) {
    if (m->c->gelu == TUB_GELU_ERF) {
        tub__json_put_text(&m->w, "activation", "gelu");
        return;
    }
    tub__json_open_object(&m->w, "activation");
    tub__json_put_text(&m->w, "module", "builtins");
    tub__json_put_text(&m->w, "class_name", "function");
    tub__json_put_text(&m->w, "config", TUB__KERAS_TANH);
    tub__json_put_text(&m->w, "registered_name", "function");
    tub__json_close_object(&m->w);
}

/* Up to the end of its build_config. */
static void put_dense(maker *m, const char *name, int64_t in, int64_t units, const char *activation,
                      bool sequence) {
    open_layer(m, "keras.layers", "Dense", name);
    tub__json_put_integer(&m->w, "units", units);
    if (activation != NULL) {
        tub__json_put_text(&m->w, "activation", activation);
    } else {
        put_gelu(m);
    }
    tub__json_put_bool(&m->w, "use_bias", true);
    close_config(m, NULL);
    open_build(m);
    put_row_shape(m, "input_shape", in, sequence);
    tub__json_close_object(&m->w);
}

static void put_mlp(maker *m, int layer, const char *name, const char *from) {
    char dense[TUB__KERAS_GROUP], input[TUB__KERAS_GROUP];
    const tub_model_config *c = m->c;
    tub__keras_number(input, "input_layer", layer + 1);
    open_layer(m, "keras", "Sequential", name);
    tub__json_open_array(&m->w, "layers");
    tub__json_open_object(&m->w, NULL);
    tub__json_put_text(&m->w, "module", "keras.layers");
    tub__json_put_text(&m->w, "class_name", "InputLayer");
    tub__json_open_object(&m->w, "config");
    put_row_shape(m, "batch_shape", c->hidden, true);
    tub__json_put_text(&m->w, "dtype", "float32");
    tub__json_put_bool(&m->w, "sparse", false);
    tub__json_put_text(&m->w, "name", input);
    close_config(m, NULL);
    tub__json_close_object(&m->w);
    tub__keras_number(dense, "dense", 2 * layer);
    put_dense(m, dense, c->hidden, c->mlp, NULL, true);
    tub__json_close_object(&m->w);
    tub__keras_number(dense, "dense", 2 * layer + 1);
    put_dense(m, dense, c->mlp, c->hidden, c->mlp_output_gelu ? NULL : "linear", true);
    tub__json_close_object(&m->w);
    tub__json_close_array(&m->w);
    put_row_shape(m, "build_input_shape", c->hidden, true);
    close_config(m, NULL);
    put_token_build(m);
    put_token_inputs(m, name, 1, &from);
}

static void put_pool(maker *m, const char *from) {
    open_layer(m, "keras.layers", "GlobalAveragePooling1D", "global_average_pooling1d");
    tub__json_put_text(&m->w, "data_format", "channels_last");
    tub__json_put_bool(&m->w, "keepdims", false);
    close_config(m, NULL);
    put_token_inputs(m, "global_average_pooling1d", 1, &from);
}

/* One block; in: the layer before it, out: the block's last. */
static void put_block(maker *m, int l, const char *in, char out[TUB__KERAS_GROUP]) {
    char norm1[TUB__KERAS_GROUP], attention[TUB__KERAS_GROUP], add[TUB__KERAS_GROUP],
        norm2[TUB__KERAS_GROUP], mlp[TUB__KERAS_GROUP], last[TUB__KERAS_GROUP];
    tub__keras_number(norm1, "layer_normalization", 2 * l);
    tub__keras_number(attention, "multi_head_attention", l);
    tub__keras_number(add, "add", 2 * l);
    tub__keras_number(norm2, "layer_normalization", 2 * l + 1);
    tub__keras_number(mlp, "sequential", l);
    tub__keras_number(last, "add", 2 * l + 1);
    put_norm(m, norm1, in);
    put_attention(m, attention, norm1);
    put_add(m, add, attention, in);
    put_norm(m, norm2, add);
    put_mlp(m, l, mlp, norm2);
    put_add(m, last, mlp, add);
    snprintf(out, TUB__KERAS_GROUP, "%s", last);
}

static void put_layers(maker *m, char head[TUB__KERAS_GROUP]) {
    char last[TUB__KERAS_GROUP] = "positional_encoder", norm[TUB__KERAS_GROUP];
    const int layers = (int)m->c->layers;
    put_input(m);
    put_embed(m);
    put_position(m);
    for (int l = 0; l < layers; l++) {
        put_block(m, l, last, last);
    }
    tub__keras_number(norm, "layer_normalization", 2 * layers);
    put_norm(m, norm, last);
    put_pool(m, norm);
    tub__keras_number(head, "dense", 2 * layers);
    put_dense(m, head, m->c->hidden, m->c->classes, "softmax", false);
    put_inputs(m, head, AS_ARGUMENTS, 1, (const char *[]){"global_average_pooling1d"}, m->c->hidden,
               false, false);
}

/* ---- The model ---- */

static void put_end(maker *m, const char *key, const char *layer) {
    tub__json_open_array(&m->w, key);
    tub__json_put_text(&m->w, NULL, layer);
    tub__json_put_integer(&m->w, NULL, 0);
    tub__json_put_integer(&m->w, NULL, 0);
    tub__json_close_array(&m->w);
}

/* As the example compiles it; without this Keras reads no optimizer state. */
static void put_compile(maker *m, const double *learning_rate) {
    tub__json_open_object(&m->w, "compile_config");
    if (learning_rate != NULL) {
        tub__json_open_object(&m->w, "optimizer");
        tub__json_put_text(&m->w, "module", "keras.optimizers");
        tub__json_put_text(&m->w, "class_name", "Adam");
        tub__json_open_object(&m->w, "config");
        tub__json_put_text(&m->w, "name", "adam");
        tub__json_put_real(&m->w, "learning_rate", *learning_rate);
        tub__json_put_real(&m->w, "beta_1", 0.9);
        tub__json_put_real(&m->w, "beta_2", 0.999);
        tub__json_put_real(&m->w, "epsilon", 1e-7);
        tub__json_put_bool(&m->w, "amsgrad", false);
        close_config(m, NULL);
        tub__json_close_object(&m->w);
        tub__json_put_text(&m->w, "loss", "sparse_categorical_crossentropy");
    }
    tub__json_close_object(&m->w);
}

static void put_model(maker *m, const double *learning_rate) {
    char head[TUB__KERAS_GROUP], name[TUB__KERAS_GROUP];
    tub__keras_number(name, "functional", (int)m->c->layers); /* each Sequential took a number */
    tub__json_open_object(&m->w, NULL);
    tub__json_put_text(&m->w, "module", "keras.src.models.functional");
    tub__json_put_text(&m->w, "class_name", "Functional");
    tub__json_open_object(&m->w, "config");
    tub__json_put_text(&m->w, "name", name);
    tub__json_put_bool(&m->w, "trainable", true);
    tub__json_open_array(&m->w, "layers");
    put_layers(m, head);
    tub__json_close_array(&m->w);
    put_end(m, "input_layers", "input_layer");
    put_end(m, "output_layers", head);
    close_config(m, "Functional");
    open_build(m);
    tub__json_put_null(&m->w, "input_shape");
    tub__json_close_object(&m->w);
    put_compile(m, learning_rate);
    tub__json_close_object(&m->w);
}

tub_status tub__keras_config_write(const tub_allocator *a, const tub_model_config *config,
                                   const double *learning_rate, char **text, size_t *size,
                                   tub_error *err) {
    const tub__geometry g = tub__model_geometry(config);
    maker m = {.c = config, .tokens = (int64_t)tub__geometry_tokens(&g)};
    tub__json_start(&m.w, a, 0);
    put_model(&m, learning_rate);
    return tub__json_finish(&m.w, text, size, err);
}
