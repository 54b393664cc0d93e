/* SPDX-License-Identifier: Apache-2.0 */
/* Reading samples of a data set, wherever they lie: copied from memory, or made from their files. */
#include "base/error.h"
#include "data/dataset.h"
#include "data/file_kept.h"
#include <string.h>

static const unsigned char *in_memory(const tub_dataset *data, tub_split split, size_t index) {
    return (const unsigned char *)data->samples[split] +
           index * tub__dataset_sample_bytes(&data->info);
}

/* A clip of a file, with its frames in the order that was asked for. */
static tub_status read_file(const tub_dataset *data, tub_split split, size_t index, void *out,
                            tub_error *err) {
    const tub_allocator *a = &data->ctx->allocator;
    const tub_frame_order order = data->frames[split].order;
    void *spare;
    TUB__TRY(tub__file_set_clip(data->files, split, index, out, err));
    if (order == TUB_FRAMES_ORIGINAL) {
        return TUB_OK;
    }
    TUB__TRY(tub__alloc(a, tub__dataset_sample_bytes(&data->info) / (size_t)data->info.frames,
                        &spare, err));
    tub__order_frames(&data->info, split, index, order, data->frames[split].seed, out, spare);
    tub__free(a, spare);
    return TUB_OK;
}

tub_status tub__dataset_read(const tub_dataset *data, tub_split split, const uint32_t *index,
                             size_t first, size_t count, void *out, tub_error *err) {
    const size_t bytes = tub__dataset_sample_bytes(&data->info);
    for (size_t i = 0; data->files != NULL && i < count; i++) {
        TUB__TRY(read_file(data, split, index != NULL ? index[i] : first + i,
                           (unsigned char *)out + i * bytes, err));
    }
    if (data->files != NULL) {
        return TUB_OK;
    }
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
    if (data->files != NULL) {
        return tub__file_set_source(data->files, split, index, source, err);
    }
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

tub_dataset_info tub__dataset_source_info(const tub_dataset *data) {
    tub_dataset_info info = data->info;
    if (data->files != NULL) {
        int64_t size[2];
        tub__file_set_source_size(data->files, size);
        info.height = size[0];
        info.width = size[1];
    }
    return info;
}

tub_status tub__source_frames(const tub_dataset *data, tub_split split, const tub__source *source,
                              const tub__sample_key *key, void *out, tub_error *err) {
    int64_t size[2];
    tub__file_set_source_size(data->files, size);
    return tub__file_set_draw(data->files, split, source, key, size, out, err);
}

tub_status tub__source_clip(const tub_dataset *data, tub_split split, const tub__source *source,
                            const tub__sample_key *key, void *out, tub_error *err) {
    if (data->files != NULL) {
        return tub__file_set_draw(data->files, split, source, key,
                                  (const int64_t[]){data->info.height, data->info.width}, out, err);
    }
    memcpy(out, source->samples, tub__dataset_sample_bytes(&data->info));
    return TUB_OK;
}

tub_status tub__dataset_prepare(const tub_dataset *data, tub_split split, bool training,
                                tub_error *err) {
    return data->files == NULL || data->info.count[split] == 0
               ? TUB_OK
               : tub__file_set_prepare(data->files, data->name, split, training, err);
}

void tub__dataset_tell(const tub_dataset *data) {
    if (data->files != NULL) {
        tub__file_kept_tell(data->files->kept);
        tub__file_set_tell_met(data->files);
    }
}
