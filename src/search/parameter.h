/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters of a sweep: what their entries may say, and what they mean. */
#ifndef TUB__SEARCH_PARAMETER_H
#define TUB__SEARCH_PARAMETER_H

#include "search/document.h"
#include <tubelet/sweep.h>

/* What an entry may say beside `distribution`. */
enum {
    TUB__KEYS_BOUNDS = 1,   /* min and max, both needed */
    TUB__KEYS_POSITIVE = 2, /* min above 0 */
    TUB__KEYS_Q = 4,        /* q, above 0 */
    TUB__KEYS_NORMAL = 8,   /* mu and sigma */
    TUB__KEYS_BETA = 16,    /* a and b */
    TUB__KEYS_VALUES = 32,
    TUB__KEYS_PROBABILITIES = 64,
    TUB__KEYS_VALUE = 128
};

typedef struct tub__distribution {
    const char *name;
    tub_distribution kind;
    unsigned keys;
    const char *replacement; /* of one whose bounds are exponents; NULL: of others */
} tub__distribution;

/* NULL: there is none of that name. */
const tub__distribution *tub__distribution_named(const char *name);

typedef struct tub__parameter {
    char *name; /* keys with dots between them; names that have dots themselves stay as they are */
    char *path; /* with / between them, which no name has */
    const tub__json *spec;
    const tub__distribution *distribution;
    double low, high;    /* bounds; mu and sigma; a and b */
    int64_t first, last; /* of whole numbers */
    double q;
    bool whole_q; /* values are whole numbers */
    const tub__json *values, *probabilities, *value;
    size_t count; /* of values */
    size_t *
        /* [count] of a grid's choice: the number of each among those that differ; else NULL */
        rank;
    int64_t points; /* of a grid: values that differ */
    bool text_name; /* every key on the way is text */
    int line;
} tub__parameter;

/* Checks one entry as the sweeps package's schema does, and says in one sentence what is wrong
 * with it. nested: within `parameters` of another one, where neither bounds nor probabilities
 * are compared. A mapping of parameters is checked with all within it. */
TUB_MUST_USE tub_status tub__parameter_check(const char *name, tub__spot spec, bool nested,
                                             tub_error *err);
/* The same of a mapping of them. */
TUB_MUST_USE tub_status tub__parameters_check(tub__spot mapping, bool nested, tub_error *err);

/* Whether a checked entry holds parameters itself. */
bool tub__parameter_holds(const tub__json *spec);
/* What a checked entry means, without its name. */
void tub__parameter_fill(const tub__json *spec, tub__parameter *out);
/* Writes a checked entry with the defaults of what it leaves out. */
void tub__parameter_put(tub__json_writer *w, const char *key, const tub__json *spec);

/* Keys of a mapping in the order of their bytes; the caller's to free. */
TUB_MUST_USE tub_status tub__sorted_keys(const tub_allocator *a, const tub__json *mapping,
                                         const char ***out, tub_error *err);

#endif
