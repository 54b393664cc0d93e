/* SPDX-License-Identifier: Apache-2.0 */
/* What depth decides: which arrays stay as they are, and how fast the others learn. */
#include "train/depth.h"

#include "base/error.h"
#include "base/number.h"
#include "model/model.h"
#include <inttypes.h>
#include <string.h>

/* Blocks of all transformers of the model. */
static int64_t blocks_of(const tub_model_config *m) {
    return !tub__model_has_blocks(m)                      ? 0
           : m->variant == TUB_VARIANT_FACTORISED_ENCODER ? m->layers + m->temporal_layers
                                                          : m->layers;
}

/* Groups that are frozen, from the lowest on; -1: no such thing. */
static int64_t frozen_groups(const char *freeze) {
    int64_t blocks = 0;
    if (strcmp(freeze, "none") == 0) {
        return 0;
    }
    if (strcmp(freeze, "embedding") == 0) {
        return 1;
    }
    return tub__number_to_int(freeze, &blocks) && blocks >= 0 && blocks < INT32_MAX ? blocks + 1
                                                                                    : -1;
}

tub_status tub__depth_check(const tub_train_config *config, tub_error *err) {
    const int64_t blocks = blocks_of(&config->model), frozen = frozen_groups(config->freeze);
    if (frozen < 0) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "freeze is '%.20s'; it takes none, embedding, or how many of the lowest "
                         "blocks stay as they are with it",
                         config->freeze);
    }
    if (blocks == 0 && (frozen > 0 || config->layer_decay != 1.0)) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "%s is for models of transformer blocks, and this one has none; leave it "
                         "out",
                         frozen > 0 ? "freeze" : "layer_decay");
    }
    if (frozen - 1 > blocks) {
        return tub__fail(err, TUB_E_RANGE,
                         "freeze %s is more than the %" PRId64 " blocks that the model has",
                         config->freeze, blocks);
    }
    return TUB_OK;
}

double tub__depth_rate(const tub_train_config *config, const tub__param *p) {
    const int top = (int)blocks_of(&config->model) + 1;
    double rate = 1.0;
    if (p->buffer || p->group < frozen_groups(config->freeze)) {
        return 0.0;
    }
    for (int above = top - p->group; above > 0; above--) {
        rate *= config->layer_decay;
    }
    return rate;
}

static size_t count_trained(const tub_train_config *config, const tub__params *params) {
    size_t numbers = 0;
    for (size_t i = 0; i < params->count; i++) {
        const tub__param *p = &params->list[i];
        numbers += tub__depth_rate(config, p) > 0.0 ? tub__param_elements(p) : 0;
    }
    return numbers;
}

tub_status tub_train_parameters(const tub_train_config *config, int64_t *out, tub_error *err) {
    tub__outline o;
    TUB__TRY(tub__depth_check(config, err));
    TUB__TRY(tub__outline_create(&config->model, &o, err));
    *out = (int64_t)count_trained(config, &o.model.params);
    tub__outline_destroy(&o);
    return TUB_OK;
}
