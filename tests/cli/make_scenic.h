/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint of scenic's ViViT for command-line tests. */
#ifndef CLI_MAKE_SCENIC_H
#define CLI_MAKE_SCENIC_H

/* Writes variant 1 with a class token: clips of 8x8x8x1 in tubelets of 4x4x4, width 8, two heads, one
 * layer, up to 64 classes. */
void make_scenic(const char *path, unsigned classes);

#endif
