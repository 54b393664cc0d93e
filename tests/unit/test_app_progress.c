/* SPDX-License-Identifier: Apache-2.0 */
/* The lines that the program prints of a training's events. */
#include "cmocka_all.h"

#include "progress.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What the events print to stderr, in a static buffer. */
static const char *printed(progress *p, const tub_event *events, int count) {
    static char text[2000];
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    assert_non_null(file);
    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);
    for (int i = 0; i < count; i++) {
        progress_event(p, &events[i]);
    }
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

/* Samples that an earlier part of the run has seen are none of this one's speed: here it has seen
 * none at all, so its speed is 0 however long it took. */
static void rate_after_a_resume(void **state) {
    (void)state;
    static const tub_event events[] = {
        {.kind = TUB_EVENT_TRAIN_START, .message = "run", .done = 5, .total = 12, .samples = 1000},
        {.kind = TUB_EVENT_EPOCH, .done = 6, .total = 12, .epoch = 1, .samples = 1000},
        {.kind = TUB_EVENT_EPOCH, .done = 12, .total = 12, .epoch = 2, .samples = 1000}};
    progress p;
    progress_init(&p, "train", false, false);
    p.terminal = false;
    const char *text = printed(&p, events, 2);
    assert_non_null(strstr(text, "run: going on at step 5 of 12\n"));
    assert_non_null(strstr(text, "     0 samples/s"));
    text = printed(&p, events + 2, 1);
    assert_non_null(strstr(text, "samples/s"));
    assert_null(strstr(text, "     0 samples/s"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rate_after_a_resume)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
