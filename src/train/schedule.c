/* SPDX-License-Identifier: Apache-2.0 */
/* The learning rate of every step: constant or cosine, after a linear warm-up, or scenic's product
 * of factors. */
#include "train/schedule.h"

#include "base/error.h"
#include "base/scalar.h"
#include <math.h>
#include <string.h>

static const double pi = 0x1.921fb54442d18p+1;

static const char *const factor_names[TUB__FACTORS] = {
    [TUB__FACTOR_CONSTANT] = "constant",
    [TUB__FACTOR_WARMUP] = "linear_warmup",
    [TUB__FACTOR_COSINE] = "cosine_decay",
};

static bool has_factor(const tub__factors *f, tub__factor which) {
    bool found = false;
    for (int i = 0; i < f->count; i++) {
        found = found || f->list[i] == which;
    }
    return found;
}

/* One name of `length` bytes. */
static tub_status add_factor(const char *name, size_t length, tub__factors *f, tub_error *err) {
    int which = 0;
    while (which < TUB__FACTORS &&
           (strlen(factor_names[which]) != length || memcmp(factor_names[which], name, length))) {
        which++;
    }
    if (which == TUB__FACTORS) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "lr_factors: '%.*s' is no factor; there are constant, linear_warmup and "
                         "cosine_decay, with * between them",
                         (int)length, name);
    }
    if (has_factor(f, (tub__factor)which)) {
        return tub__fail(err, TUB_E_ARGUMENT, "lr_factors: %s stands there twice",
                         factor_names[which]);
    }
    f->list[f->count++] = (tub__factor)which;
    return TUB_OK;
}

tub_status tub__factors_parse(const char *text, tub__factors *out, tub_error *err) {
    tub__factors f = {.count = 0};
    for (const char *rest = text, *end = NULL; end == NULL || *end != '\0'; rest = end + 1) {
        rest += strspn(rest, " \t");
        end = rest + strcspn(rest, "*");
        size_t length = (size_t)(end - rest);
        while (length > 0 && strchr(" \t", rest[length - 1]) != NULL) {
            length--;
        }
        TUB__TRY(add_factor(rest, length, &f, err));
    }
    if (!has_factor(&f, TUB__FACTOR_CONSTANT)) {
        return tub__fail(err, TUB_E_ARGUMENT, "lr_factors '%s' lacks constant, which stands for lr",
                         text);
    }
    *out = f;
    return TUB_OK;
}

bool tub__rates_know_the_end(const tub_train_config *config) {
    return config->schedule_steps == 0 &&
           (config->schedule == TUB_COSINE ||
            (config->schedule == TUB_COMPOUND && config->steps_per_cycle == 0));
}

tub__rates tub__rates_make(const tub_train_config *config, uint64_t steps, uint64_t per_epoch) {
    tub__rates r = {.kind = config->schedule,
                    .target = config->lr,
                    .start = config->warmup_start,
                    .share = config->final_lr_share,
                    .decay = 1};
    steps = config->schedule_steps > 0 ? (uint64_t)config->schedule_steps : steps;
    uint64_t end = steps;
    r.warmup = config->warmup_steps > 0 ? (uint64_t)config->warmup_steps
                                        : (uint64_t)rint(config->warmup_epochs * (double)per_epoch);
    if (r.kind == TUB_COMPOUND) {
        (void)!tub__factors_parse(config->lr_factors, &r.factors, NULL);
        end = config->steps_per_cycle > 0 ? (uint64_t)config->steps_per_cycle : steps;
    }
    if (end > r.warmup) {
        r.decay = end - r.warmup;
    }
    return r;
}

/* The cosine at a part of its way, from 1 down to `share`. */
static double cosine(const tub__rates *r, double part) {
    return (1.0 - r->share) * (0.5 * (1.0 + tub__cos(pi * part))) + r->share;
}

static double factor(const tub__rates *r, tub__factor which, uint64_t step) {
    const double first = r->target > 0.0 ? r->start / r->target : 0.0;
    switch (which) {
    case TUB__FACTOR_WARMUP:
        return step < r->warmup ? first + (double)step * (1.0 - first) / (double)r->warmup : 1.0;
    case TUB__FACTOR_COSINE:
        return step < r->warmup
                   ? 1.0
                   : cosine(r, (double)((step - r->warmup) % r->decay) / (double)r->decay);
    default:
        return r->target;
    }
}

double tub__rate(const tub__rates *rates, uint64_t step) {
    if (rates->kind == TUB_COMPOUND) {
        double rate = 1.0;
        for (int i = 0; i < rates->factors.count; i++) {
            rate *= factor(rates, rates->factors.list[i], step);
        }
        return rate;
    }
    if (step < rates->warmup) {
        return rates->start +
               (rates->target - rates->start) * ((double)step / (double)rates->warmup);
    }
    if (rates->kind == TUB_CONSTANT) {
        return rates->target;
    }
    uint64_t done = step - rates->warmup;
    double part = done < rates->decay ? (double)done / (double)rates->decay : 1.0;
    return rates->target * cosine(rates, part);
}

double tub__rate_last(const tub__rates *rates, uint64_t done) {
    return tub__rate(rates, done > 0 ? done - 1 : 0);
}
