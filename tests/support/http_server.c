/* SPDX-License-Identifier: Apache-2.0 */
/* One thread, one connection at a time, one request a connection: enough for a downloader's tests.
 */
#include "http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct http_server {
    char folder[512];
    char url[64];
    int socket;
    pthread_t thread;
    pthread_mutex_t lock;
    http_behaviour how; /* this and all below under the lock */
    int requests;
    long last_offset;
};

/* False when the client is gone. */
static bool send_all(int fd, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t n = send(fd, bytes, size, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        bytes += n;
        size -= (size_t)n;
    }
    return true;
}

/* Reads up to the empty line. */
static bool read_request(int fd, char *request, size_t size) {
    size_t used = 0;
    while (used + 1 < size) {
        ssize_t n = recv(fd, request + used, size - 1 - used, 0);
        if (n <= 0) {
            return false;
        }
        used += (size_t)n;
        request[used] = '\0';
        if (strstr(request, "\r\n\r\n")) {
            return true;
        }
    }
    return false;
}

static void answer_status(int fd, int status) {
    char head[256];
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %d Test\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsorry\n",
                     status);
    send_all(fd, head, (size_t)n);
}

/* Lines that a hub adds for a file. */
static void hub_lines(char *out, size_t room, const char *commit, const char *name) {
    const char *slash = strrchr(name, '/');
    out[0] = '\0';
    if (commit) {
        snprintf(out, room, "X-Repo-Commit: %s\r\nETag: \"%s\"\r\n", commit,
                 slash ? slash + 1 : name);
    }
}

/* Sends the file from `offset` on (206 when a range was asked for), at most `most` bytes of it; none for
 * HEAD. more: lines of the head. */
static void answer_file(int fd, FILE *file, long offset, bool ranged, long most, const char *more) {
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    if (ranged && offset >= size) {
        answer_status(fd, 416);
        return;
    }
    char head[800];
    int n = ranged ? snprintf(head, sizeof head,
                              "HTTP/1.1 206 Partial Content\r\nContent-Length: %ld\r\n"
                              "Content-Range: bytes %ld-%ld/%ld\r\n%sConnection: close\r\n\r\n",
                              size - offset, offset, size - 1, size, more)
                   : snprintf(head, sizeof head,
                              "HTTP/1.1 200 OK\r\nContent-Length: %ld\r\n%sConnection: "
                              "close\r\n\r\n",
                              size, more);
    bool alive = send_all(fd, head, (size_t)n);
    fseek(file, offset, SEEK_SET);
    char buffer[4096];
    for (long left = most < size - offset ? most : size - offset; alive && left > 0;) {
        size_t want = left < (long)sizeof buffer ? (size_t)left : sizeof buffer;
        size_t got = fread(buffer, 1, want, file);
        alive = got > 0 && send_all(fd, buffer, got);
        left -= (long)got;
    }
}

/* What to do with this request, after the rules; counts it. */
static http_behaviour note_request(http_server *s, long offset) {
    pthread_mutex_lock(&s->lock);
    http_behaviour how = s->how;
    s->requests++;
    s->last_offset = offset;
    if (s->how.drop_after && s->how.drops > 0 && --s->how.drops == 0) {
        s->how.drop_after = 0;
    }
    pthread_mutex_unlock(&s->lock);
    return how;
}

static void serve(http_server *s, int fd) {
    char request[4096], name[256], path[1024], more[400];
    if (!read_request(fd, request, sizeof request) ||
        (sscanf(request, "GET /%255[^ ?]", name) != 1 &&
         sscanf(request, "HEAD /%255[^ ?]", name) != 1)) {
        return;
    }
    const char *range = strcasestr(request, "\r\nRange: bytes=");
    long offset = range ? atol(range + strlen("\r\nRange: bytes=")) : 0;
    http_behaviour how = note_request(s, offset);
    if (how.status) {
        answer_status(fd, how.status);
        return;
    }
    snprintf(path, sizeof path, "%s/%s", s->folder, name);
    FILE *file = strstr(name, "..") ? NULL : fopen(path, "rb");
    if (!file) {
        answer_status(fd, 404);
        return;
    }
    bool ranged = range && !how.ignore_range, head = request[0] == 'H';
    hub_lines(more, sizeof more, how.commit, name);
    answer_file(fd, file, ranged ? offset : 0, ranged,
                head             ? 0
                : how.drop_after ? how.drop_after
                                 : 1L << 40,
                more);
    fclose(file);
}

static void *run(void *argument) {
    http_server *s = argument;
    for (;;) {
        int fd = accept(s->socket, NULL, NULL);
        if (fd < 0) {
            return NULL; /* the socket was shut down */
        }
        serve(s, fd);
        close(fd);
    }
}

http_server *http_server_start(const char *folder) {
    http_server *s = calloc(1, sizeof *s);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (!s) {
        return NULL;
    }
    snprintf(s->folder, sizeof s->folder, "%s", folder);
    pthread_mutex_init(&s->lock, NULL);
    s->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->socket < 0 || bind(s->socket, (struct sockaddr *)&address, length) < 0 ||
        listen(s->socket, 8) < 0 ||
        getsockname(s->socket, (struct sockaddr *)&address, &length) < 0 ||
        pthread_create(&s->thread, NULL, run, s) != 0) {
        if (s->socket >= 0) {
            close(s->socket);
        }
        free(s);
        return NULL;
    }
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    return s;
}

void http_server_stop(http_server *server) {
    if (!server) {
        return;
    }
    shutdown(server->socket, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->socket);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

const char *http_server_url(const http_server *server) {
    return server->url;
}

void http_server_behave(http_server *server, http_behaviour how) {
    pthread_mutex_lock(&server->lock);
    server->how = how;
    pthread_mutex_unlock(&server->lock);
}

int http_server_requests(http_server *server) {
    pthread_mutex_lock(&server->lock);
    int n = server->requests;
    pthread_mutex_unlock(&server->lock);
    return n;
}

long http_server_last_offset(http_server *server) {
    pthread_mutex_lock(&server->lock);
    long offset = server->last_offset;
    pthread_mutex_unlock(&server->lock);
    return offset;
}
