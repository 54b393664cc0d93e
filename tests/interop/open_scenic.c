/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a checkpoint of scenic and prints its logits, for check_flax.py:
 * open_scenic CHECKPOINT FRAMES HEIGHT WIDTH CLIPS, where CLIPS is a .npy file [B,T,H,W,C] of float32 */
#include <stdio.h>
#include <stdlib.h>
#include <tubelet/tubelet.h>

#include "base/file.h"
#include "convert/scenic.h"
#include "formats/npy.h"

static const tub_allocator *const heap = &tub__default_allocator;

static tub_status print_logits(tub_model *model, const tub__npy *npy, const char *bytes,
                               tub_error *err) {
    const int64_t clips = (int64_t)npy->shape[0], classes = tub_model_describe(model)->classes;
    float *logits = calloc((size_t)(clips * classes), sizeof *logits);
    tub_status status =
        tub_model_forward(model, clips, TUB_F32, bytes + npy->data_offset, logits, NULL, err);
    for (int64_t i = 0; status == TUB_OK && i < clips * classes; i++) {
        printf("%.9g%c", (double)logits[i], (i + 1) % classes == 0 ? '\n' : ' ');
    }
    free(logits);
    return status;
}

int main(int argc, char **argv) {
    char *bytes = NULL;
    size_t size;
    tub__npy npy;
    tub_context *ctx = NULL;
    tub_model *model = NULL;
    tub_error err = {0};
    if (argc != 6) {
        return 2;
    }
    const tub__scenic_hints hints = {
        .frames = atoi(argv[2]), .height = atoi(argv[3]), .width = atoi(argv[4])};
    tub_status status = tub_context_create(NULL, &ctx, &err);
    if (status == TUB_OK) {
        status = tub__scenic_open(ctx, argv[1], &hints, &model, &err);
    }
    if (status == TUB_OK) {
        status = tub__file_read(heap, argv[5], 1 << 28, &bytes, &size, &err);
    }
    if (status == TUB_OK) {
        status = tub__npy_parse(bytes, size, false, &npy, &err);
    }
    if (status == TUB_OK) {
        status = print_logits(model, &npy, bytes, &err);
    }
    if (status != TUB_OK) {
        fprintf(stderr, "%s\n", err.message);
    }
    tub__free(heap, bytes);
    tub_model_close(model);
    tub_context_destroy(ctx);
    return status != TUB_OK;
}
