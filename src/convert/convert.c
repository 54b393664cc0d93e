/* SPDX-License-Identifier: Apache-2.0 */
/* Model folders to files of other programs, and back. */
#include <tubelet/convert.h>

#include "base/error.h"
#include "base/file.h"
#include "convert/config_json.h"
#include "convert/folder.h"
#include "convert/keras.h"
#include <string.h>
#include <unistd.h>

tub_convert_options tub_convert_options_default(void) {
    return (tub_convert_options){.size = sizeof(tub_convert_options)};
}

int tub_convert_knows(const char *path) {
    return tub__is_keras_path(path) && !tub__is_folder(path);
}

/* ---- Reading ---- */

/* A preset, or the configuration of a model folder. */
static tub_status read_like(tub_context *ctx, const char *like, tub_model_config *out,
                            tub_error *err) {
    char **labels = NULL;
    bool int8;
    if (!tub__is_folder(like)) {
        return tub_model_preset(like, out, err);
    }
    TUB__TRY(tub__folder_read_config(ctx, like, out, &int8, &labels, err));
    tub__labels_free(&ctx->allocator, labels, out->classes);
    return TUB_OK;
}

static tub_status open_file(tub_context *ctx, const char *path, const tub_convert_options *o,
                            tub__keras_model *m, tub_error *err) {
    const tub_gelu gelu = o->gelu == TUB_CONVERT_GELU_ERF ? TUB_GELU_ERF : TUB_GELU_TANH;
    tub_model_config like;
    tub__keras_options options = {.gelu = o->gelu == TUB_CONVERT_GELU_USUAL ? NULL : &gelu};
    if (o->like != NULL) {
        TUB__TRY(read_like(ctx, o->like, &like, err));
        options.like = &like;
    }
    return tub__keras_open(ctx, path, &options, m, err);
}

/* A folder says which GELU it has. */
static tub_status check_gelu(tub_gelu gelu, tub_convert_gelu asked, const char *path,
                             tub_error *err) {
    const bool erf = gelu == TUB_GELU_ERF;
    return asked == TUB_CONVERT_GELU_USUAL || erf == (asked == TUB_CONVERT_GELU_ERF)
               ? TUB_OK
               : tub__fail(err, TUB_E_ARGUMENT, "%s: its gelu is %s, not %s", path,
                           erf ? "erf" : "tanh", erf ? "tanh" : "erf");
}

static tub_status open_folder(tub_context *ctx, const char *path, const tub_convert_options *o,
                              tub__keras_model *m, tub_error *err) {
    *m = (tub__keras_model){0};
    TUB__TRY(tub_model_open(ctx, path, &m->model, err));
    const tub_model_config *config = &m->model->config;
    tub_status status = check_gelu(config->gelu, o->gelu, path, err);
    if (status == TUB_OK) {
        status = tub__keras_can(config, err);
    }
    if (status == TUB_OK && tub__model_has_int8(m->model)) {
        status = tub__fail(err, TUB_E_UNSUPPORTED,
                           "%s holds int8 weights, which have no form there", path);
    }
    if (status == TUB_OK) {
        status = tub__moments_read(m->model, path, &m->moments, err);
    }
    if (status == TUB_OK) {
        status = tub__keras_layout_plain(&ctx->allocator, (int)config->layers, &m->layout, err);
    }
    if (status != TUB_OK) {
        tub__keras_close(m);
    }
    return status;
}

/* ---- Writing ---- */

static tub_status fill_folder(const tub__keras_model *m, const char *folder, tub_error *err) {
    TUB__TRY(tub_model_save(m->model, folder, err));
    return m->moments.first == NULL ? TUB_OK
                                    : tub__moments_write(m->model, &m->moments, folder, err);
}

/* The folders that a folder or file is to lie in. */
static tub_status create_parent(const tub_allocator *a, const char *path, tub_error *err) {
    const size_t length = (size_t)(tub__path_name(path) - path);
    char *parent;
    if (length == 0) {
        return TUB_OK;
    }
    TUB__TRY(tub__alloc_string(a, path, &parent, err));
    parent[length] = '\0';
    tub_status status = tub__folder_create(parent, err);
    tub__free(a, parent);
    return status;
}

static tub_status save_folder(const tub__keras_model *m, const char *path, tub_error *err) {
    const tub_allocator *a = &m->model->context->allocator;
    char *temporary;
    int lock;
    TUB__TRY(tub__folder_temporary(a, path, &temporary, &lock, err));
    tub_status status = fill_folder(m, temporary, err);
    if (status == TUB_OK) {
        status = tub__folder_commit(a, temporary, path, false, err);
    }
    if (status != TUB_OK) {
        (void)!tub__folder_remove(a, temporary, NULL);
    }
    close(lock);
    tub__free(a, temporary);
    return status;
}

/* ---- The report ---- */

static void describe(const tub__keras_model *m, size_t index, tub_convert_array *out) {
    const tub__param *p = &m->model->params.list[index];
    tub__keras_array a;
    tub__keras_describe(&m->layout, &m->model->config, p, &a);
    *out = (tub_convert_array){
        .here = p->name, .there_rank = a.rank, .here_rank = p->rank, .order = tub__keras_axes(p)};
    _Static_assert(sizeof out->there == sizeof a.path, "one length of paths");
    memcpy(out->there, a.path, sizeof a.path);
    for (int i = 0; i < a.rank; i++) {
        out->there_shape[i] = (int64_t)a.shape[i];
    }
    for (int i = 0; i < p->rank; i++) {
        out->here_shape[i] = (int64_t)p->shape[i];
    }
}

/* The names of the arrays lie behind the table: the model does not live as long. */
static tub_status make_report(const tub__keras_model *m, const char *note, tub_convert_report **out,
                              tub_error *err) {
    const tub_allocator *a = &m->model->context->allocator;
    const tub__params *params = &m->model->params;
    tub_convert_report *r;
    TUB__TRY(tub__alloc_array(a, 1, sizeof *r, (void **)&r, err));
    *r = (tub_convert_report){.format = "keras",
                              .config = m->model->config,
                              .parameters = (int64_t)params->numbers,
                              .count = (int64_t)params->count,
                              .moments = m->moments.first != NULL,
                              .iterations = m->moments.iterations,
                              .note = note};
    const size_t each = sizeof *r->arrays + sizeof params->list->name;
    tub_status status = tub__alloc_array(a, params->count, each, (void **)&r->arrays, err);
    if (status != TUB_OK) {
        tub__free(a, r);
        return status;
    }
    char *names = (char *)(r->arrays + params->count);
    for (size_t i = 0; i < params->count; i++, names += sizeof params->list->name) {
        describe(m, i, &r->arrays[i]);
        memcpy(names, r->arrays[i].here, sizeof params->list->name);
        r->arrays[i].here = names;
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

/* ---- Both ---- */

static tub_status check(const tub_context *ctx, const char *in, const char *out,
                        const tub_convert_options *o, tub_error *err) {
    if (o->size != sizeof *o) {
        return tub__fail(err, TUB_E_ARGUMENT, "the options have size %zu; this library's is %zu",
                         o->size, sizeof *o);
    }
    TUB__TRY(tub__in_range("gelu", o->gelu, TUB_CONVERT_GELU_USUAL, TUB_CONVERT_GELU_ERF, err));
    if (ctx->precision != TUB_PRECISION_F32) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "files are converted in float32, in no other precision");
    }
    if (!tub_convert_knows(in) && !tub_convert_knows(out)) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "neither %s nor %s is a file of another program (.keras, .weights.h5)", in,
                         out);
    }
    if (tub_convert_knows(out)) {
        TUB__TRY(tub__keras_may_save(out, err));
    }
    if (o->like != NULL && (!tub_convert_knows(in) || !tub__is_keras_weights_path(in))) {
        return tub__fail(
            err, TUB_E_ARGUMENT,
            "%s says all sizes itself; only to mere weights (.weights.h5) does another "
            "model lend what they do not say",
            in);
    }
    return tub__name_taken(out) ? tub__fail(err, TUB_E_EXISTS, "%s is there already", out) : TUB_OK;
}

static tub_status write_out(const tub__keras_model *m, const char *out, tub_error *err) {
    TUB__TRY(create_parent(&m->model->context->allocator, out, err));
    return tub_convert_knows(out) ? tub__keras_save(m->model, &m->moments, out, err)
                                  : save_folder(m, out, err);
}

tub_status tub_convert(tub_context *ctx, const char *in, const char *out,
                       const tub_convert_options *options, tub_convert_report **report,
                       tub_error *err) {
    const tub_convert_options o = options != NULL ? *options : tub_convert_options_default();
    tub__keras_model m;
    tub_convert_report *made = NULL;
    TUB__TRY(check(ctx, in, out, &o, err));
    TUB__TRY(tub_convert_knows(in) ? open_file(ctx, in, &o, &m, err)
                                   : open_folder(ctx, in, &o, &m, err));
    const bool needs_lines = tub__keras_needs_python(&m.model->config, out);
    tub_status status = TUB_OK;
    if (report != NULL) {
        status = make_report(&m, needs_lines ? tub__keras_python : NULL, &made, err);
    }
    if (status == TUB_OK && !o.dry_run) {
        status = write_out(&m, out, err);
    }
    tub__keras_close(&m);
    if (status != TUB_OK) {
        tub_convert_report_free(ctx, made);
    } else if (report != NULL) {
        *report = made;
    }
    return status;
}
