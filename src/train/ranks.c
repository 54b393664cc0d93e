/* SPDX-License-Identifier: Apache-2.0 */
/* Ranks as threads of this process: creating their trainers, running them together. */
#include "train/ranks.h"

#include "base/error.h"
#include "base/fpenv.h"
#include <string.h>

tub_status tub__model_for_training(tub_context *ctx, const tub_train_config *config,
                                   tub_model **out, tub_error *err) {
    tub_model *model;
    TUB__TRY(tub_model_create(ctx, &config->model, config->seed, &model, err));
    if (config->precision == TUB_PRECISION_BF16) {
        const tub_status status = tub__model_reduce(model, TUB__BF16, true, err);
        if (status != TUB_OK) {
            tub_model_close(model);
            return status;
        }
    }
    *out = model;
    return TUB_OK;
}

/* A context and model of its own for a rank other than 0: what the ranks share is only the data,
 * which nobody writes. */
static tub_status open_rank(tub_context *ctx, const tub__run *run, tub__rank *rank,
                            tub_model **model, tub_error *err) {
    int threads = tub_context_threads(ctx) / (int)run->config->ranks;
    tub_context_config config = tub_context_config_default();
    config.threads = threads > 1 ? threads : 1;
    config.allocator = ctx->allocator;
    TUB__TRY(tub_cpu_parse(tub_context_cpu(ctx), &config.cpu, err));
    TUB__TRY(tub_context_create(&config, &rank->ctx, err));
    return tub__model_for_training(rank->ctx, run->config, model, err);
}

tub_status tub__ranks_create(tub_context *ctx, const tub__run *run, tub_model *model,
                             tub__ranks *out, tub_error *err) {
    tub__ranks r = {.allocator = &ctx->allocator, .size = (int)run->config->ranks};
    tub__dist dists[TUB__RANK_LIMIT];
    dists[0] = tub__dist_alone();
    void *memory = NULL;
    tub_status status = tub__alloc_array(r.allocator, (size_t)r.size, sizeof *r.list, &memory, err);
    r.list = memory;
    if (status == TUB_OK && r.size > 1) {
        status = tub__dist_group_create(r.allocator, r.size, dists, &r.group, err);
    }
    for (int i = 0; i < r.size && status == TUB_OK; i++) {
        tub_model *own = model;
        if (i == 0) {
            r.list[0].ctx = ctx;
            model = NULL;
        } else {
            status = open_rank(ctx, run, &r.list[i], &own, err);
        }
        if (status == TUB_OK) {
            status =
                tub__trainer_create(r.list[i].ctx, run, dists[i], own, &r.list[i].trainer, err);
        }
    }
    if (status != TUB_OK) {
        tub_model_close(model);
        tub__ranks_destroy(&r);
        return status;
    }
    *out = r;
    return TUB_OK;
}

void tub__ranks_destroy(tub__ranks *ranks) {
    for (int i = 0; ranks->list != NULL && i < ranks->size; i++) {
        tub__trainer_destroy(&ranks->list[i].trainer);
        if (i > 0) {
            tub_context_destroy(ranks->list[i].ctx);
        }
    }
    tub__dist_group_destroy(ranks->group);
    tub__free(ranks->allocator, ranks->list);
    memset(ranks, 0, sizeof *ranks);
}

static void *thread_main(void *argument) {
    tub__rank *rank = argument;
    pthread_mutex_lock(&rank->ranks->gate);
    bool cancelled = rank->ranks->cancelled;
    pthread_mutex_unlock(&rank->ranks->gate);
    if (!cancelled) {
        tub__fpenv saved = tub__fpenv_enter();
        rank->status = tub__trainer_run(&rank->trainer, &rank->error);
        tub__fpenv_leave(saved);
    }
    return NULL;
}

/* The rank that failed by itself knows why; the others only stopped with it. */
static tub_status outcome(const tub__ranks *ranks, tub_error *err) {
    tub_status status = TUB_OK;
    for (int i = 0; i < ranks->size; i++) {
        const tub__rank *rank = &ranks->list[i];
        if (rank->status != TUB_OK && (status == TUB_OK || status == TUB_E_CANCELLED)) {
            status = rank->status;
            if (err != NULL) {
                *err = rank->error;
            }
        }
    }
    return status;
}

tub_status tub__ranks_run(tub__ranks *ranks, tub_error *err) {
    if (ranks->size == 1) {
        return tub__trainer_run(&ranks->list[0].trainer, err);
    }
    int started = 1;
    ranks->cancelled = false;
    pthread_mutex_init(&ranks->gate, NULL);
    pthread_mutex_lock(&ranks->gate);
    for (; started < ranks->size; started++) {
        tub__rank *rank = &ranks->list[started];
        rank->ranks = ranks;
        if (pthread_create(&rank->thread, NULL, thread_main, rank) != 0) {
            ranks->cancelled = true;
            break;
        }
    }
    pthread_mutex_unlock(&ranks->gate);
    if (!ranks->cancelled) {
        tub__rank *first = &ranks->list[0];
        first->status = tub__trainer_run(&first->trainer, &first->error);
    }
    for (int i = 1; i < started; i++) {
        pthread_join(ranks->list[i].thread, NULL);
    }
    pthread_mutex_destroy(&ranks->gate);
    if (ranks->cancelled) {
        return tub__fail(err, TUB_E_MEMORY, "the system gives no thread for rank %d of %d", started,
                         ranks->size);
    }
    return outcome(ranks, err);
}
