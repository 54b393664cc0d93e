/* SPDX-License-Identifier: Apache-2.0 */
/* mod-net: downloads by libcurl into an open file, from any byte on. */
#include "base/error.h"
#include "base/module.h"
#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct transfer {
    int fd;
    unsigned long long offset; /* where this attempt starts */
    int (*progress)(void *user, unsigned long long done, unsigned long long total);
    void *user;
    bool cancelled;
    int write_errno; /* of a failed write, else 0 */
} transfer;

static size_t on_bytes(char *bytes, size_t size, size_t count, void *argument) {
    transfer *t = argument;
    size_t n = size * count, done = 0;
    while (done < n) {
        ssize_t wrote = write(t->fd, bytes + done, n - done);
        if (wrote < 0 && errno != EINTR) {
            t->write_errno = errno;
            return 0; /* any other number than n ends the transfer */
        }
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    return n;
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

static CURLcode set_options(CURL *curl, const char *url, transfer *t,
                            char reason[CURL_ERROR_SIZE]) {
    CURLcode code = curl_easy_setopt(curl, CURLOPT_URL, url);
#define SET(option, value) code = code ? code : curl_easy_setopt(curl, option, value)
    SET(CURLOPT_PROTOCOLS_STR, "http,https,file");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 1L);
    SET(CURLOPT_MAXREDIRS, 10L);
    SET(CURLOPT_FAILONERROR, 1L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_CONNECTTIMEOUT, 30L);
    SET(CURLOPT_LOW_SPEED_LIMIT, 1L); /* a silent minute is a broken connection */
    SET(CURLOPT_LOW_SPEED_TIME, 60L);
    SET(CURLOPT_USERAGENT, "tubelet");
    SET(CURLOPT_ERRORBUFFER, reason);
    SET(CURLOPT_RESUME_FROM_LARGE, (curl_off_t)t->offset);
    SET(CURLOPT_WRITEFUNCTION, on_bytes);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, t);
#undef SET
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

/* Looked up by name when the module is opened. */
extern __attribute__((visibility("default"))) const tub__net_module tub__module_table;
const tub__net_module tub__module_table = {.version = TUB__MODULE_VERSION, .download = download};
