/* SPDX-License-Identifier: Apache-2.0 */
/* The learning rate of every step: constant or cosine, after a linear warm-up. */
#include "train/schedule.h"

#include "base/scalar.h"
#include <math.h>

static const double pi = 0x1.921fb54442d18p+1;

tub__rates tub__rates_make(const tub_train_config *config, uint64_t steps, uint64_t per_epoch) {
    tub__rates r = {config->schedule,       config->lr, config->warmup_start,
                    config->final_lr_share, 0,          1};
    r.warmup = (uint64_t)rint(config->warmup_epochs * (double)per_epoch);
    if (steps > r.warmup) {
        r.decay = steps - r.warmup;
    }
    return r;
}

double tub__rate(const tub__rates *rates, uint64_t step) {
    if (step < rates->warmup) {
        return rates->start +
               (rates->target - rates->start) * ((double)step / (double)rates->warmup);
    }
    if (rates->kind == TUB_CONSTANT) {
        return rates->target;
    }
    uint64_t done = step - rates->warmup;
    double part = done < rates->decay ? (double)done / (double)rates->decay : 1.0;
    double cosine = 0.5 * (1.0 + tub__cos(pi * part));
    return rates->target * ((1.0 - rates->share) * cosine + rates->share);
}

double tub__rate_last(const tub__rates *rates, uint64_t done) {
    return tub__rate(rates, done > 0 ? done - 1 : 0);
}
