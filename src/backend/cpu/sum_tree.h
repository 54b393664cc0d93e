/* SPDX-License-Identifier: Apache-2.0 */
/* Running sums of groups in the balanced tree (TREE_LEVELS in vec.h), many elements side by side.
 *
 * The lowest `near` levels only ever meet within 2^near neighbouring groups: they lie together, to
 * be used again and again from L1. What they come to goes to the far levels, of which there is one
 * set for every part of a matrix; those are touched once for so many groups.
 *
 *     far:  level near, level near + 1, ..., [far_stride apart]
 *     near: level 0, ..., level near - 1     [near_stride apart] */
#ifndef TUB__CPU_SUM_TREE_H
#define TUB__CPU_SUM_TREE_H

#include "backend/cpu/vec.h"

typedef struct sum_tree {
    real *near, *far;
    size_t near_stride, far_stride, size; /* size: elements, whole vectors */
    int near_levels;
} sum_tree;

INLINE real *tree_level(const sum_tree *t, int level) {
    return level < t->near_levels ? t->near + (size_t)level * t->near_stride
                                  : t->far + (size_t)(level - t->near_levels) * t->far_stride;
}

/* to[i] = from[count - 1][i] + (... + (from[1][i] + from[0][i])). */
INLINE void tree_add(const real *const *from, int count, size_t size, real *to) {
    for (size_t i = 0; i < size; i += 16) {
        vf s = vload(from[0] + i);
        for (int j = 1; j < count; j++) {
            s = vadd(vload(from[j] + i), s);
        }
        vstore(to + i, s);
    }
}

/* The same; the usual counts are constants where it is inlined. */
static void tree_sum(const real *const *from, int count, size_t size, real *to) {
    switch (count) {
    case 1:
        tree_add(from, 1, size, to);
        break;
    case 2:
        tree_add(from, 2, size, to);
        break;
    case 3:
        tree_add(from, 3, size, to);
        break;
    default:
        tree_add(from, count, size, to);
    }
}

/* Adds group number `group`, whose sums are in `sums`. */
INLINE void tree_push(const sum_tree *t, size_t group, const real *sums) {
    const int rise = tree_rise(group);
    const real *from[TREE_LEVELS + 1] = {sums};
    for (int level = 0; level < rise; level++) {
        from[level + 1] = tree_level(t, level);
    }
    tree_sum(from, rise + 1, t->size, tree_level(t, rise));
}

/* The levels from `level` below `end` that wait after `groups` groups, smallest first, each as the
 * right operand of the next; `rest`, or NULL, comes before all of them. */
INLINE void tree_total(const sum_tree *t, size_t groups, int level, int end, const real *rest,
                       real *out) {
    const real *from[TREE_LEVELS + 1] = {rest};
    int count = rest ? 1 : 0;
    for (; level < end; level++) {
        if (groups >> level & 1) {
            from[count++] = tree_level(t, level);
        }
    }
    tree_sum(from, count, t->size, out);
}

/* How many of `groups` groups wait in the near levels. */
INLINE size_t tree_near(size_t groups, int near_levels) {
    return groups & (((size_t)1 << near_levels) - 1);
}

/* Levels that have room for `groups` groups. */
INLINE int tree_height(size_t groups) {
    int levels = 0;
    while (groups >> levels) {
        levels++;
    }
    return levels;
}

#endif
