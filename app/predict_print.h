/* SPDX-License-Identifier: Apache-2.0 */
/* Prints predictions: a table on a terminal, tab-separated lines, CSV or JSON. */
#ifndef APP_PREDICT_PRINT_H
#define APP_PREDICT_PRINT_H

#include <stdbool.h>
#include <tubelet/tubelet.h>

typedef enum predict_format { PREDICT_TEXT = 0, PREDICT_CSV, PREDICT_JSON } predict_format;

/* Volumes of one source. */
typedef struct predict_block {
    const char *file;
    int64_t first, count;
    tub_dtype dtype;
    int64_t shape[4];     /* T, H, W, C of a volume */
    const void *samples;  /* [count,T,H,W,C] */
    const int32_t *truth; /* [count] or NULL */
} predict_block;

typedef struct predict_line {
    const char *file;
    int64_t index;
    int32_t truth;              /* -1: not known */
    const float *logits;        /* [classes] */
    const float *probabilities; /* [classes] */
    double milliseconds;
} predict_line;

typedef struct predict_printer {
    predict_format format;
    int64_t classes;
    const char *const *labels;
    bool table; /* stdout is a terminal */
    bool header_done;
    const char *weights; /* "last" or "best" of a run; NULL for a plain model folder */
} predict_printer;

void predict_printer_init(predict_printer *p, predict_format format, int64_t classes,
                          const char *const *labels);
void predict_print(predict_printer *p, const predict_line *line);
/* Seconds of a clock that only goes forward. */
double predict_clock(void);

#endif
