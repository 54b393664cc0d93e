/* SPDX-License-Identifier: Apache-2.0 */
/* The table of data sets that can be named and downloaded. */
#ifndef TUB__DATA_MEDMNIST_H
#define TUB__DATA_MEDMNIST_H

#include <stdbool.h>
#include <tubelet/data.h>

/* The folder from which all of them are published; a file's address is this, its name, and the
 * query below. */
extern const char tub__medmnist_url[];
extern const char tub__medmnist_query[];

/* What the public table does not show. */
typedef struct tub__known_details {
    const char *md5[2]; /* accepted checksums; the second may be NULL */
    const char *const *labels;
} tub__known_details;

/* Index in tub_known_datasets of a data set by name, or by file name; -1 when it is none. */
int tub__known_by_name(const char *name);
int tub__known_by_file(const char *file);
const tub__known_details *tub__known_details_of(int index);

/* The published facts of a known name, whether the file is here or not; false: not a known one. */
bool tub__known_info(const char *name, tub_dataset_info *out);

/* Fails with TUB_E_NOT_FOUND: "NAME: FACT" and the name that was probably meant, else all of them;
 * built_in: the built-in sets count. */
TUB_MUST_USE tub_status tub__known_fail(const char *name, const char *fact, bool built_in,
                                        tub_error *err);

#endif
