/* SPDX-License-Identifier: Apache-2.0 */
/* The card of a model as it is published: README.md with a licence and commands that name the
 * hub. */
#ifndef TUB__HUB_CARD_H
#define TUB__HUB_CARD_H

#include "base/context.h"
#include "convert/text.h"
#include "hub/name.h"

/* Appends the card of the model in `folder` to *t. licence NULL: what the card says.
 * *has_licence: it names one. Errors: TUB_E_ARGUMENT (a licence that is no identifier), what is
 * wrong with README.md or, where there is none, with the model. */
TUB_MUST_USE tub_status tub__hub_card_write(tub_context *ctx, const char *folder,
                                            const tub__hub_name *name, const char *licence,
                                            tub__text *t, bool *has_licence, tub_error *err);
/* A licence as hubs name them: "apache-2.0". */
TUB_MUST_USE tub_status tub__hub_check_licence(const char *licence, tub_error *err);

#endif
