/* SPDX-License-Identifier: Apache-2.0 */
/* Making one sample of a training. */
#include "data/sample_maker.h"

#include "base/error.h"

size_t tub__sample_bytes(const tub__sample_maker *m) {
    return m->augmenter != NULL ? tub__augmenter_clip_bytes(m->augmenter)
                                : tub__dataset_sample_bytes(tub_dataset_describe(m->data));
}

tub_dtype tub__sample_dtype(const tub__sample_maker *m) {
    return m->augmenter != NULL ? tub__augmenter_dtype(m->augmenter)
                                : tub_dataset_describe(m->data)->dtype;
}

/* Of a set in memory the augmenter reads where the samples lie. */
static size_t drawn_bytes(const tub__sample_maker *m) {
    const tub_dataset_info info = tub__dataset_source_info(m->data);
    return m->data->files != NULL ? tub__dataset_sample_bytes(&info) : 0;
}

size_t tub__sample_scratch_bytes(const tub__sample_maker *m) {
    return m->augmenter != NULL ? drawn_bytes(m) + tub__augmenter_scratch(m->augmenter) : 0;
}

static tub_status take_scratch(const tub__sample_maker *m, tub__sample_scratch *s, tub_error *err) {
    const tub_allocator *a = &m->data->ctx->allocator;
    if (s->augment == NULL) {
        TUB__TRY(tub__alloc(a, tub__augmenter_scratch(m->augmenter), &s->augment, err));
    }
    return m->data->files != NULL && s->drawn == NULL
               ? tub__alloc(a, drawn_bytes(m), &s->drawn, err)
               : TUB_OK;
}

/* A sample being made, for the augmenter to ask for it and for another of its batch. */
typedef struct making {
    const tub__sample_maker *maker;
    const tub__sample_key *key;
    const tub__sample_batch *batch;
    tub__sample_scratch *scratch;
    tub_status status;
    tub_error *err;
} making;

static tub_status draw(making *m, size_t number, const void **out) {
    const tub__sample_maker *by = m->maker;
    tub__source *source = &m->scratch->source;
    const tub__sample_key key = {m->key->seed, m->key->epoch,
                                 (uint32_t)(m->key->position - m->batch->number + number),
                                 m->batch->index[number]};
    TUB__TRY(tub__dataset_source(by->data, by->split, key.index, source, m->err));
    *out = source->samples;
    if (by->data->files == NULL) {
        return TUB_OK;
    }
    *out = m->scratch->drawn;
    return tub__source_frames(by->data, by->split, source, &key, m->scratch->drawn, m->err);
}

static const void *sample_of(void *user, size_t number) {
    making *m = user;
    const void *sample = NULL;
    m->status = draw(m, number, &sample);
    return m->status == TUB_OK ? sample : NULL;
}

tub_status tub__sample_make(const tub__sample_maker *m, const tub__sample_key *key,
                            const tub__sample_batch *batch, tub__sample_scratch *scratch, void *out,
                            tub__augment_mix *mix, tub_error *err) {
    *mix = (tub__augment_mix){.partner = key->index};
    if (m->instead != NULL) {
        return m->instead(m->user, key, out, err);
    }
    if (m->augmenter == NULL) {
        TUB__TRY(tub__dataset_source(m->data, m->split, key->index, &scratch->source, err));
        return tub__source_clip(m->data, m->split, &scratch->source, key, out, err);
    }
    TUB__TRY(take_scratch(m, scratch, err));
    making one = {m, key, batch, scratch, TUB_OK, err};
    const tub__augment_batch of = {.epoch = key->epoch,
                                   .start = key->position - batch->number,
                                   .whole = batch->whole,
                                   .index = batch->index,
                                   .sample = sample_of,
                                   .user = &one};
    (void)tub__augment_in_batch(m->augmenter, &of, batch->number, scratch->augment, out, mix);
    return one.status;
}

void tub__sample_scratch_free(const tub__sample_maker *m, tub__sample_scratch *s) {
    const tub_allocator *a = &m->data->ctx->allocator;
    tub__source_free(m->data, &s->source);
    tub__free(a, s->drawn);
    tub__free(a, s->augment);
    *s = (tub__sample_scratch){0};
}
