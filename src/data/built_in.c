/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the built-in sets, and filling a data set with one of them. */
#include "data/built_in.h"

#include "base/error.h"
#include "base/philox.h"
#include "data/dataset.h"
#include "data/motion.h"
#include "data/phantom3d.h"
#include <string.h>

static const tub__built_in *const sets[] = {&tub__phantom3d, &tub__motion};
enum { SETS = sizeof sets / sizeof *sets };

const char *tub_built_in_dataset(size_t index) {
    return index < SETS ? sets[index]->name : NULL;
}

const tub__built_in *tub__built_in_by_name(const char *name) {
    for (size_t i = 0; i < SETS; i++) {
        if (strcmp(name, sets[i]->name) == 0) {
            return sets[i];
        }
    }
    return NULL;
}

tub_status tub__built_in_classes(const tub__built_in *set, const tub_allocator *a, tub_split split,
                                 int32_t *out, tub_error *err) {
    size_t n = (size_t)set->count[split];
    void *order;
    TUB__TRY(tub__alloc_array(a, n, sizeof(uint32_t), &order, err));
    tub__permutation(set->seed, (uint32_t)split, n, order);
    for (size_t i = 0; i < n; i++) {
        out[i] = (int32_t)(((const uint32_t *)order)[i] % (uint32_t)set->classes);
    }
    tub__free(a, order);
    return TUB_OK;
}

/* Memory and classes of one split. */
static tub_status prepare_split(tub_dataset *data, const tub__built_in *set, tub_split split,
                                tub_error *err) {
    const tub_allocator *a = &data->ctx->allocator;
    size_t n = (size_t)set->count[split];
    void *labels;
    TUB__TRY(tub__alloc_array(a, n, sizeof(int32_t), &labels, err));
    data->labels[split] = labels;
    TUB__TRY(
        tub__alloc_array(a, n, tub__dataset_sample_bytes(&data->info), &data->block[split], err));
    data->samples[split] = data->block[split];
    data->info.count[split] = (int64_t)n;
    return tub__built_in_classes(set, a, split, data->labels[split], err);
}

tub_status tub__dataset_fill_built_in(tub_dataset *data, const tub__built_in *set, tub_error *err) {
    tub_dataset_info *info = &data->info;
    info->frames = set->frames;
    info->height = set->height;
    info->width = set->width;
    info->channels = 1;
    info->dtype = TUB_U8;
    info->classes = set->classes;
    info->task = TUB_TASK_MULTI_CLASS;
    info->label_columns = 1;
    info->labels = set->labels;
    info->licence = "Apache-2.0";
    for (int s = 0; s < TUB_SPLITS; s++) { /* all memory first: drawing can't fail */
        TUB__TRY(prepare_split(data, set, (tub_split)s, err));
    }
    void *scratch = NULL;
    if (set->scratch > 0) {
        TUB__TRY(tub__alloc(&data->ctx->allocator, set->scratch, &scratch, err));
    }
    size_t bytes = tub__dataset_sample_bytes(info);
    for (int s = 0; s < TUB_SPLITS; s++) {
        unsigned char *samples = data->samples[s];
        for (int64_t i = 0; i < info->count[s]; i++) {
            set->draw(scratch, (tub_split)s, (uint32_t)i, data->labels[s][i],
                      samples + (size_t)i * bytes);
        }
    }
    tub__free(&data->ctx->allocator, scratch);
    return TUB_OK;
}
