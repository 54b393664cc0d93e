/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays in memory as clips: .npy, a member of a .npz, and NIfTI volumes. */
#include "base/error.h"
#include "base/file.h"
#include "data/clip_kind.h"
#include "data/dataset.h"
#include "data/volumes.h"
#include <string.h>

static const uint64_t VOLUME_LIMIT = (uint64_t)8 << 30; /* bytes; more is taken for a bomb */

typedef struct array_clip {
    tub__clip_file base;
    void *samples;  /* [frames,height,width,channels] */
    size_t element; /* bytes of one of them */
} array_clip;

static tub_status next_slice(tub__clip_file *clip, bool samples, tub__clip_frame *out, bool *end,
                             tub_error *err) {
    const array_clip *v = (const array_clip *)clip;
    const tub__clip_facts *f = &clip->facts;
    const size_t slice = (size_t)(f->height * f->width * f->channels) * v->element;
    (void)err;
    *end = clip->position >= f->frames;
    if (!*end && samples) {
        out->samples = (const char *)v->samples + (size_t)clip->position * slice;
    }
    return TUB_OK;
}

static tub_status seek_slice(tub__clip_file *clip, int64_t index, tub_error *err) {
    (void)err;
    clip->position = index;
    return TUB_OK;
}

static void warn_far(const tub__clip_file *clip) {
    const tub__clip_facts *f = &clip->facts;
    tub__warn_far_floats(clip->context, clip->path, "it has", ((const array_clip *)clip)->samples,
                         (size_t)(f->frames * f->height * f->width * f->channels));
}

static void close_array(tub__clip_file *clip) {
    tub__free(&clip->context->allocator, ((array_clip *)clip)->samples);
}

static const tub__clip_operations operations = {
    .next = next_slice, .seek = seek_slice, .warn_far = warn_far, .close = close_array};

static tub_status create(tub_context *ctx, tub__clip_kind kind, array_clip **out, tub_error *err) {
    TUB__TRY(tub__alloc_array(&ctx->allocator, 1, sizeof **out, (void **)out, err));
    **out = (array_clip){.base = {.operations = &operations, .context = ctx}};
    (*out)->base.facts = (tub__clip_facts){
        .kind = kind, .frames_exact = true, .rate_denominator = 1, .time_base_denominator = 1};
    return TUB_OK;
}

/* Several volumes, all of an array or a slice of it. */
static tub_status fail_stack(const char *argument, const tub_volumes *v, tub_error *err) {
    const char *name = tub__path_name(argument);
    const char *slice = strrchr(name, '[');
    const size_t length =
        slice != NULL && name[strlen(name) - 1] == ']' ? (size_t)(slice - name) : strlen(name);
    return tub__fail(err, TUB_E_SHAPE, "%s: a stack of %lld clips; name one, as in %.*s[%lld]",
                     argument, (long long)v->count, (int)length, name, (long long)v->first);
}

tub_status tub__clip_open_array(tub_context *ctx, const char *argument, bool intensities,
                                tub__clip_file **out, tub_error *err) {
    tub_volumes v;
    array_clip *clip = NULL;
    TUB__TRY(tub__volumes_read(ctx, argument, NULL, intensities, &v, err));
    tub_status status = TUB_OK;
    if (v.count != 1) {
        status = fail_stack(argument, &v, err);
    }
    if (status == TUB_OK) {
        status = create(ctx, TUB__CLIP_ARRAY, &clip, err);
    }
    if (status == TUB_OK) {
        clip->base.facts.dtype = v.dtype;
        clip->base.facts.frames = v.frames;
        clip->base.facts.height = v.height;
        clip->base.facts.width = v.width;
        clip->base.facts.channels = v.channels;
        clip->samples = v.data;
        clip->element = tub__dtype_bytes(v.dtype);
        v.data = NULL;
        *out = &clip->base;
    }
    tub_volumes_free(&v);
    return status;
}

/* Takes memory for the volume that the module has opened, and fills it. */
static tub_status read_volume(tub_context *ctx, const tub__nifti_module *module, tub__nifti *file,
                              const tub__nifti_facts *facts, array_clip *clip, tub_error *err) {
    clip->element = facts->floats ? sizeof(float) : 1;
    const size_t size = (size_t)(facts->frames * facts->height * facts->width) * clip->element;
    TUB__TRY(tub__alloc(&ctx->allocator, size, &clip->samples, err));
    clip->base.facts.dtype = facts->floats ? TUB_F32 : TUB_U8;
    clip->base.facts.frames = facts->frames;
    clip->base.facts.height = facts->height;
    clip->base.facts.width = facts->width;
    clip->base.facts.channels = 1;
    return module->read(file, clip->samples, err);
}

tub_status tub__clip_open_volume(tub_context *ctx, const char *path, tub__clip_file **out,
                                 tub_error *err) {
    const void *table;
    tub__nifti *file;
    tub__nifti_facts facts;
    array_clip *clip;
    TUB__TRY(tub__module_open(ctx, "nifti", &table, err));
    const tub__nifti_module *module = table;
    TUB__TRY(create(ctx, TUB__CLIP_VOLUME, &clip, err));
    tub_status status = module->open(path, VOLUME_LIMIT, &file, &facts, err);
    if (status == TUB_OK) {
        status = read_volume(ctx, module, file, &facts, clip, err);
        module->close(file);
    }
    if (status != TUB_OK) {
        close_array(&clip->base);
        tub__free(&ctx->allocator, clip);
        return status;
    }
    *out = &clip->base;
    return TUB_OK;
}
