/* SPDX-License-Identifier: Apache-2.0 */
/* Clips of files through a model. */
#include "predict/clips.h"

#include "base/error.h"
#include "convert/prepare.h"

tub_file_options tub_file_options_default(void) {
    return (tub_file_options){.size = sizeof(tub_file_options),
                              .views = 1,
                              .crops = 1,
                              .average = TUB_AVERAGE_LOGITS,
                              .tta = TUB_VIEWS_NONE,
                              .tta_average = TUB_AVERAGE_PROBABILITIES,
                              .to = -1};
}

int tub_model_takes_files(const tub_model *model) {
    return model->clip != NULL;
}

/* ---- Taking ---- */

static tub_status check_options(const tub_file_options *o, tub_error *err) {
    TUB__TRY(tub__check_size("tub_file_options", o->size, sizeof *o, err));
    TUB__TRY(tub__in_range("views", o->views, 1, TUB__VIEW_LIMIT, err));
    TUB__TRY(
        tub__in_range("average", o->average, TUB_AVERAGE_PROBABILITIES, TUB_AVERAGE_LOGITS, err));
    TUB__TRY(tub__in_range("tta", o->tta, TUB_VIEWS_NONE, TUB_VIEWS_KINDS - 1, err));
    TUB__TRY(tub__in_range("tta_average", o->tta_average, TUB_AVERAGE_PROBABILITIES,
                           TUB_AVERAGE_LOGITS, err));
    if (o->crops != 1 && o->crops != 3) {
        return tub__fail(err, TUB_E_RANGE, "crops is %d; it must be 1 or 3", o->crops);
    }
    return TUB_OK;
}

tub_status tub__taking_of(const tub_model *model, const tub_file_options *options, tub__taking *out,
                          tub_error *err) {
    const tub_file_options o = options != NULL ? *options : tub_file_options_default();
    const tub_model_config *c = &model->config;
    const tub__clip_rule rule = tub__model_clip_rule(model);
    const bool given = o.sampling != TUB_SAMPLING_DEFAULT;
    TUB__TRY(check_options(&o, err));
    TUB__TRY(tub_views_check(o.tta, tub_model_labels(model), c->classes, err));
    if (!given && o.stride != 0 && rule.sampling != TUB_SAMPLING_STRIDE &&
        rule.sampling != TUB_SAMPLING_LINSPACE) {
        return tub__fail(err, TUB_E_ARGUMENT, "a stride needs sampling stride or linspace");
    }
    *out = (tub__taking){
        .plan = {.sampling = given ? o.sampling : rule.sampling,
                 .frames = c->frames,
                 .stride = given || o.stride != 0 ? o.stride : rule.stride},
        .form = {.picture = rule.picture, .channels = c->channels, .window = rule.window},
        .views = o.views,
        .crops = o.crops,
        .samples = o.views * o.crops,
        .average = o.average,
        .tta = o.tta,
        .tta_average = o.tta_average,
        .frames = c->frames,
        .height = c->height,
        .width = c->width,
        .channels = c->channels};
    return tub__frame_plan_check(&out->plan, err);
}

/* ---- Running ---- */

tub_status tub__classifier_create(tub_model *model, const tub__taking *taking, int64_t most,
                                  tub__classifier *out, tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    const size_t elements = tub__taking_elements(taking), classes = (size_t)model->config.classes;
    const int64_t batch = tub__taking_batch(taking);
    *out = (tub__classifier){
        .model = model, .taking = taking, .batch = batch < most ? batch : most, .room = most};
    tub_status status = tub__alloc_array(a, (size_t)most, classes * sizeof *out->logits,
                                         (void **)&out->logits, err);
    if (status == TUB_OK) {
        status = tub__alloc_array(a, (size_t)most, classes * sizeof *out->probabilities,
                                  (void **)&out->probabilities, err);
    }
    if (status == TUB_OK && !tub__model_takes_levels(model)) {
        status = tub__alloc_array(a, (size_t)out->batch, elements * sizeof *out->scaled,
                                  (void **)&out->scaled, err);
    }
    if (status != TUB_OK) {
        tub__classifier_destroy(out);
    }
    return status;
}

void tub__classifier_destroy(tub__classifier *r) {
    if (r->model != NULL) {
        const tub_allocator *a = &r->model->context->allocator;
        tub__free(a, r->scaled);
        tub__free(a, r->probabilities);
        tub__free(a, r->logits);
    }
    *r = (tub__classifier){0};
}

tub_status tub__classifier_run(tub__classifier *r, int64_t n, tub_dtype dtype, const void *clips,
                               tub_error *err) {
    const size_t clip = tub__taking_elements(r->taking) * (dtype == TUB_U8 ? 1 : sizeof(float));
    const size_t classes = (size_t)r->model->config.classes;
    const bool scales = dtype == TUB_U8 && r->scaled != NULL;
    for (int64_t done = 0; done < n; done += r->batch) {
        const int64_t batch = n - done < r->batch ? n - done : r->batch;
        const void *x = (const char *)clips + (size_t)done * clip;
        if (scales) {
            TUB__TRY(tub__model_scale(r->model, batch, x, r->scaled, err));
        }
        TUB__TRY(tub_model_forward_views(r->model, batch, scales ? TUB_F32 : dtype,
                                         scales ? (const void *)r->scaled : x, r->taking->tta,
                                         r->taking->tta_average, r->logits + (size_t)done * classes,
                                         r->probabilities + (size_t)done * classes, err));
    }
    return TUB_OK;
}
