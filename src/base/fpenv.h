/* SPDX-License-Identifier: Apache-2.0 */
/* The floating-point environment guard: round to nearest, no flush-to-zero, no denormals-are-zero,
 * exceptions masked. */
#ifndef TUB__BASE_FPENV_H
#define TUB__BASE_FPENV_H

#include <stdint.h>

typedef struct tub__fpenv {
    uint64_t control; /* the caller's control word(s) */
} tub__fpenv;

/* Saves the calling thread's environment and sets the library's. Every public compute entry and
 * every worker does it. */
tub__fpenv tub__fpenv_enter(void);
/* Puts the saved environment back. */
void tub__fpenv_leave(tub__fpenv saved);

#endif
