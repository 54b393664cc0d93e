/* SPDX-License-Identifier: Apache-2.0 */
/* Plain loops that are worth compiling twice: for any processor of the architecture, and for the wider
 * registers that most of them have. No operation is fused or reordered: the bits are the same. */
#ifndef TUB__BASE_WIDE_H
#define TUB__BASE_WIDE_H

/* TUB__WIDE(name, (int a, int b), (a, b)) defines the function `name` over an inline `name_loop` that was
 * defined with TUB__LOOP before. */
#define TUB__LOOP static inline __attribute__((always_inline)) void

#if defined __x86_64__
#define TUB__WIDE(name, parameters, arguments)                                                     \
    __attribute__((target("avx2"))) static void name##_avx2 parameters {                           \
        name##_loop arguments;                                                                     \
    }                                                                                              \
    static void name parameters {                                                                  \
        if (__builtin_cpu_supports("avx2")) {                                                      \
            name##_avx2 arguments;                                                                 \
        } else {                                                                                   \
            name##_loop arguments;                                                                 \
        }                                                                                          \
    }
#else
#define TUB__WIDE(name, parameters, arguments)                                                     \
    static void name parameters {                                                                  \
        name##_loop arguments;                                                                     \
    }
#endif

#endif
