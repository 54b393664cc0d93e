/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: sweep files, as W&B has them, with an allocation that fails. A file that is taken
 * has a text with its defaults that is taken again, and trials whose values have a place in
 * their distributions. */
#include "base/module.h"
#include "formats/json.h"
#include "fuzz.h"
#include "search/sweep.h"
#include <math.h>
#include <string.h>

extern const tub__yaml_module tub__module_table; /* of mod-yaml.c, compiled into this program */

/* libfyaml 0.7.12 leaks 4 KiB of its scanner when a quoted text with many pieces never ends. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libfyaml.so";
}

static void try_trials(const tub_sweep *s) {
    tub_error err = {0};
    tub_trial trials[3] = {{0}};
    int64_t count = 0;
    if (tub_sweep_check(s, &err) != TUB_OK) {
        FUZZ_CHECK(err.message[0] != '\0');
        return;
    }
    const bool grid = s->info.method == TUB_SWEEP_GRID;
    FUZZ_CHECK((tub_sweep_points(s) >= 1) == grid);
    if (tub_sweep_points(s) > 10000) {
        return; /* right, and slow */
    }
    while (count < 3) {
        char *next = NULL;
        const tub_status status = grid ? tub__grid_next(s, trials, count, &next, &err)
                                       : tub__random_next(s, 1, count, &next, &err);
        FUZZ_CHECK(status == TUB_OK);
        if (next == NULL) {
            FUZZ_CHECK(grid && count == tub_sweep_points(s));
            break;
        }
        for (size_t i = 0; i < s->count; i++) {
            const double at = tub_sweep_position(s, (int64_t)i, next);
            FUZZ_CHECK(isnan(at) || (at >= 0 && at <= 1 && s->parameters[i].value == NULL));
        }
        trials[count++].parameters = next;
    }
    for (int64_t i = 0; i < count; i++) {
        tub__free(&s->allocator, (char *)trials[i].parameters);
    }
}

static tub__json *tree_of(const char *text, size_t size, tub_error *err) {
    char *json = NULL;
    tub__json *tree = NULL;
    const tub_status status = tub__module_table.to_tree(text, size, &json, err);
    if (status != TUB_OK) {
        FUZZ_CHECK_ERROR(status, *err);
        return NULL;
    }
    FUZZ_CHECK(tub__json_parse(json, strlen(json), &tree, err) == TUB_OK);
    tub__module_table.release(json);
    return tree;
}

static bool open_text(const tub_allocator *a, const char *text, size_t size, tub_sweep **out) {
    tub_error err = {0};
    tub__json *tree = tree_of(text, size, &err);
    if (tree == NULL) {
        return false;
    }
    const tub_status status = tub__sweep_of(a, tree, out, &err);
    if (status != TUB_OK) {
        FUZZ_CHECK_ERROR(status, err);
    }
    return status == TUB_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tub_sweep *sweep = NULL;
    int left = size > 0 ? data[size - 1] % 64 : 0;
    const tub_allocator failing = fuzz_allocator(&left);
    if (open_text(&failing, (const char *)data, size, &sweep)) {
        tub_sweep_close(sweep);
    }
    if (open_text(&tub__default_allocator, (const char *)data, size, &sweep)) {
        try_trials(sweep);
        tub_sweep_close(sweep);
    }
    return 0;
}
