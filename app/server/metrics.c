/* SPDX-License-Identifier: Apache-2.0 */
/* What the server counts, as Prometheus reads it. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "server.h"

static const double bounds[LATENCIES] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                         0.25,  0.5,    1,     2.5,  5,     10,   30};

void metrics_note(server *s, const request *r, bool sent) {
    metrics *m = &s->metrics;
    if (r->status > 0 && r->status < STATUS_LIMIT) {
        atomic_fetch_add(&m->answers[r->status], 1);
    }
    if (!sent) {
        atomic_fetch_add(&m->lost, 1);
    }
    atomic_fetch_add(&m->received, (unsigned long long)r->received);
    atomic_fetch_add(&m->sent, r->sent);
    if (r->infers && r->status == 200) {
        const double seconds = clock_now() - r->began;
        int i = 0;
        while (i < LATENCIES && seconds > bounds[i]) {
            i++;
        }
        atomic_fetch_add(&m->latency[i], 1);
        atomic_fetch_add(&m->latency_nanoseconds, (unsigned long long)(seconds * 1e9));
    }
}

static void begin(textbuf *t, const char *name, const char *type, const char *help) {
    text_put(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_one(textbuf *t, const char *name, const char *type, const char *help,
                    double value) {
    begin(t, name, type, help);
    text_put(t, "%s %.17g\n", name, value);
}

static void put_answers(textbuf *t, metrics *m) {
    begin(t, "tubelet_http_answers_total", "counter", "Answers by their status.");
    for (int i = 0; i < STATUS_LIMIT; i++) {
        const unsigned long long n = atomic_load(&m->answers[i]);
        if (n > 0) {
            text_put(t, "tubelet_http_answers_total{status=\"%d\"} %llu\n", i, n);
        }
    }
}

static void put_latency(textbuf *t, metrics *m) {
    unsigned long long sum = 0;
    begin(t, "tubelet_infer_seconds", "histogram",
          "From the head of an infer request to its answer, of those that were answered with 200.");
    for (int i = 0; i < LATENCIES; i++) {
        sum += atomic_load(&m->latency[i]);
        text_put(t, "tubelet_infer_seconds_bucket{le=\"%g\"} %llu\n", bounds[i], sum);
    }
    sum += atomic_load(&m->latency[LATENCIES]);
    text_put(t, "tubelet_infer_seconds_bucket{le=\"+Inf\"} %llu\n", sum);
    text_put(t, "tubelet_infer_seconds_sum %.9f\ntubelet_infer_seconds_count %llu\n",
             (double)atomic_load(&m->latency_nanoseconds) * 1e-9, sum);
}

static void put_name(textbuf *t, const char *metric, const served *s) {
    text_put(t, "%s{model=\"", metric);
    text_label(t, s->name);
    text_put(t, "\",version=\"%s\"", s->version);
}

typedef struct model_line {
    textbuf *t;
    const char *metric;
    int what;
} model_line;

enum { REQUESTS, FAILURES, CLIPS, SECONDS, WAITING };

static void put_model(void *user, served *s) {
    const model_line *l = user;
    const double value = l->what == REQUESTS   ? (double)atomic_load(&s->requests)
                         : l->what == FAILURES ? (double)atomic_load(&s->failures)
                         : l->what == CLIPS    ? (double)atomic_load(&s->counts.clips)
                         : l->what == SECONDS  ? (double)atomic_load(&s->counts.nanoseconds) * 1e-9
                                               : (double)batcher_waiting(s->batcher);
    put_name(l->t, l->metric, s);
    text_put(l->t, "} %.17g\n", value);
}

static void put_batches(void *user, served *s) {
    const model_line *l = user;
    unsigned long long sum = 0;
    for (int i = 0; i < 9; i++) {
        char bound[24];
        snprintf(bound, sizeof bound, i < 8 ? "%d" : "+Inf", 1 << i);
        sum += atomic_load(&s->counts.sizes[i]);
        put_name(l->t, "tubelet_batch_clips_bucket", s);
        text_put(l->t, ",le=\"%s\"} %llu\n", bound, sum);
    }
    put_name(l->t, "tubelet_batch_clips_sum", s);
    text_put(l->t, "} %llu\n", atomic_load(&s->counts.clips));
    put_name(l->t, "tubelet_batch_clips_count", s);
    text_put(l->t, "} %llu\n", sum);
}

static void put_models(textbuf *t, registry *models) {
    static const struct {
        const char *name, *type, *help;
        int what;
    } lines[] = {
        {"tubelet_model_requests_total", "counter", "Infer requests.", REQUESTS},
        {"tubelet_model_failures_total", "counter", "Infer requests that failed.", FAILURES},
        {"tubelet_model_clips_total", "counter", "Clips that went through the model.", CLIPS},
        {"tubelet_model_seconds_total", "counter", "Time that the model worked.", SECONDS},
        {"tubelet_model_waiting_clips", "gauge", "Clips that wait for a batch.", WAITING}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        model_line line = {t, lines[i].name, lines[i].what};
        begin(t, lines[i].name, lines[i].type, lines[i].help);
        registry_each(models, put_model, &line);
    }
    model_line line = {t, NULL, 0};
    begin(t, "tubelet_batch_clips", "histogram", "Clips of a batch.");
    registry_each(models, put_batches, &line);
}

static double resident_bytes(void) {
    unsigned long long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f != NULL) {
        if (fscanf(f, "%llu %llu", &size, &resident) != 2) {
            resident = 0;
        }
        fclose(f);
    }
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static double processor_seconds(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static void put_process(textbuf *t, const server *s) {
    put_one(t, "process_cpu_seconds_total", "counter",
            "Processor time, without the processes that decode.", processor_seconds());
    put_one(t, "process_resident_memory_bytes", "gauge", "Memory in use.", resident_bytes());
    put_one(t, "process_start_time_seconds", "gauge", "Since 1970.", s->started_at);
}

void metrics_answer(request *r) {
    server *s = r->server;
    metrics *m = &s->metrics;
    textbuf t = {0};
    put_answers(&t, m);
    put_latency(&t, m);
    put_models(&t, s->models);
    put_one(&t, "tubelet_connections", "gauge", "Open connections.",
            (double)s->http->connections(s->listener));
    put_one(&t, "tubelet_working_requests", "gauge", "Infer requests at hand.",
            (double)atomic_load(&s->queued));
    put_one(&t, "tubelet_request_bytes", "gauge", "Bytes that requests keep.",
            (double)atomic_load(&s->memory));
    put_one(&t, "tubelet_queue_full_total", "counter", "Requests that the full queue refused.",
            (double)atomic_load(&m->full));
    put_one(&t, "tubelet_lost_connections_total", "counter",
            "Connections that ended within a request.", (double)atomic_load(&m->lost));
    put_one(&t, "tubelet_received_bytes_total", "counter", "Of bodies.",
            (double)atomic_load(&m->received));
    put_one(&t, "tubelet_sent_bytes_total", "counter", "Of bodies.", (double)atomic_load(&m->sent));
    put_one(&t, "tubelet_uploads_total", "counter", "Files that were decoded, or should have been.",
            (double)atomic_load(&m->uploads));
    put_one(&t, "tubelet_bad_uploads_total", "counter", "Those that could not be decoded.",
            (double)atomic_load(&m->bad_uploads));
    put_one(&t, "tubelet_reloads_total", "counter", "Models that were read again.",
            (double)registry_reloads(s->models));
    put_process(&t, s);
    answer_text(r, 200, "text/plain; version=0.0.4; charset=utf-8", &t);
}
