/* SPDX-License-Identifier: Apache-2.0 */
/* One clip as a model takes it: of a video, a folder of pictures or a scan as predicting takes
 * it, of an array the one volume that it has or names, or a sample of a data set. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explain_parts.h"
#include "predict_files.h"

void explain_clip_free(explain_clip *c) {
    if (c->volumes.owner != NULL) {
        tub_volumes_free(&c->volumes);
    } else if (c->sample == NULL) {
        tub_clip_free(&c->clip);
    }
    free(c->sample);
    free(c->prepared);
    *c = (explain_clip){0};
}

static tub_status fail(const char *file, tub_status status, const char *sentence, tub_error *err) {
    err->status = status;
    snprintf(err->message, sizeof err->message, "%.200s: %.300s", file, sentence);
    return status;
}

/* One volume as a file or data set has it. */
typedef struct volume {
    const char *name;
    tub_dtype dtype;
    int64_t shape[4]; /* T, H, W, C */
    const void *levels;
} volume;

/* A volume that the folder resizes or normalises is shown as the model gets it. */
static tub_status prepare(const tub_model *model, const volume *v, explain_clip *out,
                          tub_error *err) {
    const tub_model_config *c = tub_model_describe(model);
    out->prepared = calloc((size_t)(c->frames * c->height * c->width * c->channels), sizeof(float));
    if (out->prepared == NULL) {
        return fail(v->name, TUB_E_MEMORY, "out of memory", err);
    }
    out->dtype = TUB_F32;
    out->x = out->prepared;
    return tub_model_prepare(model, 1, v->shape, v->levels, out->prepared, err);
}

/* Sets all but where the volume lies. */
static tub_status take(const tub_model *model, const volume *v, explain_clip *out, tub_error *err) {
    const tub_model_config *c = tub_model_describe(model);
    tub_error plain;
    tub_status status = tub_model_accepts(model, v->dtype, v->shape, &plain);
    if (status != TUB_OK) {
        return fail(v->name, status, plain.message, err);
    }
    out->dtype = v->dtype;
    out->x = v->levels;
    if (v->dtype == TUB_U8 && tub_model_prepares(model)) {
        status = prepare(model, v, out, err);
    }
    out->volume = true;
    out->clip = (tub_clip){.frames = c->frames,
                           .height = c->height,
                           .width = c->width,
                           .channels = c->channels,
                           .dtype = out->dtype,
                           .samples = (void *)(uintptr_t)out->x};
    return status;
}

static tub_status read_volume(tub_context *ctx, const tub_model *model, const char *file,
                              explain_clip *out, tub_error *err) {
    const tub_model_config *c = tub_model_describe(model);
    const int64_t want[4] = {c->frames, c->height, c->width, c->channels};
    tub_volumes *v = &out->volumes;
    char sentence[200];
    const tub_status status = tub_volumes_read(ctx, file, want, v, err);
    if (status != TUB_OK) {
        *v = (tub_volumes){0};
        return status;
    }
    if (v->count != 1) {
        snprintf(sentence, sizeof sentence,
                 "it holds %lld volumes, and one is explained: name it, as in %s",
                 (long long)v->count, strchr(file, ':') != NULL ? "FILE.npz:MEMBER[5]" : "FILE[5]");
        return fail(file, TUB_E_SHAPE, sentence, err);
    }
    const volume one = {file, v->dtype, {v->frames, v->height, v->width, v->channels}, v->data};
    return take(model, &one, out, err);
}

static tub_status read_clip(tub_context *ctx, const tub_model *model, const char *file,
                            const tub_clip_read_options *options, explain_clip *out,
                            tub_error *err) {
    tub_clip_read_options o = *options;
    o.model = model;
    const tub_status status = tub_clip_read(ctx, file, &o, &out->clip, err);
    out->dtype = out->clip.dtype;
    out->x = out->clip.samples;
    out->volume = out->clip.seconds == NULL;
    return status;
}

tub_status explain_clip_read(tub_context *ctx, const tub_model *model, const char *file,
                             const tub_clip_read_options *options, bool sampled, explain_clip *out,
                             tub_error *err) {
    *out = (explain_clip){0};
    const tub_status status = predict_is_array(file) && !tub_model_takes_files(model) && !sampled
                                  ? read_volume(ctx, model, file, out, err)
                                  : read_clip(ctx, model, file, options, out, err);
    if (status != TUB_OK) {
        explain_clip_free(out);
    }
    return status;
}

/* Samples in files were resized and cropped when they were read; their levels are what the model
 * is shown. */
static tub_status take_file(const tub_dataset *data, tub_split split, int64_t sample,
                            explain_clip *out, tub_error *err) {
    const tub_dataset_info *i = tub_dataset_describe(data);
    tub_file file;
    const tub_status status =
        tub_dataset_file(data, tub_dataset_sample_file(data, split, sample), &file, err);
    if (status == TUB_OK) {
        out->dtype = i->dtype;
        out->x = out->sample;
        out->volume = file.rate <= 0;
        out->clip = (tub_clip){.frames = i->frames,
                               .height = i->height,
                               .width = i->width,
                               .channels = i->channels,
                               .dtype = i->dtype,
                               .samples = out->sample};
    }
    return status;
}

tub_status explain_clip_sample(const tub_model *model, const tub_dataset *data, tub_split split,
                               int64_t sample, explain_clip *out, tub_error *err) {
    const tub_dataset_info *i = tub_dataset_describe(data);
    const size_t voxels = (size_t)(i->frames * i->height * i->width * i->channels);
    *out = (explain_clip){.sample = calloc(voxels, i->dtype == TUB_U8 ? 1 : sizeof(float))};
    if (out->sample == NULL) {
        return fail(i->name, TUB_E_MEMORY, "out of memory", err);
    }
    tub_status status = tub_dataset_read(data, split, sample, 1, out->sample, err);
    if (status == TUB_OK && tub_dataset_samples(data, split) == NULL) {
        status = take_file(data, split, sample, out, err);
    } else if (status == TUB_OK) {
        const volume one = {
            i->name, i->dtype, {i->frames, i->height, i->width, i->channels}, out->sample};
        status = take(model, &one, out, err);
    }
    if (status != TUB_OK) {
        explain_clip_free(out);
    }
    return status;
}
