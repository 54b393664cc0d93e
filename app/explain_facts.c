/* SPDX-License-Identifier: Apache-2.0 */
/* A map in a few numbers: where it is largest, where its middle lies, how much of the clip has
 * half of it. */
#include <math.h>
#include <stdlib.h>

#include "explain_parts.h"

static int64_t voxels_of(const tub_explanation *e) {
    return e->frames * e->height * e->width;
}

static void place_of(const tub_explanation *e, int64_t i, int64_t place[3]) {
    place[0] = i / (e->height * e->width);
    place[1] = i / e->width % e->height;
    place[2] = i % e->width;
}

static int falling(const void *a_, const void *b_) {
    const float a = *(const float *)a_, b = *(const float *)b_;
    return a > b ? -1 : a < b;
}

/* Share of the voxels, the largest first, that have half of all that is above zero. */
static double half_of(const tub_explanation *e, double positive, float *room) {
    const int64_t n = voxels_of(e);
    double sum = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        room[i] = e->map[i];
    }
    qsort(room, (size_t)n, sizeof *room, falling);
    while (count < n && sum < positive / 2) {
        sum += (double)room[count++];
    }
    return (double)count / (double)n;
}

static void add_voxel(const tub_explanation *e, int64_t i, explain_facts *f) {
    const double v = (double)e->map[i];
    int64_t place[3];
    place_of(e, i, place);
    f->sum += v;
    f->low = i == 0 || v < f->low ? v : f->low;
    if (i == 0 || v > f->high) {
        f->high = v;
        place_of(e, i, f->peak);
    }
    if (v > 0) {
        f->positive += v;
        f->frames[place[0]] += v;
        for (int k = 0; k < 3; k++) {
            f->centre[k] += v * (double)place[k];
        }
    }
}

bool explain_facts_of(const tub_explanation *e, explain_facts *out) {
    float *room = calloc((size_t)voxels_of(e), sizeof *room);
    *out = (explain_facts){.frames = calloc((size_t)e->frames, sizeof *out->frames)};
    if (room == NULL || out->frames == NULL) {
        free(room);
        explain_facts_free(out);
        return false;
    }
    for (int64_t i = 0; i < voxels_of(e); i++) {
        add_voxel(e, i, out);
    }
    for (int k = 0; k < 3; k++) {
        out->centre[k] = out->positive > 0 ? out->centre[k] / out->positive : (double)NAN;
    }
    for (int64_t t = 0; t < e->frames; t++) {
        out->frames[t] = out->positive > 0 ? out->frames[t] / out->positive : 0;
    }
    out->half = half_of(e, out->positive, room);
    free(room);
    return true;
}

void explain_facts_free(explain_facts *f) {
    free(f->frames);
    f->frames = NULL;
}
