/* SPDX-License-Identifier: Apache-2.0 */
/* One parameter array between a slab and host memory in the layout of the file. */
#include <string.h>

#include "model/params.h"

/* Rows of the convolution's matrix run (t, h, w, c); the file has [D, C, t, h, w]. Moves one
 * element of `size` bytes. */
static void reorder(const tub__param *p, size_t size, const char *from, char *to, bool to_file) {
    const size_t channels = p->shape[1], taps = p->rows / channels;
    for (size_t d = 0; d < p->cols; d++) {
        for (size_t c = 0; c < channels; c++) {
            for (size_t i = 0; i < taps; i++) {
                const size_t matrix = (i * channels + c) * p->cols + d,
                             file = (d * channels + c) * taps + i;
                if (to_file) {
                    memcpy(to + file * size, from + matrix * size, size);
                } else {
                    memcpy(to + matrix * size, from + file * size, size);
                }
            }
        }
    }
}

static size_t host_size(tub_dtype host) {
    return host == TUB_F64 ? sizeof(double) : sizeof(float);
}

void tub__param_read(tub__backend *be, const tub__param *p, void *slab, tub_dtype host, void *out,
                     void *scratch) {
    if (!p->packed) {
        be->ops->mat_out(be, host, out, p->cols, 1, tub__param_mat(be, p, slab));
    } else if (p->file == TUB__FILE_TRANSPOSED) {
        be->ops->unpack(be, host, out, 1, p->rows, tub__param_weight(be, p, slab, NULL));
    } else {
        be->ops->unpack(be, host, scratch, p->cols, 1, tub__param_weight(be, p, slab, NULL));
        reorder(p, host_size(host), scratch, out, true);
    }
}

void tub__param_write(tub__backend *be, const tub__param *p, void *slab, tub_dtype host,
                      const void *values, void *scratch) {
    if (!p->packed) {
        be->ops->mat_in(be, tub__param_mat(be, p, slab), host, values, p->cols, 1);
    } else if (p->file == TUB__FILE_TRANSPOSED) {
        be->ops->pack(be, tub__param_weight(be, p, slab, NULL), host, values, 1, p->rows);
    } else {
        reorder(p, host_size(host), values, scratch, false);
        be->ops->pack(be, tub__param_weight(be, p, slab, NULL), host, scratch, p->cols, 1);
    }
}
