/* SPDX-License-Identifier: Apache-2.0 */
/* Trains a model from C: train_from_c DATA RUN [KEY=VALUE...]
 *
 *   cc train_from_c.c $(pkg-config --cflags --libs tubelet) -o train_from_c
 *   ./train_from_c phantom3d runs/mine epochs=5 lr=3e-4 model.layers=4
 *
 * The run folder is a model folder: predict_from_c, or tubelet predict, use it as it is. */
#include <stdio.h>
#include <string.h>
#include <tubelet/tubelet.h>

/* The library prints nothing: it tells what happens, and the program draws it. */
static void show(void *user, const tub_event *event) {
    (void)user;
    if (event->kind == TUB_EVENT_EPOCH) {
        printf("epoch %llu of %llu: loss %.4f, validation top-1 %.3f, AUC %.3f\n",
               (unsigned long long)event->epoch, (unsigned long long)event->epochs,
               event->train.loss, event->val.top1, event->val.auc);
    } else if (event->kind == TUB_EVENT_LOG) {
        printf("%s\n", event->message);
    }
}

/* KEY=VALUE as in a recipe; docs/training.md lists the keys. */
static tub_status set(tub_train_config *config, const char *argument, tub_error *err) {
    char key[64];
    const char *equals = strchr(argument, '=');
    size_t length = equals != NULL ? (size_t)(equals - argument) : strlen(argument);
    snprintf(key, sizeof key, "%.*s", (int)length, argument);
    return tub_train_config_set(config, key, equals != NULL ? equals + 1 : "true", err);
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: %s DATA RUN [KEY=VALUE...]\n", argv[0]);
        return 2;
    }
    tub_context *ctx = NULL;
    tub_error err;
    tub_train_result result;

    /* 1. Settings: the defaults are the recipe of the Keras example. */
    tub_train_config config = tub_train_config_default();
    tub_status status = tub_train_config_set(&config, "data", argv[1], &err);
    for (int i = 3; i < argc && status == TUB_OK; i++) {
        status = set(&config, argv[i], &err);
    }

    /* 2. A context: threads, instruction set, memory, and who hears of events. */
    if (status == TUB_OK) {
        tub_context_config context = tub_context_config_default();
        context.on_event = show;
        status = tub_context_create(&context, &ctx, &err);
    }

    /* 3. Training. It can be killed at any instant; tub_train_resume goes on to the same bits. */
    if (status == TUB_OK) {
        status = tub_train(ctx, &config, NULL, argv[2], 0, &result, &err);
    }
    if (status == TUB_OK) {
        printf("%lld steps; the best epoch was %lld with validation AUC %.3f\n",
               (long long)result.steps, (long long)result.best_epoch, result.best_val.auc);
    } else {
        fprintf(stderr, "%s: %s\n", argv[0], err.message);
    }
    tub_context_destroy(ctx);
    return status == TUB_OK ? 0 : 1;
}
