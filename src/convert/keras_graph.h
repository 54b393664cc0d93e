/* SPDX-License-Identifier: Apache-2.0 */
/* The layers of a functional Keras model, and who feeds whom. */
#ifndef TUB__CONVERT_KERAS_GRAPH_H
#define TUB__CONVERT_KERAS_GRAPH_H

#include "convert/keras_layout.h"
#include "formats/json.h"

enum { TUB__KERAS_INPUTS = 3 };

/* Everything is borrowed from the parsed file. */
typedef struct tub__keras_node {
    const char *name, *class_name;
    const tub__json *config;
    const char *inputs[TUB__KERAS_INPUTS]; /* names of layers */
    int input_count;
    char group[TUB__KERAS_GROUP]; /* in the file of arrays */
    size_t index;                 /* in the model's list */
    bool used;                    /* has a part in what was recognised */
} tub__keras_node;

typedef struct tub__keras_graph {
    const tub_allocator *allocator;
    tub__keras_node *nodes;
    size_t count;
    const char *output; /* name of a layer */
} tub__keras_graph;

TUB_MUST_USE tub_status tub__keras_graph_read(const tub_allocator *a, const tub__json *root,
                                              tub__keras_graph *out, tub_error *err);
void tub__keras_graph_destroy(tub__keras_graph *g);
/* The layer of a name, which must be of a class and have so many inputs; marks it used,
 * and refuses one that is already. */
TUB_MUST_USE tub_status tub__keras_graph_use(tub__keras_graph *g, const char *name,
                                             const char *class_name, int inputs,
                                             tub__keras_node **out, tub_error *err);
/* The class of a layer by name; "" where there is no such layer. */
const char *tub__keras_graph_class(const tub__keras_graph *g, const char *name);

#endif
