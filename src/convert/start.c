/* SPDX-License-Identifier: Apache-2.0 */
/* Starting from a trained model: the public functions. */
#include "base/error.h"
#include "base/fpenv.h"
#include "convert/start_check.h"
#include "convert/start_report.h"

tub_start_options tub_start_options_default(void) {
    return (tub_start_options){.size = sizeof(tub_start_options)};
}

static tub_status check_options(const tub_start_options *o, tub_error *err) {
    enum { PIXEL_LIMIT = 65536 };
    if (o->size != sizeof *o) {
        return tub__fail(err, TUB_E_ARGUMENT, "the options have size %zu; this library's is %zu",
                         o->size, sizeof *o);
    }
    TUB__TRY(tub__in_range("kernel", o->kernel, TUB_START_CENTRAL, TUB_START_ARP, err));
    TUB__TRY(tub__in_range("positions", o->positions, TUB_START_RESIZE, TUB_START_BICUBIC, err));
    TUB__TRY(tub__in_range("temporal", o->temporal, TUB_START_TEMPORAL_ZERO,
                           TUB_START_TEMPORAL_COPY, err));
    for (int i = 0; i < 3; i++) {
        TUB__TRY(tub__in_range("clip", o->clip[i], 0, PIXEL_LIMIT, err));
    }
    return TUB_OK;
}

static tub_status open_source(tub_context *ctx, const char *path, const tub_start_options *options,
                              tub_start_options *o, tub__source *out, tub_error *err) {
    *o = options != NULL ? *options : tub_start_options_default();
    TUB__TRY(check_options(o, err));
    if (ctx->precision != TUB_PRECISION_F32) {
        return tub__fail(err, TUB_E_ARGUMENT, "a model starts in float32, in no other precision");
    }
    return tub__source_open(ctx, path, o, out, err);
}

tub_status tub_start_config(tub_context *ctx, const char *path, const tub_start_options *options,
                            tub_model_config *config, tub_error *err) {
    enum { PAPER_FRAMES = 2, PAPER_TEMPORAL_LAYERS = 4 };
    tub_start_options o;
    tub__source source;
    tub_event_fn *const listener = ctx->on_event;
    ctx->on_event = NULL; /* what is to be said of the files the start itself says */
    const tub_status status = open_source(ctx, path, options, &o, &source, err);
    ctx->on_event = listener;
    TUB__TRY(status);
    *config = source.model->config;
    if (source.image) {
        config->frames = config->tubelet[0] = PAPER_FRAMES;
        config->temporal_layers = PAPER_TEMPORAL_LAYERS; /* of what becomes a factorised encoder */
    }
    tub__source_close(&source);
    return TUB_OK;
}

static tub_status fill(const tub__source *source, tub_model *model, const tub_start_options *o,
                       tub_start_report **report, tub_error *err) {
    tub__start_plan plan;
    tub_start_report *made = NULL;
    TUB__TRY(tub__start_plan_make(source, model, o, &plan, err));
    tub_status status = tub__start_fill(&plan, err);
    if (status == TUB_OK && report != NULL) {
        status = tub__start_report_make(&plan, &made, err);
    }
    tub__start_plan_free(&plan);
    if (status == TUB_OK && report != NULL) {
        *report = made;
    }
    return status;
}

tub_status tub_model_start(tub_model *model, const char *path, const tub_start_options *options,
                           tub_start_report **report, tub_error *err) {
    tub_start_options o;
    tub__source source;
    if (model->only_reduced) {
        return tub__fail(err, TUB_E_ARGUMENT, "only a model in float32 can start from another one");
    }
    TUB__TRY(open_source(model->context, path, options, &o, &source, err));
    const tub__fpenv saved = tub__fpenv_enter();
    const tub_status status = fill(&source, model, &o, report, err);
    tub__fpenv_leave(saved);
    if (status == TUB_OK) {
        tub__start_tell_differences(&source, model, path);
    }
    tub__source_close(&source);
    return status == TUB_OK || status == TUB_E_MEMORY ? status
                                                      : tub__prefix(err, status, "%s", path);
}
