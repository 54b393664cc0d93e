/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes and settings of two models against each other. */
#include "convert/start_check.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "convert/config_json.h"
#include "model/family.h"

static tub_status same(const char *key, int64_t there, int64_t here, tub_error *err) {
    return there == here ? TUB_OK
                         : tub__fail(err, TUB_E_SHAPE,
                                     "its model.%s is %lld, this model's %lld; they must be the "
                                     "same (left out, it is taken from there)",
                                     key, (long long)there, (long long)here);
}

static tub_status check_layers(const tub_model_config *s, const tub_model_config *c,
                               tub_error *err) {
    TUB__TRY(same("hidden", s->hidden, c->hidden, err));
    TUB__TRY(same("heads", s->heads, c->heads, err));
    TUB__TRY(same("layers", s->layers, c->layers, err));
    TUB__TRY(same("mlp", s->mlp, c->mlp, err));
    return s->qkv_bias && !c->qkv_bias
               ? tub__fail(err, TUB_E_SHAPE,
                           "it has biases of query, key and value; this model has none "
                           "(model.qkv_bias)")
               : TUB_OK;
}

static tub_status check_tubelet(const tub__source *source, const tub_model_config *c,
                                tub_error *err) {
    const tub_model_config *s = &source->model->config;
    if (s->tubelet[1] != c->tubelet[1] || s->tubelet[2] != c->tubelet[2]) {
        return tub__fail(
            err, TUB_E_SHAPE,
            "its %s are of %lldx%lld pixels, this model's tubelets of %lldx%lld; their "
            "kernel can't be resized",
            source->image ? "patches" : "tubelets", (long long)s->tubelet[1],
            (long long)s->tubelet[2], (long long)c->tubelet[1], (long long)c->tubelet[2]);
    }
    if (s->tubelet[0] != c->tubelet[0] && s->tubelet[0] != 1) {
        return tub__fail(err, TUB_E_SHAPE,
                         "its tubelets are of %lld frames, this model's of %lld; only a kernel of "
                         "one frame can be made one of more",
                         (long long)s->tubelet[0], (long long)c->tubelet[0]);
    }
    if (s->channels != c->channels && c->channels != 1) {
        return tub__fail(err, TUB_E_SHAPE,
                         "it was trained on %lld channel%s and these clips have %lld: make them "
                         "grey (grey clips can start from RGB, not the reverse)",
                         (long long)s->channels, s->channels == 1 ? "" : "s",
                         (long long)c->channels);
    }
    return TUB_OK;
}

/* A picture can become any variant, a clip of the joint one all but the factorised encoder, whose
 * positions know no time. */
static tub_status check_variant(const tub_model *source, const tub_model_config *c,
                                tub_error *err) {
    const tub_model_config *s = &source->config;
    if (s->variant == c->variant) {
        return s->variant == TUB_VARIANT_FACTORISED_ENCODER
                   ? same("temporal_layers", s->temporal_layers, c->temporal_layers, err)
                   : TUB_OK;
    }
    if (s->variant != TUB_VARIANT_JOINT) {
        return tub__fail(err, TUB_E_SHAPE,
                         "it is of variant %s, this model of %s; between variants only the joint "
                         "one can be a start",
                         tub__variant_name(s->variant), tub__variant_name(c->variant));
    }
    return c->variant == TUB_VARIANT_FACTORISED_ENCODER && source->geometry.grid[0] > 1
               ? tub__fail(err, TUB_E_SHAPE,
                           "its positions are over space and time, those of variant "
                           "factorised_encoder over one of them; start that from a model of "
                           "pictures or of its own kind")
               : TUB_OK;
}

static tub_status check_tiles(const tub__source *source, const tub_model *model, tub_error *err) {
    const size_t there = source->model->geometry.grid[0], here = model->geometry.grid[0];
    return here % there == 0
               ? TUB_OK
               : tub__fail(err, TUB_E_ARGUMENT,
                           "its positions have %zu time indices, which can't be repeated to make "
                           "up %zu; with init_positions resize they are resized",
                           there, here);
}

tub_status tub__start_check(const tub__source *source, const tub_model *model,
                            const tub_start_options *options, tub_error *err) {
    const tub_model_config *s = &source->model->config, *c = &model->config;
    if (s->family != c->family) {
        return tub__fail(
            err, TUB_E_SHAPE,
            "it is of family %s, this model of %s; only a model of the same family can "
            "be a start",
            tub__family_name(s->family), tub__family_name(c->family));
    }
    if (c->family != TUB_FAMILY_VIVIT) {
        return TUB_OK; /* arrays of equal shapes are copied, others are fresh */
    }
    TUB__TRY(check_layers(&source->model->config, &model->config, err));
    TUB__TRY(check_variant(source->model, &model->config, err));
    TUB__TRY(check_tubelet(source, &model->config, err));
    return options->positions == TUB_START_TILE ? check_tiles(source, model, err) : TUB_OK;
}

/* ---- Differences ---- */

/* Says so where the words for the two values differ. */
static void tell(const tub_model *model, const char *path, const char *key, const char *there,
                 const char *here) {
    if (strcmp(there, here) != 0) {
        tub__log_line(
            model->context, TUB_LOG_WARNING,
            "%s was trained with model.%s %s; with %s here its weights answer differently", path,
            key, there, here);
    }
}

static const char *yes(int flag) {
    return flag ? "true" : "false";
}

void tub__start_tell_differences(const tub__source *source, const tub_model *model,
                                 const char *path) {
    const tub_model_config *s = &source->model->config, *c = &model->config;
    char there[32], here[32];
    snprintf(there, sizeof there, "%g", s->norm_epsilon);
    snprintf(here, sizeof here, "%g", c->norm_epsilon);
    tell(model, path, "gelu", tub__gelu_name(s->gelu), tub__gelu_name(c->gelu));
    tell(model, path, "mlp_output_gelu", yes(s->mlp_output_gelu), yes(c->mlp_output_gelu));
    tell(model, path, "norm_epsilon", there, here);
    tell(model, path, "pooling", tub__pooling_name(s->pooling), tub__pooling_name(c->pooling));
    tell(model, path, "positions", tub__positions_name(s->positions),
         tub__positions_name(c->positions));
    if (s->variant == c->variant && c->variant == TUB_VARIANT_FACTORISED_SELF_ATTENTION) {
        tell(model, path, "attention_order", tub__attention_order_name(s->attention_order),
             tub__attention_order_name(c->attention_order));
    }
}
