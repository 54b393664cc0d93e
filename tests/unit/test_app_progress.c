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

/* A thousand reports of one download: a line at its beginning, quarters and end, each once. */
static void downloads_are_few_lines(void **state) {
    (void)state;
    enum { REPORTS = 1000 };
    static tub_event events[REPORTS + 20];
    progress p;
    progress_init(&p, "fetch", false, false);
    p.terminal = false;
    for (int i = 0; i < REPORTS + 20; i++) {
        uint64_t done = i < REPORTS ? (uint64_t)i * 80000 : 80000000; /* the end is told again */
        events[i] = (tub_event){.kind = TUB_EVENT_DOWNLOAD,
                                .message = "set.npz",
                                .done = done,
                                .total = i < 3 ? 0 : 80000000};
    }
    assert_string_equal(printed(&p, events, REPORTS + 20), "set.npz: downloading\n"
                                                           "set.npz: 20.0 of 80.0 MB\n"
                                                           "set.npz: 40.0 of 80.0 MB\n"
                                                           "set.npz: 60.0 of 80.0 MB\n"
                                                           "set.npz: 80.0 MB\n");
    assert_string_equal(
        printed(&p, &(tub_event){.kind = TUB_EVENT_DOWNLOAD, .message = "none.npz"}, 1), "");
    /* Another file, and one that goes on behind its middle. */
    events[0] = (tub_event){
        .kind = TUB_EVENT_DOWNLOAD, .message = "other.npz", .done = 600, .total = 100000000};
    assert_string_equal(printed(&p, events, 1), "other.npz: downloading\n");
    events[0].message = "third.npz";
    events[0].done = 60000000;
    assert_string_equal(printed(&p, events, 1), "third.npz: 60.0 of 100.0 MB\n");
    /* One that starts again tells it; a quiet command nothing. */
    events[0].done = 5;
    assert_string_equal(printed(&p, events, 1), "third.npz: downloading\n");
    events[0].total = 1000; /* a small one has no quarters */
    events[0].done = 600;
    assert_string_equal(printed(&p, events, 1), "");
    events[0].done = 1000;
    assert_string_equal(printed(&p, events, 1), "third.npz: 0.0 MB\n");
    p.quiet = true;
    events[0].message = "fourth.npz";
    events[0].done = 100000000;
    assert_string_equal(printed(&p, events, 1), "");
    /* With a bar only the end is a line of its own. */
    p = (progress){.terminal = true};
    assert_null(strchr(printed(&p, events + 500, 100), '\n'));
    assert_non_null(strstr(printed(&p, events + REPORTS, 20), "set.npz: 80.0 MB\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rate_after_a_resume),
                                       cmocka_unit_test(downloads_are_few_lines)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
