/* SPDX-License-Identifier: Apache-2.0 */
/* Recipes: settings from YAML, and the resolved recipe of a run. */
#ifndef TUB__TRAIN_RECIPE_H
#define TUB__TRAIN_RECIPE_H

#include "base/alloc.h"
#include "formats/json.h"
#include <tubelet/train.h>

/* Applies a parsed recipe over *config: settings by key, those of the model in the mapping
 * "model". The preset comes first, wherever it stands, then `start` (NULL: none): the model's values
 * from elsewhere. Errors: TUB_E_ARGUMENT, TUB_E_RANGE,
 * TUB_E_FORMAT (a value of a wrong kind); they do not name the file. */
TUB_MUST_USE tub_status tub__recipe_apply(const tub__json *recipe, const tub_model_config *start,
                                          tub_train_config *config, tub_error *err);

/* Puts every setting into an object of a text; key NULL: it is the text. */
TUB_MUST_USE tub_status tub__recipe_put(tub__json_writer *w, const char *key,
                                        const tub_train_config *config, tub_error *err);
/* Every setting as the text of a file; *text is the caller's (tub__free), zero-terminated. It is YAML that is JSON too: people and YAML
 * programs read it as a recipe, and a run can be resumed where mod-yaml is not installed. */
TUB_MUST_USE tub_status tub__recipe_text(const tub_allocator *a, const tub_train_config *config,
                                         char **text, size_t *size, tub_error *err);

/* Writes it to a file, atomically. */
TUB_MUST_USE tub_status tub__recipe_write(const tub_allocator *a, const char *path,
                                          const tub_train_config *config, tub_error *err);

/* MD5 of the settings that decide a run's bits, of each step done: neither how many steps there
 * are in all, nor who computes them. */
TUB_MUST_USE tub_status tub__recipe_digest(const tub_train_config *config, char hex[33],
                                           tub_error *err);

#endif
