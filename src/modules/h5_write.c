/* SPDX-License-Identifier: Apache-2.0 */
/* Makes an HDF5 file in memory, as h5py does for Keras: the oldest form of the format, contiguous
 * arrays, names as attributes of variable length in UTF-8. */
#include "base/error.h"
#include "base/wire.h"
#include "modules/h5.h"
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct maker {
    hid_t file, parents /* made when they are missing */, untimed;
    tub_error *err;
} maker;

static tub_status put_array(const maker *m, const tub__wire_record *r) {
    const hid_t types[TUB__WIRE_TYPES] = {[TUB__WIRE_U8] = H5T_STD_U8LE,
                                          [TUB__WIRE_I64] = H5T_STD_I64LE,
                                          [TUB__WIRE_F32] = H5T_IEEE_F32LE,
                                          [TUB__WIRE_F64] = H5T_IEEE_F64LE};
    hsize_t shape[TUB__WIRE_RANK];
    for (int i = 0; i < r->rank; i++) {
        shape[i] = r->shape[i];
    }
    hid_t space = r->rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(r->rank, shape, NULL);
    hid_t set =
        H5Dcreate2(m->file, r->name, types[r->code], space, m->parents, m->untimed, H5P_DEFAULT);
    const bool done = H5Dwrite(set, types[r->code], H5S_ALL, H5S_ALL, H5P_DEFAULT, r->data) >= 0;
    tub_status status = done ? TUB_OK : tub__h5_failed(m->err, r->name, "it can't be written");
    H5Dclose(set);
    H5Sclose(space);
    return status;
}

static tub_status put_name(const maker *m, const tub__wire_record *r) {
    const char *text = r->data;
    hid_t group = H5Gcreate2(m->file, r->name, m->parents, H5P_DEFAULT, H5P_DEFAULT);
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    hid_t attribute = H5Acreate2(group, "name", type, space, H5P_DEFAULT, H5P_DEFAULT);
    const bool done = H5Awrite(attribute, type, &text) >= 0;
    tub_status status = done ? TUB_OK : tub__h5_failed(m->err, r->name, "it can't be written");
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
    H5Gclose(group);
    return status;
}

static tub_status put_all(const maker *m, tub__wire_bytes bytes) {
    tub__wire_record r;
    for (;;) {
        TUB__TRY(tub__wire_next(&bytes, &r, m->err));
        if (r.kind == TUB__WIRE_END) {
            return TUB_OK;
        }
        TUB__TRY(r.kind == TUB__WIRE_ARRAY ? put_array(m, &r) : put_name(m, &r));
    }
}

static tub_status pass_file(const maker *m, int output) {
    const ssize_t size =
        H5Fflush(m->file, H5F_SCOPE_GLOBAL) >= 0 ? H5Fget_file_image(m->file, NULL, 0) : -1;
    void *image = size > 0 ? malloc((size_t)size) : NULL;
    tub_status status;
    if (image == NULL || H5Fget_file_image(m->file, image, (size_t)size) != size) {
        status = tub__h5_failed(m->err, "", "the file can't be made");
    } else {
        status = tub__wire_put(output,
                               &(tub__wire_record){.kind = TUB__WIRE_ARRAY,
                                                   .code = TUB__WIRE_U8,
                                                   .rank = 1,
                                                   .shape = {(uint64_t)size},
                                                   .name = "file",
                                                   .data = image,
                                                   .bytes = (size_t)size},
                               m->err);
    }
    free(image);
    return status;
}

static tub_status make_file(tub__wire_bytes bytes, int output, tub_error *err) {
    maker m = {.parents = H5Pcreate(H5P_LINK_CREATE),
               .untimed = H5Pcreate(H5P_DATASET_CREATE),
               .err = err};
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_create_intermediate_group(m.parents, 1);
    H5Pset_obj_track_times(m.untimed, false); /* the same arrays give the same bytes */
    H5Pset_fapl_core(access, bytes.left / 8 + 4096, false);
    m.file = H5Fcreate("image", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    tub_status status =
        m.file < 0 ? tub__h5_failed(err, "", "the file can't be made") : put_all(&m, bytes);
    if (status == TUB_OK) {
        status = pass_file(&m, output);
    }
    H5Fclose(m.file);
    H5Pclose(access);
    H5Pclose(m.untimed);
    H5Pclose(m.parents);
    return status;
}

tub_status tub__h5_write(int input, int output, tub_error *err) {
    const off_t size = lseek(input, 0, SEEK_END);
    void *map = size > 0 ? mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, input, 0) : MAP_FAILED;
    if (map == MAP_FAILED) {
        return tub__fail(err, TUB_E_MEMORY, "a map of %lld bytes", (long long)size);
    }
    tub_status status = make_file((tub__wire_bytes){map, (size_t)size}, output, err);
    munmap(map, (size_t)size);
    return status;
}
