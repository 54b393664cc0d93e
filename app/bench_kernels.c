/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet bench peak, gemm and attention: the machine and single kernels. */
#include "bench.h"

#include <stdio.h>

#include "bench_print.h"

int bench_peak(const cli_command *self, tub_context *ctx, const bench_options *o) {
    enum { REPEATS = 9 };
    const int repeats = o->number[BENCH_REPEATS] != 0 ? (int)o->number[BENCH_REPEATS] : REPEATS;
    tub_error err;
    tub_spread peak, tile;
    if (tub_bench_peak(ctx, repeats, &peak, &err) != TUB_OK ||
        tub_bench_tile(ctx, repeats, &tile, &err) != TUB_OK) {
        return cli_fail_setting(self, &err);
    }
    if (o->common.json) {
        return cli_print_json(self, bench_peak_json(ctx, &peak, &tile));
    }
    printf("peak  %.1f GFLOP/s, %.1f to %.1f  (float32 multiply-add, %s, %d threads)\n",
           peak.median, peak.least, peak.most, tub_context_cpu(ctx), tub_context_threads(ctx));
    printf(
        "tile  %.1f GFLOP/s, %.1f to %.1f  (products from the second cache: %.0f%% of the peak)\n",
        tile.median, tile.least, tile.most, 100 * tile.median / peak.median);
    return CLI_DONE;
}

static bench_line line_of(tub_context *ctx, const bench_options *o, const char *bench,
                          const tub_bench_result *result) {
    return (bench_line){.bench = bench,
                        .cpu = tub_context_cpu(ctx),
                        .threads = tub_context_threads(ctx),
                        .precision = o->precision,
                        .result = result};
}

static int print(const cli_command *self, const bench_options *o, const bench_line *line) {
    if (o->common.json) {
        return cli_print_json(self, bench_line_json(line));
    }
    bench_print_line(line);
    return CLI_DONE;
}

static int measure_products(const cli_command *self, tub_context *ctx, const bench_options *o,
                            const tub_bench_product *products, size_t count) {
    const tub_bench_config config = bench_config(o);
    tub_bench_result result;
    bench_line line = line_of(ctx, o, "gemm", &result);
    tub_error err;
    int code = CLI_DONE;
    for (size_t i = 0; i < count && code == CLI_DONE; i++) {
        if (o->precision == TUB_PRECISION_INT8 && products[i].kind != TUB_BENCH_FORWARD) {
            continue; /* there is no training in int8 */
        }
        if (tub_bench_gemm(ctx, &products[i], &config, &result, &err) != TUB_OK) {
            return cli_fail_setting(self, &err);
        }
        line.product = &products[i];
        code = print(self, o, &line);
    }
    return code;
}

/* Those of the reference model's training step, and of one clip of the large one. */
static int measure_presets(const cli_command *self, tub_context *ctx, const bench_options *o) {
    static const struct preset {
        const char *name;
        int64_t batch;
    } presets[] = {{"vivit-tiny", 32}, {"vivit-b", 1}};
    int code = CLI_DONE;
    for (size_t i = 0; i < sizeof presets / sizeof *presets && code == CLI_DONE; i++) {
        tub_bench_product products[TUB_BENCH_PRODUCTS];
        tub_model_config model;
        size_t count = 0;
        tub_error err;
        if (tub_model_preset(presets[i].name, &model, &err) != TUB_OK ||
            tub_bench_products(&model, presets[i].batch, products, &count, &err) != TUB_OK) {
            return cli_fail_setting(self, &err);
        }
        code = measure_products(self, ctx, o, products, count);
    }
    return code;
}

int bench_gemm(const cli_command *self, tub_context *ctx, const bench_options *o) {
    const int64_t m = o->number[BENCH_ROWS], k = o->number[BENCH_DEPTH],
                  n = o->number[BENCH_COLUMNS];
    const tub_bench_product given[] = {
        {.kind = TUB_BENCH_FORWARD, .rows = m, .depth = k, .columns = n},
        {.kind = TUB_BENCH_INPUT_GRADIENT, .rows = m, .depth = n, .columns = k},
        {.kind = TUB_BENCH_WEIGHT_GRADIENT, .rows = k, .depth = m, .columns = n}};
    if (!o->common.json) {
        const bench_line line = line_of(ctx, o, "gemm", NULL);
        bench_print_products_head(&line);
    }
    return m != 0 ? measure_products(self, ctx, o, given, sizeof given / sizeof *given)
                  : measure_presets(self, ctx, o);
}

static int measure_attentions(const cli_command *self, tub_context *ctx, const bench_options *o,
                              const tub_bench_attention_shape *shapes, size_t count) {
    const tub_bench_config config = bench_config(o);
    tub_bench_result result;
    bench_line line = line_of(ctx, o, "attention", &result);
    tub_error err;
    int code = CLI_DONE;
    if (!o->common.json) {
        bench_print_attentions_head(&line);
    }
    for (size_t i = 0; i < count && code == CLI_DONE; i++) {
        if (tub_bench_attention(ctx, &shapes[i], &config, &result, &err) != TUB_OK) {
            return cli_fail_setting(self, &err);
        }
        line.attention = &shapes[i];
        code = print(self, o, &line);
    }
    return code;
}

/* A number that was given, or another one. */
static int64_t number_or(const bench_options *o, bench_number which, int64_t other) {
    return o->number[which] != 0 ? o->number[which] : other;
}

int bench_attention(const cli_command *self, tub_context *ctx, const bench_options *o) {
    tub_train_config config = tub_train_config_default();
    tub_error err;
    config.model.attention_dropout = 0;
    if (settings_apply(&o->settings, NULL, &config, &err) != TUB_OK) {
        return cli_fail_setting(self, &err);
    }
    tub_bench_attention_shape shapes[3] = {
        {.tokens = number_or(o, BENCH_TOKENS, 27),
         .heads = config.model.heads,
         .head_width = number_or(o, BENCH_HEAD_WIDTH, 16),
         .samples = number_or(o, BENCH_SAMPLES, 32),
         .dropout = config.model.attention_dropout},
        {0},
        {.tokens = 3137, .heads = 12, .head_width = 64, .samples = 1}};
    const bool given = o->settings.count > 0 || o->number[BENCH_TOKENS] != 0 ||
                       o->number[BENCH_HEAD_WIDTH] != 0 || o->number[BENCH_SAMPLES] != 0;
    shapes[1] = shapes[0];
    shapes[1].backward = 1;
    return measure_attentions(self, ctx, o, shapes, given ? 2 : 3);
}
