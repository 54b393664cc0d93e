/* SPDX-License-Identifier: Apache-2.0 */
/* What a server answers: files, labels, explanations, many clients at a time, paths. Every number is the one that the
 * library gives. test_serve PROGRAM */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/text.h"
#include "serving_fixture.h"

/* ---- Files, labels, explanations ---- */

/* A request with files in binary. */
static textbuf file_request(const char *more, const char *outputs, const void *bytes, size_t size) {
    char json[1024], head[512];
    const unsigned char length[4] = {(unsigned char)size, (unsigned char)(size >> 8),
                                     (unsigned char)(size >> 16), (unsigned char)(size >> 24)};
    textbuf t = {0};
    const int n = snprintf(json, sizeof json,
                           "{%s\"inputs\":[{\"name\":\"file\",\"shape\":[1],\"datatype\":\"BYTES\","
                           "\"parameters\":{\"binary_data_size\":%zu}}],\"outputs\":[%s]}",
                           more, size + 4, outputs);
    snprintf(head, sizeof head,
             "POST /v2/models/tubelet_video/infer HTTP/1.1\r\nHost: x\r\n"
             "Inference-Header-Content-Length: %d\r\nContent-Length: %zu\r\n\r\n",
             n, (size_t)n + 4 + size);
    text_put(&t, "%s%s", head, json);
    text_add(&t, length, 4);
    text_add(&t, bytes, size);
    return t;
}

/* An answer 200, or the sentence of what it was. */
static void expect_well(const answer *a) {
    if (a->status != 200) {
        fail_msg("%d %s", a->status, a->body != NULL ? a->body : "");
    }
}

static answer ask_file(const char *more, const char *outputs, const void *bytes, size_t size) {
    textbuf t = file_request(more, outputs, bytes, size);
    answer a;
    serving_ask(&server, t.bytes, t.size, false, &a);
    text_free(&t);
    return a;
}

/* A .npy of a clip of levels. */
static size_t make_npy(char *out, unsigned seed) {
    static const char header[] = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 4, 4), }";
    memset(out, ' ', 128);
    memcpy(out, "\x93NUMPY\x01\x00\x76\x00", 10);
    memcpy(out + 10, header, sizeof header - 1);
    out[127] = '\n';
    for (int i = 0; i < CLIP; i++) {
        seed = seed * 1664525u + 1013904223u;
        out[128 + i] = (char)(seed >> 24);
    }
    return 128 + CLIP;
}

static void forward(const unsigned char *levels, float logits[K], float probabilities[K]) {
    assert_int_equal(tub_model_forward(model, 1, TUB_U8, levels, logits, probabilities, NULL),
                     TUB_OK);
}

static void test_file(void **state) {
    char npy[256];
    float logits[K], probabilities[K];
    const size_t size = make_npy(npy, 3);
    (void)state;
    forward((const unsigned char *)npy + 128, logits, probabilities);
    answer a =
        ask_file("", "{\"name\":\"logits\",\"parameters\":{\"binary_data\":true}}", npy, size);
    expect_well(&a);
    assert_memory_equal(a.body + a.size - sizeof logits, logits, sizeof logits);
    answer_free(&a);
}

/* The label is the best class, and a classification sorts them. */
static void test_label(void **state) {
    char npy[256], wanted[128];
    float logits[K], p[K];
    const size_t size = make_npy(npy, 4);
    int best = 0;
    (void)state;
    forward((const unsigned char *)npy + 128, logits, p);
    for (int k = 1; k < K; k++) {
        best = p[k] > p[best] ? k : best;
    }
    answer a = ask_file(
        "", "{\"name\":\"label\"},{\"name\":\"probs\",\"parameters\":{\"classification\":2}}", npy,
        size);
    expect_well(&a);
    snprintf(wanted, sizeof wanted,
             "\"name\":\"label\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"class%d\"]",
             best);
    assert_non_null(strstr(a.body, wanted));
    snprintf(wanted, sizeof wanted, "\"shape\":[1,2],\"data\":[\"%.6f:%d:class%d\",",
             (double)p[best], best, best);
    assert_non_null(strstr(a.body, wanted));
    answer_free(&a);
}

static void test_explanation(void **state) {
    char npy[256];
    const size_t size = make_npy(npy, 6);
    tub_explain_options o = tub_explain_options_default();
    tub_explanation e;
    (void)state;
    o.method = TUB_EXPLAIN_ROLLOUT;
    assert_int_equal(tub_explain(model, &o, TUB_U8, npy + 128, &e, NULL), TUB_OK);
    answer a = ask_file("\"parameters\":{\"binary_data_output\":true},",
                        "{\"name\":\"explanation\"}", npy, size);
    expect_well(&a);
    assert_memory_equal(a.body + a.size - CLIP * sizeof(float), e.map, CLIP * sizeof(float));
    answer_free(&a);
    tub_explanation_free(&e);
    o.method = TUB_EXPLAIN_GRADIENT_ROLLOUT;
    o.target = 2;
    assert_int_equal(tub_explain(model, &o, TUB_U8, npy + 128, &e, NULL), TUB_OK);
    a = ask_file("\"parameters\":{\"binary_data_output\":true,\"method\":\"gradient-rollout\","
                 "\"class\":\"class2\"},",
                 "{\"name\":\"explanation\"}", npy, size);
    expect_well(&a);
    assert_memory_equal(a.body + a.size - CLIP * sizeof(float), e.map, CLIP * sizeof(float));
    answer_free(&a);
    tub_explanation_free(&e);
}

/* What the model sees of a file; a clip that is sent as such is known to its sender. */
static void test_frames(void **state) {
    char npy[256];
    const size_t size = make_npy(npy, 5);
    (void)state;
    answer a =
        ask_file("", "{\"name\":\"frames\",\"parameters\":{\"binary_data\":true}}", npy, size);
    expect_well(&a);
    assert_non_null(strstr(a.body, "\"datatype\":\"UINT8\",\"shape\":[1,"));
    assert_memory_equal(a.body + a.size - CLIP, npy + 128, CLIP);
    answer_free(&a);
    char wanted[32];
    snprintf(wanted, sizeof wanted, "\"data\":[%d,%d,%d,", (unsigned char)npy[128],
             (unsigned char)npy[129], (unsigned char)npy[130]);
    a = ask_file("", "{\"name\":\"frames\"}", npy, size);
    expect_well(&a);
    assert_non_null(strstr(a.body, wanted));
    answer_free(&a);
    static const char other[] =
        "{\"inputs\":[{\"name\":\"clip\",\"shape\":[1,2,4,4,1],\"datatype\":\"UINT8\",\"data\":"
        "[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31]}],"
        "\"outputs\":[{\"name\":\"frames\"}]}";
    serving_request(&server, "POST", "/v2/models/tubelet_u8/infer", NULL, other, sizeof other - 1,
                    &a);
    assert_int_equal(a.status, 400);
    assert_non_null(strstr(a.body, "output 'frames' is of files: ask tubelet_video"));
    answer_free(&a);
    serving_request(&server, "GET", "/v2/models/tubelet_video", NULL, NULL, 0, &a);
    assert_non_null(
        strstr(a.body, "\"name\":\"frames\",\"datatype\":\"UINT8\",\"shape\":[-1,2,4,4,1]"));
    assert_non_null(strstr(a.body, "\"task\":\"multi_class\",\"heads\":null,\"labels\":["));
    answer_free(&a);
}

static void test_overlay(void **state) {
    char npy[256];
    const size_t size = make_npy(npy, 7);
    (void)state;
    answer a =
        ask_file("", "{\"name\":\"overlay\",\"parameters\":{\"binary_data\":true}}", npy, size);
    if (a.status == 500 && strstr(a.body, "mod-video") != NULL) {
        print_message("skipped: overlays (no mod-video)\n");
    } else {
        expect_well(&a);
        const size_t json = strtoul(answer_header(&a, "Inference-Header-Content-Length"), NULL, 10);
        assert_memory_equal(a.body + json + 4, "GIF89a", 6);
    }
    answer_free(&a);
    a = ask_file("", "{\"name\":\"overlay\"}", npy, size);
    assert_int_equal(a.status, 400);
    answer_free(&a);
}

/* A model's parameters that make no sense, one sentence each. */
static void test_wrong_wishes(void **state) {
    static const struct {
        const char *more, *outputs;
    } wrong[] = {{"\"parameters\":{\"window\":\"2 parsecs\"},", "{\"name\":\"probs\"}"},
                 {"\"parameters\":{\"window\":0},", "{\"name\":\"probs\"}"},
                 {"\"parameters\":{\"window\":1},", "{\"name\":\"probs\"}"}, /* it has no times */
                 {"\"parameters\":{\"hop\":1},", "{\"name\":\"probs\"}"},
                 {"\"parameters\":{\"method\":\"magic\"},", "{\"name\":\"explanation\"}"},
                 {"\"parameters\":{\"method\":\"occlusion\"},", "{\"name\":\"explanation\"}"},
                 {"\"parameters\":{\"class\":\"cat\"},", "{\"name\":\"explanation\"}"},
                 {"\"parameters\":{\"class\":3},", "{\"name\":\"explanation\"}"},
                 {"", "{\"name\":\"windows\"}"},
                 {"", "{\"name\":\"label\",\"parameters\":{\"classification\":1}}"},
                 {"", "{\"name\":\"probs\"},{\"name\":\"logits\"},{\"name\":\"probs\"}"},
                 {"", "{\"parameters\":{}}"}};
    char npy[256];
    const size_t size = make_npy(npy, 8);
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        answer a = ask_file(wrong[i].more, wrong[i].outputs, npy, size);
        if (a.status < 400 || a.status > 413) {
            fail_msg("%s: %d %s", wrong[i].more, a.status, a.body);
        }
        check_error(&a);
        answer_free(&a);
    }
}

static double uploads_of(const serving *s) {
    static const char name[] = "\ntubelet_uploads_total ";
    answer a;
    serving_request(s, "GET", "/metrics", NULL, NULL, 0, &a);
    const char *at = strstr(a.body, name);
    assert_non_null(at);
    const double count = strtod(at + sizeof name - 1, NULL);
    answer_free(&a);
    return count;
}

/* The time of a request is that of all its files: what is not decoded by then is not begun. */
static void test_many_files(void **state) {
    enum { MANY = 3000 };
    const char *const arguments[] = {folder.path, "--timeout",   "1s",   "--reload",
                                     "0",         "--max-clips", "3000", NULL};
    char npy[256], head[512];
    const size_t size = make_npy(npy, 9);
    serving other;
    textbuf body = {0};
    answer a;
    (void)state;
    if (!WORKER_LOADS) {
        skip();
    }
    text_put(&body,
             "{\"inputs\":[{\"name\":\"file\",\"shape\":[%d],\"datatype\":\"BYTES\","
             "\"parameters\":{\"binary_data_size\":%zu}}]}",
             MANY, MANY * (size + 4));
    snprintf(head, sizeof head, "Inference-Header-Content-Length: %zu\r\n", body.size);
    for (int i = 0; i < MANY; i++) {
        const unsigned char length[4] = {(unsigned char)size};
        text_add(&body, length, 4);
        text_add(&body, npy, size);
    }
    serving_start(&other, program, arguments);
    serving_request(&other, "POST", "/v2/models/tubelet_video/infer", head, body.bytes, body.size,
                    &a);
    assert_int_equal(a.status, 503);
    answer_free(&a);
    const double uploads = uploads_of(&other);
    assert_true(uploads >= 1 && uploads < MANY);
    assert_int_equal(serving_stop(&other), 0);
    text_free(&body);
}

/* ---- Many at a time ---- */

enum { THREADS = 8, TURNS = 25 };

/* Each sends clips of its own on one connection, one to five at a time, and knows what must come back. */
static void *talk(void *user) {
    const unsigned number = (unsigned)(uintptr_t)user;
    tub_context *own;
    const tub_context_config config = {.size = sizeof config, .threads = 1};
    if (tub_context_create(&config, &own, NULL) != TUB_OK) {
        return (void *)(uintptr_t) "no context";
    }
    char path[512];
    tub_model *mine;
    snprintf(path, sizeof path, "%s/tubelet", folder.path);
    if (tub_model_open(own, path, &mine, NULL) != TUB_OK) {
        return (void *)(uintptr_t) "no model";
    }
    const int fd = serving_dial(&server);
    const char *failure = NULL;
    for (unsigned turn = 0; turn < TURNS && failure == NULL; turn++) {
        unsigned char clips[5 * CLIP];
        float logits[5 * K], probabilities[5 * K];
        char text[2048];
        const unsigned rows = 1 + (number + turn) % 5;
        unsigned r = number * 7919 + turn;
        for (unsigned i = 0; i < rows * CLIP; i++) {
            r = r * 1664525u + 1013904223u;
            clips[i] = (unsigned char)(r >> 24);
        }
        (void)!tub_model_forward(mine, rows, TUB_U8, clips, logits, probabilities, NULL);
        char json[512];
        const int n =
            snprintf(json, sizeof json,
                     "{\"inputs\":[{\"name\":\"clip\",\"shape\":[%u,2,4,4,1],\"datatype\":"
                     "\"UINT8\",\"parameters\":{\"binary_data_size\":%u}}],\"parameters\":{"
                     "\"binary_data_output\":true}}",
                     rows, rows * CLIP);
        const int m =
            snprintf(text, sizeof text,
                     "POST /v2/models/tubelet_u8/infer HTTP/1.1\r\nHost: x\r\n"
                     "Inference-Header-Content-Length: %d\r\nContent-Length: %u\r\n\r\n%s",
                     n, (unsigned)n + rows * CLIP, json);
        memcpy(text + m, clips, rows * CLIP);
        answer a;
        serving_say(fd, text, (size_t)m + rows * CLIP);
        serving_hear(fd, &a);
        const size_t bytes = rows * K * sizeof(float);
        failure = a.status != 200                                           ? "no answer"
                  : memcmp(a.body + a.size - 2 * bytes, logits, bytes) != 0 ? "other logits"
                  : memcmp(a.body + a.size - bytes, probabilities, bytes) != 0
                      ? "other probabilities"
                      : NULL;
        answer_free(&a);
    }
    close(fd);
    tub_model_close(mine);
    tub_context_destroy(own);
    return (void *)(uintptr_t)failure;
}

static void test_concurrent(void **state) {
    pthread_t threads[THREADS];
    (void)state;
    for (uintptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, talk, (void *)i), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *failure;
        pthread_join(threads[i], &failure);
        if (failure != NULL) {
            fail_msg("thread %d: %s", i, (const char *)failure);
        }
    }
}

/* ---- Paths ---- */

static void test_paths(void **state) {
    static const struct {
        const char *method, *path;
        int status;
    } paths[] = {{"GET", "/", 200},
                 {"HEAD", "/", 200},
                 {"GET", "/page.css", 200},
                 {"GET", "/page.js", 200},
                 {"POST", "/", 405},
                 {"GET", "/v2/", 200},
                 {"GET", "/v2/health/live?x=1", 200},
                 {"GET", "/v2/models/tube%6cet", 200},
                 {"GET", "/v2/models/tubelet/versions/1", 200},
                 {"GET", "/v2/models/tubelet/versions/01", 404},
                 {"GET", "/v2/models/tubelet/versions", 404},
                 {"GET", "/v2/models/tubelet_u9", 404},
                 {"GET", "/v2/models/../models/tubelet", 404},
                 {"GET", "/v2/models/%2e%2e", 404},
                 {"GET", "/v2/models/tubelet%2fconfig.json", 404},
                 {"GET", "/v2/models/tubelet/config.json", 404},
                 {"GET", "/tubelet/config.json", 404},
                 {"GET", "/../../etc/passwd", 404},
                 {"GET", "/%2e%2e/%2e%2e/etc/passwd", 404},
                 {"GET", "//etc/passwd", 404},
                 {"GET", "/v2/models/%zz", 404},
                 {"GET", "/v2/models/%00", 404},
                 {"PUT", "/v2/models/tubelet/infer", 405},
                 {"POST", "/v2/repository/index", 200},
                 {"GET", "/v2/repository/index", 200},
                 {"GET", "/metrics", 200},
                 {"GET", "/page%2ejs", 200},
                 {"GET", "//", 404},
                 {"GET", "/samples/8", 404},
                 {"GET", "/samples/samples", 404},
                 {"GET", "/samples/99999999999999999999", 404},
                 {"GET", "/samples/x", 404}};
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        answer a;
        char text[512];
        const int n =
            snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                     paths[i].method, paths[i].path);
        const int fd = serving_dial(&server);
        serving_say(fd, text, (size_t)n);
        serving_hear(fd, &a);
        const bool head = strcmp(paths[i].method, "HEAD") == 0;
        if (a.status != paths[i].status && !(head && strstr(a.head, " 200 ") != NULL)) {
            fail_msg("%s %s: %d", paths[i].method, paths[i].path, a.status);
        }
        if (a.status >= 400) {
            check_error(&a);
        }
        answer_free(&a);
        close(fd);
    }
}

/* Who asks by another method is told which there are. */
static void test_methods(void **state) {
    static const struct {
        const char *method, *path, *allowed;
    } wrong[] = {{"POST", "/", "GET, HEAD"},
                 {"PUT", "/v2/models/tubelet/infer", "POST"},
                 {"GET", "/v2/models/tubelet/infer", "POST"},
                 {"DELETE", "/v2/repository/index", "GET, HEAD, POST"}};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        answer a;
        serving_request(&server, wrong[i].method, wrong[i].path, NULL, NULL, 0, &a);
        assert_int_equal(a.status, 405);
        const char *allowed = answer_header(&a, "Allow");
        assert_non_null(allowed);
        assert_string_equal(allowed, wrong[i].allowed);
        answer_free(&a);
    }
}

/* Whatever is a page has a policy that ends so, and another header that goes with it. */
static void expect_frames(const serving *s, const char *ancestors, const char *options) {
    static const char *const paths[] = {"/", "/page.js", "/metrics"};
    for (int i = 0; i < 3; i++) {
        answer a;
        serving_request(s, "GET", paths[i], NULL, NULL, 0, &a);
        const char *policy = answer_header(&a, "Content-Security-Policy");
        assert_non_null(policy);
        assert_non_null(strstr(policy, "default-src 'none'"));
        assert_null(strstr(policy, "unsafe"));
        assert_string_equal(strstr(policy, "frame-ancestors"), ancestors);
        const char *old = answer_header(&a, "X-Frame-Options");
        assert_true(options == NULL ? old == NULL : old != NULL && strcmp(old, options) == 0);
        answer_free(&a);
    }
}

static void test_page_policy(void **state) {
    const char *const arguments[] = {folder.path,    "--frame-from",          "https://example.org",
                                     "--frame-from", "http://localhost:7860", NULL};
    serving other;
    (void)state;
    expect_frames(&server, "frame-ancestors 'none'", "DENY");
    serving_start(&other, program, arguments);
    expect_frames(&other, "frame-ancestors https://example.org http://localhost:7860", NULL);
    assert_int_equal(serving_stop(&other), 0);
}

/* All samples can be sent back; those that this model can take it classifies. */
static void test_samples(void **state) {
    answer a;
    (void)state;
    serving_request(&server, "GET", "/samples", NULL, NULL, 0, &a);
    if (a.status == 500 && strstr(a.body, "mod-video") != NULL) {
        print_message("skipped: samples (no mod-video)\n");
        answer_free(&a);
        return;
    }
    assert_int_equal(a.status, 200);
    json_t *list = json_loads(a.body, 0, NULL);
    assert_true(json_array_size(list) >= 4);
    answer_free(&a);
    for (size_t i = 0; i < json_array_size(list); i++) {
        char path[128];
        snprintf(path, sizeof path, "/%s",
                 json_string_value(json_object_get(json_array_get(list, i), "path")));
        serving_request(&server, "GET", path, NULL, NULL, 0, &a);
        assert_int_equal(a.status, 200);
        assert_memory_equal(a.body, "GIF89a", 6);
        answer_free(&a);
    }
    json_decref(list);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),        cmocka_unit_test(test_label),
        cmocka_unit_test(test_explanation), cmocka_unit_test(test_overlay),
        cmocka_unit_test(test_frames),      cmocka_unit_test(test_wrong_wishes),
        cmocka_unit_test(test_many_files),  cmocka_unit_test(test_concurrent),
        cmocka_unit_test(test_paths),       cmocka_unit_test(test_methods),
        cmocka_unit_test(test_page_policy), cmocka_unit_test(test_samples)};
    if (argc != 2) {
        return 2;
    }
    program = argv[1];
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
