/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the folder of a tiny model that tells dark videos from bright ones, of any size:
 *   make_day_model FOLDER [SHORTEST_EDGE]    frames are resized to that edge (16) and cut to 16 x 16 */
#include <stdio.h>

#include "convert/prepare.h"
#include "day_model.h"

int main(int argc, char **argv) {
    tub_context *ctx = NULL;
    tub_error err = {0};
    if (argc < 2) {
        fprintf(stderr, "usage: make_day_model FOLDER [SHORTEST_EDGE]\n");
        return 2;
    }
    const tub__clip_rule rule = {.sampling = TUB_SAMPLING_UNIFORM,
                                 .picture = {.resize = true,
                                             .crop = true,
                                             .shortest_edge = argc > 2 ? atoi(argv[2]) : DAY_SIDE,
                                             .crop_height = DAY_SIDE,
                                             .crop_width = DAY_SIDE,
                                             .filter = TUB__BILINEAR}};
    assert_ok(tub_context_create(NULL, &ctx, &err), err);
    tub_model *model = day_model(ctx);
    assert_ok(tub__model_set_clip_rule(model, &rule, &err), err);
    assert_ok(tub_model_save(model, argv[1], &err), err);
    tub_model_close(model);
    tub_context_destroy(ctx);
    return 0;
}
