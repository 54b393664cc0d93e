/* SPDX-License-Identifier: Apache-2.0 */
/* What a request asks for, against what the model is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"

enum { SHAPE_TEXT = 160 };

static const char *const input_names[VIEWS] = {"clip", "clip", "file"};
static const char *const datatypes[VIEWS] = {"FP32", "UINT8", "BYTES"};

static void shape_text(const int64_t *shape, int rank, char out[SHAPE_TEXT]) {
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < rank && used < SHAPE_TEXT - 24; i++) {
        used += (size_t)snprintf(out + used, SHAPE_TEXT - used, "%s%lld", i > 0 ? "," : "",
                                 (long long)shape[i]);
    }
}

static bool fail_shape(request *r, const oip_input *in, const char *expected) {
    char got[SHAPE_TEXT];
    shape_text(in->shape, in->rank, got);
    return request_fail(r, 400, "unexpected shape for input '%s': expected [%s], got [%s]",
                        in->name, expected, got);
}

/* ---- Shapes ---- */

static bool check_rows(request *r, const oip_input *in) {
    const long most = r->server->options->max_clips;
    if (in->shape[0] == 0) {
        return request_fail(r, 400, "input '%s' is empty", in->name);
    }
    return in->shape[0] <= most ||
           request_fail(r, 413, "input '%s' has %lld clips, and %ld are allowed at once", in->name,
                        (long long)in->shape[0], most);
}

static bool check_clip_shape(request *r, const oip_input *in) {
    const tub_model_config *c = r->model->config;
    const bool any = r->view == VIEW_LEVELS && r->model->resizes;
    const int64_t want[5] = {-1, c->frames, any ? -1 : c->height, any ? -1 : c->width, c->channels};
    char expected[SHAPE_TEXT];
    shape_text(want, 5, expected);
    bool fits = in->rank == 5;
    for (int i = 1; i < 5 && fits; i++) {
        fits = want[i] < 0 || want[i] == in->shape[i];
    }
    if (!fits) {
        return fail_shape(r, in, expected);
    }
    if (r->view == VIEW_LEVELS) {
        tub_error err;
        if (tub_model_accepts(r->model->model, TUB_U8, in->shape + 1, &err) != TUB_OK) {
            return request_fail(r, 400, "input '%s': %s", in->name, err.message);
        }
    }
    return check_rows(r, in);
}

static bool check_shape(request *r, const oip_input *in) {
    if (r->view != VIEW_FILE) {
        return check_clip_shape(r, in);
    }
    const bool column = in->rank == 2 && in->shape[1] == 1;
    return in->rank == 1 || column ? check_rows(r, in) : fail_shape(r, in, "-1");
}

/* ---- Data ---- */

/* Elements of a clip or several, checked to be few enough for the body: 0 where they are not. */
static size_t elements_of(const request *r, const oip_input *in) {
    uint64_t n = 1;
    for (int i = 0; i < in->rank; i++) {
        if (__builtin_mul_overflow(n, (uint64_t)in->shape[i], &n)) {
            return 0;
        }
    }
    return n <= r->server->options->max_body ? (size_t)n : 0;
}

/* Numbers of JSON to what the datatype has: levels in the place of the floats. */
static bool settle_numbers(request *r, oip_input *in) {
    if (in->texts > 0) {
        return request_fail(r, 400, "input '%s': a text among the numbers", in->name);
    }
    if (r->view == VIEW_LEVELS && !in->levels) {
        return request_fail(r, 400, "input '%s': UINT8 data are whole numbers from 0 to 255",
                            in->name);
    }
    if (r->view == VIEW_LEVELS) {
        unsigned char *levels = (unsigned char *)in->numbers;
        for (size_t i = 0; i < in->count; i++) {
            levels[i] = (unsigned char)in->numbers[i];
        }
    }
    return true;
}

static bool check_numbers(request *r, oip_input *in) {
    const size_t n = elements_of(r, in), element = r->view == VIEW_CLIP ? sizeof(float) : 1;
    if (n == 0) {
        return request_fail(r, 413, "input '%s' is larger than a body may be", in->name);
    }
    if (in->has_data) {
        if (in->count != n && in->texts == 0) {
            return request_fail(r, 400, "input '%s': got %zu elements, its shape needs %zu",
                                in->name, in->count, n);
        }
        return settle_numbers(r, in);
    }
    if (in->size / element != n || in->size % element != 0) {
        return request_fail(r, 400,
                            "input '%s': binary_data_size %zu does not fit its shape and datatype, "
                            "which need %zu",
                            in->name, in->size, n * element);
    }
    return true;
}

/* Elements of a length and so many bytes each; exactly as many as the shape says. */
static bool check_bytes(request *r, const oip_input *in) {
    int64_t n = 0;
    if (in->has_data && in->count > 0) {
        return request_fail(r, 400, "input '%s': BYTES data are texts", in->name);
    }
    for (size_t at = 0; at < in->size; n++) {
        const unsigned char *b = in->bytes + at;
        if (in->size - at < 4) {
            return request_fail(r, 400, "input '%s': the length of an element is cut off",
                                in->name);
        }
        const size_t length = oip_get_length(b);
        if (length > in->size - at - 4) {
            return request_fail(r, 400,
                                "input '%s': an element of %zu bytes goes beyond binary_data_size",
                                in->name, length);
        }
        at += 4 + length;
    }
    return n == in->shape[0] || request_fail(r, 400,
                                             "input '%s': got %lld elements, its shape "
                                             "needs %lld",
                                             in->name, (long long)n, (long long)in->shape[0]);
}

static bool check_input(request *r, oip_input *in) {
    const char *name = input_names[r->view], *type = datatypes[r->view];
    if (!in->named || !in->typed || !in->shaped) {
        return request_fail(r, 400, "an input has no '%s'",
                            !in->named   ? "name"
                            : !in->typed ? "datatype"
                                         : "shape");
    }
    if (strcmp(in->name, name) != 0) {
        return request_fail(r, 400, "unexpected inference input '%s' for model '%s'; it takes '%s'",
                            in->name, r->model_name, name);
    }
    if (strcmp(in->datatype, type) != 0) {
        return request_fail(r, 400,
                            "inference input '%s' data-type is '%s', but model '%s' expects '%s'",
                            in->name, in->datatype, r->model_name, type);
    }
    if (!in->has_data && in->binary < 0) {
        return request_fail(r, 400, "input '%s' has no data", in->name);
    }
    return check_shape(r, in) && (r->view == VIEW_FILE ? check_bytes(r, in) : check_numbers(r, in));
}

/* ---- Outputs ---- */

/* A class by its name or number. */
static bool find_class(request *r, const char *wanted, int64_t *out) {
    const char *const *labels = tub_model_labels(r->model->model);
    const int64_t classes = r->model->config->classes;
    char *end;
    for (int64_t k = 0; labels != NULL && k < classes; k++) {
        if (strcmp(labels[k], wanted) == 0) {
            *out = k;
            return true;
        }
    }
    *out = strtoll(wanted, &end, 10);
    return (*end == '\0' && *out >= 0 && *out < classes) ||
           request_fail(r, 400, "class: the model has no class '%s'", wanted);
}

static bool take_explanation(request *r) {
    const oip_parameters *p = &r->reader.request.parameters;
    tub_explain_options *o = &r->explain;
    tub_error err;
    *o = tub_explain_options_default();
    o->method = TUB_EXPLAIN_ROLLOUT;
    if (p->method[0] != '\0' && tub_explain_method_parse(p->method, &o->method, &err) != TUB_OK) {
        return request_fail(r, 400, "method: %s", err.message);
    }
    if (o->method == TUB_EXPLAIN_OCCLUSION || o->method == TUB_EXPLAIN_INTEGRATED_GRADIENTS) {
        return request_fail(r, 400,
                            "method %s takes longer than a request may; tubelet explain "
                            "has it",
                            p->method);
    }
    if (p->target[0] != '\0' && !find_class(r, p->target, &o->target)) {
        return false;
    }
    return tub_explain_check(r->model->model, o, &err) == TUB_OK ||
           request_fail(r, 400, "%s", err.message);
}

static bool check_output(request *r, const oip_output *out) {
    const bool scores = strcmp(out->name, "logits") == 0 || strcmp(out->name, "probs") == 0;
    bool *wish = strcmp(out->name, "label") == 0         ? &r->wants_label
                 : strcmp(out->name, "explanation") == 0 ? &r->wants_map
                 : strcmp(out->name, "overlay") == 0     ? &r->wants_overlay
                 : strcmp(out->name, "frames") == 0      ? &r->wants_frames
                 : strcmp(out->name, "windows") == 0     ? &r->wants_windows
                                                         : NULL;
    if (!out->named || (!scores && wish == NULL)) {
        return request_fail(r, 400, "unexpected inference output '%s' for model '%s'", out->name,
                            r->model_name);
    }
    if (out->classification > 0 && !scores) {
        return request_fail(r, 400, "output '%s' can't be had as a classification", out->name);
    }
    if (wish != NULL) {
        *wish = true;
    }
    const bool binary =
        out->binary < 0 ? r->reader.request.parameters.binary_output : out->binary != 0;
    return !r->wants_overlay || strcmp(out->name, "overlay") != 0 || binary ||
           request_fail(r, 400, "output 'overlay' is no text: ask for it with binary_data");
}

/* Each costs memory: none is made twice. */
static bool is_listed_before(const oip_request *q, int at) {
    for (int i = 0; i < at; i++) {
        if (strcmp(q->output[i].name, q->output[at].name) == 0) {
            return true;
        }
    }
    return false;
}

static bool check_outputs(request *r) {
    oip_request *q = &r->reader.request;
    if (q->outputs == 0) {
        q->output[q->outputs++] = (oip_output){.name = "logits", .named = true, .binary = -1};
        q->output[q->outputs++] = (oip_output){.name = "probs", .named = true, .binary = -1};
    }
    for (int i = 0; i < q->outputs; i++) {
        if (!check_output(r, &q->output[i])) {
            return false;
        }
        if (is_listed_before(q, i)) {
            return request_fail(r, 400, "output '%s' is listed twice", q->output[i].name);
        }
    }
    if (r->wants_frames && r->view != VIEW_FILE) {
        return request_fail(r, 400, "output 'frames' is of files: ask %s%s", r->model->name,
                            served_suffix(VIEW_FILE));
    }
    if (r->wants_windows && (r->view != VIEW_FILE || q->parameters.window[0] == '\0')) {
        return request_fail(r, 400, "output 'windows' needs a file and the parameter 'window'");
    }
    return !(r->wants_map || r->wants_overlay) || take_explanation(r);
}

bool infer_check(request *r) {
    oip_request *q = &r->reader.request;
    if (!q->has_inputs) {
        return request_fail(r, 400, "the request has no 'inputs'");
    }
    if (q->inputs != 1) {
        return request_fail(r, 400, "expected 1 input but got %d", q->inputs);
    }
    if (q->parameters.window[0] != '\0' && r->view != VIEW_FILE) {
        return request_fail(r, 400, "the parameter 'window' needs a file: ask %s%s", r->model->name,
                            served_suffix(VIEW_FILE));
    }
    if (q->parameters.window[0] == '\0' && q->parameters.hop[0] != '\0') {
        return request_fail(r, 400, "the parameter 'hop' works with 'window' only");
    }
    return check_input(r, &q->input[0]) && check_outputs(r);
}
