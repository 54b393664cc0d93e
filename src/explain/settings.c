/* SPDX-License-Identifier: Apache-2.0 */
/* What can be asked of a model, and what options leave open. */
#include "base/error.h"
#include "explain/question.h"
#include "model/family.h"
#include "model/variant.h"

enum { AXES = 3, BATCH_LIMIT = 1024, BOXES_LIMIT = 1 << 24 };

tub_explain_options tub_explain_options_default(void) {
    return (tub_explain_options){
        .size = sizeof(tub_explain_options), .target = -1, .layer = -1, .head = -1};
}

bool tub__explain_attends(tub_explain_method m) {
    return m == TUB_EXPLAIN_GRADIENT_ROLLOUT || m == TUB_EXPLAIN_ROLLOUT ||
           m == TUB_EXPLAIN_ATTENTION;
}

bool tub__explain_differentiates(tub_explain_method m) {
    return m == TUB_EXPLAIN_GRADIENT_ROLLOUT || m == TUB_EXPLAIN_INTEGRATED_GRADIENTS;
}

/* One of so many things that are counted from 0; -1: left open. */
static tub_status check_number(const char *what, int64_t number, int64_t count, tub_error *err) {
    return number >= -1 && number < count
               ? TUB_OK
               : tub__fail(err, TUB_E_RANGE, "%s %lld of a model that has %lld, counted from 0",
                           what, (long long)number, (long long)count);
}

/* ---- the model ---- */

static tub_status check_model(const tub_model *model, tub_explain_method method, tub_error *err) {
    const char *name = tub_explain_method_name(method);
    if (tub__explain_attends(method) && model->config.family != TUB_FAMILY_VIVIT) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "%s looks at the attention of a ViViT, and this model is a %s; choose "
                         "occlusion or integrated-gradients",
                         name, tub__family_name(model->config.family));
    }
    if (method != TUB_EXPLAIN_OCCLUSION && model->only_reduced) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "%s needs weights in float32, and this model has %s ones, without "
                         "gradients; %s, or choose occlusion",
                         name, tub__model_has_int8(model) ? "int8" : "bf16",
                         tub__model_has_int8(model) ? "explain the model that it was converted from"
                                                    : "open it in float32 (--precision f32)");
    }
    return TUB_OK;
}

/* ---- options of single methods ---- */

static tub_status not_of(const char *what, tub_explain_method method, tub_error *err) {
    return tub__fail(err, TUB_E_ARGUMENT, "%s has no say in %s; leave it out", what,
                     tub_explain_method_name(method));
}

static tub_status check_axes(const tub_model_config *c, const tub_explain_options *o,
                             tub_error *err) {
    TUB__TRY(tub__in_range("axes", o->axes, 0, TUB_AXES_KINDS - 1, err));
    if (o->axes == TUB_AXES_BOTH) {
        return TUB_OK;
    }
    if (!tub__explain_attends(o->method)) {
        return not_of("axes", o->method, err);
    }
    if (c->variant == TUB_VARIANT_JOINT) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "axes '%s': in this model's variant all tokens see each other over space "
                         "and time at once; leave it out",
                         tub_axes_name(o->axes));
    }
    if (c->variant == TUB_VARIANT_FACTORISED_ENCODER && c->temporal_layers == 0 &&
        o->axes == TUB_AXES_TIME) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "axes 'time': this model has no attention over time, but takes the mean");
    }
    return TUB_OK;
}

static const char *axes_word(bool time) {
    return time ? "time" : "space";
}

/* A layer of the factorised encoder, or a head of factorised dot-product attention, is of one axis:
 * not of the other one. */
static tub_status check_side(const tub_explain_options *o, const char *what, int64_t number,
                             bool time, tub_error *err) {
    const tub_axes own = time ? TUB_AXES_TIME : TUB_AXES_SPACE;
    return o->axes == TUB_AXES_BOTH || o->axes == own
               ? TUB_OK
               : tub__fail(err, TUB_E_RANGE, "%s %lld attends over %s, and axes is '%s'", what,
                           (long long)number, axes_word(time), tub_axes_name(o->axes));
}

static tub_status check_layer(const tub_model_config *c, const tub_explain_options *o,
                              tub_error *err) {
    const tub__variant_shape shape = tub__variant_shape_of(c);
    const int64_t layers = (int64_t)tub__variant_layers(&shape);
    if (o->method != TUB_EXPLAIN_ATTENTION) {
        return o->layer != -1  ? not_of("a layer", o->method, err)
               : o->head != -1 ? not_of("a head", o->method, err)
                               : TUB_OK;
    }
    TUB__TRY(check_number("layer", o->layer, layers, err));
    TUB__TRY(check_number("head", o->head, c->heads, err));
    if (o->layer >= 0 && c->variant == TUB_VARIANT_FACTORISED_ENCODER) {
        TUB__TRY(check_side(o, "layer", o->layer, o->layer >= c->layers, err));
    }
    if (o->head >= 0 && c->variant == TUB_VARIANT_FACTORISED_DOT_PRODUCT) {
        TUB__TRY(check_side(o, "head", o->head, o->head < c->heads / 2, err));
    }
    return TUB_OK;
}

static void sides_of(const tub_model_config *c, int64_t sides[AXES]) {
    sides[0] = c->frames, sides[1] = c->height, sides[2] = c->width;
}

/* A tubelet's size; of networks without tubelets an eighth of the clip. */
static void usual_box(const tub_model_config *c, int64_t box[AXES]) {
    int64_t sides[AXES];
    sides_of(c, sides);
    for (int i = 0; i < AXES; i++) {
        box[i] = c->family == TUB_FAMILY_VIVIT ? c->tubelet[i] : (sides[i] + 7) / 8;
    }
}

static tub_status settle_box(const tub_model_config *c, tub_explain_options *o, tub_error *err) {
    static const char *const names[AXES] = {"frames of a box", "rows of a box", "columns of a box"},
                             *const steps[AXES] = {"frames of a step", "rows of a step",
                                                   "columns of a step"};
    int64_t sides[AXES], usual[AXES], boxes = 1;
    sides_of(c, sides);
    usual_box(c, usual);
    for (int i = 0; i < AXES; i++) {
        if (o->method != TUB_EXPLAIN_OCCLUSION && (o->box[i] != 0 || o->step[i] != 0)) {
            return not_of("a box", o->method, err);
        }
        TUB__TRY(tub__in_range(names[i], o->box[i], 0, sides[i], err));
        TUB__TRY(tub__in_range(steps[i], o->step[i], 0, sides[i], err));
        o->box[i] = o->box[i] == 0 ? usual[i] : o->box[i];
        o->step[i] = o->step[i] == 0 ? o->box[i] : o->step[i];
        boxes *= 1 + (sides[i] - o->box[i] + o->step[i] - 1) / o->step[i];
        if (boxes > BOXES_LIMIT) {
            return tub__fail(err, TUB_E_RANGE,
                             "more than %d boxes: take larger ones, or move them further",
                             BOXES_LIMIT);
        }
    }
    if (o->method != TUB_EXPLAIN_OCCLUSION && o->probability) {
        return not_of("the probability", o->method, err);
    }
    return TUB_OK;
}

static tub_status settle_path(tub_explain_options *o, tub_error *err) {
    TUB__TRY(tub__in_range("baseline", o->baseline, 0, TUB_BASELINES - 1, err));
    TUB__TRY(tub__in_range("steps", o->steps, 0, TUB_EXPLAIN_STEPS, err));
    if (o->method != TUB_EXPLAIN_INTEGRATED_GRADIENTS && o->steps != 0) {
        return not_of("a number of steps", o->method, err);
    }
    if (tub__explain_attends(o->method) && o->baseline != TUB_BASELINE_DEFAULT) {
        return not_of("a baseline", o->method, err);
    }
    if (o->baseline == TUB_BASELINE_DEFAULT && o->method == TUB_EXPLAIN_OCCLUSION) {
        o->baseline = TUB_BASELINE_MEAN;
    } else if (o->baseline == TUB_BASELINE_DEFAULT && !tub__explain_attends(o->method)) {
        o->baseline = TUB_BASELINE_BLACK;
    }
    return TUB_OK;
}

tub_status tub__explain_settle(const tub_model *model, const tub_explain_options *options,
                               tub_explain_options *out, tub_error *err) {
    const tub_model_config *c = &model->config;
    tub_explain_options o = options != NULL ? *options : tub_explain_options_default();
    TUB__TRY(tub__check_size("tub_explain_options", o.size, sizeof o, err));
    TUB__TRY(tub__in_range("method", o.method, 0, TUB_EXPLAIN_METHODS - 1, err));
    TUB__TRY(check_model(model, o.method, err));
    TUB__TRY(check_number("class", o.target, c->classes, err));
    TUB__TRY(check_axes(c, &o, err));
    TUB__TRY(check_layer(c, &o, err));
    TUB__TRY(settle_box(c, &o, err));
    TUB__TRY(settle_path(&o, err));
    TUB__TRY(tub__in_range("upsampling", o.upsampling, 0, TUB_UPSAMPLINGS - 1, err));
    TUB__TRY(tub__in_range("batch", o.batch, 0, BATCH_LIMIT, err));
    if (o.method == TUB_EXPLAIN_INTEGRATED_GRADIENTS && o.upsampling != TUB_UPSAMPLING_NEAREST) {
        return not_of("upsampling", o.method, err);
    }
    *out = o;
    return TUB_OK;
}

tub_status tub_explain_check(const tub_model *model, const tub_explain_options *options,
                             tub_error *err) {
    tub_explain_options settled;
    return tub__explain_settle(model, options, &settled, err);
}
