/* SPDX-License-Identifier: Apache-2.0 */
/* What tubelet info tells of the files of a data set. */
#ifndef APP_INFO_FILES_H
#define APP_INFO_FILES_H

#include "output.h"

/* split_seed: that it was opened with. Nothing for a set in memory. False: no memory. */
bool info_print_files(const tub_dataset *data, uint64_t split_seed);
/* The object "files"; NULL: no memory. */
json_t *info_files_json(const tub_dataset *data, uint64_t split_seed);

#endif
