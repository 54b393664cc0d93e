/* SPDX-License-Identifier: Apache-2.0 */
/* matplotlib's viridis, by Nathaniel J. Smith, Stefan van der Walt and Eric Firing, who gave it to the public
 * (CC0): its brightness grows evenly, so that it tells the same with any kind of colour vision and without
 * any. Taken are 33 of its 256 colours, at equal distances from matplotlib/_cm_listed.py; between them lies a
 * straight line, which is at most 1.8 levels beside the whole table. */
#include "explain/viridis.h"

enum { COLOURS = 33 };

static const unsigned char table[COLOURS][3] = {
    {68, 1, 84},    {71, 13, 96},   {72, 24, 106},  {72, 35, 116},  {71, 45, 123},  {69, 54, 129},
    {66, 64, 134},  {63, 73, 137},  {59, 82, 139},  {55, 90, 141},  {51, 99, 141},  {47, 106, 142},
    {44, 114, 142}, {41, 122, 142}, {38, 129, 142}, {35, 137, 142}, {33, 144, 140}, {31, 152, 139},
    {31, 159, 136}, {33, 166, 133}, {40, 174, 128}, {49, 181, 123}, {62, 188, 116}, {76, 194, 108},
    {93, 201, 99},  {110, 206, 88}, {130, 211, 76}, {150, 216, 63}, {171, 220, 50}, {192, 223, 36},
    {213, 226, 26}, {234, 229, 26}, {253, 231, 37}};

void tub__viridis(double value, double rgb[3]) {
    const double inside = value > 1 ? 1 : value > 0 ? value : 0, at = inside * (COLOURS - 1);
    const int low = at >= COLOURS - 1 ? COLOURS - 2 : (int)at;
    for (int c = 0; c < 3; c++) {
        rgb[c] = table[low][c] + (at - low) * (table[low + 1][c] - table[low][c]);
    }
}
