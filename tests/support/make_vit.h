/* SPDX-License-Identifier: Apache-2.0 */
/* Folders as transformers writes them of a ViT, with the arrays of a model of one frame; right, or with
 * one thing wrong. */
#ifndef TEST_MAKE_VIT_H
#define TEST_MAKE_VIT_H

#include "cmocka_all.h"
#include "convert/hf_names.h"
#include "formats/safetensors.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tubelet/tubelet.h>

typedef struct vit_maker {
    int spelling;        /* 0 to 3, as tub__vit_spellings has them */
    bool headless;       /* as ViTModel: a pooler in the classifier's place */
    const char *keys;    /* beginning of config.json after the brace, with a comma; NULL: nothing */
    const char *without; /* this array (by its name here) is left out */
    const char *broken;  /* this one has a NaN */
    const char *flat;    /* this one has all its numbers on one axis */
    const char *more;    /* and an array of this name, or NULL */
} vit_maker;

static inline void vit_config(const char *folder, const tub_model_config *c, const char *keys) {
    char path[1024];
    snprintf(path, sizeof path, "%s/config.json", folder);
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        abort();
    }
    fprintf(file,
            "{%s \"model_type\": \"vit\", \"image_size\": [%d, %d], \"patch_size\": [%d, %d], ",
            keys != NULL ? keys : "", (int)c->height, (int)c->width, (int)c->tubelet[1],
            (int)c->tubelet[2]);
    fprintf(file,
            "\"num_channels\": %d, \"hidden_size\": %d, \"num_hidden_layers\": %d, "
            "\"num_attention_heads\": %d, \"intermediate_size\": %d, \"hidden_act\": \"gelu\", "
            "\"layer_norm_eps\": %g, \"num_labels\": %d}",
            (int)c->channels, (int)c->hidden, (int)c->layers, (int)c->heads, (int)c->mlp,
            c->norm_epsilon, (int)c->classes);
    fclose(file);
}

static inline bool vit_is(const char *wanted, const char *name) {
    return wanted != NULL && strcmp(wanted, name) == 0;
}

/* The name that an array has in the folder, or false: it is not there. */
static inline bool vit_name(const vit_maker *m, const char *name, char out[TUB__HF_NAME_LIMIT]) {
    char names[TUB__HF_SPELLINGS][TUB__HF_NAME_LIMIT];
    const int count = tub__vit_spellings(name, names);
    /* Arrays outside the layers have no newer spelling, the classifier no prefix. */
    const int wanted = count == 4 ? m->spelling : count == 2 ? m->spelling / 2 : 0;
    strcpy(out, names[wanted]);
    return !vit_is(m->without, name) &&
           !(m->headless && strncmp(name, "classifier.", strlen("classifier.")) == 0);
}

/* The kernel of pictures has no time axis. */
static inline int vit_shape(const vit_maker *m, const tub_parameter *p, uint64_t shape[5]) {
    int rank = 0;
    for (int i = 0; i < p->rank; i++) {
        if (p->rank != 5 || i != 2) {
            shape[rank++] = (uint64_t)p->shape[i];
        }
    }
    if (vit_is(m->flat, p->name)) {
        shape[0] = (uint64_t)p->count;
        rank = 1;
    }
    return rank;
}

static inline void vit_declare(const vit_maker *m, const tub_model *model, tub__st_writer *w) {
    char name[TUB__HF_NAME_LIMIT];
    tub_error err = {0};
    const uint64_t some[1] = {3};
    for (int64_t i = 0; i < tub_model_parameters(model); i++) {
        tub_parameter p;
        uint64_t shape[5];
        assert_ok(tub_model_parameter(model, i, &p, &err), err);
        const int rank = vit_shape(m, &p, shape);
        if (vit_name(m, p.name, name)) {
            assert_ok(tub__st_declare(w, name, TUB__ST_F32, rank, shape, &err), err);
        }
    }
    if (m->headless) {
        assert_ok(tub__st_declare(w,
                                  m->spelling < 2 ? "vit.pooler.dense.bias" : "pooler.dense.bias",
                                  TUB__ST_F32, 1, some, &err),
                  err);
    }
    if (m->more != NULL) {
        assert_ok(tub__st_declare(w, m->more, TUB__ST_F32, 1, some, &err), err);
    }
}

static inline void make_vit(const char *folder, const tub_model *model, const vit_maker *m) {
    char path[1024], name[TUB__HF_NAME_LIMIT];
    const float some[3] = {1, 2, 3};
    tub__st_writer *w = NULL;
    tub_error err = {0};
    assert_ok(tub__folder_create(folder, &err), err);
    vit_config(folder, tub_model_describe(model), m->keys);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    assert_ok(tub__st_create(&tub__default_allocator, path, &w, &err), err);
    vit_declare(m, model, w);
    for (int64_t i = 0; i < tub_model_parameters(model); i++) {
        tub_parameter p;
        assert_ok(tub_model_parameter(model, i, &p, &err), err);
        float *values = malloc((size_t)p.count * sizeof *values);
        assert_ok(tub_model_get(model, i, values, &err), err);
        if (vit_is(m->broken, p.name)) {
            values[p.count / 2] = NAN;
        }
        if (vit_name(m, p.name, name)) {
            assert_ok(tub__st_write(w, values, (size_t)p.count * sizeof *values, &err), err);
        }
        free(values);
    }
    for (int i = m->headless + (m->more != NULL); i > 0; i--) {
        assert_ok(tub__st_write(w, some, sizeof some, &err), err);
    }
    assert_ok(tub__st_commit(w, &err), err);
}

#endif
