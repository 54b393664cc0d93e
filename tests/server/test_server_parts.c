/* SPDX-License-Identifier: Apache-2.0 */
/* The server's parts by themselves: JSON in pieces, requests of the protocol, packed bodies, batches. */
#include "cmocka_all.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "server/batcher.h"
#include "server/coding.h"
#include "server/oip.h"
#include "server/policy.h"
#include "server/text.h"

/* ---- JSON ---- */

/* What was told, as text: keys, strings, numbers in their order. */
static const char *note(void *user, const json_value *v) {
    textbuf *t = user;
    switch (v->event) {
    case EVENT_OBJECT:
        text_put(t, "{");
        break;
    case EVENT_OBJECT_END:
        text_put(t, "}");
        break;
    case EVENT_ARRAY:
        text_put(t, "[");
        break;
    case EVENT_ARRAY_END:
        text_put(t, "]");
        break;
    case EVENT_KEY:
        text_put(t, "K(%s)", v->text);
        break;
    case EVENT_TEXT:
        text_add(t, v->text, v->size);
        text_put(t, v->last ? ";" : "");
        break;
    case EVENT_NUMBER:
        text_put(t, "%s%.17g ", v->whole ? "i" : "", v->number);
        break;
    default:
        text_put(t, "w%g ", v->number);
    }
    return NULL;
}

/* Reads a text in pieces of `piece` bytes; NULL or the failure. */
static const char *read_json(const char *text, size_t size, size_t piece, textbuf *told) {
    json_events j;
    const char *failure = NULL;
    json_events_init(&j, note, told);
    for (size_t at = 0; at < size && failure == NULL; at += piece) {
        failure = json_events_push(&j, text + at, at + piece < size ? piece : size - at);
    }
    return failure != NULL ? failure : json_events_end(&j);
}

static void expect_json(const char *text, const char *wanted) {
    for (size_t piece = 1; piece <= strlen(text) + 1; piece++) {
        textbuf told = {0};
        assert_null(read_json(text, strlen(text), piece, &told));
        text_add(&told, "", 1);
        assert_string_equal(told.bytes, wanted);
        text_free(&told);
    }
}

static void test_json_values(void **state) {
    (void)state;
    expect_json("{}", "{}");
    expect_json(" [ ] ", "[]");
    expect_json("{\"a\":[1,-2.5,1e3,0.1],\"b\":{\"c\":null}}",
                "{K(a)[i1 -2.5 1000 0.10000000000000001 ]K(b){K(c)wnan }}");
    expect_json("[true,false,\"x\"]", "[w1 w0 x;]");
    expect_json("12", "i12 ");
    expect_json("-0", "i-0 ");
    expect_json("\"\\u00e9\\n\\ud83d\\ude00\"", "\xc3\xa9\n\xf0\x9f\x98\x80;");
    expect_json("\"\xe2\x82\xac\"", "\xe2\x82\xac;");
}

static void test_json_failures(void **state) {
    static const char *const wrong[] = {"",
                                        "{",
                                        "[1,]",
                                        "{\"a\"}",
                                        "{a:1}",
                                        "[1 2]",
                                        "01",
                                        "1.",
                                        "+1",
                                        ".5",
                                        "1e",
                                        "nan",
                                        "NaN",
                                        "Infinity",
                                        "tru",
                                        "truex",
                                        "[1]]",
                                        "{}{}",
                                        "\"\x01\"",
                                        "\"\\x\"",
                                        "\"\\u12g4\"",
                                        "\"\xff\"",
                                        "\"\xc0\x80\"",
                                        "\"\xed\xa0\x80\"",
                                        "\"\\ud800\"",
                                        "\"\\udc00\"",
                                        "\"",
                                        "[,1]",
                                        "{,}",
                                        "{\"a\":}",
                                        "{\"a\" 1}",
                                        "[-]",
                                        "--1",
                                        "1e+",
                                        "\"\\ud83dx\""};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        for (size_t piece = 1; piece < 4; piece++) {
            textbuf told = {0};
            assert_non_null(read_json(wrong[i], strlen(wrong[i]), piece, &told));
            text_free(&told);
        }
    }
}

/* All of a double comes back, by whichever way it is read. */
static void test_json_numbers(void **state) {
    uint64_t r = 88172645463325252u;
    (void)state;
    for (int i = 0; i < 20000; i++) {
        char text[64];
        double value;
        textbuf told = {0};
        r ^= r << 13;
        r ^= r >> 7;
        r ^= r << 17;
        memcpy(&value, &r, sizeof value);
        if (!isfinite(value)) {
            continue;
        }
        snprintf(text, sizeof text,
                 i % 3 == 0   ? "%.17g"
                 : i % 3 == 1 ? "%.6f"
                              : "%.9g",
                 i % 3 == 1 ? (double)(int64_t)(r >> 40) / 1000 : value);
        assert_null(read_json(text, strlen(text), 3, &told));
        text_add(&told, "", 1);
        const char *number = told.bytes + (told.bytes[0] == 'i');
        const double want = strtod(text, NULL), got = strtod(number, NULL);
        assert_memory_equal(&want, &got, sizeof want);
        text_free(&told);
    }
}

static void test_json_depth(void **state) {
    char text[200000];
    textbuf told = {0};
    (void)state;
    memset(text, '[', 100000);
    memset(text + 100000, ']', 100000);
    assert_string_equal(read_json(text, sizeof text, 4096, &told),
                        "it is nested deeper than 32 levels");
    text_free(&told);
    char fits[64];
    memset(fits, '[', 32);
    memset(fits + 32, ']', 32);
    assert_null(read_json(fits, sizeof fits, 7, &told));
    text_free(&told);
}

/* ---- Requests ---- */

static bool read_request(oip_reader *r, const char *text, size_t size, int64_t header,
                         size_t piece) {
    oip_begin(r, header);
    for (size_t at = 0; at < size; at += piece) {
        if (!oip_push(r, text + at, at + piece < size ? piece : size - at)) {
            return false;
        }
    }
    return oip_end(r);
}

static void test_request(void **state) {
    static const char text[] =
        "{\"id\":\"a\\\"b\",\"unknown\":{\"inputs\":[1]},\"parameters\":{\"binary_data_output\":"
        "true,"
        "\"window\":2.5,\"method\":\"rollout\",\"x\":[1]},\"inputs\":[{\"data\":[[1,2],[3.5,4]],"
        "\"name\":\"clip\",\"shape\":[2,2],\"datatype\":\"FP32\",\"parameters\":{\"a\":1}}],"
        "\"outputs\":[{\"name\":\"probs\",\"parameters\":{\"binary_data\":false,\"classification\":"
        "3}}]}";
    (void)state;
    for (size_t piece = 1; piece < 40; piece++) {
        oip_reader r;
        assert_true(read_request(&r, text, sizeof text - 1, -1, piece));
        const oip_request *q = &r.request;
        assert_string_equal(q->id, "a\"b");
        assert_int_equal(q->inputs, 1);
        assert_string_equal(q->input[0].name, "clip");
        assert_string_equal(q->input[0].datatype, "FP32");
        assert_int_equal(q->input[0].rank, 2);
        assert_int_equal(q->input[0].shape[1], 2);
        assert_int_equal(q->input[0].count, 4);
        assert_true(q->input[0].numbers[2] == 3.5F);
        assert_false(q->input[0].levels);
        assert_true(q->parameters.binary_output);
        assert_string_equal(q->parameters.window, "2.5");
        assert_string_equal(q->parameters.method, "rollout");
        assert_int_equal(q->outputs, 1);
        assert_int_equal(q->output[0].binary, 0);
        assert_int_equal(q->output[0].classification, 3);
        oip_free(&r);
    }
}

/* What is null is not there, as clients write it whose language has optional fields. */
static void test_request_nulls(void **state) {
    static const char text[] =
        "{\"id\":null,\"parameters\":null,\"outputs\":null,\"inputs\":[{\"name\":\"clip\","
        "\"shape\":[1],\"datatype\":\"FP32\",\"parameters\":null,\"data\":[2]}]}";
    oip_reader r;
    (void)state;
    assert_true(read_request(&r, text, sizeof text - 1, -1, 5));
    assert_false(r.request.has_id);
    assert_int_equal(r.request.outputs, 0);
    assert_int_equal(r.request.input[0].count, 1);
    assert_true(oip_kept(&r) >= sizeof(float) && oip_kept(&r) <= 16384);
    oip_free(&r);
    static const char none[] = "{\"inputs\":null}";
    assert_true(read_request(&r, none, sizeof none - 1, -1, 5));
    assert_false(r.request.has_inputs);
    oip_free(&r);
}

static void test_request_binary(void **state) {
    static const char text[] =
        "{\"inputs\":[{\"name\":\"a\",\"shape\":[3],\"datatype\":\"UINT8\",\"parameters\":{"
        "\"binary_data_size\":3}},{\"name\":\"b\",\"shape\":[0],\"datatype\":\"UINT8\","
        "\"parameters\":{"
        "\"binary_data_size\":0}},{\"name\":\"c\",\"shape\":[2],\"datatype\":\"UINT8\","
        "\"parameters\":{"
        "\"binary_data_size\":2}}]}xyzPQ";
    const size_t size = sizeof text - 1, json = size - 5;
    (void)state;
    for (size_t piece = 1; piece < 30; piece++) {
        oip_reader r;
        assert_true(read_request(&r, text, size, (int64_t)json, piece));
        assert_memory_equal(r.request.input[0].bytes, "xyz", 3);
        assert_int_equal(r.request.input[1].size, 0);
        assert_memory_equal(r.request.input[2].bytes, "PQ", 2);
        oip_free(&r);
        assert_false(
            read_request(&r, text, size - 1, (int64_t)json, piece)); /* a byte is missing */
        assert_int_equal(r.status, 400);
        oip_free(&r);
        assert_false(read_request(&r, text, size, (int64_t)json - 1, piece));
        oip_free(&r);
        assert_false(read_request(&r, text, size, (int64_t)size + 1, piece));
        oip_free(&r);
        assert_false(read_request(&r, text, size + 1, (int64_t)json, piece)); /* one too many */
        oip_free(&r);
    }
}

static void test_request_texts(void **state) {
    static const char text[] =
        "{\"inputs\":[{\"name\":\"file\",\"shape\":[2],\"datatype\":\"BYTES\","
        "\"data\":[\"ab\\u00e9\",\"\"]}]}";
    (void)state;
    for (size_t piece = 1; piece < 20; piece++) {
        oip_reader r;
        assert_true(read_request(&r, text, sizeof text - 1, -1, piece));
        assert_int_equal(r.request.input[0].texts, 2);
        assert_int_equal(r.request.input[0].size, 4 + 4 + 4);
        assert_memory_equal(r.request.input[0].bytes, "\4\0\0\0ab\xc3\xa9\0\0\0\0", 12);
        oip_free(&r);
    }
}

static void test_request_failures(void **state) {
    static const char *const wrong[] = {
        "[]",
        "1",
        "\"x\"",
        "{\"inputs\":{}}",
        "{\"inputs\":[1]}",
        "{\"inputs\":[[]]}",
        "{\"inputs\":[{\"shape\":1}]}",
        "{\"inputs\":[{\"shape\":[-1]}]}",
        "{\"inputs\":[{\"shape\":[1.5]}]}",
        "{\"inputs\":[{\"shape\":[\"1\"]}]}",
        "{\"inputs\":[{\"shape\":[[1]]}]}",
        "{\"inputs\":[{\"shape\":[1,1,1,1,1,1,1,1,1]}]}",
        "{\"inputs\":[{\"data\":[true]}]}",
        "{\"inputs\":[{\"data\":[{}]}]}",
        "{\"inputs\":[{\"data\":[1e999]}]}",
        "{\"inputs\":[{\"data\":[1e39]}]}",
        "{\"inputs\":[{\"data\":[1],\"data\":[1]}]}",
        "{\"inputs\":[],\"inputs\":[]}",
        "{\"inputs\":[{\"shape\":[1],\"shape\":[1]}]}",
        "{\"outputs\":[1]}",
        "{\"outputs\":3}",
        "{\"inputs\":[{\"parameters\":{\"binary_data_size\":-1}}]}",
        "{\"inputs\":[{\"parameters\":{\"binary_data_size\":1.5}}]}",
        "{\"inputs\":[{\"parameters\":{\"binary_data_size\":1}}]}",
        "{\"inputs\":[{},{},{},{},{}]}",
        "{\"outputs\":[{\"parameters\":{\"classification\":-1}}]}",
        "{\"id\":\"\\u0000\"}"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        for (size_t piece = 1; piece < 4; piece++) {
            oip_reader r;
            assert_false(read_request(&r, wrong[i], strlen(wrong[i]), -1, piece));
            assert_int_equal(r.status, 400);
            assert_true(strlen(r.sentence) > 8);
            oip_free(&r);
        }
    }
}

/* A film as the whole body, with blanks before it or without; and JSON that is only wrong. */
static void test_request_file(void **state) {
    static const struct {
        const char *text;
        bool file;
    } cases[] = {{"GIF89a", true},
                 {" \r\n\x1a\x45", true},
                 {"{\"inputs\":}", false},
                 {" {]", false},
                 {" ", false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t piece = 1; piece < 4; piece++) {
            oip_reader r;
            assert_false(read_request(&r, cases[i].text, strlen(cases[i].text), -1, piece));
            assert_int_equal(r.status, 400);
            assert_int_equal(strstr(r.sentence, "a file goes behind it") != NULL, cases[i].file);
            oip_free(&r);
        }
    }
}

/* ---- Packed bodies ---- */

typedef struct unpacked {
    textbuf text;
    size_t limit;
} unpacked;

static bool take(void *user, const char *data, size_t size) {
    unpacked *u = user;
    text_add(&u->text, data, size);
    return u->limit == 0 || u->text.size <= u->limit;
}

static void test_coding(void **state) {
    static char text[100000];
    (void)state;
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (char)(i * i >> 7);
    }
    for (int c = CODING_GZIP; c <= CODING_DEFLATE; c++) {
        size_t size = 0;
        char *packed = coding_pack((coding)c, text, sizeof text, &size);
        assert_non_null(packed);
        for (size_t piece = 1; piece < size; piece = piece * 3 + 1) {
            unpacker *u = unpacker_create((coding)c);
            unpacked out = {.limit = 0};
            bool damaged = false;
            for (size_t at = 0; at < size; at += piece) {
                assert_false(unpacker_whole(u));
                assert_true(unpacker_push(u, packed + at, at + piece < size ? piece : size - at,
                                          take, &out, &damaged));
            }
            assert_true(unpacker_whole(u));
            assert_int_equal(out.text.size, sizeof text);
            assert_memory_equal(out.text.bytes, text, sizeof text);
            assert_false(unpacker_push(u, "x", 1, take, &out, &damaged));
            assert_true(damaged);
            text_free(&out.text);
            unpacker_destroy(u);
        }
        packed[size / 2] ^= 0x55;
        unpacker *u = unpacker_create((coding)c);
        unpacked out = {.limit = 0};
        bool damaged = false;
        assert_false(unpacker_push(u, packed, size, take, &out, &damaged) && unpacker_whole(u));
        text_free(&out.text);
        unpacker_destroy(u);
        free(packed);
    }
}

static void test_coding_names(void **state) {
    (void)state;
    assert_int_equal(coding_of(NULL), CODING_NONE);
    assert_int_equal(coding_of("GZip"), CODING_GZIP);
    assert_int_equal(coding_of("deflate"), CODING_DEFLATE);
    assert_int_equal(coding_of("br"), CODING_UNKNOWN);
    assert_int_equal(coding_accepted("br, gzip;q=0.5"), CODING_GZIP);
    assert_int_equal(coding_accepted("gzip;q=0, deflate"), CODING_DEFLATE);
    assert_int_equal(coding_accepted("gzipped"), CODING_NONE);
    assert_int_equal(coding_accepted(NULL), CODING_NONE);
}

/* ---- Batches ---- */

enum { JOBS = 40, ROWS = 90, K = 3, CLIP = 2 * 4 * 4 };

typedef struct waiting_job {
    batch_job job;
    pthread_mutex_t *lock;
    pthread_cond_t *changed;
    int *left;
} waiting_job;

static void job_is_ready(batch_job *job) {
    waiting_job *w = (waiting_job *)job;
    pthread_mutex_lock(w->lock);
    --*w->left;
    pthread_cond_signal(w->changed);
    pthread_mutex_unlock(w->lock);
}

static tub_model *small_model(tub_context *ctx) {
    tub_model_config c;
    tub_model *model;
    assert_int_equal(tub_model_preset("vivit-tiny", &c, NULL), TUB_OK);
    c.frames = 2;
    c.height = c.width = 4;
    c.channels = 1;
    c.tubelet[0] = 1;
    c.tubelet[1] = c.tubelet[2] = 2;
    c.classes = K;
    assert_int_equal(tub_model_create(ctx, &c, 7, &model, NULL), TUB_OK);
    return model;
}

/* Jobs of one to many rows, levels and floats, in batches of every size: each row's bits are those that it has
 * alone. */
static void test_batches(void **state) {
    tub_context *ctx;
    (void)state;
    assert_int_equal(tub_context_create(NULL, &ctx, NULL), TUB_OK);
    tub_model *model = small_model(ctx);
    static unsigned char levels[JOBS][ROWS * CLIP];
    static float floats[JOBS][ROWS * CLIP], wanted[JOBS][2][ROWS * K], got[JOBS][2][ROWS * K];
    static waiting_job list[JOBS];
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
    uint32_t r = 1;
    for (int j = 0; j < JOBS; j++) {
        const int64_t rows = j % 7 == 6 ? ROWS : 1 + j % 4;
        for (int i = 0; i < ROWS * CLIP; i++) {
            r = r * 1664525u + 1013904223u;
            levels[j][i] = (unsigned char)(r >> 24);
            floats[j][i] = (float)(r >> 8) * 0x1p-24F;
        }
        const bool level = j % 2 == 0;
        assert_int_equal(
            tub_model_forward(model, rows, level ? TUB_U8 : TUB_F32,
                              level ? (const void *)levels[j] : (const void *)floats[j],
                              wanted[j][0], wanted[j][1], NULL),
            TUB_OK);
    }
    for (int64_t most = 1; most <= 16; most *= 4) {
        batcher_counts counts = {0};
        batcher *b;
        int left = JOBS;
        assert_int_equal(batcher_create(model, most, 0.001, &counts, &b, NULL), TUB_OK);
        memset(got, 0, sizeof got);
        int64_t rows = 0;
        for (int j = 0; j < JOBS; j++) {
            const bool level = j % 2 == 0;
            list[j] = (waiting_job){
                .job = {.rows = j % 7 == 6 ? ROWS : 1 + j % 4,
                        .dtype = level ? TUB_U8 : TUB_F32,
                        .clips = level ? (const void *)levels[j] : (const void *)floats[j],
                        .logits = got[j][0],
                        .probabilities = got[j][1],
                        .deadline = HUGE_VAL,
                        .ready = job_is_ready},
                .lock = &lock,
                .changed = &changed,
                .left = &left};
            rows += list[j].job.rows;
            batcher_push(b, &list[j].job);
        }
        pthread_mutex_lock(&lock);
        while (left > 0) {
            pthread_cond_wait(&changed, &lock);
        }
        pthread_mutex_unlock(&lock);
        assert_int_equal(batcher_waiting(b), 0);
        batcher_destroy(b);
        assert_memory_equal(got, wanted, sizeof got);
        assert_int_equal(atomic_load(&counts.clips), rows);
        assert_true(atomic_load(&counts.batches) >= (unsigned long long)((rows + most - 1) / most));
    }
    tub_model_close(model);
    tub_context_destroy(ctx);
}

/* What is late is given up, and what comes after it is not. */
static void test_late_jobs(void **state) {
    tub_context *ctx;
    (void)state;
    assert_int_equal(tub_context_create(NULL, &ctx, NULL), TUB_OK);
    tub_model *model = small_model(ctx);
    static float clip[CLIP], logits[2][K], probabilities[2][K];
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
    batcher_counts counts = {0};
    batcher *b;
    int left = 2;
    assert_int_equal(batcher_create(model, 4, 0, &counts, &b, NULL), TUB_OK);
    waiting_job list[2];
    for (int j = 0; j < 2; j++) {
        list[j] = (waiting_job){.job = {.rows = 1,
                                        .dtype = TUB_F32,
                                        .clips = clip,
                                        .logits = logits[j],
                                        .probabilities = probabilities[j],
                                        .deadline = j == 0 ? 0 : HUGE_VAL,
                                        .ready = job_is_ready},
                                .lock = &lock,
                                .changed = &changed,
                                .left = &left};
        batcher_push(b, &list[j].job);
    }
    batcher_destroy(b); /* finishes what waits */
    assert_int_equal(left, 0);
    assert_int_equal(list[0].job.status, TUB_E_CANCELLED);
    assert_true(list[0].job.late);
    assert_int_equal(list[1].job.status, TUB_OK);
    assert_true(probabilities[1][0] > 0);
    tub_model_close(model);
    tub_context_destroy(ctx);
}

/* ---- The page's policy ---- */

static void test_origins(void **state) {
    static const char *const right[] = {"https://huggingface.co", "http://localhost:8080",
                                        "https://a.b-c.Example.org:65535", "http://127.0.0.1:1"};
    static const char *const wrong[] = {"",
                                        "*",
                                        "https://",
                                        "https:///",
                                        "https://*.example.org",
                                        "https://example.org/",
                                        "https://example.org/page",
                                        "https://example.org?",
                                        "https://example.org#",
                                        "https://user@example.org",
                                        "https://example.org:",
                                        "https://example.org:0",
                                        "https://example.org:080",
                                        "https://example.org:65536",
                                        "https://example.org:8o",
                                        "https://example.org; script-src *",
                                        "https://example.org https://example.com",
                                        "https://example.org,https://example.com",
                                        "https://example.org\r\nX: y",
                                        " https://example.org",
                                        "https://example.org ",
                                        "https://-example.org",
                                        "https://example-.org",
                                        "https://.example.org",
                                        "https://example..org",
                                        "https://example.org.",
                                        "https://exämple.org",
                                        "https://[::1]",
                                        "HTTPS://example.org",
                                        "ftp://example.org",
                                        "data:",
                                        "'self'",
                                        "'none'",
                                        "example.org"};
    char text[400] = "https://";
    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        assert_true(policy_is_origin(right[i]));
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (policy_is_origin(wrong[i])) {
            fail_msg("'%s' is taken", wrong[i]);
        }
    }
    memset(text + 8, 'a', 64);
    assert_false(policy_is_origin(text));
    text[8 + 63] = '\0';
    assert_true(policy_is_origin(text));
    for (int i = 0; i < 254; i++) {
        text[8 + i] = i % 2 == 0 ? 'a' : '.';
    }
    assert_false(policy_is_origin(text)); /* it ends with a dot, and is too long */
    text[8 + 253] = '\0';
    assert_true(policy_is_origin(text));
    text[8 + 253] = text[8 + 254] = 'a';
    text[8 + 255] = '\0';
    assert_false(policy_is_origin(text));
}

static void post_ready(batch_job *job) {
    (void)job; /* batcher_destroy waits for it */
}

/* Maps of many clips are made one after the other: not beyond the deadline. */
static void test_long_explanations(void **state) {
    enum { MANY = 2000 };
    const double moment = 0.1;
    tub_context *ctx;
    (void)state;
    assert_int_equal(tub_context_create(NULL, &ctx, NULL), TUB_OK);
    tub_model *model = small_model(ctx);
    static unsigned char clips[MANY * CLIP];
    static float scores[2][MANY * K];
    static tub_explanation maps[MANY];
    tub_explain_options o = tub_explain_options_default();
    batcher_counts counts = {0};
    batcher *b;
    o.method = TUB_EXPLAIN_ROLLOUT;
    assert_int_equal(batcher_create(model, 512, 0, &counts, &b, NULL), TUB_OK);
    batch_job job = {.rows = MANY,
                     .dtype = TUB_U8,
                     .clips = clips,
                     .logits = scores[0],
                     .probabilities = scores[1],
                     .explain = &o,
                     .maps = maps,
                     .deadline = clock_now() + moment,
                     .ready = post_ready};
    batcher_push(b, &job);
    batcher_destroy(b);
    assert_int_equal(job.status, TUB_E_CANCELLED);
    assert_null(maps[MANY - 1].map);
    for (int i = 0; i < MANY; i++) {
        tub_explanation_free(&maps[i]);
    }
    tub_model_close(model);
    tub_context_destroy(ctx);
}

static void test_text(void **state) {
    textbuf t = {0};
    (void)state;
    text_json(&t, "a\"\\\n\x7f\xc3\xa9\xff");
    text_put(&t, "|");
    text_float(&t, 0.1F);
    text_put(&t, "|");
    text_float(&t, NAN);
    text_put(&t, "|");
    text_label(&t, "x\"\n");
    text_add(&t, "", 1);
    assert_string_equal(t.bytes, "\"a\\\"\\\\\\u000a\\u007f\xc3\xa9?\"|0.100000001|null|x\\\"\\n");
    text_free(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_json_values),
                                       cmocka_unit_test(test_json_failures),
                                       cmocka_unit_test(test_json_numbers),
                                       cmocka_unit_test(test_json_depth),
                                       cmocka_unit_test(test_request),
                                       cmocka_unit_test(test_request_nulls),
                                       cmocka_unit_test(test_request_binary),
                                       cmocka_unit_test(test_request_texts),
                                       cmocka_unit_test(test_request_failures),
                                       cmocka_unit_test(test_request_file),
                                       cmocka_unit_test(test_coding),
                                       cmocka_unit_test(test_coding_names),
                                       cmocka_unit_test(test_batches),
                                       cmocka_unit_test(test_late_jobs),
                                       cmocka_unit_test(test_long_explanations),
                                       cmocka_unit_test(test_origins),
                                       cmocka_unit_test(test_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
