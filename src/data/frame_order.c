/* SPDX-License-Identifier: Apache-2.0 */
/* The frames of a split's samples in another order: what a model makes of time shows in what changes
 * with it. */
#include "base/error.h"
#include "base/philox.h"
#include "data/dataset.h"
#include <string.h>

#define ORDERS ((int)TUB_FRAMES_REVERSED + 1)
static const char *const names[ORDERS] = {"original", "shuffled", "reversed"};

const char *tub_frame_order_name(tub_frame_order order) {
    return (int)order >= 0 && (int)order < ORDERS ? names[order] : "unknown";
}

tub_status tub_frame_order_parse(const char *text, tub_frame_order *out, tub_error *err) {
    for (int i = 0; i < ORDERS; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (tub_frame_order)i;
            return TUB_OK;
        }
    }
    return tub__fail(err, TUB_E_ARGUMENT,
                     "%s is no order of frames: choose original, shuffled or reversed", text);
}

/* Exchanges two frames; a frame has at least one byte. */
static void swap_frames(unsigned char *sample, size_t a, size_t b, unsigned char *spare,
                        size_t bytes) {
    if (a != b) {
        memcpy(spare, sample + a * bytes, bytes);
        memcpy(sample + a * bytes, sample + b * bytes, bytes);
        memcpy(sample + b * bytes, spare, bytes);
    }
}

static void reverse(unsigned char *sample, size_t frames, unsigned char *spare, size_t bytes) {
    for (size_t t = 0; t < frames / 2; t++) {
        swap_frames(sample, t, frames - 1 - t, spare, bytes);
    }
}

/* Fisher-Yates: every order with the same chance, the one that they came in included. */
static void shuffle(unsigned char *sample, size_t frames, tub__random *r, unsigned char *spare,
                    size_t bytes) {
    for (size_t t = frames; t > 1; t--) {
        swap_frames(sample, t - 1, tub__random_below(r, (uint32_t)t), spare, bytes);
    }
}

void tub__order_frames(const tub_dataset_info *info, tub_split split, size_t index,
                       tub_frame_order order, uint64_t seed, void *sample, void *spare) {
    const size_t frames = (size_t)info->frames, bytes = tub__dataset_sample_bytes(info) / frames;
    if (order == TUB_FRAMES_REVERSED) {
        reverse(sample, frames, spare, bytes);
    } else if (order == TUB_FRAMES_SHUFFLED) {
        tub__random r = tub__random_start(tub__random_key(seed, TUB__RANDOM_FRAMES),
                                          (uint32_t)index, (uint32_t)split, 0);
        shuffle(sample, frames, &r, spare, bytes);
    }
}

tub_status tub_dataset_order_frames(tub_dataset *data, tub_split split, tub_frame_order order,
                                    uint64_t seed, tub_error *err) {
    const tub_dataset_info *info = &data->info;
    if ((int)split < 0 || split >= TUB_SPLITS || (int)order < 0 || (int)order >= ORDERS) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "split %d, order %d: a split and an order of frames are needed",
                         (int)split, (int)order);
    }
    if (data->files != NULL) { /* at reading */
        data->frames[split].order = order;
        data->frames[split].seed = seed;
        return TUB_OK;
    }
    if (info->count[split] == 0 || order == TUB_FRAMES_ORIGINAL) {
        return TUB_OK;
    }
    const size_t bytes = tub__dataset_sample_bytes(info);
    void *spare;
    TUB__TRY(tub__alloc(&data->ctx->allocator, bytes / (size_t)info->frames, &spare, err));
    for (size_t i = 0; i < (size_t)info->count[split]; i++) {
        tub__order_frames(info, split, i, order, seed,
                          (unsigned char *)data->samples[split] + i * bytes, spare);
    }
    tub__free(&data->ctx->allocator, spare);
    return TUB_OK;
}
