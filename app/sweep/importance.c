/* SPDX-License-Identifier: Apache-2.0 */
/* How much each parameter matters: what it explains of the metric's ranks by itself. */
#include <math.h>

#include "page.h"

void sweep_ranks(const sweep_facts *f, double *rank) {
    for (int64_t i = 0; i < f->count; i++) {
        double below = 0, same = -1;
        for (int64_t k = 0; k < f->count; k++) {
            below += f->value[k] < f->value[i];
            same += f->value[k] == f->value[i];
        }
        rank[i] = isnan(f->value[i]) ? NAN : below + same / 2;
    }
}

typedef struct moments {
    double n, mean, variance; /* of the ranks; the variance times n */
} moments;

static bool counts(const double *position, const double *rank, int64_t i) {
    return !isnan(rank[i]) && !isnan(position[i]);
}

static moments moments_of(const sweep_facts *f, const double *position, const double *rank) {
    moments m = {0, 0, 0};
    for (int64_t i = 0; i < f->count; i++) {
        if (counts(position, rank, i)) {
            m.n++;
            m.mean += rank[i];
        }
    }
    m.mean /= m.n;
    for (int64_t i = 0; i < f->count; i++) {
        if (counts(position, rank, i)) {
            m.variance += (rank[i] - m.mean) * (rank[i] - m.mean);
        }
    }
    return m;
}

/* What is left of 1 - R^2 with so many terms beside the mean. */
static double adjusted(double explained, const moments *m, double terms) {
    if (m->n - terms - 1 <= 0 || m->variance <= 0) {
        return NAN;
    }
    const double share = 1 - (1 - explained / m->variance) * (m->n - 1) / (m->n - terms - 1);
    return fmin(1, fmax(0, share));
}

/* Between the means of each value's trials. */
static double of_choice(const sweep_facts *f, const double *position, const double *rank,
                        const moments *m) {
    double explained = 0, groups = 0;
    for (int64_t i = 0; i < f->count; i++) {
        double n = 0, sum = 0;
        bool first = counts(position, rank, i);
        for (int64_t k = 0; k < f->count && first; k++) {
            if (counts(position, rank, k) && position[k] == position[i]) {
                first = k >= i;
                n++;
                sum += rank[k];
            }
        }
        if (first) {
            explained += n * (sum / n - m->mean) * (sum / n - m->mean);
            groups++;
        }
    }
    return adjusted(explained, m, groups - 1);
}

/* Sums over the trials of u v, where u and v are 0: 1, 1: x, 2: x squared, 3: the rank; about
 * their means. */
static double product(const sweep_facts *f, const double *position, const double *rank, int u,
                      int v) {
    double n = 0, su = 0, sv = 0, suv = 0;
    for (int64_t i = 0; i < f->count; i++) {
        if (!counts(position, rank, i)) {
            continue;
        }
        const double part[] = {1, position[i], position[i] * position[i], rank[i]};
        n++;
        su += part[u];
        sv += part[v];
        suv += part[u] * part[v];
    }
    return n > 0 ? suv - su * sv / n : 0;
}

/* A parabola through the points: x first, then what x squared has beyond x. */
static double of_number(const sweep_facts *f, const double *position, const double *rank,
                        const moments *m) {
    const double xx = product(f, position, rank, 1, 1), xz = product(f, position, rank, 1, 2);
    const double zz = product(f, position, rank, 2, 2), xr = product(f, position, rank, 1, 3);
    const double zr = product(f, position, rank, 2, 3);
    if (xx <= 0) {
        return NAN;
    }
    const double rest = zz - xz * xz / xx, cross = zr - xz / xx * xr;
    const bool bends = rest > 1e-9 * zz;
    return adjusted(xr * xr / xx + (bends ? cross * cross / rest : 0), m, bends ? 2 : 1);
}

sweep_importance sweep_importance_of(const sweep_facts *f, int64_t parameter, double *rank) {
    const double *position = f->position + parameter * f->count;
    const bool choice = f->searched[parameter].count > 0;
    const moments m = moments_of(f, position, rank);
    if (m.n < 3) {
        return (sweep_importance){NAN, NAN};
    }
    const double xx = product(f, position, rank, 1, 1), xr = product(f, position, rank, 1, 3);
    return (sweep_importance){
        choice ? of_choice(f, position, rank, &m) : of_number(f, position, rank, &m),
        choice || xx <= 0 || m.variance <= 0 ? NAN : xr / sqrt(xx * m.variance)};
}
