/* SPDX-License-Identifier: Apache-2.0 */
/* Class names that tell a side or a direction: a mirrored sample has another of them. */
#ifndef TUB__DATA_SIDES_H
#define TUB__DATA_SIDES_H

#include <stdbool.h>
#include <stdint.h>

/* The first of the names (NULL: not known) one of whose words, in any case, is that of a side or direction
 * ("kidney-left", "Up"); left_right: of one that a mirror from left to right turns into another. NULL:
 * none. */
const char *tub__side_name(const char *const *names, int64_t count, bool left_right);

#endif
