/* SPDX-License-Identifier: Apache-2.0 */
/* The word that somebody probably meant: smallest edit distance, within a limit. */
#include "base/words.h"

#include "base/alloc.h"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { WORD_LIMIT = 64 };

/* The optimal string alignment distance (Levenshtein's with swaps of neighbours), row by row. */
size_t tub__edit_distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    size_t row[3][WORD_LIMIT + 1];
    if (n > WORD_LIMIT || m > WORD_LIMIT) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= m; j++) {
        row[0][j] = j;
    }
    for (size_t i = 1; i <= n; i++) {
        size_t *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t replace = last[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = tub__min(replace, tub__min(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                now[j] = tub__min(now[j], before[j - 2] + 1);
            }
        }
    }
    return row[n % 3][m];
}

/* What other programs call it, and no letters tell. */
static const char *const other_names[][2] = {
    {"learning_rate", "lr"},      {"batch", "batch_size"},   {"dim", "hidden"},
    {"embed_dim", "hidden"},      {"hidden_size", "hidden"}, {"depth", "layers"},
    {"num_layers", "layers"},     {"num_heads", "heads"},    {"mlp_dim", "mlp"},
    {"intermediate_size", "mlp"}, {"patch_size", "tubelet"},
};

/* Options have - where keys have _. */
static bool same_word(const char *a, const char *b) {
    for (; *a != '\0' && (*a == *b || (*a == '-' && *b == '_') || (*a == '_' && *b == '-')); a++) {
        b++;
    }
    return *a == *b;
}

/* The index of the word that is another name's; n: none. */
static size_t find_renamed(const char *word, const void *words, size_t n, tub_word_fn *get) {
    for (size_t k = 0; k < sizeof other_names / sizeof *other_names; k++) {
        if (!same_word(word, other_names[k][0])) {
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            if (same_word(get(words, i), other_names[k][1])) {
                return i;
            }
        }
    }
    return n;
}

size_t tub_nearest(const char *word, const void *words, size_t n, tub_word_fn *get) {
    const size_t renamed = find_renamed(word, words, n, get);
    if (renamed < n) {
        return renamed;
    }
    size_t length = strlen(word), best = n;
    size_t limit = tub__min((length + 2) / 3, length > 0 ? length - 1 : 0);
    for (size_t i = 0; i < n; i++) {
        const char *candidate = get(words, i);
        size_t distance = candidate[0] != '\0' ? tub__edit_distance(word, candidate) : SIZE_MAX;
        if (distance < limit || (distance == limit && best == n)) {
            limit = distance;
            best = i;
        }
    }
    return best;
}
