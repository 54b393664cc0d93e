/* SPDX-License-Identifier: Apache-2.0 */
/* A model's parameters, and the state of Adam, to and from Keras' file of arrays. */
#ifndef TUB__CONVERT_KERAS_ARRAYS_H
#define TUB__CONVERT_KERAS_ARRAYS_H

#include "convert/keras_layout.h"
#include "convert/moments.h"
#include "formats/hdf5.h"

/* Fills a model from the file: every array must be there, of its shape, finite, and no other. A bad
 * file leaves the model as it was. */
TUB_MUST_USE tub_status tub__keras_read_arrays(tub_model *model, const tub__h5_file *f,
                                               const tub__keras_layout *l, tub_error *err);
/* Adam's moments, where the file has them for every array, else moments->first is NULL. *name: the
 * optimizer that the file has a state of ("adam", "adamw", "SGD"; NULL: none). */
TUB_MUST_USE tub_status tub__keras_read_moments(const tub_model *model, const tub__h5_file *f,
                                                const tub__keras_layout *l, tub__moments *moments,
                                                const char **name, tub_error *err);
/* What sizes tell of a configuration: all but the clip's, and what has no array. base gives the
 * rest. */
TUB_MUST_USE tub_status tub__keras_sizes(const tub__h5_file *f, const tub_model_config *base,
                                         tub_model_config *out, tub_error *err);
/* The file's bytes, in a map (tub__map_close), of groups and arrays in Keras' order. moments: NULL
 * or without arrays for none. */
TUB_MUST_USE tub_status tub__keras_write_arrays(const tub_model *model, const tub__moments *moments,
                                                tub__map *map, const void **bytes, size_t *size,
                                                tub_error *err);

#endif
