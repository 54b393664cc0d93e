/* SPDX-License-Identifier: Apache-2.0 */
/* The model card: README.md of a model folder, with the YAML front matter that model hubs read. */
#ifndef TUB__CONVERT_CARD_H
#define TUB__CONVERT_CARD_H

#include "convert/folder.h"
#include "convert/text.h"

/* Appends the card of a model to *t; encoder: of its folder without the classifier. card may be
 * NULL. */
void tub__card_print(tub__text *t, const tub_model *model, const tub__card *card, bool encoder);

#endif
