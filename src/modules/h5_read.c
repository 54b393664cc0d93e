/* SPDX-License-Identifier: Apache-2.0 */
/* Walks through an HDF5 file and passes its arrays on.
 *
 * Only what Keras writes, and what h5py makes of the same calls, is taken: hard links, plain numbers,
 * and bytes that lie in the file. The other ways of the format lead elsewhere or nowhere. */
#include "base/error.h"
#include "base/wire.h"
#include "modules/h5.h"
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { DEPTH_LIMIT = 16, OBJECT_LIMIT = 1 << 17, TEXT_LIMIT = 1024 };

/* gzip packs at most 1032 : 1. */
enum { PACKED_RATIO = 1032, PACKED_SLACK = 4096 };

typedef struct walk {
    int output;
    size_t left; /* bytes that may still be passed on */
    long objects;
    int depth;
    char path[TUB__WIRE_NAME]; /* of the object at hand; "" at the top */
    tub_error *err;
    tub_status status; /* why the walk was broken off */
} walk;

static tub_status failed(const walk *w, const char *what) {
    return tub__h5_failed(w->err, w->path, what);
}

/* ---- The bytes of the file, without a file: HDF5 is given the map for its own. ---- */

typedef struct image {
    void *map;
    size_t size;
    bool kept; /* HDF5 could not close the file, and may still look at the map */
} image;

static void *image_malloc(size_t size, H5FD_file_image_op_t op, void *user) {
    const image *i = user;
    (void)op;
    return size == i->size ? i->map : NULL;
}

static void *image_copy(void *to, const void *from, size_t size, H5FD_file_image_op_t op,
                        void *user) {
    (void)from, (void)size, (void)op, (void)user;
    return to; /* they are the same */
}

static void *image_realloc(void *block, size_t size, H5FD_file_image_op_t op, void *user) {
    (void)block, (void)size, (void)op, (void)user;
    return NULL; /* nothing is written */
}

static herr_t image_free(void *block, H5FD_file_image_op_t op, void *user) {
    (void)block, (void)op, (void)user;
    return 0;
}

static void *user_copy(void *user) {
    return user;
}

static herr_t user_free(void *user) {
    (void)user;
    return 0;
}

static tub_status open_image(const walk *w, image *i, hid_t *file) {
    H5FD_file_image_callbacks_t calls = {
        image_malloc, image_copy, image_realloc, image_free, user_copy, user_free, i};
    hid_t plan = H5Pcreate(H5P_FILE_ACCESS);
    *file = H5I_INVALID_HID;
    if (plan >= 0 && H5Pset_fapl_core(plan, 1 << 16, 0) >= 0 &&
        H5Pset_file_image_callbacks(plan, &calls) >= 0 &&
        H5Pset_file_image(plan, i->map, i->size) >= 0) {
        *file = H5Fopen("image", H5F_ACC_RDONLY, plan);
    }
    tub_status status = *file < 0 ? failed(w, "it is no HDF5 file, or not all of one") : TUB_OK;
    H5Pclose(plan);
    return status;
}

/* ---- Datasets ---- */

/* What the file has of an array, and how it is passed on. */
typedef struct plan {
    hid_t memory_type;
    size_t file_width; /* bytes of an element in the file */
    bool bfloat16;
    tub__wire_record record;
} plan;

/* What the reader of the records takes for a name or a text. */
static bool is_line(const char *name) {
    for (; *name != '\0'; name++) {
        if ((unsigned char)*name < 0x20 || *name == 0x7f) {
            return false;
        }
    }
    return true;
}

/* An attribute that is one line of text of variable length, as h5py writes it. */
static bool read_text(hid_t object, const char *name, char out[TEXT_LIMIT]) {
    if (H5Aexists(object, name) <= 0) {
        return false;
    }
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    char *text = NULL;
    bool line = H5Tis_variable_str(type) > 0 && H5Sget_simple_extent_npoints(space) == 1 &&
                H5Aread(attribute, type, &text) >= 0 && text != NULL &&
                strnlen(text, TEXT_LIMIT) < TEXT_LIMIT && is_line(text);
    if (line) {
        memcpy(out, text, strlen(text) + 1);
    }
    H5free_memory(text);
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
    return line;
}

/* Keras stores bfloat16 as two bytes without a meaning, and says it in an attribute. */
static bool says_bfloat16(hid_t dataset) {
    char text[TEXT_LIMIT];
    return read_text(dataset, "dtype", text) && strcmp(text, "bfloat16") == 0;
}

static tub_status plan_type(const walk *w, hid_t dataset, plan *p) {
    hid_t type = H5Dget_type(dataset);
    p->file_width = H5Tget_size(type);
    /* 0: of a damaged type, which is none. */
    const H5T_class_t class = p->file_width > 0 ? H5Tget_class(type) : H5T_NO_CLASS;
    H5Tclose(type);
    p->bfloat16 = class == H5T_OPAQUE && p->file_width == 2 && says_bfloat16(dataset);
    if (class == H5T_INTEGER && p->file_width <= 8) {
        p->record.code = TUB__WIRE_I64;
        p->memory_type = H5T_NATIVE_INT64;
    } else if (p->bfloat16 || (class == H5T_FLOAT && p->file_width <= 4)) {
        p->record.code = TUB__WIRE_F32;
        p->memory_type = H5T_NATIVE_FLOAT;
    } else if (class == H5T_FLOAT && p->file_width <= 8) {
        p->record.code = TUB__WIRE_F64;
        p->memory_type = H5T_NATIVE_DOUBLE;
    } else {
        return tub__fail(w->err, TUB_E_UNSUPPORTED,
                         "%.300s: its elements are no plain numbers of at most 64 bits", w->path);
    }
    return TUB_OK;
}

static tub_status plan_shape(const walk *w, hid_t dataset, plan *p) {
    hid_t space = H5Dget_space(dataset);
    const H5S_class_t class = H5Sget_simple_extent_type(space);
    const int rank = H5Sget_simple_extent_ndims(space);
    hsize_t shape[H5S_MAX_RANK] = {0};
    const bool sound = (class == H5S_SCALAR || class == H5S_SIMPLE) && rank >= 0 &&
                       rank <= TUB__WIRE_RANK &&
                       H5Sget_simple_extent_dims(space, shape, NULL) == rank;
    H5Sclose(space);
    if (!sound) {
        return tub__fail(w->err, TUB_E_FORMAT, "%.300s: it has no shape of at most %d dimensions",
                         w->path, TUB__WIRE_RANK);
    }
    p->record.rank = rank;
    p->record.elements = 1;
    p->record.bytes = tub__wire_size_of((tub__wire_type)p->record.code);
    for (int i = 0; i < rank; i++) {
        p->record.shape[i] = shape[i];
        if (__builtin_mul_overflow(p->record.elements, shape[i], &p->record.elements) ||
            __builtin_mul_overflow(p->record.bytes, shape[i], &p->record.bytes)) {
            return tub__fail(w->err, TUB_E_FORMAT, "%.300s: its size does not fit into 64 bits",
                             w->path);
        }
    }
    return TUB_OK;
}

static tub_status check_filters(const walk *w, hid_t properties) {
    const int count = H5Pget_nfilters(properties);
    for (int i = 0; i < count; i++) {
        unsigned flags, config;
        size_t values = 0;
        const H5Z_filter_t filter =
            H5Pget_filter2(properties, (unsigned)i, &flags, &values, NULL, 0, NULL, &config);
        if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE &&
            filter != H5Z_FILTER_FLETCHER32) {
            return tub__fail(w->err, TUB_E_UNSUPPORTED,
                             "%.300s: it is packed by filter %d; gzip, shuffle and fletcher32 are "
                             "read",
                             w->path, (int)filter);
        }
    }
    return TUB_OK;
}

/* Its bytes lie in this very file, as many as it claims to have. */
static tub_status check_storage(const walk *w, hid_t dataset, const plan *p) {
    hid_t properties = H5Dget_create_plist(dataset);
    const H5D_layout_t layout = H5Pget_layout(properties);
    const int elsewhere = H5Pget_external_count(properties);
    tub_status status = check_filters(w, properties);
    H5Pclose(properties);
    TUB__TRY(status);
    if (elsewhere != 0 ||
        (layout != H5D_COMPACT && layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED)) {
        return tub__fail(w->err, TUB_E_FORMAT,
                         "%.300s: its bytes lie in other files, which are not opened", w->path);
    }
    const hsize_t stored = H5Dget_storage_size(dataset),
                  claimed = p->record.elements * p->file_width,
                  most = layout == H5D_CHUNKED ? stored * PACKED_RATIO + PACKED_SLACK : stored;
    if (stored > (hsize_t)1 << 50 || claimed > most ||
        claimed / p->file_width != p->record.elements) {
        return tub__fail(w->err, TUB_E_FORMAT,
                         "%.300s: it claims %llu elements of %zu bytes, but the file stores %llu "
                         "bytes for it",
                         w->path, (unsigned long long)p->record.elements, p->file_width,
                         (unsigned long long)stored);
    }
    if (p->record.bytes > w->left) {
        return tub__fail(w->err, TUB_E_FORMAT,
                         "%.300s: with it the arrays take many times the size of the file",
                         w->path);
    }
    return TUB_OK;
}

/* The upper half of a float32 each, widened in place from the end on. */
static void widen(void *values, size_t n) {
    unsigned char *bytes = values;
    for (size_t i = n; i-- > 0;) {
        const unsigned char two[2] = {bytes[2 * i], bytes[2 * i + 1]};
        memset(bytes + 4 * i, 0, 2);
        memcpy(bytes + 4 * i + 2, two, 2);
    }
}

static bool read_elements(hid_t dataset, const plan *p, void *values) {
    if (!p->bfloat16) {
        return H5Dread(dataset, p->memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0;
    }
    hid_t type = H5Dget_type(dataset);
    const bool done = H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0;
    H5Tclose(type);
    widen(values, p->record.elements);
    return done;
}

static tub_status pass_array(walk *w, hid_t dataset) {
    plan p = {.record = {.kind = TUB__WIRE_ARRAY, .name = w->path}};
    TUB__TRY(plan_type(w, dataset, &p));
    TUB__TRY(plan_shape(w, dataset, &p));
    TUB__TRY(check_storage(w, dataset, &p));
    void *values = malloc(p.record.bytes + 1);
    if (values == NULL) {
        return tub__fail(w->err, TUB_E_MEMORY, "%.300s: no memory for %zu bytes", w->path,
                         p.record.bytes);
    }
    p.record.data = values;
    tub_status status = read_elements(dataset, &p, values)
                            ? tub__wire_put(w->output, &p.record, w->err)
                            : failed(w, "its elements can't be read");
    free(values);
    w->left -= p.record.bytes;
    return status;
}

/* ---- Groups ---- */

static tub_status pass_name(walk *w, hid_t group) {
    char text[TEXT_LIMIT];
    return w->path[0] != '\0' && read_text(group, "name", text)
               ? tub__wire_put_text(w->output, w->path, text, w->err)
               : TUB_OK;
}

static herr_t visit(hid_t group, const char *name, const H5L_info_t *link, void *user);

static tub_status pass_group(walk *w, hid_t group) {
    hsize_t next = 0;
    TUB__TRY(pass_name(w, group));
    if (w->depth == DEPTH_LIMIT) {
        return tub__fail(w->err, TUB_E_FORMAT, "%.300s: groups lie more than %d deep in each other",
                         w->path, DEPTH_LIMIT);
    }
    w->depth++;
    const herr_t code = H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, &next, visit, w);
    w->depth--;
    return code < 0 && w->status == TUB_OK ? failed(w, "its members can't be listed") : w->status;
}

static tub_status pass_object(walk *w, hid_t group, const char *name) {
    hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    if (object < 0) {
        return failed(w, "it can't be opened");
    }
    const H5I_type_t type = H5Iget_type(object);
    tub_status status;
    if (type == H5I_GROUP) {
        status = pass_group(w, object);
    } else if (type == H5I_DATASET) {
        status = pass_array(w, object);
    } else {
        status = tub__fail(w->err, TUB_E_FORMAT, "%.300s: it is neither group nor array", w->path);
    }
    H5Oclose(object);
    return status;
}

static tub_status pass_member(walk *w, hid_t group, const char *name, const H5L_info_t *link) {
    if (++w->objects > OBJECT_LIMIT) {
        return tub__fail(w->err, TUB_E_FORMAT, "more than %d objects are refused", OBJECT_LIMIT);
    }
    if (link->type != H5L_TYPE_HARD) {
        return tub__fail(w->err, TUB_E_FORMAT,
                         "%.300s: it is a link to another %s, which is not followed", w->path,
                         link->type == H5L_TYPE_SOFT ? "place" : "file");
    }
    return pass_object(w, group, name);
}

static herr_t visit(hid_t group, const char *name, const H5L_info_t *link, void *user) {
    walk *w = user;
    if (!is_line(name)) {
        w->status = tub__fail(w->err, TUB_E_FORMAT, "an object's name has control characters");
        return -1;
    }
    const size_t length = strlen(w->path), room = sizeof w->path - length;
    const int size = snprintf(w->path + length, room, "%s%s", length > 0 ? "/" : "", name);
    w->status = size > 0 && (size_t)size < room
                    ? pass_member(w, group, name, link)
                    : tub__fail(w->err, TUB_E_FORMAT, "the name of an object is too long");
    w->path[length] = '\0';
    return w->status == TUB_OK ? 0 : -1;
}

static tub_status read_image(image *i, int output, size_t most, tub_error *err) {
    walk w = {.output = output, .left = most, .err = err};
    hid_t file;
    TUB__TRY(open_image(&w, i, &file));
    hid_t top = H5Gopen2(file, "/", H5P_DEFAULT);
    tub_status status;
    if (top < 0) {
        status = failed(&w, "it has no top group");
    } else if (H5Aexists(top, "layer_names") > 0 ||
               H5Lexists(top, "model_weights", H5P_DEFAULT) > 0) {
        status = tub__fail(err, TUB_E_UNSUPPORTED,
                           "it is of Keras' older HDF5 format: load it with Keras, and save it as "
                           ".keras or .weights.h5");
    } else {
        status = pass_group(&w, top);
    }
    H5Gclose(top);
    i->kept = H5Fclose(file) < 0;
    return i->kept && status == TUB_OK ? failed(&w, "it is damaged: it can't be closed") : status;
}

tub_status tub__h5_read(int input, int output, size_t most, tub_error *err) {
    const off_t size = lseek(input, 0, SEEK_END);
    if (size <= 0) {
        return tub__fail(err, TUB_E_FORMAT, "it is empty");
    }
    image i = {.size = (size_t)size};
    i.map = mmap(NULL, i.size, PROT_READ, MAP_PRIVATE, input, 0);
    if (i.map == MAP_FAILED) {
        return tub__fail_errno(err, errno, "a map of %zu bytes", i.size);
    }
    tub_status status = read_image(&i, output, most, err);
    if (!i.kept) {
        munmap(i.map, i.size);
    }
    return status;
}
