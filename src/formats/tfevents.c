/* SPDX-License-Identifier: Apache-2.0 */
/* Event files: their names, the frame around each record, and appending. */
#include "formats/tfevents.h"

#include "base/error.h"
#include "base/file.h"
#include "base/module.h"
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { HEAD = 12, TAIL = 4 };

uint32_t tub__crc32c(const void *data, size_t size) {
    /* Four bits at a time: remainders of their sixteen values by the reversed polynomial 0x82f63b78. */
    static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
                                       0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
                                       0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                       0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    const unsigned char *byte = data;
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= byte[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

uint32_t tub__crc32c_masked(uint32_t crc) {
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void put_u32(unsigned char *to, uint32_t value) {
    for (int i = 0; i < 4; i++) {
        to[i] = (unsigned char)(value >> 8 * i);
    }
}

static void put_u64(unsigned char *to, uint64_t value) {
    put_u32(to, (uint32_t)value);
    put_u32(to + 4, (uint32_t)(value >> 32));
}

static tub_status put_record(tub__tfevents *e, const void *data, size_t size, tub_error *err) {
    const size_t all = HEAD + size + TAIL;
    if (e->size + all > e->capacity) {
        const size_t capacity = 2 * (e->size + all);
        TUB__TRY(tub__alloc_grow(e->allocator, &e->bytes, e->size, capacity, err));
        e->capacity = capacity;
    }
    unsigned char *to = (unsigned char *)e->bytes + e->size;
    put_u64(to, size);
    put_u32(to + 8, tub__crc32c_masked(tub__crc32c(to, 8)));
    memcpy(to + HEAD, data, size);
    put_u32(to + HEAD + size, tub__crc32c_masked(tub__crc32c(data, size)));
    e->size += all;
    return TUB_OK;
}

tub_status tub__tfevents_put(tub__tfevents *e, const tub__tfevent *event, tub_error *err) {
    unsigned char *bytes;
    size_t size;
    TUB__TRY(e->module->encode(event, &bytes, &size, err));
    const tub_status status = put_record(e, bytes, size, err);
    e->module->release(bytes);
    return status;
}

tub_status tub__tfevents_flush(tub__tfevents *e, tub_error *err) {
    if (e->size > 0) {
        TUB__TRY(tub__file_append_soon(e->path, e->bytes, e->size, err));
        e->size = 0;
    }
    return TUB_OK;
}

/* The seconds of an event file's name; false where it is none. */
static bool read_name(const char *name, int64_t *seconds) {
    int end = 0;
    return sscanf(name, TUB__TFEVENTS_BEGIN "%10" SCNd64 TUB__TFEVENTS_END "%n", seconds, &end) ==
               1 &&
           end > 0 && name[end] == '\0';
}

bool tub__tfevents_is_name(const char *name) {
    int64_t seconds;
    return read_name(name, &seconds);
}

/* The latest seconds of the folder's event files; -1: there are none. */
static tub_status find_latest(const char *folder, int64_t *latest, tub_error *err) {
    DIR *d = opendir(folder);
    if (d == NULL) {
        return tub__fail_errno(err, errno, "%s", folder);
    }
    *latest = -1;
    for (struct dirent *entry = readdir(d); entry != NULL; entry = readdir(d)) {
        int64_t seconds;
        if (read_name(entry->d_name, &seconds) && seconds > *latest) {
            *latest = seconds;
        }
    }
    closedir(d);
    return TUB_OK;
}

/* Where the clock was set back, or two sessions begin in one second, the name is not the time. */
static tub_status choose_path(tub__tfevents *e, const char *folder, double wall_time, bool *others,
                              tub_error *err) {
    int64_t latest = -1, seconds = wall_time > 0 && wall_time < 9e9 ? (int64_t)wall_time : 0;
    char name[64];
    TUB__TRY(find_latest(folder, &latest, err));
    *others = latest >= 0;
    seconds = seconds > latest ? seconds : latest + 1;
    snprintf(name, sizeof name, TUB__TFEVENTS_BEGIN "%010" PRId64 TUB__TFEVENTS_END, seconds);
    return tub__path_join(e->allocator, folder, name, &e->path, err);
}

tub_status tub__tfevents_create(tub_context *ctx, const char *folder, double wall_time,
                                tub__tfevents *out, bool *others, tub_error *err) {
    tub__tfevents e = {.allocator = &ctx->allocator};
    const void *table = NULL;
    *out = (tub__tfevents){0};
    TUB__TRY(tub__module_open(ctx, "events", &table, err));
    e.module = table;
    tub_status status = choose_path(&e, folder, wall_time, others, err);
    if (status == TUB_OK) {
        const tub__tfevent first = {.wall_time = wall_time, .file_version = "brain.Event:2"};
        status = tub__tfevents_put(&e, &first, err);
    }
    if (status != TUB_OK) {
        tub__tfevents_close(&e);
        return status;
    }
    *out = e;
    return TUB_OK;
}

void tub__tfevents_close(tub__tfevents *e) {
    if (e->allocator != NULL) {
        tub__free(e->allocator, e->path);
        tub__free(e->allocator, e->bytes);
    }
    *e = (tub__tfevents){0};
}
