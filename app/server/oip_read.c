/* SPDX-License-Identifier: Apache-2.0 */
/* From the events of the JSON text to a request: a place for each level of nesting says what its values
 * mean. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oip.h"

enum {
    OUTSIDE, /* the text itself */
    TOP,
    PARAMETERS,
    INPUTS,
    INPUT,
    INPUT_SHAPE,
    INPUT_PARAMETERS,
    INPUT_DATA, /* however deep */
    OUTPUTS,
    OUTPUT,
    OUTPUT_PARAMETERS,
    PASSED_OVER
};

static bool fail(oip_reader *r, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool fail(oip_reader *r, int status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(r->sentence, sizeof r->sentence, format, arguments);
    va_end(arguments);
    r->status = status;
    return false;
}

/* ---- Room ---- */

/* Grown by doubling: what is announced and never sent takes no memory. */
static bool grow(void **block, size_t *room, size_t count, size_t element) {
    if (count < *room) {
        return true;
    }
    const size_t more = *room == 0 ? 4096 : *room * 2;
    void *bigger =
        more > *room && more <= SIZE_MAX / element ? realloc(*block, more * element) : NULL;
    if (bigger == NULL) {
        return false;
    }
    *block = bigger;
    *room = more;
    return true;
}

static bool fail_memory(oip_reader *r) {
    return fail(r, 503, "out of memory for the request");
}

static bool add_number(oip_reader *r, oip_input *in, const json_value *v) {
    const float value = (float)v->number;
    if (!grow((void **)&in->numbers, &in->number_room, in->count, sizeof *in->numbers)) {
        return fail_memory(r);
    }
    if (!isfinite(value)) {
        return fail(r, 400, "input '%s': a number that is too large", in->name);
    }
    in->levels = in->levels && v->whole && v->integer >= 0 && v->integer <= 255;
    in->numbers[in->count++] = value;
    return true;
}

static bool add_bytes(oip_reader *r, oip_input *in, const char *data, size_t size) {
    while (in->byte_room - in->size < size) {
        if (!grow((void **)&in->bytes, &in->byte_room, in->byte_room, 1)) {
            return fail_memory(r);
        }
    }
    if (size > 0) {
        memcpy(in->bytes + in->size, data, size);
    }
    in->size += size;
    return true;
}

/* ---- Texts ---- */

static int place_of(const oip_reader *r) {
    return r->place[r->level];
}

static oip_input *input_of(oip_reader *r) {
    return &r->request.input[r->request.inputs - 1];
}

static oip_output *output_of(oip_reader *r) {
    return &r->request.output[r->request.outputs - 1];
}

static bool is_key(const oip_reader *r, const char *key) {
    return strcmp(r->key, key) == 0;
}

/* A field of the parameters by its name; NULL: another one. */
static char *parameter(oip_reader *r) {
    oip_parameters *p = &r->request.parameters;
    return is_key(r, "window")     ? p->window
           : is_key(r, "hop")      ? p->hop
           : is_key(r, "method")   ? p->method
           : is_key(r, "class")    ? p->target
           : is_key(r, "filename") ? p->file_name
                                   : NULL;
}

/* Where a string goes that begins here. */
static void aim(oip_reader *r) {
    r->text = NULL;
    r->text_room = OIP_NAME;
    r->text_used = 0;
    switch (place_of(r)) {
    case TOP:
        if (is_key(r, "id")) {
            r->text = r->request.id;
            r->text_room = OIP_ID;
            r->request.has_id = true;
        }
        break;
    case INPUT:
        if (is_key(r, "name")) {
            r->text = input_of(r)->name;
            input_of(r)->named = true;
        } else if (is_key(r, "datatype")) {
            r->text = input_of(r)->datatype;
            r->text_room = sizeof input_of(r)->datatype;
            input_of(r)->typed = true;
        }
        break;
    case OUTPUT:
        if (is_key(r, "name")) {
            r->text = output_of(r)->name;
            output_of(r)->named = true;
        }
        break;
    case PARAMETERS:
    case INPUT_PARAMETERS:
        r->text = parameter(r);
        break;
    default:
        break;
    }
}

/* A string of "data": its length in four bytes, then itself, as in binary. */
static bool take_data_text(oip_reader *r, const json_value *v) {
    oip_input *in = input_of(r);
    if (r->text_used == 0) {
        in->text_at = in->size;
        r->text_used = 1;
        if (!add_bytes(r, in, "\0\0\0\0", OIP_LENGTH)) {
            return false;
        }
    }
    if (!add_bytes(r, in, v->text, v->size)) {
        return false;
    }
    if (v->last) {
        const size_t size = in->size - in->text_at - OIP_LENGTH;
        oip_put_length(in->bytes + in->text_at, size);
        in->texts++;
        r->text_used = 0;
    }
    return true;
}

static bool take_text(oip_reader *r, const json_value *v) {
    if (place_of(r) == INPUT_DATA) {
        return take_data_text(r, v);
    }
    if (r->text == NULL && r->text_used == 0) {
        aim(r);
    }
    if (r->text != NULL) {
        const size_t left = r->text_room - 1 - r->text_used;
        const size_t size = v->size < left ? v->size : left;
        if (v->size > left || memchr(v->text, '\0', v->size) != NULL) {
            return fail(r, 400, "'%s' is longer than %zu bytes, or has a zero in it", r->key,
                        r->text_room - 1);
        }
        memcpy(r->text + r->text_used, v->text, size);
        r->text[r->text_used + size] = '\0';
    }
    r->text_used += v->size;
    if (v->last) {
        r->text = NULL;
        r->text_used = 0;
    }
    return true;
}

/* ---- Levels ---- */

static bool begin_data(oip_reader *r, oip_input *in) {
    if (in->has_data) {
        return fail(r, 400, "input '%s' has 'data' twice", in->name);
    }
    in->has_data = true;
    return true;
}

/* What an array means; PASSED_OVER where it means nothing; -1: a failure. */
static int place_of_array(oip_reader *r) {
    switch (place_of(r)) {
    case TOP:
        if (is_key(r, "inputs")) {
            if (r->request.has_inputs) {
                (void)fail(r, 400, "the request has 'inputs' twice");
                return -1;
            }
            r->request.has_inputs = true;
            return INPUTS;
        }
        return is_key(r, "outputs") ? OUTPUTS : PASSED_OVER;
    case INPUT:
        if (is_key(r, "shape")) {
            if (input_of(r)->shaped) {
                (void)fail(r, 400, "input '%s' has 'shape' twice", input_of(r)->name);
                return -1;
            }
            input_of(r)->shaped = true;
            return INPUT_SHAPE;
        }
        return !is_key(r, "data") ? PASSED_OVER : begin_data(r, input_of(r)) ? INPUT_DATA : -1;
    case INPUT_DATA:
        return INPUT_DATA;
    default:
        return PASSED_OVER;
    }
}

static int place_of_object(oip_reader *r) {
    switch (place_of(r)) {
    case OUTSIDE:
        return TOP;
    case TOP:
        return is_key(r, "parameters") ? PARAMETERS : PASSED_OVER;
    case INPUTS:
        if (r->request.inputs == OIP_INPUTS) {
            (void)fail(r, 400, "more than %d inputs", OIP_INPUTS);
            return -1;
        }
        r->request.input[r->request.inputs++] = (oip_input){.binary = -1, .levels = true};
        return INPUT;
    case INPUT:
        return is_key(r, "parameters") ? INPUT_PARAMETERS : PASSED_OVER;
    case OUTPUTS:
        if (r->request.outputs == OIP_OUTPUTS) {
            (void)fail(r, 400, "more than %d outputs", OIP_OUTPUTS);
            return -1;
        }
        r->request.output[r->request.outputs++] = (oip_output){.binary = -1};
        return OUTPUT;
    case OUTPUT:
        return is_key(r, "parameters") ? OUTPUT_PARAMETERS : PASSED_OVER;
    default:
        return PASSED_OVER;
    }
}

static bool enter(oip_reader *r, bool object) {
    const int outer = place_of(r);
    const bool mixed =
        object ? outer == INPUT_DATA || outer == INPUT_SHAPE
               : outer == OUTSIDE || outer == INPUTS || outer == OUTPUTS || outer == INPUT_SHAPE;
    int place = -1;
    if (mixed) {
        (void)fail(r, 400,
                   outer == OUTSIDE      ? "the request is no JSON object"
                   : outer == INPUT_DATA ? "an object where a number should be, in 'data'"
                   : outer == INPUTS     ? "an input is not an object"
                   : outer == OUTPUTS    ? "an output is not an object"
                                         : "something in 'shape' is not a number");
    } else {
        place = object ? place_of_object(r) : place_of_array(r);
    }
    r->place[++r->level] = place;
    r->key[0] = '\0';
    return place >= 0;
}

/* ---- Numbers and words ---- */

static bool take_parameter(oip_reader *r, const json_value *v) {
    char *text = parameter(r);
    if (is_key(r, "binary_data_output")) {
        r->request.parameters.binary_output = v->number == 1;
    } else if (text != NULL && v->event == EVENT_NUMBER) {
        snprintf(text, OIP_NAME, "%.*g", v->whole ? 17 : 9, v->number);
    }
    return true;
}

static bool take_input_parameter(oip_reader *r, const json_value *v) {
    if (!is_key(r, "binary_data_size")) {
        return take_parameter(r, v);
    }
    if (!v->whole || v->event != EVENT_NUMBER || v->integer < 0) {
        return fail(r, 400, "input '%s': binary_data_size is no number of bytes",
                    input_of(r)->name);
    }
    input_of(r)->binary = v->integer;
    return true;
}

static bool take_output_parameter(oip_reader *r, const json_value *v) {
    if (is_key(r, "binary_data")) {
        output_of(r)->binary = v->number == 1;
    } else if (is_key(r, "classification")) {
        if (!v->whole || v->event != EVENT_NUMBER || v->integer < 0) {
            return fail(r, 400, "output '%s': classification is no number of classes",
                        output_of(r)->name);
        }
        output_of(r)->classification = v->integer;
    }
    return true;
}

static bool take_dimension(oip_reader *r, const json_value *v) {
    oip_input *in = input_of(r);
    if (v->event != EVENT_NUMBER || !v->whole || v->integer < 0) {
        return fail(r, 400, "input '%s': a dimension that is no whole number of at least 0",
                    in->name);
    }
    if (in->rank == OIP_RANK) {
        return fail(r, 400, "input '%s': a shape of more than %d dimensions", in->name, OIP_RANK);
    }
    in->shape[in->rank++] = v->integer;
    return true;
}

static bool take_simple(oip_reader *r, const json_value *v) {
    const int place = place_of(r);
    switch (place) {
    case OUTSIDE:
        return fail(r, 400, "the request is no JSON object");
    case PARAMETERS:
        return take_parameter(r, v);
    case INPUT_PARAMETERS:
        return take_input_parameter(r, v);
    case OUTPUT_PARAMETERS:
        return take_output_parameter(r, v);
    case INPUT_SHAPE:
        return take_dimension(r, v);
    case INPUT_DATA:
        return v->event == EVENT_NUMBER
                   ? add_number(r, input_of(r), v)
                   : fail(r, 400, "input '%s': a word among the numbers", input_of(r)->name);
    case INPUTS:
        return fail(r, 400, "an input is not an object");
    case OUTPUTS:
        return fail(r, 400, "an output is not an object");
    default:
        return true;
    }
}

/* ---- All ---- */

/* "shape": {} and the like: a key that is wanted has a value of another kind. */
static bool check_kind(oip_reader *r, const json_value *v) {
    static const char *const arrays[] = {"inputs", "outputs", "shape", "data"};
    const int place = place_of(r);
    const bool none =
        v->event == EVENT_WORD && isnan(v->number); /* null: as if it were not there */
    if (v->event == EVENT_ARRAY || none || (place != TOP && place != INPUT)) {
        return true;
    }
    for (int i = 0; i < 4; i++) {
        if ((place == TOP) == (i < 2) && is_key(r, arrays[i])) {
            return fail(r, 400, "'%s' is not an array", arrays[i]);
        }
    }
    return true;
}

static bool take(oip_reader *r, const json_value *v) {
    switch (v->event) {
    case EVENT_KEY:
        memcpy(r->key, v->text, v->size);
        r->key[v->size] = '\0';
        return true;
    case EVENT_OBJECT:
    case EVENT_ARRAY:
        return check_kind(r, v) && enter(r, v->event == EVENT_OBJECT);
    case EVENT_OBJECT_END:
    case EVENT_ARRAY_END:
        r->level--;
        r->key[0] = '\0';
        return true;
    case EVENT_TEXT:
        return check_kind(r, v) && (place_of(r) == INPUT_SHAPE || place_of(r) == INPUTS ||
                                            place_of(r) == OUTPUTS || place_of(r) == OUTSIDE
                                        ? take_simple(r, v)
                                        : take_text(r, v));
    default:
        return check_kind(r, v) && take_simple(r, v);
    }
}

static const char *tell(void *user, const json_value *v) {
    oip_reader *r = user;
    return take(r, v) ? NULL : r->sentence;
}

void oip_begin(oip_reader *r, int64_t header) {
    memset(r, 0, sizeof *r);
    r->header = header;
    json_events_init(&r->json, tell, r);
}

/* Whoever sends a film as the whole body means well. */
static bool judge_json(oip_reader *r, const char *failure) {
    if (failure == NULL || r->status != 0) {
        return failure == NULL;
    }
    if (r->first != 0 && r->first != (0x100 | '{')) {
        return fail(
            r, 400,
            "the body is no JSON; a file goes behind it, see docs/serving.md, 'A file by hand'");
    }
    return fail(r, 400, "the request's JSON can't be read: %s", failure);
}

static bool end_json(oip_reader *r) {
    if (r->whole_json) {
        return true;
    }
    r->whole_json = true;
    return judge_json(r, json_events_end(&r->json));
}

/* Bytes behind the JSON, to the inputs in their order. */
static bool take_binary(oip_reader *r, const char *data, size_t size) {
    while (size > 0) {
        while (r->filling < r->request.inputs && r->request.input[r->filling].binary <= r->filled) {
            r->filling++;
            r->filled = 0;
        }
        if (r->filling == r->request.inputs) {
            return fail(r, 400,
                        "bytes stand behind the last input; binary_data_size and "
                        "Inference-Header-Content-Length say where inputs end");
        }
        oip_input *in = &r->request.input[r->filling];
        if (in->has_data) {
            return fail(r, 400, "input '%s' has both 'data' and binary_data_size", in->name);
        }
        const uint64_t want = (uint64_t)(in->binary - r->filled);
        const size_t part = size < want ? size : (size_t)want;
        if (!add_bytes(r, in, data, part)) {
            return false;
        }
        r->filled += (int64_t)part;
        data += part;
        size -= part;
    }
    return true;
}

/* The first byte that is no blank. */
static void note_first(oip_reader *r, const char *data, size_t size) {
    for (size_t i = 0; i < size && r->first == 0; i++) {
        r->first = strchr(" \t\r\n", data[i]) == NULL || data[i] == '\0'
                       ? 0x100 | (unsigned char)data[i]
                       : 0;
    }
}

bool oip_push(oip_reader *r, const char *data, size_t size) {
    if (r->status != 0) {
        return false;
    }
    note_first(r, data, size);
    if (r->header < 0) {
        r->read += (int64_t)size;
        return judge_json(r, json_events_push(&r->json, data, size));
    }
    const int64_t left = r->header - r->read;
    const size_t text = left <= 0 ? 0 : (uint64_t)left < size ? (size_t)left : size;
    r->read += (int64_t)size;
    if (text > 0 && !judge_json(r, json_events_push(&r->json, data, text))) {
        return false;
    }
    return text == size || (end_json(r) && take_binary(r, data + text, size - text));
}

bool oip_end(oip_reader *r) {
    if (r->status != 0) {
        return false;
    }
    if (r->header > r->read) {
        return fail(r, 400, "Inference-Header-Content-Length is %lld, the body has %lld bytes",
                    (long long)r->header, (long long)r->read);
    }
    if (!end_json(r)) {
        return false;
    }
    for (int i = 0; i < r->request.inputs; i++) {
        const oip_input *in = &r->request.input[i];
        if (in->binary >= 0 && (in->has_data || (uint64_t)in->binary != in->size)) {
            return in->has_data
                       ? fail(r, 400, "input '%s' has both 'data' and binary_data_size", in->name)
                       : fail(r, 400,
                              "input '%s': binary_data_size is %lld, the body has %zu bytes",
                              in->name, (long long)in->binary, in->size);
        }
    }
    return true;
}

size_t oip_kept(const oip_reader *r) {
    size_t kept = 0;
    for (int i = 0; i < r->request.inputs; i++) {
        const oip_input *in = &r->request.input[i];
        kept += in->number_room * sizeof *in->numbers + in->byte_room;
    }
    return kept;
}

void oip_free(oip_reader *r) {
    for (int i = 0; i < r->request.inputs; i++) {
        free(r->request.input[i].numbers);
        free(r->request.input[i].bytes);
    }
    r->request.inputs = 0;
}
