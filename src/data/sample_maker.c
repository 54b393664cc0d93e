/* SPDX-License-Identifier: Apache-2.0 */
/* Making one sample of a training. */
#include "data/sample_maker.h"

#include "base/error.h"

size_t tub__sample_bytes(const tub__sample_maker *maker) {
    return tub__dataset_sample_bytes(tub_dataset_describe(maker->data));
}

tub_status tub__sample_make(const tub__sample_maker *m, const tub__sample_key *key,
                            const tub__sample_batch *batch, tub__sample_scratch *scratch, void *out,
                            tub_error *err) {
    (void)batch; /* nothing is mixed */
    if (m->instead != NULL) {
        return m->instead(m->user, key, out, err);
    }
    TUB__TRY(tub__dataset_source(m->data, m->split, key->index, &scratch->source, err));
    return tub__source_clip(m->data, m->split, &scratch->source, key, out, err);
}

void tub__sample_scratch_free(const tub__sample_maker *m, tub__sample_scratch *scratch) {
    tub__source_free(m->data, &scratch->source);
}
