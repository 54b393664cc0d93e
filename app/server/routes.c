/* SPDX-License-Identifier: Apache-2.0 */
/* Which path means what. Names in paths are looked up in tables; no path ever becomes a file's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"

enum { SEGMENTS = 8, SEGMENT = SERVED_NAME + 16, VERSIONS = 64 };

typedef struct segments {
    int count;
    char list[SEGMENTS][SEGMENT];
} segments;

static int hex(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Takes a path apart and its percent-encoding off. false: too long, encoded wrongly, or nothing stands between two
 * slashes. */
static bool take_apart(const char *path, segments *out) {
    out->count = 0;
    while (*path == '/') {
        size_t n = 0;
        path++;
        if (*path == '\0') {
            return true; /* "/v2/" is "/v2" */
        }
        if (out->count == SEGMENTS) {
            return false;
        }
        char *to = out->list[out->count++];
        while (*path != '/' && *path != '\0') {
            int c = (unsigned char)*path++;
            if (c == '%') {
                const int high = hex(path[0]), low = high < 0 ? -1 : hex(path[1]);
                if (low < 0 || high + low == 0) {
                    return false;
                }
                c = high * 16 + low;
                path += 2;
            }
            if (n + 1 == SEGMENT) {
                return false;
            }
            to[n++] = (char)c;
        }
        if (n == 0) {
            return false;
        }
        to[n] = '\0';
    }
    return *path == '\0';
}

static bool is(const segments *s, int at, const char *word) {
    return at < s->count && strcmp(s->list[at], word) == 0;
}

/* ---- What is answered ---- */

static void send_nothing(request *r) {
    answer_static(r, 200, NULL, "", 0);
}

static void send_ready(request *r) {
    if (atomic_load(&r->server->draining)) {
        answer_error(r, 503, "the server is stopping");
    } else {
        send_nothing(r);
    }
}

static void send_server(request *r) {
    textbuf t = {0};
    text_put(&t,
             "{\"name\":\"tubelet\",\"version\":\"%s\",\"extensions\":[\"binary_tensor_data\","
             "\"classification\",\"model_repository\",\"tubelet_label\",\"tubelet_explanation\","
             "\"tubelet_timeline\"]}",
             tub_version());
    answer_text(r, 200, "application/json", &t);
}

static void send_model(request *r) {
    char versions[VERSIONS][SERVED_VERSION];
    const int n = registry_versions(r->server->models, r->model->name, versions, VERSIONS);
    textbuf t = {0};
    served_metadata(&t, r->model, r->view, versions, n);
    answer_text(r, 200, "application/json", &t);
}

static void put_model(void *user, served *s) {
    textbuf *t = user;
    for (int v = 0; v < VIEWS; v++) {
        char name[SERVED_NAME + 16];
        snprintf(name, sizeof name, "%s%s", s->name, served_suffix((served_view)v));
        text_put(t, t->size > 1 ? "," : "");
        text_put(t, "{\"name\":");
        text_json(t, name);
        text_put(t, ",\"version\":\"%s\",\"state\":\"READY\"}", s->version);
    }
}

static void send_index(request *r) {
    textbuf t = {0};
    text_put(&t, "[");
    registry_each(r->server->models, put_model, &t);
    text_put(&t, "]");
    answer_text(r, 200, "application/json", &t);
}

/* ---- Which path ---- */

enum { READS = 1, POSTS = 2 }; /* methods */

static void want(request *r, int methods, request_fn *handle) {
    static const char *const names[] = {NULL, "GET, HEAD", "POST", "GET, HEAD, POST"};
    const bool reads = strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0;
    const int method = reads ? READS : strcmp(r->method, "POST") == 0 ? POSTS : 0;
    if ((methods & method) == 0) {
        r->allow = names[methods];
        request_fail(r, 405, "method %.16s is not allowed here; allowed: %s", r->method, r->allow);
    }
    r->handle = handle;
}

/* /v2/models/NAME[/versions/VERSION], and from `at` on what is wanted of it. */
static bool find_model(request *r, const segments *s, int *at) {
    const char *name = s->list[2], *version = NULL;
    bool known;
    *at = 3;
    if (is(s, 3, "versions") && s->count > 4) {
        version = s->list[4];
        *at = 5;
    }
    snprintf(r->model_name, sizeof r->model_name, "%s", name);
    r->model = registry_find(r->server->models, name, version, &r->view, &known);
    if (r->model != NULL) {
        return true;
    }
    return known ? request_fail(r, 404, "Request for unknown model: '%s' version %s is not found",
                                name, version)
                 : request_fail(r, 404, "Request for unknown model: '%s' is not found", name);
}

static void route_model(request *r, const segments *s) {
    int at;
    if (!find_model(r, s, &at)) {
        return;
    }
    if (at == s->count) {
        want(r, READS, send_model);
    } else if (at + 1 == s->count && is(s, at, "ready")) {
        want(r, READS, send_ready);
    } else if (at + 1 == s->count && is(s, at, "infer")) {
        want(r, POSTS, infer_handle);
        r->infers = r->failure == 0;
    } else {
        request_fail(r, 404, "not found");
    }
}

static void route_protocol(request *r, const segments *s) {
    if (s->count == 1) {
        want(r, READS, send_server);
    } else if (is(s, 1, "models") && s->count > 2) {
        route_model(r, s);
    } else if (is(s, 1, "repository") && is(s, 2, "index") && s->count == 3) {
        want(r, READS | POSTS, send_index);
    } else {
        request_fail(r, 404, "not found");
    }
}

static void route_rest(request *r, const segments *s) {
    if (!request_authorised(r)) {
        return;
    }
    if (is(s, 0, "v2")) {
        route_protocol(r, s);
    } else if (is(s, 0, "metrics") && s->count == 1) {
        want(r, READS, metrics_answer);
    } else if (is(s, 0, "samples") && s->count <= 2) {
        if (samples_find(r, s->count == 2 ? s->list[1] : NULL)) {
            want(r, READS, samples_answer);
        }
    } else {
        request_fail(r, 404, "not found");
    }
}

/* Whether the server lives anybody may ask, and the page has no secrets. */
void route(request *r) {
    segments s;
    if (!take_apart(r->server->http->path(r->x), &s)) {
        request_fail(r, 404, "not found");
    } else if (is(&s, 0, "v2") && is(&s, 1, "health") && s.count == 3 && is(&s, 2, "live")) {
        want(r, READS, send_nothing);
    } else if (is(&s, 0, "v2") && is(&s, 1, "health") && s.count == 3 && is(&s, 2, "ready")) {
        want(r, READS, send_ready);
    } else if (s.count <= 1 && page_find(r, s.count == 0 ? "" : s.list[0])) {
        want(r, READS, page_answer);
    } else {
        route_rest(r, &s);
    }
}
