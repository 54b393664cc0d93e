/* SPDX-License-Identifier: Apache-2.0 */
/* Ratios of whole numbers, exactly: which frame, and which time comes first. Floating point goes wrong
 * where a ratio is a tie or a boundary. */
#ifndef TUB__BASE_RATIO_H
#define TUB__BASE_RATIO_H

#include <stdint.h>

/* a / b rounded to the nearest, ties to even; b is not 0 and less than 2^63. */
static inline uint64_t tub__divide_even(uint64_t a, uint64_t b) {
    const uint64_t whole = a / b, twice = 2 * (a % b);
    return whole + (twice > b || (twice == b && whole % 2 == 1));
}

enum { TUB__NANOSECONDS = 1000000000 }; /* in a second */

/* Below, at or above 0 as `units` of numerator / denominator seconds are earlier than, at or later than
 * a time in nanoseconds. numerator and denominator are from 1 to INT32_MAX. */
static inline int tub__compare_times(int64_t units, int64_t numerator, int64_t denominator,
                                     int64_t nanoseconds) {
    __extension__ typedef __int128 wide; /* 2^63 * 2^31 * 10^9 is below 2^127 */
    const wide a = (wide)units * numerator * TUB__NANOSECONDS, b = (wide)nanoseconds * denominator;
    return (a > b) - (a < b);
}

/* Nanoseconds of so many units, cut down to a whole number: for showing. INT64_MAX where that is more. */
static inline int64_t tub__to_nanoseconds(int64_t units, int64_t numerator, int64_t denominator) {
    __extension__ typedef __int128 wide;
    const wide t = (wide)units * numerator * TUB__NANOSECONDS / denominator;
    return t > INT64_MAX ? INT64_MAX : t < INT64_MIN ? INT64_MIN : (int64_t)t;
}

#endif
