/* SPDX-License-Identifier: Apache-2.0 */
/* config.json and model.safetensors of a ViT: width 16, two heads, one layer, patches of 4x4. */
#include "make_vit.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char config[] =
    "{\"architectures\": [\"ViTForImageClassification\"], \"model_type\": \"vit\",\n"
    " \"hidden_size\": 16, \"num_hidden_layers\": 1, \"num_attention_heads\": 2,\n"
    " \"intermediate_size\": 32, \"image_size\": 8, \"patch_size\": 4, \"num_channels\": 1,\n"
    " \"hidden_act\": \"gelu\", \"layer_norm_eps\": 1e-06, \"num_labels\": 2}\n";

#define LAYER "vit.encoder.layer.0."

static const struct array {
    const char *name, *shape;
    int count;
} arrays[] = {
    {"vit.embeddings.cls_token", "1,1,16", 16},
    {"vit.embeddings.position_embeddings", "1,5,16", 80},
    {"vit.embeddings.patch_embeddings.projection.weight", "16,1,4,4", 256},
    {"vit.embeddings.patch_embeddings.projection.bias", "16", 16},
    {LAYER "attention.attention.query.weight", "16,16", 256},
    {LAYER "attention.attention.query.bias", "16", 16},
    {LAYER "attention.attention.key.weight", "16,16", 256},
    {LAYER "attention.attention.key.bias", "16", 16},
    {LAYER "attention.attention.value.weight", "16,16", 256},
    {LAYER "attention.attention.value.bias", "16", 16},
    {LAYER "attention.output.dense.weight", "16,16", 256},
    {LAYER "attention.output.dense.bias", "16", 16},
    {LAYER "intermediate.dense.weight", "32,16", 512},
    {LAYER "intermediate.dense.bias", "32", 32},
    {LAYER "output.dense.weight", "16,32", 512},
    {LAYER "output.dense.bias", "16", 16},
    {LAYER "layernorm_before.weight", "16", 16},
    {LAYER "layernorm_before.bias", "16", 16},
    {LAYER "layernorm_after.weight", "16", 16},
    {LAYER "layernorm_after.bias", "16", 16},
    {"vit.layernorm.weight", "16", 16},
    {"vit.layernorm.bias", "16", 16},
    {"classifier.weight", "2,16", 32},
    {"classifier.bias", "2", 2},
};
enum { ARRAYS = sizeof arrays / sizeof *arrays };

static int write_config(const char *folder) {
    char path[256];
    snprintf(path, sizeof path, "%s/config.json", folder);
    FILE *file = fopen(path, "w");
    return file == NULL || fputs(config, file) < 0 || fclose(file) != 0;
}

static int write_arrays(const char *folder) {
    char path[256], header[8192];
    size_t used = 0;
    int offset = 0;
    for (int i = 0; i < ARRAYS; i++) {
        used +=
            (size_t)snprintf(header + used, sizeof header - used,
                             "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%d,%d]}",
                             i == 0 ? "{" : ",", arrays[i].name, arrays[i].shape, 4 * offset,
                             4 * (offset + arrays[i].count));
        offset += arrays[i].count;
    }
    used += (size_t)snprintf(header + used, sizeof header - used, "}");
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    FILE *file = fopen(path, "wb");
    const unsigned char length[8] = {(unsigned char)used, (unsigned char)(used >> 8)};
    if (file == NULL || fwrite(length, 1, 8, file) != 8 || fwrite(header, 1, used, file) != used) {
        return 1;
    }
    for (int i = 0; i < offset; i++) {
        const float value = (float)((i * 7919 + 5) % 201 - 100) / 500.0f;
        if (fwrite(&value, sizeof value, 1, file) != 1) {
            return 1;
        }
    }
    return fclose(file) != 0;
}

int make_vit(const char *folder) {
    return mkdir(folder, 0777) != 0 || write_config(folder) || write_arrays(folder);
}
