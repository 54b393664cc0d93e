/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels over pictures made kernels over tubelets (Arnab et al. 2021, section 3.4). */
#ifndef TUB__CONVERT_INFLATE_H
#define TUB__CONVERT_INFLATE_H

#include <stddef.h>
#include <tubelet/start.h>

/* What each of `frames` slices of a tubelet kernel is of the picture's kernel, as scenic has it:
 *   central  1 at frames / 2, else 0
 *   average  1 / frames
 *   arp      alpha_i / frames, where alpha are the weights of approximate rank pooling (Bilen et al.
 *            2016): 2 (n - i + 1) - (n + 1) (H_n - H_{i-1}), H the harmonic numbers. They sum to 0. */
void tub__inflate_weights(tub_start_kernel kind, size_t frames, double *weights);

/* kernel [filters, channels_there, taps] to out [filters, channels, frames, taps], each product
 * rounded once. One channel of several there is their sum: what a grey picture would have got. */
typedef struct tub__inflation {
    size_t filters, channels_there, channels, frames, taps;
    const double *weights; /* [frames] */
} tub__inflation;
void tub__inflate(const tub__inflation *f, const float *kernel, float *out);

#endif
