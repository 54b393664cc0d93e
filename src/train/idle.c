/* SPDX-License-Identifier: Apache-2.0 */
/* Settings that do nothing beside the others: a warning only, because a recipe may set them for the
 * optimiser or schedule that an option has replaced. */
#include "train/idle.h"

#include "model/model.h"

#include <string.h>

static bool by_sgd(const tub_train_config *c) {
    return c->optimizer == TUB_SGD;
}

static bool by_adam(const tub_train_config *c) {
    return c->optimizer != TUB_SGD;
}

static bool by_constant(const tub_train_config *c) {
    return c->schedule == TUB_CONSTANT;
}

static bool not_compound(const tub_train_config *c) {
    return c->schedule != TUB_COMPOUND;
}

static bool without_warmup(const tub_train_config *c) {
    return c->warmup_epochs == 0.0 && c->warmup_steps == 0;
}

static bool without_drop_layer(const tub_train_config *c) {
    return c->model.drop_layer == 0.0;
}

/* Of every transformer that there is. */
static bool of_one_layer(const tub_train_config *c) {
    return c->model.layers == 1 &&
           (c->model.variant != TUB_VARIANT_FACTORISED_ENCODER || c->model.temporal_layers <= 1);
}

/* 0 is what folders of other variants say. */
static bool without_temporal_layers(const tub_train_config *c) {
    return c->model.variant != TUB_VARIANT_FACTORISED_ENCODER && c->model.temporal_layers > 0;
}

/* scenic drops none of its blocks either. */
static bool of_two_attentions(const tub_train_config *c) {
    return c->model.variant == TUB_VARIANT_FACTORISED_SELF_ATTENTION;
}

static bool of_one_attention(const tub_train_config *c) {
    return !of_two_attentions(c);
}

static bool by_vivit(const tub_train_config *c) {
    return c->model.family == TUB_FAMILY_VIVIT;
}

static bool by_baseline(const tub_train_config *c) {
    return !by_vivit(c);
}

static bool without_blocks(const tub_train_config *c) {
    return !tub__model_has_blocks(&c->model);
}

static bool not_recurrent(const tub_train_config *c) {
    return c->model.family != TUB_FAMILY_CNN_RNN;
}

static bool without_decay(const tub_train_config *c) {
    return c->weight_decay == 0.0;
}

static bool not_resized(const tub_train_config *c) {
    return c->augment.crop != TUB_CROP_RESIZED;
}

/* Nothing looks beyond a sample. */
static bool inside_samples(const tub_train_config *c) {
    const tub_augment_config *a = &c->augment;
    return a->rotate == 0.0 && a->shift == 0.0 && a->scale[0] >= 1.0 && a->rand_ops == 0 &&
           a->crop != TUB_CROP_RESIZED;
}

static bool without_rand_ops(const tub_train_config *c) {
    return c->augment.rand_ops == 0;
}

static bool without_mixing(const tub_train_config *c) {
    return c->augment.mixup == 0.0 && c->augment.cutmix == 0.0;
}

static bool of_one_mixing(const tub_train_config *c) {
    return c->augment.mixup == 0.0 || c->augment.cutmix == 0.0;
}

static bool without_ema(const tub_train_config *c) {
    return c->ema == 0.0;
}

static bool without_folds(const tub_train_config *c) {
    return c->folds == 0;
}

static bool without_start(const tub_train_config *c) {
    return c->init_from[0] == '\0';
}

static bool without_time_attention(const tub_train_config *c) {
    return without_start(c) || of_one_attention(c);
}

static const struct rule {
    const char *key;
    bool (*idle)(const tub_train_config *c);
    const char *because;
} rules[] = {
    {"beta1", by_sgd, "with optimizer sgd"},
    {"beta2", by_sgd, "with optimizer sgd"},
    {"epsilon", by_sgd, "with optimizer sgd"},
    {"adam_form", by_sgd, "with optimizer sgd"},
    {"momentum", by_adam, "with optimizer adam or adamw"},
    {"sgd_form", by_adam, "with optimizer adam or adamw"},
    {"final_lr_share", by_constant, "with schedule constant"},
    {"lr_factors", not_compound, "without schedule compound"},
    {"steps_per_cycle", not_compound, "without schedule compound"},
    {"warmup_start", without_warmup, "without warmup_epochs or warmup_steps"},
    {"init_kernel", without_start, "without init_from"},
    {"init_positions", without_start, "without init_from"},
    {"init_clip", without_start, "without init_from"},
    {"init_temporal", without_time_attention,
     "but with init_from and model.variant factorised_self_attention"},
    {"decay_scope", without_decay, "without weight_decay"},
    {"augment.crop_scale", not_resized, "without augment.crop resized"},
    {"augment.crop_aspect", not_resized, "without augment.crop resized"},
    {"augment.border", inside_samples, "without augment.rotate, shift, scale or rand_ops"},
    {"augment.rand_strength", without_rand_ops, "without augment.rand_ops"},
    {"augment.mix_chance", without_mixing, "without augment.mixup or augment.cutmix"},
    {"augment.cutmix_chance", of_one_mixing, "but with both augment.mixup and augment.cutmix"},
    {"fold_seed", without_folds, "without folds"},
    {"schedule_steps", by_constant, "with schedule constant"},
    {"ema_warmup", without_ema, "without ema"},
    {"recompute", without_blocks, "without transformer blocks"},
    {"model.filters", by_vivit, "but with a baseline (model.family)"},
    {"model.stages", by_vivit, "but with a baseline (model.family)"},
    {"model.units", not_recurrent, "but with model.family cnn-rnn"},
    {"model.tubelet", by_baseline, "but with model.family vivit"},
    {"model.stride", by_baseline, "but with model.family vivit"},
    {"model.hidden", without_blocks, "without transformer blocks"},
    {"model.heads", without_blocks, "without transformer blocks"},
    {"model.layers", without_blocks, "without transformer blocks"},
    {"model.mlp", without_blocks, "without transformer blocks"},
    {"model.drop_layer", of_one_layer, "with one layer, which is always kept"},
    {"model.drop_layer", of_two_attentions, "with variant factorised_self_attention"},
    {"model.drop_layer_rescale", without_drop_layer, "without model.drop_layer"},
    {"model.temporal_layers", without_temporal_layers, "but with model.variant factorised_encoder"},
    {"model.attention_order", of_one_attention, "but with model.variant factorised_self_attention"},
};

void tub__tell_idle_settings(tub_context *ctx, const tub_train_config *config) {
    const tub_train_config defaults = tub_train_config_default();
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        char value[64], usual[64];
        if (rules[i].idle(config) &&
            tub_train_config_get(config, rules[i].key, value, sizeof value, NULL) == TUB_OK &&
            tub_train_config_get(&defaults, rules[i].key, usual, sizeof usual, NULL) == TUB_OK &&
            strcmp(value, usual) != 0) {
            tub__log_line(ctx, TUB_LOG_WARNING, "%s %s has no effect %s", rules[i].key, value,
                          rules[i].because);
        }
    }
}
