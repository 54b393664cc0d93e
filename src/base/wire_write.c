/* SPDX-License-Identifier: Apache-2.0 */
/* Records of named arrays, written to a descriptor. */
#include "base/error.h"
#include "base/file_parts.h"
#include "base/wire_head.h"
#include <assert.h>
#include <errno.h>
#include <string.h>

static tub_status put_bytes(int fd, const void *data, size_t size, tub_error *err) {
    return tub__write_fully(fd, data, size)
               ? TUB_OK
               : tub__fail_errno(err, errno, "a result of %zu bytes can't be passed on", size);
}

static tub_status put_filled(int fd, const void *data, size_t size, tub_error *err) {
    static const char zeros[8];
    TUB__TRY(put_bytes(fd, data, size, err));
    return put_bytes(fd, zeros, -size % 8, err);
}

tub_status tub__wire_put(int fd, const tub__wire_record *r, tub_error *err) {
    tub__wire_head h = {.magic = TUB__WIRE_MAGIC,
                        .kind = r->kind,
                        .code = (uint64_t)r->code,
                        .rank = (uint64_t)r->rank,
                        .name_bytes = strlen(r->name) + 1,
                        .bytes = r->bytes};
    assert(h.name_bytes <= TUB__WIRE_NAME && r->rank <= TUB__WIRE_RANK);
    memcpy(h.shape, r->shape, (size_t)r->rank * sizeof *h.shape);
    TUB__TRY(put_bytes(fd, &h, sizeof h, err));
    TUB__TRY(put_filled(fd, r->name, h.name_bytes, err));
    return put_filled(fd, r->data, r->bytes, err);
}

tub_status tub__wire_put_text(int fd, const char *name, const char *text, tub_error *err) {
    return tub__wire_put(
        fd,
        &(tub__wire_record){
            .kind = TUB__WIRE_TEXT, .name = name, .data = text, .bytes = strlen(text) + 1},
        err);
}

tub_status tub__wire_put_error(int fd, const tub_error *error) {
    return tub__wire_put(
        fd, &(tub__wire_record){.kind = TUB__WIRE_ERROR, .code = error->status, .name = error->message},
        NULL);
}

tub_status tub__wire_put_end(int fd, tub_error *err) {
    return tub__wire_put(fd, &(tub__wire_record){.kind = TUB__WIRE_END, .name = ""}, err);
}
