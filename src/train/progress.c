/* SPDX-License-Identifier: Apache-2.0 */
/* How far a run has come: counters, running sums, the best epoch, and their text in a
 * checkpoint. */
#include "train/progress.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* X(member): all are 64 bits wide. */
/* clang-format off */
#define MEMBERS(X) \
    X(step) X(epoch) X(batch) X(samples) X(loss) X(top1) X(top5) \
    X(train.loss) X(train.top1) X(train.top5) X(train.auc) \
    X(val.loss) X(val.top1) X(val.top5) X(val.auc) \
    X(best.loss) X(best.top1) X(best.top5) X(best.auc) \
    X(best_epoch) X(waited) X(seconds) X(data_wait)
/* clang-format on */

#define MEMBER(member) {#member, offsetof(tub__progress, member)},
static const struct {
    const char *name;
    size_t offset;
} members[] = {MEMBERS(MEMBER)};

#define WIDTH(member)                                                                              \
    _Static_assert(sizeof(((tub__progress *)NULL)->member) == 8, #member " has 64 bits");
MEMBERS(WIDTH)
_Static_assert(sizeof(tub__progress) == 8 * sizeof members / sizeof *members,
               "every member is in the list");

tub__progress tub__progress_start(void) {
    const tub_scores nothing = {NAN, NAN, NAN, NAN};
    tub__progress p = {.train = nothing, .val = nothing, .best = nothing};
    return p;
}

uint64_t tub__progress_total(const tub_train_config *config, uint64_t batches) {
    uint64_t total = (uint64_t)config->epochs * batches, most = (uint64_t)config->max_steps;
    return most > 0 && most < total ? most : total;
}

bool tub__progress_over(const tub__progress *p, const tub_train_config *config) {
    return p->epoch >= (uint64_t)config->epochs ||
           (config->max_steps > 0 && p->step >= (uint64_t)config->max_steps) ||
           (config->patience > 0 && p->batch == 0 && p->waited >= (uint64_t)config->patience);
}

bool tub__progress_partial(const tub__progress *p, const tub_train_config *config) {
    return p->batch > 0 && tub__progress_over(p, config);
}

uint64_t tub__progress_epochs(const tub__progress *p, const tub_train_config *config) {
    return p->epoch + tub__progress_partial(p, config);
}

tub_scores tub__progress_means(const tub__progress *p) {
    double n = p->samples > 0 ? (double)p->samples : NAN;
    return (tub_scores){p->loss / n, p->top1 / n, p->top5 / n, NAN};
}

bool tub__scores_better(const tub_scores *a, const tub_scores *b) {
    if (isnan(b->loss)) {
        return true;
    }
    if (isnan(a->auc) || isnan(b->auc)) {
        return a->loss < b->loss;
    }
    return a->auc > b->auc;
}

bool tub__progress_judge(tub__progress *p, const tub_scores *val) {
    p->val = *val;
    if (!tub__scores_better(val, &p->best)) {
        p->waited++;
        return false;
    }
    p->best = *val;
    p->best_epoch = p->epoch + 1;
    p->waited = 0;
    return true;
}

bool tub__progress_get(const tub__progress *p, unsigned index, const char **name,
                       char text[TUB__PROGRESS_TEXT]) {
    if (index >= sizeof members / sizeof *members) {
        return false;
    }
    uint64_t bits = 0;
    memcpy(&bits, (const char *)p + members[index].offset, sizeof bits);
    *name = members[index].name;
    snprintf(text, TUB__PROGRESS_TEXT, "%016" PRIx64, bits);
    return true;
}

bool tub__progress_set(tub__progress *p, unsigned index, const char *text) {
    uint64_t bits = 0;
    if (index >= sizeof members / sizeof *members || strlen(text) != 16 ||
        strspn(text, "0123456789abcdef") != 16 || sscanf(text, "%16" SCNx64, &bits) != 1) {
        return false;
    }
    memcpy((char *)p + members[index].offset, &bits, sizeof bits);
    return true;
}
