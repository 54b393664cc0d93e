/* SPDX-License-Identifier: Apache-2.0 */
/* Converting a model: read, planned, written beside its place, read again and compared, and only then
 * given its name. */
#include <tubelet/convert.h>

#include "base/error.h"
#include "base/file.h"
#include "convert/config_json.h"
#include "convert/converted.h"
#include "convert/ending.h"
#include "convert/folder.h"
#include "convert/keras.h"
#include "convert/onnx.h"
#include <string.h>
#include <unistd.h>

tub_convert_options tub_convert_options_default(void) {
    return (tub_convert_options){.size = sizeof(tub_convert_options)};
}

int tub_convert_knows(const char *path) {
    return tub__is_keras_path(path) && !tub__is_folder(path);
}

/* One conversion. */
typedef struct conversion {
    tub_context *ctx;
    const char *out;
    tub_convert_options options;
    tub__converted from;
    tub_convert_kind to;
    tub__folder_form form;
    tub__file_array *planned; /* [params.count] of from.model; no name: not written */
    tub__onnx_maker onnx;     /* the graph that is written, where it is one */
    bool checked;
} conversion;

static bool is_folder_kind(tub_convert_kind kind) {
    return kind == TUB_CONVERT_FOLDER || kind == TUB_CONVERT_ENCODER;
}

static bool is_keras_kind(tub_convert_kind kind) {
    return kind == TUB_CONVERT_KERAS || kind == TUB_CONVERT_KERAS_WEIGHTS;
}

/* ---- What is asked for ---- */

static bool ends_with(const char *text, const char *end) {
    const size_t length = strlen(text), rest = strlen(end);
    return length >= rest && strcmp(text + length - rest, end) == 0;
}

/* The file of arrays that may come to lie beside an ONNX file: one of another file, or of one that
 * is gone, would be taken for it. */
static tub_status check_data_out(const conversion *c, tub_error *err) {
    char *data;
    TUB__TRY(tub__onnx_data_path(&c->ctx->allocator, c->out, &data, err));
    const tub_status status =
        tub__name_taken(data) ? tub__fail(err, TUB_E_EXISTS, "%s is there already", data) : TUB_OK;
    tub__free(&c->ctx->allocator, data);
    return status;
}

static tub_status check_out(const conversion *c, tub_error *err) {
    const char *out = c->out;
    static const char *const others[] = {".safetensors", ".msgpack", ".npz",  ".pt",
                                         ".pth",         ".bin",     ".ckpt", ".tflite",
                                         ".hdf5",        ".pb",      ".json", ".zip"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (ends_with(out, others[i])) {
            return tub__fail(err, TUB_E_ARGUMENT,
                             "%s: a model becomes a folder, or a .keras, .weights.h5 or .onnx file",
                             out);
        }
    }
    TUB__TRY(tub__check_ending(c->ctx, out, err));
    if (tub_convert_knows(out)) {
        TUB__TRY(tub__keras_may_save(out, err));
        if (c->options.pixels != TUB_CONVERT_PIXELS_UNKNOWN) {
            return tub__fail(err, TUB_E_ARGUMENT,
                             "%s: a file of Keras has no place for how pixels are scaled", out);
        }
    }
    if (tub__is_onnx_path(out)) {
        TUB__TRY(check_data_out(c, err));
    }
    return tub__name_taken(out) ? tub__fail(err, TUB_E_EXISTS, "%s is there already", out) : TUB_OK;
}

/* Options of one kind of files are mistakes of another. */
static tub_status check_form(const tub_convert_options *o, const char *out, tub_error *err) {
    const bool onnx = tub__is_onnx_path(out), file = onnx || tub_convert_knows(out);
    if (!onnx && (o->uint8_input || o->external_data)) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "%s: clips of uint8 and arrays in a file beside it are for .onnx files",
                         out);
    }
    return file && (o->encoder_only || o->newer_names || o->shard_size > 0)
               ? tub__fail(err, TUB_E_ARGUMENT,
                           "%s: an encoder alone, newer names and several files are for folders",
                           out)
               : TUB_OK;
}

static tub_status check_options(const tub_context *ctx, const tub_convert_options *o,
                                tub_error *err) {
    if (o->size != sizeof *o) {
        return tub__fail(err, TUB_E_ARGUMENT, "the options have size %zu; this library's is %zu",
                         o->size, sizeof *o);
    }
    TUB__TRY(tub__in_range("gelu", o->gelu, TUB_CONVERT_GELU_USUAL, TUB_CONVERT_GELU_ERF, err));
    TUB__TRY(tub__in_range("pixels", o->pixels, TUB_CONVERT_PIXELS_UNKNOWN,
                           TUB_CONVERT_PIXELS_SIGNED, err));
    TUB__TRY(tub__in_range("shard_size", o->shard_size, 0, INT64_MAX, err));
    return ctx->precision == TUB_PRECISION_F32
               ? TUB_OK
               : tub__fail(err, TUB_E_ARGUMENT,
                           "files are converted in float32, in no other precision");
}

/* Options that say nothing of what is read are mistakes. */
static tub_status check_source(const conversion *c, const char *in, tub_error *err) {
    const tub_convert_options *o = &c->options;
    const bool hints = o->frames > 0 || o->height > 0 || o->width > 0 || o->variant > 0 ||
                       o->pooling != NULL || o->attention_order != NULL ||
                       o->task != TUB_TASK_DATA || o->head_classes[0] != 0;
    if (hints && c->from.kind != TUB_CONVERT_SCENIC) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "frames, size, variant, pooling, the order of attentions, task and heads "
                         "are hints for checkpoints of scenic, which can't say them");
    }
    if (o->like != NULL && (is_folder_kind(c->from.kind) || c->from.kind == TUB_CONVERT_KERAS)) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "%s says all sizes itself; only to mere weights does another model lend "
                         "what they do not say",
                         in);
    }
    return o->pixels != TUB_CONVERT_PIXELS_UNKNOWN && is_folder_kind(c->from.kind)
               ? tub__fail(err, TUB_E_ARGUMENT,
                           "a model folder says how pixels are scaled (preprocessor_config.json)")
               : TUB_OK;
}

/* All but some files of Keras say which GELU they have. */
static tub_status check_gelu(const conversion *c, const char *in, tub_error *err) {
    const tub_convert_gelu asked = c->options.gelu;
    const bool erf = c->from.model->config.gelu == TUB_GELU_ERF;
    return asked == TUB_CONVERT_GELU_USUAL || erf == (asked == TUB_CONVERT_GELU_ERF)
               ? TUB_OK
               : tub__fail(err, TUB_E_ARGUMENT, "%s: its gelu is %s, not %s", in,
                           erf ? "erf" : "tanh", erf ? "tanh" : "erf");
}

/* Hints at what a checkpoint says itself, or lacks. */
static tub_status check_hints(const conversion *c, const char *in, tub_error *err) {
    const tub_model_config *config = &c->from.model->config;
    if (c->options.pooling != NULL && config->pooling == TUB_POOL_CLASS_TOKEN) {
        return tub__fail(err, TUB_E_ARGUMENT, "%s: it has a class token, and pools nothing else",
                         in);
    }
    return c->options.attention_order == NULL ||
                   config->variant == TUB_VARIANT_FACTORISED_SELF_ATTENTION
               ? TUB_OK
               : tub__fail(err, TUB_E_ARGUMENT,
                           "%s: it is of another variant than factorised self-attention, so its "
                           "attentions have no order",
                           in);
}

/* ---- The plan ---- */

static tub_status plan_keras(const conversion *c, tub_error *err) {
    const tub_model *model = c->from.model;
    tub__keras_layout layout;
    if (c->from.encoder) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "the Keras example's model has a classifier, which this encoder lacks");
    }
    TUB__TRY(tub__keras_can(&model->config, err));
    if (tub_model_prepares(model)) {
        tub__log_line(c->ctx, TUB_LOG_WARNING,
                      "what preprocessor_config.json asks for is left out: a file of Keras has no "
                      "place for it, so give Keras prepared input");
    }
    TUB__TRY(tub__keras_layout_plain(&c->ctx->allocator, (int)model->config.layers, &layout, err));
    for (size_t i = 0; i < model->params.count; i++) {
        tub__keras_describe(&layout, &model->config, &model->params.list[i], &c->planned[i]);
    }
    tub__keras_layout_destroy(&layout);
    return TUB_OK;
}

static tub_status plan_folder(const conversion *c, tub_error *err) {
    const tub_model *model = c->from.model;
    const char *lacks = tub__config_vivit_lacks(&model->config);
    if ((c->form.encoder || c->form.newer_names) && lacks != NULL) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "transformers' ViViT %s, so %s can't be written of this model", lacks,
                         c->form.encoder ? "an encoder alone" : "the names of newer transformers");
    }
    for (size_t i = 0; i < model->params.count; i++) {
        (void)!tub__folder_array(&model->params.list[i], &c->form, &c->planned[i]);
    }
    return TUB_OK;
}

static tub_status plan_onnx(conversion *c, tub_error *err) {
    const tub__onnx_options options = {.levels = c->options.uint8_input != 0};
    if (c->from.encoder) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "an ONNX file gives logits, and this encoder has no classifier");
    }
    TUB__TRY(tub__onnx_plan(&c->onnx, c->from.model, c->out, &options,
                            c->options.external_data != 0, err));
    tub__onnx_describe(&c->onnx, c->planned);
    return TUB_OK;
}

static tub_status make_plan(conversion *c, tub_error *err) {
    const tub_convert_options *o = &c->options;
    const tub_allocator *a = &c->ctx->allocator;
    c->form = (tub__folder_form){.encoder = o->encoder_only != 0 || c->from.encoder,
                                 .newer_names = o->newer_names != 0,
                                 .shard_size = (uint64_t)o->shard_size};
    c->to = c->form.encoder ? TUB_CONVERT_ENCODER : TUB_CONVERT_FOLDER;
    TUB__TRY(tub__alloc_array(a, c->from.model->params.count, sizeof *c->planned,
                              (void **)&c->planned, err));
    if (tub__is_onnx_path(c->out)) {
        c->to = TUB_CONVERT_ONNX;
        return plan_onnx(c, err);
    }
    if (!tub_convert_knows(c->out)) {
        return plan_folder(c, err);
    }
    c->to = ends_with(c->out, ".keras") ? TUB_CONVERT_KERAS : TUB_CONVERT_KERAS_WEIGHTS;
    return plan_keras(c, err);
}

/* ---- Writing ---- */

/* Whoever notices it first, the conversion or the process that it waits for. */
static tub_status stopped(tub_error *err) {
    return tub__fail(err, TUB_E_CANCELLED, "stopped; nothing was written");
}

static tub_status check_stop(const conversion *c, tub_error *err) {
    return c->ctx->stop == 0 ? TUB_OK : stopped(err);
}

static tub_status write_folder(const conversion *c, const char *folder, tub_error *err) {
    const tub__converted *m = &c->from;
    TUB__TRY(tub__folder_write_config_as(m->model, folder, NULL, &c->form, err));
    TUB__TRY(tub__folder_write_arrays_as(m->model, folder, &c->form, err));
    if (m->moments.first == NULL) {
        return TUB_OK;
    }
    if (c->form.encoder) {
        tub__log_line(c->ctx, TUB_LOG_WARNING,
                      "the state of Adam is left out: it is one of the whole model");
        return TUB_OK;
    }
    return tub__moments_write(m->model, &m->moments, folder, err);
}

static tub_status write_as(const conversion *c, const char *path, tub_error *err) {
    switch (c->to) {
    case TUB_CONVERT_ONNX:
        return tub__onnx_save(&c->onnx, path, err);
    case TUB_CONVERT_KERAS:
    case TUB_CONVERT_KERAS_WEIGHTS:
        return tub__keras_save(c->from.model, &c->from.moments, path, err);
    default:
        return write_folder(c, path, err);
    }
}

/* What was written of a model that can be read again. */
static tub_status check_model(const conversion *c, const char *path, tub_error *err) {
    tub__converted again;
    TUB__TRY(tub__converted_reopen(&c->from, path, c->to, &again, err));
    tub_status status = check_stop(c, err);
    if (status == TUB_OK) {
        status = tub__converted_check(&c->from, &again, c->planned, err);
    }
    tub__converted_close(&again);
    return status;
}

/* Writes to a path in a temporary folder, or to that folder, and compares. */
static tub_status write_checked(void *user, const char *path, tub_error *err) {
    conversion *c = user;
    TUB__TRY(check_stop(c, err));
    TUB__TRY(write_as(c, path, err));
    TUB__TRY(check_stop(c, err));
    const tub_status status = c->to == TUB_CONVERT_ONNX ? tub__onnx_check_file(&c->onnx, path, err)
                                                        : check_model(c, path, err);
    c->checked = status == TUB_OK;
    return status == TUB_OK ? check_stop(c, err) : status;
}

/* The arrays beside an ONNX file get their name first: a graph without them would be of no use. */
static tub_status move_data(const conversion *c, const char *file, char **moved, tub_error *err) {
    const tub_allocator *a = &c->ctx->allocator;
    char *from;
    TUB__TRY(tub__onnx_data_path(a, file, &from, err));
    tub_status status = tub__onnx_data_path(a, c->out, moved, err);
    if (status == TUB_OK) {
        status = tub__file_move_new(from, *moved, err);
    }
    if (status != TUB_OK) {
        tub__free(a, *moved);
        *moved = NULL;
    }
    tub__free(a, from);
    return status;
}

static tub_status move_files(const conversion *c, const char *file, tub_error *err) {
    char *data = NULL;
    if (c->onnx.graph.location[0] != '\0') {
        TUB__TRY(move_data(c, file, &data, err));
    }
    const tub_status status = tub__file_move_new(file, c->out, err);
    if (status != TUB_OK && data != NULL) {
        (void)unlink(data);
    }
    tub__free(&c->ctx->allocator, data);
    return status;
}

/* A file is made in the temporary folder under its own name, which says its kind. */
static tub_status write_named(conversion *c, const char *temporary, tub_error *err) {
    const tub_allocator *a = &c->ctx->allocator;
    char *file;
    TUB__TRY(tub__path_join(a, temporary, tub__path_name(c->out), &file, err));
    tub_status status = write_checked(c, file, err);
    if (status == TUB_OK) {
        status = move_files(c, file, err);
    }
    tub__free(a, file);
    return status;
}

static tub_status write_file(conversion *c, tub_error *err) {
    const tub_allocator *a = &c->ctx->allocator;
    char *temporary;
    int lock;
    TUB__TRY(tub__parent_create(a, c->out, err));
    tub__leftovers_remove(c->out);
    TUB__TRY(tub__folder_temporary(a, c->out, &temporary, &lock, err));
    tub_status status = write_named(c, temporary, err);
    (void)!tub__folder_remove(a, temporary, NULL);
    close(lock);
    tub__free(a, temporary);
    return status;
}

static tub_status write_out(conversion *c, tub_error *err) {
    return is_folder_kind(c->to)
               ? tub__folder_make(&c->ctx->allocator, c->out, write_checked, c, err)
               : write_file(c, err);
}

/* ---- The report ---- */

static void put_array(const tub__file_array *a, char name[192], int *rank, int64_t shape[5]) {
    _Static_assert(sizeof a->name == 192, "one length of names");
    memcpy(name, a->name, sizeof a->name);
    *rank = a->rank;
    for (int i = 0; i < a->rank; i++) {
        shape[i] = (int64_t)a->shape[i];
    }
}

/* What becomes of axes. Of files of Keras and scenic an ONNX file has dense kernels as they are,
 * and convolutions as a model folder has them. */
static const char *order_of(const conversion *c, const tub__param *p) {
    const bool from_folder = is_folder_kind(c->from.kind), to_folder = is_folder_kind(c->to);
    if (c->to != TUB_CONVERT_ONNX) {
        return from_folder == to_folder ? "as it is" : tub__keras_axes(p);
    }
    return from_folder                       ? tub__onnx_axes(&c->onnx, p)
           : p->file == TUB__FILE_TRANSPOSED ? "as it is"
                                             : tub__keras_axes(p);
}

/* A model folder is `here`; else what is written. Other programs' files have kernels the other way
 * round. */
static void describe(const conversion *c, size_t i, tub_convert_array *out) {
    const bool from_folder = is_folder_kind(c->from.kind), to_folder = is_folder_kind(c->to);
    const bool swap = from_folder && !to_folder;
    *out = (tub_convert_array){.order = order_of(c, &c->from.model->params.list[i])};
    put_array(swap ? &c->planned[i] : &c->from.arrays[i], out->there, &out->there_rank,
              out->there_shape);
    put_array(swap ? &c->from.arrays[i] : &c->planned[i], out->here, &out->here_rank,
              out->here_shape);
}

/* Whether what is written has a place for the state of Adam. */
static bool has_moments(const conversion *c) {
    return c->to != TUB_CONVERT_ONNX && !c->form.encoder;
}

static tub_status make_report(const conversion *c, tub_convert_report **out, tub_error *err) {
    const tub_allocator *a = &c->ctx->allocator;
    const tub_model *model = c->from.model;
    tub_convert_report *r;
    TUB__TRY(tub__alloc_array(a, 1, sizeof *r, (void **)&r, err));
    *r = (tub_convert_report){.from = c->from.kind,
                              .to = c->to,
                              .config = model->config,
                              .moments = c->from.moments.first != NULL && has_moments(c),
                              .iterations = c->from.moments.iterations};
    if (is_keras_kind(c->to) && tub__keras_needs_python(&model->config, c->out)) {
        r->note = tub__keras_python;
    }
    tub_status status =
        tub__alloc_array(a, model->params.count, sizeof *r->arrays, (void **)&r->arrays, err);
    if (status != TUB_OK) {
        tub__free(a, r);
        return status;
    }
    for (size_t i = 0; i < model->params.count; i++) {
        const tub__param *p = &model->params.list[i];
        if (c->planned[i].name[0] != '\0') {
            describe(c, i, &r->arrays[r->count++]);
            r->parameters += p->buffer ? 0 : (int64_t)(p->rows * p->cols);
        }
    }
    *out = r;
    return TUB_OK;
}

void tub_convert_report_free(tub_context *ctx, tub_convert_report *report) {
    if (report != NULL) {
        tub__free(&ctx->allocator, report->arrays);
        tub__free(&ctx->allocator, report);
    }
}

/* ---- All of it ---- */

static tub_status run(conversion *c, const char *in, tub_convert_report **report, tub_error *err) {
    tub_convert_report *made = NULL;
    TUB__TRY(make_plan(c, err));
    if (c->to != TUB_CONVERT_ONNX) {
        TUB__TRY(tub__converted_read_moments(&c->from, in, err));
    }
    TUB__TRY(make_report(c, &made, err));
    tub_status status = c->options.dry_run ? TUB_OK : write_out(c, err);
    made->checked = c->checked;
    if (status != TUB_OK || report == NULL) {
        tub_convert_report_free(c->ctx, made);
        return status;
    }
    *report = made;
    return TUB_OK;
}

tub_status tub_convert(tub_context *ctx, const char *in, const char *out,
                       const tub_convert_options *options, tub_convert_report **report,
                       tub_error *err) {
    conversion c = {.ctx = ctx,
                    .out = out,
                    .options = options != NULL ? *options : tub_convert_options_default()};
    TUB__TRY(check_options(ctx, &c.options, err));
    TUB__TRY(check_form(&c.options, out, err));
    TUB__TRY(check_out(&c, err));
    TUB__TRY(tub_convert_detect(ctx, in, &c.from.kind, err));
    TUB__TRY(check_source(&c, in, err));
    if (tub_convert_knows(out)) {
        c.options.pixels = TUB_CONVERT_PIXELS_UNIT; /* no guess is made that a warning could tell */
    }
    tub_status status = tub__converted_open(ctx, in, c.from.kind, &c.options, &c.from, err);
    if (status == TUB_OK) {
        status = check_gelu(&c, in, err);
    }
    if (status == TUB_OK) {
        status = check_hints(&c, in, err);
    }
    if (status == TUB_OK) {
        status = run(&c, in, report, err);
    }
    ctx->stop = 0;
    tub__free(&ctx->allocator, c.planned);
    if (c.onnx.model != NULL) {
        tub__onnx_maker_end(&c.onnx);
    }
    tub__converted_close(&c.from);
    return status == TUB_E_CANCELLED ? stopped(err) : status;
}
