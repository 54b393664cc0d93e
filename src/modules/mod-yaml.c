/* SPDX-License-Identifier: Apache-2.0 */
/* mod-yaml: YAML text to JSON text by libfyaml's event parser.
 *
 * The events are written down as JSON at once, so no tree is ever built. An anchor is the stretch
 * of output that its node became; an alias copies that stretch. So a bomb of nested aliases runs
 * into the limit of the output and nothing else. */
#include "base/error.h"
#include "base/module.h"
#include "modules/yaml_scalar.h"
#include "modules/yaml_text.h"
#include <libfyaml.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    INPUT_LIMIT = 1 << 20,
    OUTPUT_LIMIT = 4 << 20,
    DEPTH_LIMIT = 64,
    KEY_LIMIT = 1024,
    ANCHOR_LIMIT = 1024
};

typedef struct stretch {
    size_t begin, end; /* in the output; end 0 while the node is still open */
} stretch;

typedef struct anchor {
    char *name;
    stretch node;
} anchor;

typedef struct level {
    bool mapping;
    bool value_next; /* in a mapping: the key is written, its value comes */
    size_t count;    /* members or elements so far */
    size_t keys;     /* where this mapping's keys begin in the list of keys */
    int anchor;      /* of this collection, or -1 */
} level;

typedef struct state {
    char *text; /* JSON so far */
    size_t size, capacity;
    level levels[DEPTH_LIMIT];
    int depth;
    stretch *keys; /* of all open mappings, innermost last */
    size_t key_count, key_capacity;
    anchor anchors[ANCHOR_LIMIT];
    int anchor_count;
    bool started, done; /* the one document */
    bool tree;          /* nodes with their places, and no types: see to_tree() */
    tub_error *err;
} state;

static tub_status fail_at(state *s, struct fy_event *event, const char *what) {
    const struct fy_mark *mark = fy_event_start_mark(event);
    return tub__fail(s->err, TUB_E_FORMAT, "line %d, column %d: %s",
                     mark == NULL ? 0 : mark->line + 1, mark == NULL ? 0 : mark->column + 1, what);
}

static tub_status reserve(state *s, size_t more) {
    size_t needed = s->size + more + 1;
    if (needed > OUTPUT_LIMIT) {
        return tub__fail(s->err, TUB_E_FORMAT,
                         "the document unfolds to more than %d MiB (nested aliases?)",
                         OUTPUT_LIMIT >> 20);
    }
    if (needed > s->capacity) {
        char *text = realloc(s->text, needed * 2);
        if (text == NULL) {
            return tub__fail(s->err, TUB_E_MEMORY, "no memory for %zu bytes of YAML", needed * 2);
        }
        s->text = text;
        s->capacity = needed * 2;
    }
    return TUB_OK;
}

static tub_status append(state *s, const char *bytes, size_t size) {
    TUB__TRY(reserve(s, size));
    memcpy(s->text + s->size, bytes, size);
    s->size += size;
    s->text[s->size] = '\0';
    return TUB_OK;
}

static tub_status append_quoted(state *s, struct fy_event *event, const char *text, size_t size) {
    static const char hex[] = "0123456789abcdef";
    TUB__TRY(append(s, "\"", 1));
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '\0') {
            return fail_at(s, event, "text with a NUL character");
        }
        if (c == '"' || c == '\\') {
            TUB__TRY(append(s, (const char[]){'\\', (char)c}, 2));
        } else if (c < 0x20) {
            TUB__TRY(append(s, (const char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6));
        } else {
            TUB__TRY(append(s, &text[i], 1));
        }
    }
    return append(s, "\"", 1);
}

static level *top(state *s) {
    return s->depth > 0 ? &s->levels[s->depth - 1] : NULL;
}

static bool is_key(state *s) {
    return s->depth > 0 && top(s)->mapping && !top(s)->value_next;
}

/* The comma before a member or element; in a tree, before a member's value, too. */
static tub_status begin_node(state *s) {
    level *in = top(s);
    bool comma = in != NULL && (s->tree || !in->mapping || !in->value_next) && in->count++ > 0;
    return comma ? append(s, ", ", 2) : TUB_OK;
}

/* "[LINE, COLUMN, KIND, ", how a node of a tree begins. */
static tub_status append_place(state *s, struct fy_event *event, char kind) {
    const struct fy_mark *mark = fy_event_start_mark(event);
    char text[64];
    const int size =
        snprintf(text, sizeof text, "[%d, %d, \"%c\", ", mark == NULL ? 0 : mark->line + 1,
                 mark == NULL ? 0 : mark->column + 1, kind);
    return append(s, text, (size_t)size);
}

/* A node is complete: the next one in a mapping is a key after a value and a value after a key. */
static void end_node(state *s, int anchor_index) {
    if (anchor_index >= 0) {
        s->anchors[anchor_index].node.end = s->size;
    }
    if (s->depth > 0 && top(s)->mapping) {
        top(s)->value_next = !top(s)->value_next;
    }
}

/* Notes the anchor of a node that begins here; *index is -1 when it has none. */
static tub_status open_anchor(state *s, struct fy_event *event, int *index) {
    *index = -1;
    struct fy_token *token = fy_event_get_anchor_token(event);
    if (token == NULL) {
        return TUB_OK;
    }
    size_t size = 0;
    const char *name = fy_token_get_text(token, &size);
    if (name == NULL || s->anchor_count == ANCHOR_LIMIT) {
        return fail_at(s, event, "too many anchors");
    }
    anchor *a = &s->anchors[s->anchor_count];
    *a = (anchor){.name = strndup(name, size), .node = {.begin = s->size}};
    if (a->name == NULL) {
        return tub__fail(s->err, TUB_E_MEMORY, "no memory for a YAML anchor");
    }
    *index = s->anchor_count++;
    return TUB_OK;
}

/* Only !!str and ! (both: text) are known; other tags ask for types that JSON has not. */
static tub_status read_tag(state *s, struct fy_event *event, bool *text) {
    struct fy_token *token = fy_event_get_tag_token(event);
    size_t size = 0;
    const char *tag = token == NULL ? NULL : fy_token_get_text(token, &size);
    *text = tag != NULL && ((size == 21 && memcmp(tag, "tag:yaml.org,2002:str", 21) == 0) ||
                            (size == 1 && *tag == '!'));
    return token == NULL || *text ? TUB_OK
                                  : fail_at(s, event, "tags (!...) are not read, but for !!str");
}

static tub_status on_alias(state *s, struct fy_event *event) {
    size_t size = 0;
    const char *name = fy_token_get_text(event->alias.anchor, &size);
    if (is_key(s)) {
        return fail_at(s, event, "an alias can't be a key");
    }
    for (int i = s->anchor_count - 1; name != NULL && i >= 0;
         i--) { /* the latest of that name counts */
        const anchor *a = &s->anchors[i];
        if (strlen(a->name) != size || memcmp(a->name, name, size) != 0) {
            continue;
        }
        if (a->node.end == 0) {
            return fail_at(s, event, "an alias inside the node that it stands for");
        }
        TUB__TRY(begin_node(s));
        TUB__TRY(reserve(s, a->node.end - a->node.begin));
        TUB__TRY(append(s, s->text + a->node.begin, a->node.end - a->node.begin));
        end_node(s, -1);
        return TUB_OK;
    }
    return fail_at(s, event, "an alias without its anchor");
}

/* Compares the key just written with the others of its mapping. */
static tub_status note_key(state *s, struct fy_event *event, size_t begin) {
    size_t size = s->size - begin;
    if (s->key_count - top(s)->keys == KEY_LIMIT) {
        return fail_at(s, event, "too many keys in one mapping");
    }
    for (size_t i = top(s)->keys; i < s->key_count; i++) {
        if (s->keys[i].end - s->keys[i].begin == size &&
            memcmp(s->text + s->keys[i].begin, s->text + begin, size) == 0) {
            (void)fail_at(s, event, "the key is there twice");
            return tub__prefix(s->err, TUB_E_FORMAT, "%.*s", size > 100 ? 100 : (int)size,
                               s->text + begin);
        }
    }
    if (s->key_count == s->key_capacity) {
        size_t capacity = s->key_capacity * 2 + 32;
        stretch *keys = realloc(s->keys, capacity * sizeof *keys);
        if (keys == NULL) {
            return tub__fail(s->err, TUB_E_MEMORY, "no memory for the keys of a YAML mapping");
        }
        s->keys = keys;
        s->key_capacity = capacity;
    }
    s->keys[s->key_count++] = (stretch){begin, s->size};
    return append(s, ": ", 2);
}

static tub_status append_plain(state *s, struct fy_event *event, const char *text, size_t size) {
    TUB__TRY(reserve(s, size + 24)); /* spelled out in place */
    switch (tub__yaml_scalar(text, size, s->text + s->size)) {
    case TUB__YAML_WORD:
    case TUB__YAML_NUMBER:
        s->size += strlen(s->text + s->size);
        return TUB_OK;
    case TUB__YAML_NO_JSON:
        return fail_at(s, event, "infinities and NaN are not allowed here");
    case TUB__YAML_TOO_BIG:
        return fail_at(s, event, "the number is too large");
    case TUB__YAML_TEXT:
        break;
    }
    return append_quoted(s, event, text, size);
}

static tub_status append_scalar(state *s, struct fy_event *event, const char *text, size_t size,
                                bool plain) {
    if (s->tree) {
        TUB__TRY(append_place(s, event, plain ? 'p' : 't'));
        TUB__TRY(append_quoted(s, event, text, size));
        return append(s, "]", 1);
    }
    return plain && !is_key(s) ? append_plain(s, event, text, size)
                               : append_quoted(s, event, text, size);
}

static tub_status on_scalar(state *s, struct fy_event *event) {
    int anchor_index;
    bool text_tag, key = is_key(s);
    size_t size = 0;
    struct fy_token *token = event->scalar.value;
    const char *text = token == NULL ? "" : fy_token_get_text(token, &size);
    if (text == NULL) {
        return tub__fail(s->err, TUB_E_MEMORY, "no memory for a YAML scalar");
    }
    if (s->depth == 0) {
        return fail_at(s, event,
                       size == 0 ? "the document is empty"
                                 : "the document is neither a mapping nor a list");
    }
    TUB__TRY(begin_node(s));
    TUB__TRY(open_anchor(s, event, &anchor_index));
    TUB__TRY(read_tag(s, event, &text_tag));
    size_t begin = s->size;
    bool plain = !text_tag && (token == NULL || fy_token_scalar_style(token) == FYSS_PLAIN);
    TUB__TRY(append_scalar(s, event, text, size, plain));
    end_node(s, anchor_index);
    return key && !s->tree ? note_key(s, event, begin) : TUB_OK;
}

static tub_status on_open(state *s, struct fy_event *event, bool mapping) {
    int anchor_index;
    bool text_tag;
    if (is_key(s)) {
        return fail_at(s, event, "a mapping or list can't be a key");
    }
    if (s->depth == DEPTH_LIMIT) {
        return fail_at(s, event, "nested too deeply");
    }
    TUB__TRY(begin_node(s));
    TUB__TRY(open_anchor(s, event, &anchor_index));
    TUB__TRY(read_tag(s, event, &text_tag));
    if (text_tag) {
        return fail_at(s, event, "!!str before something that is not text");
    }
    s->levels[s->depth++] =
        (level){.mapping = mapping, .keys = s->key_count, .anchor = anchor_index};
    if (s->tree) {
        TUB__TRY(append_place(s, event, mapping ? 'm' : 'l'));
    }
    return append(s, mapping && !s->tree ? "{" : "[", 1);
}

static tub_status on_close(state *s) {
    const level closed = s->levels[--s->depth];
    s->key_count = closed.keys;
    TUB__TRY(s->tree ? append(s, "]]", 2) : append(s, closed.mapping ? "}" : "]", 1));
    end_node(s, closed.anchor);
    return TUB_OK;
}

static tub_status on_event(state *s, struct fy_event *event) {
    switch (event->type) {
    case FYET_DOCUMENT_START:
        if (s->started) {
            return fail_at(s, event, "a second document begins; only one is read");
        }
        s->started = true;
        return TUB_OK;
    case FYET_STREAM_END:
        s->done = true;
        return s->started
                   ? TUB_OK
                   : tub__fail(s->err, TUB_E_FORMAT, "line 1, column 1: the document is empty");
    case FYET_MAPPING_START:
        return on_open(s, event, true);
    case FYET_SEQUENCE_START:
        return on_open(s, event, false);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        return on_close(s);
    case FYET_SCALAR:
        return on_scalar(s, event);
    case FYET_ALIAS:
        return on_alias(s, event);
    default:
        return TUB_OK;
    }
}

/* What libfyaml found wrong: its first collected error. */
static tub_status parser_failed(state *s, struct fy_diag *diag) {
    void *at = NULL;
    const struct fy_diag_error *error = fy_diag_errors_iterate(diag, &at);
    if (error == NULL || error->msg == NULL) {
        return tub__fail(s->err, TUB_E_FORMAT, "not valid YAML");
    }
    return tub__fail(s->err, TUB_E_FORMAT, "line %d, column %d: not valid YAML: %s", error->line,
                     error->column, error->msg);
}

static tub_status run_parser(state *s, struct fy_parser *parser, struct fy_diag *diag) {
    tub_status status = TUB_OK;
    while (status == TUB_OK && !s->done) {
        struct fy_event *event = fy_parser_parse(parser);
        if (event == NULL) {
            return parser_failed(s, diag);
        }
        status = on_event(s, event);
        fy_parser_event_free(parser, event);
    }
    return status;
}

/* libfyaml prints its errors unless somebody takes them. */
static void swallow(struct fy_diag *diag, void *user, const char *text, size_t size) {
    (void)diag;
    (void)user;
    (void)text;
    (void)size;
}

static tub_status parse(state *s, const char *text, size_t size) {
    tub_status status = TUB_E_MEMORY;
    struct fy_diag_cfg diag_config;
    fy_diag_cfg_default(&diag_config);
    diag_config.fp = NULL;
    diag_config.output_fn = swallow;
    struct fy_diag *diag = fy_diag_create(&diag_config);
    struct fy_parser *parser = NULL;
    if (diag != NULL) {
        fy_diag_set_collect_errors(diag, true);
        const struct fy_parse_cfg config = {
            .flags = FYPCF_QUIET | FYPCF_JSON_NONE |
                     (s->tree ? FYPCF_DEFAULT_VERSION_1_1 : FYPCF_DEFAULT_VERSION_1_2),
            .diag = diag};
        parser = fy_parser_create(&config);
    }
    if (parser == NULL || fy_parser_set_string(parser, text, size) != 0) {
        (void)tub__fail(s->err, TUB_E_MEMORY, "no memory for a YAML parser");
    } else {
        status = run_parser(s, parser, diag);
    }
    if (parser != NULL) {
        fy_parser_destroy(parser);
    }
    if (diag != NULL) {
        fy_diag_destroy(diag);
    }
    return status;
}

static tub_status read_text(const char *text, size_t size, bool tree, char **json, tub_error *err) {
    if (size > INPUT_LIMIT) {
        return tub__fail(err, TUB_E_FORMAT, "%zu bytes of YAML; more than %d MiB are refused", size,
                         INPUT_LIMIT >> 20);
    }
    TUB__TRY(tub__yaml_check_text(text, size, err));
    state *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return tub__fail(err, TUB_E_MEMORY, "no memory to read YAML");
    }
    s->err = err;
    s->tree = tree;
    tub_status status = parse(s, text, size);
    if (status == TUB_OK) {
        *json = s->text;
    } else {
        free(s->text);
    }
    for (int i = 0; i < s->anchor_count; i++) {
        free(s->anchors[i].name);
    }
    free(s->keys);
    free(s);
    return status;
}

static tub_status to_json(const char *text, size_t size, char **json, tub_error *err) {
    return read_text(text, size, false, json, err);
}

static tub_status to_tree(const char *text, size_t size, char **json, tub_error *err) {
    return read_text(text, size, true, json, err);
}

static void release(char *json) {
    free(json);
}

/* Looked up by name when the module is opened. */
extern __attribute__((visibility("default"))) const tub__yaml_module tub__module_table;
const tub__yaml_module tub__module_table = {
    .version = TUB__MODULE_VERSION, .to_json = to_json, .to_tree = to_tree, .release = release};
