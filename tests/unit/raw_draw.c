/* SPDX-License-Identifier: Apache-2.0 */
/* Stands for mod-draw in test_sheet.c: the "picture" is its sizes and pixels. */
#include "base/module.h"
#include <stdlib.h>
#include <string.h>

static tub_status to_png(const unsigned char *pixels, uint32_t width, uint32_t height, int channels,
                         unsigned char **bytes, size_t *size, tub_error *err) {
    const uint32_t head[3] = {width, height, (uint32_t)channels};
    const size_t n = (size_t)width * height * (size_t)channels;
    (void)err;
    *bytes = malloc(sizeof head + n);
    if (*bytes == NULL) {
        return TUB_E_MEMORY;
    }
    memcpy(*bytes, head, sizeof head);
    memcpy(*bytes + sizeof head, pixels, n);
    *size = sizeof head + n;
    return TUB_OK;
}

static void release(unsigned char *bytes) {
    free(bytes);
}

extern __attribute__((visibility("default"))) const tub__draw_module tub__module_table;
const tub__draw_module tub__module_table = {
    .version = TUB__MODULE_VERSION, .to_png = to_png, .release = release};
