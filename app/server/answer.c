/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: bytes, sentences, and the outputs of a model in JSON with a binary tail. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"

enum { HEADERS = 16 };

typedef struct header_list {
    const char *list[HEADERS + 1];
    int count;
} header_list;

static void add_header(header_list *h, const char *name, const char *value) {
    h->list[h->count++] = name;
    h->list[h->count++] = value;
    h->list[h->count] = NULL;
}

/* X-Frame-Options says the same to old browsers; it knows no origins, so where there are some it is left out. */
static void add_page_headers(header_list *h, const server *s) {
    add_header(h, "Content-Security-Policy", s->policy);
    if (s->options->frame_count == 0) {
        add_header(h, "X-Frame-Options", "DENY");
    }
    add_header(h, "Referrer-Policy", "no-referrer");
}

/* Its place in the queue is free before the answer goes, or who asks again at once might find none; how long the
 * other end takes to read is no matter of the queue. */
static void hand_over(request *r, const http_answer *answer) {
    server *s = r->server;
    const bool worked = r->works;
    if (r->queued) {
        atomic_fetch_sub(&s->queued, 1);
    }
    r->queued = r->works = false;
    s->http->answer(r->x, answer); /* the request may be gone now */
    if (worked) {
        atomic_fetch_sub(&s->working, 1);
    }
}

static void send_answer(request *r, int status, const char *type, void *bytes, size_t size,
                        void (*release)(void *), header_list *headers) {
    add_header(headers, "X-Content-Type-Options", "nosniff");
    if (status == 503) {
        add_header(headers, "Retry-After", "1");
    }
    if (status == 401) {
        add_header(headers, "WWW-Authenticate", "Bearer");
    }
    if (status == 405) {
        add_header(headers, "Allow", r->allow);
    }
    if (type != NULL && strncmp(type, "text/", 5) == 0) {
        add_page_headers(headers, r->server);
    }
    r->status = status;
    r->sent = size;
    if (r->infers) { /* until it is read, which who reads slowly can put off */
        (void)request_hold(r, size);
    }
    hand_over(r, &(http_answer){.status = status,
                                .type = type,
                                .headers = headers->list,
                                .body = bytes,
                                .size = size,
                                .release = release,
                                .close = atomic_load(&r->server->draining)});
}

void answer_bytes(request *r, int status, const char *type, void *bytes, size_t size) {
    header_list none = {.count = 0};
    send_answer(r, status, type, bytes, size, free, &none);
}

void answer_static(request *r, int status, const char *type, const void *bytes, size_t size) {
    header_list none = {.count = 0};
    send_answer(r, status, type, (void *)(uintptr_t)bytes, size, NULL, &none);
}

static const char no_memory[] = "{\"error\":\"out of memory\"}";
static const char type_json[] = "application/json";

void answer_text(request *r, int status, const char *type, textbuf *t) {
    if (t->failed) {
        text_free(t);
        answer_static(r, 500, type_json, no_memory, sizeof no_memory - 1);
    } else {
        answer_bytes(r, status, type, t->bytes, t->size);
        *t = (textbuf){0};
    }
}

void answer_failure(request *r) {
    textbuf t = {0};
    text_put(&t, "{\"error\":");
    text_json(&t, r->sentence);
    text_put(&t, "}");
    answer_text(r, r->failure, type_json, &t);
}

static void fail(request *r, int status, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));
static void fail(request *r, int status, const char *format, va_list arguments) {
    if (r->failure == 0) {
        vsnprintf(r->sentence, sizeof r->sentence, format, arguments);
        r->failure = status;
    }
}

void answer_error(request *r, int status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fail(r, status, format, arguments);
    va_end(arguments);
    answer_failure(r);
}

bool request_fail(request *r, int status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fail(r, status, format, arguments);
    va_end(arguments);
    return false;
}

/* What the sender can mend is his; the rest is the server's. */
int status_of(tub_status status) {
    switch (status) {
    case TUB_E_FORMAT:
    case TUB_E_SHAPE:
    case TUB_E_RANGE:
    case TUB_E_UNSUPPORTED:
    case TUB_E_ARGUMENT:
    case TUB_E_NOT_FOUND:
    case TUB_E_NUMERIC:
        return 400;
    case TUB_E_CANCELLED:
        return 503;
    default:
        return 500;
    }
}

/* ---- Outputs ---- */

enum { OUT_LIMIT = OIP_OUTPUTS };

static int64_t elements_of(const out_tensor *o) {
    int64_t n = 1;
    for (int i = 0; i < o->rank; i++) {
        n *= o->shape[i];
    }
    return n;
}

/* One class of a row: "0.472229:0:name". */
static void put_class(textbuf *t, const served *m, float score, int64_t index) {
    const char *const *labels = tub_model_labels(m->model);
    char number[32];
    const char *name = labels != NULL ? labels[index] : "";
    const int n = snprintf(number, sizeof number, "%.6f:%lld:", (double)score, (long long)index);
    const size_t size = (size_t)n + strlen(name);
    unsigned char length[OIP_LENGTH];
    oip_put_length(length, size);
    text_add(t, length, sizeof length);
    text_add(t, number, (size_t)n);
    text_add(t, name, strlen(name));
}

/* The most probable class that is after another one: a lower score, or the same and a higher index. */
static int64_t next_class(const float *row, int64_t classes, int64_t before) {
    int64_t best = -1;
    for (int64_t k = 0; k < classes; k++) {
        const bool later =
            before < 0 || row[k] < row[before] || (row[k] == row[before] && k > before);
        if (later && (best < 0 || row[k] > row[best])) {
            best = k;
        }
    }
    return best;
}

static bool take_text(textbuf *t, out_tensor *out) {
    if (t->failed) {
        text_free(t);
        return false;
    }
    out->data = out->owned = t->bytes;
    out->size = t->size;
    out->datatype = "BYTES";
    return true;
}

/* The `want` best classes of each row. */
static bool classify(const request *r, const float *scores, int64_t want, out_tensor *out) {
    const int64_t classes = r->model->config->classes, rows = r->job.rows;
    textbuf t = {0};
    want = want < classes ? want : classes;
    for (int64_t i = 0; i < rows; i++) {
        int64_t k = -1;
        for (int64_t n = 0; n < want; n++) {
            k = next_class(scores + i * classes, classes, k);
            if (k < 0) { /* no numbers */
                k = 0;
            }
            put_class(&t, r->model, scores[i * classes + k], k);
        }
    }
    out->rank = 2;
    out->shape[0] = rows;
    out->shape[1] = want;
    return take_text(&t, out);
}

static void put_element(textbuf *t, const void *bytes, size_t size) {
    unsigned char length[OIP_LENGTH];
    oip_put_length(length, size);
    text_add(t, length, sizeof length);
    text_add(t, bytes, size);
}

static void put_name(textbuf *t, const served *m, int64_t k) {
    const char *const *labels = tub_model_labels(m->model);
    if (labels != NULL) {
        text_put(t, "%s", labels[k]);
    } else {
        text_put(t, "%lld", (long long)k);
    }
}

/* The classes of a row in words: the most probable one, of several heads one each, of independent labels those
 * above a half, with ", " between them. */
static void put_row_label(textbuf *t, const served *m, const float *row) {
    const tub_model_config *c = m->config;
    const char *between = "";
    if (c->task == TUB_TASK_MULTI_LABEL) {
        for (int64_t k = 0; k < c->classes; k++) {
            if (row[k] > 0.5F) {
                text_put(t, "%s", between);
                put_name(t, m, k);
                between = ", ";
            }
        }
        return;
    }
    const bool heads = c->task == TUB_TASK_MULTI_HEAD;
    for (int64_t h = 0, begin = 0; begin < c->classes && h < TUB_HEAD_LIMIT; h++) {
        const int64_t n = heads ? c->head_classes[h] : c->classes;
        const int64_t best = next_class(row + begin, n, -1);
        text_put(t, "%s", between);
        put_name(t, m, begin + (best < 0 ? 0 : best));
        between = ", ";
        begin += n;
    }
}

static bool label(const request *r, out_tensor *out) {
    textbuf t = {0};
    for (int64_t i = 0; i < r->job.rows; i++) {
        textbuf one = {0};
        put_row_label(&one, r->model, r->job.probabilities + i * r->model->config->classes);
        put_element(&t, one.bytes, one.size);
        t.failed = t.failed || one.failed;
        text_free(&one);
    }
    out->rank = 1;
    out->shape[0] = r->job.rows;
    return take_text(&t, out);
}

static bool overlay(const request *r, out_tensor *out) {
    textbuf t = {0};
    for (int64_t i = 0; i < r->job.rows; i++) {
        put_element(&t, r->gifs[i], r->gif_sizes[i]);
    }
    out->rank = 1;
    out->shape[0] = r->job.rows;
    return take_text(&t, out);
}

static bool explanation(const request *r, out_tensor *out) {
    const tub_model_config *c = r->model->config;
    const size_t map = r->model->map * sizeof(float);
    textbuf t = {0};
    for (int64_t i = 0; i < r->job.rows; i++) {
        text_add(&t, r->maps[i].map, map);
    }
    out->rank = 4;
    out->shape[0] = r->job.rows;
    out->shape[1] = c->frames;
    out->shape[2] = c->height;
    out->shape[3] = c->width;
    const bool done = take_text(&t, out);
    out->datatype = "FP32";
    return done;
}

/* What the model sees of files, as levels. */
static void frames(const request *r, out_tensor *out) {
    const tub_model_config *c = r->model->config;
    *out = (out_tensor){.name = out->name,
                        .datatype = "UINT8",
                        .rank = 5,
                        .shape = {r->job.rows, c->frames, c->height, c->width, c->channels},
                        .data = r->levels,
                        .size = (size_t)r->job.rows * r->model->clip,
                        .binary = out->binary};
}

static void rows_of(const request *r, const char *type, const void *data, size_t element,
                    int64_t columns, out_tensor *out) {
    out->datatype = type;
    out->rank = 2;
    out->shape[0] = r->job.rows;
    out->shape[1] = columns;
    out->data = data;
    out->size = (size_t)(r->job.rows * columns) * element;
}

static bool make(const request *r, const oip_output *asked, out_tensor *out) {
    const int64_t classes = r->model->config->classes;
    const bool logits = strcmp(asked->name, "logits") == 0;
    if (logits || strcmp(asked->name, "probs") == 0) {
        const float *scores = logits ? r->job.logits : r->job.probabilities;
        if (asked->classification > 0) {
            return classify(r, scores, asked->classification, out);
        }
        rows_of(r, "FP32", scores, sizeof(float), classes, out);
        return true;
    }
    if (strcmp(asked->name, "windows") == 0) {
        rows_of(r, "FP64", r->windows, sizeof(double), 2, out);
        return true;
    }
    if (strcmp(asked->name, "frames") == 0) {
        frames(r, out);
        return true;
    }
    return strcmp(asked->name, "label") == 0         ? label(r, out)
           : strcmp(asked->name, "explanation") == 0 ? explanation(r, out)
                                                     : overlay(r, out);
}

/* ---- Writing ---- */

static void put_numbers(textbuf *t, const out_tensor *o) {
    const bool wide = strcmp(o->datatype, "FP64") == 0, levels = strcmp(o->datatype, "UINT8") == 0;
    const int64_t n = elements_of(o);
    for (int64_t i = 0; i < n; i++) {
        text_add(t, ",", i > 0);
        if (wide) {
            text_put(t, "%.17g", ((const double *)o->data)[i]);
        } else if (levels) {
            text_put(t, "%d", ((const unsigned char *)o->data)[i]);
        } else {
            text_float(t, ((const float *)o->data)[i]);
        }
    }
}

static void put_strings(textbuf *t, const out_tensor *o) {
    const unsigned char *at = o->data;
    char *word = malloc(o->size + 1);
    t->failed = t->failed || word == NULL;
    for (const unsigned char *end = at + o->size; at < end && word != NULL;) {
        const size_t n = oip_get_length(at);
        memcpy(word, at + 4, n);
        word[n] = '\0';
        text_add(t, ",", at > (const unsigned char *)o->data);
        text_json(t, word);
        at += 4 + n;
    }
    free(word);
}

static void put_output(textbuf *t, const out_tensor *o) {
    text_put(t, "{\"name\":\"%s\",\"datatype\":\"%s\",\"shape\":[", o->name, o->datatype);
    for (int i = 0; i < o->rank; i++) {
        text_put(t, "%s%lld", i > 0 ? "," : "", (long long)o->shape[i]);
    }
    if (o->binary) {
        text_put(t, "],\"parameters\":{\"binary_data_size\":%zu}}", o->size);
        return;
    }
    text_put(t, "],\"data\":[");
    if (strcmp(o->datatype, "BYTES") == 0) {
        put_strings(t, o);
    } else {
        put_numbers(t, o);
    }
    text_put(t, "]}");
}

static void put_head(textbuf *t, const request *r) {
    text_put(t, "{\"model_name\":");
    text_json(t, r->model_name);
    text_put(t, ",\"model_version\":\"%s\"", r->model->version);
    if (r->reader.request.has_id) {
        text_put(t, ",\"id\":");
        text_json(t, r->reader.request.id);
    }
    if (r->damage[0] != '\0') {
        text_put(t, ",\"parameters\":{\"damage\":");
        text_json(t, r->damage);
        text_put(t, "}");
    }
    text_put(t, ",\"outputs\":[");
}

/* JSON, then the binary outputs in their order; *json: bytes of the JSON. */
static bool write_outputs(const request *r, const out_tensor *list, int count, textbuf *t,
                          size_t *json) {
    bool tail = false;
    put_head(t, r);
    for (int i = 0; i < count; i++) {
        text_add(t, ",", i > 0);
        put_output(t, &list[i]);
    }
    text_put(t, "]}");
    *json = t->size;
    for (int i = 0; i < count; i++) {
        if (list[i].binary) {
            tail = true;
            text_add(t, list[i].data, list[i].size);
        }
    }
    return tail;
}

static void send_outputs(request *r, textbuf *t, size_t json, bool tail) {
    header_list headers = {.count = 0};
    char length[32];
    if (tail) {
        snprintf(length, sizeof length, "%zu", json);
        add_header(&headers, "Inference-Header-Content-Length", length);
    }
    size_t size = t->size;
    void *packed = r->answer_coding != CODING_NONE
                       ? coding_pack(r->answer_coding, t->bytes, t->size, &size)
                       : NULL;
    if (packed != NULL) { /* where it can't be packed it goes as it is */
        free(t->bytes);
        add_header(&headers, "Content-Encoding", coding_name(r->answer_coding));
    }
    send_answer(r, 200, tail ? "application/octet-stream" : type_json,
                packed != NULL ? packed : t->bytes, packed != NULL ? size : t->size, free,
                &headers);
}

void answer_outputs(request *r) {
    const oip_request *q = &r->reader.request;
    out_tensor list[OUT_LIMIT] = {0};
    bool made = true;
    int count = 0;
    for (int i = 0; i < q->outputs && made; i++, count++) {
        const oip_output *asked = &q->output[i];
        list[i].name = asked->name;
        list[i].binary = asked->binary < 0 ? q->parameters.binary_output : asked->binary != 0;
        made = make(r, asked, &list[i]);
    }
    textbuf t = {0};
    size_t json = 0;
    const bool tail = made && write_outputs(r, list, count, &t, &json);
    for (int i = 0; i < count; i++) {
        free(list[i].owned);
    }
    if (!made || t.failed) {
        text_free(&t);
        answer_static(r, 500, type_json, no_memory, sizeof no_memory - 1);
        return;
    }
    send_outputs(r, &t, json, tail);
}
