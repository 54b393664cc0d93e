/* SPDX-License-Identifier: Apache-2.0 */
/* Which instruction sets this processor and operating system can run. */
#include "backend/cpu.h"

#if defined __x86_64__ && defined __linux__
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Linux keeps the large registers of AMX for processes that have asked. */
static bool may_use_tiles(void) {
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

/* Compilers' own checks know AMX only since a short while. */
static bool has_amx(void) {
    enum { AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24, AMX_INT8 = 1 << 25 };
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & AMX_BF16) && (d & AMX_TILE) &&
           (d & AMX_INT8) && may_use_tiles();
}
#elif defined __x86_64__
static bool has_amx(void) {
    return false;
}
#endif

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
    case TUB_CPU_AVX512_BF16:
        /* All processors with the one have the other, which reduced_dot.c needs as well. */
        return tub__cpu_has(TUB_CPU_AVX512) && __builtin_cpu_supports("avx512bf16") &&
               __builtin_cpu_supports("avx512vnni");
    case TUB_CPU_AMX:
        return tub__cpu_has(TUB_CPU_AVX512_BF16) && has_amx();
#elif defined __aarch64__
    case TUB_CPU_NEON: /* a part of the architecture */
        return true;
#endif
    default:
        return false;
    }
}

tub_cpu tub__cpu_best(void) {
    tub_cpu best = TUB_CPU_AMX;
    while (!tub__cpu_has(best)) {
        best--;
    }
    return best;
}

const char *tub__cpu_name(tub_cpu cpu) {
    static const char *const names[] = {"auto",   "portable",    "neon", "avx2",
                                        "avx512", "avx512_bf16", "amx"};
    return names[cpu];
}
