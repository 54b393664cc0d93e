/* SPDX-License-Identifier: Apache-2.0 */
/* What a record begins with. */
#ifndef TUB__BASE_WIRE_HEAD_H
#define TUB__BASE_WIRE_HEAD_H

#include "base/wire.h"

#define TUB__WIRE_MAGIC 0x31657269576275a5u /* no text */

typedef struct tub__wire_head {
    uint64_t magic, kind, code, rank, shape[TUB__WIRE_RANK], name_bytes, bytes;
} tub__wire_head;

#endif
