/* SPDX-License-Identifier: Apache-2.0 */
/* The logits of ViViT-B/16x2 against transformers' in float64, with weights from the golden
 * folder's rule. Large: runs when asked for. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tubelet/tubelet.h>

#include "base/clock.h"
#include "base/context.h"
#include "base/file.h"
#include "formats/json.h"
#include "formats/npy.h"
#include "model/model.h"

enum { SKIPPED = 77 };
static const double LIMIT = 1e-5; /* of the largest logit: docs/numerics.md section 4 */
static const tub_allocator *const heap = &tub__default_allocator;

static void need(bool good, const char *what, const tub_error *err) {
    if (!good) {
        printf("failed: %s %s\n", what, err == NULL ? "" : err->message);
        exit(EXIT_FAILURE);
    }
}

static uint64_t splitmix64(uint64_t x) {
    uint64_t z = x + 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* One array of the rule; `u_sum` of the file tells whether the rule was followed. */
static void fill(const tub__json *array, uint64_t seed, float *out, size_t n) {
    int64_t t, scale, u_sum;
    double offset;
    uint64_t key = splitmix64(seed), sum = 0;
    need(tub__json_get_integer(array, "t", &t, NULL) == TUB_OK, "t", NULL);
    need(tub__json_get_integer(array, "log2_scale", &scale, NULL) == TUB_OK, "log2_scale", NULL);
    need(tub__json_get_integer(array, "u_sum", &u_sum, NULL) == TUB_OK, "u_sum", NULL);
    need(tub__json_get_real(array, "offset", &offset, NULL) == TUB_OK, "offset", NULL);
    for (size_t i = 0; i < n; i++) {
        uint64_t u = splitmix64(key ^ ((uint64_t)t << 32 | i)) >> 40;
        sum += u;
        out[i] = (float)(offset + ldexp((double)((int64_t)u - (1 << 23)) * 0x1p-23, (int)scale));
    }
    need(sum == (uint64_t)u_sum, "the weight rule", NULL);
}

static const tub__json *array_named(const tub__json *arrays, const char *name) {
    for (size_t i = 0; i < tub__json_size(arrays); i++) {
        const char *text;
        need(tub__json_get_text(tub__json_at(arrays, i), "name", &text, NULL) == TUB_OK, "name",
             NULL);
        if (strcmp(text, name) == 0) {
            return tub__json_at(arrays, i);
        }
    }
    return NULL;
}

static void fill_model(tub_model *model, const tub__json *root, uint64_t seed) {
    const tub__json *arrays = tub__json_get(root, "tensors");
    tub_error err = {0};
    need(tub_model_parameters(model) == (int64_t)tub__json_size(arrays), "number of arrays", NULL);
    for (int64_t i = 0; i < tub_model_parameters(model); i++) {
        tub_parameter p;
        need(tub_model_parameter(model, i, &p, &err) == TUB_OK, "parameter", &err);
        const tub__json *array = array_named(arrays, p.name);
        need(array != NULL, p.name, NULL);
        float *values = malloc((size_t)p.count * sizeof *values);
        fill(array, seed, values, (size_t)p.count);
        need(tub_model_set(model, i, values, &err) == TUB_OK, "set", &err);
        free(values);
    }
}

/* The rule's input is [T,C,H,W]; the model takes [T,H,W,C]. */
static float *make_input(const tub_model_config *c, const tub__json *root, uint64_t seed) {
    size_t pixels = (size_t)(c->height * c->width), channels = (size_t)c->channels,
           frames = (size_t)c->frames;
    size_t n = frames * channels * pixels;
    float *in = malloc(n * sizeof *in), *out = malloc(n * sizeof *out);
    fill(tub__json_get(root, "input"), seed, in, n);
    for (size_t t = 0; t < frames; t++) {
        for (size_t k = 0; k < channels; k++) {
            for (size_t i = 0; i < pixels; i++) {
                out[(t * pixels + i) * channels + k] = in[(t * channels + k) * pixels + i];
            }
        }
    }
    free(in);
    return out;
}

static double compare(const float *logits) {
    tub__npz *z = NULL;
    void *bytes;
    tub__npy npy;
    tub_error err = {0};
    double truth[400], worst = 0.0, largest = 0.0;
    need(tub__npz_open(heap, SHARED "/golden/hf/vit_b/forward.npz", &z, &err) == TUB_OK,
         "forward.npz", &err);
    need(tub__npz_read(z, "logits_f64", 1 << 20, &bytes, &npy, &err) == TUB_OK &&
             npy.elements == 400,
         "logits", &err);
    need(tub__npy_to_f64(&npy, bytes, truth, &err) == TUB_OK, "logits", &err);
    for (int i = 0; i < 400; i++) {
        double d = fabs((double)logits[i] - truth[i]);
        worst = d > worst || d != d ? d : worst;
        largest = fabs(truth[i]) > largest ? fabs(truth[i]) : largest;
    }
    tub__free(heap, bytes);
    tub__npz_close(z);
    return worst / largest;
}

int main(void) {
    static const char path[] = SHARED "/golden/hf/vit_b/tensors.json";
    tub_model_config config;
    tub_context *ctx = NULL;
    tub_model *model = NULL;
    tub_error err = {0};
    tub__json *root;
    float logits[400];
    int64_t seed;
    if (getenv("TUBELET_LARGE") == NULL || !tub__file_exists(path)) {
        printf("skipped: needs TUBELET_LARGE=1, %s, 1 GiB of memory and half a minute\n", path);
        return SKIPPED;
    }
    need(tub__json_load(heap, path, 1 << 20, &root, &err) == TUB_OK, "tensors.json", &err);
    need(tub__json_get_integer(root, "seed", &seed, &err) == TUB_OK, "seed", &err);
    need(tub_context_create(NULL, &ctx, &err) == TUB_OK, "context", &err);
    need(tub_model_preset("vivit-b", &config, &err) == TUB_OK, "preset", &err);
    need(tub__model_create_empty(ctx, ctx->backend, &config, &model, &err) == TUB_OK, "model",
         &err);
    fill_model(model, root, (uint64_t)seed);
    float *x = make_input(&config, root, (uint64_t)seed);
    double start = tub__seconds();
    need(tub_model_forward(model, 1, TUB_F32, x, logits, NULL, &err) == TUB_OK, "forward", &err);
    double seconds = tub__seconds() - start, distance = compare(logits);
    printf("ViViT-B: logits within %.2g of the largest, allowed %.2g; %.1f s\n", distance, LIMIT,
           seconds);
    logits[7] += 1e-4f; /* the comparison must see a wrong logit */
    need(compare(logits) > LIMIT, "the negative control", NULL);
    free(x);
    tub_model_close(model);
    tub_context_destroy(ctx);
    tub__json_free(root);
    return distance <= LIMIT ? EXIT_SUCCESS : EXIT_FAILURE;
}
