/* SPDX-License-Identifier: Apache-2.0 */
/* A small data set, small models, and operations on them in a context whose allocations fail one after the other. */
#ifndef TESTS_FAILING_SCENE_H
#define TESTS_FAILING_SCENE_H

#include "cmocka_all.h"

#include "base/error.h"
#include "failing_alloc.h"
#include "failing_context.h"
#include "model/model.h"
#include "small_npz.h"
#include "temp_folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tubelet/tubelet.h>
#include <unistd.h>

typedef struct scene {
    temp_folder folder;
    char npz[600];   /* the small data set */
    char model[600]; /* a model folder */
} scene;

/* What an operation does with a context whose allocations fail. */
typedef tub_status in_context(tub_context *ctx, const scene *s, tub_error *err);

typedef struct task {
    in_context *work;
    const scene *scene;
    tub_precision precision; /* of the context */
} task;

static inline tub_status work_of(tub_context *ctx, const void *user, tub_error *err) {
    const task *t = user;
    return t->work(ctx, t->scene, err);
}

static inline tub_status run_task(const tub_allocator *a, void *user, tub_error *err) {
    const task *t = user;
    return in_failing_context(a, 2, t->precision, work_of, t, err);
}

static inline tub_model_config tiny(void) {
    tub_model_config c;
    assert_int_equal(tub_model_preset("vivit-tiny", &c, NULL), TUB_OK);
    c.frames = c.height = c.width = SMALL_SIDE;
    c.tubelet[0] = c.tubelet[1] = c.tubelet[2] = 4;
    c.hidden = 16;
    c.heads = 2;
    c.layers = 1;
    c.mlp = 32;
    c.classes = SMALL_CLASSES;
    return c;
}

static inline void check_in(tub_precision precision, const scene *s, in_context *work,
                            long at_least) {
    task t = {work, s, precision};
    failing_report report = failing_run(run_task, &t);
    printf("%ld allocations\n", report.allocations);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations >= at_least);
}

static inline void check(const scene *s, in_context *work, long at_least) {
    check_in(TUB_PRECISION_F32, s, work, at_least);
}

static inline tub_status save_model(tub_context *ctx, const scene *s, tub_error *err) {
    tub_model_config c = tiny();
    tub_model *model;
    TUB__TRY(tub_model_create(ctx, &c, 1, &model, err));
    tub_status status = tub_model_save(model, s->model, err);
    tub_model_close(model);
    return status;
}

static inline int set_up(void **state) {
    static scene s;
    if (access("/dev/shm", W_OK) == 0) {
        setenv("TMPDIR", "/dev/shm",
               0); /* thousands of runs, each flushing many files: not on a disk */
    }
    temp_folder_make(&s.folder);
    snprintf(s.npz, sizeof s.npz, "%s/small.npz", s.folder.path);
    snprintf(s.model, sizeof s.model, "%s/model", s.folder.path);
    static char data[700];
    snprintf(data, sizeof data, "%s/data", s.folder.path);
    setenv("TUBELET_DATA", data, 1);
    *state = &s;
    return small_npz_write(s.npz) ? 0 : -1;
}

static inline int tear_down(void **state) {
    scene *s = *state;
    temp_folder_drop(&s->folder);
    return 0;
}

#endif
