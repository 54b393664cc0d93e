/* SPDX-License-Identifier: Apache-2.0 */
/* Measurements as JSON (docs/json.md). */
#include "bench_print.h"

#include "bench_words.h"

static void put(json_t *object, const char *key, json_t *value) {
    (void)json_object_set_new(object, key, value); /* without memory the object lacks the key */
}

static void put_number(json_t *object, const char *key, double value) {
    put(object, key, output_number(value));
}

static void put_integer(json_t *object, const char *key, int64_t value) {
    put(object, key, json_integer(value));
}

json_t *bench_peak_json(const tub_context *ctx, const tub_spread *peak, const tub_spread *tile) {
    return json_pack("{s:s,s:s,s:i,s:o,s:o,s:o,s:o,s:o,s:o}", "bench", "peak", "cpu",
                     tub_context_cpu(ctx), "threads", tub_context_threads(ctx), "gflops",
                     output_number(peak->median), "gflops_min", output_number(peak->least),
                     "gflops_max", output_number(peak->most), "tile_gflops",
                     output_number(tile->median), "tile_gflops_min", output_number(tile->least),
                     "tile_gflops_max", output_number(tile->most));
}

/* What was measured. */
static void put_subject(json_t *object, const bench_line *line) {
    if (line->product != NULL) {
        put(object, "kind", json_string(bench_kind_word(line->product->kind)));
        put_integer(object, "rows", line->product->rows);
        put_integer(object, "depth", line->product->depth);
        put_integer(object, "columns", line->product->columns);
    } else if (line->attention != NULL) {
        put(object, "kind", json_string(line->attention->backward ? "backward" : "forward"));
        put_integer(object, "tokens", line->attention->tokens);
        put_integer(object, "heads", line->attention->heads);
        put_integer(object, "head_width", line->attention->head_width);
        put_integer(object, "samples", line->attention->samples);
    } else {
        put(object, "model", output_text(line->model));
        put_integer(object, "batch", line->batch);
        put_integer(object, "tokens", line->tokens);
        put_integer(object, "width", line->config->hidden);
        put_integer(object, "layers", line->config->layers);
    }
}

static void put_result(json_t *object, const tub_bench_result *r) {
    const double rate = r->operations / r->seconds.median;
    put_number(object, "gflop", 1e-9 * r->operations);
    put_number(object, "milliseconds", 1e3 * r->seconds.median);
    put_number(object, "milliseconds_min", 1e3 * r->seconds.least);
    put_number(object, "milliseconds_max", 1e3 * r->seconds.most);
    put_number(object, "gflops", 1e-9 * rate);
    put_number(object, "peak_gflops", 1e-9 * r->peak);
    put_number(object, "share_of_peak", 1 / r->t_peak);
    put_number(object, "t_peak", r->t_peak);
    put_number(object, "tile_gflops", 1e-9 * r->tile);
    put_number(object, "t_tile", r->t_tile);
    put_integer(object, "repeats", r->repeats);
    put_integer(object, "tried", r->tried);
    put_number(object, "resident_mib", BENCH_MIB * (double)r->resident_bytes);
}

json_t *bench_line_json(const bench_line *line) {
    json_t *object =
        json_pack("{s:s,s:s,s:i,s:s}", "bench", line->bench, "cpu", line->cpu, "threads",
                  line->threads, "precision", bench_precision_word(line->precision));
    put_subject(object, line);
    put_result(object, line->result);
    if (line->step != NULL) {
        put_number(object, "forward_milliseconds", 1e3 * line->step->forward.median);
        put_number(object, "backward_milliseconds", 1e3 * line->step->backward.median);
        put_number(object, "update_milliseconds", 1e3 * line->step->update.median);
        put_number(object, "epoch_seconds", bench_epoch_seconds(line));
    }
    return object;
}

json_t *bench_operation_json(const tub_bench_operation *o, double peak) {
    const double rate = o->operations / o->seconds;
    return json_pack("{s:s,s:I,s:I,s:I,s:o,s:o,s:o,s:o,s:o}", "operation", o->name, "rows",
                     (json_int_t)o->rows, "depth", (json_int_t)o->depth, "columns",
                     (json_int_t)o->columns, "calls", output_number(o->calls), "milliseconds",
                     output_number(1e3 * o->seconds), "gflops", output_number(1e-9 * rate),
                     "share_of_peak", output_number(rate / peak), "bytes", output_number(o->bytes));
}
