/* SPDX-License-Identifier: Apache-2.0 */
/* The access log: a line of JSON for each request. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "server.h"

static void put_time(textbuf *t) {
    struct timespec now;
    struct tm parts;
    char text[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    text_put(t, "{\"time\":\"%s.%03ldZ\"", text, now.tv_nsec / 1000000);
}

void log_request(server *s, const request *r, bool sent) {
    char client[64];
    textbuf t = {0};
    if (s->log < 0) {
        return;
    }
    s->http->client(r->x, client, sizeof client);
    put_time(&t);
    text_put(&t, ",\"client\":");
    text_json(&t, client);
    text_put(&t, ",\"method\":");
    text_json(&t, r->method);
    text_put(&t, ",\"path\":");
    text_json(&t, s->http->path(r->x));
    text_put(&t, ",\"status\":%d,\"received\":%lld,\"sent\":%zu,\"seconds\":%.6f", r->status,
             (long long)r->received, r->sent, clock_now() - r->began);
    if (!sent) {
        text_put(&t, ",\"lost\":true");
    }
    if (r->infers && r->model != NULL) {
        text_put(&t, ",\"model\":");
        text_json(&t, r->model_name);
        text_put(&t, ",\"version\":\"%s\",\"clips\":%lld", r->model->version,
                 (long long)r->job.rows);
        if (r->job.taken_at > 0) {
            text_put(&t, ",\"queued\":%.6f", r->job.taken_at - r->job.arrived);
        }
    }
    if (r->failure != 0) {
        text_put(&t, ",\"error\":");
        text_json(&t, r->sentence);
    }
    text_put(&t, "}\n");
    if (!t.failed && write(s->log, t.bytes, t.size) < 0) {
        /* A full disk must not stop the server. */
    }
    text_free(&t);
}
