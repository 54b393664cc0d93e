/* SPDX-License-Identifier: Apache-2.0 */
/* prove_explain FOLDER [CLIPS [NETWORK]]: trains a small network of every kind on clips with a
 * planted cause (planted.h) and prints a Markdown table of how much of each method's map lies on
 * that cause. NETWORK: the one of that name alone. The exit code is 1 where a method that should
 * find it does not. For tools/acceptance explain. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "planted.h"

static const double LEAST = 3;

typedef struct network {
    const char *name;
    tub_family family;
    tub_variant variant;
    tub_pooling pooling;
    int64_t temporal_layers;
    int64_t epochs;
    double lr; /* at 3e-3 two class tokens in a row learn nothing */
    /* The last layer's attention must be on the cause: not of a mean, which takes every token, nor
     * of two transformers in a row, whose last layers multiplied know nothing of what earlier ones
     * have moved into the class token. */
    bool looks;
} network;

static const network networks[] = {
    {"joint, class token", TUB_FAMILY_VIVIT, TUB_VARIANT_JOINT, TUB_POOL_CLASS_TOKEN, 0, 5, 3e-3,
     true},
    {"joint, mean", TUB_FAMILY_VIVIT, TUB_VARIANT_JOINT, TUB_POOL_MEAN, 0, 5, 3e-3, false},
    {"joint, maximum", TUB_FAMILY_VIVIT, TUB_VARIANT_JOINT, TUB_POOL_MAX, 0, 5, 3e-3, false},
    {"factorised encoder, class tokens", TUB_FAMILY_VIVIT, TUB_VARIANT_FACTORISED_ENCODER,
     TUB_POOL_CLASS_TOKEN, 2, 20, 1e-3, false},
    {"factorised encoder, mean", TUB_FAMILY_VIVIT, TUB_VARIANT_FACTORISED_ENCODER, TUB_POOL_MEAN, 2,
     30, 3e-3, false},
    {"factorised self-attention, mean", TUB_FAMILY_VIVIT, TUB_VARIANT_FACTORISED_SELF_ATTENTION,
     TUB_POOL_MEAN, 0, 20, 3e-3, false},
    {"factorised dot-product, mean", TUB_FAMILY_VIVIT, TUB_VARIANT_FACTORISED_DOT_PRODUCT,
     TUB_POOL_MEAN, 0, 15, 3e-3, false},
    {"cnn-rnn", TUB_FAMILY_CNN_RNN, TUB_VARIANT_JOINT, TUB_POOL_MEAN, 0, 30, 3e-3, false},
    {"resnet3d18", TUB_FAMILY_RESNET3D18, TUB_VARIANT_JOINT, TUB_POOL_MEAN, 0, 6, 3e-3, false},
};
enum { NETWORKS = sizeof networks / sizeof *networks };

typedef struct proof {
    tub_context *ctx;
    const char *folder;
    char npz[1024];
    planted_set test;
    int clips;
    bool holds;
} proof;

static void stop(const tub_error *err) {
    fprintf(stderr, "prove_explain: %s\n", err->message);
    exit(2);
}

static tub_model *train(const proof *p, int number) {
    const network *n = &networks[number];
    tub_train_config c = planted_recipe(p->npz);
    tub_model *model = NULL;
    tub_error err;
    char run[1100];
    snprintf(run, sizeof run, "%s/run-%d", p->folder, number);
    c.model.family = n->family;
    c.model.variant = n->variant;
    c.model.pooling = n->pooling;
    c.model.temporal_layers = n->temporal_layers;
    if (n->family != TUB_FAMILY_VIVIT) {
        c.model.filters = 8, c.model.stages = 3, c.model.units = 32;
    }
    if (n->variant == TUB_VARIANT_FACTORISED_DOT_PRODUCT) {
        c.model.heads *=
            2; /* half of them are over space, half over time: as many of each as others have */
    }
    c.epochs = n->epochs;
    c.lr = n->lr;
    if (tub_train(p->ctx, &c, NULL, run, 0, NULL, &err) != TUB_OK ||
        tub_model_open(p->ctx, run, &model, &err) != TUB_OK) {
        stop(&err);
    }
    return model;
}

static double accuracy(const proof *p, tub_model *model) {
    static float out[PLANTED_TEST * PLANTED_CLASSES];
    tub_error err;
    double right = 0;
    if (tub_model_forward(model, PLANTED_TEST, TUB_U8, p->test.clips, NULL, out, &err) != TUB_OK) {
        stop(&err);
    }
    for (int i = 0; i < PLANTED_TEST; i++) {
        int best = 0;
        for (int k = 1; k < PLANTED_CLASSES; k++) {
            best = out[i * PLANTED_CLASSES + k] > out[i * PLANTED_CLASSES + best] ? k : best;
        }
        right += best == p->test.labels[i];
    }
    return right / PLANTED_TEST;
}

typedef struct figures {
    double times, least, deletion, insertion, apart;
} figures;

static figures measure(const proof *p, tub_model *model, tub_explain_method method) {
    figures f = {.least = INFINITY};
    tub_explain_options o = tub_explain_options_default();
    tub_error err;
    o.method = method;
    for (int i = 0; i < p->clips; i++) {
        const unsigned char *clip = p->test.clips + (size_t)i * PLANTED_VOXELS;
        tub_explanation e;
        tub_explain_curves curves;
        o.target = p->test.labels[i];
        if (tub_explain(model, &o, TUB_U8, clip, &e, &err) != TUB_OK ||
            tub_explanation_evaluate(model, &e, TUB_U8, clip, 0, TUB_BASELINE_DEFAULT, &curves,
                                     &err) != TUB_OK) {
            stop(&err);
        }
        const double times = planted_times(&p->test, i, &e), way = e.logit - e.baseline_logit;
        f.times += times / p->clips;
        f.least = fmin(f.least, times);
        f.deletion += curves.deletion_auc / p->clips;
        f.insertion += curves.insertion_auc / p->clips;
        f.apart = method == TUB_EXPLAIN_INTEGRATED_GRADIENTS
                      ? fmax(f.apart, fabs(e.sum - way) / fabs(way))
                      : 0;
        tub_explain_curves_free(&curves);
        tub_explanation_free(&e);
    }
    return f;
}

static void one(proof *p, int number) {
    const network *n = &networks[number];
    tub_model *model = train(p, number);
    const double right = accuracy(p, model);
    p->holds = p->holds && right >= 0.9;
    for (int m = 0; m < TUB_EXPLAIN_METHODS; m++) {
        tub_explain_options o = tub_explain_options_default();
        o.method = (tub_explain_method)m;
        if (tub_explain_check(model, &o, NULL) != TUB_OK) {
            continue;
        }
        const figures f = measure(p, model, o.method);
        const bool path = m == TUB_EXPLAIN_INTEGRATED_GRADIENTS,
                   must = m != TUB_EXPLAIN_ATTENTION || n->looks;
        char apart[32] = "";
        if (path) {
            snprintf(apart, sizeof apart, "%.2f %%", 100 * f.apart);
        }
        printf("| %s | %.1f %% | %s | %.1f%s | %.1f | %.3f | %.3f | %s |\n", n->name, 100 * right,
               tub_explain_method_name(o.method), f.times, must ? "" : " (not asked for)", f.least,
               f.deletion, f.insertion, apart);
        fflush(stdout);
        p->holds = p->holds && (!must || f.times >= LEAST) && f.apart <= 0.01;
    }
    tub_model_close(model);
}

int main(int argc, char **argv) {
    proof p = {.folder = argc > 1 ? argv[1] : NULL, .clips = 32, .holds = true};
    if (argc > 2) {
        p.clips = atoi(argv[2]);
    }
    const char *only = argc > 3 ? argv[3] : NULL;
    int count = 0;
    if (p.folder == NULL || p.clips < 1 || p.clips > PLANTED_TEST ||
        tub_context_create(NULL, &p.ctx, NULL) != TUB_OK) {
        fprintf(stderr, "usage: prove_explain FOLDER [CLIPS [NETWORK]]\n");
        return 2;
    }
    snprintf(p.npz, sizeof p.npz, "%s/planted.npz", p.folder);
    if (!planted_write(p.ctx, p.npz, &p.test)) {
        fprintf(stderr, "prove_explain: %s can't be made\n", p.npz);
        return 2;
    }
    printf("| network | right | method | times chance | of the worst clip | deletion | insertion | "
           "adds up within |\n"
           "| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for (int i = 0; i < NETWORKS; i++) {
        if (only == NULL || strcmp(only, networks[i].name) == 0) {
            one(&p, i);
            count++;
        }
    }
    planted_free(&p.test);
    tub_context_destroy(p.ctx);
    return p.holds && count > 0 ? 0 : 1;
}
