/* SPDX-License-Identifier: Apache-2.0 */
/* HDF5 files: reading and writing by a worker process. */
#include "formats/hdf5.h"

#include "base/error.h"
#include "base/file_parts.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Arrays may take so many times the file: float16 is widened, and moments that are all zero pack
 * well. What the library needs beside them. */
enum { UNPACKED = 8 };
static const size_t UNPACKED_MORE = (size_t)64 << 20, LIBRARY = (size_t)256 << 20,
                    BYTES_PER_SECOND = (size_t)10 << 20, SIZE_LIMIT = (size_t)1 << 40;
enum { SECONDS = 20 };

/* ---- Reading ---- */

tub_status tub__h5_open_loaded(tub_context *ctx, int fd, tub__h5_file *out, tub_error *err) {
    struct stat st;
    tub__map answer;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return tub__fail(err, TUB_E_IO, "is not a file");
    }
    const size_t size = (size_t)st.st_size;
    if (size > SIZE_LIMIT) {
        return tub__fail(err, TUB_E_RANGE, "has %zu bytes, which is too large", size);
    }
    const size_t most = UNPACKED_MORE + UNPACKED * size;
    const tub__worker_job job = {.module = "hdf5",
                                 .verb = "read",
                                 .input = fd,
                                 .memory = LIBRARY + size + most,
                                 .output = most,
                                 .seconds = (unsigned)(SECONDS + size / BYTES_PER_SECOND)};
    TUB__TRY(tub__worker_run(ctx, &job, &answer, err));
    return tub__h5_parse(&ctx->allocator, answer, out, err);
}

tub_status tub__h5_open(tub_context *ctx, const char *path, tub__h5_file *out, tub_error *err) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return tub__fail_errno(err, errno, "%s", path);
    }
    tub_status status = tub__h5_open_loaded(ctx, fd, out, err);
    close(fd);
    return status == TUB_OK ? TUB_OK : tub__prefix(err, status, "%s", path);
}

tub_status tub__h5_load(const void *bytes, size_t size, int *fd, tub_error *err) {
    TUB__TRY(tub__worker_file(fd, err));
    if (tub__write_fully(*fd, bytes, size)) {
        return TUB_OK;
    }
    tub_status status = tub__fail_errno(err, errno, "%zu bytes in memory", size);
    close(*fd);
    return status;
}

tub_status tub__h5_open_memory(tub_context *ctx, const void *bytes, size_t size, tub__h5_file *out,
                               tub_error *err) {
    int fd;
    TUB__TRY(tub__h5_load(bytes, size, &fd, err));
    tub_status status = tub__h5_open_loaded(ctx, fd, out, err);
    close(fd);
    return status;
}

/* ---- Writing ---- */

void tub__h5_start(tub__h5_writer *w) {
    *w = (tub__h5_writer){.fd = -1};
    if (tub__worker_file(&w->fd, &w->error) != TUB_OK) {
        w->fd = -1;
    }
}

static bool sound(const tub__h5_writer *w) {
    return w->error.status == TUB_OK;
}

void tub__h5_put_group(tub__h5_writer *w, const char *path, const char *name) {
    if (sound(w)) {
        (void)!tub__wire_put_text(w->fd, path, name, &w->error);
    }
}

void tub__h5_put(tub__h5_writer *w, const tub__h5_array *array) {
    tub__wire_record r = {.kind = TUB__WIRE_ARRAY,
                          .code = (int)array->type,
                          .rank = array->rank,
                          .name = array->name,
                          .data = array->data};
    memcpy(r.shape, array->shape, sizeof r.shape);
    r.bytes = tub__wire_size_of((tub__wire_type)array->type);
    for (int i = 0; i < array->rank; i++) {
        r.bytes *= (size_t)array->shape[i];
    }
    if (sound(w)) {
        (void)!tub__wire_put(w->fd, &r, &w->error);
    }
}

void tub__h5_discard(tub__h5_writer *w) {
    if (w->fd >= 0) {
        close(w->fd);
    }
    w->fd = -1;
}

/* The one record of bytes that a written file is. */
static tub_status take_file(tub__map answer, const void **bytes, size_t *size, tub_error *err) {
    tub__wire_bytes left = {answer.data, answer.size};
    tub__wire_record r;
    TUB__TRY(tub__wire_next(&left, &r, err));
    if (r.kind != TUB__WIRE_ARRAY || r.code != TUB__WIRE_U8) {
        return tub__fail(err, TUB_E_FORMAT, "what the worker process sent is no file");
    }
    *bytes = r.data;
    *size = r.bytes;
    return tub__wire_next(&left, &r, err);
}

static tub_status write_file(tub_context *ctx, int fd, tub__map *answer, tub_error *err) {
    TUB__TRY(tub__wire_put_end(fd, err));
    const off_t end = lseek(fd, 0, SEEK_CUR);
    if (end < 0) {
        return tub__fail_errno(err, errno, "a file in memory");
    }
    const size_t size = (size_t)end;
    /* The file as it grows, its image and the answer. */
    const tub__worker_job job = {.module = "hdf5",
                                 .verb = "write",
                                 .input = fd,
                                 .memory = LIBRARY + 6 * size,
                                 .output = UNPACKED_MORE + 2 * size,
                                 .seconds = (unsigned)(SECONDS + size / BYTES_PER_SECOND)};
    return tub__worker_run(ctx, &job, answer, err);
}

tub_status tub__h5_finish(tub_context *ctx, tub__h5_writer *w, tub__map *file, const void **bytes,
                          size_t *size, tub_error *err) {
    tub_status status = w->error.status;
    if (status != TUB_OK) {
        if (err != NULL) {
            *err = w->error;
        }
    } else {
        status = write_file(ctx, w->fd, file, err);
        if (status == TUB_OK) {
            status = take_file(*file, bytes, size, err);
            if (status != TUB_OK) {
                tub__map_close(file);
            }
        }
    }
    tub__h5_discard(w);
    return status;
}
