/* SPDX-License-Identifier: Apache-2.0 */
/* mod-net: downloads by libcurl into an open file, from any byte on, and single requests of
 * HTTP. */
#include "base/error.h"
#include "base/module.h"
#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

typedef struct transfer {
    int fd;
    unsigned long long offset; /* where this attempt starts */
    int (*progress)(void *user, unsigned long long done, unsigned long long total);
    void *user;
    bool cancelled;
    int write_errno; /* of a failed write, else 0 */
} transfer;

/* Any other number than n ends the transfer. */
static size_t write_bytes(transfer *t, const char *bytes, size_t n) {
    for (size_t done = 0; done < n;) {
        ssize_t wrote = write(t->fd, bytes + done, n - done);
        if (wrote < 0 && errno != EINTR) {
            t->write_errno = errno;
            return 0;
        }
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    return n;
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *argument) {
    return write_bytes(argument, bytes, size * count);
}

static int on_progress(void *argument, curl_off_t total, curl_off_t done, curl_off_t up_total,
                       curl_off_t up_done) {
    (void)up_total;
    (void)up_done;
    transfer *t = argument;
    if (!t->progress) {
        return 0;
    }
    unsigned long long all = total > 0 ? t->offset + (unsigned long long)total : 0;
    t->cancelled = t->progress(t->user, t->offset + (unsigned long long)done, all) != 0;
    return t->cancelled;
}

#define SET(option, value) code = code ? code : curl_easy_setopt(curl, option, value)
/* What every transfer has. */
static CURLcode set_common(CURL *curl, const char *url, char reason[CURL_ERROR_SIZE]) {
    CURLcode code = curl_easy_setopt(curl, CURLOPT_URL, url);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_CONNECTTIMEOUT, 30L);
    SET(CURLOPT_LOW_SPEED_LIMIT, 1L); /* a silent minute is a broken connection */
    SET(CURLOPT_LOW_SPEED_TIME, 60L);
    SET(CURLOPT_USERAGENT, "tubelet/" TUB__VERSION);
    SET(CURLOPT_ERRORBUFFER, reason);
    return code;
}

static CURLcode set_options(CURL *curl, const char *url, transfer *t,
                            char reason[CURL_ERROR_SIZE]) {
    CURLcode code = set_common(curl, url, reason);
    SET(CURLOPT_PROTOCOLS_STR, "http,https,file");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 1L);
    SET(CURLOPT_MAXREDIRS, 10L);
    SET(CURLOPT_FAILONERROR, 1L);
    SET(CURLOPT_RESUME_FROM_LARGE, (curl_off_t)t->offset);
    SET(CURLOPT_WRITEFUNCTION, on_bytes);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, t);
    return code;
}

/* One sentence for what libcurl says. */
static tub_status explain(CURLcode code, long http, const char *url, const transfer *t,
                          const char *reason, tub_error *err) {
    if (t->cancelled) {
        return tub__fail(err, TUB_E_CANCELLED, "%s: the download was stopped", url);
    }
    switch (code) {
    case CURLE_WRITE_ERROR:
        return tub__fail_errno(err, t->write_errno ? t->write_errno : EIO,
                               "%s: the bytes can't be written", url);
    case CURLE_HTTP_RETURNED_ERROR:
        return tub__fail(err, http == 404 || http == 410 ? TUB_E_NOT_FOUND : TUB_E_NETWORK,
                         "%s: the server answered %ld%s", url, http,
                         http == 404 || http == 410 ? " (no such file)" : "");
    case CURLE_FILE_COULDNT_READ_FILE:
        return tub__fail(err, TUB_E_NOT_FOUND, "%s: no such file", url);
    case CURLE_OUT_OF_MEMORY:
        return tub__fail(err, TUB_E_MEMORY, "%s: out of memory", url);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        return tub__fail(err, TUB_E_ARGUMENT, "%s: not an address of a file (http, https or file)",
                         url);
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_OPERATION_TIMEDOUT:
        return tub__fail(err, TUB_E_NETWORK, "%s: the connection broke (%s)", url, reason);
    default:
        return tub__fail(err, TUB_E_NETWORK, "%s: can't be reached (%s)", url, reason);
    }
}

/* The server can't go on where we stopped. */
static bool refuses_range(CURLcode code, long http) {
    return code == CURLE_RANGE_ERROR || code == CURLE_BAD_DOWNLOAD_RESUME ||
           (code == CURLE_HTTP_RETURNED_ERROR && http == 416);
}

static tub_status attempt(const char *url, transfer *t, bool *again, tub_error *err) {
    *again = false;
    if (lseek(t->fd, (off_t)t->offset, SEEK_SET) < 0 || ftruncate(t->fd, (off_t)t->offset) < 0) {
        return tub__fail_errno(err, errno, "%s: the partial file can't be set to byte %llu", url,
                               t->offset);
    }
    CURL *curl = curl_easy_init();
    if (!curl) {
        return tub__fail(err, TUB_E_MEMORY, "libcurl can't be started");
    }
    char reason[CURL_ERROR_SIZE] = "";
    CURLcode code = set_options(curl, url, t, reason);
    code = code ? code : curl_easy_perform(curl);
    long http = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http);
    curl_easy_cleanup(curl);
    if (code == CURLE_OK) {
        return TUB_OK;
    }
    *again = t->offset > 0 && refuses_range(code, http);
    return explain(code, http, url, t, reason[0] ? reason : curl_easy_strerror(code), err);
}

static tub_status download(const char *url, int fd, unsigned long long offset,
                           int (*progress)(void *user, unsigned long long done,
                                           unsigned long long total),
                           void *user, tub_error *err) {
    transfer t = {.fd = fd, .offset = offset, .progress = progress, .user = user};
    bool again;
    tub_error first;
    tub_status status = attempt(url, &t, &again, &first);
    if (again) {
        t.offset = 0;
        status = attempt(url, &t, &again, &first);
    }
    if (status != TUB_OK && err) {
        *err = first;
    }
    return status;
}

/* A text that grows. */
typedef struct text {
    char *bytes; /* zero-terminated; NULL: nothing yet */
    size_t size;
} text;

static bool text_add(text *t, const char *bytes, size_t n) {
    char *grown = realloc(t->bytes, t->size + n + 1);
    if (!grown) {
        return false;
    }
    memcpy(grown + t->size, bytes, n);
    t->bytes = grown;
    t->size += n;
    grown[t->size] = '\0';
    return true;
}

/* A request on its way. */
typedef struct exchange {
    const tub__net_request *request;
    CURL *curl;
    transfer t;
    text headers, body;
    uint64_t sent;  /* of what is sent */
    uint64_t total; /* received, with what was there before */
    bool begun, to_file, too_long, misplaced;
} exchange;

/* One line; those of an answer that only announces another are forgotten. */
static size_t on_header(char *bytes, size_t size, size_t count, void *argument) {
    exchange *x = argument;
    size_t n = size * count;
    if (n > 5 && memcmp(bytes, "HTTP/", 5) == 0) {
        x->headers.size = 0;
    }
    size_t length = n;
    while (length > 0 && (bytes[length - 1] == '\r' || bytes[length - 1] == '\n')) {
        length--;
    }
    enum { MOST = 1 << 18 };
    return x->headers.size + length < MOST && text_add(&x->headers, bytes, length) &&
                   text_add(&x->headers, "\n", 1)
               ? n
               : 0;
}

/* The byte that an answer 206 begins with. */
static uint64_t range_start(const exchange *x) {
    const char *line = x->headers.bytes ? strcasestr(x->headers.bytes, "\ncontent-range:") : NULL;
    const char *digits = line ? strpbrk(line + 15, "0123456789\n") : NULL;
    return digits && *digits != '\n' ? strtoull(digits, NULL, 10) : 0;
}

/* Decides with the first bytes where they go. */
static bool begin_body(exchange *x) {
    long status = 0;
    curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
    x->begun = true;
    x->to_file = x->request->fd >= 0 && (status == 200 || status == 206);
    if (!x->to_file) {
        return true;
    }
    x->t.offset = status == 206 ? x->request->offset : 0;
    x->total = x->t.offset;
    x->misplaced = status == 206 && range_start(x) != x->t.offset;
    if (x->misplaced || lseek(x->t.fd, (off_t)x->t.offset, SEEK_SET) < 0 ||
        ftruncate(x->t.fd, (off_t)x->t.offset) < 0) {
        x->t.write_errno = errno;
        return false;
    }
    return true;
}

/* The request's limit is the file's; redirects and refusals have a few words of their own. */
static uint64_t limit_of(const exchange *x) {
    enum { WORDS_LIMIT = 1 << 20 };
    return x->request->fd < 0 || x->to_file ? x->request->limit : WORDS_LIMIT;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *argument) {
    exchange *x = argument;
    size_t n = size * count;
    if (!x->begun && !begin_body(x)) {
        return 0;
    }
    const uint64_t limit = limit_of(x);
    x->too_long = n > limit || x->total > limit - n;
    if (x->too_long) {
        return 0;
    }
    x->total += n;
    return x->to_file ? write_bytes(&x->t, bytes, n) : text_add(&x->body, bytes, n) ? n : 0;
}

static size_t on_read(char *out, size_t size, size_t count, void *argument) {
    exchange *x = argument;
    const tub__net_request *r = x->request;
    const uint64_t left = r->body_size - x->sent;
    size_t n = size * count < left ? size * count : (size_t)left;
    if (r->body) {
        memcpy(out, (const char *)r->body + x->sent, n);
    } else if (n > 0) {
        const ssize_t got = pread(r->body_fd, out, n, (off_t)(r->body_offset + x->sent));
        if (got <= 0) {
            x->t.write_errno = got < 0 ? errno : EIO; /* the file got shorter */
            return CURL_READFUNC_ABORT;
        }
        n = (size_t)got;
    }
    x->sent += n;
    return n;
}

static int on_rewind(void *argument, curl_off_t offset, int origin) {
    exchange *x = argument;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > x->request->body_size) {
        return CURL_SEEKFUNC_CANTSEEK;
    }
    x->sent = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

static int on_exchange(void *argument, curl_off_t total, curl_off_t done, curl_off_t up_total,
                       curl_off_t up_done) {
    exchange *x = argument;
    return up_total > 0 ? on_progress(&x->t, up_total, up_done, 0, 0)
                        : on_progress(&x->t, total, done, 0, 0);
}

static CURLcode set_method(exchange *x) {
    const tub__net_request *r = x->request;
    CURL *curl = x->curl;
    CURLcode code = CURLE_OK;
    if (strcmp(r->method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
    } else if (strcmp(r->method, "PUT") == 0) {
        SET(CURLOPT_UPLOAD, 1L);
        SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->body_size);
    } else if (strcmp(r->method, "POST") == 0) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_size);
    }
    SET(CURLOPT_READFUNCTION, on_read);
    SET(CURLOPT_READDATA, x);
    SET(CURLOPT_SEEKFUNCTION, on_rewind);
    SET(CURLOPT_SEEKDATA, x);
    return code;
}

static CURLcode set_exchange(exchange *x, const struct curl_slist *lines,
                             char reason[CURL_ERROR_SIZE]) {
    const tub__net_request *r = x->request;
    CURL *curl = x->curl;
    char range[32];
    CURLcode code = set_common(curl, r->url, reason);
    code = code ? code : set_method(x);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_HTTPHEADER, lines);
    if (r->token) {
        SET(CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        SET(CURLOPT_XOAUTH2_BEARER, r->token);
    }
    if (r->fd >= 0 && r->offset > 0) {
        snprintf(range, sizeof range, "%llu-", (unsigned long long)r->offset);
        SET(CURLOPT_RANGE, range);
    }
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, x);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, x);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, on_exchange);
    SET(CURLOPT_XFERINFODATA, x);
    return code;
}

/* The lines, and none of those that libcurl adds by itself and a hub has no use for. */
static struct curl_slist *header_lines(const tub__net_request *r) {
    struct curl_slist *lines = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; lines && r->headers && r->headers[i]; i++) {
        struct curl_slist *longer = curl_slist_append(lines, r->headers[i]);
        if (!longer) {
            curl_slist_free_all(lines);
        }
        lines = longer;
    }
    return lines;
}

static void release(tub__net_answer *answer) {
    free(answer->headers);
    free(answer->body);
    free(answer->location);
    *answer = (tub__net_answer){0};
}

/* Hands over what came. */
static tub_status take_answer(exchange *x, tub__net_answer *out, tub_error *err) {
    long status = 0;
    char *location = NULL;
    curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(x->curl, CURLINFO_REDIRECT_URL, &location);
    *out = (tub__net_answer){.status = (int)status, .size = x->body.size};
    if (!text_add(&x->headers, "", 0) || !text_add(&x->body, "", 0) ||
        (location && !(out->location = strdup(location)))) {
        return tub__fail(err, TUB_E_MEMORY, "out of memory");
    }
    out->headers = x->headers.bytes;
    out->body = x->body.bytes;
    x->headers.bytes = x->body.bytes = NULL;
    return TUB_OK;
}

static tub_status explain_exchange(const exchange *x, CURLcode code, const char *reason,
                                   tub_error *err) {
    const char *url = x->request->url;
    char shown[320];
    snprintf(shown, sizeof shown, "%.*s", (int)strcspn(url, "?"), url);
    if (x->too_long) {
        return tub__fail(err, TUB_E_FORMAT, "%s: the server sends more than %llu bytes", shown,
                         (unsigned long long)limit_of(x));
    }
    if (x->misplaced) {
        return tub__fail(err, TUB_E_NETWORK, "%s: the server sends another part than was asked for",
                         shown);
    }
    if (x->t.cancelled) {
        return tub__fail(err, TUB_E_CANCELLED, "%s: the transfer was stopped", shown);
    }
    if (code == CURLE_ABORTED_BY_CALLBACK) {
        return tub__fail_errno(err, x->t.write_errno, "what %s is to get can't be read", shown);
    }
    return explain(code, 0, shown, &x->t, reason, err);
}

static tub_status ask(const tub__net_request *r, tub__net_answer *out, tub_error *err) {
    exchange x = {.request = r,
                  .t = {.fd = r->fd,
                        .offset = r->fd >= 0 ? r->offset : 0,
                        .progress = r->progress,
                        .user = r->user}};
    char reason[CURL_ERROR_SIZE] = "";
    struct curl_slist *lines = header_lines(r);
    *out = (tub__net_answer){0};
    x.curl = curl_easy_init();
    if (!x.curl || !lines) {
        curl_slist_free_all(lines);
        curl_easy_cleanup(x.curl);
        return tub__fail(err, TUB_E_MEMORY, "libcurl can't be started");
    }
    CURLcode code = set_exchange(&x, lines, reason);
    code = code ? code : curl_easy_perform(x.curl);
    if (code == CURLE_OK && !x.begun && !begin_body(&x)) { /* an empty file, perhaps */
        code = CURLE_WRITE_ERROR;
    }
    tub_status status =
        code == CURLE_OK
            ? take_answer(&x, out, err)
            : explain_exchange(&x, code, reason[0] ? reason : curl_easy_strerror(code), err);
    free(x.headers.bytes);
    free(x.body.bytes);
    curl_easy_cleanup(x.curl);
    curl_slist_free_all(lines);
    if (status != TUB_OK) {
        release(out);
    }
    return status;
}
#undef SET

/* One part of both addresses is the same. */
static bool same_part(CURLU *a, CURLU *b, CURLUPart part) {
    char *of_a = NULL, *of_b = NULL;
    const bool same = curl_url_get(a, part, &of_a, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                      curl_url_get(b, part, &of_b, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                      strcasecmp(of_a, of_b) == 0;
    curl_free(of_a);
    curl_free(of_b);
    return same;
}

static bool same_origin(const char *a, const char *b) {
    CURLU *of_a = curl_url(), *of_b = curl_url();
    const bool same = of_a && of_b && curl_url_set(of_a, CURLUPART_URL, a, 0) == CURLUE_OK &&
                      curl_url_set(of_b, CURLUPART_URL, b, 0) == CURLUE_OK &&
                      same_part(of_a, of_b, CURLUPART_SCHEME) &&
                      same_part(of_a, of_b, CURLUPART_HOST) &&
                      same_part(of_a, of_b, CURLUPART_PORT);
    curl_url_cleanup(of_a);
    curl_url_cleanup(of_b);
    return same;
}

/* Looked up by name when the module is opened. */
extern __attribute__((visibility("default"))) const tub__net_module tub__module_table;
const tub__net_module tub__module_table = {.version = TUB__MODULE_VERSION,
                                           .download = download,
                                           .ask = ask,
                                           .release = release,
                                           .same_origin = same_origin};
