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
    const int32_t *truth; /* [count, truth_columns] or NULL */
    int64_t truth_columns;
    bool other_names; /* the truth's classes are called otherwise than the model's */
} predict_block;

typedef struct predict_line {
    const char *file;
    int64_t index;
    const int32_t *truth;       /* as many as the model's task has; NULL: not known */
    bool other_names;           /* the truth's classes have other names than the model's */
    const float *logits;        /* [classes] */
    const float *probabilities; /* [classes] */
    double milliseconds;
    int64_t frames;           /* of a file; 0: of a volume in an array */
    double seconds;           /* of a file; NaN: its frames have no times */
    const tub_window *window; /* a row of a timeline, whose index this is; or NULL */
    const char *damage;       /* what can't be decoded of a file; NULL: nothing that was met */
} predict_line;

/* Some of a model's K classes, counted over all heads. */
typedef struct predict_classes {
    int64_t count, *list;
} predict_classes;

typedef struct predict_printer {
    predict_format format;
    const tub_model_config *model;
    const char *const *labels;
    bool table; /* stdout is a terminal */
    bool header_done;
    const char *weights;         /* "last" or "best" of a run; NULL for a plain model folder */
    predict_classes told, truth; /* of the line at hand */
} predict_printer;

/* False: no memory. The model and its labels must outlive the printer. */
bool predict_printer_open(predict_printer *p, predict_format format, const tub_model *model);
void predict_printer_close(predict_printer *p);
void predict_print(predict_printer *p, const predict_line *line);
/* Numbers in a sample's labels. */
int64_t predict_columns(const tub_model_config *model);
/* The first class of the head that class k is of. */
int64_t predict_head_begin(const tub_model_config *model, int64_t k);

/* predict_json.c: one line; told and truth are filled. */
void predict_print_json(const predict_printer *p, const predict_line *line);

/* "2.000" or "0.033366667": seconds, exact, with three decimals or as many as it takes. */
enum { PREDICT_TIME = 32 };
const char *predict_time(char out[PREDICT_TIME], int64_t nanoseconds);

/* Seconds of a clock that only goes forward. */
double predict_clock(void);

#endif
