/* SPDX-License-Identifier: Apache-2.0 */
/* Samples as the model's folder wants them. */
#include "convert/prepare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "convert/preprocessor_json.h"

static const size_t JSON_LIMIT = (size_t)32 << 20;

/* ---- The folder ---- */

/* Nothing but what tub_model_forward does of itself. */
static bool is_plain(const tub__preprocessing *p) {
    return !p->resize && !p->crop && p->rescale && !p->offset && !p->normalize &&
           fabs(p->factor * 255.0 - 1.0) <= 1e-6;
}

/* An offset says that the model was trained on -1…1. Published files leave it out, which means true,
 * and ask for a normalisation on top, by which the input reaches from -3 to 1. */
static void warn_range(tub_context *ctx, const char *path, const tub__json *root,
                       const tub__preprocessing *p) {
    float low, high;
    tub__preprocessed_range(p, &low, &high);
    if (!p->rescale || !p->offset || !p->normalize || (low >= -1.001f && high <= 1.001f)) {
        return;
    }
    tub__log_line(ctx, TUB_LOG_WARNING,
                  "%s: offset%s moves pixels to -1 to 1, and image_mean and image_std move them to "
                  "%.3g to %.3g, which is what the model gets; if it was trained on -1 to 1, set "
                  "do_normalize to false",
                  path, tub__json_get(root, "offset") == NULL ? " (left out, it means true)" : "",
                  (double)low, (double)high);
}

static tub_status keep_rule(tub_model *model, const tub__clip_rule *rule, tub_error *err) {
    if (model->clip == NULL) {
        TUB__TRY(tub__alloc_array(&model->context->allocator, 1, sizeof *rule,
                                  (void **)&model->clip, err));
    }
    *model->clip = *rule;
    return TUB_OK;
}

static tub_status read_text(tub_model *model, const char *path, const tub__json *root,
                            tub_error *err) {
    tub__preprocessing p;
    tub__clip_rule rule = {.sampling = TUB_SAMPLING_DEFAULT};
    bool known;
    TUB__TRY(tub__preprocessing_from_json(root, &p, err));
    TUB__TRY(tub__clip_rule_from_json(root, &rule, &known, err));
    if (known) { /* the sizes are of files; samples of a data set have the model's */
        rule.picture = p;
        TUB__TRY(keep_rule(model, &rule, err));
        p.resize = p.crop = false;
    }
    if (is_plain(&p)) {
        return TUB_OK;
    }
    warn_range(model->context, path, root, &p);
    TUB__TRY(tub__alloc_array(&model->context->allocator, 1, sizeof p,
                              (void **)&model->preprocessing, err));
    *model->preprocessing = p;
    return TUB_OK;
}

static tub_status read_file(tub_model *model, const char *path, tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    tub__json *root = NULL;
    size_t size;
    TUB__TRY(tub__file_read(a, path, JSON_LIMIT, &model->preprocessor_text, &size, err));
    tub_status status = tub__json_parse(model->preprocessor_text, size, &root, err);
    if (status == TUB_OK) {
        status = read_text(model, path, root, err);
    }
    tub__json_free(root);
    if (status == TUB_OK || status == TUB_E_MEMORY) {
        return status;
    }
    /* What is wrong in a file is no argument of the caller's. */
    return tub__prefix(err, status == TUB_E_ARGUMENT ? TUB_E_FORMAT : status, "%s", path);
}

tub_status tub__model_read_preprocessing(tub_model *model, const char *folder, tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    char *path;
    TUB__TRY(tub__path_join(a, folder, TUB__PREPROCESSOR_FILE, &path, err));
    tub_status status = tub__file_exists(path) ? read_file(model, path, err) : TUB_OK;
    tub__free(a, path);
    return status;
}

tub_status tub__model_scale_signed(tub_model *model, tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    char *text;
    size_t size;
    TUB__TRY(tub__preprocessor_to_json(a, &model->config, true, NULL, &text, &size, err));
    tub_status status =
        tub__alloc_array(a, 1, sizeof *model->preprocessing, (void **)&model->preprocessing, err);
    if (status != TUB_OK) {
        tub__free(a, text);
        return status;
    }
    *model->preprocessing =
        (tub__preprocessing){.rescale = true, .factor = 1.0 / 127.5, .offset = true, .channels = 1};
    model->preprocessor_text = text;
    return TUB_OK;
}

tub_status tub__model_set_clip_rule(tub_model *model, const tub__clip_rule *rule, tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    const tub__preprocessing now = tub__model_preprocessing(model);
    char *text;
    size_t size;
    if (now.normalize) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "the model's samples are normalised, which a rule for clips would lose");
    }
    TUB__TRY(tub__preprocessor_to_json(a, &model->config, now.offset, rule, &text, &size, err));
    const tub_status status = keep_rule(model, rule, err);
    if (status != TUB_OK) {
        tub__free(a, text);
        return status;
    }
    if (model->preprocessing != NULL) {
        model->preprocessing->resize = model->preprocessing->crop = false;
    }
    tub__free(a, model->preprocessor_text);
    model->preprocessor_text = text;
    return TUB_OK;
}

tub__clip_rule tub__model_clip_rule(const tub_model *model) {
    return model->clip != NULL ? *model->clip
                               : (tub__clip_rule){.sampling = TUB_SAMPLING_DEFAULT,
                                                  .picture = tub__model_preprocessing(model)};
}

/* ---- Samples ---- */

int tub_model_prepares(const tub_model *model) {
    return model->preprocessing != NULL;
}

tub__preprocessing tub__model_preprocessing(const tub_model *model) {
    return model->preprocessing != NULL
               ? *model->preprocessing
               : (tub__preprocessing){.rescale = true,
                                      .factor = 1.0 / 255.0,
                                      .multiply = model->config.input_scale == TUB_SCALE_MULTIPLY,
                                      .channels = 1};
}

bool tub__model_takes_levels(const tub_model *model) {
    return model->preprocessing == NULL;
}

tub_status tub__model_scale(const tub_model *model, int64_t count, const unsigned char *samples,
                            float *out, tub_error *err) {
    const tub_model_config *c = &model->config;
    tub__preprocessing p = tub__model_preprocessing(model);
    p.resize = p.crop = false;
    return tub__preprocess(&model->context->allocator, &p, (size_t)(count * c->frames),
                           (const size_t[2]){(size_t)c->height, (size_t)c->width},
                           (size_t)c->channels, samples, out, err);
}

/* channels: nothing but their number is wrong. */
static tub_status misfit(const tub_model_config *c, const int64_t shape[4], bool channels,
                         tub_error *err) {
    char remedy[48] = "resample it first";
    if (channels && c->channels == 1) {
        snprintf(remedy, sizeof remedy, "make it grey");
    } else if (channels) {
        snprintf(remedy, sizeof remedy, "give it %lld channels", (long long)c->channels);
    }
    return tub__fail(err, TUB_E_SHAPE,
                     "a volume is [%lld,%lld,%lld,%lld], the model takes [%lld,%lld,%lld,%lld] "
                     "(T,H,W,C); %s",
                     (long long)shape[0], (long long)shape[1], (long long)shape[2],
                     (long long)shape[3], (long long)c->frames, (long long)c->height,
                     (long long)c->width, (long long)c->channels, remedy);
}

/* Frames of any size, prepared. */
static tub_status check_prepared(const tub_model *model, const int64_t shape[4], tub_error *err) {
    const tub_model_config *c = &model->config;
    const size_t from[2] = {(size_t)shape[1], (size_t)shape[2]};
    size_t made[2];
    if (shape[0] != c->frames) {
        return tub__fail(err, TUB_E_SHAPE,
                         "a clip has %lld frames, the model takes %lld: give it as many, at equal "
                         "distances",
                         (long long)shape[0], (long long)c->frames);
    }
    if (shape[3] != c->channels) {
        return misfit(c, shape, true, err);
    }
    TUB__TRY(tub__preprocessed_size(model->preprocessing, from, made, err));
    return made[0] == (size_t)c->height && made[1] == (size_t)c->width
               ? TUB_OK
               : tub__fail(err, TUB_E_SHAPE,
                           "%s of the model makes pictures of %zux%zu (height, width) of it, the "
                           "model takes %lldx%lld",
                           TUB__PREPROCESSOR_FILE, made[0], made[1], (long long)c->height,
                           (long long)c->width);
}

tub_status tub_model_accepts(const tub_model *model, tub_dtype dtype, const int64_t shape[4],
                             tub_error *err) {
    const tub_model_config *c = &model->config;
    for (int i = 0; i < 4; i++) {
        TUB__TRY(tub__in_range("an axis", shape[i], 1, INT32_MAX, err));
    }
    if (dtype == TUB_U8 && model->preprocessing != NULL) {
        return check_prepared(model, shape, err);
    }
    const bool size = shape[0] == c->frames && shape[1] == c->height && shape[2] == c->width;
    return size && shape[3] == c->channels ? TUB_OK : misfit(c, shape, size, err);
}

tub_status tub_model_prepare(const tub_model *model, int64_t count, const int64_t shape[4],
                             const unsigned char *samples, float *out, tub_error *err) {
    const tub__preprocessing p = tub__model_preprocessing(model);
    TUB__TRY(tub_model_accepts(model, TUB_U8, shape, err));
    /* Frames do not know of each other: clips are one long clip. */
    return tub__preprocess(&model->context->allocator, &p, (size_t)(count * shape[0]),
                           (const size_t[2]){(size_t)shape[1], (size_t)shape[2]}, (size_t)shape[3],
                           samples, out, err);
}
