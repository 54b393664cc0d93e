/* SPDX-License-Identifier: Apache-2.0 */
/* An array of a model as a file has it: name and shape, for reports. */
#ifndef TUB__CONVERT_FILE_ARRAY_H
#define TUB__CONVERT_FILE_ARRAY_H

#include <stdint.h>

enum { TUB__FILE_ARRAY_NAME = 192, TUB__FILE_ARRAY_RANK = 5 };

typedef struct tub__file_array {
    char name[TUB__FILE_ARRAY_NAME]; /* "layers/sequential_2/layers/dense/vars/0" */
    int rank;
    uint64_t shape[TUB__FILE_ARRAY_RANK];
} tub__file_array;

#endif
