/* SPDX-License-Identifier: Apache-2.0 */
/* How far one word is from another. */
#ifndef TUB__BASE_WORDS_H
#define TUB__BASE_WORDS_H

#include <stddef.h>

/* Insertions, deletions, replacements and swaps of neighbours that make one word the other; SIZE_MAX
 * where one of them is longer than any word. */
size_t tub__edit_distance(const char *a, const char *b);

#endif
