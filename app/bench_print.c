/* SPDX-License-Identifier: Apache-2.0 */
/* Measurements as tables. */
#include "bench_print.h"

#include <stdio.h>

#include "bench_words.h"

static void print_machine(const bench_line *line) {
    printf("%s, %s kernels, %d thread%s", bench_precision_word(line->precision), line->cpu,
           line->threads, line->threads == 1 ? "" : "s");
}

static void print_head(void) {
    printf(" %10s %10s %10s %9s %8s %7s %7s\n", "ms", "min", "max", "GFLOP/s", "of peak", "T_peak",
           "T_tile");
}

static void print_times(const tub_spread *seconds) {
    printf(" %10.4f %10.4f %10.4f", 1e3 * seconds->median, 1e3 * seconds->least,
           1e3 * seconds->most);
}

static void print_result(const tub_bench_result *r) {
    const double rate = r->operations / r->seconds.median;
    print_times(&r->seconds);
    printf(" %9.1f %7.1f%% %7.2f %7.2f\n", 1e-9 * rate, 100 / r->t_peak, r->t_peak, r->t_tile);
}

void bench_print_products_head(const bench_line *line) {
    print_machine(line);
    printf("\n%-16s %8s %8s %8s", "product", "rows", "depth", "columns");
    print_head();
}

void bench_print_attentions_head(const bench_line *line) {
    print_machine(line);
    printf("\n%-10s %7s %6s %6s %8s", "attention", "tokens", "heads", "width", "samples");
    print_head();
}

void bench_print_line(const bench_line *line) {
    const tub_bench_product *p = line->product;
    const tub_bench_attention_shape *a = line->attention;
    if (p != NULL) {
        printf("%-16s %8lld %8lld %8lld", bench_kind_word(p->kind), (long long)p->rows,
               (long long)p->depth, (long long)p->columns);
    } else {
        printf("%-10s %7lld %6lld %6lld %8lld", a->backward ? "backward" : "forward",
               (long long)a->tokens, (long long)a->heads, (long long)a->head_width,
               (long long)a->samples);
    }
    print_result(line->result);
    (void)fflush(stdout); /* the next measurement takes a while */
}

static void print_part(const char *name, const tub_spread *seconds) {
    printf("%-16s", name);
    print_times(seconds);
    putchar('\n');
}

void bench_print_model(const bench_line *line) {
    printf("%s: %lld tokens of %lld, %lld layers; batch %lld, ", line->model,
           (long long)line->tokens, (long long)line->config->hidden,
           (long long)line->config->layers, (long long)line->batch);
    print_machine(line);
    printf("\n%-16s", "");
    print_head();
    printf("%-16s", line->bench);
    print_result(line->result);
    if (line->step != NULL) {
        print_part("  forward", &line->step->forward);
        print_part("  backward", &line->step->backward);
        print_part("  update", &line->step->update);
        printf("%-16s %10.3f s for %d samples\n", "epoch", bench_epoch_seconds(line), BENCH_EPOCH);
    }
    printf("%-16s %10.1f GFLOP/s\n", "peak", 1e-9 * line->result->peak);
    printf("%-16s %10.1f GFLOP/s\n", "tile", 1e-9 * line->result->tile);
    if (line->result->tried > line->result->repeats) {
        printf("%-16s %10d of %d measurements\n", "idle", line->result->repeats,
               line->result->tried);
    }
    printf("%-16s %10.1f MiB resident\n", "memory",
           BENCH_MIB * (double)line->result->resident_bytes);
}

void bench_print_profile(const tub_bench_operation *operations, size_t count, double peak) {
    double sum = 0;
    printf("\n%-20s %6s %6s %7s %6s %9s %9s %8s %8s %8s\n", "operation", "rows", "depth", "columns",
           "calls", "ms", "GFLOP/s", "of peak", "MB", "GB/s");
    for (size_t i = 0; i < count; i++) {
        const tub_bench_operation *o = &operations[i];
        const double rate = o->operations / o->seconds;
        sum += o->seconds;
        printf("%-20s %6lld %6lld %7lld %6.0f %9.4f %9.1f %7.1f%% %8.2f %8.1f\n", o->name,
               (long long)o->rows, (long long)o->depth, (long long)o->columns, o->calls,
               1e3 * o->seconds, 1e-9 * rate, 100 * rate / peak, 1e-6 * o->bytes,
               1e-9 * o->bytes / o->seconds);
    }
    printf("%-49s %9.4f\n", "sum, each operation run by itself", 1e3 * sum);
}
