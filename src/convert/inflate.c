/* SPDX-License-Identifier: Apache-2.0 */
/* A slice of a tubelet kernel is the picture's kernel times a number. */
#include "convert/inflate.h"

/* H_n - H_{i-1} = 1/i + 1/(i+1) + … + 1/n */
static double rank_pooling(size_t i, size_t n) {
    double sum = 0;
    for (size_t k = i; k <= n; k++) {
        sum += 1 / (double)k;
    }
    return 2 * (double)(n - i + 1) - (double)(n + 1) * sum;
}

void tub__inflate_weights(tub_start_kernel kind, size_t frames, double *weights) {
    const double n = (double)frames;
    for (size_t i = 0; i < frames; i++) {
        weights[i] = kind == TUB_START_CENTRAL   ? i == frames / 2
                     : kind == TUB_START_AVERAGE ? 1 / n
                                                 : rank_pooling(i + 1, frames) / n;
    }
}

/* One value of a filter, with its channels there added up where one is wanted of several. */
static double tap(const tub__inflation *f, const float *filter, size_t channel, size_t i) {
    const size_t first = channel * f->taps + i;
    if (f->channels == f->channels_there) {
        return (double)filter[first];
    }
    double sum = 0;
    for (size_t c = 0; c < f->channels_there; c++) {
        sum += (double)filter[c * f->taps + i];
    }
    return sum;
}

void tub__inflate(const tub__inflation *f, const float *kernel, float *out) {
    for (size_t d = 0; d < f->filters; d++) {
        const float *filter = kernel + d * f->channels_there * f->taps;
        for (size_t c = 0; c < f->channels; c++) {
            for (size_t t = 0; t < f->frames; t++) {
                for (size_t i = 0; i < f->taps; i++) {
                    *out++ = (float)(tap(f, filter, c, i) * f->weights[t] + 0.0); /* never -0 */
                }
            }
        }
    }
}
