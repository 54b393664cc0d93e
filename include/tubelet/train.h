/* SPDX-License-Identifier: Apache-2.0 */
/* Training: configuration, recipes, runs that can be stopped at any instant and continued to the
 * same bits. */
#ifndef TUBELET_TRAIN_H
#define TUBELET_TRAIN_H

#include <tubelet/augment.h>
#include <tubelet/data.h>
#include <tubelet/model.h>
#include <tubelet/predict.h>
#include <tubelet/start.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tub_optimizer { TUB_ADAM = 0, TUB_ADAMW, TUB_SGD } tub_optimizer;
typedef enum tub_adam_form {
    TUB_ADAM_KERAS = 0,
    TUB_ADAM_PYTORCH
} tub_adam_form; /* where epsilon is added */
typedef enum tub_sgd_form {
    TUB_SGD_KERAS = 0,
    TUB_SGD_PYTORCH
} tub_sgd_form; /* learning rate inside or outside the velocity */
typedef enum tub_schedule { TUB_CONSTANT = 0, TUB_COSINE, TUB_COMPOUND } tub_schedule;
typedef enum tub_decay_scope { TUB_DECAY_KERNELS = 0, TUB_DECAY_ALL } tub_decay_scope;
typedef enum tub_class_weights { TUB_WEIGHTS_NONE = 0, TUB_WEIGHTS_BALANCED } tub_class_weights;
typedef enum tub_epoch_sampling { TUB_SHUFFLED = 0, TUB_BALANCED } tub_epoch_sampling;
/* TensorBoard's event files: where mod-events is installed, in any case, or not at all. */
typedef enum tub_event_files {
    TUB_EVENT_FILES_AUTO = 0,
    TUB_EVENT_FILES_ON,
    TUB_EVENT_FILES_OFF
} tub_event_files;
typedef enum tub_evaluate_which { TUB_EVALUATE_LAST = 0, TUB_EVALUATE_BEST } tub_evaluate_which;

/* How model.pooling came about. */
typedef enum tub_pooling_source {
    TUB_POOLING_OF_PRESET = 0, /* or of the model to start from */
    TUB_POOLING_OF_VARIANT,    /* the mean: their class token has no place in the variant */
    TUB_POOLING_GIVEN          /* by its key */
} tub_pooling_source;

enum { TUB_PATH_LENGTH = 4096, TUB_FACTORS_LENGTH = 128 };

/* Everything that decides a run's result, plus a few things that do not (marked *). Plain
 * values: copy freely. */
typedef struct tub_train_config {
    size_t size;                    /* sizeof(tub_train_config) */
    char data[TUB_PATH_LENGTH];     /* data set, as for tub_dataset_open */
    char data_url[TUB_PATH_LENGTH]; /* * mirror for downloads; "" none */
    char data_digest
        [40];      /* of train and val, as tub_dataset_digest; other data are refused; "" any */
    int64_t folds; /* parts of train and val; 0: the data's own splits */
    int64_t fold;  /* the part that is val, from 0; -1: one run after another (tub_train_folds) */
    uint64_t fold_seed; /* at most 9.2e18 */
    char preset[64];    /* model preset that the model values start from */
    char init_from
        [TUB_PATH_LENGTH]; /* a trained model to start from, as for tub_model_start; "" none */
    tub_start_kernel init_kernel;
    tub_start_positions init_positions;
    tub_start_temporal init_temporal;
    int64_t init_clip[3];   /* T, H, W of a checkpoint that does not say them; 0: not known */
    tub_model_config model; /* frames, height, width, channels and classes 0: taken from the data */
    uint64_t seed;          /* at most 9.2e18 */
    int64_t epochs;
    int64_t max_steps; /* 0: no limit */
    int64_t batch_size;
    int64_t micro_batch;     /* * samples of a batch computed at once; 0: all; same bits */
    int recompute;           /* * non-zero: blocks are computed again in backward; same bits */
    int64_t ranks;           /* * simulated ranks in this process; same bits */
    tub_precision precision; /* of products; with bf16 the two above change bits */
    tub_optimizer optimizer;
    double lr;
    double beta1, beta2, epsilon;
    tub_adam_form adam_form;
    double momentum;
    tub_sgd_form sgd_form;
    double weight_decay;
    tub_decay_scope decay_scope;
    double layer_decay; /* 1: the same rate for all; else times this for every block above */
    char freeze
        [16]; /* "none", "embedding", or the number of lowest blocks, the embedding with them */
    double clip_norm; /* global norm of what is trained; 0: off */
    double label_smoothing;
    tub_class_weights class_weights;
    tub_epoch_sampling sampling;
    double ema;     /* decay of the averaged weights; 0: none */
    int ema_warmup; /* non-zero: at step t at most (1 + t) / (10 + t) */
    tub_schedule schedule;
    /* Of the compound schedule (scenic's): factors with * between them. */
    char lr_factors[TUB_FACTORS_LENGTH];
    int64_t steps_per_cycle; /* end of the first cycle of cosine_decay; 0: the run's steps */
    int64_t schedule_steps;  /* that the cosine is made for; 0: those of the run */
    int64_t warmup_steps;    /* length of the linear warm-up; 0: warmup_epochs says it */
    double warmup_epochs;    /* likewise, in epochs */
    double warmup_start;     /* learning rate at step 0 of the warm-up */
    double final_lr_share;   /* cosine ends at lr times this */
    int64_t
        patience; /* early stopping after so many epochs without a better validation AUC; 0: off */
    int64_t checkpoint_every;    /* * steps; 0: at the end of each epoch only */
    tub_evaluate_which evaluate; /* which weights `eval RUN` uses */
    uint64_t split_seed;         /* of sets of files that do not say their splits */
    tub_clip_options clip;       /* of sets of files; frames, height and width stay 0: they are
                                          the model's */
    int64_t
        loader_threads; /* * threads that make samples of coming batches, per rank; 0: one, or where
                                files are decoded half as many as compute, two at least */
    int no_cache;       /* * non-zero: clips that were decoded are not kept on the disk */
    int64_t cache_limit;        /* * bytes of all clips that are kept */
    tub_augment_config augment; /* of the training samples */
    tub_views tta;              /* * views that `eval RUN` and `predict RUN` average over */
    tub_event_files events;     /* * */
    int64_t events_histograms;  /* * epochs from one set of histograms to the next; 0: none */
    int64_t events_images;      /* * training samples of the first step to show; 0: none */
    double
        budget; /* * no setting of a recipe: seconds that tub_train or tub_train_folds has; 0: no limit */
    tub_pooling_source pooling_source; /* * kept by tub_train_config_set and _start */
} tub_train_config;

/* The recipe of the Keras example (recipes/keras-vivit.yaml says the same). */
TUB_API tub_train_config tub_train_config_default(void);

typedef enum tub_option_type {
    TUB_OPTION_INT,
    TUB_OPTION_REAL,
    TUB_OPTION_TEXT,
    TUB_OPTION_CHOICE,
    TUB_OPTION_FLAG,
    TUB_OPTION_INT3,
    TUB_OPTION_HEADS, /* one to TUB_HEAD_LIMIT whole numbers; 0: none */
    TUB_OPTION_RANGE, /* two numbers, the lower one first; one number is both */
    TUB_OPTION_SIZE   /* bytes: "20G", "64MiB", "1000000" */
} tub_option_type;

/* One setting: the same table drives recipe keys, command-line options, help, the man page and
 * the resolved recipe in the run folder. */
typedef struct tub_option {
    const char *key; /* recipe key: "batch_size", "model.heads", "augment.flip_w"; the option is
                 --batch-size, --heads, --augment-flip-w */
    tub_option_type type;
    const char *choices;  /* "adam|adamw|sgd" for TUB_OPTION_CHOICE */
    double low, high;     /* inclusive bounds of numbers */
    const char *argument; /* "N", "RATE" for help */
    const char *help;     /* one line */
} tub_option;
TUB_API const tub_option *tub_train_options(size_t *count);
/* Sets one key from text. "preset" sets every model value again: set it before the others. Where
 * "model.variant" is one without class token and "model.pooling" was not set by its key, a preset's class
 * token becomes the mean, and is back with another variant.
 * Errors: TUB_E_ARGUMENT (unknown key, with a near known one; unknown preset or choice; not a number; NULL),
 * TUB_E_RANGE. */
TUB_API TUB_MUST_USE tub_status tub_train_config_set(tub_train_config *config, const char *key,
                                                     const char *value, tub_error *err);
/* Sets init_from, and every model value again, as that model has them (tub_start_config); clip and
 * classes stay with the data. Other init_ settings go before, other model values after it. Errors as
 * tub_start_config; then nothing has changed. */
TUB_API TUB_MUST_USE tub_status tub_train_config_start(tub_context *ctx, const char *path,
                                                       tub_train_config *config, tub_error *err);
/* The value of one key as text, as tub_train_config_set takes it. */
TUB_API TUB_MUST_USE tub_status tub_train_config_get(const tub_train_config *config,
                                                     const char *key, char *out, size_t size,
                                                     tub_error *err);
/* The options that the settings mean for opening their data set: mirror, seed of the split, and clips. Texts
 * are those of *config. */
TUB_API tub_dataset_options tub_train_dataset_options(const tub_train_config *config);
/* Applies a YAML recipe over *config: a file, or the name of one that comes with tubelet
 * ("keras-vivit", "vivit-adamw", "vivit-scenic", "organ", "adrenal", "modelnet10", "fight", "lung-ultrasound",
 * "motion-variant1" to "motion-variant4"). A recipe
 * with init_from sets every model value as that model has it, after a preset and before the recipe's
 * own. Unknown keys are errors that suggest a near known
 * one. Errors also: TUB_E_MODULE (mod-yaml), TUB_E_FORMAT with line and column. */
TUB_API TUB_MUST_USE tub_status tub_recipe_read(tub_context *ctx, const char *path,
                                                tub_train_config *config, tub_error *err);
/* Checks values against each other, before any work. */
TUB_API TUB_MUST_USE tub_status tub_train_config_check(const tub_train_config *config,
                                                       tub_error *err);

/* Memory that a training takes, in bytes, predicted by the code that lays it out; all ranks
 * together. */
typedef struct tub_train_memory {
    size_t weights;     /* parameters; in bf16 also their rounded copies, plain and transposed */
    size_t gradients;   /* of a step, and sums that wait for others when there are micro-batches */
    size_t moments;     /* of the optimiser */
    size_t average;     /* averaged weights */
    size_t activations; /* of the forward and backward pass of a micro-batch */
    size_t validation;  /* activations of the forward pass that validates */
    size_t data;        /* all samples, batches on their way, and what those are augmented in */
    size_t program;     /* code, libraries, what workers keep for themselves, and files' buffers */
    size_t total; /* the most that the process has in memory at once: their sum, or where that is
                           more, the program and the data twice while a fold is cut */
} tub_train_memory;

/* Of a training on so many threads. The model's sizes must be there (tub_train_plan_of fits them to
 * the data). data: NULL when it is not known: samples of one byte a voxel, none of them counted but the
 * batches on their way, with validation. Errors: those of tub_train_config_check; TUB_E_MEMORY (more
 * than can be addressed). */
TUB_API TUB_MUST_USE tub_status tub_train_memory_of(const tub_train_config *config,
                                                    const tub_dataset_info *data, int threads,
                                                    tub_train_memory *out, tub_error *err);

/* How long a training takes, in seconds. */
typedef struct tub_train_pace {
    double step;  /* of a whole batch */
    double epoch; /* its steps and its validation; files are not counted */
    double total;
} tub_train_pace;

/* What a training would be. */
typedef struct tub_train_plan {
    tub_train_config config;   /* as the run's recipe would say it: sizes and path of the data */
    int64_t count[TUB_SPLITS]; /* samples */
    tub_dtype dtype;           /* of the samples */
    int present;               /* 0: the data set is still to be downloaded; the facts are the
                                  published ones */
    int64_t tokens, parameters;
    int64_t trained;            /* parameters that are not frozen */
    int64_t epoch_steps, steps; /* of one epoch, and in all */
    tub_train_memory memory;    /* on the context's threads */
    tub_train_pace pace; /* with a budget: what its epochs follow from; else 0, not measured */
} tub_train_plan;

/* Does what tub_train does before the first step, but downloads, makes and changes nothing: reads
 * and checks the data, fits the settings to them, and looks whether run (NULL: not yet named) could
 * be made. With a budget it times steps (tub_train_pace_of), and config.epochs are those that fit: of all folds
 * together those of each. Errors as tub_train. */
TUB_API TUB_MUST_USE tub_status tub_train_plan_of(tub_context *ctx, const tub_train_config *config,
                                                  tub_dataset *data, const char *run, int force,
                                                  tub_train_plan *out, tub_error *err);

/* How many of the model's numbers a training changes: all but those that freeze leaves as they are.
 * The model's sizes must be there. Errors: TUB_E_ARGUMENT, TUB_E_RANGE (settings), TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_train_parameters(const tub_train_config *config, int64_t *out,
                                                     tub_error *err);

/* Predicts it for this machine as it is now, on the context's threads: times a few steps of the plan's
 * model on generated samples, of a large model those of one with few layers. Takes a second for a
 * small model, for a large one as long as its step with one sample. Errors: TUB_E_MEMORY
 * (also before it takes more than the machine has), TUB_E_UNSUPPORTED (sizes that bf16 has no products
 * for). */
TUB_API TUB_MUST_USE tub_status tub_train_pace_of(tub_context *ctx, const tub_train_plan *plan,
                                                  tub_train_pace *out, tub_error *err);

typedef struct tub_train_result {
    int64_t steps;
    int64_t epochs;    /* validated ones: the rows of log.csv */
    int partial_epoch; /* 1: max_steps ended the run inside the last of them */
    double seconds;
    tub_scores train, val, best_val; /* last epoch's and the best one's */
    int64_t best_epoch;              /* 0: there is no best model */
    int stopped;                     /* 1: tub_train_stop was called; the run can be resumed */
} tub_train_result;

/* Trains into a run folder. data: an open data set, or NULL to open config->data. run: path of
 * the folder to make; TUB_E_EXISTS unless force, and always while another training is at work on
 * it, and for a place inside another run. result may be NULL. force replaces only what is a run
 * folder with nothing in it but the files of training and evaluation, by its own name: for a link or
 * "." it is TUB_E_ARGUMENT. Other errors: those of tub_dataset_open, TUB_E_SHAPE (data and model
 * sizes), TUB_E_ARGUMENT, TUB_E_RANGE (settings), TUB_E_IO (a full disk: the last checkpoint stays
 * whole), TUB_E_NUMERIC (loss or gradient not finite), TUB_E_MEMORY. The run folder has
 * config.json, recipe.yaml (every value; data is the set's name or its file's absolute path),
 * preprocessor_config.json, model.safetensors, best/, checkpoint/, log.csv, log.jsonl, metrics.json,
 * event files (TUB_E_MODULE where they are asked for and mod-events is missing); with init_from (errors
 * also as tub_model_start) init.json: what became of each array. */
TUB_API TUB_MUST_USE tub_status tub_train(tub_context *ctx, const tub_train_config *config,
                                          tub_dataset *data, const char *run, int force,
                                          tub_train_result *result, tub_error *err);
/* Continues a run from its last checkpoint, to the bits of an uninterrupted run; from the start when
 * it was killed before the first one. data: NULL opens what the recipe names; else the same data from wherever
 * they are now, and the recipe gets their new path. epochs: 0 keeps the run's number; max_steps: -1
 * does, 0 is no limit; other numbers also continue a finished run. Errors as tub_train; TUB_E_NOT_FOUND (no run folder, or a finished or stopped run whose
 * checkpoint is gone), TUB_E_EXISTS (another training is at work on it), TUB_E_FORMAT (damaged checkpoint), TUB_E_ARGUMENT (recipe or data are not those of
 * the checkpoint; fewer epochs or steps than are done). */
TUB_API TUB_MUST_USE tub_status tub_train_resume(tub_context *ctx, const char *run,
                                                 tub_dataset *data, int64_t epochs,
                                                 int64_t max_steps, tub_train_result *result,
                                                 tub_error *err);
/* What a cross-validation has come to: means and standard deviations (of n - 1) over the folds that are
 * done, NaN where those are too few. */
typedef struct tub_folds_result {
    int64_t folds, done;
    tub_scores val, val_deviation; /* of the last weights */
    tub_scores best_val,
        best_val_deviation; /* of the best epoch of each, chosen by the same samples */
    double seconds;         /* of training, over all that are done */
    int stopped;            /* 1: tub_train_stop was called */
} tub_folds_result;

/* What the run of one fold has come to. */
typedef struct tub_fold_state {
    int begun;                  /* its run folder is there */
    int finished;               /* and its training is done */
    int64_t epochs, best_epoch; /* of a run that has ended or was stopped, else 0 */
    double seconds;             /* of training, likewise */
    tub_scores val, best_val;   /* of its last weights and of its best epoch; NaN likewise */
} tub_fold_state;

/* Trains config->folds runs, each without one part of train and val (tub_dataset_folds), or the one
 * that config->fold says: run folders out/fold-0, out/fold-1, ..., and out/folds.json with their
 * scores. The test split is not touched. out must not exist unless force, and with config->fold may
 * hold other folds of the same. A budget is shared out among them. Errors as tub_train; TUB_E_RANGE
 * (more folds than samples). result may be NULL. */
TUB_API TUB_MUST_USE tub_status tub_train_folds(tub_context *ctx, const tub_train_config *config,
                                                tub_dataset *data, const char *out, int force,
                                                tub_folds_result *result, tub_error *err);
/* Trains the folds that are missing, and goes on with one that was interrupted. data: NULL opens what
 * folds.json names. Errors also: TUB_E_NOT_FOUND (no such folder), TUB_E_ARGUMENT (other data, by their
 * digest), TUB_E_EXISTS (a run in it was made with other settings). */
TUB_API TUB_MUST_USE tub_status tub_train_folds_resume(tub_context *ctx, const char *out,
                                                       tub_dataset *data, tub_folds_result *result,
                                                       tub_error *err);
/* The settings of a folder of folds; fold is -1. TUB_E_NOT_FOUND where it is none. */
TUB_API TUB_MUST_USE tub_status tub_folds_config(tub_context *ctx, const char *out,
                                                 tub_train_config *config, tub_error *err);
/* Looks at the run of one fold, folds being what tub_folds_config gave. Errors: TUB_E_EXISTS (the run was made
 * with other settings, or is another fold), and those of a damaged recipe or metrics.json. */
TUB_API TUB_MUST_USE tub_status tub_fold_look(tub_context *ctx, const char *out,
                                              const tub_train_config *folds, int64_t fold,
                                              tub_fold_state *state, tub_error *err);
/* What states [folds] come to; the finished ones count. */
TUB_API void tub_folds_sum_up(const tub_fold_state *states, int64_t folds, tub_folds_result *out);
/* Opens data for a trained run: name, or what the run was trained on where that is NULL. Where they are
 * the run's own, by their content, and the run is a fold, *out has the splits that it was trained with.
 * *own: they are the run's; of a run without data_digest, by name or file. The rest as
 * tub_dataset_open. */
TUB_API TUB_MUST_USE tub_status tub_run_dataset(tub_context *ctx, const tub_train_config *run,
                                                const char *name,
                                                const tub_dataset_options *options,
                                                tub_dataset **out, int *own, tub_error *err);

/* Asks the training in ctx to finish its step, save and return with result->stopped; before a
 * training it asks the next one, which then does one step. A download is stopped, too, and what it
 * has brought is kept. Async-signal-safe. */
TUB_API void tub_train_stop(tub_context *ctx);
/* The recipe of a run folder. */
TUB_API TUB_MUST_USE tub_status tub_run_config(tub_context *ctx, const char *run,
                                               tub_train_config *out, tub_error *err);

#ifdef __cplusplus
}
#endif
#endif
