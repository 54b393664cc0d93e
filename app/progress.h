/* SPDX-License-Identifier: Apache-2.0 */
/* Draws the library's events: in place on a terminal, plain lines elsewhere, JSON lines for programs. */
#ifndef APP_PROGRESS_H
#define APP_PROGRESS_H

#include <stdbool.h>
#include <tubelet/tubelet.h>

#include "live.h"
#include "spark.h"

typedef struct progress {
    const char *command; /* prefix of warnings */
    bool quiet;          /* warnings only */
    bool json;           /* one object per epoch on stdout */
    live live;           /* how it is drawn in place, if it is */
    uint64_t epochs;
    uint64_t first_step; /* where this call began, and when: for the time left */
    double started;
    double epoch_started;
    struct {
        char name[64];
        uint64_t done;
        int told; /* 0: nothing; 1: that it began; 2 to 4: quarters; 5: the end */
    } download;
    uint64_t epoch_samples; /* of this epoch that an earlier part of the run has seen */
    spark loss;             /* of the steps */
    uint64_t loss_samples;  /* of this epoch so far, */
    double loss_sum;        /* and the sum of their losses */
    live_line last;         /* the last epoch's figures */
} progress;

/* plain: lines on a terminal, too. */
void progress_init(progress *p, const char *command, bool quiet, bool json, bool plain);
/* A tub_event_fn; user is the progress. */
void progress_event(void *user, const tub_event *event);
#endif
