/* SPDX-License-Identifier: Apache-2.0 */
/* The augmenter: checks, its work space, and the way of one clip through plan, resampling, values and
 * mixing. */
#include "data/augment.h"

#include "base/error.h"
#include "base/wide.h"
#include "data/augment_mix.h"
#include "data/augment_resample.h"
#include "data/augment_values.h"
#include "data/dataset.h"
#include "data/sides.h"
#include <inttypes.h>
#include <string.h>

enum { T, H, W };

struct tub__augmenter {
    const tub_allocator *allocator;
    tub_augment_config config;
    tub__augment_sizes sizes;
    tub__key key;
    size_t elements;       /* of a clip */
    tub_dtype from, dtype; /* of samples and clips */
    bool volume;
    float *noise; /* NULL: none wanted */
};

/* ---- checks ---- */

static tub__augment_sizes sizes_of(const tub_dataset_info *data, const int64_t clip[3]) {
    tub__augment_sizes z = {
        .sample = {(size_t)data->frames, (size_t)data->height, (size_t)data->width},
        .clip = {(size_t)clip[T], (size_t)clip[H], (size_t)clip[W]},
        .channels = (size_t)data->channels};
    return z;
}

static tub_status check_sizes(const tub_dataset_info *data, const int64_t clip[3], tub_error *err) {
    static const char *const axis[] = {"frames", "height", "width"};
    const int64_t sample[] = {data->frames, data->height, data->width};
    for (int i = 0; i < TUB__AXES; i++) {
        if (clip[i] < 1 || clip[i] > sample[i]) {
            return tub__fail(err, TUB_E_SHAPE,
                             "%s: its samples have %s %" PRId64 ", and clips of %" PRId64
                             " can't be cut out of them",
                             data->name, axis[i], sample[i], clip[i]);
        }
    }
    const tub__augment_sizes z = sizes_of(data, clip);
    if (!tub__resample_fits(&z)) {
        return tub__fail(err, TUB_E_SHAPE,
                         "%s: its samples have about 2^31 numbers or more, too many to augment",
                         data->name);
    }
    return data->dtype == TUB_U8 || data->dtype == TUB_F32
               ? TUB_OK
               : tub__fail(err, TUB_E_ARGUMENT, "%s: only uint8 and float32 can be augmented",
                           data->name);
}

/* RandAugment has no flips. */
static tub_status check_sides(const tub_augment_config *c, const tub_dataset_info *data,
                              tub_error *err) {
    const char *key = c->flip_w > 0   ? "augment.flip_w"
                      : c->flip_h > 0 ? "augment.flip_h"
                      : c->flip_t > 0 ? "augment.flip_t"
                                      : NULL;
    const char *side = key != NULL ? tub__side_name(data->labels, data->classes, false) : NULL;
    return side == NULL
               ? TUB_OK
               : tub__fail(
                     err, TUB_E_ARGUMENT,
                     "%s can't be used on %s: its classes tell sides or directions ('%.60s'), "
                     "and a mirrored sample would have the wrong label; leave it out",
                     key, data->name, side);
}

static tub_status check_mixing(const tub_augment_config *c, const tub_dataset_info *data,
                               tub_error *err) {
    if (!tub__augment_mixes(c) || data->task == TUB_TASK_MULTI_CLASS) {
        return TUB_OK;
    }
    return tub__fail(err, TUB_E_ARGUMENT,
                     "%s is for one class a sample, and the labels of %s are %s; leave it out",
                     c->mixup > 0 ? "augment.mixup" : "augment.cutmix", data->name,
                     tub_task_name(data->task));
}

tub_status tub__augment_check(const tub_augment_config *config, const tub_dataset_info *data,
                              const int64_t clip[3], tub_error *err) {
    TUB__TRY(tub_augment_config_check(config, err));
    TUB__TRY(check_sizes(data, clip, err));
    TUB__TRY(check_sides(config, data, err));
    return check_mixing(config, data, err);
}

/* ---- making one ---- */

static size_t clip_elements(const tub__augment_sizes *z) {
    return z->clip[T] * z->clip[H] * z->clip[W] * z->channels;
}

tub_status tub__augmenter_create(const tub_allocator *a, const tub_augment_config *config,
                                 uint64_t seed, const tub_dataset_info *data, const int64_t clip[3],
                                 tub__augmenter **out, tub_error *err) {
    void *block;
    TUB__TRY(tub__augment_check(config, data, clip, err));
    TUB__TRY(tub__alloc_array(a, 1, sizeof(tub__augmenter), &block, err));
    tub__augmenter *m = block;
    m->allocator = a;
    m->config = *config;
    m->sizes = sizes_of(data, clip);
    m->key = tub__random_key(seed, TUB__RANDOM_AUGMENT);
    m->elements = clip_elements(&m->sizes);
    m->from = data->dtype;
    m->dtype = config->shape_intensity ? TUB_F32 : data->dtype;
    m->volume = config->volume != 0;
    if (config->noise[1] > 0 || config->rand_ops > 0) {
        const tub_status status =
            tub__alloc_array(a, TUB__NOISE_VALUES, sizeof *m->noise, &block, err);
        if (status != TUB_OK) {
            tub__augmenter_destroy(m);
            return status;
        }
        m->noise = block;
        tub__noise_table(m->noise);
    }
    *out = m;
    return TUB_OK;
}

void tub__augmenter_destroy(tub__augmenter *m) {
    if (m != NULL) {
        tub__free(m->allocator, m->noise);
        tub__free(m->allocator, m);
    }
}

tub_dtype tub__augmenter_dtype(const tub__augmenter *m) {
    return m->dtype;
}

size_t tub__augmenter_clip_bytes(const tub__augmenter *m) {
    return m->elements * tub__dtype_bytes(m->dtype);
}

bool tub__augmenter_mixes(const tub__augmenter *m) {
    return tub__augment_mixes(&m->config);
}

/* ---- the work space: what resampling needs, then clips as floats ----
 *
 * Two for the steps, which trade them; a third keeps the sample that another is mixed with. */

static size_t clip_room(size_t elements) {
    return tub__round_up(elements, 16);
}

static size_t scratch_bytes(const tub_augment_config *c, const tub__augment_sizes *z) {
    const size_t clips = tub__augment_mixes(c) ? 3 : 2;
    return (tub__resample_room(z, c->volume != 0) + clips * clip_room(clip_elements(z))) *
           sizeof(float);
}

size_t tub__augmenter_scratch(const tub__augmenter *m) {
    return scratch_bytes(&m->config, &m->sizes);
}

size_t tub__augment_scratch_of(const tub_augment_config *config, const tub_dataset_info *data,
                               const int64_t clip[3]) {
    const tub__augment_sizes z = sizes_of(data, clip);
    return scratch_bytes(config, &z);
}

/* ---- one clip ---- */

/* Values of uint8 are cut off at 0 and 255 and rounded to the nearest, halves up. */
TUB__LOOP floats_to_bytes_loop(const float *from, size_t n, unsigned char *out) {
    for (size_t i = 0; i < n; i++) {
        const float v = from[i] * 255.0f + 0.5f, low = v > 0.0f ? v : 0.0f;
        out[i] = (unsigned char)(int32_t)(low < 255.0f ? low : 255.0f);
    }
}
TUB__WIDE(floats_to_bytes, (const float *from, size_t n, unsigned char *out), (from, n, out))

static void store(const tub__augmenter *m, const float *clip, void *out) {
    if (m->dtype == TUB_F32) {
        memcpy(out, clip, m->elements * sizeof *clip);
    } else {
        floats_to_bytes(clip, m->elements, out);
    }
}

/* The clip as floats: somewhere in two clips' room. Returns where. */
static float *make_floats(const tub__augmenter *m, tub__augment_key key,
                          const tub__augment_plan *plan, float *work, float *room,
                          const void *sample) {
    tub__value_work k = {.sizes = &m->sizes,
                         .noise = m->noise,
                         .key = m->key,
                         .place = key,
                         .volume = m->volume,
                         .clip = room,
                         .spare = room + clip_room(m->elements),
                         .elements = m->elements};
    if (tub__resample_copies(plan, &m->sizes, m->volume)) {
        /* The spare clip has room for a clip of any type. */
        tub__resample_copy(plan, &m->sizes, m->volume, tub__dtype_bytes(m->from), sample, k.spare);
        tub__to_floats(m->from, k.spare, m->elements, k.clip);
    } else {
        tub__resample(plan, &m->sizes, m->volume, m->config.border, m->from, sample, work, k.clip);
    }
    tub__values_apply(plan, &k);
    return k.clip;
}

void tub__augment(const tub__augmenter *m, tub__augment_key key, void *scratch, const void *sample,
                  void *out) {
    tub__augment_plan plan;
    tub__augment_draw(&m->config, &m->sizes, m->key, key, &plan);
    if (plan.steps == 0 && m->from == m->dtype &&
        tub__resample_copies(&plan, &m->sizes, m->volume)) {
        tub__resample_copy(&plan, &m->sizes, m->volume, tub__dtype_bytes(m->from), sample, out);
        return;
    }
    float *work = scratch, *room = work + tub__resample_room(&m->sizes, m->volume);
    store(m, make_floats(m, key, &plan, work, room, sample), out);
}

/* ---- and with another of its batch ---- */

/* NULL: the sample is not there. */
static float *make_of_batch(const tub__augmenter *m, const tub__augment_batch *batch, size_t number,
                            float *work, float *room) {
    const tub__augment_key key = {batch->epoch, (uint32_t)(batch->start + number)};
    const void *sample = batch->sample(batch->user, number);
    tub__augment_plan plan;
    tub__augment_draw(&m->config, &m->sizes, m->key, key, &plan);
    return sample != NULL ? make_floats(m, key, &plan, work, room, sample) : NULL;
}

static bool make_alone(const tub__augmenter *m, const tub__augment_batch *batch, size_t number,
                       void *scratch, void *out) {
    const void *sample = batch->sample(batch->user, number);
    if (sample != NULL) {
        tub__augment(m, (tub__augment_key){batch->epoch, (uint32_t)(batch->start + number)},
                     scratch, sample, out);
    }
    return sample != NULL;
}

bool tub__augment_in_batch(const tub__augmenter *m, const tub__augment_batch *batch, size_t number,
                           void *scratch, void *out, tub__augment_mix *mix) {
    const tub__augment_key key = {batch->epoch, (uint32_t)(batch->start + number)};
    tub__mix_plan plan;
    tub__mix_draw(&m->config, &m->sizes, m->key, key, number, batch->whole, &plan);
    *mix = (tub__augment_mix){.partner = batch->index[number]};
    if (plan.kind == TUB__MIX_NONE) {
        return make_alone(m, batch, number, scratch, out);
    }
    const size_t length = clip_room(m->elements);
    float *work = scratch, *clips = work + tub__resample_room(&m->sizes, m->volume);
    const float *own = make_of_batch(m, batch, number, work, clips);
    if (own == NULL) {
        return false;
    }
    memcpy(clips + 2 * length, own, m->elements * sizeof *own);
    const float *other = make_of_batch(m, batch, plan.partner, work, clips);
    if (other == NULL) {
        return false;
    }
    tub__mix_apply(&plan, &m->sizes, clips + 2 * length, other);
    store(m, clips + 2 * length, out);
    mix->partner = batch->index[plan.partner];
    mix->share = plan.share;
    return true;
}
