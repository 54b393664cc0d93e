/* SPDX-License-Identifier: Apache-2.0 */
/* Probabilities, loss and gradient of heads and of labels: heads are bit for bit the softmaxes that
 * they would be alone, labels are held against double; equal bits everywhere. */
#include "kernel_sets.h"

enum { ROWS = 6 };

/* What one loss gives. */
typedef struct answer {
    tub__mat p, d;
    float loss[ROWS];
} answer;

static answer run(const struct tub__kernels *k, const tub__outputs *o, const tub__mat *x,
                  const int32_t *labels, double smoothing) {
    answer a = {.p = new_mat(ROWS, x->cols, 0, 1), .d = new_mat(ROWS, x->cols, 0, 1)};
    const tub__loss op = {.outputs = *o,
                          .logits = *x,
                          .labels = labels,
                          .smoothing = smoothing,
                          .scale = 0.125,
                          .dlogits = a.d,
                          .probabilities = a.p,
                          .loss = a.loss};
    k->loss(&op, 0, ROWS);
    return a;
}

static void free_answer(answer *a) {
    free(a->p.data), free(a->d.data);
}

static void assert_everywhere(const tub__outputs *o, const tub__mat *x, const int32_t *labels,
                              const answer *first) {
    const struct tub__kernels *sets[3];
    const int count = kernel_sets(sets);
    for (int s = 0; s < count; s++) {
        answer a = run(sets[s], o, x, labels, 0.1);
        tub__mat alone = new_mat(ROWS, x->cols, 0, 1);
        sets[s]->probabilities(o, *x, alone, 0, ROWS);
        assert_same_mat("probabilities", sets[s]->name, &first->p, &a.p);
        assert_same_mat("probabilities alone", sets[s]->name, &first->p, &alone);
        assert_same_mat("dlogits", sets[s]->name, &first->d, &a.d);
        assert_same_bits("loss", sets[s]->name, first->loss, a.loss, ROWS);
        assert_zero_padding("probabilities", &a.p);
        assert_zero_padding("dlogits", &a.d);
        free(alone.data);
        free_answer(&a);
    }
}

static void check_heads(size_t heads, const size_t *classes) {
    tub__outputs o = {.task = TUB_TASK_MULTI_HEAD, .heads = heads};
    int32_t labels[ROWS * TUB_HEAD_LIMIT];
    double losses[ROWS] = {0};
    size_t all = 0;
    for (size_t h = 0; h < heads; h++) {
        o.head_classes[h] = classes[h];
        all += classes[h];
        for (size_t r = 0; r < ROWS; r++) {
            labels[r * heads + h] = (int32_t)((r * 7 + h) % classes[h]);
        }
    }
    tub__mat x = new_mat(ROWS, all, 0, 8);
    answer together = run(&tub__kernels_portable, &o, &x, labels, 0.1);
    assert_everywhere(&o, &x, labels, &together);
    for (size_t h = 0, first = 0; h < heads; first += classes[h++]) {
        tub__mat part = new_mat(ROWS, classes[h], 0, 0);
        int32_t own[ROWS];
        for (size_t r = 0; r < ROWS; r++) {
            memcpy((float *)part.data + r * part.ld, (float *)x.data + r * x.ld + first,
                   classes[h] * sizeof(float));
            own[r] = labels[r * heads + h];
        }
        answer alone = run(&tub__kernels_portable, &(tub__outputs){.task = TUB_TASK_MULTI_CLASS},
                           &part, own, 0.1);
        for (size_t r = 0; r < ROWS; r++) {
            losses[r] += (double)alone.loss[r] / (double)heads;
            for (size_t c = 0; c < classes[h]; c++) {
                assert_true(at(&alone.p, r, c) == at(&together.p, r, first + c));
                const double share = (double)at(&alone.d, r, c) / (double)heads;
                assert_true(fabs(share - (double)at(&together.d, r, first + c)) <= 1e-8);
            }
        }
        free_answer(&alone);
        free(part.data);
    }
    for (size_t r = 0; r < ROWS; r++) {
        assert_true(fabs(losses[r] - (double)together.loss[r]) <= 1e-6 * fmax(1, losses[r]));
    }
    free_answer(&together);
    free(x.data);
}

static void heads(void **state) {
    (void)state;
    check_heads(1, (size_t[]){11});
    check_heads(2, (size_t[]){97, 300});
    check_heads(2, (size_t[]){31, 1 + 32});
    check_heads(2, (size_t[]){2, 30});
    check_heads(3, (size_t[]){16, 17, 15});
    check_heads(4, (size_t[]){2, 2, 2, 26});
}

static void check_labels(size_t n) {
    const tub__outputs o = {.task = TUB_TASK_MULTI_LABEL};
    tub__mat x = new_mat(ROWS, n, 0, 8);
    int32_t *labels = calloc(ROWS * n, sizeof *labels);
    for (size_t i = 0; i < ROWS * n; i++) {
        labels[i] = (int32_t)(random_bits() & 1);
    }
    ((float *)x.data)[0] = 200, ((float *)x.data)[x.ld] = -200, ((float *)x.data)[2 * x.ld] = 0;
    answer a = run(&tub__kernels_portable, &o, &x, labels, 0.1);
    assert_everywhere(&o, &x, labels, &a);
    for (size_t r = 0; r < ROWS; r++) {
        double loss = 0;
        for (size_t c = 0; c < n; c++) {
            const double v = at(&x, r, c), p = 1 / (1 + exp(-v)),
                         target = 0.9 * labels[r * n + c] + 0.05;
            loss += target * log1p(exp(-v)) + (1 - target) * (log1p(exp(-fabs(v))) + fmax(v, 0));
            if (v < -50) { /* log1p(exp(-v)) has overflown or lost all */
                loss += target * (-v - log1p(exp(-v)));
            }
            assert_true(fabs(at(&a.p, r, c) - p) <= 1e-6 * p + 1e-30);
            assert_true(fabs(at(&a.d, r, c) - (p - target) * 0.125 / (double)n) <= 1e-7);
        }
        loss /= (double)n;
        assert_true(fabs(a.loss[r] - loss) <= 1e-6 * fmax(1, loss));
    }
    free_answer(&a);
    free(labels), free(x.data);
}

static void labels(void **state) {
    static const size_t counts[] = {2, 3, 14, 15, 16, 17, 31, 32, 33, 100};
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        check_labels(counts[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(heads), cmocka_unit_test(labels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
