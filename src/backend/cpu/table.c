/* SPDX-License-Identifier: Apache-2.0 */
/* The table of one instruction set, and the small kernels that only tests and benchmarks call. */
#include "backend/cpu/entries.h"
#include "backend/cpu/reduced.h"
#include "backend/cpu/vmath.h"

static vf tanh_slope(vf x) {
    vf slope;
    (void)vgelu_tanh(x, &slope);
    return slope;
}

static vf erf_slope(vf x) {
    vf slope;
    (void)vgelu_erf(x, &slope);
    return slope;
}

static vf tanh_alone(vf x) {
    return vgelu_tanh(x, NULL);
}

static vf erf_alone(vf x) {
    return vgelu_erf(x, NULL);
}

#define ROWS_(f)                                                                                   \
    {                                                                                              \
        size_t i = 0;                                                                              \
        for (; i + 16 <= n; i += 16)                                                               \
            vstore(y + i, f(vload(x + i)));                                                        \
        if (i < n)                                                                                 \
            vstoren(y + i, (int)(n - i), f(vloadn(x + i, (int)(n - i), vzero())));                 \
        break;                                                                                     \
    }

static void math(int which, size_t n, const void *x_, void *y_) {
    const real *x = x_;
    real *y = y_;
    switch (which) {
    case TUB__K_EXP:
        ROWS_(vexp)
    case TUB__K_TANH:
        ROWS_(vtanh)
    case TUB__K_ERF:
        ROWS_(verf)
    case TUB__K_GELU_TANH:
        ROWS_(tanh_alone)
    case TUB__K_GELU_ERF:
        ROWS_(erf_alone)
    case TUB__K_GELU_TANH_GRAD:
        ROWS_(tanh_slope)
    case TUB__K_GELU_ERF_GRAD:
        ROWS_(erf_slope)
    default:
        break;
    }
}

static void random_words(const uint32_t key[2], const uint32_t counter[4], uint32_t *out) {
    vu word[4];
    vphilox(key, counter[0], counter + 1, word);
    memcpy(out, word, sizeof word);
}

/* Twelve independent chains of multiply-adds per round: enough to hide the latency of any processor
 * so far. */
static double peak(long iterations) {
    enum { CHAINS = VEC_NV == 2 ? 12 : 6 };
    vf r[CHAINS];
    const vf a = vset1((real)0.999), b = vset1((real)1e-3);
    ALIGNED real start[CHAINS * 16]; /* all different: a compiler may do equal work once */
    for (int i = 0; i < CHAINS * 16; i++) {
        start[i] = (real)(i + 1);
    }
    UNROLL for (int i = 0; i < CHAINS; i++) r[i] = vload(start + 16 * i);
    for (long n = 0; n < iterations; n++) {
        UNROLL for (int i = 0; i < CHAINS; i++) r[i] = vfma(r[i], a, b);
    }
    vf s = r[0];
    UNROLL for (int i = 1; i < CHAINS; i++) s = vadd(s, r[i]);
    volatile real keep = vhsum(s);
    (void)keep;
    return (double)iterations * CHAINS * 16 * 2;
}

#define STRING2_(x) #x
#define STRING_(x)  STRING2_(x)

#ifdef VEC_REAL_IS_DOUBLE
#define REDUCE_        NULL
#define TRANSPOSE_     NULL
#define REDUCED_PLAIN_ NULL
#define REDUCE_INT8_   NULL
#define INT8_PLAIN_    NULL
#define DW_TASKS_      NULL
#define DW_PLAIN_      NULL
#else
#define REDUCE_        KERNEL(reduce)
#define TRANSPOSE_     KERNEL(reduce_transposed)
#define REDUCED_PLAIN_ KERNEL(product_bf16)
#define REDUCE_INT8_   KERNEL(reduce_int8)
#define INT8_PLAIN_    KERNEL(product_int8)
#define DW_TASKS_      KERNEL(dw_tasks_bf16)
#define DW_PLAIN_      KERNEL(dw_bf16)
#endif

/* A table that differs from its neighbours in reduced products only. */
#define TABLE_(name_, text, reduced, int8, attention_, dw_tasks_, dw_)                             \
    const struct tub__kernels CAT3(tub__kernels_, name_, ) = {                                     \
        .name = text,                                                                              \
        .real_size = sizeof(real),                                                                 \
        .tile_rows = VEC_MR,                                                                       \
        .product = KERNEL(product),                                                                \
        .reduced_product = reduced,                                                                \
        .int8_product = int8,                                                                      \
        .reduce = REDUCE_,                                                                         \
        .reduce_int8 = REDUCE_INT8_,                                                               \
        .reduce_transposed = TRANSPOSE_,                                                           \
        .reduced_dw_tasks = dw_tasks_,                                                             \
        .reduced_dw = dw_,                                                                         \
        .dw_tasks = KERNEL(dw_tasks),                                                              \
        .dw = KERNEL(dw),                                                                          \
        .norm = KERNEL(norm),                                                                      \
        .norm_backward = KERNEL(norm_backward),                                                    \
        .tree = KERNEL(tree),                                                                      \
        .attention = attention_,                                                                   \
        .attention_rows = KERNEL(attention_rows),                                                  \
        .attention_backward = KERNEL(attention_backward),                                          \
        .attention_dp = KERNEL(attention_dp),                                                      \
        .cut = KERNEL(cut),                                                                        \
        .cut_backward = KERNEL(cut_backward),                                                      \
        .prepend = KERNEL(prepend),                                                                \
        .prepend_backward = KERNEL(prepend_backward),                                              \
        .sum_samples = KERNEL(sum_samples),                                                        \
        .pool = KERNEL(pool),                                                                      \
        .pool_backward = KERNEL(pool_backward),                                                    \
        .conv = KERNEL(conv),                                                                      \
        .conv_dx_items = KERNEL(conv_dx_items),                                                    \
        .conv_turn = KERNEL(conv_turn),                                                            \
        .conv_dx = KERNEL(conv_dx),                                                                \
        .conv_dw_tasks = KERNEL(conv_dw_tasks),                                                    \
        .conv_dw = KERNEL(conv_dw),                                                                \
        .max_pool = KERNEL(max_pool),                                                              \
        .max_pool_backward = KERNEL(max_pool_backward),                                            \
        .batch_norm_sums = KERNEL(batch_norm_sums),                                                \
        .batch_norm_mean = KERNEL(batch_norm_mean),                                                \
        .batch_norm_inverse = KERNEL(batch_norm_inverse),                                          \
        .batch_norm_moving = KERNEL(batch_norm_moving),                                            \
        .batch_norm = KERNEL(batch_norm),                                                          \
        .batch_norm_backward_sums = KERNEL(batch_norm_backward_sums),                              \
        .batch_norm_backward = KERNEL(batch_norm_backward),                                        \
        .gru = KERNEL(gru),                                                                        \
        .gru_backward = KERNEL(gru_backward),                                                      \
        .drop = KERNEL(drop),                                                                      \
        .multiply = KERNEL(multiply),                                                              \
        .probabilities = KERNEL(probabilities),                                                    \
        .loss = KERNEL(loss),                                                                      \
        .add = KERNEL(add),                                                                        \
        .average = KERNEL(average),                                                                \
        .square_sum = KERNEL(square_sum),                                                          \
        .update = KERNEL(update),                                                                  \
        .peak = peak,                                                                              \
        .math = math,                                                                              \
        .random = random_words,                                                                    \
    };

TABLE_(VEC_NAME, STRING_(VEC_NAME), REDUCED_PLAIN_, INT8_PLAIN_, KERNEL(attention), DW_TASKS_,
       DW_PLAIN_)
#ifdef VEC_ENGINES
TABLE_(avx512_bf16, "avx512_bf16", KERNEL(product_bf16_dot), KERNEL(product_int8_dot),
       KERNEL(attention_dot), KERNEL(dw_tasks_dot), KERNEL(dw_dot))
TABLE_(amx, "amx", KERNEL(product_bf16_amx), KERNEL(product_int8_amx), KERNEL(attention_amx),
       KERNEL(dw_tasks_amx), KERNEL(dw_amx))
#endif
