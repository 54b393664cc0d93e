/* SPDX-License-Identifier: Apache-2.0 */
/* Model folders: config.json, model.safetensors, preprocessor_config.json and the model card. */
#ifndef TUB__CONVERT_FOLDER_H
#define TUB__CONVERT_FOLDER_H

#include "convert/file_array.h"
#include "model/model.h"

/* What stands in a model folder beside the arrays; written into config.json and the model card. */
typedef struct tub__card {
    const char *data;       /* data set name, or NULL */
    const char *licence;    /* of the data, or NULL */
    const char *recipe;     /* command or recipe that made it, or NULL */
    const char *start;      /* name of the model that it started from, or NULL */
    const tub_scores *val;  /* or NULL */
    const tub_scores *test; /* or NULL */
    const char *note;       /* a sentence about the weights and the scores, or NULL */
} tub__card;

/* Writes config.json, preprocessor_config.json and README.md (card may be NULL): all but the
 * arrays. */
TUB_MUST_USE tub_status tub__folder_write_config(const tub_model *model, const char *folder,
                                                 const tub__card *card, tub_error *err);
/* Writes model.safetensors atomically. Same parameters, same bytes. */
TUB_MUST_USE tub_status tub__folder_write_arrays(const tub_model *model, const char *folder,
                                                 tub_error *err);
/* How a folder is written; all zero: one file with the published names, of the whole model. */
typedef struct tub__folder_form {
    bool encoder;        /* without the classifier, as transformers' VivitModel */
    bool newer_names;    /* the spelling of newer transformers modules */
    uint64_t shard_size; /* most bytes of arrays in a file; 0: all in one */
} tub__folder_form;
/* The array of a parameter as such a folder has it; false: not at all. */
bool tub__folder_array(const tub__param *p, const tub__folder_form *form, tub__file_array *out);
/* Both of the above in another form than usual. Of several files the index is written last. An encoder:
 * of configurations that are "vivit". */
TUB_MUST_USE tub_status tub__folder_write_config_as(const tub_model *model, const char *folder,
                                                    const tub__card *card,
                                                    const tub__folder_form *form, tub_error *err);
TUB_MUST_USE tub_status tub__folder_write_arrays_as(const tub_model *model, const char *folder,
                                                    const tub__folder_form *form, tub_error *err);
/* Reads config.json into a checked configuration, whether the kernels are whole numbers, and labels (array of classes strings or NULL; free
 * each and the array with tub__free). */
TUB_MUST_USE tub_status tub__folder_read_config(tub_context *ctx, const char *folder,
                                                tub_model_config *config, bool *int8,
                                                char ***labels, tub_error *err);
/* The same of a folder with or without a classifier. */
TUB_MUST_USE tub_status tub__folder_read_any_config(tub_context *ctx, const char *folder,
                                                    tub_model_config *config, bool *int8,
                                                    bool *encoder, char ***labels, tub_error *err);
/* The same of a folder whose encoder alone is wanted: it may have no classifier (VivitModel), and its
 * labels are not read. */
TUB_MUST_USE tub_status tub__folder_read_encoder_config(tub_context *ctx, const char *folder,
                                                        tub_model_config *config, tub_error *err);
/* Reads a folder of floats, with or without a classifier, as tub_model_open does. *encoder: it has none, and the
 * model's is zero. *arrays: what the files have of each parameter, [params.count], the caller's
 * (tub__free); nothing of the classifier of an encoder. */
TUB_MUST_USE tub_status tub__folder_open_any(tub_context *ctx, const char *folder, tub_model **out,
                                             bool *encoder, tub__file_array **arrays,
                                             tub_error *err);
/* What a folder is whose model another one starts from: one of this program's or of transformers'
 * ViViT, or of transformers' ViT (a clip of one frame). */
typedef struct tub__folder_source {
    tub_model_config config;
    char **labels;   /* or NULL; tub__labels_free */
    bool image;      /* a ViT */
    bool classifier; /* there may be one; tub__folder_read_source finds out */
} tub__folder_source;
TUB_MUST_USE tub_status tub__folder_read_source_config(tub_context *ctx, const char *folder,
                                                       tub__folder_source *out, tub_error *err);
/* Fills a float32 model of that configuration; source->classifier becomes whether the folder has
 * one. A pooler, and what a ViT was trained with beside its encoder, is not looked at. */
TUB_MUST_USE tub_status tub__folder_read_source(tub_model *model, const char *folder,
                                                tub__folder_source *source, tub_error *err);
/* Fills a model's parameters from model.safetensors; missing, unexpected and misshapen arrays are
 * errors that name them. int8: the folder's kernels are whole numbers, and so are the model's. */
TUB_MUST_USE tub_status tub__folder_read_arrays(tub_model *model, const char *folder, bool int8,
                                                tub_error *err);
/* The same for all but the classifier, which stays as it is; the folder's classifier and pooler, if
 * any, are not looked at. */
TUB_MUST_USE tub_status tub__folder_read_encoder(tub_model *model, const char *folder,
                                                 tub_error *err);
/* Either, and (arrays not NULL) what the files have of each parameter: [params.count]. */
TUB_MUST_USE tub_status tub__folder_read_listed(tub_model *model, const char *folder, bool encoder,
                                                tub__file_array *arrays, tub_error *err);
/* A model for training on: the encoder of a model folder, and a fresh classifier of this many classes
 * drawn from seed. Folders of transformers' VivitModel are fine, those of int8 weights are
 * TUB_E_UNSUPPORTED. */
TUB_MUST_USE tub_status tub__folder_open_encoder(tub_context *ctx, const char *folder,
                                                 int64_t classes, uint64_t seed, tub_model **out,
                                                 tub_error *err);

#endif
