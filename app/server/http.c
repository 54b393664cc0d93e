/* SPDX-License-Identifier: Apache-2.0 */
/* mod-http: requests and answers by libmicrohttpd. A connection that waits for its answer is suspended, so
 * that a few threads serve them all. */
#include "http.h"

#include "front.h"
#include "idle.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { CONNECTION_MEMORY = 32 << 10, HEADER_ROOM = 256 };

struct http_server {
    struct MHD_Daemon *daemon;
    http_events events;
    void *user;
    front *front;
    idle_list *idle;
    bool quiet; /* front has stopped */
    bool sealed;
};

struct http_exchange {
    http_server *server;
    struct MHD_Connection *connection;
    const char *method, *path;
    void *request;
    long long left; /* bytes of the body, where their number is known */
    pthread_mutex_t lock;
    bool suspended, answered, queued, seen_end;
    int status;
    struct MHD_Response *response;
};

/* ---- What is asked ---- */

static const char *method_of(const http_exchange *x) {
    return x->method;
}

static const char *path_of(const http_exchange *x) {
    return x->path;
}

static const char *header_of(const http_exchange *x, const char *name) {
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

typedef struct header_count {
    const char *name;
    int count;
} header_count;

static enum MHD_Result count_header(void *user, enum MHD_ValueKind kind, const char *key,
                                    const char *value) {
    header_count *c = user;
    (void)kind;
    (void)value;
    c->count += strcasecmp(key, c->name) == 0;
    return MHD_YES;
}

static int headers_of(const http_exchange *x, const char *name) {
    header_count c = {name, 0};
    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, count_header, &c);
    return c.count;
}

static void client_of(const http_exchange *x, char *out, size_t room) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info != NULL ? info->client_addr : NULL;
    out[0] = '\0';
    if (address != NULL && address->sa_family == AF_INET) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, out, (socklen_t)room);
    } else if (address != NULL && address->sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, out,
                  (socklen_t)room);
    }
}

/* ---- The answer ---- */

static struct MHD_Response *make_response(const http_answer *a) {
    struct MHD_Response *r =
        a->release != NULL
            ? MHD_create_response_from_buffer_with_free_callback(a->size, a->body, a->release)
            : MHD_create_response_from_buffer(a->size, a->body, MHD_RESPMEM_PERSISTENT);
    if (r == NULL) {
        if (a->release != NULL) {
            a->release(a->body);
        }
        return NULL;
    }
    if (a->type != NULL) {
        MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, a->type);
    }
    for (size_t i = 0; a->headers != NULL && a->headers[i] != NULL; i += 2) {
        MHD_add_response_header(r, a->headers[i], a->headers[i + 1]);
    }
    if (a->close) {
        MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
    }
    return r;
}

static void answer(http_exchange *x, const http_answer *a) {
    struct MHD_Response *made = make_response(a);
    pthread_mutex_lock(&x->lock);
    x->response = made;
    x->status = a->status;
    x->answered = true;
    if (x->suspended) {
        x->suspended = false;
        MHD_resume_connection(x->connection);
    }
    pthread_mutex_unlock(&x->lock);
}

/* Hands the answer over; without memory for one the connection is closed. */
static enum MHD_Result queue(http_exchange *x) {
    x->queued = true;
    if (x->response == NULL) {
        return MHD_NO;
    }
    const enum MHD_Result result =
        MHD_queue_response(x->connection, (unsigned)x->status, x->response);
    MHD_destroy_response(x->response);
    x->response = NULL;
    return result;
}

/* ---- What comes ---- */

/* Whether the other end is gone with the body not whole. libmicrohttpd does not see it where the end came
 * together with the last bytes that were read. */
static bool is_cut(const http_exchange *x) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    char byte;
    return !x->server->sealed && info != NULL &&
           recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* What is kept of a connection. */
static idle_one *idle_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

static void connected(void *user, struct MHD_Connection *connection, void **kept,
                      enum MHD_ConnectionNotificationCode what) {
    http_server *s = user;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *kept = info != NULL ? idle_add(s->idle, info->connect_fd) : NULL;
    } else {
        idle_remove(s->idle, *kept);
    }
}

static enum MHD_Result begin(http_server *server, struct MHD_Connection *connection,
                             const char *path, const char *method, void **slot) {
    http_exchange *x = calloc(1, sizeof *x);
    idle_leave(server->idle, idle_of(connection));
    if (x == NULL) {
        return MHD_NO;
    }
    *x =
        (http_exchange){.server = server, .connection = connection, .method = method, .path = path};
    pthread_mutex_init(&x->lock, NULL);
    *slot = x;
    x->request = server->events.begin(server->user, x);
    if (x->answered) {
        return queue(x);
    }
    const char *length = header_of(x, MHD_HTTP_HEADER_CONTENT_LENGTH);
    x->left = length != NULL ? strtoll(length, NULL, 10) : 0;
    return x->request != NULL ? MHD_YES : MHD_NO;
}

/* All of the body is there, or a suspended connection goes on. */
static enum MHD_Result end_or_go_on(http_exchange *x) {
    if (!x->seen_end) {
        x->seen_end = true;
        x->server->events.end(x->request);
    }
    pthread_mutex_lock(&x->lock);
    const bool answered = x->answered;
    if (!answered && !x->suspended) {
        x->suspended = true;
        MHD_suspend_connection(x->connection);
    }
    pthread_mutex_unlock(&x->lock);
    return answered ? queue(x) : MHD_YES;
}

static enum MHD_Result handle(void *user, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **slot) {
    http_exchange *x = *slot;
    (void)version;
    if (x == NULL) {
        return begin(user, connection, path, method, slot);
    }
    if (*size > 0) {
        const bool go_on = x->queued || x->server->events.body(x->request, data, *size);
        x->left -= (long long)*size;
        *size = 0;
        return go_on && (x->left <= 0 || !is_cut(x)) ? MHD_YES : MHD_NO;
    }
    return x->queued ? MHD_YES : end_or_go_on(x);
}

static void completed(void *user, struct MHD_Connection *connection, void **slot,
                      enum MHD_RequestTerminationCode how) {
    http_server *s = user;
    http_exchange *x = *slot;
    idle_return(s->idle, idle_of(connection));
    if (x == NULL) {
        return;
    }
    if (x->request != NULL) {
        x->server->events.done(x->request, how == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    }
    pthread_mutex_lock(&x->lock); /* whoever has answered is out of it */
    pthread_mutex_unlock(&x->lock);
    if (x->response != NULL) {
        MHD_destroy_response(x->response);
    }
    pthread_mutex_destroy(&x->lock);
    free(x);
    *slot = NULL;
}

/* Percent-encoding stays: a name may have a slash in it. */
static size_t keep_path(void *user, struct MHD_Connection *connection, char *text) {
    (void)user;
    (void)connection;
    return strlen(text);
}

/* ---- The server ---- */

static void take(void *user, int fd, const struct sockaddr *address, socklen_t size) {
    http_server *s = user;
    (void)MHD_add_connection(s->daemon, fd, address, size); /* closes it where it fails */
}

static void tick(void *user) {
    const http_server *s = user;
    idle_sweep(s->idle);
}

static unsigned handed_on(void *user) {
    const http_server *s = user;
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    return info != NULL ? info->num_connections : 0;
}

static struct MHD_Daemon *start_daemon(http_server *s, const http_options *o) {
    const unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
                           MHD_USE_NO_LISTEN_SOCKET | (s->sealed ? MHD_USE_TLS : 0);
    struct MHD_OptionItem items[] = {
        {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)o->connections, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)o->idle_seconds, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, NULL},
        {MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)keep_path, NULL},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)completed, s},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)connected, s},
        {o->threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, o->threads, NULL},
        {MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)o->certificate},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)o->key},
        {MHD_OPTION_END, 0, NULL}};
    return MHD_start_daemon(flags, 0, NULL, NULL, handle, s, MHD_OPTION_ARRAY, items,
                            s->sealed ? MHD_OPTION_ARRAY : MHD_OPTION_END, tls, MHD_OPTION_END);
}

static bool start(const http_options *o, const http_events *events, void *user, http_server **out,
                  char *why, size_t room) {
    http_server *s = calloc(1, sizeof *s);
    if (s == NULL) {
        snprintf(why, room, "out of memory");
        return false;
    }
    s->events = *events;
    s->user = user;
    s->sealed = o->certificate != NULL;
    s->idle = idle_create(o->idle_seconds);
    s->daemon = s->idle != NULL ? start_daemon(s, o) : NULL;
    const front_options before = {.socket = o->socket,
                                  .sealed = s->sealed,
                                  .seconds = o->idle_seconds,
                                  .others = handed_on,
                                  .most = o->connections,
                                  .take = take,
                                  .tick = tick,
                                  .user = s};
    *out = s; /* before somebody asks through it */
    if (s->daemon == NULL || !front_start(&before, &s->front)) {
        *out = NULL;
        snprintf(why, room, "%s",
                 s->sealed && s->daemon == NULL
                     ? "the certificate or its key is not what TLS can use"
                     : "the system refused to start the server's threads");
        if (s->daemon != NULL) {
            MHD_stop_daemon(s->daemon);
        }
        idle_destroy(s->idle);
        free(s);
        return false;
    }
    return true;
}

static void quiesce(http_server *s) {
    front_stop(s->front);
    s->quiet = true;
}

static void stop(http_server *s) {
    if (!s->quiet) {
        front_stop(s->front);
    }
    MHD_stop_daemon(s->daemon);
    front_free(s->front);
    idle_destroy(s->idle);
    free(s);
}

static unsigned connections(http_server *s) {
    return handed_on(s) + front_waiting(s->front);
}

/* Looked up by name when the module is opened. */
extern __attribute__((visibility("default"))) const http_module http_module_table;
const http_module http_module_table = {.version = HTTP_MODULE_VERSION,
                                       .start = start,
                                       .quiesce = quiesce,
                                       .stop = stop,
                                       .connections = connections,
                                       .method = method_of,
                                       .path = path_of,
                                       .header = header_of,
                                       .count_headers = headers_of,
                                       .client = client_of,
                                       .answer = answer};
