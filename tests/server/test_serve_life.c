/* SPDX-License-Identifier: Apache-2.0 */
/* A server's life: a full queue, what changes in folders, clients that do harm, and its end.
 * test_serve_life PROGRAM */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serving.h"
#include "serving_models.h"
#include "temp_folder.h"

enum { K = 3, CLIP = 2 * 4 * 4 };

static const char *program;
static temp_folder folder;
static tub_context *ctx;

static void put_model(const char *name, uint64_t seed) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder.path, name);
    write_model(ctx, path, 2, 4, 2, K, seed);
}

static int set_up(void **state) {
    (void)state;
    temp_folder_make(&folder);
    assert_int_equal(tub_context_create(NULL, &ctx, NULL), TUB_OK);
    put_model("tubelet", 5);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    tub_context_destroy(ctx);
    temp_folder_drop(&folder);
    return 0;
}

static void start(serving *s, const char *const *more) {
    const char *arguments[24] = {folder.path, "--reload", "0", "--max-delay", "0"};
    for (int i = 0; more != NULL && more[i] != NULL; i++) {
        arguments[5 + i] = more[i];
    }
    serving_start(s, program, arguments);
}

/* Logits of a clip of levels that are all `level`. */
static size_t clip_request(char *out, size_t room, const char *model, int level) {
    char json[512];
    const int n =
        snprintf(json, sizeof json,
                 "{\"inputs\":[{\"name\":\"clip\",\"shape\":[1,2,4,4,1],\"datatype\":\"UINT8\","
                 "\"parameters\":{\"binary_data_size\":%d}}],\"outputs\":[{\"name\":\"logits\","
                 "\"parameters\":{\"binary_data\":true}}]}",
                 CLIP);
    const int m = snprintf(out, room,
                           "POST /v2/models/%s/infer HTTP/1.1\r\nHost: x\r\n"
                           "Inference-Header-Content-Length: %d\r\nContent-Length: %d\r\n\r\n%s",
                           model, n, n + CLIP, json);
    memset(out + m, level, CLIP);
    return (size_t)m + CLIP;
}

static void right_logits(const char *name, int level, float out[K]) {
    char path[512];
    unsigned char levels[CLIP];
    snprintf(path, sizeof path, "%s/%s", folder.path, name);
    tub_model *model = read_model(ctx, path);
    memset(levels, level, sizeof levels);
    assert_int_equal(tub_model_forward(model, 1, TUB_U8, levels, out, NULL, NULL), TUB_OK);
    tub_model_close(model);
}

static bool has_logits(const answer *a, const float logits[K]) {
    return a->status == 200 && a->size > K * sizeof(float) &&
           memcmp(a->body + a->size - K * sizeof(float), logits, K * sizeof(float)) == 0;
}

static answer ask_clip(const serving *s, const char *model, int level) {
    char text[1024];
    answer a;
    serving_ask(s, text, clip_request(text, sizeof text, model, level), false, &a);
    return a;
}

static void expect_right(const serving *s, int level) {
    float logits[K];
    right_logits("tubelet", level, logits);
    answer a = ask_clip(s, "tubelet_u8", level);
    assert_true(has_logits(&a, logits));
    answer_free(&a);
}

/* The value of a metric without labels. */
static double metric(const serving *s, const char *name) {
    char line[256];
    answer a;
    serving_request(s, "GET", "/metrics", NULL, NULL, 0, &a);
    assert_int_equal(a.status, 200);
    snprintf(line, sizeof line, "\n%s ", name);
    const char *at = strstr(a.body, line);
    assert_non_null(at);
    const double value = strtod(at + strlen(line), NULL);
    answer_free(&a);
    return value;
}

static void wait_for_metric(const serving *s, const char *name, double value) {
    while (metric(s, name) != value) {
    }
}

/* Until a part of a body has come. */
static void wait_for_body(const serving *s) {
    while (metric(s, "tubelet_request_bytes") == 0) {
    }
}

/* ---- Queue and end ---- */

/* With a delay that never ends a clip waits for others: it fills a queue of one, and is answered when the server
 * is told to stop. */
static void test_full_queue_and_stop(void **state) {
    const char *const more[] = {"--max-delay", "1h", "--queue", "1", "--timeout", "2h", NULL};
    char text[1024];
    float logits[K];
    serving s;
    (void)state;
    start(&s, more);
    const int fd = serving_dial(&s);
    serving_say(fd, text, clip_request(text, sizeof text, "tubelet_u8", 9));
    wait_for_metric(&s, "tubelet_working_requests", 1);
    answer a = ask_clip(&s, "tubelet_u8", 3);
    assert_int_equal(a.status, 503);
    assert_string_equal(answer_header(&a, "Retry-After"), "1");
    assert_non_null(strstr(a.body, "queue"));
    answer_free(&a);
    assert_true(metric(&s, "tubelet_queue_full_total") == 1);
    assert_int_equal(serving_stop(&s), 0);
    serving_hear(fd, &a);
    right_logits("tubelet", 9, logits);
    assert_true(has_logits(&a, logits));
    answer_free(&a);
    close(fd);
}

static int ask_ready(int fd) {
    static const char ready[] = "GET /v2/health/ready HTTP/1.1\r\nHost: x\r\n\r\n";
    answer a;
    serving_say(fd, ready, sizeof ready - 1);
    serving_hear(fd, &a);
    const int status = a.status;
    answer_free(&a);
    return status;
}

/* A request that had begun when the server was told to stop is answered; one that begins later is refused. */
static void test_stop_within_a_body(void **state) {
    char text[1024];
    float logits[K];
    serving s;
    answer a;
    (void)state;
    start(&s, NULL);
    const size_t n = clip_request(text, sizeof text, "tubelet_u8", 21);
    const int fd = serving_dial(&s), other = serving_dial(&s), late = serving_dial(&s);
    serving_say(fd, text, n - 5);
    wait_for_body(&s);
    assert_int_equal(ask_ready(other), 200);
    assert_int_equal(ask_ready(late), 200);
    kill(s.pid, SIGTERM);
    while (ask_ready(other) == 200) {
    }
    serving_say(late, text, n);
    serving_hear(late, &a);
    assert_int_equal(a.status, 503);
    assert_non_null(strstr(a.body, "stopping"));
    answer_free(&a);
    serving_say(fd, text + n - 5, 5);
    serving_hear(fd, &a);
    right_logits("tubelet", 21, logits);
    assert_true(has_logits(&a, logits));
    answer_free(&a);
    assert_int_equal(serving_wait(&s), 0);
    close(fd);
    close(other);
    close(late);
}

/* Nor does a body that never comes to its end keep the server for ever. */
static void test_stop_with_a_stuck_body(void **state) {
    const char *const more[] = {"--timeout", "1s", NULL};
    char text[1024];
    serving s;
    (void)state;
    start(&s, more);
    const int fd = serving_dial(&s);
    serving_say(fd, text, clip_request(text, sizeof text, "tubelet_u8", 21) - 5);
    wait_for_body(&s);
    assert_int_equal(serving_stop(&s), 0);
    close(fd);
}

/* A connection that takes little at a time. */
static int dial_narrow(const serving *s) {
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)s->port),
                                   .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), room = 2048;
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* Who does not read an answer has no place in the queue. */
static void test_slow_reader(void **state) {
    enum { ROWS = 100, MANY = 5000 }; /* classes: an answer of more bytes than lie in sockets */
    const char *const more[] = {"--queue", "1", NULL};
    static const char form[] =
        "{\"inputs\":[{\"name\":\"clip\",\"shape\":[%d,2,4,4,1],\"datatype\":\"UINT8\","
        "\"parameters\":{\"binary_data_size\":%d}}]}";
    char head[512], json[256], path[512], first;
    static char levels[ROWS * CLIP];
    serving s;
    (void)state;
    snprintf(path, sizeof path, "%s/wide", folder.path);
    write_model(ctx, path, 2, 4, 2, MANY, 5);
    start(&s, more);
    const int n = snprintf(json, sizeof json, form, ROWS, ROWS * CLIP);
    const int m = snprintf(head, sizeof head,
                           "POST /v2/models/wide_u8/infer HTTP/1.1\r\nHost: x\r\n"
                           "Inference-Header-Content-Length: %d\r\nContent-Length: %d\r\n\r\n%s",
                           n, n + ROWS * CLIP, json);
    const int fd = dial_narrow(&s);
    serving_say(fd, head, (size_t)m);
    serving_say(fd, levels, sizeof levels);
    assert_int_equal(recv(fd, &first, 1, 0), 1);
    expect_right(&s, 4);
    assert_true(metric(&s, "tubelet_queue_full_total") == 0);
    close(fd);
    assert_int_equal(serving_stop(&s), 0);
}

/* Clips of several connections go through the model together: the batch is full, and nobody waits for the delay. */
static void test_batch_of_several(void **state) {
    enum { BATCH = 4 };
    const char *const more[] = {"--max-delay", "1h", "--max-batch", "4", "--timeout", "2h", NULL};
    int fd[BATCH];
    serving s;
    (void)state;
    start(&s, more);
    for (int i = 0; i < BATCH; i++) {
        char text[1024];
        fd[i] = serving_dial(&s);
        serving_say(fd[i], text, clip_request(text, sizeof text, "tubelet_u8", 40 + i));
    }
    for (int i = 0; i < BATCH; i++) {
        float logits[K];
        answer a;
        serving_hear(fd[i], &a);
        right_logits("tubelet", 40 + i, logits);
        assert_true(has_logits(&a, logits));
        answer_free(&a);
        close(fd[i]);
    }
    answer a;
    serving_request(&s, "GET", "/metrics", NULL, NULL, 0, &a);
    assert_non_null(
        strstr(a.body, "tubelet_batch_clips_bucket{model=\"tubelet\",version=\"1\",le=\"2\"} 0\n"));
    assert_non_null(
        strstr(a.body, "tubelet_batch_clips_bucket{model=\"tubelet\",version=\"1\",le=\"4\"} 1\n"));
    answer_free(&a);
    assert_int_equal(serving_stop(&s), 0);
}

/* ---- Reloading ---- */

/* Asks until the answer is the second of two; any other than these two is wrong. */
static void expect_change(const serving *s, const char *model, int level, const float before[K],
                          const float after[K]) {
    const int fd = serving_dial(s);
    for (bool changed = false; !changed;) {
        char text[1024];
        answer a;
        serving_say(fd, text, clip_request(text, sizeof text, model, level));
        serving_hear(fd, &a);
        changed = has_logits(&a, after);
        assert_true(changed || has_logits(&a, before));
        answer_free(&a);
    }
    close(fd);
}

static void rename_in(const char *from, const char *to) {
    char a[512], b[512];
    snprintf(a, sizeof a, "%s/%s", folder.path, from);
    snprintf(b, sizeof b, "%s/%s", folder.path, to);
    assert_int_equal(rename(a, b), 0);
}

static void test_reload(void **state) {
    char path[512];
    float before[K], after[K];
    serving s;
    (void)state;
    snprintf(path, sizeof path, "%s/many", folder.path);
    mkdir(path, 0755);
    put_model("many/3", 11);
    start(&s, NULL);
    /* Other weights in the same folder. */
    right_logits("tubelet", 77, before);
    put_model("tubelet", 6);
    right_logits("tubelet", 77, after);
    assert_true(memcmp(before, after, sizeof before) != 0);
    kill(s.pid, SIGHUP);
    expect_change(&s, "tubelet_u8", 77, before, after);
    assert_true(metric(&s, "tubelet_reloads_total") == 1);
    /* A higher version is the one that is meant. */
    right_logits("many/3", 77, before);
    put_model("next", 12);
    rename_in("next", "many/20");
    right_logits("many/20", 77, after);
    kill(s.pid, SIGHUP);
    expect_change(&s, "many_u8", 77, before, after);
    answer a = ask_clip(&s, "many_u8/versions/3", 77);
    assert_true(has_logits(&a, before));
    answer_free(&a);
    /* It is gone again. */
    rename_in("many/20", ".gone");
    kill(s.pid, SIGHUP);
    expect_change(&s, "many_u8", 77, after, before);
    assert_int_equal(serving_stop(&s), 0);
}

/* What can't be read leaves the model that there is. */
static void test_broken_reload(void **state) {
    char path[512];
    float logits[K];
    serving s;
    (void)state;
    put_model("tubelet", 5);
    put_model("other", 8);
    start(&s, NULL);
    right_logits("tubelet", 5, logits);
    snprintf(path, sizeof path, "%s/tubelet/model.safetensors", folder.path);
    assert_int_equal(truncate(path, 100), 0);
    put_model("other", 9); /* that it was read says that the other was looked at */
    kill(s.pid, SIGHUP);
    wait_for_metric(&s, "tubelet_reloads_total", 1);
    answer a = ask_clip(&s, "tubelet_u8", 5);
    assert_true(has_logits(&a, logits));
    answer_free(&a);
    put_model("tubelet", 5);
    kill(s.pid, SIGHUP);
    wait_for_metric(&s, "tubelet_reloads_total", 2);
    assert_int_equal(serving_stop(&s), 0);
}

/* ---- Limits and secrets ---- */

static void test_limits(void **state) {
    const char *const more[] = {"--max-body", "2k", "--max-clips", "3", NULL};
    char json[4096];
    serving s;
    answer a;
    (void)state;
    start(&s, more);
    memset(json, ' ', sizeof json);
    serving_request(&s, "POST", "/v2/models/tubelet/infer", NULL, json, sizeof json, &a);
    assert_int_equal(a.status, 413);
    answer_free(&a);
    static const char chunked[] =
        "POST /v2/models/tubelet/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
        "chunked\r\n\r\n3\r\n{ }\r\n0\r\n\r\n";
    serving_ask(&s, chunked, sizeof chunked - 1, false, &a);
    assert_int_equal(a.status, 400); /* it was read: it has no inputs */
    assert_non_null(strstr(a.body, "inputs"));
    answer_free(&a);
    const int n = snprintf(
        json, sizeof json,
        "{\"inputs\":[{\"name\":\"clip\",\"shape\":[4,2,4,4,1],\"datatype\":\"UINT8\",\"data\":[");
    for (int i = 0; i < 4 * CLIP; i++) {
        memcpy(json + n + 2 * i, "1,", 2);
    }
    memcpy(json + n + 8 * CLIP - 1, "]}]}", 5);
    serving_request(&s, "POST", "/v2/models/tubelet_u8/infer", NULL, json, strlen(json), &a);
    assert_int_equal(a.status, 413);
    assert_non_null(strstr(a.body, "4 clips"));
    answer_free(&a);
    assert_int_equal(serving_stop(&s), 0);
}

static void expect_no_memory(const serving *s, int status) {
    answer a = ask_clip(s, "tubelet_u8", 1);
    assert_int_equal(a.status, status);
    assert_non_null(strstr(a.body, "memory"));
    assert_true((answer_header(&a, "Retry-After") != NULL) == (status == 503));
    answer_free(&a);
}

/* What all requests keep together is limited, too; what keeps nothing is still answered. Each gives back what it
 * had. */
static void test_memory(void **state) {
    const char *const little[] = {"--max-memory", "100", NULL};
    const char *const for_one[] = {"--max-memory", "6000", NULL};
    char text[1024];
    serving s;
    (void)state;
    start(&s, little);
    for (int i = 0; i < 3; i++) {
        expect_no_memory(&s, 413); /* it will never fit */
    }
    wait_for_metric(&s, "tubelet_request_bytes", 0);
    assert_int_equal(serving_stop(&s), 0);
    start(&s, for_one);
    const int fd = serving_dial(&s);
    const size_t n = clip_request(text, sizeof text, "tubelet_u8", 1);
    serving_say(fd, text, n - 5);
    wait_for_body(&s);
    expect_no_memory(&s, 503);
    close(fd);
    wait_for_metric(&s, "tubelet_request_bytes", 0);
    expect_right(&s, 1);
    assert_int_equal(serving_stop(&s), 0);
}

/* Small pictures that become large clips are as large as the clips. */
static void test_memory_of_clips(void **state) {
    static const char rule[] =
        "{\"do_resize\":true,\"size\":{\"height\":4,\"width\":4},"
        "\"do_center_crop\":false,\"do_rescale\":true,\"do_normalize\":false,\"offset\":false}";
    const char *const more[] = {"--max-memory", "30k", NULL};
    static const int rows[] = {8, 200}; /* 1 KiB and 25 KiB of floats */
    char path[512], json[2048];
    serving s;
    (void)state;
    put_model("sized", 5);
    snprintf(path, sizeof path, "%s/sized/preprocessor_config.json", folder.path);
    FILE *f = fopen(path, "w");
    assert_true(fputs(rule, f) >= 0 && fclose(f) == 0);
    start(&s, more);
    for (int i = 0; i < 2; i++) {
        answer a;
        int n = snprintf(json, sizeof json,
                         "{\"inputs\":[{\"name\":\"clip\",\"shape\":[%d,2,1,1,1],\"datatype\":"
                         "\"UINT8\",\"data\":[1",
                         rows[i]);
        for (int k = 1; k < 2 * rows[i]; k++) {
            n += snprintf(json + n, sizeof json - (size_t)n, ",%d", k % 10);
        }
        n += snprintf(json + n, sizeof json - (size_t)n, "]}]}");
        serving_request(&s, "POST", "/v2/models/sized_u8/infer", NULL, json, (size_t)n, &a);
        assert_int_equal(a.status, i == 0 ? 200 : 413);
        answer_free(&a);
    }
    assert_int_equal(serving_stop(&s), 0);
    remove(path);
}

static void test_token(void **state) {
    static const struct {
        const char *header;
        int status;
    } heads[] = {{NULL, 401},
                 {"Authorization: Bearer secret-word\r\n", 200},
                 {"authorization: bearer secret-word\r\n", 200},
                 {"Authorization: Bearer secret-wor\r\n", 401},
                 {"Authorization: Bearer secret-wordy\r\n", 401},
                 {"Authorization: Bearer \r\n", 401},
                 {"Authorization: Basic secret-word\r\n", 401},
                 {"Authorization: secret-word\r\n", 401}};
    char path[512];
    serving s;
    answer a;
    (void)state;
    snprintf(path, sizeof path, "%s/token", folder.path);
    FILE *f = fopen(path, "w");
    fputs("secret-word\n", f);
    fclose(f);
    const char *const more[] = {"--token-file", path, NULL};
    start(&s, more);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        serving_request(&s, "GET", "/v2/models/tubelet", heads[i].header, NULL, 0, &a);
        assert_int_equal(a.status, heads[i].status);
        answer_free(&a);
    }
    serving_request(&s, "GET", "/metrics", NULL, NULL, 0, &a);
    assert_int_equal(a.status, 401);
    answer_free(&a);
    serving_request(&s, "GET", "/v2/health/live", NULL, NULL, 0, &a);
    assert_int_equal(a.status, 200);
    answer_free(&a);
    serving_request(&s, "GET", "/", NULL, NULL, 0, &a);
    assert_int_equal(a.status, 200);
    answer_free(&a);
    assert_int_equal(serving_stop(&s), 0);
}

/* A line for each request, which is JSON and has its status. */
static void test_access_log(void **state) {
    char path[512], text[4096] = "";
    serving s;
    answer a;
    (void)state;
    snprintf(path, sizeof path, "%s/log", folder.path);
    const char *const more[] = {"--access-log", path, NULL};
    start(&s, more);
    expect_right(&s, 1);
    serving_request(&s, "GET", "/nothing\"here", NULL, NULL, 0, &a);
    assert_int_equal(a.status, 404);
    answer_free(&a);
    assert_int_equal(serving_stop(&s), 0);
    FILE *f = fopen(path, "r");
    assert_true(fread(text, 1, sizeof text - 1, f) > 0);
    fclose(f);
    assert_non_null(strstr(text, "\"path\":\"/v2/models/tubelet_u8/infer\",\"status\":200"));
    assert_non_null(
        strstr(text, "\"model\":\"tubelet_u8\",\"version\":\"1\",\"clips\":1,\"queued\":"));
    assert_non_null(strstr(text, "\"path\":\"/nothing\\\"here\",\"status\":404"));
    assert_non_null(strstr(text, "\"error\":\"not found\"}\n"));
}

/* What is wrong in a body counts as a request of its model that failed. */
static void test_counts_of_failures(void **state) {
    static const char of_model[] = "{model=\"tubelet\",version=\"1\"}";
    static const char *const bodies[] = {"{", "{}", "[]"};
    char requests[128], failures[128];
    serving s;
    answer a;
    (void)state;
    snprintf(requests, sizeof requests, "tubelet_model_requests_total%s", of_model);
    snprintf(failures, sizeof failures, "tubelet_model_failures_total%s", of_model);
    start(&s, NULL);
    for (int i = 0; i < 3; i++) {
        serving_request(&s, "POST", "/v2/models/tubelet/infer", NULL, bodies[i], strlen(bodies[i]),
                        &a);
        assert_int_equal(a.status, 400);
        answer_free(&a);
    }
    expect_right(&s, 1);
    assert_true(metric(&s, requests) == 4 && metric(&s, failures) == 3);
    assert_int_equal(serving_stop(&s), 0);
}

/* ---- A system that has nothing left ---- */

/* The number that its next descriptor would have. */
static rlim_t next_descriptor(const serving *s) {
    for (rlim_t fd = 0;; fd++) {
        char path[64];
        struct stat is;
        snprintf(path, sizeof path, "/proc/%d/fd/%lu", (int)s->pid, (unsigned long)fd);
        if (lstat(path, &is) != 0) {
            return fd;
        }
    }
}

/* A file that is not decoded because the server has no descriptors left is no bad file. */
static void test_no_descriptors(void **state) {
    static const char file[] =
        "POST /v2/models/tubelet_video/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 72\r\n\r\n"
        "{\"inputs\":[{\"name\":\"file\",\"shape\":[1],\"datatype\":\"BYTES\",\"data\":[\"x\"]}]}";
    struct rlimit before, none;
    serving s;
    answer a;
    (void)state;
    start(&s, NULL);
    const int fd = serving_dial(&s);
    assert_int_equal(ask_ready(fd), 200);
    assert_int_equal(prlimit(s.pid, RLIMIT_NOFILE, NULL, &before), 0);
    none = (struct rlimit){next_descriptor(&s), before.rlim_max};
    assert_int_equal(prlimit(s.pid, RLIMIT_NOFILE, &none, NULL), 0);
    serving_say(fd, file, sizeof file - 1);
    serving_hear(fd, &a);
    assert_int_equal(a.status, 503);
    assert_non_null(strstr(a.body, "Too many open files"));
    assert_string_equal(answer_header(&a, "Retry-After"), "1");
    answer_free(&a);
    assert_int_equal(prlimit(s.pid, RLIMIT_NOFILE, &before, NULL), 0);
    assert_true(metric(&s, "tubelet_bad_uploads_total") == 0);
    close(fd);
    assert_int_equal(serving_stop(&s), 0);
}

/* ---- Harm ---- */

static void test_bad_connections(void **state) {
    enum { IDLE = 200, RANDOM = 300 };
    int idle[IDLE];
    uint32_t r = 99;
    serving s;
    (void)state;
    start(&s, NULL);
    for (int i = 0; i < IDLE; i++) { /* some say nothing, some half a head, some half a body */
        char text[1024];
        const size_t n = clip_request(text, sizeof text, "tubelet_u8", 1);
        idle[i] = serving_dial(&s);
        serving_say(idle[i], text, i % 3 == 0 ? 0 : i % 3 == 1 ? 30 : n - 5);
    }
    expect_right(&s, 7);
    for (int i = 0; i < RANDOM; i++) { /* random bytes, alone and within a request */
        char text[1024];
        size_t n = clip_request(text, sizeof text, "tubelet_u8", 1);
        for (int k = 0; k < (i % 2 == 0 ? (int)n : 5); k++) {
            r = r * 1664525u + 1013904223u;
            text[i % 2 == 0 ? (size_t)k : (r >> 8) % n] = (char)(r >> 24);
        }
        const int fd = serving_dial(&s);
        serving_say(fd, text, n);
        close(fd);
    }
    expect_right(&s, 8);
    for (int i = 0; i < IDLE; i++) {
        close(idle[i]);
    }
    expect_right(&s, 9);
    wait_for_metric(&s, "tubelet_working_requests", 0);
    assert_int_equal(serving_stop(&s), 0);
}

/* A head that comes byte by byte has no more time than a connection without a byte, be it the first or not. */
static void test_slow_heads(void **state) {
    enum { BYTES = 30, PAUSE = 200 * 1000 /* microseconds */ };
    const char *const more[] = {"--idle", "1s", NULL};
    serving s;
    (void)state;
    start(&s, more);
    for (int behind = 0; behind < 2; behind++) {
        const int fd = serving_dial(&s);
        bool closed = false;
        if (behind) {
            assert_int_equal(ask_ready(fd), 200);
        }
        for (int i = 0; i < BYTES && !closed; i++) {
            char byte;
            serving_say(fd, &"GET /v2/health/ready HTTP/1.1\r\nX: xxx"[i], 1);
            usleep(PAUSE);
            closed = recv(fd, &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET;
        }
        assert_true(closed);
        close(fd);
    }
    expect_right(&s, 6);
    assert_int_equal(serving_stop(&s), 0);
}

/* Cut at every place: closed, or answered 400; never anything else. */
static void test_cut_requests(void **state) {
    char text[1024];
    serving s;
    (void)state;
    start(&s, NULL);
    const size_t n = clip_request(text, sizeof text, "tubelet_u8", 1);
    for (size_t size = 1; size < n; size += 3) {
        answer a;
        serving_ask(&s, text, size, true, &a);
        assert_true(a.closed || a.status == 400);
        answer_free(&a);
    }
    /* What is whole is answered though its sender has closed his side. */
    float logits[K];
    answer whole;
    right_logits("tubelet", 1, logits);
    serving_ask(&s, text, n, true, &whole);
    assert_true(has_logits(&whole, logits));
    answer_free(&whole);
    expect_right(&s, 2);
    assert_int_equal(serving_stop(&s), 0);
}

/* Whoever packs pieces in another way than this server knows does not wait for it in vain. */
static void test_transfer_encodings(void **state) {
    static const char *const unknown[] = {"gzip", "gzip, chunked", "identity", "xchunked"};
    serving s;
    (void)state;
    start(&s, NULL);
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        char text[256];
        answer a;
        const int n = snprintf(text, sizeof text,
                               "POST /v2/models/tubelet/infer HTTP/1.1\r\nHost: x\r\n"
                               "Transfer-Encoding: %s\r\n\r\n3\r\n{ }\r\n0\r\n\r\n",
                               unknown[i]);
        serving_ask(&s, text, (size_t)n, false, &a);
        assert_int_equal(a.status, 501);
        answer_free(&a);
    }
    expect_right(&s, 3);
    assert_int_equal(serving_stop(&s), 0);
}

/* Heads that could mean two bodies are refused, before and behind another request on the connection. */
static void test_ambiguous_lengths(void **state) {
    static const char *const heads[] = {"Content-Length: 3\r\nContent-Length: 4\r\n",
                                        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
                                        "Content-Length: -3\r\n",
                                        "Content-Length: +3\r\n",
                                        "Content-Length: 3x\r\n",
                                        "Content-Length: 0x3\r\n",
                                        "Content-Length: \r\n",
                                        "Content-Length: 99999999999999999999999\r\n"};
    serving s;
    (void)state;
    start(&s, NULL);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        for (int behind = 0; behind < 2; behind++) {
            char text[512];
            answer a;
            const int n = snprintf(text, sizeof text,
                                   "POST /v2/models/tubelet/infer HTTP/1.1\r\nHost: x\r\n%s\r\n{ }",
                                   heads[i]);
            const int fd = serving_dial(&s);
            if (behind) {
                static const char live[] = "GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n";
                serving_say(fd, live, sizeof live - 1);
                serving_hear(fd, &a);
                assert_int_equal(a.status, 200);
                answer_free(&a);
            }
            serving_say(fd, text, (size_t)n);
            serving_hear(fd, &a);
            if (!a.closed && (a.status < 400 || a.status > 413)) {
                fail_msg("%s: %d", heads[i], a.status);
            }
            answer_free(&a);
            close(fd);
        }
    }
    expect_right(&s, 3);
    assert_int_equal(serving_stop(&s), 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_full_queue_and_stop),
                                       cmocka_unit_test(test_stop_within_a_body),
                                       cmocka_unit_test(test_stop_with_a_stuck_body),
                                       cmocka_unit_test(test_slow_reader),
                                       cmocka_unit_test(test_batch_of_several),
                                       cmocka_unit_test(test_reload),
                                       cmocka_unit_test(test_broken_reload),
                                       cmocka_unit_test(test_limits),
                                       cmocka_unit_test(test_memory),
                                       cmocka_unit_test(test_memory_of_clips),
                                       cmocka_unit_test(test_token),
                                       cmocka_unit_test(test_access_log),
                                       cmocka_unit_test(test_counts_of_failures),
                                       cmocka_unit_test(test_no_descriptors),
                                       cmocka_unit_test(test_bad_connections),
                                       cmocka_unit_test(test_slow_heads),
                                       cmocka_unit_test(test_cut_requests),
                                       cmocka_unit_test(test_transfer_encodings),
                                       cmocka_unit_test(test_ambiguous_lengths)};
    if (argc != 2) {
        return 2;
    }
    program = argv[1];
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
