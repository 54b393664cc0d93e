/* SPDX-License-Identifier: Apache-2.0 */
/* Load for a server: many connections that send levels of clips in binary, each answer compared with the one that
 * the same clip got when it was alone. Prints one line of JSON.
 *   load HOST PORT MODEL FRAMES HEIGHT WIDTH CHANNELS [OPTION...]
 *     connections=64 seconds=60 requests=0 rate=0 pid=0 idle=0 clips=16
 * rate: requests a second over all connections, at even distances; 0: each connection asks again as soon as it is
 * answered. requests: ends after so many. pid: of the server, whose processor time and memory are read. idle:
 * connections beside that say nothing. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER = 1 << 16, EVENTS = 256, CLIPS = 64, LATENCIES = 1 << 22 };

typedef struct connection {
    int fd, clip;
    bool busy;
    size_t sent, got;
    double asked; /* when it was due */
    char answer[ANSWER];
} connection;

static struct {
    const char *host, *model;
    int port;
    size_t clip_bytes;
    long connections, seconds, requests, rate, pid, idle, clips;
} o = {.connections = 64, .seconds = 60, .clips = 16};

static char *request[CLIPS], *reference[CLIPS];
static size_t request_size[CLIPS], reference_size[CLIPS];
static float latency[LATENCIES];
static long answers, wrong, refused, broken;

static void stop(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- What is asked ---- */

static void make_request(int i, const char *shape) {
    char json[512], head[512];
    const int n =
        snprintf(json, sizeof json,
                 "{\"inputs\":[{\"name\":\"clip\",\"shape\":[1,%s],\"datatype\":\"UINT8\","
                 "\"parameters\":{\"binary_data_size\":%zu}}],\"outputs\":[{\"name\":"
                 "\"logits\",\"parameters\":{\"binary_data\":true}}]}",
                 shape, o.clip_bytes);
    const int m =
        snprintf(head, sizeof head,
                 "POST /v2/models/%s/infer HTTP/1.1\r\nHost: %s\r\nContent-Length: %zu\r\n"
                 "Inference-Header-Content-Length: %d\r\n\r\n",
                 o.model, o.host, (size_t)n + o.clip_bytes, n);
    request_size[i] = (size_t)(m + n) + o.clip_bytes;
    request[i] = malloc(request_size[i]);
    if (request[i] == NULL) {
        stop("malloc");
    }
    memcpy(request[i], head, (size_t)m);
    memcpy(request[i] + m, json, (size_t)n);
    uint64_t state = (uint64_t)i * 0x9e3779b97f4a7c15u + 1;
    for (size_t k = 0; k < o.clip_bytes; k++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        request[i][(size_t)(m + n) + k] = (char)(state >> 56);
    }
}

static int dial(void) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o.port)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    inet_pton(AF_INET, o.host, &to.sin_addr);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        stop("connect");
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

/* Bytes of a whole answer; 0: it is not whole yet. */
static size_t whole(const char *answer, size_t got) {
    const char *end = memmem(answer, got, "\r\n\r\n", 4);
    const char *length =
        end != NULL ? memmem(answer, (size_t)(end - answer), "Content-Length: ", 16) : NULL;
    /* "Inference-Header-Content-Length: " ends in the same way. */
    while (length != NULL && length > answer && length[-1] != '\n') {
        length = memmem(length + 1, (size_t)(end - length), "Content-Length: ", 16);
    }
    if (length == NULL) {
        return 0;
    }
    const size_t size = (size_t)(end - answer) + 4 + strtoul(length + 16, NULL, 10);
    return got >= size ? size : 0;
}

static const char *body_of(const char *answer, size_t got) {
    return (const char *)memmem(answer, got, "\r\n\r\n", 4) + 4;
}

/* One after the other, nobody else there: what is right. */
static void take_references(void) {
    static char answer[ANSWER];
    const int fd = dial();
    for (int i = 0; i < o.clips; i++) {
        size_t got = 0;
        if (write(fd, request[i], request_size[i]) != (ssize_t)request_size[i]) {
            stop("write");
        }
        while (whole(answer, got) == 0) {
            const ssize_t n = read(fd, answer + got, ANSWER - got);
            if (n <= 0) {
                stop("read");
            }
            got += (size_t)n;
        }
        if (strncmp(answer, "HTTP/1.1 200", 12) != 0) {
            fprintf(stderr, "load: %.*s\n", (int)got, answer);
            exit(1);
        }
        const char *body = body_of(answer, got);
        reference_size[i] = got - (size_t)(body - answer);
        reference[i] = malloc(reference_size[i]);
        memcpy(reference[i], body, reference_size[i]);
    }
    close(fd);
}

/* ---- The server's account ---- */

static double processor_seconds(void) {
    char path[64], text[1024];
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%ld/stat", o.pid);
    FILE *f = fopen(path, "r");
    if (f == NULL || fgets(text, sizeof text, f) == NULL) {
        stop(path);
    }
    fclose(f);
    const char *at = strrchr(text, ')');
    sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double resident_mib(void) {
    char path[64];
    unsigned long size = 0, resident = 0;
    snprintf(path, sizeof path, "/proc/%ld/statm", o.pid);
    FILE *f = fopen(path, "r");
    if (f == NULL || fscanf(f, "%lu %lu", &size, &resident) != 2) {
        stop(path);
    }
    fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1048576;
}

/* ---- Asking ---- */

static void ask(connection *c, double due) {
    static int next;
    c->clip = next++ % (int)o.clips;
    c->busy = true;
    c->sent = c->got = 0;
    c->asked = due;
}

static void go_on_sending(connection *c) {
    while (c->busy && c->sent < request_size[c->clip]) {
        const ssize_t n = send(c->fd, request[c->clip] + c->sent, request_size[c->clip] - c->sent,
                               MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n <= 0) {
            return;
        }
        c->sent += (size_t)n;
    }
}

static void judge(connection *c, size_t size) {
    const char *body = body_of(c->answer, size);
    const size_t bytes = size - (size_t)(body - c->answer);
    c->busy = false;
    if (strncmp(c->answer, "HTTP/1.1 503", 12) == 0) {
        refused++;
    } else if (bytes != reference_size[c->clip] || memcmp(body, reference[c->clip], bytes) != 0) {
        wrong++;
    } else {
        latency[answers % LATENCIES] = (float)(now() - c->asked);
        answers++;
    }
}

static void take(connection *c) {
    const ssize_t n = recv(c->fd, c->answer + c->got, ANSWER - c->got, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        broken++;
        c->busy = false;
        close(c->fd);
        c->fd = -1;
        return;
    }
    c->got += n > 0 ? (size_t)n : 0;
    const size_t size = whole(c->answer, c->got);
    if (size > 0) {
        judge(c, size);
    }
}

static int by_value(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void report(double seconds, double processor, double before, double after) {
    const long n = answers < LATENCIES ? answers : LATENCIES;
    qsort(latency, (size_t)n, sizeof *latency, by_value);
#define AT(p) (n > 0 ? (double)latency[(long)((double)(n - 1) * (p))] * 1e3 : 0)
    printf("{\"answers\":%ld,\"wrong\":%ld,\"refused\":%ld,\"broken\":%ld,\"seconds\":%.3f,"
           "\"per_second\":%.2f,\"processor_seconds\":%.2f,\"per_processor_second\":%.2f,\"p50\":"
           "%.3f,\"p90\":%.3f,\"p99\":%.3f,\"max\":%.3f,\"mib_before\":%.1f,\"mib_after\":%.1f}\n",
           answers, wrong, refused, broken, seconds, (double)answers / seconds, processor,
           processor > 0 ? (double)answers / processor : 0, AT(0.5), AT(0.9), AT(0.99), AT(1.0),
           before, after);
}

/* Due requests go to connections that are free. */
static void begin_due(connection *list, double start, long *begun) {
    for (long i = 0; i < o.connections; i++) {
        connection *c = &list[i];
        const double due = o.rate > 0 ? start + (double)*begun / (double)o.rate : now();
        if (o.requests > 0 && *begun >= o.requests) {
            return;
        }
        if (c->fd >= 0 && !c->busy && due <= now()) {
            ask(c, due);
            go_on_sending(c);
            (*begun)++;
        }
    }
}

static long busy_of(const connection *list) {
    long n = 0;
    for (long i = 0; i < o.connections; i++) {
        n += list[i].busy;
    }
    return n;
}

static void run(void) {
    connection *list = calloc((size_t)o.connections, sizeof *list);
    const int poll = epoll_create1(0);
    struct epoll_event events[EVENTS];
    long begun = 0;
    for (long i = 0; i < o.idle; i++) {
        (void)dial();
    }
    for (long i = 0; i < o.connections; i++) {
        struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
        list[i].fd = dial();
        e.data.ptr = &list[i];
        epoll_ctl(poll, EPOLL_CTL_ADD, list[i].fd, &e);
    }
    const double before = o.pid > 0 ? resident_mib() : 0, cpu = o.pid > 0 ? processor_seconds() : 0;
    const double start = now();
    bool going = true;
    while (going || busy_of(list) > 0) {
        going =
            going && now() < start + (double)o.seconds && (o.requests == 0 || begun < o.requests);
        if (going) {
            begin_due(list, start, &begun);
        }
        const int n = epoll_wait(poll, events, EVENTS, 1);
        for (int i = 0; i < n; i++) {
            connection *c = events[i].data.ptr;
            go_on_sending(c);
            if ((events[i].events & (EPOLLIN | EPOLLHUP)) && c->fd >= 0) {
                take(c);
            }
        }
    }
    const double seconds = now() - start;
    report(seconds, o.pid > 0 ? processor_seconds() - cpu : 0, before,
           o.pid > 0 ? resident_mib() : 0);
    free(list);
}

static void parse(int argc, char **argv) {
    static const struct {
        const char *name;
        long *value;
    } words[] = {{"connections", &o.connections},
                 {"seconds", &o.seconds},
                 {"requests", &o.requests},
                 {"rate", &o.rate},
                 {"pid", &o.pid},
                 {"idle", &o.idle},
                 {"clips", &o.clips}};
    for (int i = 8; i < argc; i++) {
        const char *equal = strchr(argv[i], '=');
        bool known = false;
        for (size_t k = 0; equal != NULL && k < sizeof words / sizeof *words; k++) {
            if (strncmp(argv[i], words[k].name, (size_t)(equal - argv[i])) == 0) {
                *words[k].value = strtol(equal + 1, NULL, 10);
                known = true;
            }
        }
        if (!known) {
            fprintf(stderr, "load: what is '%s'?\n", argv[i]);
            exit(2);
        }
    }
}

int main(int argc, char **argv) {
    struct rlimit files;
    char shape[128];
    if (argc < 8) {
        fputs("load HOST PORT MODEL FRAMES HEIGHT WIDTH CHANNELS [OPTION...]\n", stderr);
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    o.host = argv[1];
    o.port = atoi(argv[2]);
    o.model = argv[3];
    o.clip_bytes = (size_t)atol(argv[4]) * (size_t)atol(argv[5]) * (size_t)atol(argv[6]) *
                   (size_t)atol(argv[7]);
    snprintf(shape, sizeof shape, "%s,%s,%s,%s", argv[4], argv[5], argv[6], argv[7]);
    parse(argc, argv);
    for (int i = 0; i < o.clips && i < CLIPS; i++) {
        make_request(i, shape);
    }
    take_references();
    run();
    return wrong > 0 || broken > 0 ? 1 : 0;
}
