/* SPDX-License-Identifier: Apache-2.0 */
/* What tubelet explain is made of: the clip that it explains, what there is to say of a map, the
 * files. */
#ifndef APP_EXPLAIN_PARTS_H
#define APP_EXPLAIN_PARTS_H

#include "members.h"
#include "stage.h"

/* Whether a method looks at attention: it has axes, layers and heads, and no baseline. */
static inline bool explain_attends(tub_explain_method method) {
    return method == TUB_EXPLAIN_GRADIENT_ROLLOUT || method == TUB_EXPLAIN_ROLLOUT ||
           method == TUB_EXPLAIN_ATTENTION;
}

/* One clip, as the model takes it. */
typedef struct explain_clip {
    tub_clip clip; /* to be shown; its samples are those of one of the following, or its own */
    tub_volumes volumes; /* of an array; all zero: of none */
    void *sample;        /* of a data set, as it has it; NULL: of none */
    float *prepared;     /* of a volume that the model's folder prepares; NULL: none is */
    tub_dtype dtype;
    const void *x; /* [T,H,W,C] */
    bool volume;   /* its frames have no times: it has slices across three axes */
} explain_clip;
/* explain_clip.c. Of a file; sampled: options say how frames are chosen. The sentence has the
 * file's name. */
tub_status explain_clip_read(tub_context *ctx, const tub_model *model, const char *file,
                             const tub_clip_read_options *options, bool sampled, explain_clip *out,
                             tub_error *err);
/* Of a data set that was opened for the model. The sentence has the set's name, or the file's. */
tub_status explain_clip_sample(const tub_model *model, const tub_dataset *data, tub_split split,
                               int64_t sample, explain_clip *out, tub_error *err);
void explain_clip_free(explain_clip *c); /* accepts one that is all zero */

/* A sample of a data set: which, and what it is. */
typedef struct explain_sample {
    tub_dataset *data;
    tub_split split;
    int64_t number;
    const char *file; /* the data set's name, or of samples in files the sample's */
    int64_t *truth;   /* its classes, as columns of the logits */
    int64_t truths;
} explain_sample;
/* explain_sample.c. Opens the data set (name NULL: that of the run) and looks the sample up. m: the
 * one model. CLI_GO, or the exit code after a sentence; explain_sample_close in any case. */
int explain_sample_open(const cli_command *self, tub_context *ctx, const members *m,
                        const tub_model *model, members_data which, int64_t number,
                        explain_sample *out);
void explain_sample_close(explain_sample *s); /* accepts one that is all zero */

/* What a map says in a few numbers; of positive values, unless it is said otherwise. */
typedef struct explain_facts {
    double low, high;     /* of all values */
    double sum, positive; /* of all values, and of those above zero */
    int64_t peak[3];      /* frame, row and column of the largest */
    double
        centre[3];  /* the mean place, weighted by the value; NaN where there is none above zero */
    double half;    /* share of the voxels that have half of it together */
    double *frames; /* [T]: share of each frame */
} explain_facts;
/* explain_facts.c. False: no memory. */
bool explain_facts_of(const tub_explanation *e, explain_facts *out);
void explain_facts_free(explain_facts *f);

/* Files of a prefix. */
enum { EXPLAIN_FILES = 5 };
typedef struct explain_files {
    char *path[STAGE_FILES]; /* the map and its pictures, and behind them arrays */
    int count, pictures;     /* all of them; the map and its pictures */
    stage stage;             /* where they are made */
} explain_files;
/* explain_files.c. The names that there will be: PREFIX.npy, .gif, .png, of volumes -rows.png and
 * -columns.png, and with raw != NULL those of its arrays, as of tub_explain. False: no memory. */
bool explain_files_of(const char *prefix, bool volume, const tub_model *model,
                      const tub_explain_options *raw, explain_files *out);
void explain_files_free(explain_files *f); /* removes what was not committed; accepts all zero */
/* Whether they may be written: none is `input`, and none is there, or force says that it may go.
 * CLI_GO, or the exit code after a sentence. */
int explain_files_check(const cli_command *self, const explain_files *f, const char *input,
                        bool force);
/* Begins them, and loads what draws them, so that what fails then fails before the work. */
int explain_files_begin(const cli_command *self, tub_context *ctx, explain_files *f,
                        const char *prefix);
tub_status explain_files_write(const explain_files *f, const tub_explanation *e,
                               const tub_clip *clip, tub_error *err);
/* All of them get their names, or none. */
int explain_files_commit(const cli_command *self, explain_files *f, bool force);

/* Everything that is printed. */
typedef struct explain_report {
    const char *file, *weights;
    const explain_sample *sample; /* NULL: of a file */
    const tub_explain_options *options;
    const tub_explanation *explanation;
    const explain_facts *facts;
    const tub_explain_curves *curves; /* NULL: not asked for */
    const char *const *labels;
    const explain_files *files; /* NULL: none were written */
} explain_report;
/* explain_print.c. A warning where the map is not what it says; what is printed, as lines or as an
 * object. An exit code. */
int explain_print(const cli_command *self, const explain_report *r, bool json);

#endif
