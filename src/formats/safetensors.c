/* SPDX-License-Identifier: Apache-2.0 */
/* Reading safetensors, with every check of the reference implementation (huggingface/safetensors,
 * tensor.rs).
 *
 *   length of the header (8 bytes, little-endian)  header: JSON object, may end in spaces  data
 *
 * {"__metadata__": {text: text}, name: {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin,
 * end]}, ...} The ranges, in order, must cover the data exactly. */
#include "formats/safetensors.h"

#include "base/error.h"
#include "formats/floats.h"
#include "formats/json.h"
#include "formats/safetensors_dtype.h"
#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8, HEADER_LIMIT = 100000000 };

static const tub__st_kind kinds[] = {{"F32", TUB__ST_F32, 32},
                                     {"F64", TUB__ST_F64, 64},
                                     {"F16", TUB__ST_F16, 16},
                                     {"BF16", TUB__ST_BF16, 16},
                                     {"I64", TUB__ST_I64, 64},
                                     {"I32", TUB__ST_I32, 32},
                                     {"U8", TUB__ST_U8, 8},
                                     {"BOOL", TUB__ST_OTHER, 8},
                                     {"I8", TUB__ST_I8, 8},
                                     {"I16", TUB__ST_OTHER, 16},
                                     {"U16", TUB__ST_OTHER, 16},
                                     {"U32", TUB__ST_OTHER, 32},
                                     {"U64", TUB__ST_OTHER, 64},
                                     {"C64", TUB__ST_OTHER, 64},
                                     {"F8_E5M2", TUB__ST_OTHER, 8},
                                     {"F8_E4M3", TUB__ST_OTHER, 8},
                                     {"F8_E8M0", TUB__ST_OTHER, 8},
                                     {"F8_E4M3FNUZ", TUB__ST_OTHER, 8},
                                     {"F8_E5M2FNUZ", TUB__ST_OTHER, 8},
                                     {"F6_E2M3", TUB__ST_OTHER, 6},
                                     {"F6_E3M2", TUB__ST_OTHER, 6},
                                     {"F4", TUB__ST_OTHER, 4}};

const tub__st_kind *tub__st_kind_named(const char *name) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

const tub__st_kind *tub__st_kind_of(tub__st_dtype dtype) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kinds[i].dtype == dtype && dtype != TUB__ST_OTHER) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* Zero dimensions are left out of the overflow check's product: no partial product can overflow for
 * anybody later. */
bool tub__st_size(const tub__st_kind *kind, tub__st_array *array) {
    uint64_t product = 1, bits;
    bool empty = false;
    for (int i = 0; i < array->rank; i++) {
        empty |= array->shape[i] == 0;
        if (array->shape[i] != 0 && __builtin_mul_overflow(product, array->shape[i], &product)) {
            return false;
        }
    }
    if (__builtin_mul_overflow(product, (uint64_t)kind->bits, &bits) || bits % 8 != 0) {
        return false;
    }
    array->elements = empty ? 0 : product;
    array->size = empty ? 0 : bits / 8;
    return true;
}

/* A whole number from 0 on, as the format wants it: 1.0 is not one. */
static tub_status get_count(const tub__json *v, const char *what, uint64_t *out, tub_error *err) {
    int64_t value;
    TUB__TRY(tub__json_to_integer(v, what, &value, err));
    if (value < 0) {
        return tub__fail(err, TUB_E_FORMAT, "%s: %lld is negative", what, (long long)value);
    }
    *out = (uint64_t)value;
    return TUB_OK;
}

static tub_status read_shape(const tub__json *entry, tub__st_array *array, tub_error *err) {
    const tub__json *shape;
    TUB__TRY(tub__json_to_array(tub__json_get(entry, "shape"), "shape", &shape, err));
    if (tub__json_size(shape) > TUB__SAFETENSORS_RANK) {
        return tub__fail(err, TUB_E_UNSUPPORTED, "shape: more than %d dimensions",
                         TUB__SAFETENSORS_RANK);
    }
    array->rank = (int)tub__json_size(shape);
    for (int i = 0; i < array->rank; i++) {
        TUB__TRY(get_count(tub__json_at(shape, (size_t)i), "shape", &array->shape[i], err));
    }
    return TUB_OK;
}

static tub_status read_array(const tub__json *entry, tub__st_array *array, tub_error *err) {
    const tub__json *offsets;
    const char *dtype;
    uint64_t end = 0;
    TUB__TRY(tub__json_to_object(entry, "entry", &entry, err));
    TUB__TRY(tub__json_get_text(entry, "dtype", &dtype, err));
    const tub__st_kind *kind = tub__st_kind_named(dtype);
    if (kind == NULL) {
        return tub__fail(err, TUB_E_FORMAT, "dtype: '%.40s' is not known", dtype);
    }
    array->dtype = kind->dtype;
    TUB__TRY(read_shape(entry, array, err));
    TUB__TRY(
        tub__json_to_array(tub__json_get(entry, "data_offsets"), "data_offsets", &offsets, err));
    if (tub__json_size(offsets) != 2 || tub__json_size(entry) != 3) {
        return tub__fail(err, TUB_E_FORMAT,
                         "expected dtype, shape and two data_offsets, and nothing else");
    }
    TUB__TRY(get_count(tub__json_at(offsets, 0), "data_offsets", &array->offset, err));
    TUB__TRY(get_count(tub__json_at(offsets, 1), "data_offsets", &end, err));
    if (!tub__st_size(kind, array)) {
        return tub__fail(err, TUB_E_FORMAT,
                         "shape: its size overflows or is no whole number of bytes");
    }
    if (end < array->offset) {
        return tub__fail(err, TUB_E_FORMAT, "data_offsets: they end before they begin");
    }
    if (end - array->offset != array->size) {
        return tub__fail(err, TUB_E_FORMAT, "shape and dtype mean %llu bytes, data_offsets %llu",
                         (unsigned long long)array->size,
                         (unsigned long long)(end - array->offset));
    }
    return TUB_OK;
}

static tub_status read_metadata(const tub__json *v, tub__st_file *f, tub_error *err) {
    const tub__json *object;
    TUB__TRY(tub__json_to_object(v, "__metadata__", &object, err));
    TUB__TRY(tub__alloc_array(f->allocator, 2 * tub__json_size(object), sizeof *f->metadata,
                              (void **)&f->metadata, err));
    for (void *it = tub__json_first(object); it != NULL; it = tub__json_next(object, it)) {
        const char *text;
        char **pair = f->metadata + 2 * f->metadata_count;
        TUB__TRY(tub__json_to_text(tub__json_value(it), "__metadata__", &text, err));
        f->metadata_count++; /* so that close frees what there is of the pair */
        TUB__TRY(tub__alloc_string(f->allocator, tub__json_key(it), &pair[0], err));
        TUB__TRY(tub__alloc_string(f->allocator, text, &pair[1], err));
    }
    return TUB_OK;
}

static tub_status read_entries(const tub__json *header, tub__st_file *f, tub_error *err) {
    TUB__TRY(tub__alloc_array(f->allocator, tub__json_size(header), sizeof *f->arrays,
                              (void **)&f->arrays, err));
    for (void *it = tub__json_first(header); it != NULL; it = tub__json_next(header, it)) {
        if (strcmp(tub__json_key(it), "__metadata__") == 0) {
            TUB__TRY(read_metadata(tub__json_value(it), f, err));
            continue;
        }
        tub__st_array *array = &f->arrays[f->count];
        tub_status status = read_array(tub__json_value(it), array, err);
        if (status != TUB_OK) {
            return tub__prefix(err, status == TUB_E_NOT_FOUND ? TUB_E_FORMAT : status, "%.200s",
                               tub__json_key(it));
        }
        TUB__TRY(tub__alloc_string(f->allocator, tub__json_key(it), &array->name, err));
        f->count++;
    }
    return TUB_OK;
}

static int by_place(const void *left, const void *right) {
    const tub__st_array *a = left, *b = right;
    if (a->offset != b->offset) {
        return a->offset < b->offset ? -1 : 1;
    }
    return (a->size > b->size) - (a->size < b->size);
}

static int by_name(const void *left, const void *right) {
    return strcmp(((const tub__st_array *)left)->name, ((const tub__st_array *)right)->name);
}

/* The ranges must follow one another without hole or overlap and end where the file ends. */
static tub_status check_cover(tub__st_file *f, uint64_t data_size, tub_error *err) {
    uint64_t end = 0;
    qsort(f->arrays, f->count, sizeof *f->arrays, by_place);
    for (size_t i = 0; i < f->count; i++) {
        const tub__st_array *array = &f->arrays[i];
        if (array->offset != end) {
            return tub__fail(err, TUB_E_FORMAT, "%.200s: its data begin at byte %llu, %s byte %llu",
                             array->name, (unsigned long long)array->offset,
                             array->offset < end ? "inside the array that ends at" : "a hole after",
                             (unsigned long long)end);
        }
        end += array->size; /* can't overflow: offset + size is an int64 of the header */
    }
    if (end != data_size) {
        return tub__fail(err, TUB_E_FORMAT,
                         "the arrays need %llu bytes of data, the file has %llu (%s)",
                         (unsigned long long)end, (unsigned long long)data_size,
                         end > data_size ? "truncated?" : "bytes left over");
    }
    qsort(f->arrays, f->count, sizeof *f->arrays, by_name);
    return TUB_OK;
}

static tub_status parse(const unsigned char *bytes, size_t size, tub__st_file *f, tub_error *err) {
    if (size < LENGTH_BYTES) {
        return tub__fail(err, TUB_E_FORMAT, "truncated: %zu bytes are no safetensors file", size);
    }
    uint64_t length;
    memcpy(&length, bytes, sizeof length);
    if (length > HEADER_LIMIT) {
        return tub__fail(
            err, TUB_E_FORMAT,
            "not a safetensors file: its header would have %llu bytes, the limit is %d",
            (unsigned long long)length, HEADER_LIMIT);
    }
    if (length > size - LENGTH_BYTES) {
        return tub__fail(err, TUB_E_FORMAT, "truncated: the header has %llu bytes, the file %zu",
                         (unsigned long long)length, size);
    }
    if (length == 0 || bytes[LENGTH_BYTES] != '{') {
        return tub__fail(err, TUB_E_FORMAT,
                         "not a safetensors file: its header does not begin with '{'");
    }
    tub__json *header;
    tub_status status =
        tub__json_parse((const char *)bytes + LENGTH_BYTES, (size_t)length, &header, err);
    if (status != TUB_OK) {
        return tub__prefix(err, status, "header");
    }
    f->data = bytes + LENGTH_BYTES + length;
    status = read_entries(header, f, err);
    tub__json_free(header);
    return status == TUB_OK ? check_cover(f, size - LENGTH_BYTES - length, err) : status;
}

tub_status tub__st_parse(const tub_allocator *a, const void *bytes, size_t size, tub__st_file *out,
                         tub_error *err) {
    *out = (tub__st_file){.allocator = a};
    tub_status status = parse(bytes, size, out, err);
    if (status != TUB_OK) {
        tub__st_close(out);
    }
    return status;
}

tub_status tub__st_open(const tub_allocator *a, const char *path, tub__st_file *out,
                        tub_error *err) {
    tub__map map;
    TUB__TRY(tub__map_open(path, &map, err));
    tub_status status = tub__st_parse(a, map.data, map.size, out, err);
    if (status != TUB_OK) {
        tub__map_close(&map);
        return tub__prefix(err, status, "%s", path);
    }
    out->map = map;
    return TUB_OK;
}

void tub__st_close(tub__st_file *f) {
    for (size_t i = 0; i < f->count; i++) {
        tub__free(f->allocator, f->arrays[i].name);
    }
    for (size_t i = 0; i < 2 * f->metadata_count; i++) {
        tub__free(f->allocator, f->metadata[i]);
    }
    if (f->allocator != NULL) {
        tub__free(f->allocator, f->arrays);
        tub__free(f->allocator, f->metadata);
    }
    if (f->map.data != NULL) {
        tub__map_close(&f->map);
    }
    *f = (tub__st_file){0};
}

const tub__st_array *tub__st_find(const tub__st_file *f, const char *name) {
    const tub__st_array key = {.name = (char *)name}; /* only read */
    return f->count == 0 ? NULL : bsearch(&key, f->arrays, f->count, sizeof *f->arrays, by_name);
}

const char *tub__st_metadata(const tub__st_file *f, const char *key) {
    for (size_t i = 0; i < f->metadata_count; i++) {
        if (strcmp(f->metadata[2 * i], key) == 0) {
            return f->metadata[2 * i + 1];
        }
    }
    return NULL;
}

tub_status tub__st_to_f32(const tub__st_file *f, const tub__st_array *array, float *out,
                          tub_error *err) {
    static const struct {
        tub__st_dtype dtype;
        tub__float_kind kind;
    } float_kinds[] = {{TUB__ST_F32, TUB__FLOAT32},
                       {TUB__ST_F64, TUB__FLOAT64},
                       {TUB__ST_F16, TUB__FLOAT16},
                       {TUB__ST_BF16, TUB__BFLOAT16}};
    for (size_t i = 0; i < sizeof float_kinds / sizeof *float_kinds; i++) {
        if (float_kinds[i].dtype == array->dtype) {
            tub__floats_to_f32(float_kinds[i].kind, f->data + array->offset,
                               (size_t)array->elements, out);
            return TUB_OK;
        }
    }
    return tub__fail(err, TUB_E_SHAPE,
                     "%.200s: its elements are not floats (F32, F16, BF16 or F64)", array->name);
}
