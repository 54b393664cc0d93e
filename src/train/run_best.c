/* SPDX-License-Identifier: Apache-2.0 */
/* The best model of a run. A new one waits in best.next/ until there is a checkpoint that counts
 * it: a run that is resumed from an older checkpoint with another number of epochs never comes
 * back to those weights, and must still have the ones that its checkpoint calls the best. */
#include "base/error.h"
#include "base/file.h"
#include "train/run_folder.h"
#include "train/run_parts.h"
#include <unistd.h>

enum { METRICS_LIMIT = 1 << 16 };

/* metrics.json of a best model: which epoch it is, and its scores. */
static tub_status write_metrics(const tub_allocator *a, const char *folder, const tub__progress *p,
                                tub_error *err) {
    char *text = NULL, *path = NULL;
    size_t size = 0;
    tub__json_writer w;
    tub__json_start(&w, a, 2);
    tub__json_open_object(&w, NULL);
    tub__json_put_integer(&w, "epoch", (int64_t)p->best_epoch);
    tub__run_put_scores(&w, "val", &p->best);
    tub__json_close_object(&w);
    TUB__TRY(tub__json_finish(&w, &text, &size, err));
    tub_status status = tub__path_join(a, folder, TUB__RUN_METRICS, &path, err);
    if (status == TUB_OK) {
        status = tub__file_write(a, path, text, size, err);
    }
    tub__free(a, path);
    tub__free(a, text);
    return status;
}

/* The epoch that a best model says it is of; 0 where there is none. */
static tub_status read_epoch(const tub_allocator *a, const char *folder, int64_t *epoch,
                             tub_error *err) {
    char *path = NULL;
    tub__json *metrics = NULL;
    *epoch = 0;
    TUB__TRY(tub__path_join(a, folder, TUB__RUN_METRICS, &path, err));
    tub_status status = TUB_OK;
    if (tub__file_exists(path)) {
        status = tub__json_load(a, path, METRICS_LIMIT, &metrics, err);
    }
    if (metrics != NULL) {
        status = tub__json_get_integer(metrics, "epoch", epoch, err);
        tub__json_free(metrics);
    }
    tub__free(a, path);
    return status;
}

static tub_status write_all(const tub_model *model, const tub__card *card, const tub__progress *p,
                            const char *folder, tub_error *err) {
    TUB__TRY(tub__folder_write_arrays(model, folder, err));
    TUB__TRY(tub__folder_write_config(model, folder, card, err));
    return write_metrics(&model->context->allocator, folder, p, err);
}

tub_status tub__run_write_best(const tub_model *model, const tub_train_config *config,
                               const tub_dataset_info *info, const tub__progress *p,
                               const char *run, tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    tub__card card = tub__run_card(config, info, &p->best);
    char *next = NULL, *temporary = NULL;
    int lock = -1;
    TUB__TRY(tub__path_join(a, run, TUB__RUN_NEXT, &next, err));
    tub_status status = tub__folder_temporary(a, next, &temporary, &lock, err);
    if (status == TUB_OK) {
        status = write_all(model, &card, p, temporary, err);
        if (status == TUB_OK) {
            status = tub__folder_commit(a, temporary, next, true, err);
        }
        if (status != TUB_OK) {
            (void)!tub__folder_remove(a, temporary, NULL);
        }
        close(lock);
    }
    tub__free(a, temporary);
    tub__free(a, next);
    return status;
}

tub_status tub__run_has_best(const tub_allocator *a, const char *run, uint64_t epoch, bool *has,
                             tub_error *err) {
    char *next = NULL;
    int64_t waiting = 0;
    TUB__TRY(tub__run_has(a, run, TUB__RUN_BEST_WEIGHTS, has, err));
    if (*has) {
        return TUB_OK;
    }
    TUB__TRY(tub__path_join(a, run, TUB__RUN_NEXT, &next, err));
    tub_status status = read_epoch(a, next, &waiting, err);
    tub__free(a, next);
    *has = waiting > 0 && (uint64_t)waiting == epoch;
    return status;
}

/* What waits is taken when the checkpoint counts its epoch; anything else there is of another life
 * of the run, or what best/ was before. */
static tub_status settle(const tub_allocator *a, const char *next, const char *best, uint64_t epoch,
                         tub_error *err) {
    int64_t waiting = 0;
    if (epoch == 0) { /* the run has no best epoch yet: a former life's */
        TUB__TRY(tub__folder_remove(a, best, err));
    }
    if (!tub__is_folder(next)) {
        return TUB_OK;
    }
    TUB__TRY(read_epoch(a, next, &waiting, err));
    return epoch > 0 && (uint64_t)waiting == epoch ? tub__folder_commit(a, next, best, true, err)
                                                   : tub__folder_remove(a, next, err);
}

tub_status tub__run_settle_best(const tub_allocator *a, const char *run, uint64_t epoch,
                                tub_error *err) {
    char *next = NULL, *best = NULL;
    TUB__TRY(tub__path_join(a, run, TUB__RUN_NEXT, &next, err));
    tub_status status = tub__path_join(a, run, TUB__RUN_BEST, &best, err);
    if (status == TUB_OK) {
        status = settle(a, next, best, epoch, err);
    }
    tub__free(a, best);
    tub__free(a, next);
    return status;
}
