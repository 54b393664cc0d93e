/* SPDX-License-Identifier: Apache-2.0 */
/* Names of models on a hub: hf:OWNER/NAME[@REVISION]. */
#ifndef TUB__HUB_NAME_H
#define TUB__HUB_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <tubelet/status.h>

enum { TUB__HUB_ID_LIMIT = 96, TUB__HUB_REVISION_LIMIT = 128, TUB__HUB_COMMIT = 40 };

typedef struct tub__hub_name {
    char id[TUB__HUB_ID_LIMIT + 1]; /* "OWNER/NAME", or "NAME" of the oldest models */
    char revision[TUB__HUB_REVISION_LIMIT +
                  1]; /* branch, tag or commit; "main" where none is named */
} tub__hub_name;

/* Whether a text is such a name, right or wrong: whether it begins with "hf:". */
bool tub__hub_is_name(const char *text);
/* Reads it, by the rules of the hub's own client. Error: TUB_E_ARGUMENT, with the rule. */
TUB_MUST_USE tub_status tub__hub_name_parse(const char *text, tub__hub_name *out, tub_error *err);
/* 40 lower-case hexadecimal digits. */
bool tub__hub_is_commit(const char *text);
/* What a server calls a file or a version, and becomes the name of a file here: letters, digits and
 * "._-", no dot in front, so that it leads nowhere else. */
bool tub__hub_is_plain(const char *text);

#endif
