/* SPDX-License-Identifier: Apache-2.0 */
/* The machine: its instruction sets and how fast it multiplies and adds. */
#ifndef TUBELET_MACHINE_H
#define TUBELET_MACHINE_H

#include <tubelet/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tub_machine {
    char processor[128]; /* as the system names it */
    int cores;           /* available to this process */
    int has_neon, has_avx2, has_avx512, has_avx512_bf16, has_amx;
} tub_machine;
TUB_API void tub_machine_describe(tub_machine *out);

/* Measures the float32 multiply-add peak of the context's threads and instruction set, in GFLOP/s
 * (two operations per fused multiply-add): median of `repeats` runs (9 is a good number). */
TUB_API TUB_MUST_USE tub_status tub_bench_peak(tub_context *ctx, int repeats, double *gflops,
                                               tub_error *err);

#ifdef __cplusplus
}
#endif
#endif
