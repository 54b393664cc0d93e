/* SPDX-License-Identifier: Apache-2.0 */
/* The server's insides, shared by the files of this folder: what it is told, what it counts, and a request on
 * its way (docs/serving.md):
 *
 *   head -> route -> body, read as it comes -> checked -> [helper: decoded, resized] -> queue -> batch ->
 *   [helper: drawn] -> answer
 */
#ifndef APP_SERVER_SERVER_H
#define APP_SERVER_SERVER_H

#include "../clock.h"
#include "coding.h"
#include "helpers.h"
#include "http.h"
#include "oip.h"
#include "served.h"

typedef struct server_options {
    cli_common common;
    char **models;
    int model_count;
    const char *bind;
    int port;
    long max_batch, queue, max_clips, max_frames, helpers, connections, io_threads;
    double max_delay, timeout, idle, reload; /* seconds */
    size_t max_body, max_memory;             /* bytes */
    const char *token_file, *certificate_file, *key_file, *log_file;
    const char **frames; /* origins whose pages may show this one in a frame */
    int frame_count;
} server_options;

enum { STATUS_LIMIT = 600, LATENCIES = 14 };

typedef struct metrics {
    atomic_ullong answers[STATUS_LIMIT];  /* by status */
    atomic_ullong lost;                   /* connections that ended within a request */
    atomic_ullong latency[LATENCIES + 1]; /* of infer requests that were answered with 200 */
    atomic_ullong latency_nanoseconds;
    atomic_ullong received, sent; /* bytes of bodies */
    atomic_ullong uploads, bad_uploads;
    atomic_ullong full; /* refused because the queue was full */
} metrics;

typedef struct server {
    const server_options *options;
    const cli_command *command;
    const http_module *http;
    http_server *listener;
    registry *models;
    helpers *helpers;
    struct samples *samples;
    metrics metrics;
    char *token, *certificate, *key; /* texts of the files, or NULL */
    char *policy;                    /* of the page: policy.h */
    int log;                         /* descriptor of the access log; -1: none */
    double started, started_at;      /* by clock_now; seconds since 1970 */
    atomic_long queued;   /* infer requests that are not answered yet: what --queue limits */
    atomic_long working;  /* requests that another thread will answer */
    atomic_long open;     /* requests of any kind, until their answers are sent */
    atomic_ullong memory; /* bytes that requests keep: bodies, clips, maps, answers */
    atomic_bool draining; /* what begins from now on is refused */
    atomic_bool closed;   /* nothing is taken on any more, whenever it began */
} server;

/* An output as it goes into an answer. */
typedef struct out_tensor {
    const char *name, *datatype;
    int rank;
    int64_t shape[OIP_RANK];
    const void *data; /* little-endian, as in the binary form */
    size_t size;
    bool binary;
    void *owned; /* free() it; NULL: data lies elsewhere */
} out_tensor;

typedef struct request request;
/* Answers a request of a path; its body is whole. */
typedef void request_fn(request *r);

struct request {
    server *server;
    http_exchange *x;
    const char *method;
    double began; /* by clock_now */
    bool late;    /* the server was stopping already */
    request_fn *handle;
    const char *allow;       /* methods, of a path that was asked by another one */
    const struct page *page; /* of the page's files */
    int sample;              /* of the samples; -1: the list of all */
    int64_t received;        /* bytes of the body, as they came */
    size_t charged;          /* of the server's memory */
    int status;              /* of the answer; 0: none yet */
    size_t sent;
    /* What went wrong before the body was whole; it is answered when it is. */
    int failure;
    char sentence[TUB_ERROR_LENGTH];
    /* Of models. */
    served *model;
    served_view view;
    char model_name[SERVED_NAME + 16];
    /* Of infer requests. */
    bool infers;
    bool queued, works; /* counted so by the server */
    coding answer_coding;
    unpacker *unpacker;
    int64_t unpacked;
    oip_reader reader;
    batch_job job;
    helper_job help;
    tub_explain_options explain;
    bool wants_label, wants_map, wants_overlay, wants_frames, wants_windows;
    float *clips;          /* that were made here; NULL: they lie in the reader */
    unsigned char *levels; /* of the clips, for what is shown of them; NULL */
    double *windows;       /* [rows,2], or NULL */
    char damage
        [TUB_UPLOAD_DAMAGE_LENGTH]; /* of the first file of which something could not be decoded */
    float *results;                 /* logits, probabilities: [2,rows,K] */
    tub_explanation *maps;          /* [rows] */
    void **gifs;                    /* [rows], each to be freed */
    size_t *gif_sizes;
};

/* ---- answer.c ---- */
/* Sends bytes from malloc. */
void answer_bytes(request *r, int status, const char *type, void *bytes, size_t size);
/* Bytes that stay for ever. */
void answer_static(request *r, int status, const char *type, const void *bytes, size_t size);
void answer_text(request *r, int status, const char *type, textbuf *t); /* takes the text over */
/* {"error": sentence} */
void answer_error(request *r, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void answer_failure(request *r); /* what r->failure says */
/* The outputs of an infer request. */
void answer_outputs(request *r);
/* Remembers the first failure. */
bool request_fail(request *r, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The status that a library's error has for somebody who sent data. */
int status_of(tub_status status);

/* ---- infer.c ---- */
/* A whole request for a model; what was wrong with its body is in r->failure. */
void infer_handle(request *r);
void infer_free(request *r);
/* ---- infer_check.c ---- */
/* What was asked against what the model is: false, with r->failure. */
bool infer_check(request *r);
/* ---- infer_draw.c ---- */
bool infer_draw(request *r, tub_context *ctx, tub_error *err);

/* ---- routes.c ---- */
/* Sets r->handle, and r->failure where there is nothing to do. */
void route(request *r);
/* ---- pages.c ---- */
/* The page at / and its parts, for page_answer; false: no such path. */
bool page_find(request *r, const char *name);
void page_answer(request *r);
/* ---- samples.c ---- */
/* /samples, where number is NULL, and /samples/N, for samples_answer; false, with r->failure: there is no N. */
bool samples_find(request *r, const char *number);
void samples_answer(request *r);
/* ---- metrics.c ---- */
void metrics_answer(request *r);
void metrics_note(server *s, const request *r, bool sent);
/* ---- log.c ---- */
void log_request(server *s, const request *r, bool sent);
/* ---- http_open.c ---- */
/* mod-http, loaded for good; NULL: *err has the sentence. */
const http_module *http_open(tub_context *ctx, tub_error *err);
/* ---- listen.c ---- */
/* A listening socket; -1: `why` has the sentence. *port: that it got. */
int listen_at(const char *address, int *port, char *why, size_t room);
/* ---- serve.c ---- */
/* Serves until a signal ends it. */
int server_run(const cli_command *self, cli_work *work, const server_options *options);

/* ---- requests.c ---- */
/* Whether it may be answered at all: its token. */
bool request_authorised(request *r);
/* Another thread will answer it, which the server's end waits for; false, with r->failure: it is stopping. */
bool request_take_on(request *r);
/* Counts bytes that a request keeps; how many all keep now. */
unsigned long long request_hold(request *r, size_t size);
/* Counts bytes that a request is going to keep against what all may keep together; false, with r->failure: that is
 * more. */
bool request_charge(request *r, size_t size);
const http_events *request_events(void);

#endif
