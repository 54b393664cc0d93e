/* SPDX-License-Identifier: Apache-2.0 */
/* A small data set of odd sizes in a .npz file with MedMNIST's keys: 46 + 20 + 8 volumes of
 * 10x13x9x2 in five classes. */
#ifndef TUB__TESTS_TINY_DATA_H
#define TUB__TESTS_TINY_DATA_H

enum { TINY_TRAIN = 46, TINY_VAL = 20, TINY_TEST = 8, TINY_CLASSES = 5 };

/* What the labels of a sample are: its class; or three that are there or not; or a class of each of two
 * heads of 2 and 5. */
typedef enum tiny_kind { TINY_CLASS, TINY_LABELS, TINY_HEADS } tiny_kind;

/* Writes the file; 0 when it worked. The same bytes every time. */
int tiny_data_write(const char *path, tiny_kind kind);

#endif
