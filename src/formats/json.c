/* SPDX-License-Identifier: Apache-2.0 */
/* Reading JSON by jansson: the only file that includes its header. tub__json is jansson's json_t
 * under our name. */
#include "formats/json.h"

#include "base/error.h"
#include "base/file.h"
#include <jansson.h>

static const json_t *inner(const tub__json *v) {
    return (const json_t *)v;
}

tub_status tub__json_parse(const char *text, size_t size, tub__json **out, tub_error *err) {
    json_error_t error;
    json_t *root = json_loadb(size > 0 ? text : "", size, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        if (json_error_code(&error) == json_error_out_of_memory) {
            return tub__fail(err, TUB_E_MEMORY, "no memory for a JSON text of %zu bytes", size);
        }
        return tub__fail(err, TUB_E_FORMAT, "not valid JSON: line %d, column %d: %s", error.line,
                         error.column, error.text);
    }
    *out = (tub__json *)root;
    return TUB_OK;
}

tub_status tub__json_load(const tub_allocator *a, const char *path, size_t limit, tub__json **out,
                          tub_error *err) {
    char *text;
    size_t size;
    TUB__TRY(tub__file_read(a, path, limit, &text, &size, err));
    tub_status status = tub__json_parse(text, size, out, err);
    tub__free(a, text);
    return status == TUB_OK ? TUB_OK : tub__prefix(err, status, "%s", path);
}

void tub__json_free(tub__json *root) {
    json_decref((json_t *)root);
}

tub__json_kind tub__json_kind_of(const tub__json *value) {
    switch (json_typeof(inner(value))) {
    case JSON_OBJECT:
        return TUB__JSON_OBJECT;
    case JSON_ARRAY:
        return TUB__JSON_ARRAY;
    case JSON_STRING:
        return TUB__JSON_TEXT;
    case JSON_INTEGER:
        return TUB__JSON_INTEGER;
    case JSON_REAL:
        return TUB__JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return TUB__JSON_BOOL;
    default:
        return TUB__JSON_NULL;
    }
}

const char *tub__json_kind_name(const tub__json *value) {
    static const char *const names[] = {[TUB__JSON_NULL] = "null",
                                        [TUB__JSON_BOOL] = "true or false",
                                        [TUB__JSON_INTEGER] = "a whole number",
                                        [TUB__JSON_REAL] = "a number with a fraction",
                                        [TUB__JSON_TEXT] = "text",
                                        [TUB__JSON_ARRAY] = "a list",
                                        [TUB__JSON_OBJECT] = "a table of keys"};
    return value == NULL ? "nothing" : names[tub__json_kind_of(value)];
}

size_t tub__json_size(const tub__json *value) {
    return json_is_array(inner(value)) ? json_array_size(inner(value))
                                       : json_object_size(inner(value));
}

const tub__json *tub__json_get(const tub__json *object, const char *key) {
    return (const tub__json *)json_object_get(inner(object), key);
}

const tub__json *tub__json_at(const tub__json *array, size_t index) {
    return (const tub__json *)json_array_get(inner(array), index);
}

/* jansson's iterators take a plain json_t though they only look. */
void *tub__json_first(const tub__json *object) {
    return json_object_iter((json_t *)object);
}

void *tub__json_next(const tub__json *object, void *it) {
    return json_object_iter_next((json_t *)object, it);
}

const char *tub__json_key(void *it) {
    return json_object_iter_key(it);
}

const tub__json *tub__json_value(void *it) {
    return (const tub__json *)json_object_iter_value(it);
}

static tub_status wrong_kind(const tub__json *v, const char *name, const char *expected,
                             tub_error *err) {
    if (v == NULL) {
        return tub__fail(err, TUB_E_NOT_FOUND, "%s: missing; expected %s", name, expected);
    }
    return tub__fail(err, TUB_E_FORMAT, "%s: expected %s, found %s", name, expected,
                     tub__json_kind_name(v));
}

tub_status tub__json_to_integer(const tub__json *v, const char *name, int64_t *out,
                                tub_error *err) {
    if (!json_is_integer(inner(v))) {
        return wrong_kind(v, name, "a whole number", err);
    }
    *out = json_integer_value(inner(v));
    return TUB_OK;
}

tub_status tub__json_to_real(const tub__json *v, const char *name, double *out, tub_error *err) {
    if (!json_is_number(inner(v))) {
        return wrong_kind(v, name, "a number", err);
    }
    *out = json_number_value(inner(v));
    return TUB_OK;
}

tub_status tub__json_to_bool(const tub__json *v, const char *name, bool *out, tub_error *err) {
    if (!json_is_boolean(inner(v))) {
        return wrong_kind(v, name, "true or false", err);
    }
    *out = json_is_true(inner(v));
    return TUB_OK;
}

tub_status tub__json_to_text(const tub__json *v, const char *name, const char **out,
                             tub_error *err) {
    if (!json_is_string(inner(v))) {
        return wrong_kind(v, name, "text", err);
    }
    *out = json_string_value(inner(v));
    return TUB_OK;
}

tub_status tub__json_to_array(const tub__json *v, const char *name, const tub__json **out,
                              tub_error *err) {
    if (!json_is_array(inner(v))) {
        return wrong_kind(v, name, "a list", err);
    }
    *out = v;
    return TUB_OK;
}

tub_status tub__json_to_object(const tub__json *v, const char *name, const tub__json **out,
                               tub_error *err) {
    if (!json_is_object(inner(v))) {
        return wrong_kind(v, name, "a table of keys", err);
    }
    *out = v;
    return TUB_OK;
}

tub_status tub__json_get_integer(const tub__json *o, const char *key, int64_t *out,
                                 tub_error *err) {
    return tub__json_to_integer(tub__json_get(o, key), key, out, err);
}

tub_status tub__json_get_real(const tub__json *o, const char *key, double *out, tub_error *err) {
    return tub__json_to_real(tub__json_get(o, key), key, out, err);
}

tub_status tub__json_get_bool(const tub__json *o, const char *key, bool *out, tub_error *err) {
    return tub__json_to_bool(tub__json_get(o, key), key, out, err);
}

tub_status tub__json_get_text(const tub__json *o, const char *key, const char **out,
                              tub_error *err) {
    return tub__json_to_text(tub__json_get(o, key), key, out, err);
}

static bool absent(const tub__json *o, const char *key) {
    const tub__json *v = tub__json_get(o, key);
    return v == NULL || json_is_null(inner(v));
}

tub_status tub__json_opt_integer(const tub__json *o, const char *key, int64_t *out,
                                 tub_error *err) {
    return absent(o, key) ? TUB_OK : tub__json_get_integer(o, key, out, err);
}

tub_status tub__json_opt_real(const tub__json *o, const char *key, double *out, tub_error *err) {
    return absent(o, key) ? TUB_OK : tub__json_get_real(o, key, out, err);
}

tub_status tub__json_opt_bool(const tub__json *o, const char *key, bool *out, tub_error *err) {
    return absent(o, key) ? TUB_OK : tub__json_get_bool(o, key, out, err);
}

tub_status tub__json_opt_text(const tub__json *o, const char *key, const char **out,
                              tub_error *err) {
    return absent(o, key) ? TUB_OK : tub__json_get_text(o, key, out, err);
}
