/* SPDX-License-Identifier: Apache-2.0 */
/* A server of one model, "tubelet", whose clips are 2x4x4 and have one of 3 classes, as in the recorded
 * conversations; and the same model in the test. */
#ifndef TEST_SERVING_FIXTURE_H
#define TEST_SERVING_FIXTURE_H

#include "serving.h"
#include "serving_models.h"
#include "temp_folder.h"
#include <jansson.h>

enum { K = 3, CLIP = 2 * 4 * 4, ROOM = 1 << 20 };

static const char *program;
static temp_folder folder;
static tub_context *ctx;
static tub_model *model; /* "tubelet", 2x4x4, 3 classes */
static serving server;

static inline int set_up(void **state) {
    char path[512];
    (void)state;
    temp_folder_make(&folder);
    assert_int_equal(tub_context_create(NULL, &ctx, NULL), TUB_OK);
    snprintf(path, sizeof path, "%s/tubelet", folder.path);
    write_model(ctx, path, 2, 4, 2, K, 5);
    model = read_model(ctx, path);
    /* No clip waits for others, so that the test does not. */
    const char *const arguments[] = {folder.path, "--max-delay", "0",  "--reload",
                                     "0",         "--max-body",  "8M", NULL};
    serving_start(&server, program, arguments);
    return 0;
}

static inline int tear_down(void **state) {
    (void)state;
    assert_int_equal(serving_stop(&server), 0);
    tub_model_close(model);
    tub_context_destroy(ctx);
    temp_folder_drop(&folder);
    return 0;
}

static inline void check_error(const answer *a) {
    json_t *json = json_loads(a->body, 0, NULL);
    const char *sentence = json_string_value(json_object_get(json, "error"));
    assert_non_null(sentence);
    assert_true(strlen(sentence) > 3 && strchr(sentence, '\n') == NULL);
    assert_string_equal(answer_header(a, "Content-Type"), "application/json");
    json_decref(json);
}

#endif
