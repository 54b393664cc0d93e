/* SPDX-License-Identifier: Apache-2.0 */
/* Making the entries of a parameter table: what params.c and family_params.c share. */
#ifndef TUB__MODEL_PARAMS_MAKE_H
#define TUB__MODEL_PARAMS_MAKE_H

#include "model/family.h"
#include "model/model.h"
#include "model/variant.h"

/* What the entries of one model are made from. */
typedef struct tub__maker {
    const tub_model_config *c;
    tub__geometry g;
    tub__variant_shape shape;
    const tub__conv_shapes *convs;
    tub__params *out;
} tub__maker;

/* A new entry; the table has room. */
tub__param *tub__maker_add(tub__maker *m, tub__role role, int layer, const char *title, size_t rows,
                           size_t cols);
/* Its name in files. */
__attribute__((format(printf, 2, 3))) void tub__maker_name(tub__param *p, const char *format, ...);
/* Its shape in files, of a vector; of a dense kernel, which is a factor of products and decays. */
void tub__maker_vector(tub__param *p);
void tub__maker_kernel(tub__param *p);
/* Glorot uniform (Glorot and Bengio 2010). */
void tub__maker_glorot(tub__param *p, double fan_in, double fan_out);
/* Kernel and bias of a dense layer; the caller sets other names and limits of the two entries that this
 * returns the first of. */
tub__param *tub__maker_dense(tub__maker *m, tub__role kernel, int layer, const char *title_kernel,
                             const char *title_bias, size_t in, size_t out, bool bias,
                             const char *hf);

/* family_params.c: of a baseline all but the transformer and the head. */
void tub__maker_family(tub__maker *m);

#endif
