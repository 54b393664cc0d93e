/* SPDX-License-Identifier: Apache-2.0 */
/* forward MODEL BATCH SECONDS: clips for each processor-second that a model takes on one thread, without a server: what
 * tubelet bench predict measures by the clock, of the time that this process had a processor. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <tubelet/tubelet.h>

static double processor_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
    tub_context_config config = tub_context_config_default();
    tub_context *ctx;
    tub_model *model;
    tub_error err = {.message = "forward MODEL BATCH SECONDS"};
    config.threads = 1;
    if (argc != 4 || tub_context_create(&config, &ctx, &err) != TUB_OK ||
        tub_model_open(ctx, argv[1], &model, &err) != TUB_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const tub_model_config *c = tub_model_describe(model);
    const int64_t batch = atoi(argv[2]);
    const double seconds = atof(argv[3]);
    unsigned char *clips = malloc((size_t)(batch * c->frames * c->height * c->width * c->channels));
    float *logits = malloc((size_t)(batch * c->classes) * sizeof *logits);
    for (int64_t i = 0; i < batch * c->frames * c->height * c->width * c->channels; i++) {
        clips[i] = (unsigned char)(i * 31 >> 4);
    }
    double start = 0, now = 0;
    long passes = -2; /* two to warm up */
    do {
        if (tub_model_forward(model, batch, TUB_U8, clips, logits, NULL, &err) != TUB_OK) {
            fprintf(stderr, "%s\n", err.message);
            return 1;
        }
        now = processor_seconds();
        start = passes < 0 ? now : start;
        passes++;
    } while (passes < 1 || now - start < seconds);
    printf("%.2f\n", (double)(passes * batch) / (now - start));
    free(clips);
    free(logits);
    tub_model_close(model);
    tub_context_destroy(ctx);
    return 0;
}
