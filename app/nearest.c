/* SPDX-License-Identifier: Apache-2.0 */
/* The word that somebody probably meant: smallest edit distance. */
#include <string.h>

#include "cli.h"

enum { WORD_LIMIT = 47 };

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Insertions, deletions and replacements between two words (Levenshtein), row by row. */
static size_t distance(const char *a, const char *b) {
    size_t row[WORD_LIMIT + 1];
    size_t m = strlen(a), n = strlen(b);
    if (m > WORD_LIMIT || n > WORD_LIMIT) {
        return WORD_LIMIT;
    }
    for (size_t j = 0; j <= n; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= m; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t above = row[j];
            size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            row[j] = smaller(replaced, smaller(above, row[j - 1]) + 1);
            diagonal = above;
        }
    }
    return row[n];
}

const char *cli_nearest(const char *word, const void *words, size_t n, cli_word_fn *get) {
    const char *best = NULL;
    size_t best_distance = strlen(word) / 3 + 2;
    for (size_t i = 0; i < n; i++) {
        const char *candidate = get(words, i);
        size_t d = candidate[0] != '\0' ? distance(word, candidate) : best_distance;
        if (d < best_distance) {
            best_distance = d;
            best = candidate;
        }
    }
    return best;
}
