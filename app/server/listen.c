/* SPDX-License-Identifier: Apache-2.0 */
/* A socket to listen at. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server.h"

enum { BACKLOG = 1024 };

static int open_one(const struct addrinfo *a) {
    const int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int on = 1;
    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        const int kept = errno;
        close(fd);
        errno = kept;
        return -1;
    }
    return fd;
}

static int port_of(int fd) {
    struct sockaddr_storage a;
    socklen_t size = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &size) != 0) {
        return -1;
    }
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                         : ((struct sockaddr_in *)&a)->sin_port);
}

int listen_at(const char *address, int *port, char *why, size_t room) {
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    char number[16];
    struct addrinfo *list;
    snprintf(number, sizeof number, "%d", *port);
    const int code = getaddrinfo(address, number, &hints, &list);
    if (code != 0) {
        snprintf(why, room, "--bind %s: %s; give an address, such as 127.0.0.1 or ::", address,
                 gai_strerror(code));
        return -1;
    }
    const int fd = open_one(list);
    if (fd < 0) {
        snprintf(why, room, "%s port %d: %s", address, *port, strerror(errno));
    } else {
        *port = port_of(fd);
    }
    freeaddrinfo(list);
    return fd;
}
