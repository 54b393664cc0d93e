/* SPDX-License-Identifier: Apache-2.0 */
/* config.json: Hugging Face's ViViT keys and tubelet's own, to and from a model configuration. */
#ifndef TUB__CONVERT_CONFIG_JSON_H
#define TUB__CONVERT_CONFIG_JSON_H

#include "base/alloc.h"
#include "formats/json.h"
#include <tubelet/model.h>

/* True when transformers' VivitForVideoClassification computes the same as this configuration; only
 * then is the file's model_type "vivit". Otherwise it is "tubelet_vivit", which transformers
 * refuses instead of computing something else. */
bool tub__config_is_vivit(const tub_model_config *config);
/* What transformers' ViViT has otherwise ("has one softmax"), to stand in a sentence behind its name;
 * NULL for a configuration that it has a place for. */
const char *tub__config_vivit_lacks(const tub_model_config *config);

/* The file's text, zero-terminated, the caller's (tub__free). labels: [classes] or NULL (then
 * LABEL_0, LABEL_1, … are written). int8: of a folder whose kernels are whole numbers; transformers
 * would take them for weights, so its model_type is "tubelet_vivit" in any case. */
TUB_MUST_USE tub_status tub__config_to_json(const tub_allocator *a, const tub_model_config *config,
                                            bool int8, const char *const *labels, char **text,
                                            size_t *size, tub_error *err);
/* The same of an encoder alone, transformers' VivitModel: for configurations that are "vivit". */
TUB_MUST_USE tub_status tub__encoder_to_json(const tub_allocator *a, const tub_model_config *config,
                                             const char *const *labels, char **text, size_t *size,
                                             tub_error *err);
/* Reads a parsed file into a checked configuration. *labels: the caller's (tub__labels_free), NULL
 * when they are only LABEL_0, LABEL_1, …. The sentence of an error names the key, not the file. */
TUB_MUST_USE tub_status tub__config_from_json(const tub_allocator *a, const tub__json *root,
                                              tub_model_config *config, bool *int8, char ***labels,
                                              tub_error *err);

/* True of a file of transformers' VivitModel: there are no classifier's arrays, and perhaps a pooler's
 * that tubelet has no place for. */
bool tub__config_is_encoder(const tub__json *root);

/* The keys that transformers' ViT has, too: sizes of the picture and of the layers, hidden_act,
 * layer_norm_eps. What the file leaves out stays as it is in *c; nothing is checked yet. */
TUB_MUST_USE tub_status tub__config_read_shared(const tub__json *root, tub_model_config *c,
                                                tub_error *err);

/* id2label and label2id. Without id2label num_labels counts, without both there are two classes, as
 * in transformers. */
TUB_MUST_USE tub_status tub__labels_to_json(const tub_allocator *a, tub__json_writer *w,
                                            int64_t classes, const char *const *labels,
                                            tub_error *err);
TUB_MUST_USE tub_status tub__labels_from_json(const tub_allocator *a, const tub__json *root,
                                              int64_t *classes, char ***labels, tub_error *err);
void tub__labels_free(const tub_allocator *a, char **labels, int64_t classes); /* accepts NULL */

/* The names that files use for the choices of a configuration. */
const char *tub__input_scale_name(tub_input_scale scale);
const char *tub__gelu_name(tub_gelu gelu);
const char *tub__pooling_name(tub_pooling pooling);
/* For people. */
const char *tub__family_title(tub_family family);
const char *tub__variant_name(tub_variant variant);
const char *tub__attention_order_name(tub_attention_order order);
const char *tub__positions_name(tub_positions positions);
TUB_MUST_USE tub_status tub__input_scale_parse(const char *text, tub_input_scale *out,
                                               tub_error *err);

#endif
