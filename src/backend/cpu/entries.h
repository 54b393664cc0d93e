/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels' entry points under the names of the instruction set being compiled: declared once,
 * for the files and for the table. */
#ifndef TUB__CPU_ENTRIES_H
#define TUB__CPU_ENTRIES_H

#include "backend/cpu/kernels.h"
#include "backend/cpu/vec.h"

void KERNEL(product)(const tub__k_product *p, size_t row0, size_t row1, size_t panel0,
                     size_t panel1, void *scratch);
void KERNEL(product_bf16)(const tub__k_product *p, size_t row0, size_t row1, size_t panel0,
                          size_t panel1, void *scratch);
void KERNEL(product_int8)(const tub__k_product *p, size_t row0, size_t row1, size_t panel0,
                          size_t panel1, void *scratch);
void KERNEL(reduce_int8)(const void *w, size_t depth, size_t panel0, size_t panel1, void *reduced);
void KERNEL(reduce)(const void *w, size_t depth, size_t panel0, size_t panel1, void *reduced);
void KERNEL(reduce_transposed)(const void *w, size_t depth, size_t columns, size_t panel0,
                               size_t panel1, void *reduced);
size_t KERNEL(dw_tasks_bf16)(size_t k, size_t panels);
void KERNEL(dw_bf16)(const tub__k_dw *p, size_t task0, size_t task1, void *scratch);
size_t KERNEL(dw_tasks_dot)(size_t k, size_t panels);
void KERNEL(dw_dot)(const tub__k_dw *p, size_t task0, size_t task1, void *scratch);
size_t KERNEL(dw_tasks_amx)(size_t k, size_t panels);
void KERNEL(dw_amx)(const tub__k_dw *p, size_t task0, size_t task1, void *scratch);
size_t KERNEL(dw_tasks)(size_t k, size_t panels);
void KERNEL(dw)(const tub__k_dw *p, size_t task0, size_t task1, void *scratch);
void KERNEL(norm)(const tub__norm *op, size_t row0, size_t row1);
void KERNEL(norm_backward)(const tub__norm_backward *op, size_t group0, size_t group1,
                           void *partial);
void KERNEL(tree)(void *partial, size_t groups, size_t stride, size_t width, void *out);
void KERNEL(attention)(const tub__attention *op, size_t unit0, size_t unit1, void *scratch);
void KERNEL(attention_rounded)(const tub__attention *op, size_t unit0, size_t unit1, void *scratch);
void KERNEL(attention_dot)(const tub__attention *op, size_t unit0, size_t unit1, void *scratch);
void KERNEL(attention_amx)(const tub__attention *op, size_t unit0, size_t unit1, void *scratch);
void KERNEL(attention_backward)(const tub__attention_backward *op, size_t unit0, size_t unit1,
                                void *scratch);
void KERNEL(attention_dp)(const tub__attention_dp *op, size_t unit0, size_t unit1, void *scratch);
void KERNEL(attention_small)(const tub__attention *op, size_t unit0, size_t unit1, void *scratch);
void KERNEL(attention_rows)(const tub__attention *op, size_t row0, size_t row1, void *scratch);
void KERNEL(attention_small_backward)(const tub__attention_backward *op, size_t unit0, size_t unit1,
                                      void *scratch);
void KERNEL(cut)(const tub__geometry *g, tub_dtype dtype, const void *x, bool multiply,
                 tub__mat rows, size_t row0, size_t row1);
void KERNEL(cut_backward)(const tub__geometry *g, tub__mat drows, void *dx, size_t sample0,
                          size_t sample1);
void KERNEL(prepend)(tub__mat x, const void *token, tub__mat position, tub__mat y, size_t sample0,
                     size_t sample1, size_t samples);
void KERNEL(prepend_backward)(tub__mat dy, tub__mat dx, size_t sample0, size_t sample1,
                              size_t samples);
void KERNEL(sum_samples)(size_t samples, size_t group, bool more, tub__mat x, tub__mat sum,
                         size_t row0, size_t row1);
void KERNEL(pool)(tub_pooling kind, size_t samples, tub__mat x, tub__mat y, size_t sample0,
                  size_t sample1);
void KERNEL(pool_backward)(const tub__pool_backward *op, size_t sample0, size_t sample1);
void KERNEL(conv)(const tub__conv *op, size_t parts, size_t item0, size_t item1, void *scratch);
size_t KERNEL(conv_dx_items)(const tub__conv_dx *op, size_t parts);
void KERNEL(conv_turn)(const tub__conv_dx *op, size_t tap0, size_t tap1);
void KERNEL(conv_dx)(const tub__conv_dx *op, size_t parts, size_t item0, size_t item1,
                     void *scratch);
size_t KERNEL(conv_dw_tasks)(const tub__conv_dw *op);
void KERNEL(conv_dw)(const tub__conv_dw *op, size_t task0, size_t task1, void *scratch);
void KERNEL(max_pool)(const tub__max_pool *op, size_t row0, size_t row1);
void KERNEL(max_pool_backward)(const tub__max_pool *op, size_t sample0, size_t sample1);
void KERNEL(batch_norm_sums)(const tub__batch_norm *op, bool squares, size_t block0, size_t block1);
void KERNEL(batch_norm_mean)(const tub__batch_norm *op);
void KERNEL(batch_norm_inverse)(const tub__batch_norm *op);
void KERNEL(batch_norm_moving)(const tub__batch_norm *op);
void KERNEL(batch_norm)(const tub__batch_norm *op, size_t row0, size_t row1);
void KERNEL(batch_norm_backward_sums)(const tub__batch_norm_backward *op, size_t block0,
                                      size_t block1);
void KERNEL(batch_norm_backward)(const tub__batch_norm_backward *op, size_t row0, size_t row1);
void KERNEL(gru)(const tub__gru *op, size_t row0, size_t row1);
void KERNEL(gru_backward)(const tub__gru_backward *op, size_t row0, size_t row1);
void KERNEL(drop)(const tub__drop *op, size_t row0, size_t row1);
void KERNEL(multiply)(tub__mat x, tub__mat y, tub__mat z, size_t row0, size_t row1);
void KERNEL(probabilities)(const tub__outputs *outputs, tub__mat logits, tub__mat probabilities,
                           size_t row0, size_t row1);
void KERNEL(loss)(const tub__loss *op, size_t row0, size_t row1);
void KERNEL(add)(void *to, const void *from, size_t begin, size_t end);
void KERNEL(average)(void *to, const void *from, double share, size_t begin, size_t end);
double KERNEL(square_sum)(const void *w, size_t rows, size_t cols);
void KERNEL(update)(const tub__update *u, size_t begin, size_t end);

/* Row `row` of a matrix view. */
INLINE real *row_of(tub__mat m, size_t row) {
    return (real *)m.data + row * m.ld;
}

#endif
