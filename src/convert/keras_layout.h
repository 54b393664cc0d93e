/* SPDX-License-Identifier: Apache-2.0 */
/* Where the arrays of the Keras example "Video Vision Transformer" lie in Keras' files, and how
 * they lie there.
 *
 * Keras numbers the layers of a class in the order of the model's list, so a group's name says
 * nothing about the layer's place in the graph: config.json does. Where there is none, the order is
 * that in which the example makes its layers. */
#ifndef TUB__CONVERT_KERAS_LAYOUT_H
#define TUB__CONVERT_KERAS_LAYOUT_H

#include "convert/file_array.h"
#include "model/model.h"

/* A layer of Keras that holds arrays. */
typedef enum tub__keras_part {
    TUB__KERAS_EMBED,
    TUB__KERAS_POSITION,
    TUB__KERAS_NORM1,
    TUB__KERAS_ATTENTION,
    TUB__KERAS_NORM2,
    TUB__KERAS_MLP,
    TUB__KERAS_NORM,
    TUB__KERAS_HEAD
} tub__keras_part;

enum { TUB__KERAS_GROUP = 48, TUB__KERAS_PATH = 160, TUB__KERAS_RANK = TUB__FILE_ARRAY_RANK };

typedef struct tub__keras_place {
    char group[TUB__KERAS_GROUP]; /* "layer_normalization_3" */
    size_t rank;                  /* in the model's list of layers */
} tub__keras_place;

typedef struct tub__keras_layout {
    const tub_allocator *allocator;
    tub__keras_place *places; /* by tub__keras_index */
    size_t count;
    size_t ranks; /* all ranks are below */
    int layers;
} tub__keras_layout;

/* "name" for number 0, else "name_NUMBER", as Keras tells layers of a class apart. */
void tub__keras_number(char out[TUB__KERAS_GROUP], const char *stem, int number);

/* Empty places for a model of so many blocks. */
TUB_MUST_USE tub_status tub__keras_layout_create(const tub_allocator *a, int layers,
                                                 tub__keras_layout *out, tub_error *err);
/* As the example makes its layers. */
TUB_MUST_USE tub_status tub__keras_layout_plain(const tub_allocator *a, int layers,
                                                tub__keras_layout *out, tub_error *err);
void tub__keras_layout_destroy(tub__keras_layout *l);
tub__keras_place *tub__keras_place_of(const tub__keras_layout *l, tub__keras_part part, int layer);

/* An array as Keras has it. */
void tub__keras_describe(const tub__keras_layout *l, const tub_model_config *config,
                         const tub__param *p, tub__file_array *out);
/* Numbers in the parameter table, in the order of Keras' trainable variables: [params->count]. */
void tub__keras_order(const tub__keras_layout *l, const tub__params *params, size_t *order);
/* What happens to the axes on the way from Keras to model.safetensors, for people. */
const char *tub__keras_axes(const tub__param *p);
/* Between Keras' order of the elements and that of model.safetensors. */
void tub__keras_from(const tub__param *p, const float *keras, float *file);
void tub__keras_to(const tub__param *p, const float *file, float *keras);

/* Whether the example's model has a form for this configuration; the sentence says what it
 * lacks. */
TUB_MUST_USE tub_status tub__keras_can(const tub_model_config *config, tub_error *err);
/* What the example's model has otherwise ("has one softmax"), to stand in a sentence behind its name;
 * NULL for a configuration that it has a place for. */
const char *tub__keras_lacks(const tub_model_config *config);

#endif
