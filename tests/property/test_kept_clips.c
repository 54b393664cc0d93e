/* SPDX-License-Identifier: Apache-2.0 */
/* Training on files gives the same bits with the cache of clips and without it, cold and warm, with any
 * number of loader threads, augmented or not, and after kills, damage and a stop in the first pass. */
#include "cmocka_all.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "training.h"

enum { TRAIN = 14, VAL = 5, HEIGHT = 13, WIDTH = 16 };

/* A clip of its own length, brighter where its class is. */
static void write_clip(const char *path, unsigned number, unsigned salt) {
    const unsigned frames = 5 + number % 4, size = frames * HEIGHT * WIDTH * 3;
    char head[129];
    unsigned char *file = malloc(128 + size);
    uint32_t x = number * 2654435761u + salt;
    memset(head, ' ', sizeof head);
    memcpy(head, "\x93NUMPY\x01\x00\x76\x00", 10);
    const int n = snprintf(head + 10, 110,
                           "{'descr': '|u1', 'fortran_order': False, 'shape': (%u, %d, %d, 3), }",
                           frames, HEIGHT, WIDTH);
    head[10 + n] = ' ';
    head[127] = '\n';
    memcpy(file, head, 128);
    for (unsigned i = 0; i < size; i++) {
        x = x * 1664525u + 1013904223u;
        file[128 + i] = (unsigned char)((x >> 25) + (number % 2 == 0 ? 100 : 0));
    }
    assert_int_equal(tub__file_write(&tub__default_allocator, path, file, 128 + size, NULL),
                     TUB_OK);
    free(file);
}

static void write_set(const char *folder, unsigned salt) {
    for (unsigned i = 0; i < TRAIN + VAL; i++) {
        char path[200];
        snprintf(path, sizeof path, "%s/%s/%s", folder, i < TRAIN ? "train" : "val",
                 i % 2 == 0 ? "bright" : "dark");
        assert_int_equal(tub__folder_create(path, NULL), TUB_OK);
        snprintf(path + strlen(path), sizeof path - strlen(path), "/%02u.npy", i);
        write_clip(path, i, salt);
    }
}

static tub_train_config recipe(void) {
    static const char *const settings[][2] = {{"data", "set"},
                                              {"epochs", "2"},
                                              {"batch_size", "8"},
                                              {"model.frames", "4"},
                                              {"model.height", "12"},
                                              {"model.width", "12"},
                                              {"model.tubelet", "2,6,6"},
                                              {"model.hidden", "8"},
                                              {"model.heads", "2"},
                                              {"model.layers", "1"},
                                              {"model.mlp", "8"},
                                              {"lr", "0.01"}};
    tub_train_config c = tub_train_config_default();
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        assert_int_equal(tub_train_config_set(&c, settings[i][0], settings[i][1], NULL), TUB_OK);
    }
    return c;
}

/* An empty cache folder of that name is used from here on. */
static void use_cache(const char *name) {
    assert_int_equal(setenv("TUBELET_DATA", name, 1), 0);
}

/* Set files of the cache in use; each is given to `visit`. */
static int visit_sets(void (*visit)(const char *path)) {
    char folder[200], path[600];
    int count = 0;
    snprintf(folder, sizeof folder, "%s/clips", getenv("TUBELET_DATA"));
    DIR *dir = opendir(folder);
    for (struct dirent *e = dir ? readdir(dir) : NULL; e != NULL; e = readdir(dir)) {
        if (strstr(e->d_name, ".clips") != NULL) {
            assert_null(strstr(e->d_name, ".tmp"));
            snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
            count++;
            if (visit != NULL) {
                visit(path);
            }
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return count;
}

static int enter_with_set(void **state) {
    if (scratch_enter(state) != 0) {
        return -1;
    }
    write_set("set", 7);
    use_cache("unused");
    tub_train_config c = recipe();
    c.no_cache = 1;
    c.loader_threads = 1;
    must_run(&c, &plainly, "plain");
    return visit_sets(NULL);
}

static void the_cache_changes_nothing(void **state) {
    (void)state;
    tub_train_config c = recipe();
    use_cache("cache-1");
    c.loader_threads = 1;
    must_run(&c, &plainly, "cold");
    assert_int_equal(visit_sets(NULL), 2); /* what training draws from, and what validation sees */
    must_run(&c, &plainly, "warm");
    c.loader_threads = 4;
    must_run(&c, &plainly, "warm-4");
    use_cache("cache-2");
    must_run(&c, &(how){.threads = 3, .ranks = 1}, "cold-4");
    must_run(&c, &(how){.threads = 2, .ranks = 2}, "warm-ranks");
    use_cache("unused");
    c.no_cache = 1;
    must_run(&c, &(how){.threads = 3, .ranks = 1}, "none-4");
    c.loader_threads = 0;
    must_run(&c, &plainly, "none-0");
    assert_int_equal(visit_sets(NULL), 0);
    static const char *const runs[] = {"cold",       "warm",   "warm-4", "cold-4",
                                       "warm-ranks", "none-4", "none-0"};
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        assert_same_run("plain", runs[i]);
    }
}

/* Cut out of larger frames, turned, and mixed with others of their batch. */
static tub_train_config augmented_recipe(tub_crop crop) {
    tub_train_config c = recipe();
    turn_augmentation_on(&c);
    c.augment.volume = 0;
    c.augment.crop = crop;
    c.augment.speed[0] = 0.5;
    c.clip.resize = 15;
    return c;
}

static void augmentation_has_the_same_bits_too(void **state) {
    (void)state;
    static const tub_crop crops[] = {TUB_CROP_CENTRE, TUB_CROP_RANDOM, TUB_CROP_RESIZED};
    for (int i = 0; i < 3; i++) {
        char name[5][32];
        const char *const what[5] = {"plain", "cold", "warm-4", "ranks", "killed"};
        tub_train_config c = augmented_recipe(crops[i]);
        for (int k = 0; k < 5; k++) {
            snprintf(name[k], sizeof name[k], "augmented-%d-%s", i, what[k]);
        }
        use_cache("unused");
        c.no_cache = 1;
        c.loader_threads = 1;
        must_run(&c, &plainly, name[0]);
        use_cache("cache-8");
        c.no_cache = 0;
        must_run(&c, &plainly, name[1]);
        c.loader_threads = 4;
        must_run(&c, &(how){.threads = 3, .ranks = 1}, name[2]);
        must_run(&c, &(how){.threads = 2, .ranks = 2}, name[3]);
        c.checkpoint_every = 1;
        assert_false(
            child_of(&c, name[4], false, 4, -1)); /* between the steps of the first epoch */
        assert_true(child_of(&c, name[4], true, 0, -1));
        for (int k = 1; k < 5; k++) {
            assert_same_run(name[0], name[k]);
        }
    }
    assert_other_weights("plain", "augmented-0-plain");
    assert_other_weights("augmented-0-plain", "augmented-1-plain");
    assert_other_weights("augmented-1-plain", "augmented-2-plain");
}

/* Of all there is to tell of. */
typedef struct told {
    int clips, warnings, info;
    char last[300];
} told;

static void listen(void *user, const tub_event *event) {
    told *t = user;
    t->clips += event->kind == TUB_EVENT_CLIPS;
    if (event->kind == TUB_EVENT_LOG) {
        t->warnings += event->level == TUB_LOG_WARNING;
        t->info += event->level == TUB_LOG_INFO;
        snprintf(t->last, sizeof t->last, "%s", event->message);
    }
}

static told must_tell(const tub_train_config *c, const char *folder) {
    told t = {0};
    tub_error err = {0};
    assert_ok(run(c, &plainly, folder, false, listen, &t, NULL, &err), err);
    assert_same_run("plain", folder);
    return t;
}

static void nothing_is_prepared_twice(void **state) {
    (void)state;
    const tub_train_config c = recipe();
    use_cache("cache-3");
    told t = must_tell(&c, "first");
    assert_int_equal(t.clips, TRAIN + VAL + 4); /* each, and two more a pass */
    t = must_tell(&c, "second");
    assert_int_equal(t.clips + t.warnings + t.info, 0);
}

static void goes_on_within_a_limit(void **state) {
    (void)state;
    tub_train_config c = recipe();
    use_cache("cache-4");
    c.cache_limit = 40000;
    const told t = must_tell(&c, "limited");
    assert_int_equal(t.warnings, 0);
    assert_true(t.info >= 1);
    assert_non_null(strstr(t.last, "cache_limit sets it"));
}

static void goes_on_without_a_folder(void **state) {
    (void)state;
    const tub_train_config c = recipe();
    use_cache("set/train/dark/01.npy"); /* a file */
    const told t = must_tell(&c, "folderless");
    assert_int_equal(t.warnings, 2); /* of training's clips and of validation's */
    assert_non_null(strstr(t.last, "clips are made again each time"));
}

/* At each of the first 20 events: 14 clips of training, then those of validation. */
static void a_kill_in_the_first_pass_is_repaired(void **state) {
    (void)state;
    const tub_train_config c = recipe();
    for (int n = 1; n <= 20; n++) {
        char cache[32], killed[32], again[32];
        snprintf(cache, sizeof cache, "cache-k%d", n);
        snprintf(killed, sizeof killed, "killed-%d", n);
        snprintf(again, sizeof again, "again-%d", n);
        use_cache(cache);
        assert_false(child_of(&c, killed, false, n, -1));
        const told t = must_tell(&c, again);
        assert_true(t.warnings + t.info == 0);
        /* What was made before the kill was not made again. */
        assert_true(n < 3 || t.clips < TRAIN + VAL + 4);
        assert_int_equal(visit_sets(NULL), 2);
        assert_int_equal(must_tell(&c, n % 2 == 0 ? "third" : "fourth").clips, 0);
        assert_int_equal(
            tub__folder_remove(&tub__default_allocator, n % 2 == 0 ? "third" : "fourth", NULL),
            TUB_OK);
    }
}

static void damage(const char *path) {
    static uint32_t x = 99;
    struct stat st;
    const int fd = open(path, O_RDWR);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    for (int i = 0; i < 5; i++) {
        unsigned char byte = 0;
        x = x * 1664525u + 1013904223u;
        const off_t at = (off_t)((x >> 4) % (uint32_t)st.st_size);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x41;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
}

static void damage_is_found(void **state) {
    (void)state;
    const tub_train_config c = recipe();
    use_cache("cache-5");
    (void)must_tell(&c, "whole");
    for (int i = 0; i < 10; i++) {
        char name[32];
        snprintf(name, sizeof name, "damaged-%d", i);
        assert_int_equal(visit_sets(damage), 2);
        assert_int_equal(must_tell(&c, name).warnings, 0);
    }
}

/* A file of the same size, beginning and end would look the same; its time does not. */
static void changed_files_are_read_again(void **state) {
    (void)state;
    tub_train_config c = recipe();
    strcpy(c.data, "other");
    write_set("other", 7);
    use_cache("cache-6");
    must_run(&c, &plainly, "before");
    assert_same_run("plain", "before");
    write_set("other", 8);
    must_run(&c, &plainly, "after");
    c.no_cache = 1;
    must_run(&c, &plainly, "after-plain");
    assert_same_run("after-plain", "after");
    assert_other_weights("before", "after");
}

static void stop_soon(void *user, const tub_event *event) {
    if (event->kind == TUB_EVENT_CLIPS && event->done == 3) {
        tub_train_stop(*(tub_context **)user);
    }
}

/* Ctrl-C in the first pass: the run is there, and goes on. */
static void a_stop_in_the_first_pass_can_be_resumed(void **state) {
    (void)state;
    const tub_train_config c = recipe();
    tub_context_config config = tub_context_config_default();
    tub_context *ctx = NULL;
    tub_error err = {0};
    use_cache("cache-7");
    config.threads = 1;
    config.on_event = stop_soon;
    config.event_user = &ctx;
    assert_int_equal(tub_context_create(&config, &ctx, NULL), TUB_OK);
    assert_int_equal(tub_train(ctx, &c, NULL, "stopped", 0, NULL, &err), TUB_E_CANCELLED);
    assert_non_null(strstr(err.message, "stopped while its clips were prepared"));
    tub_context_destroy(ctx);
    assert_ok(run(NULL, &plainly, "stopped", true, NULL, NULL, NULL, &err), err);
    assert_same_run("plain", "stopped");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_cache_changes_nothing),
                                       cmocka_unit_test(augmentation_has_the_same_bits_too),
                                       cmocka_unit_test(nothing_is_prepared_twice),
                                       cmocka_unit_test(goes_on_within_a_limit),
                                       cmocka_unit_test(goes_on_without_a_folder),
                                       cmocka_unit_test(a_kill_in_the_first_pass_is_repaired),
                                       cmocka_unit_test(damage_is_found),
                                       cmocka_unit_test(changed_files_are_read_again),
                                       cmocka_unit_test(a_stop_in_the_first_pass_can_be_resumed)};
    return cmocka_run_group_tests(tests, enter_with_set, scratch_leave);
}
