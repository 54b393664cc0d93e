/* SPDX-License-Identifier: Apache-2.0 */
/* config.json of a .keras file: the Keras example's model as a graph of layers, to and from a
 * configuration. */
#ifndef TUB__CONVERT_KERAS_CONFIG_H
#define TUB__CONVERT_KERAS_CONFIG_H

#include "convert/keras_layout.h"
#include "formats/json.h"

/* The name by which a file asks for tanh GELU; Keras knows it only where the lines of
 * tub__keras_python were run. */
#define TUB__KERAS_TANH "tubelet>gelu_tanh"

/* What a file says of GELU. */
typedef enum tub__keras_says {
    TUB__KERAS_SAYS_GELU, /* "gelu": the example trains with tanh, Keras reads it back as erf */
    TUB__KERAS_SAYS_TANH
} tub__keras_says;

/* Reads a parsed file into a checked configuration (its gelu stays tanh) and the layout of its
 * arrays, the caller's (tub__keras_layout_destroy). Every layer must have its part in the example's
 * graph. The sentence of an error names the layer, not the file. */
TUB_MUST_USE tub_status tub__keras_config_read(const tub_allocator *a, const tub__json *root,
                                               tub_model_config *config, tub__keras_says *gelu,
                                               tub__keras_layout *layout, tub_error *err);

/* How the model is to be compiled: with Adam at this learning rate, or not at all (NULL). */
TUB_MUST_USE tub_status tub__keras_config_write(const tub_allocator *a,
                                                const tub_model_config *config,
                                                const double *learning_rate, char **text,
                                                size_t *size, tub_error *err);

#endif
