/* SPDX-License-Identifier: Apache-2.0 */
/* How hard the compiler is pushed: everything inlined and unrolled, but not in checked builds.
 *
 * Under the sanitizers every lane's access is instrumented; inlined and unrolled, one portable
 * kernel file then takes more than ten minutes to compile. With VEC_CHECKED (set by the build where
 * b_sanitize is used) the same code is plain calls and loops. */
#ifndef TUB__CPU_INLINE_H
#define TUB__CPU_INLINE_H

#ifdef VEC_CHECKED
#define INLINE static inline __attribute__((unused))
#define UNROLL
#else
#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#endif

/* A value that the compiler knows nothing more about. */
#define TUB__OPAQUE(x) __asm__("" : "+r"(x))

#endif
