/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration costs: counts by formula, memory by the same set-up code that a real run
 * uses. */
#include "base/error.h"
#include "model/pass.h"

/* One tower's blocks. */
static double tower_multiply_adds(const tub_model_config *c, const tub__tower_shape *t) {
    const double d = (double)c->hidden, f = (double)c->mlp, rows = (double)tub__tower_rows(t);
    double block = rows * ((double)t->attentions * 4 * d * d + 2 * d * f);
    for (size_t i = 0; i < t->attentions * t->parts; i++) { /* scores, and sums of values */
        block += 2 * rows * (double)t->pattern[i].length * d / (double)t->parts;
    }
    return (double)t->layers * block;
}

/* The products of the embedding, of every block and of the head, and attention's two; as many again
 * for the gradients of both factors, but the embedding has no gradient of its input. */
double tub__model_multiply_adds(const tub_model_config *c, bool training) {
    const tub__geometry g = tub__model_geometry(c);
    const tub__variant_shape shape = tub__variant_shape_of(c);
    const double d = (double)c->hidden, r = (double)c->representation, k = (double)c->classes;
    const double embedding = (double)tub__geometry_tokens(&g) * (double)tub__geometry_row(&g) * d;
    double forward = embedding + (r > 0 ? d * r + r * k : d * k);
    for (size_t i = 0; i < shape.towers; i++) {
        forward += tower_multiply_adds(c, &shape.tower[i]);
    }
    return training ? 3 * forward - embedding : forward;
}

static tub_status predict_memory(const tub_model_config *config, const tub__params *params,
                                 int64_t batch, tub_model_cost *out, tub_error *err) {
    tub__backend measured = {
        .real = TUB_F32, .real_size = sizeof(float), .allocator = tub__default_allocator};
    tub_model model = {.backend = &measured,
                       .config = *config,
                       .geometry = tub__model_geometry(config),
                       .params = *params};
    const size_t weights = params->elements * sizeof(float),
                 tables = tub__sinusoids_bytes(config, sizeof(float));
    tub__pass_config one = {.batch = 1}, training = {.batch = (size_t)batch, .training = true};
    size_t bytes;
    TUB__TRY(tub__pass_measure(&model, &one, &bytes, err));
    out->forward_bytes = weights + tables + bytes;
    TUB__TRY(tub__pass_measure(&model, &training, &bytes, err));
    out->training_bytes = 3 * weights + tables +
                          bytes; /* parameters and two moments; the pass counts the gradients */
    return TUB_OK;
}

tub_status tub_model_cost_of(const tub_model_config *config, int64_t batch, tub_model_cost *out,
                             tub_error *err) {
    tub__params params;
    TUB__TRY(tub_model_config_check(config, err));
    if (batch < 1) {
        return tub__fail(err, TUB_E_ARGUMENT, "a batch of %lld samples", (long long)batch);
    }
    tub_status status = tub__params_create(&tub__default_allocator, config, NULL, &params, err);
    if (status == TUB_OK) {
        const tub__geometry g = tub__model_geometry(config);
        *out = (tub_model_cost){.parameters = (int64_t)params.numbers,
                                .arrays = (int64_t)params.count};
        for (int i = 0; i < 3; i++) {
            out->grid[i] = (int64_t)g.grid[i];
        }
        const tub__variant_shape shape = tub__variant_shape_of(config);
        out->tokens = (int64_t)tub__tower_rows(&shape.tower[0]);
        out->temporal_tokens =
            shape.tower[1].layers > 0 ? (int64_t)tub__tower_rows(&shape.tower[1]) : 0;
        out->multiply_adds = tub__model_multiply_adds(config, false);
        status = predict_memory(config, &params, batch, out, err);
    }
    tub__params_destroy(&params);
    return status;
}
