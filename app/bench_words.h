/* SPDX-License-Identifier: Apache-2.0 */
/* What tables and JSON call the same. */
#ifndef APP_BENCH_WORDS_H
#define APP_BENCH_WORDS_H

#include "bench_print.h"

#define BENCH_MIB (1.0 / (1024.0 * 1024.0))
enum { BENCH_EPOCH = 971 }; /* training samples of OrganMNIST3D and phantom3d */

static inline const char *bench_kind_word(tub_bench_kind kind) {
    return kind == TUB_BENCH_FORWARD          ? "forward"
           : kind == TUB_BENCH_INPUT_GRADIENT ? "input gradient"
                                              : "weight gradient";
}

static inline const char *bench_precision_word(tub_precision precision) {
    return precision == TUB_PRECISION_F32    ? "f32"
           : precision == TUB_PRECISION_BF16 ? "bf16"
                                             : "int8";
}

static inline double bench_epoch_seconds(const bench_line *line) {
    return line->result->seconds.median * BENCH_EPOCH / (double)line->batch;
}

#endif
