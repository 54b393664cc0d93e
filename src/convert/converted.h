/* SPDX-License-Identifier: Apache-2.0 */
/* A model that is converted: read from a file of any kind, with what that file calls its arrays. */
#ifndef TUB__CONVERT_CONVERTED_H
#define TUB__CONVERT_CONVERTED_H

#include "convert/file_array.h"
#include "convert/moments.h"
#include <tubelet/convert.h>

typedef struct tub__converted {
    tub_convert_kind kind;
    tub_model *model;
    bool encoder; /* it has no classifier; the model's is zero */
    tub__moments moments;
    tub__file_array *arrays; /* [params.count]: what the file has of each parameter */
} tub__converted;

/* Opens a file or folder of a kind that tub_convert_detect found. *out is released by
 * tub__converted_close. */
TUB_MUST_USE tub_status tub__converted_open(tub_context *ctx, const char *path,
                                            tub_convert_kind kind,
                                            const tub_convert_options *options, tub__converted *out,
                                            tub_error *err);
/* The state of Adam in a model folder, apart from its arrays: it warns of what does not go along, which
 * is of no interest before the conversion is known to be possible. Files of Keras have it read. */
TUB_MUST_USE tub_status tub__converted_read_moments(tub__converted *m, const char *path,
                                                    tub_error *err);
/* The same, all of it, of what was just written of m, which says all that the file does not. */
TUB_MUST_USE tub_status tub__converted_reopen(const tub__converted *m, const char *path,
                                              tub_convert_kind kind, tub__converted *out,
                                              tub_error *err);
void tub__converted_close(tub__converted *m);

/* Compares what was written (again, of kind m became) with m: the names and shapes that were planned,
 * [params.count], every array, the state of Adam, the logits of a fixed clip, bit by bit, and of a folder
 * configuration, labels and preprocessing.
 * TUB_E_NUMERIC names the first that differs. Gives `again` the classifier of m where m's was not
 * written. */
TUB_MUST_USE tub_status tub__converted_check(const tub__converted *m, tub__converted *again,
                                             const tub__file_array *planned, tub_error *err);

#endif
