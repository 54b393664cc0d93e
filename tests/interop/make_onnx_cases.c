/* SPDX-License-Identifier: Apache-2.0 */
/* make_onnx_cases FOLDER [PRESET]: ONNX files of every kind of model for real engines, each with
 * a batch of clips and what tubelet computes:
 * FOLDER/NAME/{model.onnx,clip.npy,logits.npy,probabilities.npy}. Of the first also two whose
 * model was given another GELU or another epsilon, which must not pass. With a preset, that one
 * alone, with fresh weights, in small clips: its arrays have their full size. */
#include <stdio.h>
#include <string.h>

#include "formats/npy.h"
#include "onnx_cases.h"

static const tub_allocator *const allocator = &tub__default_allocator;

static tub_status write_array(const char *folder, const char *name, const char *type, int rank,
                              const uint64_t *shape, const void *data, tub_error *err) {
    char path[600];
    snprintf(path, sizeof path, "%s/%s.npy", folder, name);
    return tub__npy_write(allocator, path, type, rank, shape, data, err);
}

static tub_status write_sample(const char *folder, const onnx_sample *s, tub_error *err) {
    const tub_model_config *c = &s->config;
    const uint64_t clip[] = {ONNX_SAMPLES, (uint64_t)c->frames, (uint64_t)c->height,
                             (uint64_t)c->width, (uint64_t)c->channels},
                   answers[] = {ONNX_SAMPLES, (uint64_t)c->classes};
    tub_status status = s->levels != NULL
                            ? write_array(folder, "clip", "|u1", 5, clip, s->levels, err)
                            : write_array(folder, "clip", "<f4", 5, clip, s->clips, err);
    if (status == TUB_OK) {
        status = write_array(folder, "logits", "<f4", 2, answers, s->logits, err);
    }
    return status == TUB_OK
               ? write_array(folder, "probabilities", "<f4", 2, answers, s->probabilities, err)
               : status;
}

/* A case with the file of a configuration, and the answers of the one that the case has. */
static tub_status make(tub_context *ctx, const char *root, const onnx_case *c, const char *name,
                       const tub_model_config *written, tub_error *err) {
    const tub_model_config config = onnx_case_config(c);
    char folder[400], model[500], file[500];
    onnx_sample sample = {0};
    snprintf(folder, sizeof folder, "%s/%s", root, name);
    snprintf(model, sizeof model, "%s/model", folder);
    tub_status status = onnx_case_make(ctx, c, &config, model, &sample, err);
    if (status == TUB_OK) {
        status = write_sample(folder, &sample, err);
    }
    onnx_sample_free(&sample);
    if (status == TUB_OK && written != NULL) {
        snprintf(model, sizeof model, "%s/changed", folder);
        status = onnx_case_make(ctx, c, written, model, NULL, err);
    }
    snprintf(file, sizeof file, "%s/model.onnx", folder);
    return status == TUB_OK ? onnx_case_convert(ctx, c, model, file, err) : status;
}

static tub_status make_all(tub_context *ctx, const char *root, tub_error *err) {
    tub_model_config gelu = onnx_case_config(&onnx_cases[0]), epsilon = gelu;
    tub_status status = TUB_OK;
    gelu.gelu = TUB_GELU_ERF;
    epsilon.norm_epsilon = 1e-5;
    for (size_t i = 0; i < onnx_case_count && status == TUB_OK; i++) {
        status = make(ctx, root, &onnx_cases[i], onnx_cases[i].name, NULL, err);
    }
    if (status == TUB_OK) {
        status = make(ctx, root, &onnx_cases[0], "wrong-gelu", &gelu, err);
    }
    return status == TUB_OK ? make(ctx, root, &onnx_cases[0], "wrong-epsilon", &epsilon, err)
                            : status;
}

/* 4 x 64 x 64: few tokens. */
static tub_status make_preset(tub_context *ctx, const char *root, const char *preset,
                              tub_error *err) {
    const onnx_case c = {.name = preset};
    tub_model_config config;
    onnx_sample sample = {0};
    char folder[400], model[500], file[500];
    snprintf(folder, sizeof folder, "%s/%s", root, preset);
    snprintf(model, sizeof model, "%s/model", folder);
    snprintf(file, sizeof file, "%s/model.onnx", folder);
    tub_status status = tub_model_preset(preset, &config, err);
    config.frames = 4;
    config.height = config.width = 64;
    if (status == TUB_OK) {
        status = onnx_case_make_fresh(ctx, &c, &config, model, &sample, err);
    }
    if (status == TUB_OK) {
        status = write_sample(folder, &sample, err);
    }
    onnx_sample_free(&sample);
    return status == TUB_OK ? onnx_case_convert(ctx, &c, model, file, err) : status;
}

int main(int argc, char **argv) {
    tub_context *ctx;
    tub_error err;
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: make_onnx_cases FOLDER [PRESET]\n");
        return 2;
    }
    if (tub_context_create(NULL, &ctx, &err) != TUB_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const tub_status status =
        argc == 2 ? make_all(ctx, argv[1], &err) : make_preset(ctx, argv[1], argv[2], &err);
    tub_context_destroy(ctx);
    if (status != TUB_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    return 0;
}
