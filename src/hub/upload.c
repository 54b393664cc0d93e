/* SPDX-License-Identifier: Apache-2.0 */
/* The list of files that go to a hub, and asking it about them. */
#include "hub/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

enum { SAMPLE = 512 };

/* Takes an open file. */
static tub_status add(tub__hub_uploads *all, const char *name, int fd, tub_error *err) {
    struct stat st;
    tub_status status = tub__alloc_room(all->allocator, (void **)&all->list, all->count,
                                        sizeof *all->list, &all->room, err);
    if (status == TUB_OK) {
        tub__hub_upload *u = &all->list[all->count];
        *u = (tub__hub_upload){.fd = fd};
        status = tub__alloc_string(all->allocator, name, &u->name, err);
        if (status == TUB_OK && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
            status = tub__fail(err, TUB_E_IO, "%s is no plain file", name);
            tub__free(all->allocator, u->name);
        }
        u->size = status == TUB_OK ? (uint64_t)st.st_size : 0;
    }
    if (status != TUB_OK) {
        close(fd);
        return status;
    }
    all->count++;
    return TUB_OK;
}

tub_status tub__hub_upload_file(tub__hub_uploads *all, const char *name, const char *path,
                                tub_error *err) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? tub__fail_errno(err, errno, "%s", path) : add(all, name, fd, err);
}

tub_status tub__hub_upload_text(tub__hub_uploads *all, const char *name, const char *text,
                                size_t size, tub_error *err) {
    FILE *file = tmpfile();
    const int fd = file != NULL && fwrite(text, 1, size, file) == size && fflush(file) == 0
                       ? fcntl(fileno(file), F_DUPFD_CLOEXEC, 0)
                       : -1;
    const int reason = errno;
    if (file != NULL) {
        fclose(file);
    }
    return fd < 0 ? tub__fail_errno(err, reason, "%s can't be written to a temporary file", name)
                  : add(all, name, fd, err);
}

void tub__hub_uploads_free(tub__hub_uploads *all) {
    for (size_t i = 0; i < all->count; i++) {
        close(all->list[i].fd);
        tub__free(all->allocator, all->list[i].name);
    }
    tub__free(all->allocator, all->list);
    *all = (tub__hub_uploads){0};
}

tub_status tub__hub_upload_read(const tub__hub_uploads *all, const tub__hub_upload *u, uint64_t at,
                                size_t size, unsigned char **out, tub_error *err) {
    void *bytes;
    size_t done = 0;
    TUB__TRY(tub__alloc(all->allocator, size, &bytes, err));
    while (done < size) {
        const ssize_t n = pread(u->fd, (char *)bytes + done, size - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            tub__free(all->allocator, bytes);
            return tub__fail_errno(err, n < 0 ? errno : EIO, "%s can't be read", u->name);
        }
        done += (size_t)n;
    }
    *out = bytes;
    return TUB_OK;
}

tub_status tub__hub_post(tub__hub *hub, const char *url, const char *const *headers,
                         const char *text, size_t size, unsigned flags, const char *what,
                         tub__json **out, tub_error *err) {
    const tub__net_request r = {.method = "POST",
                                .headers = headers,
                                .body = text,
                                .body_size = size,
                                .fd = -1,
                                .limit = TUB__HUB_JSON_LIMIT};
    tub__net_answer answer;
    *out = NULL;
    TUB__TRY(tub__hub_ask(hub, url, r, flags, &answer, err));
    tub_status status = TUB_OK;
    if (answer.status < 200 || answer.status > 299) {
        status = tub__hub_refused(hub, &answer, what, err);
    } else if (answer.size > 0) {
        status = tub__json_parse(answer.body, answer.size, out, err);
        if (status != TUB_OK) {
            tub__prefix(err, status, "%s: the hub's answer to %s", hub->title, what);
        }
    }
    hub->net->release(&answer);
    return status;
}

/* {"path": …, "sample": …, "size": …}: by the first bytes a hub tells text. */
static tub_status describe(tub__hub *hub, const tub__hub_uploads *all, const tub__hub_upload *u,
                           tub__json_writer *w, tub_error *err) {
    char sample[4 * ((SAMPLE + 2) / 3) + 1];
    unsigned char *bytes;
    const size_t size = u->size < SAMPLE ? (size_t)u->size : SAMPLE;
    TUB__TRY(tub__hub_upload_read(all, u, 0, size, &bytes, err));
    hub->hash->base64(bytes, size, sample);
    tub__free(all->allocator, bytes);
    tub__json_open_object(w, NULL);
    tub__json_put_text(w, "path", u->name);
    tub__json_put_text(w, "sample", sample);
    tub__json_put_integer(w, "size", (int64_t)u->size);
    tub__json_close_object(w);
    return TUB_OK;
}

static tub_status describe_all(tub__hub *hub, const tub__hub_uploads *all, char **text,
                               size_t *size, tub_error *err) {
    tub__json_writer w;
    tub__json_start(&w, all->allocator, 0);
    tub__json_open_object(&w, NULL);
    tub__json_open_array(&w, "files");
    for (size_t i = 0; i < all->count; i++) {
        const tub_status status = describe(hub, all, &all->list[i], &w, err);
        if (status != TUB_OK) {
            tub__json_discard(&w);
            return status;
        }
    }
    tub__json_close_array(&w);
    tub__json_close_object(&w);
    return tub__json_finish(&w, text, size, err);
}

/* What git calls a file's content. */
static tub_status git_name(const tub__hub *hub, const tub__hub_upload *u, char hex[TUB__HASH_HEX],
                           tub_error *err) {
    char prefix[40];
    const int n = snprintf(prefix, sizeof prefix, "blob %llu", (unsigned long long)u->size);
    return hub->hash->file("sha1", prefix, (size_t)n + 1, u->fd, hex, err);
}

static tub_status take_mode(const tub__hub *hub, const tub__json *said, tub__hub_upload *u,
                            tub_error *err) {
    enum { REGULAR_LIMIT = 64 << 20 };
    const char *mode, *there = NULL;
    char own[TUB__HASH_HEX];
    bool ignored = false;
    TUB__TRY(tub__json_get_text(said, "uploadMode", &mode, err));
    TUB__TRY(tub__json_opt_text(said, "oid", &there, err));
    TUB__TRY(tub__json_opt_bool(said, "shouldIgnore", &ignored, err));
    u->large = strcmp(mode, "lfs") == 0 && u->size > 0; /* stores refuse empty objects */
    if (!u->large && u->size > REGULAR_LIMIT) {
        return tub__fail(err, TUB_E_FORMAT,
                         "%s: the hub takes it in the commit only, and it has %llu bytes", u->name,
                         (unsigned long long)u->size);
    }
    TUB__TRY(hub->hash->file("sha256", NULL, 0, u->fd, u->sha256, err));
    TUB__TRY(git_name(hub, u, own, err));
    u->left_out = ignored || (there != NULL && strcmp(there, u->large ? u->sha256 : own) == 0);
    return TUB_OK;
}

static tub_status take_modes(const tub__hub *hub, const tub__json *answer, tub__hub_uploads *all,
                             tub_error *err) {
    const tub__json *files;
    TUB__TRY(tub__json_to_array(tub__json_get(answer, "files"), "files", &files, err));
    for (size_t i = 0; i < all->count; i++) {
        const tub__json *said = NULL;
        for (size_t k = 0; k < tub__json_size(files) && said == NULL; k++) {
            const char *path;
            TUB__TRY(tub__json_get_text(tub__json_at(files, k), "path", &path, err));
            said = strcmp(path, all->list[i].name) == 0 ? tub__json_at(files, k) : NULL;
        }
        if (said == NULL) {
            return tub__fail(err, TUB_E_FORMAT, "it says nothing of %s", all->list[i].name);
        }
        TUB__TRY(take_mode(hub, said, &all->list[i], err));
    }
    return TUB_OK;
}

tub_status tub__hub_sort(tub__hub *hub, const char *revision, tub__hub_uploads *all,
                         tub_error *err) {
    static const char *const json[] = {"Content-Type: application/json", NULL};
    const tub_allocator *a = all->allocator;
    tub__json *answer = NULL;
    char *url, *text = NULL;
    size_t size = 0;
    TUB__TRY(tub__hub_url(hub, &url, err, "api/models/%s/preupload/%s", hub->name.id, revision));
    tub_status status = describe_all(hub, all, &text, &size, err);
    if (status == TUB_OK) {
        status = tub__hub_post(hub, url, json, text, size, TUB__HUB_TOKEN | TUB__HUB_PATIENT,
                               "the question how files are to be sent", &answer, err);
        tub__free(a, text);
    }
    if (status == TUB_OK) {
        status = take_modes(hub, answer, all, err);
        if (status != TUB_OK) {
            tub__prefix(err, status, "%s: the hub's answer how files are to be sent", hub->title);
        }
    }
    tub__json_free(answer);
    tub__free(a, url);
    return status;
}
