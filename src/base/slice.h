/* SPDX-License-Identifier: Apache-2.0 */
/* How long the system lets other threads run before it comes back to this one. */
#ifndef TUB__BASE_SLICE_H
#define TUB__BASE_SLICE_H

/* Asks for short slices for the calling thread, and those that it creates from now on: its share of a
 * core stays the same, but when others are busy it is let in sooner, for less long. Does nothing where
 * the system has no such thing (Linux before 6.12), and for threads of real-time and batch classes. */
void tub__slice_short(void);

#endif
