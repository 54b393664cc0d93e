/* SPDX-License-Identifier: Apache-2.0 */
/* The machine: its processor and instruction sets. */
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

#ifdef __cplusplus
}
#endif
#endif
