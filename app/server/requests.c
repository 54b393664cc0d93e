/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as they come: their heads are judged, their bodies read piece by piece, and what went wrong is
 * answered when the body is over, so that a connection can be used again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server.h"

enum { SMALL_BODY = 1 << 20 }; /* of a wrong request, that is read to its end */

static const char *header(const request *r, const char *name) {
    return r->server->http->header(r->x, name);
}

/* ---- The head ---- */

/* As long for a right token as for a wrong one of its length. */
static bool is_token(const char *given, const char *token) {
    const size_t n = strlen(token), m = strlen(given);
    unsigned different = n != m;
    for (size_t i = 0; i < n; i++) {
        different |= (unsigned char)token[i] ^ (unsigned char)(i < m ? given[i] : 0);
    }
    return different == 0;
}

bool request_authorised(request *r) {
    static const char scheme[] = "Bearer ";
    const char *given = header(r, "Authorization");
    if (r->server->token == NULL) {
        return true;
    }
    const bool right = given != NULL && strncasecmp(given, scheme, sizeof scheme - 1) == 0 &&
                       is_token(given + sizeof scheme - 1, r->server->token);
    return right || request_fail(r, 401, "this server wants a token: Authorization: Bearer TOKEN");
}

static int64_t whole_number(const char *text) {
    const size_t n = strspn(text, "0123456789");
    return n == 0 || n > 18 || text[n] != '\0' ? -1 : strtoll(text, NULL, 10);
}

/* Bytes that the head announces; -1: none, or in chunks. */
static int64_t announced(request *r) {
    const http_module *http = r->server->http;
    const char *length = header(r, "Content-Length"), *pieces = header(r, "Transfer-Encoding");
    if (http->count_headers(r->x, "Content-Length") > 1 ||
        http->count_headers(r->x, "Transfer-Encoding") > 1 || (length != NULL && pieces != NULL)) {
        request_fail(r, 400, "the length of the body is said twice");
        return INT64_MAX;
    }
    if (pieces != NULL && strcasecmp(pieces, "chunked") != 0) { /* nobody knows where it ends */
        request_fail(r, 501, "the transfer encoding '%.64s' is not known; chunked is", pieces);
        return INT64_MAX;
    }
    if (length == NULL) {
        return -1;
    }
    const int64_t bytes = whole_number(length);
    if (bytes < 0) {
        request_fail(r, 400, "Content-Length is no number of bytes");
        return INT64_MAX;
    }
    if ((uint64_t)bytes > r->server->options->max_body) {
        request_fail(r, 413, "a body of %lld bytes; at most %zu are allowed", (long long)bytes,
                     r->server->options->max_body);
    }
    return bytes;
}

static bool begin_reading(request *r) {
    const char *length = header(r, "Inference-Header-Content-Length");
    const coding c = coding_of(header(r, "Content-Encoding"));
    int64_t json = -1;
    oip_begin(&r->reader, -1);
    if (length != NULL) {
        json = whole_number(length);
        if (json < 0) {
            return request_fail(r, 400, "Inference-Header-Content-Length is no number of bytes");
        }
    }
    r->reader.header = json;
    if (c == CODING_UNKNOWN) {
        return request_fail(r, 415, "the content encoding '%s' is not known; gzip and deflate are",
                            header(r, "Content-Encoding"));
    }
    if (c != CODING_NONE) {
        if (!request_charge(r, UNPACKER_ROOM)) {
            return false;
        }
        r->unpacker = unpacker_create(c);
        if (r->unpacker == NULL) {
            return request_fail(r, 503, "out of memory for the request");
        }
    }
    r->answer_coding = coding_accepted(header(r, "Accept-Encoding"));
    return true;
}

static void *begin(void *user, http_exchange *x) {
    server *s = user;
    request *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return NULL;
    }
    r->server = s;
    r->x = x;
    r->method = s->http->method(x);
    r->began = clock_now();
    r->late = atomic_load(&s->draining);
    atomic_fetch_add(&s->open, 1);
    const int64_t bytes = announced(r);
    if (r->failure == 0) {
        route(r);
    }
    if (r->failure == 0 && r->infers) {
        begin_reading(r);
    }
    if (r->failure != 0 && (bytes > SMALL_BODY || header(r, "Transfer-Encoding") != NULL)) {
        answer_failure(r);
    }
    return r;
}

/* ---- The body ---- */

unsigned long long request_hold(request *r, size_t size) {
    r->charged += size;
    return atomic_fetch_add(&r->server->memory, size) + size;
}

bool request_charge(request *r, size_t size) {
    const size_t most = r->server->options->max_memory;
    const unsigned long long all = request_hold(r, size);
    if (r->charged > most) { /* trying again would not help */
        return request_fail(
            r, 413, "the request takes more memory than the %zu bytes that all may take together",
            most);
    }
    return all <= most ||
           request_fail(r, 503, "the requests at hand take all memory that they may; try again");
}

static bool read_piece(void *user, const char *data, size_t size) {
    request *r = user;
    r->unpacked += (int64_t)size;
    if ((uint64_t)r->unpacked > r->server->options->max_body) {
        return request_fail(r, 413, "a body of more than %zu bytes", r->server->options->max_body);
    }
    const size_t before = oip_kept(&r->reader);
    if (!oip_push(&r->reader, data, size)) {
        return request_fail(r, r->reader.status, "%s", r->reader.sentence);
    }
    return request_charge(r, oip_kept(&r->reader) - before);
}

static bool body(void *user, const char *data, size_t size) {
    request *r = user;
    const server_options *o = r->server->options;
    bool damaged = false;
    r->received += (int64_t)size;
    if (clock_now() > r->began + o->timeout || (uint64_t)r->received > o->max_body * 2) {
        return false;
    }
    if (r->failure != 0 || !r->infers) {
        return true; /* it is only waited for */
    }
    if (r->unpacker == NULL) {
        (void)read_piece(r, data, size);
    } else if (!unpacker_push(r->unpacker, data, size, read_piece, r, &damaged) && damaged) {
        request_fail(r, 400, "the body is not what its content encoding says");
    }
    return true;
}

static void end(void *user) {
    request *r = user;
    if (r->failure == 0 && r->unpacker != NULL && !unpacker_whole(r->unpacker)) {
        request_fail(r, 400, "the packed body ends before it is whole");
    }
    if (r->failure != 0 && !r->infers) {
        answer_failure(r);
    } else {
        r->handle(r);
    }
}

static void done(void *user, bool sent) {
    request *r = user;
    server *s = r->server;
    metrics_note(s, r, sent);
    log_request(s, r, sent);
    atomic_fetch_sub(&s->memory, r->charged);
    infer_free(r);
    free(r);
    atomic_fetch_sub(&s->open, 1);
}

/* Counted before the look: the server's end sees the request, or the request sees the end. */
bool request_take_on(request *r) {
    server *s = r->server;
    r->works = true;
    atomic_fetch_add(&s->working, 1);
    return (!r->late && !atomic_load(&s->closed)) || request_fail(r, 503, "the server is stopping");
}

const http_events *request_events(void) {
    static const http_events events = {.begin = begin, .body = body, .end = end, .done = done};
    return &events;
}
