/* SPDX-License-Identifier: Apache-2.0 */
/* Clips whose class has one cause, in a known place and at a known time: those of the generated set
 * motion, with stripes planted into a box of each. The stripes move up, down, left or right, and
 * nothing else in the clip depends on that. The box is one of the 4 x 4 x 4 boxes of 4 x 7 x 7
 * voxels, drawn anew for each clip. */
#ifndef TEST_PLANTED_H
#define TEST_PLANTED_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tubelet/tubelet.h>

#include "make_npz.h"

enum {
    PLANTED_FRAMES = 16,
    PLANTED_SIDE = 28,
    PLANTED_VOXELS = PLANTED_FRAMES * PLANTED_SIDE * PLANTED_SIDE,
    PLANTED_CLASSES = 4,
    PLANTED_TRAIN = 1536,
    PLANTED_VAL = 64,
    PLANTED_TEST = 64
};
static const int64_t planted_box[3] = {4, 7, 7};

typedef struct planted_set {
    int64_t count;
    unsigned char *clips;  /* [count, voxels] */
    unsigned char *labels; /* [count, 1] */
    int32_t *places;       /* [count, 3]: where the box begins, frame, row, column */
} planted_set;

static inline uint32_t planted_random(uint64_t *state, uint32_t below) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33) % below;
}

/* Stripes two voxels wide that move by one voxel a frame. */
static inline int planted_level(int label, int t, int h, int w) {
    const int along = label < 2 ? h : w, phase = label % 2 == 0 ? along + t : along - t;
    return (phase & 3) < 2 ? 240 : 15;
}

static inline void planted_draw(unsigned char *clip, int label, const int32_t place[3]) {
    for (int t = 0; t < planted_box[0]; t++) {
        for (int h = 0; h < planted_box[1]; h++) {
            for (int w = 0; w < planted_box[2]; w++) {
                unsigned char *v = clip +
                                   ((place[0] + t) * PLANTED_SIDE + place[1] + h) * PLANTED_SIDE +
                                   place[2] + w;
                *v = (unsigned char)planted_level(label, t, h, w);
            }
        }
    }
}

/* The first clips of a split of motion. False: no memory. */
static inline bool planted_make(const tub_dataset *motion, tub_split split, int64_t count,
                                planted_set *out) {
    uint64_t random = 1234567 + (uint64_t)split;
    *out = (planted_set){count, malloc((size_t)count * PLANTED_VOXELS), malloc((size_t)count),
                         malloc((size_t)count * 3 * sizeof *out->places)};
    if (out->clips == NULL || out->labels == NULL || out->places == NULL) {
        return false;
    }
    memcpy(out->clips, tub_dataset_samples(motion, split), (size_t)count * PLANTED_VOXELS);
    for (int64_t i = 0; i < count; i++) {
        out->labels[i] = (unsigned char)planted_random(&random, PLANTED_CLASSES);
        for (int k = 0; k < 3; k++) {
            out->places[3 * i + k] = (int32_t)(planted_random(&random, 4) * planted_box[k]);
        }
        planted_draw(out->clips + i * PLANTED_VOXELS, out->labels[i], out->places + 3 * i);
    }
    return true;
}

static inline void planted_free(planted_set *s) {
    free(s->clips);
    free(s->labels);
    free(s->places);
}

/* A set of files with MedMNIST's keys. False: it could not be made. test: what its test split has,
 * freed by planted_free. */
static inline bool planted_write(tub_context *ctx, const char *npz, planted_set *test) {
    static const int64_t counts[TUB_SPLITS] = {PLANTED_TRAIN, PLANTED_VAL, PLANTED_TEST};
    static const char *const names[TUB_SPLITS][2] = {{"train_images", "train_labels"},
                                                     {"val_images", "val_labels"},
                                                     {"test_images", "test_labels"}};
    test_array arrays[2 * TUB_SPLITS + 1] = {{0}};
    planted_set sets[TUB_SPLITS] = {{0}};
    tub_dataset *motion = NULL;
    bool made = tub_dataset_open(ctx, "motion", NULL, &motion, NULL) == TUB_OK;
    for (int s = 0; s < TUB_SPLITS && made; s++) {
        made = planted_make(motion, (tub_split)s, counts[s], &sets[s]);
        arrays[2 * s] =
            (test_array){.name = names[s][0],
                         .type = "|u1",
                         .rank = 4,
                         .shape = {(uint64_t)counts[s], PLANTED_FRAMES, PLANTED_SIDE, PLANTED_SIDE},
                         .data = sets[s].clips};
        arrays[2 * s + 1] = (test_array){.name = names[s][1],
                                         .type = "|u1",
                                         .rank = 2,
                                         .shape = {(uint64_t)counts[s], 1},
                                         .data = sets[s].labels};
    }
    made = made && make_npz(npz, arrays) == 0;
    tub_dataset_close(motion);
    planted_free(&sets[TUB_TRAIN]);
    planted_free(&sets[TUB_VAL]);
    *test = sets[TUB_TEST];
    return made;
}

enum { PLANTED_BOXES = 64 };

/* How much of what is above zero in a map lies in each of the boxes; returns the number of the
 * planted one. */
static inline int planted_masses(const planted_set *s, int64_t clip, const tub_explanation *e,
                                 double masses[PLANTED_BOXES]) {
    const int32_t *place = s->places + 3 * clip;
    memset(masses, 0, PLANTED_BOXES * sizeof *masses);
    for (int i = 0; i < PLANTED_VOXELS; i++) {
        const int64_t t = i / PLANTED_SIDE / PLANTED_SIDE / planted_box[0],
                      h = i / PLANTED_SIDE % PLANTED_SIDE / planted_box[1],
                      w = i % PLANTED_SIDE / planted_box[2];
        masses[(t * 4 + h) * 4 + w] += e->map[i] > 0 ? (double)e->map[i] : 0;
    }
    return (int)((place[0] / planted_box[0] * 4 + place[1] / planted_box[1]) * 4 +
                 place[2] / planted_box[2]);
}

/* Share of what is above zero in a map that lies in the box, times the number of boxes: 1 by
 * chance. */
static inline double planted_times(const planted_set *s, int64_t clip, const tub_explanation *e) {
    double masses[PLANTED_BOXES], all = 0;
    const int planted = planted_masses(s, clip, e, masses);
    for (int i = 0; i < PLANTED_BOXES; i++) {
        all += masses[i];
    }
    return all > 0 ? masses[planted] / all * PLANTED_BOXES : 1;
}

/* How many times as much lies in the box as in the one of the 63 others that has most; at most 64.
 * */
static inline double planted_lead(const planted_set *s, int64_t clip, const tub_explanation *e) {
    double masses[PLANTED_BOXES], other = 0;
    const int planted = planted_masses(s, clip, e, masses);
    for (int i = 0; i < PLANTED_BOXES; i++) {
        other = i != planted && masses[i] > other ? masses[i] : other;
    }
    const double most = PLANTED_BOXES * other;
    return masses[planted] < most ? masses[planted] / other
           : masses[planted] > 0  ? PLANTED_BOXES
                                  : 0;
}

/* How a model learns to tell the clips: without positions, since the box may be anywhere. */
static inline tub_train_config planted_recipe(const char *npz) {
    tub_train_config c = tub_train_config_default();
    snprintf(c.data, sizeof c.data, "%s", npz);
    if (tub_model_preset("vivit-tiny", &c.model, NULL) != TUB_OK) {
        abort();
    }
    c.model.frames = PLANTED_FRAMES, c.model.height = c.model.width = PLANTED_SIDE;
    c.model.channels = 1, c.model.classes = PLANTED_CLASSES;
    c.model.tubelet[0] = 4, c.model.tubelet[1] = c.model.tubelet[2] = 7;
    c.model.hidden = 32, c.model.heads = 2, c.model.layers = 2, c.model.mlp = 64;
    c.model.mlp_output_gelu = 0;
    c.model.attention_dropout = 0;
    c.model.positions = TUB_POSITIONS_NONE;
    c.seed = 3;
    c.epochs = 5;
    c.batch_size = 32;
    c.optimizer = TUB_ADAMW;
    c.lr = 3e-3;
    c.weight_decay = 0.01;
    c.schedule = TUB_COSINE;
    c.warmup_epochs = 1;
    return c;
}

#endif
