/* SPDX-License-Identifier: Apache-2.0 */
/* A contact sheet of augmentation: samples beside what training makes of them. */
#ifndef TUBELET_SHEET_H
#define TUBELET_SHEET_H

#include <tubelet/train.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { TUB_SHEET_SAMPLES = 64, TUB_SHEET_VERSIONS = 32 };

typedef struct tub_sheet_options {
    size_t size;      /* sizeof(tub_sheet_options) */
    int64_t samples;  /* rows, 1 to TUB_SHEET_SAMPLES: evenly spread over the train split */
    int64_t versions; /* pictures beside the sample, 1 to TUB_SHEET_VERSIONS */
    int64_t epoch;    /* the first one that they are of, from 1; further ones follow */
} tub_sheet_options;
/* 8 samples, 6 versions, from epoch 1 on. */
TUB_API tub_sheet_options tub_sheet_options_default(void);

/* Draws a PNG picture: in each row a sample's middle frame, then the middle frames of the clips that a training
 * with this configuration sees of it, one an epoch (an epoch without the sample is passed over), mixed with
 * others where it mixes. Of more than one channel but three the first is drawn. Floats are drawn as 0 to 1.
 * data: an open data set, or NULL to open config->data. options: NULL for the default. path: the file to
 * write, replaced in one step. Errors: those of tub_dataset_open; TUB_E_ARGUMENT, TUB_E_RANGE (settings),
 * TUB_E_SHAPE, TUB_E_NOT_FOUND (no train samples), TUB_E_MODULE (mod-draw), TUB_E_IO, TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_augment_sheet(tub_context *ctx, const tub_train_config *config,
                                                  tub_dataset *data,
                                                  const tub_sheet_options *options,
                                                  const char *path, tub_error *err);

#ifdef __cplusplus
}
#endif
#endif
