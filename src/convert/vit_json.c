/* SPDX-License-Identifier: Apache-2.0 */
/* transformers' ViTConfig as a model configuration. */
#include "convert/vit_json.h"

#include <string.h>

#include "base/error.h"

bool tub__vit_is(const tub__json *root) {
    const char *type;
    return tub__json_get_text(root, "model_type", &type, NULL) == TUB_OK &&
           strcmp(type, "vit") == 0;
}

/* What a key means when it is left out. */
static tub_model_config vit_defaults(void) {
    return (tub_model_config){
        .size = sizeof(tub_model_config),
        .frames = 1,
        .height = 224,
        .width = 224,
        .channels = 3,
        .tubelet = {1, 16, 16},
        .hidden = 768,
        .heads = 12,
        .layers = 12,
        .mlp = 3072,
        .classes = 2,
        .gelu = TUB_GELU_ERF,
        .qkv_bias = 1,
        .pooling = TUB_POOL_CLASS_TOKEN,
        .norm_epsilon = 1e-12,
        .task = TUB_TASK_MULTI_CLASS,
        .attention_init = TUB_INIT_GLOROT,
    };
}

/* One number is a square. */
static tub_status read_patch(const tub__json *root, tub_model_config *c, tub_error *err) {
    static const char key[] = "patch_size";
    const tub__json *value = tub__json_get(root, key);
    if (value == NULL) {
        return TUB_OK;
    }
    const bool list = tub__json_kind_of(value) == TUB__JSON_ARRAY;
    if (list && tub__json_size(value) != 2) {
        return tub__fail(err, TUB_E_FORMAT, "%s: expected 2 whole numbers, found %zu values", key,
                         tub__json_size(value));
    }
    TUB__TRY(tub__json_to_integer(list ? tub__json_at(value, 0) : value, key, &c->tubelet[1], err));
    return tub__json_to_integer(list ? tub__json_at(value, 1) : value, key, &c->tubelet[2], err);
}

tub_status tub__vit_from_json(const tub_allocator *a, const tub__json *root,
                              tub_model_config *config, bool *classifier, char ***labels,
                              tub_error *err) {
    tub_model_config c = vit_defaults();
    char **names = NULL;
    TUB__TRY(tub__config_read_shared(root, &c, err));
    TUB__TRY(read_patch(root, &c, err));
    TUB__TRY(tub__labels_from_json(a, root, &c.classes, &names, err));
    const bool several = c.classes > 1;
    if (!several) {
        tub__labels_free(a, names, c.classes);
        names = NULL;
        c.classes = 2;
    }
    const tub_status status = tub_model_config_check(&c, err);
    if (status != TUB_OK) {
        tub__labels_free(a, names, c.classes);
        return status;
    }
    *config = c;
    *classifier = several;
    *labels = names;
    return TUB_OK;
}
