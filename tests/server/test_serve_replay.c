/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded requests of a real client get equivalent answers, and every number is the one that the library gives.
 * test_serve_replay PROGRAM RECORDED */
#include <dirent.h>
#include <stdlib.h>

#include "server/coding.h"
#include "server/text.h"
#include "serving_fixture.h"

static const char *recorded;

/* ---- Recorded conversations ---- */

typedef struct message {
    char *bytes; /* head and body, a zero behind them */
    size_t size, body;
} message;

static message read_message(const char *name, const char *ending) {
    char path[1024];
    message m = {.bytes = calloc(1, ROOM)};
    snprintf(path, sizeof path, "%s/%s.%s.bin", recorded, name, ending);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    m.size = fread(m.bytes, 1, ROOM - 1, f);
    fclose(f);
    m.body = (size_t)(strstr(m.bytes, "\r\n\r\n") + 4 - m.bytes);
    return m;
}

static const char *value_of(const message *m, const char *name) {
    answer a = {0};
    snprintf(a.head, sizeof a.head, "%.*s", (int)m->body, m->bytes);
    return answer_header(&a, name);
}

static bool collect(void *user, const char *data, size_t size) {
    textbuf *t = user;
    text_add(t, data, size);
    return true;
}

/* A body without its packing. */
static textbuf unpack(const char *encoding, const char *bytes, size_t size) {
    const coding c = coding_of(encoding);
    textbuf out = {0};
    bool damaged = false;
    if (c == CODING_NONE) {
        text_add(&out, bytes, size);
    } else {
        unpacker *u = unpacker_create(c);
        assert_true(unpacker_push(u, bytes, size, collect, &out, &damaged));
        assert_true(unpacker_whole(u));
        unpacker_destroy(u);
    }
    text_add(&out, "", 1);
    out.size--;
    return out;
}

/* The JSON at the beginning of a body, and what lies behind it. */
static json_t *split(const textbuf *body, const char *length, const char **tail, size_t *left) {
    const size_t n = length != NULL ? strtoul(length, NULL, 10) : body->size;
    json_error_t why;
    json_t *json = json_loadb(body->bytes, n, 0, &why);
    assert_non_null(json);
    *tail = body->bytes + n;
    *left = body->size - n;
    return json;
}

static void flatten(const json_t *data, float *out, size_t *count) {
    size_t i;
    json_t *item;
    if (!json_is_array(data)) {
        out[(*count)++] = (float)json_number_value(data);
        return;
    }
    json_array_foreach(data, i, item) {
        flatten(item, out, count);
    }
}

/* What the model says of the clips in a request: logits, probabilities [2][rows,K]. Returns rows. */
static int64_t compute(const message *m, float out[2][64]) {
    const textbuf body =
        unpack(value_of(m, "Content-Encoding"), m->bytes + m->body, m->size - m->body);
    const char *tail;
    size_t left, count = 0;
    static float clips[64 * CLIP];
    json_t *json = split(&body, value_of(m, "Inference-Header-Content-Length"), &tail, &left);
    const json_t *in = json_array_get(json_object_get(json, "inputs"), 0);
    const bool levels = strcmp(json_string_value(json_object_get(in, "datatype")), "UINT8") == 0;
    const int64_t rows = json_integer_value(json_array_get(json_object_get(in, "shape"), 0));
    if (left > 0 && levels) {
        for (; count < left; count++) {
            clips[count] = (float)(unsigned char)tail[count];
        }
    } else if (left > 0) {
        memcpy(clips, tail, left);
        count = left / sizeof(float);
    } else {
        flatten(json_object_get(in, "data"), clips, &count);
    }
    assert_int_equal(count, rows * CLIP);
    unsigned char bytes[64 * CLIP];
    for (size_t i = 0; i < count && levels; i++) {
        bytes[i] = (unsigned char)clips[i];
    }
    assert_int_equal(tub_model_forward(model, rows, levels ? TUB_U8 : TUB_F32,
                                       levels ? (const void *)bytes : (const void *)clips, out[0],
                                       out[1], NULL),
                     TUB_OK);
    json_decref(json);
    free(body.bytes);
    return rows;
}

/* An output of an answer against the recorded one's form and the model's numbers. */
static void compare_output(const json_t *want, const json_t *got, const char **tail, size_t *left,
                           float numbers[2][64]) {
    static const char *const same[] = {"name", "datatype", "shape"};
    for (size_t i = 0; i < 3; i++) {
        assert_true(json_equal(json_object_get(want, same[i]), json_object_get(got, same[i])));
    }
    const json_t *size = json_object_get(json_object_get(got, "parameters"), "binary_data_size");
    const json_t *wanted = json_object_get(json_object_get(want, "parameters"), "binary_data_size");
    assert_int_equal(size != NULL, wanted != NULL);
    const bool logits = strcmp(json_string_value(json_object_get(got, "name")), "logits") == 0;
    const float *right = numbers[logits ? 0 : 1];
    if (strcmp(json_string_value(json_object_get(got, "datatype")), "FP32") != 0) {
        *tail += json_integer_value(size); /* classification: another test looks at it */
        *left -= (size_t)json_integer_value(size);
    } else if (size != NULL) {
        assert_int_equal(json_integer_value(size), json_integer_value(wanted));
        assert_memory_equal(*tail, right, (size_t)json_integer_value(size));
        *tail += json_integer_value(size);
        *left -= (size_t)json_integer_value(size);
    } else {
        float values[64];
        size_t count = 0;
        flatten(json_object_get(got, "data"), values, &count);
        assert_int_equal(count, json_array_size(json_object_get(want, "data")));
        assert_memory_equal(values, right, count * sizeof *values);
    }
}

static void compare_inference(const message *request, const message *response, const answer *a) {
    float numbers[2][64];
    const char *wanted_tail, *tail;
    size_t wanted_left, left;
    compute(request, numbers);
    const textbuf before =
        unpack(value_of(response, "Content-Encoding"), response->bytes + response->body,
               response->size - response->body);
    json_t *want = split(&before, value_of(response, "Inference-Header-Content-Length"),
                         &wanted_tail, &wanted_left);
    const textbuf body = unpack(answer_header(a, "Content-Encoding"), a->body, a->size);
    json_t *got = split(&body, answer_header(a, "Inference-Header-Content-Length"), &tail, &left);
    assert_int_equal(wanted_left > 0, left > 0);
    assert_true(
        json_equal(json_object_get(want, "model_name"), json_object_get(got, "model_name")));
    assert_true(
        json_equal(json_object_get(want, "model_version"), json_object_get(got, "model_version")));
    const json_t *id = json_object_get(want, "id");
    assert_true(id == NULL ? json_object_get(got, "id") == NULL
                           : json_equal(id, json_object_get(got, "id")));
    const json_t *outputs = json_object_get(want, "outputs");
    assert_int_equal(json_array_size(outputs), json_array_size(json_object_get(got, "outputs")));
    for (size_t i = 0; i < json_array_size(outputs); i++) {
        compare_output(json_array_get(outputs, i),
                       json_array_get(json_object_get(got, "outputs"), i), &tail, &left, numbers);
    }
    assert_int_equal(left, 0);
    const char *packed = value_of(response, "Content-Encoding");
    const char *ours = answer_header(a, "Content-Encoding");
    assert_int_equal(packed != NULL, ours != NULL);
    json_decref(want);
    json_decref(got);
    free(before.bytes);
    free(body.bytes);
}

/* What the recorded metadata have, ours have the same; of the server's own, the extensions that it named. */
static void compare_metadata(const message *response, const answer *a) {
    const char *key;
    json_t *value;
    json_t *want = json_loads(response->bytes + response->body, 0, NULL);
    json_t *got = json_loads(a->body, 0, NULL);
    assert_non_null(got);
    json_object_foreach(want, key, value) {
        const json_t *ours = json_object_get(got, key);
        if (strcmp(key, "extensions") == 0) {
            for (size_t i = 0; i < json_array_size(value); i++) {
                assert_true(json_equal(json_array_get(ours, i), json_array_get(value, i)));
            }
        } else if (strcmp(key, "version") != 0) {
            assert_true(json_equal(ours, value));
        }
    }
    json_decref(want);
    json_decref(got);
}

/* Their file is the beginning of a video, which nobody can decode: the stub only counted its bytes. */
static bool is_broken_file(const char *name) {
    return strcmp(name, "infer_bytes_binary") == 0 || strcmp(name, "infer_bytes_two_elements") == 0;
}

/* WORKER_LOADS, of the build: whether the worker, which has no sanitizer, can load modules. */
static void replay(const char *name) {
    if (!WORKER_LOADS && is_broken_file(name)) {
        print_message("  skipped: %s, for the worker can't load modules with sanitizers\n", name);
        return;
    }
    const message request = read_message(name, "request"),
                  response = read_message(name, "response");
    const bool cut = strcmp(name, "neg_truncated_body") == 0;
    const int wanted = is_broken_file(name) ? 400 : atoi(response.bytes + 9);
    answer a;
    print_message("  %s\n", name);
    serving_ask(&server, request.bytes, request.size, cut, &a);
    if (!(a.status == wanted || (cut && a.closed))) {
        fail_msg("%s: %d, not %d: %s", name, a.status, wanted, a.body != NULL ? a.body : "");
    }
    if (a.status >= 400) {
        check_error(&a);
    } else if (strncmp(name, "infer_", 6) == 0) {
        compare_inference(&request, &response, &a);
    } else if (strstr(name, "metadata") != NULL) {
        compare_metadata(&response, &a);
    }
    answer_free(&a);
    free(request.bytes);
    free(response.bytes);
}

static void test_recorded(void **state) {
    static const char ending[] = ".request.bin";
    struct dirent **names;
    int count = 0;
    (void)state;
    const int n = scandir(recorded, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char *at = strstr(names[i]->d_name, ending);
        if (at != NULL) {
            *at = '\0';
            replay(names[i]->d_name);
            count++;
        }
        free(names[i]);
    }
    free(names);
    assert_int_equal(count, 43);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_recorded)};
    if (argc != 3) {
        return 2;
    }
    program = argv[1];
    recorded = argv[2];
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
