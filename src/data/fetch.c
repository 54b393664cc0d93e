/* SPDX-License-Identifier: Apache-2.0 */
/* Gets a known data set into the cache folder: downloads to FILE.part, goes on after a break,
 * checks, renames. */
#include "data/fetch.h"

#include "base/error.h"
#include "base/file.h"
#include "base/file_parts.h"
#include "base/lock.h"
#include "base/md5.h"
#include "base/module.h"
#include "data/dataset.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct fetch {
    tub_context *ctx;
    const tub_known_dataset *set;
    const tub__known_details *details;
    const char *folder;
    char *path;    /* in the cache */
    char *partial; /* path + ".part" */
    char *url;
} fetch;

static tub_status md5_of_descriptor(int fd, char hex[33], tub_error *err) {
    unsigned char buffer[1 << 16];
    tub__md5 m;
    tub__md5_init(&m);
    for (off_t at = 0;;) {
        ssize_t n = pread(fd, buffer, sizeof buffer, at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return tub__fail_errno(err, errno, "the file can't be read");
        }
        if (n == 0) {
            break;
        }
        tub__md5_update(&m, buffer, (size_t)n);
        at += n;
    }
    tub__md5_finish(&m, hex);
    return TUB_OK;
}

static bool accepted(const tub__known_details *details, const char *hex) {
    return strcmp(hex, details->md5[0]) == 0 ||
           (details->md5[1] && strcmp(hex, details->md5[1]) == 0);
}

bool tub__is_published(const tub__known_details *details, const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    char hex[33];
    bool read = md5_of_descriptor(fd, hex, NULL) == TUB_OK;
    close(fd);
    return read && accepted(details, hex);
}

/* The file lies in the cache: TUB_OK when it is the right one, TUB_E_NOT_FOUND when there is none.
 */
static tub_status check_cached(const fetch *f, tub_error *err) {
    int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return tub__fail_errno(err, errno, "%s", f->path);
    }
    char hex[33];
    tub_status status = md5_of_descriptor(fd, hex, err);
    close(fd);
    if (status != TUB_OK) {
        return tub__prefix(err, status, "%s", f->path);
    }
    if (!accepted(f->details, hex)) {
        return tub__fail(err, TUB_E_CHECKSUM,
                         "%s: MD5 is %s, expected %s; delete it and run tubelet fetch %s again",
                         f->path, hex, f->details->md5[0], f->set->name);
    }
    return TUB_OK;
}

static int on_progress(void *user, unsigned long long done, unsigned long long total) {
    const fetch *f = user;
    tub_event event = {
        .kind = TUB_EVENT_DOWNLOAD, .message = f->set->file, .done = done, .total = total};
    tub__emit(f->ctx, &event);
    return f->ctx->stop;
}

/* Moves the checked partial file into its place, for good. */
static tub_status keep(const fetch *f, int fd, tub_error *err) {
    if (fsync(fd) < 0 || rename(f->partial, f->path) < 0) {
        return tub__fail_errno(err, errno, "%s can't be put in its place", f->path);
    }
    return tub__sync_parent(f->path, err);
}

/* Downloads from byte `offset` on; then *right says whether the whole file has an accepted
 * checksum, *hex its checksum. */
static tub_status transfer(fetch *f, const tub__net_module *net, int fd, unsigned long long offset,
                           char hex[33], bool *right, tub_error *err) {
    tub_status status = net->download(f->url, fd, offset, on_progress, f, err);
    struct stat st;
    if (status != TUB_OK) {
        if (status == TUB_E_NETWORK && fstat(fd, &st) == 0 && st.st_size > 0) {
            char sentence[TUB_ERROR_LENGTH];
            snprintf(sentence, sizeof sentence, "%s", err ? err->message : "");
            return tub__fail(err, status,
                             "%.380s after %lld bytes, which are kept: run it again to go on",
                             sentence, (long long)st.st_size);
        }
        return status;
    }
    TUB__TRY(md5_of_descriptor(fd, hex, err));
    *right = accepted(f->details, hex);
    return TUB_OK;
}

/* With the partial file open and locked. */
static tub_status complete(fetch *f, int fd, tub_error *err) {
    struct stat st;
    char hex[33];
    bool right = false;
    if (fstat(fd, &st) < 0) {
        return tub__fail_errno(err, errno, "%s", f->partial);
    }
    unsigned long long offset = (unsigned long long)st.st_size;
    if (offset > 0) { /* perhaps a kill came between the last byte and the rename */
        TUB__TRY(md5_of_descriptor(fd, hex, err));
        right = accepted(f->details, hex);
    }
    if (!right) {
        const void *table;
        TUB__TRY(tub__module_open(f->ctx, "net", &table, err));
        TUB__TRY(transfer(f, table, fd, offset, hex, &right, err));
        if (!right && offset > 0) {
            tub__log_line(f->ctx, TUB_LOG_WARNING,
                          "%s: what an earlier download left does not fit: starting again",
                          f->set->file);
            TUB__TRY(transfer(f, table, fd, 0, hex, &right, err));
        }
    }
    if (!right) {
        (void)unlink(f->partial);
        return tub__fail(err, TUB_E_CHECKSUM,
                         "%s: MD5 of the download is %s, expected %s; the file was not kept: try "
                         "again, or another "
                         "mirror (data_url)",
                         f->url, hex, f->details->md5[0]);
    }
    return keep(f, fd, err);
}

/* A download that brought nothing leaves nothing. Under the lock: nobody else's bytes go. */
static void remove_empty(const fetch *f, int fd) {
    struct stat st;
    if (fstat(fd, &st) == 0 && st.st_size == 0) {
        (void)unlink(f->partial);
    }
}

static tub_status download(fetch *f, tub_error *err) {
    TUB__TRY(tub__folder_create(f->folder, err));
    int fd = -1;
    TUB__TRY(tub__lock_file(f->ctx, f->partial, 0666, f->set->file, f->url, &fd, err));
    tub_status status;
    if (tub__file_exists(f->path)) { /* the process that we waited for has done it */
        (void)unlink(f->partial);
        status = check_cached(f, err);
    } else {
        status = complete(f, fd, err);
        if (status != TUB_OK) {
            remove_empty(f, fd);
        }
    }
    close(fd); /* and the lock goes */
    return status;
}

/* The mirror's folder or the published address, with the file's name. */
static tub_status make_url(const fetch *f, const char *mirror, char **out, tub_error *err) {
    bool mirrored = mirror && mirror[0];
    if (mirrored && !strstr(mirror, "://")) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "data URL %s: give an address such as https://host/folder or "
                         "file:///folder",
                         mirror);
    }
    const char *base = mirrored ? mirror : tub__medmnist_url;
    const char *query = mirrored ? "" : tub__medmnist_query;
    size_t n = strlen(base), size = n + strlen(f->set->file) + strlen(query) + 2;
    const char *slash = n > 0 && base[n - 1] == '/' ? "" : "/";
    void *text;
    TUB__TRY(tub__alloc(&f->ctx->allocator, size, &text, err));
    snprintf(text, size, "%s%s%s%s", base, slash, f->set->file, query);
    *out = text;
    return TUB_OK;
}

static tub_status make_paths(fetch *f, const char *mirror, tub_error *err) {
    const tub_allocator *a = &f->ctx->allocator;
    char name[64];
    snprintf(name, sizeof name, "%s.part", f->set->file);
    TUB__TRY(tub__path_join(a, f->folder, f->set->file, &f->path, err));
    TUB__TRY(tub__path_join(a, f->folder, name, &f->partial, err));
    return make_url(f, mirror, &f->url, err);
}

static tub_status get(fetch *f, bool offline, char *path, size_t path_size, tub_error *err) {
    if (strlen(f->path) >= path_size) {
        return tub__fail(err, TUB_E_ARGUMENT, "the path of the cache folder is too long: %.200s…",
                         f->path);
    }
    if (tub__file_exists(f->path)) {
        TUB__TRY(check_cached(f, err));
    } else if (offline) {
        return tub__fail(err, TUB_E_NOT_FOUND, "%s is not in %s, and downloads are switched off",
                         f->set->file, f->folder);
    } else {
        const tub_status status = download(f, err);
        if (status == TUB_E_NETWORK || status == TUB_E_MODULE) {
            return tub__suffix(err, status, "; or put the file there yourself: %s", f->path);
        }
        TUB__TRY(status);
    }
    memcpy(path, f->path, strlen(f->path) + 1);
    return TUB_OK;
}

tub_status tub__fetch(tub_context *ctx, const tub_known_dataset *set,
                      const tub__known_details *details, const tub_dataset_options *options,
                      char *path, size_t path_size, tub_error *err) {
    fetch f = {.ctx = ctx, .set = set, .details = details, .folder = ctx->data_folder};
    tub_dataset_options read;
    TUB__TRY(tub__dataset_options_read(options, &read, err));
    tub_status status = make_paths(&f, read.data_url, err);
    if (status == TUB_OK) {
        status = get(&f, read.offline != 0, path, path_size, err);
    }
    if (status == TUB_E_CANCELLED) {
        ctx->stop = 0; /* it was meant for this download */
    }
    tub__free(&ctx->allocator, f.url);
    tub__free(&ctx->allocator, f.partial);
    tub__free(&ctx->allocator, f.path);
    return status;
}

tub_status tub_fetch(tub_context *ctx, const char *name, const tub_dataset_options *options,
                     char *path, size_t path_size, tub_error *err) {
    int index = tub__known_by_name(name);
    if (index < 0) {
        return tub__built_in_by_name(name) != NULL
                   ? tub__fail(err, TUB_E_NOT_FOUND, "%s is built in: there is nothing to download",
                               name)
                   : tub__known_fail(name, "no data set that can be downloaded", false, err);
    }
    size_t n;
    return tub__fetch(ctx, &tub_known_datasets(&n)[index], tub__known_details_of(index), options,
                      path, path_size, err);
}
