/* SPDX-License-Identifier: Apache-2.0 */
/* Training into a new run folder. */
#include "base/clock.h"
#include "base/error.h"
#include "base/fpenv.h"
#include "train/budget.h"
#include "train/idle.h"
#include "train/run_folder.h"
#include "train/session.h"
#include <unistd.h>

/* Makes the run folder. Only a folder whose lock is held is replaced: one that appeared meanwhile
 * is somebody else's. */
static tub_status session_create(tub__session *s, bool force, tub_error *err) {
    int old = s->lock;
    const tub__trainer *first = &s->ranks.list[0].trainer;
    const tub__origin origin = {s->start, &first->optimizer, &first->progress,
                                tub__rate_last(&first->rates, 0), &s->run.identity};
    tub_status status =
        tub__run_create(first->model, &s->config, s->run.info, s->start != NULL ? &origin : NULL,
                        s->run.folder, force && old >= 0, &s->lock, err);
    if (status == TUB_OK && old >= 0) {
        close(old);
    }
    return status;
}

tub_status tub__train_until(tub_context *ctx, const tub_train_config *config, tub_dataset *data,
                            const char *run, bool force, double deadline, tub_train_result *result,
                            tub_error *err) {
    TUB__TRY(tub__run_may_create(&ctx->allocator, run, force, err)); /* before any work */
    tub__fpenv saved = tub__fpenv_enter();
    tub__session s = {.config = *config, .fresh = true, .lock = -1};
    s.run.deadline = deadline;
    tub_status status = tub__session_lock(&s, run, err); /* of a run that is to be replaced */
    if (status == TUB_OK) {
        status = tub__session_open(&s, ctx, data, run, err);
    }
    if (status == TUB_OK) {
        tub__tell_idle_settings(ctx, config, &s.material); /* a resumed run has heard it */
        status = session_create(&s, force, err);
    }
    if (status == TUB_OK && s.start != NULL) {
        status = tub__session_load(&s, err); /* the other ranks' models are fresh until now */
    }
    if (status == TUB_OK) {
        status = tub__session_run(&s, result, err);
    }
    tub__session_close(&s);
    ctx->stop = 0;
    tub__fpenv_leave(saved);
    return status;
}

tub_status tub_train(tub_context *ctx, const tub_train_config *config, tub_dataset *data,
                     const char *run, int force, tub_train_result *result, tub_error *err) {
    const double deadline = config->budget > 0.0 ? tub__seconds() + config->budget : 0.0;
    tub_train_config c = *config;
    tub_train_plan plan;
    if (config->budget > 0.0) {
        TUB__TRY(tub_train_plan_of(ctx, config, data, run, force, &plan, err));
        c.epochs = plan.config.epochs;
        c.warmup_epochs = plan.config.warmup_epochs;
    }
    return tub__train_until(ctx, &c, data, run, force != 0, deadline, result, err);
}

void tub_train_stop(tub_context *ctx) {
    ctx->stop = 1;
}
