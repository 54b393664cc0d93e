/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the clip cache share: records that tell themselves, a folder, and what was told. */
#ifndef TEST_CLIP_SETS_H
#define TEST_CLIP_SETS_H

#include "cmocka_all.h"

#include "data/clip_cache.h"
#include "temp_folder.h"
#include <string.h>
#include <sys/stat.h>

enum { SET = 9, LONGEST = (2 << 20) + 100 };

typedef struct fixture {
    temp_folder folder;
    char clips[300];
    tub_context *ctx;
    int info, warnings, clips_told;
    uint64_t last_done, last_total;
    char last[TUB_ERROR_LENGTH];
    unsigned char *made; /* [LONGEST], of make_record */
} fixture;

static inline void listen(void *user, const tub_event *event) {
    fixture *f = user;
    if (event->kind == TUB_EVENT_CLIPS) {
        f->clips_told++;
        f->last_done = event->done;
        f->last_total = event->total;
        return;
    }
    f->warnings += event->level == TUB_LOG_WARNING;
    f->info += event->level == TUB_LOG_INFO;
    snprintf(f->last, sizeof f->last, "%s", event->message);
}

static inline int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    temp_folder_make(&f->folder);
    snprintf(f->clips, sizeof f->clips, "%s/clips", f->folder.path);
    f->made = malloc(LONGEST);
    tub_context_config config = tub_context_config_default();
    config.threads = 3;
    config.on_event = listen;
    config.event_user = f;
    assert_int_equal(tub_context_create(&config, &f->ctx, NULL), TUB_OK);
    *state = f;
    return 0;
}

static inline int tear_down(void **state) {
    fixture *f = *state;
    tub_context_destroy(f->ctx);
    temp_folder_drop(&f->folder);
    free(f->made);
    free(f);
    return 0;
}

/* Records of all kinds of lengths; one is written in several pieces. */
static inline size_t record_bytes(size_t i) {
    static const size_t bytes[SET] = {100, 0, 64, LONGEST, 1, 4096, 777, 5000, 63};
    return bytes[i % SET];
}

static inline void make_record(size_t i, unsigned char *to) {
    uint32_t x = (uint32_t)i * 2654435761u + 1;
    for (size_t k = 0; k < record_bytes(i); k++) {
        x = x * 1664525u + 1013904223u;
        to[k] = (unsigned char)(x >> 24);
    }
}

static inline tub__clip_cache_config config_of(const fixture *f, unsigned char key) {
    tub__clip_cache_config c = {.folder = f->clips, .count = SET, .limit = 100 << 20};
    memset(c.key, key, sizeof c.key);
    return c;
}

static inline const char *file_of(fixture *f, unsigned char key) {
    char name[64] = "clips/";
    for (int i = 0; i < TUB__CLIP_KEY; i++) {
        snprintf(name + strlen(name), 3, "%02x", key);
    }
    strcat(name, ".clips");
    return temp_path(&f->folder, name);
}

static inline tub__clip_cache *must_open(fixture *f, const tub__clip_cache_config *c) {
    tub__clip_cache *cache = NULL;
    tub_error e;
    assert_ok(tub__clip_cache_open(f->ctx, c, &cache, &e), e);
    return cache;
}

/* Every record as a reader gets it, which makes what is not there: returns how many it had to make. */
static inline int stream(fixture *f, tub__clip_cache *cache) {
    int made = 0;
    for (size_t i = 0; i < SET; i++) {
        const void *data = NULL;
        size_t bytes = 0;
        make_record(i, f->made);
        if (tub__clip_cache_get(cache, i, &data, &bytes)) {
            assert_int_equal(bytes, record_bytes(i));
            if (bytes > 0) {
                assert_memory_equal(data, f->made, bytes);
            }
        } else {
            made++;
            tub__clip_cache_put(cache, i, f->made, record_bytes(i));
        }
    }
    return made;
}

static inline int open_and_stream(fixture *f, const tub__clip_cache_config *c) {
    tub__clip_cache *cache = must_open(f, c);
    const int made = stream(f, cache);
    tub__clip_cache_tell(cache);
    tub__clip_cache_close(cache);
    return made;
}

static inline uint64_t file_bytes(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

#endif
