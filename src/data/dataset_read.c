/* SPDX-License-Identifier: Apache-2.0 */
/* Reading samples of a data set, wherever they lie: copied from memory, or made from their files. */
#include "base/error.h"
#include "data/dataset.h"
#include <string.h>

static const unsigned char *in_memory(const tub_dataset *data, tub_split split, size_t index) {
    return (const unsigned char *)data->samples[split] +
           index * tub__dataset_sample_bytes(&data->info);
}

tub_status tub__dataset_read(const tub_dataset *data, tub_split split, const uint32_t *index,
                             size_t first, size_t count, void *out, tub_error *err) {
    (void)err;
    const size_t bytes = tub__dataset_sample_bytes(&data->info);
    if (index == NULL) {
        memcpy(out, in_memory(data, split, first), count * bytes);
        return TUB_OK;
    }
    for (size_t i = 0; i < count; i++) {
        memcpy((unsigned char *)out + i * bytes, in_memory(data, split, index[i]), bytes);
    }
    return TUB_OK;
}

size_t tub__dataset_view_room(const tub_dataset *data, size_t count) {
    return data->files == NULL ? 0 : count * tub__dataset_sample_bytes(&data->info);
}

tub_status tub__dataset_view(const tub_dataset *data, tub_split split, size_t first, size_t count,
                             void *room, const void **out, tub_error *err) {
    if (data->files == NULL) {
        *out = in_memory(data, split, first);
        return TUB_OK;
    }
    *out = room;
    return tub__dataset_read(data, split, NULL, first, count, room, err);
}

tub_status tub_dataset_read(const tub_dataset *data, tub_split split, int64_t first, int64_t count,
                            void *out, tub_error *err) {
    if ((int)split < 0 || split >= TUB_SPLITS || first < 0 || count < 0 ||
        first > data->info.count[split] - count) {
        return tub__fail(err, TUB_E_ARGUMENT, "samples %lld to %lld of split %d: there are no such",
                         (long long)first, (long long)first + (long long)count - 1, (int)split);
    }
    return tub__dataset_read(data, split, NULL, (size_t)first, (size_t)count, out, err);
}

tub_status tub__dataset_source(const tub_dataset *data, tub_split split, size_t index,
                               tub__source *source, tub_error *err) {
    const tub_dataset_info *info = &data->info;
    (void)err;
    source->samples = in_memory(data, split, index);
    source->frames = info->frames;
    source->height = info->height;
    source->width = info->width;
    source->channels = info->channels;
    source->dtype = info->dtype;
    return TUB_OK;
}

void tub__source_free(const tub_dataset *data, tub__source *source) {
    tub__free(&data->ctx->allocator, source->room);
    *source = (tub__source){0};
}

void tub__source_clip(const tub_dataset *data, const tub__source *source,
                      const tub__sample_key *key, void *out) {
    (void)key;
    memcpy(out, source->samples, tub__dataset_sample_bytes(&data->info));
}
