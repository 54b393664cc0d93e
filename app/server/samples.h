/* SPDX-License-Identifier: Apache-2.0 */
/* Clips to try a model with, generated when somebody first asks for them. */
#ifndef APP_SERVER_SAMPLES_H
#define APP_SERVER_SAMPLES_H

#include <pthread.h>
#include <stddef.h>

enum { SAMPLES = 8 }; /* their numbers have one digit */

typedef struct sample {
    char name[64];
    void *bytes; /* of a GIF */
    size_t size;
} sample;

typedef struct samples {
    pthread_mutex_t lock;
    int count; /* 0: not made yet */
    sample list[SAMPLES];
} samples;

void samples_init(samples *s);
void samples_free(samples *s);

#endif
