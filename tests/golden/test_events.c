/* SPDX-License-Identifier: Apache-2.0 */
/* Event files: the same events as TensorBoard's and PyTorch's writers were given, the same bytes. The
 * goldens' .json say what TensorBoard's own reader makes of them (events/make_events.py). */
#include "cmocka_all.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/module.h"
#include "formats/json.h"
#include "formats/tfevents.h"
#include "temp_folder.h"

enum { LIMIT = 1 << 20, VALUES = 8, BUCKETS = 1024 };
enum { HEAD = 12, TAIL = 4, VERSION = 40 /* bytes of our first record */ };
static const tub_allocator *const allocator = &tub__default_allocator;

typedef struct golden {
    char *bytes; /* the file */
    size_t size;
    tub__json *json; /* what is in it */
    const tub__json *events, *records;
} golden;

static golden golden_open(const char *name) {
    golden g = {0};
    tub_error err;
    char path[512];
    snprintf(path, sizeof path, GOLDEN "/events/%s", name);
    assert_ok(tub__file_read(allocator, path, LIMIT, &g.bytes, &g.size, &err), err);
    snprintf(path, sizeof path, GOLDEN "/events/%s.json", name);
    assert_ok(tub__json_load(allocator, path, LIMIT, &g.json, &err), err);
    g.events = tub__json_get(g.json, "events");
    g.records = tub__json_get(g.json, "records");
    return g;
}

static void golden_close(golden *g) {
    tub__free(allocator, g->bytes);
    tub__json_free(g->json);
}

static const char *text_of(const tub__json *object, const char *key) {
    const char *text = NULL;
    assert_int_equal(tub__json_get_text(object, key, &text, NULL), TUB_OK);
    return text;
}

static int64_t whole_of(const tub__json *object, const char *key) {
    int64_t value = 0;
    assert_int_equal(tub__json_get_integer(object, key, &value, NULL), TUB_OK);
    return value;
}

/* What JSON can't say is a text there. */
static double number(const tub__json *v) {
    double value = NAN;
    const char *text = "";
    if (tub__json_kind_of(v) == TUB__JSON_TEXT) {
        assert_int_equal(tub__json_to_text(v, "number", &text, NULL), TUB_OK);
        return strcmp(text, "inf") == 0 ? INFINITY : strcmp(text, "-inf") == 0 ? -INFINITY : NAN;
    }
    assert_int_equal(tub__json_to_real(v, "number", &value, NULL), TUB_OK);
    return value;
}

static size_t numbers(const tub__json *list, double *out) {
    const size_t n = tub__json_size(list);
    assert_true(n <= BUCKETS);
    for (size_t i = 0; i < n; i++) {
        out[i] = number(tub__json_at(list, i));
    }
    return n;
}

/* The PNG file is not in the JSON: it is the one in the record. */
static void read_image(const tub__json *v, const golden *g, size_t index, tub__tfevent_value *out) {
    const char *record = g->bytes + whole_of(tub__json_at(g->records, index), "offset");
    const char *png = memmem(record, g->size - (size_t)(record - g->bytes), "\x89PNG", 4);
    assert_non_null(png);
    out->kind = TUB__TFEVENT_IMAGE;
    out->as.image.png = (const unsigned char *)png;
    out->as.image.size = (size_t)whole_of(v, "bytes");
    out->as.image.height = (int32_t)whole_of(v, "height");
    out->as.image.width = (int32_t)whole_of(v, "width");
    out->as.image.channels = (int32_t)whole_of(v, "colorspace");
}

static void read_histogram(const tub__json *v, tub__tfevent_value *out) {
    static double limits[BUCKETS], counts[BUCKETS];
    out->kind = TUB__TFEVENT_HISTOGRAM;
    out->as.histogram = (tub__histogram){.least = number(tub__json_get(v, "min")),
                                         .most = number(tub__json_get(v, "max")),
                                         .count = number(tub__json_get(v, "num")),
                                         .sum = number(tub__json_get(v, "sum")),
                                         .square_sum = number(tub__json_get(v, "sum_squares")),
                                         .buckets = numbers(tub__json_get(v, "bucket"), counts),
                                         .limits = limits,
                                         .counts = counts};
    assert_int_equal(numbers(tub__json_get(v, "bucket_limit"), limits), out->as.histogram.buckets);
}

/* The hyperparameters that make_events.py gave; their order in the file is the map's. */
static void read_session(const char *tag, tub__tfevent_value *out) {
    static const tub__hparam hparams[] = {
        {.name = "heads", .number = 8},
        {.name = "lr", .number = 0.001},
        {.name = "optimizer", .kind = TUB__HPARAM_TEXT, .text = "adam"},
        {.name = "aug", .number = 1}};
    out->kind =
        strstr(tag, "start") != NULL ? TUB__TFEVENT_SESSION_START : TUB__TFEVENT_SESSION_END;
    if (out->kind == TUB__TFEVENT_SESSION_START) {
        out->as.start.hparams = hparams;
        out->as.start.count = 4;
        out->as.start.group = "";
    } else {
        out->as.end.status = TUB__SESSION_SUCCESS;
    }
}

static void read_value(const tub__json *v, const golden *g, size_t index, tub__tfevent_value *out) {
    const char *kind = "";
    *out = (tub__tfevent_value){.tag = text_of(v, "tag")};
    assert_int_equal(tub__json_opt_text(v, "kind", &kind, NULL), TUB_OK);
    if (strcmp(kind, "simple_value") == 0) {
        out->as.scalar = (float)number(tub__json_get(v, "value"));
    } else if (strcmp(kind, "image") == 0) {
        read_image(tub__json_get(v, "image"), g, index, out);
    } else if (strcmp(kind, "histo") == 0) {
        read_histogram(tub__json_get(v, "histo"), out);
    } else if (strcmp(kind, "tensor") == 0) {
        const tub__json *strings = tub__json_get(tub__json_get(v, "tensor"), "strings");
        out->kind = TUB__TFEVENT_TEXT;
        assert_int_equal(tub__json_to_text(tub__json_at(strings, 0), "text", &out->as.text, NULL),
                         TUB_OK);
    } else {
        read_session(out->tag, out);
    }
}

/* Puts event `index` of the golden file. */
static void put(tub__tfevents *e, const golden *g, size_t index) {
    const tub__json *o = tub__json_at(g->events, index), *values = tub__json_get(o, "values");
    tub__tfevent_value list[VALUES];
    tub__tfevent event = {.wall_time = number(tub__json_get(o, "wall_time")),
                          .step = whole_of(o, "step"),
                          .values = list,
                          .count = tub__json_size(values)};
    assert_in_range(event.count, 1, VALUES);
    for (size_t i = 0; i < event.count; i++) {
        read_value(tub__json_at(values, i), g, index, &list[i]);
    }
    assert_int_equal(tub__tfevents_put(e, &event, NULL), TUB_OK);
}

/* All events of a golden file from number `first` on into one of ours, which must have the bytes of
 * those behind its first record. */
static void same_bytes(const char *name, size_t first) {
    golden g = golden_open(name);
    temp_folder t;
    tub_context *ctx = NULL;
    tub__tfevents e;
    tub_error err;
    bool others = true;
    char *bytes = NULL;
    size_t size = 0;
    temp_folder_make(&t);
    assert_int_equal(tub_context_create(NULL, &ctx, NULL), TUB_OK);
    assert_ok(tub__tfevents_create(ctx, t.path, 1700000000.0, &e, &others, &err), err);
    assert_false(others);
    assert_string_equal(e.path + strlen(t.path), "/events.out.tfevents.1700000000.tubelet");
    for (size_t i = first; i < tub__json_size(g.events); i++) {
        put(&e, &g, i);
    }
    assert_false(tub__file_exists(e.path));
    assert_ok(tub__tfevents_flush(&e, &err), err);
    assert_ok(tub__file_read(allocator, e.path, LIMIT, &bytes, &size, &err), err);
    /* Theirs says behind time and version who wrote it. */
    assert_memory_equal(bytes + HEAD, g.bytes + HEAD, VERSION - HEAD - TAIL);
    const tub__json *from = tub__json_at(g.records, first);
    const size_t rest = from != NULL ? (size_t)whole_of(from, "offset") : g.size;
    assert_int_equal(size, VERSION + g.size - rest);
    assert_memory_equal(bytes + VERSION, g.bytes + rest, g.size - rest);
    tub__free(allocator, bytes);
    tub__tfevents_close(&e);
    tub_context_destroy(ctx);
    temp_folder_drop(&t);
    golden_close(&g);
}

static void files_of_others(void **state) {
    (void)state;
    same_bytes("empty", 1);
    same_bytes("scalars_simple_value", 1);
    same_bytes("several_values", 1);
    same_bytes("images_png", 1);
    same_bytes("histograms", 1);
    same_bytes("text", 1);
    same_bytes("hparams", 2); /* behind the experiment, which we leave to TensorBoard's own count */
}

static size_t from_hex(const char *hex, unsigned char *out) {
    size_t n = 0;
    for (unsigned byte; sscanf(hex + 2 * n, "%2x", &byte) == 1; n++) {
        out[n] = (unsigned char)byte;
    }
    return n;
}

static size_t from_base64(const char *text, unsigned char *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = 0;
    uint32_t bits = 0;
    for (int have = 0; *text != '\0' && *text != '='; text++) {
        bits = bits << 6 | (uint32_t)(strchr(digits, *text) - digits);
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[n++] = (unsigned char)(bits >> have);
        }
    }
    return n;
}

static void checksums(void **state) {
    (void)state;
    tub__json *json = NULL;
    tub_error err;
    assert_ok(tub__json_load(allocator, GOLDEN "/events/crc32c.json", LIMIT, &json, &err), err);
    const tub__json *vectors = tub__json_get(json, "vectors");
    assert_true(tub__json_size(vectors) > 10);
    for (size_t i = 0; i < tub__json_size(vectors); i++) {
        const tub__json *v = tub__json_at(vectors, i);
        const bool hex = tub__json_kind_of(tub__json_get(v, "hex")) == TUB__JSON_TEXT;
        unsigned char bytes[5000];
        const size_t size =
            hex ? from_hex(text_of(v, "hex"), bytes) : from_base64(text_of(v, "base64"), bytes);
        unsigned crc = 0, masked = 0;
        assert_int_equal(size, whole_of(v, "bytes"));
        assert_int_equal(sscanf(text_of(v, "crc32c"), "%x", &crc), 1);
        assert_int_equal(sscanf(text_of(v, "masked"), "%x", &masked), 1);
        assert_int_equal(tub__crc32c(bytes, size), crc);
        assert_int_equal(tub__crc32c_masked(crc), masked);
    }
    tub__json_free(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(files_of_others),
                                       cmocka_unit_test(checksums)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
