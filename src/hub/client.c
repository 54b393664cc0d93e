/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to a hub: the token goes to the hub alone, redirects are followed by hand, a busy
 * server is given time. */
#include "hub/client.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"

enum { HOPS = 10, TRIES = 5, LONGEST_WAIT = 300 };

tub_status tub__hub_open(tub_context *ctx, const char *name, tub__hub *out, tub_error *err) {
    *out = (tub__hub){.ctx = ctx};
    TUB__TRY(tub__hub_name_parse(name, &out->name, err));
    snprintf(out->title, sizeof out->title, "hf:%s", out->name.id);
    return tub__hub_env_read(ctx, &out->env, err);
}

void tub__hub_close(tub__hub *hub) {
    if (hub->env.allocator != NULL) {
        tub__hub_env_free(&hub->env);
    }
}

tub_status tub__hub_connect(tub__hub *hub, tub_error *err) {
    const void *net, *hash;
    if (hub->env.offline) {
        return tub__fail(err, TUB_E_NOT_FOUND, "%s: HF_HUB_OFFLINE is set, so that nobody is asked",
                         hub->title);
    }
    TUB__TRY(tub__module_open(hub->ctx, "net", &net, err));
    TUB__TRY(tub__module_open(hub->ctx, "hash", &hash, err));
    hub->net = net;
    hub->hash = hash;
    return TUB_OK;
}

tub_status tub__hub_url(const tub__hub *hub, char **out, tub_error *err, const char *format, ...) {
    const size_t host = strlen(hub->env.endpoint) + 1;
    va_list arguments, again;
    void *url = NULL;
    va_start(arguments, format);
    va_copy(again, arguments);
    const size_t path = (size_t)vsnprintf(NULL, 0, format, arguments);
    const tub_status status = tub__alloc(&hub->ctx->allocator, host + path + 1, &url, err);
    if (status == TUB_OK) {
        snprintf(url, host + 1, "%s/", hub->env.endpoint);
        vsnprintf((char *)url + host, path + 1, format, again);
        *out = url;
    }
    va_end(again);
    va_end(arguments);
    return status;
}

tub_status tub__hub_own_url(const tub__hub *hub, const char *url, char **out, tub_error *err) {
    static const char public[] = "https://huggingface.co";
    const size_t n = sizeof public - 1;
    return strncmp(url, public, n) == 0 && (url[n] == '/' || url[n] == '\0')
               ? tub__hub_url(hub, out, err, "%s", url[n] == '/' ? url + n + 1 : "")
               : tub__alloc_string(&hub->ctx->allocator, url, out, err);
}

void tub__hub_quote(const char *revision, char out[3 * TUB__HUB_REVISION_LIMIT + 1]) {
    for (const char *c = revision; *c != '\0'; c++) {
        out += snprintf(out, 4, *c == '/' ? "%%2F" : "%c", *c);
    }
    *out = '\0';
}

bool tub__hub_header(const tub__net_answer *answer, const char *name, char *out, size_t room) {
    const size_t length = strlen(name);
    for (const char *line = answer->headers; *line != '\0';) {
        const size_t n = strcspn(line, "\n");
        if (n > length && line[length] == ':' && strncasecmp(line, name, length) == 0) {
            const char *value = line + length + 1;
            value += strspn(value, " \t");
            const size_t size = (size_t)(line + n - value);
            if (size == 0 || size >= room) {
                return false;
            }
            memcpy(out, value, size);
            out[size] = '\0';
            return true;
        }
        line += n + (line[n] == '\n');
    }
    return false;
}

int tub__hub_progress(void *user, unsigned long long done, unsigned long long total) {
    const tub__hub *hub = user;
    if (hub->moving != NULL) {
        tub_event event = {.kind = TUB_EVENT_DOWNLOAD,
                           .message = hub->moving,
                           .done = hub->base + done,
                           .total = hub->whole > 0 ? hub->whole : total};
        tub__emit(hub->ctx, &event);
    }
    return hub->ctx->stop;
}

/* The public hub, which has two names. */
static bool is_public(const tub__hub *hub, const char *url) {
    return hub->net->same_origin(url, "https://huggingface.co") ||
           hub->net->same_origin(url, "https://hf.co");
}

/* A hub: that one, or the public one, which mirrors lead on to. */
static bool is_hub(const tub__hub *hub, const char *url) {
    return hub->net->same_origin(url, hub->env.endpoint) || is_public(hub, url);
}

/* Whom the token is for: a mirror's is none of the public hub's. */
static bool may_have_token(const tub__hub *hub, const char *url) {
    return hub->net->same_origin(url, hub->env.endpoint) ||
           (is_public(hub, hub->env.endpoint) && is_public(hub, url));
}

static bool is_busy(int status) {
    return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
           status == 504;
}

/* Seconds that a busy server asks for; -1: it does not say. */
static long asked_wait(const tub__net_answer *answer) {
    char value[200];
    long seconds = -1, left = -1;
    if (tub__hub_header(answer, "RateLimit", value, sizeof value) && answer->status == 429) {
        const char *rest = strstr(value, "r="), *reset = strstr(value, "t=");
        if (rest != NULL && reset != NULL && sscanf(rest, "r=%ld", &left) == 1 && left == 0 &&
            sscanf(reset, "t=%ld", &seconds) == 1) {
            return seconds;
        }
    }
    return tub__hub_header(answer, "Retry-After", value, sizeof value) &&
                   sscanf(value, "%ld", &seconds) == 1
               ? seconds
               : -1;
}

bool tub__hub_pause(const tub__hub *hub, long seconds) {
    const struct timespec slice = {.tv_nsec = 100 * 1000 * 1000};
    for (long i = 0; i < 10 * seconds && !hub->ctx->stop; i++) {
        nanosleep(&slice, NULL);
    }
    return !hub->ctx->stop;
}

/* Whether to ask again, after the wait; *tried counts. */
static bool again(const tub__hub *hub, const tub__net_answer *answer, int *tried) {
    const long asked = answer != NULL ? asked_wait(answer) : -1;
    const long wait = asked >= 0 ? asked : 1L << *tried;
    if (++*tried >= TRIES || wait > LONGEST_WAIT) {
        return false;
    }
    if (answer != NULL) {
        tub__log_line(hub->ctx, TUB_LOG_INFO, "%s: the hub is busy (%d); asking again in %ld s",
                      hub->title, answer->status, wait);
    } else {
        tub__log_line(hub->ctx, TUB_LOG_INFO, "%s: the connection broke; trying again in %ld s",
                      hub->title, wait);
    }
    return tub__hub_pause(hub, wait);
}

/* Whether asking again can do no harm: what a server that failed did with a request is not
 * known. */
static bool may_repeat(const tub__net_request *r, unsigned flags, int status) {
    return (flags & TUB__HUB_PATIENT) != 0 || strcmp(r->method, "POST") != 0 || status == 429;
}

static tub_status ask_patiently(tub__hub *hub, const tub__net_request *r, unsigned flags,
                                tub__net_answer *out, tub_error *err) {
    for (int tried = 0;;) {
        const tub_status status = hub->net->ask(r, out, err);
        if (status == TUB_E_NETWORK && (flags & TUB__HUB_PATIENT) != 0 &&
            again(hub, NULL, &tried)) {
            continue;
        }
        if (status != TUB_OK || !is_busy(out->status) || !may_repeat(r, flags, out->status) ||
            !again(hub, out, &tried)) {
            return status;
        }
        hub->net->release(out);
    }
}

/* Whether the answer leads to an address that is to be asked instead. */
static bool leads_on(const tub__hub *hub, const tub__net_request *r, unsigned flags,
                     const tub__net_answer *answer) {
    const bool keeps = answer->status == 307 || answer->status == 308;
    const bool reads = strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0;
    return answer->location != NULL && (reads || keeps) &&
           ((flags & TUB__HUB_STAY) == 0 || is_hub(hub, answer->location));
}

tub_status tub__hub_ask(tub__hub *hub, const char *url, tub__net_request r, unsigned flags,
                        tub__net_answer *out, tub_error *err) {
    const tub_allocator *a = &hub->ctx->allocator;
    char *address;
    TUB__TRY(tub__alloc_string(a, url, &address, err));
    tub_status status = TUB_OK;
    for (int hop = 0;; hop++) {
        r.url = address;
        r.token =
            (flags & TUB__HUB_TOKEN) != 0 && may_have_token(hub, address) ? hub->env.token : NULL;
        status = ask_patiently(hub, &r, flags, out, err);
        if (status != TUB_OK || !leads_on(hub, &r, flags, out)) {
            break;
        }
        if (hop == HOPS ||
            (strncmp(address, "https:", 6) == 0 && strncmp(out->location, "https:", 6) != 0)) {
            status = tub__fail(err, TUB_E_NETWORK, "%s: the server's redirects %s", hub->title,
                               hop == HOPS ? "do not end" : "leave encryption");
            hub->net->release(out);
            break;
        }
        tub__free(a, address);
        address = NULL;
        status = tub__alloc_string(a, out->location, &address, err);
        hub->net->release(out);
        if (status != TUB_OK) {
            break;
        }
    }
    tub__free(a, address);
    return status;
}
