/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of a measurement's JSON are those that docs/json.md lists, no more and no less. */
#include "cmocka_all.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "bench_print.h"

enum { KEYS = 64 };

/* The words in backticks of one cell. */
static size_t words_of(const char *cell, const char *end, char words[KEYS][32]) {
    size_t count = 0;
    for (const char *open = cell; (open = memchr(open, '`', (size_t)(end - open))) != NULL;) {
        const char *close = strchr(open + 1, '`');
        assert_true(close != NULL && close - open - 1 < 32 && count < KEYS);
        snprintf(words[count++], 32, "%.*s", (int)(close - open - 1), open + 1);
        open = close + 1;
    }
    return count;
}

/* Adds the keys of a table's row when its first cell has the name. */
static void read_row(const char *row, const char *name, char keys[KEYS][32], size_t *count) {
    char names[KEYS][32];
    const char *middle = strchr(row + 1, '|'), *end = strrchr(row, '|');
    if (row[0] != '|' || middle == NULL || middle == end) {
        return;
    }
    for (size_t i = words_of(row, middle, names); i-- > 0;) {
        if (strcmp(names[i], name) == 0) {
            *count += words_of(middle, end, keys + *count);
        }
    }
}

/* The first table below "## bench". */
static size_t documented(const char *page, const char *name, char keys[KEYS][32]) {
    char line[4096];
    size_t count = 0;
    bool inside = false, table = false;
    FILE *file = fopen(page, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL && !(table && line[0] != '|')) {
        inside = inside || strncmp(line, "## bench", 8) == 0;
        table = inside && line[0] == '|';
        if (table) {
            read_row(line, name, keys, &count);
        }
    }
    fclose(file);
    return count;
}

static void assert_documented(const char *page, const char *name, json_t *object) {
    char keys[KEYS][32];
    const size_t count = documented(page, name, keys);
    assert_non_null(object);
    for (size_t i = 0; i < count; i++) {
        if (json_object_get(object, keys[i]) == NULL) {
            fail_msg("%s has no key %s", name, keys[i]);
        }
    }
    assert_int_equal(json_object_size(object), count); /* and so none but those */
    json_decref(object);
}

static const tub_bench_result result = {
    .seconds = {2, 1, 4}, .operations = 3e9, .peak = 6e9, .t_peak = 4, .resident_bytes = 1 << 20};

static void measurements(void **state) {
    const char *page = *state;
    const tub_bench_product product = {.rows = 1, .depth = 2, .columns = 3};
    const tub_bench_attention_shape attention = {
        .tokens = 1, .heads = 2, .head_width = 3, .samples = 4};
    const tub_bench_step_result step = {.whole = result};
    const tub_model_config config = {.hidden = 8, .layers = 1};
    bench_line line = {.bench = "gemm", .cpu = "x", .threads = 1, .result = &result};
    line.product = &product;
    assert_documented(page, "gemm", bench_line_json(&line));
    line.bench = "attention", line.product = NULL, line.attention = &attention;
    assert_documented(page, "attention", bench_line_json(&line));
    line.bench = "predict", line.attention = NULL, line.model = "m", line.config = &config;
    line.batch = 1, line.tokens = 1;
    assert_documented(page, "predict", bench_line_json(&line));
    line.bench = "step", line.step = &step;
    assert_documented(page, "step", bench_line_json(&line));
}

static void the_rest(void **state) {
    const char *page = *state;
    const tub_bench_operation operation = {.name = "product", .seconds = 1, .operations = 1};
    const tub_spread gflops = {1, 1, 1};
    tub_context *ctx;
    assert_int_equal(tub_context_create(NULL, &ctx, NULL), TUB_OK);
    assert_documented(page, "peak", bench_peak_json(ctx, &gflops, &gflops));
    tub_context_destroy(ctx);
    assert_documented(page, "operation", bench_operation_json(&operation, 1e9));
}

/* 3 GFLOP in 2 s, where the machine could do 6 in one. */
static void shares(void **state) {
    (void)state;
    const tub_bench_product product = {.rows = 1, .depth = 2, .columns = 3};
    const bench_line line = {
        .bench = "gemm", .cpu = "x", .threads = 1, .result = &result, .product = &product};
    json_t *object = bench_line_json(&line);
    assert_true(json_real_value(json_object_get(object, "gflop")) == 3);
    assert_true(json_real_value(json_object_get(object, "milliseconds")) == 2000);
    assert_true(json_real_value(json_object_get(object, "milliseconds_min")) == 1000);
    assert_true(json_real_value(json_object_get(object, "milliseconds_max")) == 4000);
    assert_true(json_real_value(json_object_get(object, "gflops")) == 1.5);
    assert_true(json_real_value(json_object_get(object, "peak_gflops")) == 6);
    assert_true(json_real_value(json_object_get(object, "share_of_peak")) == 0.25);
    assert_true(json_real_value(json_object_get(object, "t_peak")) == 4);
    assert_true(json_real_value(json_object_get(object, "resident_mib")) == 1);
    json_decref(object);
}

/* The page is read at all: a name that it does not have has no keys. */
static void control(void **state) {
    char keys[KEYS][32];
    assert_int_equal(documented(*state, "memory", keys), 0);
    assert_true(documented(*state, "peak", keys) > 0);
}

int main(int argc, char **argv) {
    void *page = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(measurements, page), cmocka_unit_test_prestate(the_rest, page),
        cmocka_unit_test_prestate(shares, page), cmocka_unit_test_prestate(control, page)};
    return page != NULL ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
