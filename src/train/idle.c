/* SPDX-License-Identifier: Apache-2.0 */
/* Settings that do nothing beside the others, or to the data: a warning only, because a recipe may set
 * them for the optimiser, schedule or data set that an option has replaced. */
#include "train/idle.h"

#include "data/file_set.h"
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

static bool without_events(const tub_train_config *c) {
    return c->events == TUB_EVENT_FILES_OFF;
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
    {"events_histograms", without_events, "with events false"},
    {"events_images", without_events, "with events false"},
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

/* What the data make of settings. A model's clips are as large as the samples of a set in memory, and as
 * the clips of a set of files; those are cut out of frames that may be larger, but not longer. */
typedef struct material_facts {
    bool files, larger;
    bool intensities; /* of files: some of them are float32 */
} material_facts;

static material_facts facts_of(const tub__material *m) {
    const bool files = m->data != NULL && m->data->files != NULL;
    const tub_dataset_info from = files ? tub__dataset_source_info(m->data) : *m->info;
    return (material_facts){
        .files = files,
        .larger = from.height > m->info->height || from.width > m->info->width,
        .intensities = files && tub__file_set_has_intensities(m->data->files),
    };
}

static bool by_files(const tub_train_config *c, const material_facts *f) {
    (void)c;
    return f->files;
}

static bool in_memory(const tub_train_config *c, const material_facts *f) {
    return !by_files(c, f);
}

static bool of_levels(const tub_train_config *c, const material_facts *f) {
    (void)c;
    return f->files && !f->intensities;
}

static bool slower(const tub_train_config *c) {
    return c->augment.speed[0] < 1.0;
}

static bool fast_in_memory(const tub_train_config *c, const material_facts *f) {
    return !f->files && !slower(c);
}

static bool fast_by_files(const tub_train_config *c, const material_facts *f) {
    return f->files && !slower(c);
}

static bool moves_nothing(const tub_train_config *c, const material_facts *f) {
    return c->augment.crop == TUB_CROP_RANDOM && !f->larger;
}

static const struct data_rule {
    const char *key;
    bool (*idle)(const tub_train_config *c, const material_facts *f);
    const char *because;
} data_rules[] = {
    {"augment.temporal_jitter", in_memory, "on samples that are as long as the clips"},
    {"augment.temporal_jitter", by_files, "on files, where clip.sampling chooses the frames"},
    {"augment.speed", fast_in_memory, "above 1 on samples that are as long as the clips"},
    {"augment.speed", fast_by_files, "above 1 on files, where clip.sampling chooses the frames"},
    {"augment.crop", moves_nothing,
     "on samples that are as large as the clips (of files: without a larger clip.resize)"},
    {"split_seed", in_memory, "but on a set of files"},
    {"no_cache", in_memory, "but on a set of files"},
    {"cache_limit", in_memory, "but on a set of files"},
    {"clip.sampling", in_memory, "but on a set of files"},
    {"clip.stride", in_memory, "but on a set of files"},
    {"clip.resize", in_memory, "but on a set of files"},
    {"clip.intensity_window", in_memory, "but on a set of files"},
    {"clip.intensity_window", of_levels, "on files of levels from 0 to 255"},
    {"clip.gray", in_memory, "but on a set of files"},
    {"clip.max_frames", in_memory, "but on a set of files"},
};

/* Only what somebody has changed. */
static void tell(tub_context *ctx, const tub_train_config *config, const char *key,
                 const char *because) {
    const tub_train_config defaults = tub_train_config_default();
    char value[64], usual[64];
    if (tub_train_config_get(config, key, value, sizeof value, NULL) == TUB_OK &&
        tub_train_config_get(&defaults, key, usual, sizeof usual, NULL) == TUB_OK &&
        strcmp(value, usual) != 0) {
        tub__log_line(ctx, TUB_LOG_WARNING, "%s %s has no effect %s", key, value, because);
    }
}

void tub__tell_idle_settings(tub_context *ctx, const tub_train_config *config,
                             const tub__material *material) {
    const material_facts facts = facts_of(material);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (rules[i].idle(config)) {
            tell(ctx, config, rules[i].key, rules[i].because);
        }
    }
    for (size_t i = 0; i < sizeof data_rules / sizeof *data_rules; i++) {
        if (data_rules[i].idle(config, &facts)) {
            tell(ctx, config, data_rules[i].key, data_rules[i].because);
        }
    }
}
