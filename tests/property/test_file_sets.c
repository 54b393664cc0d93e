/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold of trainings on files: the same bits however they are computed or interrupted, one split in
 * every command, broken files left out, and the same clips for evaluation as for prediction. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "convert/prepare.h"
#include "data/clip_read.h"
#include "data/file_set.h"
#include "tiny_files.h"
#include "training.h"

enum { OF_CLASS = 20 };

static void write_junk(const char *path) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs("\x93NUMPY\x01 and no more", file);
    fclose(file);
}

/* Two classes; broken: every tenth file is. */
static void make_set(const char *folder, bool broken) {
    char path[256];
    for (int label = 0; label < 2; label++) {
        snprintf(path, sizeof path, "%s/%s", folder, label == 0 ? "down" : "up");
        assert_int_equal(tub__folder_create(path, NULL), TUB_OK);
        for (int i = 0; i < OF_CLASS; i++) {
            snprintf(path, sizeof path, "%s/%s/%02d.npy", folder, label == 0 ? "down" : "up", i);
            if (broken && i % 10 == 3) {
                write_junk(path);
            } else {
                tiny_file_write(path, label, i);
            }
        }
    }
}

static int enter(void **state) {
    const int made = scratch_enter(state);
    make_set("set", false);
    make_set("broken", true);
    return made;
}

static tub_train_config recipe(void) {
    return tiny_files_recipe("set");
}

static tub_context *context(void) {
    tub_context *ctx;
    assert_int_equal(tub_context_create(NULL, &ctx, NULL), TUB_OK);
    return ctx;
}

static void same_bits(void **state) {
    (void)state;
    static const how ways[] = {
        {3, TUB_CPU_AUTO, 1, 0}, {2, TUB_CPU_AUTO, 2, 0}, {1, TUB_CPU_AUTO, 1, 2}};
    const tub_train_config c = recipe();
    char name[32];
    must_run(&c, &plainly, "plain");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        snprintf(name, sizeof name, "way-%zu", i);
        must_run(&c, &ways[i], name);
        assert_same_run("plain", name);
    }
    tub_train_config other = recipe(); /* control: the seed draws other frames */
    other.seed = 7;
    must_run(&other, &plainly, "other-seed");
    assert_other_weights("plain", "other-seed");
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NO_CHILDREN 1 /* it can't follow a process with threads into a child */
#endif
#elif defined(__SANITIZE_THREAD__)
#define NO_CHILDREN 1
#endif

#ifndef NO_CHILDREN
/* Killed at some events, from a folder that has moved meanwhile. */
static void resumed(void **state) {
    (void)state;
    const tub_train_config c = recipe();
    char name[32];
    tub_error err = {0};
    for (int events = 4; events < 16; events += 4) {
        snprintf(name, sizeof name, "killed-%d", events);
        (void)child_of(&c, name, false, events, -1);
        assert_ok(run(NULL, &(how){2, TUB_CPU_AUTO, 1, 0}, name, true, NULL, NULL, NULL, &err),
                  err);
        assert_same_run("plain", name);
    }
    (void)child_of(&c, "moved", false, 6, -1);
    assert_int_equal(rename("set", "elsewhere"), 0);
    assert_int_equal(run(NULL, &plainly, "moved", true, NULL, NULL, NULL, &err), TUB_E_NOT_FOUND);
    tub_context *ctx = context();
    tub_dataset *data;
    const tub_dataset_options options = tub_train_dataset_options(&c);
    assert_ok(tub_dataset_open(ctx, "elsewhere", &options, &data, &err), err);
    assert_ok(tub_train_resume(ctx, "moved", data, 0, -1, NULL, &err), err);
    tub_dataset_close(data);
    assert_same_run("plain", "moved");
    assert_int_equal(rename("elsewhere", "set"), 0);

    /* other content under the same names is other data */
    (void)child_of(&c, "changed", false, 6, -1);
    make_set("changing", false);
    tiny_file_write("changing/up/00.npy", 1, 100);
    assert_ok(tub_dataset_open(ctx, "changing", &options, &data, &err), err);
    assert_int_equal(tub_train_resume(ctx, "changed", data, 0, -1, NULL, &err), TUB_E_ARGUMENT);
    tub_dataset_close(data);
    tub_context_destroy(ctx);
}

#endif

/* The names of a split's files, one after the other. */
static char *names_of(const tub_dataset *data, tub_split split) {
    char *text = calloc(1, 1 << 14);
    for (int64_t i = 0; i < tub_dataset_describe(data)->count[split]; i++) {
        tub_file file;
        const int64_t number = tub_dataset_sample_file(data, split, i);
        assert_int_equal(tub_dataset_file(data, number, &file, NULL), TUB_OK);
        assert_int_equal(file.sample, i);
        assert_int_equal(file.split, split);
        strcat(strcat(text, file.name), "\n");
    }
    return text;
}

/* The seed of a training is not that of the split: what it tests on, no command has trained on. */
static void one_split(void **state) {
    (void)state;
    tub_train_config c = recipe();
    tub_context *ctx = context();
    tub_error err = {0};
    tub_model *model;
    c.seed = 1;
    must_run(&c, &plainly, "seed-1");
    assert_int_equal(tub_model_open(ctx, "seed-1", &model, NULL), TUB_OK);
    const tub_dataset_options ways[] = {tub_train_dataset_options(&c),
                                        tub_model_dataset_options(model),
                                        tub_dataset_options_default()};
    char *wanted[TUB_SPLITS] = {0};
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        tub_dataset *data;
        assert_ok(tub_dataset_open(ctx, "set", &ways[w], &data, &err), err);
        for (int s = 0; s < TUB_SPLITS; s++) {
            char *names = names_of(data, (tub_split)s);
            if (w == 0) {
                wanted[s] = names;
            } else {
                assert_string_equal(names, wanted[s]);
                free(names);
            }
        }
        tub_dataset_close(data);
    }
    for (int s = 0; s < TUB_SPLITS; s++) {
        assert_true(strlen(wanted[s]) > 0);
        free(wanted[s]);
    }
    tub_model_close(model);
    tub_context_destroy(ctx);
}

typedef struct told {
    int skipped, counted;
} told;

static void listen(void *user, const tub_event *e) {
    told *t = user;
    if (e->kind == TUB_EVENT_LOG) {
        t->skipped += strstr(e->message, "; skipped") != NULL;
        t->counted += strstr(e->message, "4 of 40 files can't be read") != NULL;
    }
}

static void broken_files(void **state) {
    (void)state;
    tub_train_config c = recipe();
    told t = {0};
    tub_error err = {0};
    char text[4096] = "";
    strcpy(c.data, "broken");
    assert_ok(run(&c, &plainly, "of-broken", false, listen, &t, NULL, &err), err);
    assert_int_equal(t.skipped, 4);
    assert_int_equal(t.counted, 1);
    FILE *file = fopen("of-broken/metrics.json", "r");
    assert_non_null(file);
    assert_true(fread(text, 1, sizeof text - 1, file) > 0);
    fclose(file);
    assert_non_null(strstr(text, "\"files_left_out\": 4"));
    assert_non_null(strstr(text, "\"split_seed\": 0"));
    c.seed = 43;
    must_run(&c, &(how){3, TUB_CPU_AUTO, 1, 0}, "of-broken-again");
    c.seed = 42;
    must_run(&c, &(how){3, TUB_CPU_AUTO, 1, 0}, "of-broken-threads");
    assert_same_run("of-broken", "of-broken-threads");
}

/* A file that breaks after the survey ends the run with one sentence that names it. */
static void breaks_later(void **state) {
    (void)state;
    const tub_train_config c = recipe();
    const tub_dataset_options options = tub_train_dataset_options(&c);
    tub_context *ctx = context();
    tub_dataset *data;
    tub_error err = {0};
    tub_file file;
    make_set("fragile", false);
    assert_ok(tub_dataset_open(ctx, "fragile", &options, &data, &err), err);
    assert_int_equal(
        tub_dataset_file(data, tub_dataset_sample_file(data, TUB_TRAIN, 3), &file, NULL), TUB_OK);
    write_junk(file.path);
    assert_int_not_equal(tub_train(ctx, &c, data, "of-fragile", 0, NULL, &err), TUB_OK);
    assert_non_null(strstr(err.message, file.path));
    tub_dataset_close(data);
    tub_context_destroy(ctx);
}

/* The clip of a file as its model folder takes it. */
static void read_as_model(tub_context *ctx, const tub_model *model, const char *path, void *out) {
    const tub_model_config *c = tub_model_describe(model);
    const tub__clip_rule rule = tub__model_clip_rule(model);
    const tub__clip_form form = {.picture = rule.picture, .channels = c->channels};
    const tub__frame_plan plan = {rule.sampling, c->frames, rule.stride};
    tub__clip_file *clip;
    tub__clip_reader *reader;
    tub_error err = {0};
    assert_ok(tub__clip_open(ctx, path, 1, NULL, &clip, &err), err);
    assert_ok(tub__clip_reader_create(&ctx->allocator, clip, &form, 1, &reader, &err), err);
    assert_ok(tub__clip_read_views(reader, &plan, NULL, 1, out, &err), err);
    tub__clip_reader_destroy(reader);
    tub__clip_close(clip);
}

/* Evaluation's samples are those that the folder of the trained model makes of the files. */
static void as_predicted(void **state) {
    (void)state;
    enum { BYTES = 4 * 16 * 16 };
    tub_context *ctx = context();
    tub_model *model;
    tub_dataset *data;
    tub_error err = {0};
    int others = 0;
    const tub_train_config c = recipe();
    assert_ok(tub_model_open(ctx, "plain", &model, &err), err);
    for (int way = 0; way < 2; way++) { /* as training validates; as eval opens */
        const tub_dataset_options o =
            way == 0 ? tub_train_dataset_options(&c) : tub_model_dataset_options(model);
        assert_ok(tub_dataset_open(ctx, "set", &o, &data, &err), err);
        const tub_dataset_info *info = tub_dataset_describe(data);
        assert_int_equal(tub__dataset_sample_bytes(info), BYTES);
        assert_null(tub_dataset_samples(data, TUB_TEST));
        for (int s = 0; s < TUB_SPLITS; s++) {
            for (int64_t i = 0; i < info->count[s]; i++) {
                unsigned char mine[BYTES], wanted[BYTES], drawn[BYTES];
                tub_file file;
                assert_ok(tub_dataset_read(data, (tub_split)s, i, 1, mine, &err), err);
                assert_int_equal(tub_dataset_file(data,
                                                  tub_dataset_sample_file(data, (tub_split)s, i),
                                                  &file, NULL),
                                 TUB_OK);
                read_as_model(ctx, model, file.path, wanted);
                assert_memory_equal(mine, wanted, BYTES);

                tub__source source = {0}; /* control: training draws others */
                const tub__sample_key key = {1, 2, (uint32_t)i, (uint32_t)i};
                if (way == 0) {
                    assert_ok(tub__dataset_source(data, (tub_split)s, (size_t)i, &source, &err),
                              err);
                    assert_ok(tub__source_clip(data, (tub_split)s, &source, &key, drawn, &err),
                              err);
                    others += memcmp(mine, drawn, BYTES) != 0;
                    tub__source_free(data, &source);
                }
            }
        }
        tub_dataset_close(data);
    }
    assert_true(others > 10);
    tub_model_close(model);
    tub_context_destroy(ctx);
}

/* Of a file of no more than max_frames, training's frames are frames of the file, cropped as evaluation crops
 * them: each is in what a clip of all frames shows. */
static void drawn_frames(void **state) {
    (void)state;
    enum { FRAME = 16 * 16 };
    tub_context *ctx = context();
    tub_train_config c = recipe();
    tub_error err = {0};
    c.clip.max_frames = 64;
    const tub_dataset_options o = tub_train_dataset_options(&c);
    tub_dataset *data;
    assert_ok(tub_dataset_open(ctx, "set", &o, &data, &err), err);
    for (size_t i = 0; i < 8; i++) {
        unsigned char drawn[4 * FRAME];
        tub__source source = {0};
        const tub__sample_key key = {3, 1, (uint32_t)i, (uint32_t)i};
        assert_ok(tub__dataset_source(data, TUB_TRAIN, i, &source, &err), err);
        assert_ok(tub__source_clip(data, TUB_TRAIN, &source, &key, drawn, &err), err);
        int64_t last = -1;
        for (int t = 0; t < 4; t++) {
            int64_t found = -1;
            for (int64_t f = last + 1; f < source.frames && found < 0; f++) {
                bool same = true;
                const int64_t top = (source.height - 16) / 2, left = (source.width - 16) / 2;
                for (int64_t y = 0; y < 16 && same; y++) {
                    same = memcmp((const unsigned char *)source.samples +
                                      (f * source.height + top + y) * source.width + left,
                                  drawn + t * FRAME + y * 16, 16) == 0;
                }
                found = same ? f : -1;
            }
            assert_true(found > last);
            last = found;
        }
        tub__source_free(data, &source);
    }
    tub_dataset_close(data);
    tub_context_destroy(ctx);
}

static void refused(void **state) {
    (void)state;
    tub_context *ctx = context();
    tub_error err = {0};
    tub_train_config c = recipe();
    c.clip.resize = 12;
    assert_int_equal(tub_train_config_check(&c, &err), TUB_E_RANGE);
    assert_non_null(strstr(err.message, "clip.resize 12 is below model.height 16"));
    tub_dataset_options o = tub_dataset_options_default();
    tub_dataset *data;
    o.clip.resize = 100;
    assert_int_equal(tub_dataset_open(ctx, "set", &o, &data, &err), TUB_E_RANGE);
    assert_non_null(strstr(err.message, "needs 112 or more"));
    assert_int_equal(tub__folder_create("nothing/a", NULL), TUB_OK);
    write_junk("nothing/a/x.npy");
    write_junk("nothing/a/y.npy");
    assert_int_equal(tub_dataset_open(ctx, "nothing", NULL, &data, &err), TUB_E_FORMAT);
    assert_non_null(strstr(err.message, "none of its 2 files can be read"));
    tub_context_destroy(ctx);
}

/* Floats of another size than most: left out with what to do about it. */
static void floats_of_two_sizes(void **state) {
    (void)state;
    static float values[4 * 9 * 9];
    tub_context *ctx = context();
    tub_dataset_options o = tub_dataset_options_default();
    tub_dataset *data;
    tub_file file;
    tub_error err = {0};
    assert_int_equal(tub__folder_create("floats/a", NULL), TUB_OK);
    for (int i = 0; i < 3; i++) {
        char path[64];
        const uint64_t side = i == 2 ? 9 : 8;
        snprintf(path, sizeof path, "floats/a/%d.npy", i);
        const test_array array = {path, "<f4", 3, {4, side, side}, values, 0};
        assert_int_equal(make_npy(path, &array), 0);
    }
    o.clip.frames = 4;
    o.clip.height = o.clip.width = 8;
    assert_ok(tub_dataset_open(ctx, "floats", &o, &data, &err), err);
    assert_ok(tub_dataset_file(data, 0, &file, &err), err);
    assert_null(file.problem);
    assert_ok(tub_dataset_file(data, 2, &file, &err), err);
    assert_string_equal(file.problem,
                        "its frames of 9 x 9 are float32, which are never resized, and clips are "
                        "of 8 x 8; a clip.intensity_window makes levels of them, which are "
                        "resized, or resample all to one size");
    tub_dataset_close(data);
    tub_context_destroy(ctx);
}

enum { LOW = -160, HIGH = 240, DARKER = -1000, BRIGHTER = 3071 }; /* Hounsfield units */

/* The set of levels once more, of intensities that a window makes the same levels of. */
static void make_intensities(const char *from, const char *to) {
    static float values[LONGEST * TALLEST * TALLEST];
    tub_context *ctx = context();
    char path[256], other[256];
    for (int label = 0; label < 2; label++) {
        const char *class = label == 0 ? "down" : "up";
        snprintf(path, sizeof path, "%s/%s", to, class);
        assert_int_equal(tub__folder_create(path, NULL), TUB_OK);
        for (int i = 0; i < OF_CLASS; i++) {
            tub_volumes v;
            tub_error err = {0};
            snprintf(path, sizeof path, "%s/%s/%02d.npy", from, class, i);
            snprintf(other, sizeof other, "%s/%s/%02d.npy", to, class, i);
            assert_ok(tub_volumes_read(ctx, path, NULL, &v, &err), err);
            const unsigned char *levels = v.data;
            for (int64_t k = 0; k < v.frames * v.height * v.width; k++) {
                values[k] = levels[k] == 0     ? DARKER
                            : levels[k] == 255 ? BRIGHTER
                                               : (float)(LOW + levels[k] * (HIGH - LOW) / 255.0);
            }
            const test_array array = {
                other,  "<f4", 3, {(uint64_t)v.frames, (uint64_t)v.height, (uint64_t)v.width},
                values, 0};
            assert_int_equal(make_npy(other, &array), 0);
            tub_volumes_free(&v);
        }
    }
    tub_context_destroy(ctx);
}

static void read_test_clips(tub_context *ctx, const char *set, const tub_dataset_options *o,
                            int64_t count, unsigned char *out) {
    tub_dataset *data;
    tub_error err = {0};
    assert_ok(tub_dataset_open(ctx, set, o, &data, &err), err);
    assert_int_equal(tub_dataset_describe(data)->dtype, TUB_U8);
    assert_ok(tub_dataset_read(data, TUB_TEST, 0, count, out, &err), err);
    tub_dataset_close(data);
}

/* Volumes of intensities, of many sizes, train as the levels do that a window makes of them, to the last bit; the model
 * remembers the window, and predicts from intensities what it predicts from levels. */
static void windowed(void **state) {
    (void)state;
    enum { CLIP = 4 * 16 * 16, TESTS = 6 };
    static unsigned char of_levels[TESTS * CLIP], of_values[TESTS * CLIP];
    tub_train_config c = recipe();
    tub_context *ctx = context();
    tub_model *model;
    tub_error err = {0};
    float wanted[2], got[2];
    make_intensities("set", "intensities");
    snprintf(c.data, sizeof c.data, "intensities");
    assert_int_equal(tub_train_config_set(&c, "clip.intensity_window", "-160,240", NULL), TUB_OK);
    must_run(&c, &plainly, "windowed");
    assert_same_run("plain", "windowed");

    assert_ok(tub_model_open(ctx, "windowed", &model, &err), err);
    const tub_dataset_options o = tub_model_dataset_options(model);
    read_test_clips(ctx, "set", &o, TESTS, of_levels);
    read_test_clips(ctx, "intensities", &o, TESTS, of_values);
    assert_memory_equal(of_levels, of_values, sizeof of_levels);
    const char *const paths[2] = {"set/up/02.npy", "intensities/up/02.npy"};
    for (int i = 0; i < 2; i++) {
        const tub_clip_read_options read = {.size = sizeof read, .model = model, .to = -1};
        tub_clip clip;
        assert_ok(tub_clip_read(ctx, paths[i], &read, &clip, &err), err);
        assert_int_equal(clip.dtype, TUB_U8);
        assert_ok(
            tub_model_forward(model, 1, TUB_U8, clip.samples, i == 0 ? wanted : got, NULL, &err),
            err);
        tub_clip_free(&clip);
    }
    assert_memory_equal(wanted, got, sizeof wanted);
    tub_model_close(model);
    tub_context_destroy(ctx);

    /* control: another window */
    assert_int_equal(tub_train_config_set(&c, "clip.intensity_window", "-160,250", NULL), TUB_OK);
    must_run(&c, &plainly, "other-window");
    assert_other_weights("windowed", "other-window");
}

/* The same content under two names, in two splits. */
static void duplicates(void **state) {
    (void)state;
    tub_context *ctx = context();
    tub_dataset *data;
    tub_error err = {0};
    assert_int_equal(tub__folder_create("twice/train/a", NULL), TUB_OK);
    assert_int_equal(tub__folder_create("twice/test/a", NULL), TUB_OK);
    tiny_file_write("twice/train/a/0.npy", 0, 0);
    tiny_file_write("twice/train/a/1.npy", 0, 1);
    tiny_file_write("twice/train/a/2.npy", 0, 1); /* within a split: nobody minds */
    tiny_file_write("twice/test/a/x.npy", 0, 0);
    tiny_file_write("twice/test/a/y.npy", 0, 3);
    assert_ok(tub_dataset_open(ctx, "twice", NULL, &data, &err), err);
    static const int64_t wanted[] = {3, -1, -1, 0, -1};
    assert_int_equal(tub_dataset_files(data), 5);
    for (int64_t i = 0; i < 5; i++) {
        int64_t first;
        assert_int_equal(tub_dataset_duplicate(data, i), wanted[i]);
        assert_int_equal(tub_dataset_other_class(data, i, &first), -1);
        assert_int_equal(first, -1);
    }
    tub_dataset_close(data);

    /* a file that stands in several rows is the same as the other in each of them */
    FILE *csv = fopen("twice/rows.csv", "w");
    assert_non_null(csv);
    fputs("path,label,split\n"
          "train/a/0.npy,x,train\ntrain/a/0.npy,x,train\ntest/a/y.npy,x,train\n"
          "test/a/x.npy,x,test\ntest/a/x.npy,x,test\ntrain/a/1.npy,x,test\n",
          csv);
    fclose(csv);
    assert_ok(tub_dataset_open(ctx, "twice/rows.csv", NULL, &data, &err), err);
    static const int64_t of_rows[] = {3, 3, -1, 0, 0, -1};
    for (int64_t i = 0; i < 6; i++) {
        assert_int_equal(tub_dataset_duplicate(data, i), of_rows[i]);
    }
    tub_dataset_close(data);
    tub_context_destroy(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits),
        cmocka_unit_test(one_split),
        cmocka_unit_test(broken_files),
        cmocka_unit_test(breaks_later),
        cmocka_unit_test(as_predicted),
        cmocka_unit_test(drawn_frames),
        cmocka_unit_test(floats_of_two_sizes),
        cmocka_unit_test(windowed), /* against what same_bits left */
        cmocka_unit_test(refused),
        cmocka_unit_test(duplicates),
#ifndef NO_CHILDREN
        cmocka_unit_test(resumed), /* against what same_bits left */
#endif
    };
    return cmocka_run_group_tests(tests, enter, scratch_leave);
}
