/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: JSON, and config.json of model folders and of ViT. What we write of what we read must read back
 * as the same. */
#include "../support/same_config.h"
#include "convert/vit_json.h"
#include "fuzz.h"
#include <string.h>

/* The text that a value is written as; the caller's. */
static char *written(const tub_allocator *a, const tub__json *root, size_t *size) {
    tub__json_writer w;
    char *text = NULL;
    tub_error err = {0};
    tub__json_start(&w, a, (int)(tub__json_size(root) % 3));
    tub__json_put_value(&w, NULL, root);
    tub_status status = tub__json_finish(&w, &text, size, &err);
    FUZZ_CHECK(status == TUB_OK || status == TUB_E_MEMORY);
    return text;
}

static void check_round_trip(const tub__json *root) {
    const tub_allocator *a = &tub__default_allocator;
    tub_error err = {0};
    size_t first_size, second_size;
    tub__json *again = NULL;
    char *first = written(a, root, &first_size);
    FUZZ_CHECK(tub__json_parse(first, first_size, &again, &err) == TUB_OK);
    char *second = written(a, again, &second_size);
    FUZZ_CHECK(first_size == second_size && memcmp(first, second, first_size) == 0);
    tub__json_free(again);
    tub__free(a, first);
    tub__free(a, second);
    int left = (int)(first_size % 4);
    const tub_allocator failing = fuzz_allocator(&left);
    tub__free(a, written(&failing, root, &first_size));
}

static void check_config(const tub_allocator *a, const tub__json *root) {
    tub_model_config config, same;
    char **labels = NULL, **same_labels = NULL, *text = NULL;
    size_t size;
    bool int8 = false, same_int8 = false;
    tub_error err = {0};
    tub_status status = tub__config_from_json(a, root, &config, &int8, &labels, &err);
    if (status != TUB_OK) {
        FUZZ_CHECK_ERROR(status, err);
        return;
    }
    tub__json *again = NULL;
    status = tub__config_to_json(a, &config, int8, (const char *const *)labels, &text, &size, &err);
    if (status == TUB_OK) {
        FUZZ_CHECK(tub__json_parse(text, size, &again, &err) == TUB_OK);
        status = tub__config_from_json(a, again, &same, &same_int8, &same_labels, &err);
        FUZZ_CHECK(status == TUB_OK || status == TUB_E_MEMORY);
        if (status == TUB_OK) {
            FUZZ_CHECK(config_difference(&config, &same)[0] == 0 && int8 == same_int8);
            tub__labels_free(a, same_labels, same.classes);
        }
        tub__json_free(again);
        tub__free(a, text);
    } else {
        FUZZ_CHECK_ERROR(status, err);
    }
    tub__labels_free(a, labels, config.classes);
}

static void check_vit(const tub_allocator *a, const tub__json *root) {
    tub_model_config config;
    char **labels = NULL;
    bool classifier = false;
    tub_error err = {0};
    const tub_status status = tub__vit_from_json(a, root, &config, &classifier, &labels, &err);
    if (status != TUB_OK) {
        FUZZ_CHECK_ERROR(status, err);
        return;
    }
    FUZZ_CHECK(config.frames == 1 && config.tubelet[0] == 1 && (classifier || labels == NULL));
    tub__labels_free(a, labels, config.classes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tub__json *root = NULL;
    tub_error err = {0};
    tub_status status = tub__json_parse((const char *)data, size, &root, &err);
    if (status != TUB_OK) {
        FUZZ_CHECK_ERROR(status, err);
        return 0;
    }
    check_round_trip(root);
    check_config(&tub__default_allocator, root);
    check_vit(&tub__default_allocator, root);
    int left = (int)(size % 11);
    const tub_allocator failing = fuzz_allocator(&left);
    check_config(&failing, root);
    check_vit(&failing, root);
    tub__json_free(root);
    if (tub__json_load(&tub__default_allocator, fuzz_file(data, size), 1 << 16, &root, &err) ==
        TUB_OK) {
        tub__json_free(root);
    }
    return 0;
}
