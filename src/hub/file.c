/* SPDX-License-Identifier: Apache-2.0 */
/* Getting one file: what the server says of it, its bytes, their checksum, its place. */
#include "hub/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/file_parts.h"
#include "base/lock.h"

enum { ETAG_LIMIT = 200 };

/* A file on its way. */
typedef struct job {
    tub__hub *hub;
    const tub__hub_cache *cache;
    const char *commit, *file;
    char *url;
    char etag[ETAG_LIMIT + 1];
    uint64_t size, limit;
    bool size_known;
    bool refused; /* the server answered, and will not give it */
    char *blob, *partial, *lock;
} job;

/* `W/"abc"` to `abc`. */
static void trim_etag(char *etag) {
    char *begin = strncmp(etag, "W/", 2) == 0 ? etag + 2 : etag;
    begin += *begin == '"';
    const size_t n = strcspn(begin, "\"");
    memmove(etag, begin, n);
    etag[n] = '\0';
}

static tub_status no_hub(const job *j, const char *lacks, tub_error *err) {
    return tub__fail(err, TUB_E_FORMAT,
                     "%s: the answer for %s has no %s, so %.150s is no hub of models; look at "
                     "HF_ENDPOINT and at proxies",
                     j->hub->title, j->file, lacks, j->hub->env.endpoint);
}

static tub_status read_facts(job *j, const tub__net_answer *answer, tub_error *err) {
    char value[ETAG_LIMIT + 1];
    if (!tub__hub_header(answer, "X-Repo-Commit", value, sizeof value)) {
        return no_hub(j, "X-Repo-Commit", err);
    }
    if (strcmp(value, j->commit) != 0) {
        return tub__fail(err, TUB_E_FORMAT, "%s: the server has %s of commit %.80s, not of %s",
                         j->hub->title, j->file, value, j->commit);
    }
    if (!tub__hub_header(answer, "X-Linked-Etag", j->etag, sizeof j->etag) &&
        !tub__hub_header(answer, "ETag", j->etag, sizeof j->etag)) {
        return no_hub(j, "ETag", err);
    }
    trim_etag(j->etag);
    if (!tub__hub_is_plain(j->etag)) {
        return tub__fail(err, TUB_E_FORMAT, "%s: the server's ETag of %s can't name a file",
                         j->hub->title, j->file);
    }
    j->size_known =
        tub__hub_header(answer, "X-Linked-Size", value, sizeof value) ||
        (answer->status == 200 && tub__hub_header(answer, "Content-Length", value, sizeof value));
    j->size = j->size_known ? strtoull(value, NULL, 10) : 0;
    return j->size <= j->limit
               ? TUB_OK
               : tub__fail(err, TUB_E_FORMAT,
                           "%s: %s has %llu bytes, more than the %llu that such a file may have",
                           j->hub->title, j->file, (unsigned long long)j->size,
                           (unsigned long long)j->limit);
}

/* Asks what the file is, without its bytes. */
static tub_status look_up(job *j, bool *found, tub_error *err) {
    static const char *const plain[] = {"Accept-Encoding: identity", NULL}; /* of this size */
    const tub__net_request r = {
        .method = "HEAD", .headers = plain, .fd = -1, .limit = TUB__HUB_JSON_LIMIT};
    tub__net_answer answer;
    char code[64] = "";
    TUB__TRY(tub__hub_ask(j->hub, j->url, r,
                          TUB__HUB_STAY | TUB__HUB_PATIENT |
                              (j->hub->env.anonymous ? 0 : TUB__HUB_TOKEN),
                          &answer, err));
    tub_status status;
    *found = true;
    if (answer.status == 200 || (answer.status >= 300 && answer.status < 400)) {
        status = read_facts(j, &answer, err);
    } else if (tub__hub_header(&answer, "X-Error-Code", code, sizeof code) &&
               strcmp(code, "EntryNotFound") == 0) {
        *found = false;
        status = tub__hub_note_missing(j->cache, j->commit, j->file, err);
    } else {
        status = tub__hub_refused(j->hub, &answer, j->file, err);
    }
    j->hub->net->release(&answer);
    return status;
}

static uint64_t length_of(int fd) {
    struct stat st;
    return fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static tub_status check_space(const job *j, uint64_t missing, tub_error *err) {
    struct statvfs fs;
    if (statvfs(j->cache->model, &fs) < 0 || fs.f_frsize == 0 ||
        missing / fs.f_frsize < fs.f_bavail) {
        return TUB_OK;
    }
    return tub__fail(err, TUB_E_IO, "%s: %s needs %llu MB in %.200s, where %llu MB are free",
                     j->hub->title, j->file, (unsigned long long)(missing >> 20), j->cache->root,
                     (unsigned long long)fs.f_bavail * fs.f_frsize >> 20);
}

/* One answer's worth of bytes behind those that are there. *more: the server can't go on behind
 * them. */
static tub_status get_more(job *j, int fd, bool *more, tub_error *err) {
    const tub__net_request r = {.method = "GET",
                                .fd = fd,
                                .offset = length_of(fd),
                                .limit = j->size_known ? j->size : j->limit,
                                .progress = tub__hub_progress,
                                .user = j->hub};
    tub__net_answer answer;
    *more = false;
    TUB__TRY(
        tub__hub_ask(j->hub, j->url, r, j->hub->env.anonymous ? 0 : TUB__HUB_TOKEN, &answer, err));
    tub_status status = TUB_OK;
    if (answer.status == 416 && r.offset > 0) {
        *more = true;
        if (ftruncate(fd, 0) < 0) {
            status = tub__fail_errno(err, errno, "%s", j->partial);
        }
    } else if (answer.status != 200 && answer.status != 206) {
        j->refused = true;
        status = tub__hub_refused(j->hub, &answer, j->file, err);
    }
    j->hub->net->release(&answer);
    return status;
}

static tub_status tell_broken(int fd, tub_error *err) {
    char sentence[TUB_ERROR_LENGTH];
    snprintf(sentence, sizeof sentence, "%s", err != NULL ? err->message : "");
    return length_of(fd) == 0
               ? TUB_E_NETWORK
               : tub__fail(err, TUB_E_NETWORK,
                           "%.380s after %llu bytes, which are kept: run it again to go on",
                           sentence, (unsigned long long)length_of(fd));
}

/* All bytes, through broken connections as long as each brings some. */
static tub_status get_all(job *j, int fd, tub_error *err) {
    enum { IDLE_TRIES = 3 };
    for (int idle = 0;;) {
        const uint64_t before = length_of(fd);
        bool more = false;
        tub_error broken = {.message = ""};
        if (j->size_known && before == j->size && before > 0) {
            return TUB_OK;
        }
        const tub_status status = get_more(j, fd, &more, &broken);
        const uint64_t now = length_of(fd);
        if (status == TUB_OK && !more && (!j->size_known || now == j->size)) {
            return TUB_OK;
        }
        if (status != TUB_OK && (status != TUB_E_NETWORK || j->refused)) {
            return tub__fail(err, status, "%s", broken.message);
        }
        if (status == TUB_OK && !more) {
            tub__fail(&broken, TUB_E_NETWORK, "%s: the server ended %s too early", j->hub->title,
                      j->file);
        }
        idle = now > before ? 0 : idle + 1;
        if (idle == IDLE_TRIES) {
            tub__fail(err, TUB_E_NETWORK, "%s", broken.message);
            return tell_broken(fd, err);
        }
        if (now > before) {
            tub__log_line(j->hub->ctx, TUB_LOG_INFO,
                          "%s: the connection broke; going on at byte %llu", j->file,
                          (unsigned long long)now);
        } else if (!tub__hub_pause(j->hub, idle)) {
            return tub__fail(err, TUB_E_CANCELLED, "%s: the download was stopped", j->file);
        }
    }
}

/* Whether the bytes have the checksum that their ETag is: of large files their SHA-256, of small
 * ones git's SHA-1 of a blob; some mirrors have the SHA-1 of the bytes there. An ETag of another
 * form says nothing. */
static tub_status check(const job *j, int fd, bool *right, char hex[TUB__HASH_HEX],
                        tub_error *err) {
    const tub__hash_module *hash = j->hub->hash;
    const size_t digits = strspn(j->etag, "0123456789abcdef");
    char prefix[40];
    *right = true;
    hex[0] = '\0';
    if (j->etag[digits] != '\0' || (digits != 64 && digits != 40)) {
        return TUB_OK;
    }
    if (digits == 64) {
        TUB__TRY(hash->file("sha256", NULL, 0, fd, hex, err));
    } else {
        const int n =
            snprintf(prefix, sizeof prefix, "blob %llu", (unsigned long long)length_of(fd));
        TUB__TRY(hash->file("sha1", prefix, (size_t)n + 1, fd, hex, err));
        if (strcmp(hex, j->etag) != 0) {
            TUB__TRY(hash->file("sha1", NULL, 0, fd, hex, err));
        }
    }
    *right = strcmp(hex, j->etag) == 0;
    return TUB_OK;
}

static tub_status get_and_check(job *j, int fd, bool *right, char hex[TUB__HASH_HEX],
                                tub_error *err) {
    const uint64_t there = length_of(fd);
    if (j->size_known) {
        TUB__TRY(check_space(j, j->size > there ? j->size - there : 0, err));
    }
    TUB__TRY(get_all(j, fd, err));
    return check(j, fd, right, hex, err);
}

/* With the blob's lock held and the partial file open. */
static tub_status complete(job *j, int fd, tub_error *err) {
    char hex[TUB__HASH_HEX];
    bool right = false;
    const bool resumed = length_of(fd) > 0;
    if (j->size_known && length_of(fd) > j->size && ftruncate(fd, 0) < 0) {
        return tub__fail_errno(err, errno, "%s", j->partial);
    }
    TUB__TRY(get_and_check(j, fd, &right, hex, err));
    if (!right && resumed) {
        tub__log_line(j->hub->ctx, TUB_LOG_WARNING,
                      "%s: what an earlier download left does not fit: starting again", j->file);
        if (ftruncate(fd, 0) < 0) {
            return tub__fail_errno(err, errno, "%s", j->partial);
        }
        TUB__TRY(get_and_check(j, fd, &right, hex, err));
    }
    if (!right) {
        (void)unlink(j->partial);
        return tub__fail(err, TUB_E_CHECKSUM,
                         "%s: the checksum of %s is %s, and the server says %s; the file was not "
                         "kept: try again",
                         j->hub->title, j->file, hex, j->etag);
    }
    if (fsync(fd) < 0 || rename(j->partial, j->blob) < 0) {
        return tub__fail_errno(err, errno, "%s can't be put in its place", j->blob);
    }
    return tub__sync_parent(j->blob, err);
}

static tub_status download(job *j, tub_error *err) {
    const int fd = open(j->partial, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0) {
        return tub__fail_errno(err, errno, "%s can't be written", j->partial);
    }
    j->hub->moving = j->file;
    j->hub->base = 0;
    j->hub->whole = j->size;
    const tub_status status = complete(j, fd, err);
    j->hub->moving = NULL;
    if (status != TUB_OK && length_of(fd) == 0) {
        (void)unlink(j->partial);
    }
    close(fd);
    return status;
}

/* One process at a time; whoever comes later finds the blob. */
static tub_status store(job *j, tub_error *err) {
    int lock = -1;
    TUB__TRY(tub__lock_file(j->hub->ctx, j->lock, 0664, j->file, j->hub->title, &lock, err));
    tub_status status = tub__file_exists(j->blob) ? TUB_OK : download(j, err);
    if (status == TUB_OK) {
        status = tub__hub_link(j->cache, j->commit, j->file, j->etag, err);
    }
    close(lock);
    return status;
}

static tub_status get(job *j, bool *found, tub_error *err) {
    TUB__TRY(tub__hub_url(j->hub, &j->url, err, "%s/resolve/%s/%s", j->hub->name.id, j->commit,
                          j->file));
    TUB__TRY(look_up(j, found, err));
    if (!*found) {
        return TUB_OK;
    }
    TUB__TRY(tub__hub_blob(j->cache, j->etag, "", &j->blob, err));
    TUB__TRY(tub__hub_blob(j->cache, j->etag, ".incomplete", &j->partial, err));
    TUB__TRY(tub__hub_lock(j->cache, j->etag, &j->lock, err));
    return store(j, err);
}

tub_status tub__hub_file(tub__hub *hub, const tub__hub_cache *cache, const char *commit,
                         const char *file, uint64_t limit, bool *found, tub_error *err) {
    const tub_allocator *a = &hub->ctx->allocator;
    job j = {.hub = hub, .cache = cache, .commit = commit, .file = file, .limit = limit};
    char *pointer;
    TUB__TRY(tub__hub_snapshot(cache, commit, file, &pointer, err));
    *found = tub__file_exists(pointer);
    tub__free(a, pointer);
    if (*found) {
        return TUB_OK;
    }
    const tub_status status = get(&j, found, err);
    tub__free(a, j.url);
    tub__free(a, j.blob);
    tub__free(a, j.partial);
    tub__free(a, j.lock);
    return status;
}
