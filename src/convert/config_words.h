/* SPDX-License-Identifier: Apache-2.0 */
/* The words of config.json for the choices of a configuration, for who reads and who writes the file. */
#ifndef TUB__CONVERT_CONFIG_WORDS_H
#define TUB__CONVERT_CONFIG_WORDS_H

#include "formats/json.h"
#include <tubelet/model.h>

enum { TUB__CONFIG_FORMAT = 1, TUB__QUANTIZED_BITS = 8 };
#define TUB__QUANTIZED_SCALES "output_channel"
/* model_type: transformers' own; a ViViT that it does not have; a baseline. */
#define TUB__TYPE_VIVIT    "vivit"
#define TUB__TYPE_TUBELET  "tubelet_vivit"
#define TUB__TYPE_BASELINE "tubelet_baseline"
/* Of architectures: transformers' networks with a classifier and without one. */
#define TUB__CLASS_CLASSIFIER "VivitForVideoClassification"
#define TUB__CLASS_ENCODER    "VivitModel"

/* One name in a file and the value that it means. The first name of a value is the one written. Lists end with a
 * NULL. */
typedef struct tub__choice {
    const char *name;
    int value;
} tub__choice;
extern const tub__choice tub__activations[];
extern const tub__choice tub__gelus[];
extern const tub__choice tub__poolings[];
extern const tub__choice tub__attention_inits[];
extern const tub__choice tub__input_scales[];
extern const tub__choice tub__tasks[];
extern const tub__choice tub__variants[];
extern const tub__choice tub__attention_orders[];
extern const tub__choice tub__position_kinds[];
extern const tub__choice tub__head_inits[];
extern const tub__choice tub__families[];

/* "unknown" for a value that the list does not have. */
const char *tub__choice_name(const tub__choice *list, int value);
/* Error: TUB_E_ARGUMENT, with the names that are known. */
TUB_MUST_USE tub_status tub__choice_parse(const tub__choice *list, const char *key,
                                          const char *text, int *out, tub_error *err);
/* Reads a choice from a member; *out stays when the key is missing. */
TUB_MUST_USE tub_status tub__choice_opt(const tub__json *o, const char *key,
                                        const tub__choice *list, int *out, tub_error *err);
/* The distance between tubelets along an axis, of which 0 means their size. */
int64_t tub__config_stride(const tub_model_config *c, int axis);

#endif
