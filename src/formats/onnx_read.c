/* SPDX-License-Identifier: Apache-2.0 */
/* The protobuf fields of an ONNX file, one message after another. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "formats/onnx.h"

/* Bytes of a message that are still to be read. */
typedef struct cursor {
    const unsigned char *at, *end;
} cursor;

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LENGTH = 2, WIRE_32 = 5 };

typedef struct field {
    uint64_t number;
    int wire;
    uint64_t value; /* of a varint or of fixed size */
    cursor bytes;   /* of a length */
} field;

typedef struct reader {
    const tub_allocator *allocator;
    tub__onnx_graph *graph;
    tub_error *err;
} reader;

/* ---- Fields ---- */

static tub_status damaged(const reader *r, const char *what) {
    return tub__fail(r->err, TUB_E_FORMAT, "no ONNX file, or a damaged one: %s", what);
}

static tub_status unsupported(const reader *r, const char *what) {
    return tub__fail(r->err, TUB_E_UNSUPPORTED, "the graph has %s, which is not read", what);
}

static bool read_varint(cursor *c, uint64_t *out) {
    *out = 0;
    for (unsigned shift = 0; shift < 64 && c->at < c->end; shift += 7) {
        const uint64_t byte = *c->at++;
        *out |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}

static bool read_fixed(cursor *c, size_t size, uint64_t *out) {
    *out = 0;
    if ((size_t)(c->end - c->at) < size) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        *out |= (uint64_t)*c->at++ << 8 * i;
    }
    return true;
}

static bool read_length(cursor *c, cursor *out) {
    uint64_t length;
    if (!read_varint(c, &length) || length > (uint64_t)(c->end - c->at)) {
        return false;
    }
    *out = (cursor){c->at, c->at + length};
    c->at += length;
    return true;
}

/* The next field of a message; *more: there is one. */
static tub_status next(const reader *r, cursor *c, field *f, bool *more) {
    uint64_t key;
    *more = c->at < c->end;
    if (!*more) {
        return TUB_OK;
    }
    bool fine = read_varint(c, &key);
    *f = (field){.number = key >> 3, .wire = (int)(key & 7)};
    switch (f->wire) {
    case WIRE_VARINT:
        fine = fine && read_varint(c, &f->value);
        break;
    case WIRE_64:
        fine = fine && read_fixed(c, 8, &f->value);
        break;
    case WIRE_LENGTH:
        fine = fine && read_length(c, &f->bytes);
        break;
    case WIRE_32:
        fine = fine && read_fixed(c, 4, &f->value);
        break;
    default:
        fine = false;
    }
    return fine ? TUB_OK : damaged(r, "a field goes beyond its message");
}

/* What a message's fields become. */
typedef tub_status take_field(const reader *r, const field *f, void *out);

static tub_status each_field(const reader *r, cursor c, take_field *take, void *out) {
    for (;;) {
        field f;
        bool more;
        TUB__TRY(next(r, &c, &f, &more));
        if (!more) {
            return TUB_OK;
        }
        TUB__TRY(take(r, &f, out));
    }
}

static tub_status to_text(const reader *r, const field *f, char *out, size_t room) {
    const size_t size = (size_t)(f->bytes.end - f->bytes.at);
    if (f->wire != WIRE_LENGTH || size >= room || (size > 0 && memchr(f->bytes.at, 0, size))) {
        return damaged(r, "a name is none");
    }
    if (size > 0) {
        memcpy(out, f->bytes.at, size);
    }
    out[size] = '\0';
    return TUB_OK;
}

/* One or, packed, several whole numbers, behind the *count that are there. */
static tub_status to_integers(const reader *r, const field *f, int64_t *out, size_t *count) {
    cursor c = f->bytes;
    uint64_t value = f->value;
    if (f->wire != WIRE_VARINT && f->wire != WIRE_LENGTH) {
        return damaged(r, "whole numbers are none");
    }
    for (bool one = f->wire == WIRE_VARINT; one || c.at < c.end; one = false) {
        if (!one && !read_varint(&c, &value)) {
            return damaged(r, "whole numbers are none");
        }
        if (*count == TUB__ONNX_RANK) {
            return unsupported(r, "lists of more than six numbers");
        }
        out[(*count)++] = (int64_t)value;
    }
    return TUB_OK;
}

/* ---- Values ---- */

/* The number of a name, which may be new. */
static tub_status find_value(const reader *r, const field *f, size_t *out) {
    tub__onnx_graph *g = r->graph;
    char name[TUB__ONNX_NAME];
    TUB__TRY(to_text(r, f, name, sizeof name));
    for (*out = 0; *out < g->name_count; ++*out) {
        if (strcmp(g->names[*out], name) == 0) {
            return TUB_OK;
        }
    }
    TUB__TRY(tub__alloc_room(r->allocator, (void *)&g->names, g->name_count, sizeof *g->names,
                             &g->name_room, r->err));
    memcpy(g->names[g->name_count++], name, sizeof name);
    return TUB_OK;
}

/* ---- Operations ---- */

static tub_status take_attribute(const reader *r, const field *f, void *out) {
    tub__onnx_attribute *a = out;
    switch (f->number) {
    case 1:
        return to_text(r, f, a->name, sizeof a->name);
    case 2: {
        const uint32_t bits = (uint32_t)f->value;
        memcpy(&a->real, &bits, sizeof bits);
        return TUB_OK;
    }
    case 3:
    case 8:
        return to_integers(r, f, a->integers, &a->count);
    case 20:
        a->kind = (tub__onnx_kind)f->value;
        return f->value == TUB__ONNX_REAL || f->value == TUB__ONNX_INTEGER ||
                       f->value == TUB__ONNX_INTEGERS
                   ? TUB_OK
                   : unsupported(r, "attributes that are no numbers");
    default:
        return TUB_OK;
    }
}

static tub_status take_node(const reader *r, const field *f, void *out) {
    tub__onnx_node *n = out;
    if (f->number == 1) {
        return n->inputs < TUB__ONNX_INPUTS ? find_value(r, f, &n->input[n->inputs++])
                                            : unsupported(r, "operations of more than five inputs");
    }
    if (f->number == 2) {
        return n->outputs < TUB__ONNX_OUTPUTS
                   ? find_value(r, f, &n->output[n->outputs++])
                   : unsupported(r, "operations of more than four outputs");
    }
    if (f->number == 4) {
        return to_text(r, f, n->op, sizeof n->op);
    }
    if (f->number != 5) {
        return TUB_OK;
    }
    if (n->attributes == TUB__ONNX_ATTRIBUTES) {
        return unsupported(r, "operations of more than three attributes");
    }
    return each_field(r, f->bytes, take_attribute, &n->attribute[n->attributes++]);
}

static tub_status add_node(const reader *r, cursor c) {
    tub__onnx_graph *g = r->graph;
    tub__onnx_node node = {0};
    TUB__TRY(each_field(r, c, take_node, &node));
    TUB__TRY(tub__alloc_room(r->allocator, (void *)&g->nodes, g->node_count, sizeof *g->nodes,
                             &g->node_room, r->err));
    g->nodes[g->node_count++] = node;
    return node.outputs > 0 ? TUB_OK : damaged(r, "an operation gives nothing");
}

/* ---- Arrays ---- */

/* Numbers may lie in the message or, told by other fields, in another file; which of both counts is
 * known at its end. */
typedef struct array {
    tub__onnx_tensor tensor;
    const unsigned char *raw;
    uint64_t raw_size, offset, length;
} array;

static tub_status take_entry(const reader *r, const field *f, void *out) {
    char(*texts)[256] = out;
    return f->number == 1 || f->number == 2 ? to_text(r, f, texts[f->number - 1], sizeof texts[0])
                                            : TUB_OK;
}

/* location, offset or length of an array in another file. */
static tub_status take_place(const reader *r, cursor c, array *a) {
    char texts[2][256] = {"", ""}; /* key and value */
    tub__onnx_graph *g = r->graph;
    TUB__TRY(each_field(r, c, take_entry, texts));
    if (strcmp(texts[0], "offset") == 0) {
        a->offset = strtoull(texts[1], NULL, 10);
    } else if (strcmp(texts[0], "length") == 0) {
        a->length = strtoull(texts[1], NULL, 10);
    } else if (strcmp(texts[0], "location") == 0) {
        if (g->location[0] != '\0' && strcmp(g->location, texts[1]) != 0) {
            return unsupported(r, "arrays in several other files");
        }
        memcpy(g->location, texts[1], sizeof g->location);
    }
    return TUB_OK;
}

static tub_status take_tensor(const reader *r, const field *f, void *out) {
    array *a = out;
    tub__onnx_tensor *t = &a->tensor;
    size_t rank = (size_t)t->rank;
    tub_status status;
    switch (f->number) {
    case 1:
        status = to_integers(r, f, t->shape, &rank);
        t->rank = (int)rank;
        return status;
    case 2:
        t->type = (tub__onnx_type)f->value;
        return t->type == TUB__ONNX_F32 || t->type == TUB__ONNX_I64
                   ? TUB_OK
                   : unsupported(r, "arrays of other numbers than float32 and int64");
    case 8:
        return find_value(r, f, &t->value);
    case 9:
        a->raw = f->bytes.at;
        a->raw_size = (uint64_t)(f->bytes.end - f->bytes.at);
        return TUB_OK;
    case 13:
        return take_place(r, f->bytes, a);
    case 14:
        t->external = f->value == 1;
        return TUB_OK;
    default:
        return TUB_OK;
    }
}

static bool fits(const tub__onnx_tensor *t) {
    uint64_t bytes = t->type == TUB__ONNX_I64 ? sizeof(int64_t) : sizeof(float);
    for (int i = 0; i < t->rank; i++) {
        if (t->shape[i] < 0 || __builtin_mul_overflow(bytes, (uint64_t)t->shape[i], &bytes)) {
            return false;
        }
    }
    return bytes == t->bytes;
}

static tub_status add_tensor(const reader *r, cursor c) {
    tub__onnx_graph *g = r->graph;
    array a = {.tensor = {.value = SIZE_MAX}};
    TUB__TRY(each_field(r, c, take_tensor, &a));
    tub__onnx_tensor t = a.tensor;
    t.bytes = t.external ? a.length : a.raw_size;
    t.offset = t.external ? a.offset : 0;
    t.data = t.external ? NULL : a.raw;
    TUB__TRY(tub__alloc_room(r->allocator, (void *)&g->tensors, g->tensor_count, sizeof *g->tensors,
                             &g->tensor_room, r->err));
    g->tensors[g->tensor_count++] = t;
    if (t.value == SIZE_MAX || t.type == 0) {
        return damaged(r, "an array has no name or type");
    }
    return fits(&t) ? TUB_OK
                    : tub__fail(r->err, TUB_E_FORMAT,
                                "the array %s has %llu bytes, which its shape is not",
                                g->names[t.value], (unsigned long long)t.bytes);
}

/* ---- Inputs and outputs ---- */

static tub_status take_dimension(const reader *r, const field *f, void *out) {
    (void)r;
    if (f->number == 1) {
        *(int64_t *)out = (int64_t)f->value;
    }
    return TUB_OK;
}

static tub_status take_shape(const reader *r, const field *f, void *out) {
    tub__onnx_port *p = out;
    if (f->number != 1) {
        return TUB_OK;
    }
    if (p->rank == TUB__ONNX_RANK) {
        return unsupported(r, "inputs of more than six axes");
    }
    p->shape[p->rank] = -1;
    return each_field(r, f->bytes, take_dimension, &p->shape[p->rank++]);
}

static tub_status take_tensor_type(const reader *r, const field *f, void *out) {
    tub__onnx_port *p = out;
    if (f->number == 1) {
        p->type = (tub__onnx_type)f->value;
    }
    return f->number == 2 ? each_field(r, f->bytes, take_shape, p) : TUB_OK;
}

static tub_status take_type(const reader *r, const field *f, void *out) {
    return f->number == 1 ? each_field(r, f->bytes, take_tensor_type, out) : TUB_OK;
}

static tub_status take_port(const reader *r, const field *f, void *out) {
    tub__onnx_port *p = out;
    if (f->number == 1) {
        return find_value(r, f, &p->value);
    }
    return f->number == 2 ? each_field(r, f->bytes, take_type, p) : TUB_OK;
}

static tub_status add_port(const reader *r, cursor c, tub__onnx_port *list, size_t *count) {
    if (*count == TUB__ONNX_PORTS) {
        return unsupported(r, "more than four inputs or outputs");
    }
    tub__onnx_port *p = &list[*count];
    *p = (tub__onnx_port){.value = SIZE_MAX};
    TUB__TRY(each_field(r, c, take_port, p));
    ++*count;
    return p->value != SIZE_MAX ? TUB_OK : damaged(r, "an input or output has no name");
}

/* ---- All ---- */

static tub_status take_graph(const reader *r, const field *f, void *out) {
    tub__onnx_graph *g = out;
    switch (f->number) {
    case 1:
        return add_node(r, f->bytes);
    case 5:
        return add_tensor(r, f->bytes);
    case 11:
        return add_port(r, f->bytes, g->inputs, &g->input_count);
    case 12:
        return add_port(r, f->bytes, g->outputs, &g->output_count);
    default:
        return TUB_OK;
    }
}

static tub_status take_opset(const reader *r, const field *f, void *out) {
    (void)r;
    if (f->number == 2) {
        *(int64_t *)out = (int64_t)f->value;
    }
    return TUB_OK;
}

static tub_status take_note(const reader *r, const field *f, void *out) {
    tub__onnx_note *n = out;
    const size_t size = (size_t)(f->bytes.end - f->bytes.at);
    if (f->number == 1) {
        return to_text(r, f, n->key, sizeof n->key);
    }
    if (f->number != 2 || n->text != NULL) {
        return TUB_OK;
    }
    TUB__TRY(tub__alloc(r->allocator, size + 1, (void **)&n->text, r->err));
    return to_text(r, f, n->text, size + 1);
}

static tub_status add_note(const reader *r, cursor c) {
    tub__onnx_graph *g = r->graph;
    if (g->note_count == TUB__ONNX_NOTES) {
        return unsupported(r, "more than eight entries of metadata");
    }
    tub__onnx_note *n = &g->notes[g->note_count++];
    TUB__TRY(each_field(r, c, take_note, n));
    return n->text != NULL ? TUB_OK : damaged(r, "an entry of metadata has no value");
}

static tub_status take_model(const reader *r, const field *f, void *out) {
    tub__onnx_graph *g = out;
    switch (f->number) {
    case 1:
        g->ir_version = (int64_t)f->value;
        return TUB_OK;
    case 2:
        return to_text(r, f, g->producer, sizeof g->producer);
    case 3:
        return to_text(r, f, g->producer_version, sizeof g->producer_version);
    case 7:
        return each_field(r, f->bytes, take_graph, g);
    case 8:
        return each_field(r, f->bytes, take_opset, &g->opset);
    case 14:
        return add_note(r, f->bytes);
    default:
        return TUB_OK;
    }
}

tub_status tub__onnx_read(const tub_allocator *a, const void *bytes, size_t size,
                          tub__onnx_graph *out, tub_error *err) {
    const reader r = {a, out, err};
    const unsigned char *begin = bytes;
    *out = (tub__onnx_graph){0};
    tub_status status = each_field(&r, (cursor){begin, begin + size}, take_model, out);
    if (status == TUB_OK && out->node_count == 0) {
        status = damaged(&r, "there is no operation");
    }
    if (status != TUB_OK) {
        tub__onnx_graph_free(a, out);
    }
    return status;
}
