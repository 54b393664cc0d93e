/* SPDX-License-Identifier: Apache-2.0 */
/* Which instruction sets this processor and operating system can run. */
#include "backend/cpu.h"

bool tub__cpu_has(tub_cpu cpu) {
    switch (cpu) {
    case TUB_CPU_PORTABLE:
        return true;
#if defined __x86_64__
    /* The compiler's check asks the operating system, too, whether it saves the registers. */
    case TUB_CPU_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case TUB_CPU_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#endif
    default:
        return false;
    }
}

tub_cpu tub__cpu_best(void) {
    return tub__cpu_has(TUB_CPU_AVX512) ? TUB_CPU_AVX512
           : tub__cpu_has(TUB_CPU_AVX2) ? TUB_CPU_AVX2
                                        : TUB_CPU_PORTABLE;
}

const char *tub__cpu_name(tub_cpu cpu) {
    static const char *const names[] = {"auto", "portable", "avx2", "avx512"};
    return names[cpu];
}
