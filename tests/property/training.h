/* SPDX-License-Identifier: Apache-2.0 */
/* What the training properties share: a scratch folder, the small data and recipe, runs, and
 * what they leave behind. */
#ifndef TUB__TESTS_TRAINING_H
#define TUB__TESTS_TRAINING_H

#include <stdbool.h>
#include <stddef.h>
#include <tubelet/tubelet.h>

/* How a run is computed: nothing of it may change a bit. */
typedef struct how {
    int threads;
    tub_cpu cpu;
    int ranks, micro_batch; /* 0: the recipe's */
} how;

/* True when this processor has an instruction set; says so when it lacks it. */
bool runs_on(tub_cpu cpu);

extern const how plainly; /* one thread, best instruction set */

/* Set-up of a group of tests: makes a fresh folder with the data set tiny.npz and goes there, so
 * that names are relative to it; and tiny-labels.npz and tiny-heads.npz. */
int scratch_enter(void **state);
/* The same, and the run "reference" of long_recipe(). */
int scratch_enter_with_reference(void **state);
int scratch_leave(void **state); /* removes it */

/* A small odd model with dropout, batch 26 (7 groups of 4, the last of 2) over 46 samples: two
 * steps an epoch, the second short. */
tub_train_config small_recipe(void);

/* Other data: tiny-labels.npz or tiny-heads.npz. */
void use_labels_of(tub_train_config *c, const char *data);
/* Everything that drops at random, turned on. */
void turn_drops_on(tub_train_config *c);

/* Much of augmentation, turned on: the small data have no sides, and as many frames as the
 * model. */
void turn_augmentation_on(tub_train_config *c);

/* Averaged weights, balanced epochs, rates by depth, a frozen embedding. */
void turn_accuracy_on(tub_train_config *c);

/* The same for six epochs of six steps, with a checkpoint every four. */
tub_train_config long_recipe(void);

/* Trains, or resumes when resume is set, in a context of its own. */
tub_status run(const tub_train_config *config, const how *by, const char *folder, bool resume,
               tub_event_fn *on_event, void *user, tub_train_result *result, tub_error *err);
/* Trains in a context of such a configuration, but of by's threads and instruction set. */
tub_status train_in(tub_context_config context, const tub_train_config *config, const how *by,
                    const char *folder, tub_error *err);
/* As run, and fails the test when it does not work. */
void must_run(const tub_train_config *config, const how *by, const char *folder);

/* Trains or resumes in a child that kills itself at its n-th event (0: never), with long_recipe()
 * where config is NULL; true when it ended by itself (and well), false when it was killed.
 * delay >= 0: the parent kills after so many microseconds. */
bool child_of(const tub_train_config *config, const char *folder, bool resume, int events,
              int delay);
bool child(const char *folder, bool resume, int events, int delay);

/* SHA-256 of a file in a run folder. */
void file_hash(const char *folder, const char *name, char hex[65]);
/* The log without its time column: the caller frees it. */
char *log_without_time(const char *folder);
/* Fails the test unless both runs ended with the same weights, best weights, and log. */
void assert_same_run(const char *a, const char *b);
/* Fails the test when both have the same weights. */
void assert_other_weights(const char *a, const char *b);
/* True when the folder holds a recipe. */
bool is_run(const char *folder);
/* Fails the test when a run folder holds temporary files. */
void assert_clean(const char *folder);
/* Files in a folder whose names say that they are temporary. */
int count_temporaries(const char *folder);

#endif
