/* SPDX-License-Identifier: Apache-2.0 */
/* The default recipe (the Keras example's), and the check of settings against each other. */
#include "base/error.h"
#include "model/family.h"
#include "train/depth.h"
#include "train/groups.h"
#include "train/options.h"
#include "train/schedule.h"
#include <inttypes.h>
#include <string.h>

static const char nothing[] = "none";

/* The product that scenic's ViViT configurations have. */
static const char usual_factors[] = "constant * cosine_decay * linear_warmup";

tub_train_config tub_train_config_default(void) {
    tub_train_config c;
    memset(&c, 0, sizeof c);
    c.size = sizeof c;
    c.seed = 42;
    c.epochs = 60;
    c.batch_size = 32;
    c.ranks = 1;
    c.lr = 1e-4;
    c.beta1 = 0.9;
    c.beta2 = 0.999;
    c.epsilon = 1e-7;
    c.momentum = 0.9;
    c.final_lr_share = 0.0;
    c.augment = tub_augment_config_default();
    c.fold = -1;
    c.layer_decay = 1.0;
    c.ema_warmup = 1;
    memcpy(c.freeze, nothing, sizeof nothing);
    c.cache_limit = 20000000000;
    c.events_histograms = 10;
    c.events_images = 4;
    memcpy(c.lr_factors, usual_factors, sizeof usual_factors);
    /* The default preset is one of the library's own: it can't be missing. */
    (void)!tub_train_config_set(&c, "preset", "vivit-tiny", NULL);
    return c;
}

tub_dataset_options tub_train_dataset_options(const tub_train_config *config) {
    tub_dataset_options o = tub_dataset_options_default();
    o.data_url = config->data_url[0] != '\0' ? config->data_url : NULL;
    o.split_seed = config->split_seed;
    o.no_cache = config->no_cache;
    o.cache_limit = config->cache_limit;
    o.clip = config->clip;
    o.clip.frames = config->model.frames;
    o.clip.height = config->model.height;
    o.clip.width = config->model.width;
    o.clip.gray = config->clip.gray || config->model.channels == 1;
    return o;
}

/* A crop can't be larger than what it is cut out of. */
static tub_status check_clip(const tub_train_config *c, tub_error *err) {
    const int64_t resize = c->clip.resize, height = c->model.height, width = c->model.width;
    if (resize > 0 && (resize < height || resize < width)) {
        return tub__fail(err, TUB_E_RANGE,
                         "clip.resize %" PRId64 " is below model.%s %" PRId64
                         ": the crop does not fit into frames with so short a side",
                         resize, resize < height ? "height" : "width",
                         resize < height ? height : width);
    }
    const double *window = c->clip.intensity_window;
    if (window[0] == window[1] && window[0] != 0) {
        return tub__fail(err, TUB_E_RANGE,
                         "clip.intensity_window %g has one number; it takes two, as -160,240",
                         window[0]);
    }
    if (c->clip.stride > 0 &&
        (c->clip.sampling == TUB_SAMPLING_DEFAULT || c->clip.sampling == TUB_SAMPLING_UNIFORM ||
         c->clip.sampling == TUB_SAMPLING_SEGMENTS)) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "clip.stride %" PRId64 " has no meaning with clip.sampling %s; choose "
                         "stride or linspace",
                         c->clip.stride, tub_sampling_name(c->clip.sampling));
    }
    return TUB_OK;
}

static bool is_power(int64_t n) {
    return (n & (n - 1)) == 0;
}

static tub_status check_parts(const tub_train_config *c, tub_error *err) {
    const int64_t micro = c->micro_batch, leaves = (int64_t)tub__tree_leaves((size_t)c->batch_size);
    if (micro > c->batch_size) {
        return tub__fail(err, TUB_E_RANGE,
                         "micro_batch %" PRId64 " is more than batch_size %" PRId64
                         "; a step has no more samples to compute at once",
                         micro, c->batch_size);
    }
    if (!is_power(c->ranks) || (micro != c->batch_size && micro != 0 && !is_power(micro))) {
        const char *key = !is_power(c->ranks) ? "ranks" : "micro_batch";
        return tub__fail(err, TUB_E_RANGE,
                         "%s must be a power of two (1, 2, 4, ...), so that the parts of a batch "
                         "add up in one order",
                         key);
    }
    if (c->ranks > leaves) {
        return tub__fail(err, TUB_E_RANGE,
                         "ranks %" PRId64 " is more than the %" PRId64
                         " parts of 4 samples that a batch of %" PRId64 " has",
                         c->ranks, leaves, c->batch_size);
    }
    return TUB_OK;
}

/* The statistics of a batch norm are of all the samples that are computed at once. */
static tub_status check_family(const tub_train_config *c, tub_error *err) {
    const char *name = tub__family_name(c->model.family);
    const bool parted = c->ranks > 1 || (c->micro_batch != 0 && c->micro_batch < c->batch_size);
    if (tub__family_has_batch_norm(c->model.family) && parted) {
        return tub__fail(
            err, TUB_E_ARGUMENT,
            "%s can't be with %s: its batch norm is over all samples of a step; leave %s "
            "out, or take a smaller batch_size",
            c->ranks > 1 ? "ranks" : "micro_batch", name, c->ranks > 1 ? "ranks" : "micro_batch");
    }
    return c->precision != TUB_PRECISION_F32 && c->model.family != TUB_FAMILY_VIVIT
               ? tub__family_no_precision(&c->model, "bf16", TUB_E_ARGUMENT, err)
               : TUB_OK;
}

static tub_status check_compound(const tub_train_config *c, tub_error *err) {
    tub__factors factors;
    TUB__TRY(tub__factors_parse(c->lr_factors, &factors, err));
    if (c->steps_per_cycle > 0 && c->warmup_steps >= c->steps_per_cycle) {
        return tub__fail(err, TUB_E_RANGE,
                         "warmup_steps %" PRId64 " leaves nothing of steps_per_cycle %" PRId64
                         " for the cosine; shorten the warm-up",
                         c->warmup_steps, c->steps_per_cycle);
    }
    return TUB_OK;
}

static tub_status check_schedule(const tub_train_config *c, tub_error *err) {
    if (c->warmup_steps > 0 && c->warmup_epochs > 0.0) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "warmup_steps %" PRId64 " and warmup_epochs %g both say how long the "
                         "warm-up is; give one of them",
                         c->warmup_steps, c->warmup_epochs);
    }
    if (c->schedule == TUB_COMPOUND) {
        TUB__TRY(check_compound(c, err));
    }
    if (c->schedule != TUB_CONSTANT && c->warmup_epochs >= (double)c->epochs) {
        return tub__fail(err, TUB_E_RANGE,
                         "warmup_epochs %g leaves nothing of %" PRId64 " epochs for the cosine; "
                         "shorten the warm-up (warmup_epochs 0: none)",
                         c->warmup_epochs, c->epochs);
    }
    if (c->warmup_start > c->lr && (c->warmup_epochs > 0.0 || c->warmup_steps > 0)) {
        return tub__fail(err, TUB_E_RANGE, "warmup_start %g is above lr %g; a warm-up rises",
                         c->warmup_start, c->lr);
    }
    return TUB_OK;
}

/* The model's values against each other; for sizes that the data will give stand the smallest that
 * they can be. */
static tub_status check_model(const tub_model_config *given, tub_error *err) {
    tub_model_config m = *given;
    int64_t heads = 0;
    int64_t *const sizes[3] = {&m.frames, &m.height, &m.width};
    for (int i = 0; i < 3; i++) {
        if (*sizes[i] == 0) {
            *sizes[i] = m.stride[i] > m.tubelet[i] ? m.stride[i] : m.tubelet[i];
        }
    }
    if (m.family != TUB_FAMILY_VIVIT) {
        m.height = given->height == 0 ? 1 << TUB__STAGES : given->height;
        m.width = given->width == 0 ? 1 << TUB__STAGES : given->width;
    }
    m.frames = given->frames == 0 && m.sampled_frames > m.frames ? m.sampled_frames : m.frames;
    m.channels = m.channels == 0 ? 1 : m.channels;
    for (int i = 0; i < TUB_HEAD_LIMIT; i++) {
        heads += m.head_classes[i];
    }
    m.classes = m.classes == 0 ? (heads > 0 ? heads : 2) : m.classes;
    if (m.task == TUB_TASK_DATA && heads > 0) {
        m.task = TUB_TASK_MULTI_HEAD;
    }
    if (m.task == TUB_TASK_MULTI_HEAD && heads == 0) { /* the data's, whatever they are */
        m.head_classes[0] = m.classes;
    }
    return tub_model_config_check(&m, err);
}

static tub_status check_sampling(const tub_train_config *c, tub_error *err) {
    if (c->sampling == TUB_BALANCED && c->model.task > TUB_TASK_MULTI_CLASS) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "sampling balanced is for one class a sample, not for task %s",
                         tub_task_name(c->model.task));
    }
    if (c->sampling == TUB_BALANCED && c->class_weights == TUB_WEIGHTS_BALANCED) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "sampling balanced and class_weights balanced would even out the classes "
                         "twice; give one of them");
    }
    return TUB_OK;
}

static tub_status check_folds(const tub_train_config *c, tub_error *err) {
    if (c->folds == 1) {
        return tub__fail(err, TUB_E_RANGE, "folds is 1; cross-validation needs at least 2");
    }
    if (c->folds == 0 && c->fold >= 0) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "fold %" PRId64 " is one of how many? say it with folds", c->fold);
    }
    if (c->folds > 0 && c->fold >= c->folds) {
        return tub__fail(err, TUB_E_RANGE,
                         "fold is %" PRId64 "; with folds %" PRId64
                         " it lies between 0 and %" PRId64,
                         c->fold, c->folds, c->folds - 1);
    }
    return TUB_OK;
}

tub_status tub_train_config_check(const tub_train_config *config, tub_error *err) {
    if (config->size != sizeof *config || config->model.size != sizeof config->model) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "the training configuration was not made by tub_train_config_default");
    }
    size_t count = 0;
    const tub_option *options = tub_train_options(&count);
    for (size_t i = 0; i < count; i++) {
        /* Programs write into the structure: the bounds of every value are checked as if it came
         * as text. */
        char text[TUB_PATH_LENGTH];
        tub_train_config copy = *config;
        TUB__TRY(tub_train_config_get(config, options[i].key, text, sizeof text, err));
        TUB__TRY(tub_train_config_set(&copy, options[i].key, text, err));
    }
    TUB__TRY(tub_augment_config_check(&config->augment, err));
    if (config->optimizer == TUB_ADAM && config->weight_decay > 0.0) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "weight_decay %g has no effect with optimizer adam; use adamw",
                         config->weight_decay);
    }
    if (config->class_weights != TUB_WEIGHTS_NONE && config->model.task > TUB_TASK_MULTI_CLASS) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "class_weights balanced is for one class a sample, not for task %s",
                         tub_task_name(config->model.task));
    }
    TUB__TRY(check_sampling(config, err));
    TUB__TRY(check_folds(config, err));
    TUB__TRY(check_parts(config, err));
    TUB__TRY(check_family(config, err));
    TUB__TRY(check_model(&config->model, err));
    TUB__TRY(tub__depth_check(config, err));
    TUB__TRY(check_clip(config, err));
    return check_schedule(config, err);
}
