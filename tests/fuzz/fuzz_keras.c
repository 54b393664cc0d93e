/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: config.json of a .keras file, with an allocation that fails. What is read comes back out of
 * what is written. */
#include "convert/keras_config.h"
#include "formats/json.h"
#include "fuzz.h"
#include <string.h>

/* Every part of the model has a group of its own. */
static void check_layout(const tub__keras_layout *l, const tub_model_config *c) {
    FUZZ_CHECK(l->layers == c->layers && l->ranks >= l->count);
    for (size_t i = 0; i < l->count; i++) {
        FUZZ_CHECK(l->places[i].group[0] != '\0' && l->places[i].rank < l->ranks);
        for (size_t j = 0; j < i && l->count < 50; j++) {
            FUZZ_CHECK(l->places[i].rank != l->places[j].rank &&
                       strcmp(l->places[i].group, l->places[j].group) != 0);
        }
    }
}

static void write_and_read(const tub_allocator *a, const tub_model_config *c) {
    tub_model_config again;
    tub__keras_layout layout;
    tub__keras_says says = TUB__KERAS_SAYS_GELU;
    tub__json *root;
    char *text;
    size_t size;
    tub_error err = {0};
    FUZZ_CHECK(tub__keras_can(c, &err) == TUB_OK);
    FUZZ_CHECK(tub__keras_config_write(a, c, NULL, &text, &size, &err) == TUB_OK);
    FUZZ_CHECK(tub__json_parse(text, size, &root, &err) == TUB_OK);
    FUZZ_CHECK(tub__keras_config_read(a, root, &again, &says, &layout, &err) == TUB_OK);
    FUZZ_CHECK(says == TUB__KERAS_SAYS_TANH && again.hidden == c->hidden &&
               again.layers == c->layers && again.mlp == c->mlp && again.classes == c->classes &&
               again.heads == c->heads && again.mlp_output_gelu == c->mlp_output_gelu &&
               again.norm_epsilon == c->norm_epsilon && again.frames == c->frames &&
               memcmp(again.tubelet, c->tubelet, sizeof c->tubelet) == 0);
    check_layout(&layout, &again);
    tub__keras_layout_destroy(&layout);
    tub__json_free(root);
    tub__free(a, text);
}

static void read_config(const tub_allocator *a, const tub__json *root, bool write) {
    tub_model_config c;
    tub__keras_layout layout;
    tub__keras_says says = TUB__KERAS_SAYS_GELU;
    tub_error err = {0};
    const tub_status status = tub__keras_config_read(a, root, &c, &says, &layout, &err);
    if (status != TUB_OK) {
        FUZZ_CHECK_ERROR(status, err);
        return;
    }
    check_layout(&layout, &c);
    tub__keras_layout_destroy(&layout);
    if (write && c.layers < 10) {
        write_and_read(a, &c);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tub__json *root;
    tub_error err = {0};
    int left = (int)(size % 4);
    const tub_allocator failing = fuzz_allocator(&left);
    if (tub__json_parse((const char *)data, size, &root, &err) != TUB_OK) {
        return 0;
    }
    read_config(&tub__default_allocator, root, true);
    read_config(&failing, root, false);
    tub__json_free(root);
    return 0;
}
