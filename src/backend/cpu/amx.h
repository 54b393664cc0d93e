/* SPDX-License-Identifier: Apache-2.0 */
/* The registers of AMX: eight of 16 rows of 64 bytes. */
#ifndef TUB__CPU_AMX_H
#define TUB__CPU_AMX_H

#include "backend/cpu/vec.h"

#include <immintrin.h>
#include <stdint.h>

enum { AMX_ROWS = 16 };

typedef struct amx_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} amx_config;

/* Before and after their use, on each thread. */
INLINE void amx_begin(void) {
    /* Static: GCC 12 believes that the instruction reads eight bytes, and leaves a local one
     * unfilled. */
    static const ALIGNED amx_config config = {
        .palette = 1,
        .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
        .rows = {AMX_ROWS, AMX_ROWS, AMX_ROWS, AMX_ROWS, AMX_ROWS, AMX_ROWS, AMX_ROWS, AMX_ROWS},
    };
    _tile_loadconfig(&config);
}
INLINE void amx_end(void) {
    _tile_release();
}

#endif
