/* SPDX-License-Identifier: Apache-2.0 */
/* From the nodes of a sweep file to its values. */
#include "search/document.h"

#include "base/error.h"
#include "formats/yaml.h"
#include "search/yaml11.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { KEY_LIMIT = 1024, KEY_LENGTH = 128, DEPTH_LIMIT = 64 };

void tub__note(tub__notes *notes, const char *format, ...) {
    if (notes->count < TUB__NOTE_LIMIT) {
        va_list list;
        va_start(list, format);
        vsnprintf(notes->text[notes->count++], TUB__NOTE_LENGTH, format, list);
        va_end(list);
    }
}

/* ---- Nodes: [LINE, COLUMN, KIND, CONTENT] ---- */

static int64_t number_at(const tub__json *node, size_t index) {
    int64_t value = 0;
    const tub__json *part = tub__json_at(node, index);
    return tub__json_to_integer(part, "place", &value, NULL) == TUB_OK ? value : 0;
}

static char kind_of(const tub__json *node) {
    const char *text = "";
    return tub__json_to_text(tub__json_at(node, 2), "kind", &text, NULL) == TUB_OK ? text[0] : '\0';
}

static const tub__json *content_of(const tub__json *node) {
    return tub__json_at(node, 3);
}

static const char *text_of(const tub__json *node) {
    const char *text = "";
    return tub__json_to_text(content_of(node), "text", &text, NULL) == TUB_OK ? text : "";
}

int tub__spot_line(tub__spot s) {
    return s.node == NULL ? 0 : (int)number_at(s.node, 0);
}

tub_status tub__spot_fail(tub__spot s, tub_error *err, const char *format, ...) {
    char text[TUB_ERROR_LENGTH];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return s.node == NULL ? tub__fail(err, TUB_E_FORMAT, "%s", text)
                          : tub__fail(err, TUB_E_FORMAT, "line %d, column %d: %s",
                                      tub__spot_line(s), (int)number_at(s.node, 1), text);
}

static tub_status fail_at(const tub__json *node, tub_error *err, const char *what) {
    return tub__spot_fail((tub__spot){NULL, node}, err, "%.80s: %s", text_of(node), what);
}

/* ---- Members of a mapping, merges first ---- */

typedef struct member {
    char key[KEY_LENGTH];
    bool is_text; /* the key is */
    const tub__json *key_node, *node;
} member;

typedef struct members {
    member *list;
    size_t count, room;
} members;

static bool is_merge(const tub__json *key) {
    return kind_of(key) == 'p' && strcmp(text_of(key), "<<") == 0;
}

/* As json.dumps of Python names a key. */
static tub_status key_name(const tub__json *node, member *out, tub_error *err) {
    const tub__yaml11 v = kind_of(node) == 'p' ? tub__yaml11_scalar(text_of(node))
                                               : (tub__yaml11){.kind = TUB__YAML11_TEXT};
    out->key_node = node;
    out->is_text = v.kind == TUB__YAML11_TEXT;
    size_t length = strlen(text_of(node));
    switch (v.kind) {
    case TUB__YAML11_TEXT:
        memcpy(out->key, text_of(node), tub__min(length + 1, sizeof out->key));
        break;
    case TUB__YAML11_NULL:
        strcpy(out->key, "null");
        break;
    case TUB__YAML11_BOOL:
        strcpy(out->key, v.flag ? "true" : "false");
        break;
    case TUB__YAML11_INT:
        length = (size_t)snprintf(out->key, sizeof out->key, "%" PRId64, v.whole);
        break;
    case TUB__YAML11_REAL:
        tub__shortest_real(v.real, out->key);
        break;
    default:
        return fail_at(node, err, "can't be a key; put it into quotes");
    }
    return length < sizeof out->key ? TUB_OK : fail_at(node, err, "too long for a key");
}

static tub_status collect(const tub__json *node, members *m, int depth, tub_error *err);

/* The value of "<<": a mapping, or a list of them, of which the first wins. */
static tub_status collect_merged(const tub__json *node, members *m, int depth, tub_error *err) {
    if (kind_of(node) == 'm') {
        return collect(node, m, depth + 1, err);
    }
    const tub__json *list = content_of(node);
    if (kind_of(node) != 'l') {
        return fail_at(node, err, "<< takes a mapping, or a list of mappings");
    }
    for (size_t i = tub__json_size(list); i-- > 0;) {
        const tub__json *one = tub__json_at(list, i);
        TUB__TRY(kind_of(one) == 'm' ? collect(one, m, depth + 1, err)
                                     : fail_at(one, err, "<< takes a list of mappings"));
    }
    return TUB_OK;
}

static tub_status collect(const tub__json *node, members *m, int depth, tub_error *err) {
    const tub__json *list = content_of(node);
    const size_t n = tub__json_size(list);
    if (depth > DEPTH_LIMIT) {
        return fail_at(node, err, "merges within merges");
    }
    for (size_t i = 0; i + 1 < n; i += 2) {
        if (is_merge(tub__json_at(list, i))) {
            TUB__TRY(collect_merged(tub__json_at(list, i + 1), m, depth, err));
        }
    }
    for (size_t i = 0; i + 1 < n; i += 2) {
        const tub__json *key = tub__json_at(list, i);
        if (is_merge(key)) {
            continue;
        }
        if (m->count == m->room) {
            return fail_at(key, err, "too many keys in one mapping");
        }
        TUB__TRY(key_name(key, &m->list[m->count], err));
        m->list[m->count++].node = tub__json_at(list, i + 1);
    }
    return TUB_OK;
}

/* ---- Values ---- */

typedef struct reading {
    const tub_allocator *allocator;
    tub__json_writer writer;
    tub__notes *notes;
    tub_error *err;
} reading;

static tub_status put_plain(reading *r, const char *key, const tub__json *node) {
    const tub__yaml11 v = tub__yaml11_scalar(text_of(node));
    switch (v.kind) {
    case TUB__YAML11_TEXT:
        tub__json_put_text(&r->writer, key, text_of(node));
        return TUB_OK;
    case TUB__YAML11_NULL:
        tub__json_put_null(&r->writer, key);
        return TUB_OK;
    case TUB__YAML11_BOOL:
        tub__json_put_bool(&r->writer, key, v.flag);
        return TUB_OK;
    case TUB__YAML11_INT:
        tub__json_put_integer(&r->writer, key, v.whole);
        return TUB_OK;
    case TUB__YAML11_REAL:
        tub__json_put_real(&r->writer, key, v.real);
        return TUB_OK;
    case TUB__YAML11_NO_JSON:
        return fail_at(node, r->err, "infinities and NaN are not allowed here");
    case TUB__YAML11_TOO_BIG:
        return fail_at(node, r->err, "the number is too large");
    case TUB__YAML11_DATE:
        return fail_at(node, r->err, "YAML 1.1 reads a date; put it into quotes");
    case TUB__YAML11_BROKEN:
        break;
    }
    return fail_at(node, r->err, "YAML 1.1 has no value for this; put it into quotes");
}

static tub_status put_node(reading *r, const char *key, const tub__json *node);

/* Python's dict: a key has the place of its first writing and the value of its last. */
static tub_status put_members(reading *r, const members *m, size_t own) {
    for (size_t i = 0; i < m->count; i++) {
        size_t first = 0, last = i;
        while (strcmp(m->list[first].key, m->list[i].key) != 0) {
            first++;
        }
        for (size_t k = i + 1; k < m->count; k++) {
            last = strcmp(m->list[k].key, m->list[i].key) == 0 ? k : last;
        }
        if (first < i) {
            if (first >= own) {
                tub__note(r->notes, "line %d: %.60s stands twice; the last one counts",
                          (int)number_at(m->list[i].key_node, 0), m->list[i].key);
            }
            continue;
        }
        TUB__TRY(put_node(r, m->list[i].key, m->list[last].node));
    }
    return TUB_OK;
}

/* Keys of a mapping but for its merges. */
static size_t own_count(const tub__json *node) {
    const tub__json *list = content_of(node);
    size_t own = 0;
    for (size_t i = 0; i + 1 < tub__json_size(list); i += 2) {
        own += is_merge(tub__json_at(list, i)) ? 0 : 1;
    }
    return own;
}

static tub_status put_mapping(reading *r, const char *key, const tub__json *node) {
    const size_t own = own_count(node), pairs = tub__json_size(content_of(node)) / 2;
    members m = {.room = own == pairs ? tub__min(own, KEY_LIMIT) : KEY_LIMIT};
    void *room = NULL;
    TUB__TRY(tub__alloc_array(r->allocator, m.room, sizeof(member), &room, r->err));
    m.list = room;
    tub_status status = collect(node, &m, 0, r->err);
    if (status == TUB_OK) {
        tub__json_open_object(&r->writer, key);
        status = put_members(r, &m, m.count - own);
        tub__json_close_object(&r->writer);
    }
    tub__free(r->allocator, room);
    return status;
}

static tub_status put_node(reading *r, const char *key, const tub__json *node) {
    switch (kind_of(node)) {
    case 'p':
        return put_plain(r, key, node);
    case 't':
        tub__json_put_text(&r->writer, key, text_of(node));
        return TUB_OK;
    case 'm':
        return put_mapping(r, key, node);
    default:
        break;
    }
    tub__json_open_array(&r->writer, key);
    for (size_t i = 0; i < tub__json_size(content_of(node)); i++) {
        TUB__TRY(put_node(r, NULL, tub__json_at(content_of(node), i)));
    }
    tub__json_close_array(&r->writer);
    return TUB_OK;
}

static tub_status read_values(const tub_allocator *a, const tub__json *tree, tub__json **out,
                              tub__notes *notes, tub_error *err) {
    reading r = {.allocator = a, .notes = notes, .err = err};
    char *text = NULL;
    size_t size = 0;
    tub__json_start(&r.writer, a, 0);
    const tub_status status = put_node(&r, NULL, tree);
    if (status != TUB_OK) {
        tub__json_discard(&r.writer);
        return status;
    }
    TUB__TRY(tub__json_finish(&r.writer, &text, &size, err));
    const tub_status parsed = tub__json_parse(text, size, out, err);
    tub__free(a, text);
    return parsed;
}

tub_status tub__document_of(const tub_allocator *a, tub__json *tree, tub__document *out,
                            tub__notes *notes, tub_error *err) {
    *out = (tub__document){.tree = tree};
    if (kind_of(tree) != 'm') {
        return tub__spot_fail((tub__spot){NULL, tree}, err,
                              "a sweep file is a mapping with the keys method and parameters, and "
                              "this is a list");
    }
    return read_values(a, tree, &out->values, notes, err);
}

tub_status tub__document_parse(tub_context *ctx, const char *text, size_t size, tub__document *out,
                               tub__notes *notes, tub_error *err) {
    tub__json *tree = NULL;
    *out = (tub__document){0};
    TUB__TRY(tub__yaml_tree(ctx, text, size, &tree, err));
    return tub__document_of(&ctx->allocator, tree, out, notes, err);
}

void tub__document_free(tub__document *d) {
    tub__json_free(d->values);
    tub__json_free(d->tree);
    *d = (tub__document){0};
}

/* ---- Looking ---- */

tub__spot tub__spot_top(const tub__document *d) {
    return (tub__spot){d->values, d->tree};
}

/* The last pair of that key in a mapping's own pairs, then in what it merges. */
static const tub__json *find_pair(const tub__json *node, const char *key, bool want_key,
                                  int depth) {
    const tub__json *list = content_of(node), *found = NULL;
    if (kind_of(node) == 'l' && depth > 0) {
        for (size_t i = 0; i < tub__json_size(list) && found == NULL; i++) {
            found = find_pair(tub__json_at(list, i), key, want_key, depth + 1);
        }
        return found;
    }
    if (kind_of(node) != 'm' || depth > DEPTH_LIMIT) {
        return NULL;
    }
    for (size_t i = tub__json_size(list) & ~(size_t)1; i > 0 && found == NULL; i -= 2) {
        member name;
        const tub__json *key_node = tub__json_at(list, i - 2);
        if (!is_merge(key_node) && key_name(key_node, &name, NULL) == TUB_OK &&
            strcmp(name.key, key) == 0) {
            found = want_key ? key_node : tub__json_at(list, i - 1);
        }
    }
    for (size_t i = tub__json_size(list) & ~(size_t)1; i > 0 && found == NULL; i -= 2) {
        if (is_merge(tub__json_at(list, i - 2))) {
            found = find_pair(tub__json_at(list, i - 1), key, want_key, depth + 1);
        }
    }
    return found;
}

tub__spot tub__spot_get(tub__spot mapping, const char *key) {
    const tub__json *value = tub__json_get(mapping.value, key);
    return (tub__spot){value, value != NULL && mapping.node != NULL
                                  ? find_pair(mapping.node, key, false, 0)
                                  : mapping.node};
}

tub__spot tub__spot_at(tub__spot list, size_t index) {
    return (tub__spot){tub__json_at(list.value, index),
                       list.node != NULL ? tub__json_at(content_of(list.node), index) : NULL};
}

bool tub__spot_key_is_text(tub__spot mapping, const char *key) {
    member name;
    const tub__json *node = mapping.node != NULL ? find_pair(mapping.node, key, true, 0) : NULL;
    return node == NULL || (key_name(node, &name, NULL) == TUB_OK && name.is_text);
}
