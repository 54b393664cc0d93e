/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that fill a run folder share. */
#ifndef TUB__TRAIN_RUN_PARTS_H
#define TUB__TRAIN_RUN_PARTS_H

#include "base/file.h"
#include "convert/folder.h"
#include "formats/json.h"
#include "train/start.h"
#include <tubelet/hub.h>
#include <tubelet/train.h>

/* What the model card says of a run; val may be NULL. */
static inline tub__card tub__run_card(const tub_train_config *config, const tub_dataset_info *info,
                                      const tub_scores *val) {
    const bool started = tub__starts_from(config);
    return (tub__card){.data = info->name,
                       .licence = info->licence,
                       .recipe = started ? NULL : config->preset,
                       .start = !started ? NULL
                                : tub_hub_is_name(config->init_from)
                                    ? config->init_from
                                    : tub__path_name(config->init_from),
                       .val = val};
}

static inline void tub__run_put_scores(tub__json_writer *w, const char *key, const tub_scores *s) {
    tub__json_open_object(w, key);
    tub__json_put_real(w, "loss", s->loss);
    tub__json_put_real(w, "top1", s->top1);
    tub__json_put_real(w, "top5", s->top5);
    tub__json_put_real(w, "auc", s->auc);
    tub__json_close_object(w);
}

#endif
