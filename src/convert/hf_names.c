/* SPDX-License-Identifier: Apache-2.0 */
/* Spellings of array names: the published one is in the parameter table; newer transformers modules
 * spell the arrays of the layers differently. */
#include "convert/hf_names.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char PREFIX[] = "vivit.";

static const struct spelling {
    const char *table, *other;
} spellings[] = {
    {"attention.attention.query.", "attention.q_proj."},
    {"attention.attention.key.", "attention.k_proj."},
    {"attention.attention.value.", "attention.v_proj."},
    {"attention.output.dense.", "attention.o_proj."},
    {"intermediate.dense.", "mlp.fc1."},
    {"output.dense.", "mlp.fc2."},
    {"layernorm_before.", "layernorm_before."},
    {"layernorm_after.", "layernorm_after."},
};

/* "vivit.encoder.layer.3.output.dense.bias" to "vivit.layers.3.mlp.fc2.bias"; false for an array
 * outside the layers. */
static bool newer_spelling(const char *name, char out[TUB__HF_NAME_LIMIT]) {
    static const char layer[] = "vivit.encoder.layer.";
    if (strncmp(name, layer, sizeof layer - 1) != 0) {
        return false;
    }
    const char *number = name + sizeof layer - 1, *dot = strchr(number, '.');
    for (size_t i = 0; dot != NULL && i < sizeof spellings / sizeof *spellings; i++) {
        size_t length = strlen(spellings[i].table);
        if (strncmp(dot + 1, spellings[i].table, length) == 0) {
            snprintf(out, TUB__HF_NAME_LIMIT, "vivit.layers.%.*s.%s%s", (int)(dot - number), number,
                     spellings[i].other, dot + 1 + length);
            return true;
        }
    }
    return false;
}

int tub__hf_spellings(const char *name, char out[TUB__HF_SPELLINGS][TUB__HF_NAME_LIMIT]) {
    snprintf(out[0], TUB__HF_NAME_LIMIT, "%s", name);
    int count = newer_spelling(name, out[1]) ? 2 : 1;
    const int prefixed = strncmp(name, PREFIX, sizeof PREFIX - 1) == 0 ? count : 0;
    for (int i = 0; i < prefixed; i++) {
        const size_t cut = sizeof PREFIX - 1;
        memcpy(out[count++], out[i] + cut, TUB__HF_NAME_LIMIT - cut);
    }
    return count;
}

int tub__vit_spellings(const char *name, char out[TUB__HF_SPELLINGS][TUB__HF_NAME_LIMIT]) {
    static const size_t cut = sizeof "vi" - 1;
    const int count = tub__hf_spellings(name, out);
    for (int i = 0; i < count; i++) {
        if (strncmp(out[i], PREFIX, sizeof PREFIX - 1) == 0) {
            memmove(out[i], out[i] + cut, TUB__HF_NAME_LIMIT - cut);
        }
    }
    return count;
}

void tub__scale_name(const char *name, char out[TUB__HF_NAME_LIMIT]) {
    snprintf(out, TUB__HF_NAME_LIMIT, "%s.scale", name);
}
