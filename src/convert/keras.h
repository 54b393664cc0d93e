/* SPDX-License-Identifier: Apache-2.0 */
/* Files of Keras 3 with the model of the Keras example "Video Vision Transformer": .keras (what the
 * model is, and its arrays) and .weights.h5 (the arrays). */
#ifndef TUB__CONVERT_KERAS_H
#define TUB__CONVERT_KERAS_H

#include "convert/keras_layout.h"
#include "convert/moments.h"

typedef struct tub__keras_options {
    /* Which GELU a file means that says only "gelu"; NULL: tanh, as the example trains with, with a
     * line of warning. A file that says which is not overruled. */
    const tub_gelu *gelu;
    /* Of a .weights.h5: the clip's size and whatever else such a file can't say. */
    const tub_model_config *like;
} tub__keras_options;

/* What was read. */
typedef struct tub__keras_model {
    tub_model *model;
    tub__moments moments;     /* of Adam, where the file has them */
    tub__keras_layout layout; /* where the arrays were */
} tub__keras_model;

/* Whether a path ends like a file of Keras: ".keras", ".weights.h5" or ".h5". */
bool tub__is_keras_path(const char *path);
bool tub__is_keras_weights_path(const char *path); /* one of the latter two */
/* Whether Keras would load a file of this name: .h5 alone is of its older format.
 * TUB_E_ARGUMENT. */
TUB_MUST_USE tub_status tub__keras_may_save(const char *path, tub_error *err);
/* Whether such a file needs tub__keras_python to be loaded. */
bool tub__keras_needs_python(const tub_model_config *config, const char *path);
/* Reads a file of either kind, told apart by its bytes. *out is released by tub__keras_close.
 * Errors: those of tub__h5_open; TUB_E_UNSUPPORTED (another model than the example's),
 * TUB_E_ARGUMENT (no options->like for a .weights.h5; another GELU asked for than the file
 * says). */
TUB_MUST_USE tub_status tub__keras_open(tub_context *ctx, const char *path,
                                        const tub__keras_options *options, tub__keras_model *out,
                                        tub_error *err);
void tub__keras_close(tub__keras_model *m);

/* Writes a .keras or, by the path's end, a .weights.h5; atomically, and the same model gives the
 * same bytes. moments: NULL, or without arrays, for none. TUB_E_ARGUMENT for another name. */
TUB_MUST_USE tub_status tub__keras_save(const tub_model *model, const tub__moments *moments,
                                        const char *path, tub_error *err);

/* The lines of Python without which Keras refuses a .keras of a tanh model. */
extern const char tub__keras_python[];

#endif
