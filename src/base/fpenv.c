/* SPDX-License-Identifier: Apache-2.0 */
/* Setting and restoring the floating-point control word of the calling thread. */
#include "base/fpenv.h"

#if defined __x86_64__
#include <xmmintrin.h>

/* All six exceptions masked, round to nearest, no flush-to-zero, no denormals-are-zero; no flag
 * raised. */
enum { CONTROL = 0x1F80 };

static uint64_t read_control(void) {
    return _mm_getcsr();
}

static void write_control(uint64_t control) {
    _mm_setcsr((unsigned)control);
}
#elif defined __aarch64__
/* FPCR zero is: round to nearest, no flushing, default NaN off, no traps. */
enum { CONTROL = 0 };

static uint64_t read_control(void) {
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    return control;
}

static void write_control(uint64_t control) {
    __asm__ volatile("msr fpcr, %0" : : "r"(control));
}
#else
#error "this processor's floating-point control word is not known: add it here"
#endif

tub__fpenv tub__fpenv_enter(void) {
    tub__fpenv saved = {read_control()};
    write_control(CONTROL);
    return saved;
}

void tub__fpenv_leave(tub__fpenv saved) {
    write_control(saved.control);
}
