/* SPDX-License-Identifier: Apache-2.0 */
/* A small checkpoint, as Flax writes it: shapes are scenic's, values a sawtooth. */
#include "make_scenic.h"

#include "../support/make_flax.h"

#define TOWER     "Transformer/"
#define BLOCK     TOWER "encoderblock_0/"
#define ATTENTION BLOCK "MultiHeadDotProductAttention_0/"

static const struct array {
    const char *name;
    int rank;
    uint64_t shape[5];
} arrays[] = {
    {"embedding/kernel", 5, {4, 4, 4, 1, 8}},
    {"embedding/bias", 1, {8}},
    {"cls", 3, {1, 1, 8}},
    {TOWER "posembed_input/pos_embedding", 3, {1, 9, 8}},
    {BLOCK "LayerNorm_0/scale", 1, {8}},
    {BLOCK "LayerNorm_0/bias", 1, {8}},
    {ATTENTION "query/kernel", 3, {8, 2, 4}},
    {ATTENTION "query/bias", 2, {2, 4}},
    {ATTENTION "key/kernel", 3, {8, 2, 4}},
    {ATTENTION "key/bias", 2, {2, 4}},
    {ATTENTION "value/kernel", 3, {8, 2, 4}},
    {ATTENTION "value/bias", 2, {2, 4}},
    {ATTENTION "out/kernel", 3, {2, 4, 8}},
    {ATTENTION "out/bias", 1, {8}},
    {BLOCK "LayerNorm_1/scale", 1, {8}},
    {BLOCK "LayerNorm_1/bias", 1, {8}},
    {BLOCK "MlpBlock_0/Dense_0/kernel", 2, {8, 12}},
    {BLOCK "MlpBlock_0/Dense_0/bias", 1, {12}},
    {BLOCK "MlpBlock_0/Dense_1/kernel", 2, {12, 8}},
    {BLOCK "MlpBlock_0/Dense_1/bias", 1, {8}},
    {TOWER "encoder_norm/scale", 1, {8}},
    {TOWER "encoder_norm/bias", 1, {8}},
};

void make_scenic(const char *path, unsigned classes) {
    const uint64_t kernel[] = {8, classes}, bias[] = {classes};
    float values[4 * 4 * 4 * 8];
    char name[128];
    flax_maker m;
    for (int i = 0; i < 4 * 4 * 4 * 8; i++) {
        values[i] = (float)(i * 37 % 101 - 50) / 100.0f;
    }
    flax_begin(&m, path);
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        snprintf(name, sizeof name, "optimizer/target/%s", arrays[i].name);
        flax_array(&m, name, "float32", arrays[i].rank, arrays[i].shape, values);
    }
    flax_array(&m, "optimizer/target/output_projection/kernel", "float32", 2, kernel, values);
    flax_array(&m, "optimizer/target/output_projection/bias", "float32", 1, bias, values);
    flax_end(&m);
}
