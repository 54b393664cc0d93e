/* SPDX-License-Identifier: Apache-2.0 */
/* Reading checkpoints of Flax, with more checks than flax.serialization has:
 *
 *   map  {key: value, …}; tuples, lists and other nodes of a tree are maps too, with keys "0", "1"
 *   array           extension 1, holding [[shape…], "float32", bytes] in MessagePack
 *   complex number  extension 2, holding [real, imaginary]
 *   numpy scalar    extension 3, an array of rank 0
 *   large array     {"__msgpack_chunked_array__": true, "shape": {"0": …}, "chunks": {"0": array, …}},
 *                   the chunks flat */
#include "formats/flax.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "formats/floats.h"
#include "formats/msgpack.h"

/* A file within the limits costs at most some 100 MB beside its bytes, whatever it claims. */
enum { DEPTH_LIMIT = 64, NAME_LIMIT = 512, LIMIT = 1 << 17 };
enum { EXT_ARRAY = 1, EXT_COMPLEX = 2, EXT_SCALAR = 3 };

static const char CHUNKED[] = "__msgpack_chunked_array__";

/* Names of numpy's types. */
static const struct element {
    const char *name;
    tub__flax_dtype dtype;
    size_t width;
} elements[] = {{"float32", TUB__FLAX_F32, 4},      {"float64", TUB__FLAX_F64, 8},
                {"float16", TUB__FLAX_F16, 2},      {"bfloat16", TUB__FLAX_BF16, 2},
                {"int8", TUB__FLAX_OTHER, 1},       {"int16", TUB__FLAX_OTHER, 2},
                {"int32", TUB__FLAX_OTHER, 4},      {"int64", TUB__FLAX_OTHER, 8},
                {"uint8", TUB__FLAX_OTHER, 1},      {"uint16", TUB__FLAX_OTHER, 2},
                {"uint32", TUB__FLAX_OTHER, 4},     {"uint64", TUB__FLAX_OTHER, 8},
                {"bool", TUB__FLAX_OTHER, 1},       {"complex64", TUB__FLAX_OTHER, 8},
                {"complex128", TUB__FLAX_OTHER, 16}};

/* A key of an open map. */
typedef struct key {
    const unsigned char *text;
    size_t size;
} key;

typedef struct parser {
    tub__mp_reader in;
    tub__flax_file *out;
    size_t leaf_room, chunk_room; /* elements that out's lists have room for */
    key *keys;                    /* of the open maps, those of the innermost last */
    size_t key_count, key_room;
    char path[NAME_LIMIT];
    size_t path_size;
    int depth;
} parser;

/* ---- Sentences: "params/cls: byte 120: …" ---- */

static tub_status with_path(const parser *p, tub_status status, tub_error *err) {
    return p->path_size == 0 || status == TUB_OK || status == TUB_E_MEMORY
               ? status
               : tub__prefix(err, status, "%.200s", p->path);
}

__attribute__((format(printf, 4, 5))) static tub_status
wrong(const parser *p, size_t place, tub_error *err, const char *format, ...) {
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return with_path(p, tub__fail(err, TUB_E_FORMAT, "byte %zu: %s", place, text), err);
}

static tub_status next(const parser *p, tub__mp_reader *in, tub__mp_head *out, tub_error *err) {
    return with_path(p, tub__mp_next(in, out, err), err);
}

static tub_status expect(const parser *p, tub__mp_reader *in, tub__mp_kind kind, const char *what,
                         tub__mp_head *out, tub_error *err) {
    TUB__TRY(next(p, in, out, err));
    return out->kind == kind ? TUB_OK
                             : wrong(p, out->place, err, "%s: expected %s, found %s", what,
                                     tub__mp_kind_name(kind), tub__mp_kind_name(out->kind));
}

/* ---- What is found ---- */

static tub_status add_chunk(parser *p, const unsigned char *data, size_t size, tub_error *err) {
    tub__flax_file *f = p->out;
    TUB__TRY(tub__alloc_room(f->allocator, (void **)&f->chunks, f->chunk_count, sizeof *f->chunks,
                             &p->chunk_room, err));
    f->chunks[f->chunk_count++] = (tub__flax_chunk){data, size};
    return TUB_OK;
}

/* Takes the leaf's facts under the present path. */
static tub_status add_leaf(parser *p, const tub__flax_leaf *leaf, tub_error *err) {
    tub__flax_file *f = p->out;
    if (f->count == LIMIT) {
        return wrong(p, leaf->place, err, "more than %d arrays and values", LIMIT);
    }
    TUB__TRY(tub__alloc_room(f->allocator, (void **)&f->leaves, f->count, sizeof *f->leaves,
                             &p->leaf_room, err));
    f->leaves[f->count] = *leaf;
    TUB__TRY(tub__alloc_string(f->allocator, p->path, &f->leaves[f->count].name, err));
    f->count++;
    return TUB_OK;
}

/* ---- Arrays ---- */

static tub_status add_dimension(const parser *p, const tub__mp_head *h, tub__flax_leaf *leaf,
                                tub_error *err) {
    if (h->negative) {
        return wrong(p, h->place, err, "shape: a dimension is negative");
    }
    if (leaf->rank == TUB__FLAX_RANK) {
        return wrong(p, h->place, err, "shape: more than %d dimensions", TUB__FLAX_RANK);
    }
    leaf->shape[leaf->rank++] = h->integer;
    return TUB_OK;
}

/* Elements of a shape; zeros are left out of the check, so that no partial product overflows for
 * anybody later. */
static bool count_elements(tub__flax_leaf *leaf) {
    uint64_t product = 1, bytes;
    bool empty = false;
    for (int i = 0; i < leaf->rank; i++) {
        const uint64_t n = leaf->shape[i];
        empty = empty || n == 0;
        if (n != 0 && __builtin_mul_overflow(product, n, &product)) {
            return false;
        }
    }
    leaf->elements = empty ? 0 : product;
    return !__builtin_mul_overflow(product, (uint64_t)16, &bytes); /* of the widest type */
}

static const struct element *element_named(const tub__mp_head *name) {
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++) {
        if (strlen(elements[i].name) == name->size &&
            memcmp(elements[i].name, name->data, name->size) == 0) {
            return &elements[i];
        }
    }
    return NULL;
}

static tub_status read_shape(const parser *p, tub__mp_reader *in, tub__flax_leaf *leaf,
                             tub_error *err) {
    tub__mp_head list, n;
    TUB__TRY(expect(p, in, TUB__MP_LIST, "shape", &list, err));
    for (size_t i = 0; i < list.count; i++) {
        TUB__TRY(expect(p, in, TUB__MP_INTEGER, "shape", &n, err));
        TUB__TRY(add_dimension(p, &n, leaf, err));
    }
    return count_elements(leaf) ? TUB_OK : wrong(p, list.place, err, "shape: its size overflows");
}

/* An extension's array; its bytes become a chunk. */
static tub_status read_array(parser *p, const tub__mp_head *extension, tub__flax_leaf *leaf,
                             tub_error *err) {
    const size_t begin = (size_t)(extension->data - p->in.bytes);
    tub__mp_reader in = {p->in.bytes, begin, begin + extension->size};
    tub__mp_head h;
    *leaf =
        (tub__flax_leaf){.place = extension->place, .chunk = p->out->chunk_count, .chunk_count = 1};
    TUB__TRY(expect(p, &in, TUB__MP_LIST, "array", &h, err));
    if (h.count != 3) {
        return wrong(p, h.place, err, "array: expected shape, type and bytes, found %zu values",
                     h.count);
    }
    TUB__TRY(read_shape(p, &in, leaf, err));
    TUB__TRY(next(p, &in, &h, err));
    const struct element *element =
        h.kind == TUB__MP_TEXT || h.kind == TUB__MP_BYTES ? element_named(&h) : NULL;
    if (element == NULL) {
        return wrong(p, h.place, err, "array: its element type '%.*s' is not known",
                     h.size > 40 ? 40 : (int)h.size, h.data == NULL ? "" : (const char *)h.data);
    }
    leaf->dtype = element->dtype;
    leaf->type = element->name;
    TUB__TRY(expect(p, &in, TUB__MP_BYTES, "array", &h, err));
    if (h.size != leaf->elements * element->width) {
        return wrong(p, h.place, err, "array: shape and %s mean %llu bytes, it has %zu",
                     element->name, (unsigned long long)(leaf->elements * element->width), h.size);
    }
    return in.place == in.end
               ? add_chunk(p, h.data, h.size, err)
               : wrong(p, in.place, err, "array: %zu bytes left over", in.end - in.place);
}

/* ---- Arrays in chunks ---- */

/* The next key must be this one. */
static tub_status expect_key(parser *p, const char *name, tub_error *err) {
    tub__mp_head h;
    TUB__TRY(expect(p, &p->in, TUB__MP_TEXT, "chunked array", &h, err));
    return strlen(name) == h.size && memcmp(name, h.data, h.size) == 0
               ? TUB_OK
               : wrong(p, h.place, err, "chunked array: expected key '%s', found '%.*s'", name,
                       h.size > 40 ? 40 : (int)h.size, (const char *)h.data);
}

/* A tuple: the keys "0", "1", … in this order. */
static tub_status expect_index(parser *p, size_t index, tub_error *err) {
    char name[24];
    snprintf(name, sizeof name, "%zu", index);
    return expect_key(p, name, err);
}

static tub_status read_chunked_shape(parser *p, tub__flax_leaf *leaf, tub_error *err) {
    tub__mp_head map, n;
    TUB__TRY(expect_key(p, "shape", err));
    TUB__TRY(expect(p, &p->in, TUB__MP_MAP, "shape", &map, err));
    for (size_t i = 0; i < map.count; i++) {
        TUB__TRY(expect_index(p, i, err));
        TUB__TRY(expect(p, &p->in, TUB__MP_INTEGER, "shape", &n, err));
        TUB__TRY(add_dimension(p, &n, leaf, err));
    }
    return count_elements(leaf) ? TUB_OK : wrong(p, map.place, err, "shape: its size overflows");
}

static tub_status read_chunk(parser *p, size_t index, tub__flax_leaf *chunk, tub_error *err) {
    tub__mp_head h;
    TUB__TRY(expect_index(p, index, err));
    TUB__TRY(expect(p, &p->in, TUB__MP_EXTENSION, "chunk", &h, err));
    if (h.type != EXT_ARRAY) {
        return wrong(p, h.place, err, "chunk: extension type %d is no array", h.type);
    }
    TUB__TRY(read_array(p, &h, chunk, err));
    return chunk->rank == 1 ? TUB_OK
                            : wrong(p, h.place, err, "chunk %zu is not flat: it has %d dimensions",
                                    index, chunk->rank);
}

static tub_status read_chunks(parser *p, tub__flax_leaf *leaf, tub_error *err) {
    tub__mp_head map;
    uint64_t sum = 0;
    TUB__TRY(expect_key(p, "chunks", err));
    TUB__TRY(expect(p, &p->in, TUB__MP_MAP, "chunks", &map, err));
    if (map.count == 0) {
        return wrong(p, map.place, err, "chunked array: it has no chunk");
    }
    leaf->chunk = p->out->chunk_count;
    leaf->chunk_count = map.count;
    for (size_t i = 0; i < map.count; i++) {
        tub__flax_leaf chunk;
        TUB__TRY(read_chunk(p, i, &chunk, err));
        if (i > 0 && leaf->type != chunk.type) {
            return wrong(p, chunk.place, err, "chunk %zu is %s, those before it %s", i, chunk.type,
                         leaf->type);
        }
        leaf->type = chunk.type;
        leaf->dtype = chunk.dtype;
        sum += chunk.elements; /* of bytes that are there: can't overflow */
    }
    return sum == leaf->elements
               ? TUB_OK
               : wrong(p, map.place, err,
                       "chunked array: its chunks have %llu elements, its shape %llu",
                       (unsigned long long)sum, (unsigned long long)leaf->elements);
}

/* The rest of a map whose first key was the mark of chunked arrays. */
static tub_status read_chunked(parser *p, size_t place, size_t count, tub_error *err) {
    tub__flax_leaf leaf = {.place = place};
    tub__mp_head mark;
    TUB__TRY(expect(p, &p->in, TUB__MP_BOOL, CHUNKED, &mark, err));
    if (count != 3 || mark.integer != 1) {
        return wrong(p, place, err, "chunked array: expected %s true, shape and chunks", CHUNKED);
    }
    TUB__TRY(read_chunked_shape(p, &leaf, err));
    TUB__TRY(read_chunks(p, &leaf, err));
    return add_leaf(p, &leaf, err);
}

/* ---- Trees ---- */

static tub_status read_value(parser *p, tub_error *err);

static tub_status push_path(parser *p, const char *text, size_t size, size_t place,
                            tub_error *err) {
    const size_t slash = p->path_size > 0;
    if (p->path_size + slash + size >= sizeof p->path) {
        return wrong(p, place, err, "the names on this way have more than %d bytes together",
                     NAME_LIMIT - 1);
    }
    if (slash) {
        p->path[p->path_size++] = '/';
    }
    memcpy(p->path + p->path_size, text, size);
    p->path_size += size;
    p->path[p->path_size] = '\0';
    return TUB_OK;
}

static void pop_path(parser *p, size_t size) {
    p->path_size = size;
    p->path[size] = '\0';
}

static tub_status read_child(parser *p, const char *name, size_t size, size_t place,
                             tub_error *err) {
    const size_t before = p->path_size;
    TUB__TRY(push_path(p, name, size, place, err));
    TUB__TRY(read_value(p, err));
    pop_path(p, before);
    return TUB_OK;
}

static int by_text(const void *left, const void *right) {
    const key *a = left, *b = right;
    const int order = memcmp(a->text, b->text, a->size < b->size ? a->size : b->size);
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

/* The keys of the map that ends here, from `first` on: each may stand once. */
static tub_status close_keys(parser *p, size_t first, size_t place, tub_error *err) {
    const size_t count = p->key_count - first;
    if (count < 2) {
        p->key_count = first;
        return TUB_OK;
    }
    key *keys = p->keys + first;
    qsort(keys, count, sizeof *keys, by_text);
    for (size_t i = 1; i < count; i++) {
        if (by_text(&keys[i - 1], &keys[i]) == 0) {
            return wrong(p, place, err, "key '%.*s' stands twice in this map",
                         keys[i].size > 60 ? 60 : (int)keys[i].size, (const char *)keys[i].text);
        }
    }
    p->key_count = first;
    return TUB_OK;
}

static tub_status read_key(parser *p, tub__mp_head *out, tub_error *err) {
    TUB__TRY(expect(p, &p->in, TUB__MP_TEXT, "key", out, err));
    if (p->key_count == LIMIT) {
        return wrong(p, out->place, err, "more than %d keys in the maps on this way", LIMIT);
    }
    TUB__TRY(tub__alloc_room(p->out->allocator, (void **)&p->keys, p->key_count, sizeof *p->keys,
                             &p->key_room, err));
    p->keys[p->key_count++] = (key){out->data, out->size};
    return TUB_OK;
}

static bool is_mark(const tub__mp_head *h) {
    return h->size == sizeof CHUNKED - 1 && memcmp(h->data, CHUNKED, h->size) == 0;
}

static tub_status read_map(parser *p, const tub__mp_head *map, tub_error *err) {
    const size_t first = p->key_count;
    for (size_t i = 0; i < map->count; i++) {
        tub__mp_head h;
        TUB__TRY(read_key(p, &h, err));
        if (is_mark(&h)) {
            p->key_count = first;
            return i == 0
                       ? read_chunked(p, map->place, map->count, err)
                       : wrong(p, h.place, err, "chunked array: %s is not its first key", CHUNKED);
        }
        TUB__TRY(read_child(p, (const char *)h.data, h.size, h.place, err));
    }
    return close_keys(p, first, map->place, err);
}

static tub_status read_list(parser *p, const tub__mp_head *list, tub_error *err) {
    for (size_t i = 0; i < list->count; i++) {
        char name[24];
        const int size = snprintf(name, sizeof name, "%zu", i);
        TUB__TRY(read_child(p, name, (size_t)size, p->in.place, err));
    }
    return TUB_OK;
}

static tub_status read_complex(parser *p, const tub__mp_head *extension, tub_error *err) {
    const size_t begin = (size_t)(extension->data - p->in.bytes);
    tub__mp_reader in = {p->in.bytes, begin, begin + extension->size};
    tub__mp_head h;
    TUB__TRY(expect(p, &in, TUB__MP_LIST, "complex number", &h, err));
    if (h.count != 2) {
        return wrong(p, h.place, err, "complex number: it has %zu parts", h.count);
    }
    for (int i = 0; i < 2; i++) {
        TUB__TRY(expect(p, &in, TUB__MP_REAL, "complex number", &h, err));
    }
    if (in.place != in.end) {
        return wrong(p, in.place, err, "complex number: %zu bytes left over", in.end - in.place);
    }
    const tub__flax_leaf leaf = {
        .dtype = TUB__FLAX_PLAIN, .type = "a complex number", .place = extension->place};
    return add_leaf(p, &leaf, err);
}

static tub_status read_extension(parser *p, const tub__mp_head *h, tub_error *err) {
    tub__flax_leaf leaf;
    if (h->type == EXT_COMPLEX) {
        return read_complex(p, h, err);
    }
    if (h->type != EXT_ARRAY && h->type != EXT_SCALAR) {
        return wrong(p, h->place, err,
                     "extension type %d is not known; Flax has 1 (array), 2 (complex number) and 3 "
                     "(scalar)",
                     h->type);
    }
    TUB__TRY(read_array(p, h, &leaf, err));
    if (h->type == EXT_SCALAR && leaf.rank != 0) {
        return wrong(p, h->place, err, "scalar: it has %d dimensions", leaf.rank);
    }
    return add_leaf(p, &leaf, err);
}

static tub_status read_nested(parser *p, const tub__mp_head *h, tub_error *err) {
    if (p->depth == DEPTH_LIMIT) {
        return wrong(p, h->place, err, "nested more than %d deep", DEPTH_LIMIT);
    }
    p->depth++;
    TUB__TRY(h->kind == TUB__MP_MAP ? read_map(p, h, err) : read_list(p, h, err));
    p->depth--;
    return TUB_OK;
}

static tub_status read_value(parser *p, tub_error *err) {
    tub__mp_head h;
    TUB__TRY(next(p, &p->in, &h, err));
    if (h.kind == TUB__MP_MAP || h.kind == TUB__MP_LIST) {
        return read_nested(p, &h, err);
    }
    if (h.kind == TUB__MP_EXTENSION) {
        return read_extension(p, &h, err);
    }
    const tub__flax_leaf leaf = {
        .dtype = TUB__FLAX_PLAIN, .type = tub__mp_kind_name(h.kind), .place = h.place};
    return add_leaf(p, &leaf, err);
}

static int by_name(const void *left, const void *right) {
    return strcmp(((const tub__flax_leaf *)left)->name, ((const tub__flax_leaf *)right)->name);
}

/* A slash in a key can make two ways look like one. */
static tub_status sort_leaves(tub__flax_file *f, tub_error *err) {
    if (f->count > 1) {
        qsort(f->leaves, f->count, sizeof *f->leaves, by_name);
    }
    for (size_t i = 1; i < f->count; i++) {
        if (by_name(&f->leaves[i - 1], &f->leaves[i]) == 0) {
            return tub__fail(err, TUB_E_FORMAT, "%.200s: byte %zu: this name stands twice",
                             f->leaves[i].name, f->leaves[i].place);
        }
    }
    return TUB_OK;
}

static tub_status parse(parser *p, tub_error *err) {
    tub__mp_head root;
    TUB__TRY(next(p, &p->in, &root, err));
    if (root.kind != TUB__MP_MAP) {
        return wrong(p, 0, err, "not a checkpoint of Flax: it begins with %s, not with a map",
                     tub__mp_kind_name(root.kind));
    }
    TUB__TRY(read_nested(p, &root, err));
    if (p->in.place != p->in.end) {
        return wrong(p, p->in.place, err, "%zu bytes left over behind the last value",
                     p->in.end - p->in.place);
    }
    return sort_leaves(p->out, err);
}

tub_status tub__flax_parse(const tub_allocator *a, const void *bytes, size_t size,
                           tub__flax_file *out, tub_error *err) {
    parser p = {.in = {bytes, 0, size}, .out = out};
    *out = (tub__flax_file){.allocator = a};
    tub_status status = parse(&p, err);
    tub__free(a, p.keys);
    if (status != TUB_OK) {
        tub__flax_close(out);
    }
    return status;
}

tub_status tub__flax_open(const tub_allocator *a, const char *path, tub__flax_file *out,
                          tub_error *err) {
    tub__map map;
    TUB__TRY(tub__map_open(path, &map, err));
    tub_status status = tub__flax_parse(a, map.data, map.size, out, err);
    if (status != TUB_OK) {
        tub__map_close(&map);
        return tub__prefix(err, status, "%s", path);
    }
    out->map = map;
    return TUB_OK;
}

void tub__flax_close(tub__flax_file *f) {
    for (size_t i = 0; i < f->count; i++) {
        tub__free(f->allocator, f->leaves[i].name);
    }
    if (f->allocator != NULL) {
        tub__free(f->allocator, f->leaves);
        tub__free(f->allocator, f->chunks);
    }
    if (f->map.data != NULL) {
        tub__map_close(&f->map);
    }
    *f = (tub__flax_file){0};
}

const tub__flax_leaf *tub__flax_find(const tub__flax_file *f, const char *name) {
    const tub__flax_leaf wanted = {.name = (char *)name}; /* only read */
    return f->count == 0 ? NULL : bsearch(&wanted, f->leaves, f->count, sizeof *f->leaves, by_name);
}

static bool float_kind(tub__flax_dtype dtype, tub__float_kind *kind, size_t *width) {
    switch (dtype) {
    case TUB__FLAX_F32:
        *kind = TUB__FLOAT32;
        *width = 4;
        return true;
    case TUB__FLAX_F64:
        *kind = TUB__FLOAT64;
        *width = 8;
        return true;
    case TUB__FLAX_F16:
    case TUB__FLAX_BF16:
        *kind = dtype == TUB__FLAX_F16 ? TUB__FLOAT16 : TUB__BFLOAT16;
        *width = 2;
        return true;
    default:
        return false;
    }
}

tub_status tub__flax_to_f32(const tub__flax_file *f, const tub__flax_leaf *leaf, float *out,
                            tub_error *err) {
    tub__float_kind kind;
    size_t width;
    if (!float_kind(leaf->dtype, &kind, &width)) {
        return tub__fail(
            err, TUB_E_SHAPE,
            "%.200s: expected floats (float32, float16, bfloat16 or float64), found %s", leaf->name,
            leaf->type);
    }
    for (size_t i = 0; i < leaf->chunk_count; i++) {
        const tub__flax_chunk *chunk = &f->chunks[leaf->chunk + i];
        tub__floats_to_f32(kind, chunk->data, chunk->size / width, out);
        out += chunk->size / width;
    }
    return TUB_OK;
}
