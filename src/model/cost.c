/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration costs: counts by formula, memory by the same set-up code that a real run
 * uses. */
#include "base/error.h"
#include "model/pass.h"

size_t tub__model_tokens(const tub_model_config *config) {
    const tub__variant_shape shape = tub__variant_shape_of(config);
    const tub__geometry g = tub__model_geometry(config);
    return shape.towers > 0 ? tub__tower_rows(&shape.tower[0]) : tub__geometry_tokens(&g);
}

/* One block of a tower. */
static double block_multiply_adds(const tub_model_config *c, const tub__tower_shape *t) {
    const double d = (double)c->hidden, f = (double)c->mlp, rows = (double)tub__tower_rows(t);
    double block = rows * ((double)t->attentions * 4 * d * d + 2 * d * f);
    for (size_t i = 0; i < t->attentions * t->parts; i++) { /* scores, and sums of values */
        block += 2 * rows * (double)t->pattern[i].length * d / (double)t->parts;
    }
    return block;
}

/* The products of the embedding, of every block and of the head, and attention's two; as many again
 * for the gradients of both factors, but the embedding has no gradient of its input. */
double tub__model_multiply_adds(const tub_model_config *c, bool training) {
    const tub__geometry g = tub__model_geometry(c);
    const tub__variant_shape shape = tub__variant_shape_of(c);
    const double d = (double)c->hidden, r = (double)c->representation, k = (double)c->classes,
                 in = (double)tub__family_head_width(c);
    double embedding = (double)tub__geometry_tokens(&g) * (double)tub__geometry_row(&g) * d;
    double forward = embedding;
    if (c->family != TUB_FAMILY_VIVIT) {
        forward = tub__family_multiply_adds(c, &embedding);
    }
    forward += r > 0 ? in * r + r * k : in * k;
    for (size_t i = 0; i < shape.towers; i++) {
        forward += (double)shape.tower[i].layers * block_multiply_adds(c, &shape.tower[i]);
    }
    return training ? 3 * forward - embedding : forward;
}

/* As tub__block_again does: every block but a tower's last, and of the MLP's second product nothing is
 * needed but the slope of a GELU behind it. */
double tub__model_again_multiply_adds(const tub_model_config *c) {
    const tub__variant_shape shape = tub__variant_shape_of(c);
    double again = 0;
    for (size_t i = 0; i < shape.towers; i++) {
        const tub__tower_shape *t = &shape.tower[i];
        const double second = (double)tub__tower_rows(t) * (double)c->hidden * (double)c->mlp,
                     block = block_multiply_adds(c, t) - (c->mlp_output_gelu ? 0 : second);
        again += t->layers > 1 ? (double)(t->layers - 1) * block : 0;
    }
    return again;
}

tub_status tub__outline_create(const tub_model_config *config, tub__outline *out, tub_error *err) {
    TUB__TRY(tub_model_config_check(config, err));
    out->backend = (tub__backend){
        .real = TUB_F32, .real_size = sizeof(float), .allocator = tub__default_allocator};
    out->model = (tub_model){
        .backend = &out->backend, .config = *config, .geometry = tub__model_geometry(config)};
    return tub__params_create(&tub__default_allocator, config, NULL, &out->model.params, err);
}

void tub__outline_destroy(tub__outline *o) {
    tub__params_destroy(&o->model.params);
}

static tub_status predict_memory(const tub_model *model, int64_t batch, tub_model_cost *out,
                                 tub_error *err) {
    const size_t weights = model->params.elements * sizeof(float),
                 tables = tub__sinusoids_bytes(&model->config, sizeof(float));
    const tub__pass_config one = {.batch = 1},
                           training = {.batch = (size_t)batch, .training = true};
    size_t bytes;
    TUB__TRY(tub__pass_measure(model, &one, &bytes, err));
    out->forward_bytes = weights + tables + bytes;
    TUB__TRY(tub__pass_measure(model, &training, &bytes, err));
    out->training_bytes = 3 * weights + tables +
                          bytes; /* parameters and two moments; the pass counts the gradients */
    return TUB_OK;
}

tub_status tub_model_cost_of(const tub_model_config *config, int64_t batch, tub_model_cost *out,
                             tub_error *err) {
    tub__outline o;
    TUB__TRY(tub_model_config_check(config, err));
    if (batch < 1) {
        return tub__fail(err, TUB_E_ARGUMENT, "a batch of %lld samples", (long long)batch);
    }
    TUB__TRY(tub__outline_create(config, &o, err));
    const tub__variant_shape shape = tub__variant_shape_of(config);
    *out = (tub_model_cost){.parameters = (int64_t)o.model.params.trained,
                            .arrays = (int64_t)o.model.params.count};
    for (int i = 0; i < 3; i++) {
        out->grid[i] = (int64_t)o.model.geometry.grid[i];
    }
    out->tokens = (int64_t)tub__model_tokens(config);
    out->temporal_tokens =
        shape.tower[1].layers > 0 ? (int64_t)tub__tower_rows(&shape.tower[1]) : 0;
    if (config->family != TUB_FAMILY_VIVIT) {
        out->convolutions = (int64_t)tub__family_convs(config).count;
        out->filters = (int64_t)tub__family_filters(config);
        out->stages = (int64_t)tub__family_stages(config);
        out->frames = (int64_t)tub__family_frames(config);
        out->units = config->family == TUB_FAMILY_CNN_RNN ? (int64_t)tub__family_units(config) : 0;
    }
    out->multiply_adds = tub__model_multiply_adds(config, false);
    const tub_status status = predict_memory(&o.model, batch, out, err);
    tub__outline_destroy(&o);
    return status;
}
