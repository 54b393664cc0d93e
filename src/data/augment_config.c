/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of augmentation: defaults that do nothing, and the check of values that a program may
 * have written. */
#include "base/error.h"
#include "data/augment.h"
#include "data/augment_settings.h"
#include <stddef.h>
#include <string.h>

tub_augment_config tub_augment_config_default(void) {
    tub_augment_config c;
    memset(&c, 0, sizeof c); /* equal settings are equal bytes */
    c.size = sizeof c;
    double *const ones[] = {c.speed, c.scale, c.intensity, c.contrast, c.gamma};
    for (size_t i = 0; i < sizeof ones / sizeof *ones; i++) {
        ones[i][0] = ones[i][1] = 1;
    }
    /* What a transform that is switched on begins with. */
    c.crop_scale[0] = 0.5;
    c.crop_scale[1] = 1;
    c.crop_aspect[0] = 0.75;
    c.crop_aspect[1] = 4.0 / 3.0;
    c.rand_strength = 5;
    c.mix_chance = 1;
    c.cutmix_chance = 0.5;
    return c;
}

static bool is_one(const double range[2]) {
    return range[0] == 1 && range[1] == 1;
}

bool tub__augment_mixes(const tub_augment_config *c) {
    return (c->mixup > 0 || c->cutmix > 0) && c->mix_chance > 0;
}

int tub_augment_is_on(const tub_augment_config *c) {
    return c->temporal_jitter || c->crop != TUB_CROP_CENTRE || c->flip_t > 0 || c->flip_h > 0 ||
           c->flip_w > 0 || c->rotate > 0 || c->shift > 0 || c->brightness > 0 || c->cutout > 0 ||
           c->blur[1] > 0 || c->noise[1] > 0 || c->rand_ops > 0 || c->shape_intensity ||
           !is_one(c->speed) || !is_one(c->scale) || !is_one(c->intensity) ||
           !is_one(c->contrast) || !is_one(c->gamma) || tub__augment_mixes(c);
}

typedef enum kind { FLAG, INT, REAL, CHOICE, RANGE } kind;

typedef struct setting {
    const char *key;
    kind kind;
    size_t offset;
    double low, high;
} setting;

/* The list names its fields as they are in a training's configuration. */
struct holder {
    tub_augment_config augment;
};
#define SETTING(field, key, type, choices, low, high, argument, help)                              \
    {key, type, offsetof(struct holder, field), low, high},
static const setting settings[] = {TUB__AUGMENT_SETTINGS(SETTING)};

enum { CHOICES = 3 }; /* of crop and border */

static tub_status check_real(const setting *s, double value, tub_error *err) {
    return value >= s->low && value <= s->high
               ? TUB_OK
               : tub__fail(err, TUB_E_RANGE, "%s is %.10g; it must lie between %.10g and %.10g",
                           s->key, value, s->low, s->high);
}

static tub_status check_range(const setting *s, const double range[2], tub_error *err) {
    TUB__TRY(check_real(s, range[0], err));
    TUB__TRY(check_real(s, range[1], err));
    return range[0] <= range[1]
               ? TUB_OK
               : tub__fail(err, TUB_E_RANGE, "%s is %.10g,%.10g; the lower bound comes first",
                           s->key, range[0], range[1]);
}

static tub_status check_setting(const setting *s, const struct holder *c, tub_error *err) {
    const char *at = (const char *)c + s->offset;
    double range[2];
    int64_t whole;
    int choice;
    switch (s->kind) {
    case RANGE:
        memcpy(range, at, sizeof range);
        return check_range(s, range, err);
    case REAL:
        memcpy(range, at, sizeof *range);
        return check_real(s, range[0], err);
    case INT:
        memcpy(&whole, at, sizeof whole);
        return tub__in_range(s->key, whole, (int64_t)s->low, (int64_t)s->high, err);
    case CHOICE:
        memcpy(&choice, at, sizeof choice);
        return tub__in_range(s->key, choice, 0, CHOICES - 1, err);
    case FLAG:
        break;
    }
    return TUB_OK;
}

tub_status tub_augment_config_check(const tub_augment_config *config, tub_error *err) {
    if (config->size != sizeof *config) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "the augmentation's settings were not made by tub_augment_config_default");
    }
    const struct holder held = {*config};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        TUB__TRY(check_setting(&settings[i], &held, err));
    }
    if (config->volume && (config->temporal_jitter || !is_one(config->speed))) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "%s is for frames in time, and augment.volume says that they are an axis "
                         "of space; leave one of them out",
                         config->temporal_jitter ? "augment.temporal_jitter" : "augment.speed");
    }
    return TUB_OK;
}
