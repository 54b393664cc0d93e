/* SPDX-License-Identifier: Apache-2.0 */
/* Classifies volumes from C: predict_from_c MODEL FILE
 *
 *   cc predict_from_c.c $(pkg-config --cflags --libs tubelet) -o predict_from_c
 *   ./predict_from_c runs/mine volume.npy
 *   ./predict_from_c runs/mine 'adrenalmnist3d.npz:test_images[0:5]'
 *
 * MODEL is a model folder or a run folder. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <tubelet/tubelet.h>

/* The most probable class. */
static int64_t largest(const float *probabilities, int64_t classes) {
    int64_t best = 0;
    for (int64_t k = 1; k < classes; k++) {
        if (probabilities[k] > probabilities[best]) {
            best = k;
        }
    }
    return best;
}

static bool fits(const tub_model_config *c, const tub_volumes *v) {
    return v->frames == c->frames && v->height == c->height && v->width == c->width &&
           v->channels == c->channels;
}

static tub_status classify(tub_model *model, const tub_volumes *volumes, tub_error *err) {
    int64_t classes = tub_model_describe(model)->classes;
    if (!fits(tub_model_describe(model), volumes)) {
        snprintf(err->message, sizeof err->message,
                 "the volumes have another shape than the model takes");
        return TUB_E_SHAPE;
    }
    const char *const *labels = tub_model_labels(model);
    float *logits = calloc((size_t)(2 * volumes->count * classes), sizeof *logits);
    if (logits == NULL) {
        snprintf(err->message, sizeof err->message, "out of memory");
        return TUB_E_MEMORY;
    }
    float *probabilities = logits + volumes->count * classes;
    tub_status status = tub_model_forward(model, volumes->count, volumes->dtype, volumes->data,
                                          logits, probabilities, err);
    for (int64_t i = 0; i < volumes->count && status == TUB_OK; i++) {
        const float *row = probabilities + i * classes;
        int64_t k = largest(row, classes);
        printf("volume %lld: class %lld%s%s, probability %.3f\n", (long long)(volumes->first + i),
               (long long)k, labels != NULL ? " " : "", labels != NULL ? labels[k] : "", row[k]);
    }
    free(logits);
    return status;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL FILE\n", argv[0]);
        return 2;
    }
    tub_context *ctx = NULL;
    tub_model *model = NULL;
    tub_volumes volumes = {0};
    tub_error err;

    tub_status status = tub_context_create(NULL, &ctx, &err);
    if (status == TUB_OK) {
        status = tub_model_open(ctx, argv[1], &model, &err);
    }
    if (status == TUB_OK) {
        /* What the model takes tells one volume with channels from a stack of volumes. */
        const tub_model_config *c = tub_model_describe(model);
        const int64_t want[4] = {c->frames, c->height, c->width, c->channels};
        status = tub_volumes_read(ctx, argv[2], want, &volumes, &err);
    }
    if (status == TUB_OK) {
        status = classify(model, &volumes, &err);
        tub_volumes_free(&volumes);
    }
    if (status != TUB_OK) {
        fprintf(stderr, "%s: %s\n", argv[0], err.message);
    }
    tub_model_close(model);
    tub_context_destroy(ctx);
    return status == TUB_OK ? 0 : 1;
}
