/* SPDX-License-Identifier: Apache-2.0 */
/* What the survey has found in the files of a set, kept in one file of the folder of downloads, so that the next
 * command that opens the set decodes nothing. Whatever goes wrong with it is not told: the files are looked at again. */
#ifndef TUB__DATA_FILE_FACTS_H
#define TUB__DATA_FILE_FACTS_H

#include "base/file.h"
#include "data/file_set.h"

/* Opens what an earlier survey has kept; the entries have their content by then. *out without data: nothing was. Error:
 * TUB_E_MEMORY. */
TUB_MUST_USE tub_status tub__file_facts_open(const tub__file_set *set, tub__map *out,
                                             tub_error *err);
void tub__file_facts_close(tub__map *map);
/* Fills the entry of an item. Not found are those that could not be read: what can't be read today may be tomorrow.
 * Several threads may ask at once. Error: TUB_E_MEMORY. */
TUB_MUST_USE tub_status tub__file_facts_get(const tub__map *map, tub__file_set *set,
                                            uint32_t number, bool *found, tub_error *err);
/* Keeps all entries, unless a file was changed since open. Error: TUB_E_MEMORY. */
TUB_MUST_USE tub_status tub__file_facts_put(const tub__file_set *set, tub_error *err);
/* A file was not what its facts say: the next opening looks for itself. */
void tub__file_facts_forget(const tub__file_set *set);

#endif
