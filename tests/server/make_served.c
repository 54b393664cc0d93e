/* SPDX-License-Identifier: Apache-2.0 */
/* make_served FOLDER FRAMES SIDE CLASSES [FRAMES SIDE of a tubelet]: a model folder with fresh weights, for scripts that
 * serve it. */
#include <stdio.h>
#include <stdlib.h>
#include <tubelet/tubelet.h>

int main(int argc, char **argv) {
    tub_context *ctx = NULL;
    tub_model_config c;
    tub_model *model = NULL;
    tub_error err = {.message = "make_served FOLDER FRAMES SIDE CLASSES [FRAMES SIDE]"};
    if ((argc == 5 || argc == 7) && tub_context_create(NULL, &ctx, &err) == TUB_OK &&
        tub_model_preset("vivit-tiny", &c, &err) == TUB_OK) {
        c.frames = atoi(argv[2]);
        c.height = c.width = atoi(argv[3]);
        c.channels = 1;
        c.tubelet[0] = argc == 7 ? atoi(argv[5]) : 1;
        c.tubelet[1] = c.tubelet[2] = argc == 7 ? atoi(argv[6]) : c.height / 2;
        c.classes = atoi(argv[4]);
        if (tub_model_create(ctx, &c, 1, &model, &err) == TUB_OK &&
            tub_model_save(model, argv[1], &err) == TUB_OK) {
            err.message[0] = '\0';
        }
    }
    tub_model_close(model);
    tub_context_destroy(ctx);
    if (err.message[0] != '\0') {
        fprintf(stderr, "%s\n", err.message);
    }
    return err.message[0] != '\0';
}
