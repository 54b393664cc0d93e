/* SPDX-License-Identifier: Apache-2.0 */
/* What the program prints and draws of a training's events. */
#include "cmocka_all.h"

#include "progress.h"
#include <float.h>
#include <math.h>
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
    progress_init(&p, "train", false, false, true);
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
    progress_init(&p, "fetch", false, false, true);
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
    p = (progress){.live = {.on = true}};
    assert_null(strchr(printed(&p, events + 500, 100), '\n'));
    assert_non_null(strstr(printed(&p, events + REPORTS, 20), "set.npz: 80.0 MB\n"));
}

/* A step of an epoch of 40 samples in 4 steps, with the mean of its losses so far. */
static tub_event step_event(uint64_t step, double mean) {
    return (tub_event){.kind = TUB_EVENT_STEP,
                       .done = step,
                       .total = 8,
                       .epoch = (step - 1) / 4 + 1,
                       .samples = ((step - 1) % 4 + 1) * 10,
                       .train = {mean, 0.5, NAN, NAN}};
}

/* What a step adds to the mean of its epoch is its own loss: here 8, 7, ..., 1. */
static void the_curve_is_of_the_steps(void **state) {
    (void)state;
    static const double means[] = {8, 7.5, 7, 6.5, 4, 3.5, 3, 2.5};
    progress p;
    char curve[64];
    progress_init(&p, "train", true, false, true);
    tub_event start = {.kind = TUB_EVENT_TRAIN_START, .total = 8, .epochs = 2};
    (void)printed(&p, &start, 1);
    for (uint64_t i = 1; i <= 8; i++) {
        tub_event event = step_event(i, means[i - 1]);
        (void)printed(&p, &event, 1);
        if (i == 4) {
            event.kind = TUB_EVENT_EPOCH;
            (void)printed(&p, &event, 1);
        }
    }
    assert_int_equal(spark_draw(&p.loss, 60, false, curve), 8);
    assert_string_equal(curve, "#*+=~-._");
    assert_int_equal(spark_draw(&p.loss, 4, true, curve), 4);
    assert_string_equal(curve, "\u2588\u2586\u2583\u2581");
}

/* Any number of values makes one line of their whole course. */
static void a_long_curve_stays_whole(void **state) {
    (void)state;
    static spark s;
    char curve[LIVE_SPARK * SPARK_CELL + 1];
    for (int i = 0; i < 100000; i++) {
        spark_add(&s, i);
        spark_add(&s, NAN);
    }
    assert_int_equal(spark_draw(&s, 8, false, curve), 8);
    assert_string_equal(curve, "_.-~=+*#");
    s = (spark){0};
    assert_int_equal(spark_draw(&s, 8, false, curve), 0);
    spark_add(&s, 3);
    assert_int_equal(spark_draw(&s, 8, false, curve), 1);
    assert_string_equal(curve, "_");
    assert_int_equal(spark_draw(&s, 0, false, curve), 0);
}

/* The largest numbers, and larger ones than a curve keeps. */
static void a_curve_of_large_numbers(void **state) {
    (void)state;
    static spark s;
    char curve[LIVE_SPARK * SPARK_CELL + 1];
    for (int i = 0; i < 3000; i++) {
        spark_add(&s, i % 2 == 0 ? 1e300 : -1e300);
        spark_add(&s, i < 1500 ? -(double)FLT_MAX : (double)FLT_MAX);
        spark_add(&s, INFINITY);
    }
    for (size_t i = 0; i < s.bins; i++) {
        assert_true(isfinite(s.mean[i]));
    }
    assert_int_equal(spark_draw(&s, 4, false, curve), 4);
    assert_string_equal(curve, "__##");
}

/* More done than there is: the bar is full. */
static void bars_end(void **state) {
    (void)state;
    progress p;
    progress_init(&p, "eval", false, false, true);
    p.live = (live){.on = true};
    tub_event event = {.kind = TUB_EVENT_EVALUATE, .done = 300, .total = 200};
    assert_non_null(strstr(printed(&p, &event, 1), "\r[####################]  100 %  evaluating"));
    p.live = (live){.on = true};
    event.done = event.total = 0;
    assert_non_null(strstr(printed(&p, &event, 1), "[....................]    0 %  evaluating"));
    (void)live_clear();
}

/* Names are shown as they are, cut between characters; what would move the cursor is not. */
static void names_are_shown(void **state) {
    (void)state;
    progress p;
    char name[200] = "";
    for (int i = 0; i < 60; i++) {
        strcat(name, "\u00e4");
    }
    tub_event event = {.kind = TUB_EVENT_CLIPS, .message = name, .done = 1, .total = 2};
    progress_init(&p, "train", false, false, true);
    p.live = (live){.on = true, .utf8 = true};
    const char *text = printed(&p, &event, 1);
    /* 79 columns, without "[....................]   50 %  " 44 or more, with "preparing clips of "
     * 25 */
    assert_non_null(strstr(text, "\u00e4\u00e4\033[K"));
    int letters = 0;
    for (const char *at = text; (at = strstr(at, "\u00e4")) != NULL; at++) {
        letters++;
    }
    assert_int_equal(letters, 79 - 7 - (int)strlen("preparing clips of "));
    p.live = (live){.on = true};
    event.message = "\u00e4\xff";
    assert_non_null(strstr(printed(&p, &event, 1), "preparing clips of ??  1 of 2"));
    p.live = (live){.on = true, .utf8 = true};
    event.message = "a\033[2J\nb";
    text = printed(&p, &event, 1);
    assert_non_null(strstr(text, "preparing clips of a?[2J?b  1 of 2"));
    (void)live_clear();
    progress_init(&p, "train", false, false, true);
    event.done = 0;
    assert_string_equal(printed(&p, &event, 1), "a?[2J?b: preparing 2 clips\n");
    event = (tub_event){.kind = TUB_EVENT_DOWNLOAD, .message = "a\nb", .done = 1, .total = 9};
    assert_string_equal(printed(&p, &event, 1), "a?b: downloading\n");
}

/* No terminal says its size here: 80 columns. What matters less gives way, nothing is cut. */
static void lines_fit(void **state) {
    (void)state;
    progress p;
    progress_init(&p, "train", false, false, true);
    tub_event start = {.kind = TUB_EVENT_TRAIN_START, .total = 8, .epochs = 2};
    (void)printed(&p, &start, 1);
    p.live = (live){.on = true};
    tub_event event = step_event(1, 2.5);
    event.done = 100000;
    event.total = 800000;
    const char *text = printed(&p, &event, 1);
    assert_non_null(strstr(text, "\r[##..................]   12 %  epoch 1/2  "));
    assert_non_null(strstr(text, "left\033[K\nloss 2.5000  top-1 0.500  _\033[K\033[J\r\033[1A"));
    assert_null(strstr(text, "step ")); /* the least */
    event = step_event(4, 2.0);
    event.kind = TUB_EVENT_EPOCH;
    event.val = (tub_scores){1.5, 0.25, NAN, 0.75};
    assert_string_equal(printed(&p, &event, 1), ""); /* a tenth of a second has not passed */
    assert_true(live_clear());
    assert_false(live_clear());
    event = step_event(8, 2.0);
    text = printed(&p, &event, 1); /* the end is drawn at once */
    assert_non_null(strstr(text, "\nepoch 1:  loss 2.0000  val loss 1.5000  val top-1 "
                                 "0.2500  val AUC 0.7500\033[K\033[J\r\033[2A"));
    (void)live_clear();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rate_after_a_resume),       cmocka_unit_test(downloads_are_few_lines),
        cmocka_unit_test(the_curve_is_of_the_steps), cmocka_unit_test(a_long_curve_stays_whole),
        cmocka_unit_test(a_curve_of_large_numbers),  cmocka_unit_test(bars_end),
        cmocka_unit_test(names_are_shown),           cmocka_unit_test(lines_fit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
