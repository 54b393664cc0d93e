/* SPDX-License-Identifier: Apache-2.0 */
/* Clips as a model takes them, without a model: what reading needs. */
#include "base/error.h"
#include "predict/clips.h"

/* Voxels of a batch: what it takes of memory is a multiple of it, and small models need many clips at a
 * time to keep threads busy. */
enum { BATCH_LIMIT = 32, BATCH_VOXELS = 1 << 22 };

size_t tub__taking_elements(const tub__taking *t) {
    return (size_t)(t->frames * t->height * t->width * t->channels);
}

int64_t tub__taking_batch(const tub__taking *t) {
    const int64_t batch = BATCH_VOXELS / (int64_t)tub__taking_elements(t);
    return batch < 1 ? 1 : batch > BATCH_LIMIT ? BATCH_LIMIT : batch;
}

tub_status tub__taking_reader(const tub_allocator *a, const tub__taking *t, tub__clip_file *clip,
                              tub__clip_reader **out, tub_error *err) {
    int64_t shape[3];
    tub__clip_reader *r = NULL;
    TUB__TRY(tub__clip_reader_create(a, clip, &t->form, t->crops, &r, err));
    tub__clip_warn_far(clip);
    tub__clip_reader_shape(r, shape);
    if (shape[0] != t->height || shape[1] != t->width) {
        const bool sized = t->form.picture.resize || t->form.picture.crop;
        tub__clip_reader_destroy(r);
        return tub__fail(
            err, TUB_E_SHAPE,
            "%s: its frames are %lldx%lld (height, width)%s, the model takes %lldx%lld; "
            "%s",
            tub__clip_path(clip), (long long)shape[0], (long long)shape[1],
            sized ? " once they are prepared" : "", (long long)t->height, (long long)t->width,
            sized ? "preprocessor_config.json of the model does not fit it"
                  : "its preprocessor_config.json does not say how to resize them "
                    "(do_resize, do_center_crop)");
    }
    *out = r;
    return TUB_OK;
}
