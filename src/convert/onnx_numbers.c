/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters and constants in the order in which an ONNX file has them. */
#include "convert/onnx_numbers.h"

#include "base/error.h"

tub_status tub__onnx_numbers_create(const tub__onnx_maker *m, tub__onnx_numbers *out,
                                    tub_error *err) {
    *out = (tub__onnx_numbers){.maker = m};
    return tub__array_buffers_create(m->model, &out->buffers, err);
}

void tub__onnx_numbers_free(tub__onnx_numbers *n) {
    tub__array_buffers_free(n->maker->model, &n->buffers);
}

/* from [rows, cols]; in squares, which stay in the cache whichever way they are gone over. */
static void transpose(const float *from, size_t rows, size_t cols, float *to) {
    enum { SQUARE = 32 };
    for (size_t r = 0; r < rows; r += SQUARE) {
        for (size_t c = 0; c < cols; c += SQUARE) {
            const size_t rows_end = tub__min(r + SQUARE, rows),
                         cols_end = tub__min(c + SQUARE, cols);
            for (size_t i = r; i < rows_end; i++) {
                for (size_t j = c; j < cols_end; j++) {
                    to[j * rows + i] = from[i * cols + j];
                }
            }
        }
    }
}

tub_status tub__onnx_numbers_of(const tub__onnx_numbers *n, size_t i, const void **out,
                                tub_error *err) {
    const tub__onnx_source *source = &n->maker->sources[i];
    const tub__param *p = source->param;
    float *values = n->buffers.values, *other = n->buffers.scratch;
    if (p == NULL) {
        *out = (const char *)n->maker->constants + source->at;
        return TUB_OK;
    }
    TUB__TRY(tub__model_read(n->maker->model, p, TUB_F32, values, other, err));
    *out = values;
    if (source->transposed) {
        transpose(values, p->shape[0], p->shape[1], other);
        *out = other;
    }
    return TUB_OK;
}
