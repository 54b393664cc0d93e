/* SPDX-License-Identifier: Apache-2.0 */
/* Between a set of files and the cache of clips: keys, records, and the first pass over a split. */
#include "data/file_kept.h"

#include "base/error.h"
#include "base/file.h"
#include "base/md5.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { CLIPS, SOURCES }; /* evaluation's, and training's */

typedef struct head {
    int64_t frames, height, width, channels, dtype;
} head;
_Static_assert(sizeof(head) <= TUB__SOURCE_HEAD, "it fits");

tub_status tub__file_kept_create(const tub_allocator *a, const tub_dataset_options *options,
                                 tub__file_kept **out, tub_error *err) {
    void *block;
    TUB__TRY(tub__alloc_array(a, 1, sizeof(tub__file_kept), &block, err));
    *out = block;
    **out = (tub__file_kept){.off = options->no_cache != 0 || options->cache_limit <= 0,
                             .limit = (uint64_t)options->cache_limit};
    return TUB_OK;
}

void tub__file_kept_close(const tub_allocator *a, tub__file_kept *kept) {
    if (kept != NULL) {
        tub__clip_cache_close(kept->cache[CLIPS]);
        tub__clip_cache_close(kept->cache[SOURCES]);
        tub__free(a, kept->facts);
        tub__free(a, kept);
    }
}

void tub__file_kept_tell(tub__file_kept *kept) {
    if (kept != NULL) {
        tub__clip_cache_tell(kept->cache[CLIPS]);
        tub__clip_cache_tell(kept->cache[SOURCES]);
    }
}

void tub__file_set_tell_met(const tub__file_set *set) {
    size_t damaged = 0, first = 0;
    for (size_t i = set->list.count; i-- > 0;) {
        const tub__file_entry *e = &set->entries[i];
        if (e->damage == NULL && atomic_load(&e->met) != NULL) {
            damaged++;
            first = i;
        }
    }
    if (damaged > set->kept->damaged) {
        tub__log_line(set->ctx, TUB_LOG_WARNING,
                      "%zu file%s damaged, and what can be decoded is used; the first, %.200s: %s",
                      damaged, damaged == 1 ? " is" : "s are", set->list.items[first].name,
                      atomic_load(&set->entries[first].met));
        set->kept->damaged = damaged;
    }
}

/* How the frames of evaluation's clips are resized and cut; what follows works on what is kept. */
static void add_picture(const tub__preprocessing *p, tub__md5 *md5) {
    char text[256];
    const int n = snprintf(text, sizeof text, "%d %d %lld %lld %lld %lld %lld %d %d", p->resize,
                           p->crop, (long long)p->shortest_edge, (long long)p->height,
                           (long long)p->width, (long long)p->crop_height, (long long)p->crop_width,
                           (int)p->filter, (int)p->order);
    tub__md5_update(md5, text, (size_t)n + 1);
}

/* Of every file, in order: what tub__file_set_key tells apart, and when the file was changed, because its
 * content is known by its size, beginning and end only. And the version, which may prepare otherwise. */
static void make_key(const tub__file_set *set, bool training, unsigned char key[TUB__CLIP_KEY]) {
    char hex[33];
    tub__md5 md5;
    tub__md5_init(&md5);
    tub__md5_update(&md5, TUB__VERSION, sizeof TUB__VERSION);
    if (!training) {
        add_picture(&set->picture, &md5);
    }
    for (size_t i = 0; i < set->list.count; i++) {
        struct stat st = {0};
        char changed[64];
        const bool there = stat(set->list.items[i].path, &st) == 0;
        const int n = snprintf(changed, sizeof changed, "%d %lld.%09ld", there,
                               (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
        tub__file_set_key(set, &set->entries[i], training, hex);
        tub__md5_update(&md5, hex, 32);
        tub__md5_update(&md5, changed, (size_t)n + 1);
    }
    tub__md5_finish(&md5, hex);
    for (int i = 0; i < TUB__CLIP_KEY; i++) {
        unsigned byte = 0;
        (void)!sscanf(hex + 2 * i, "%2x", &byte);
        key[i] = (unsigned char)byte;
    }
}

static tub_status open_cache(const tub__file_set *set, bool training, tub_error *err) {
    tub__file_kept *kept = set->kept;
    tub__clip_cache_config config = {.count = set->list.count, .limit = kept->limit};
    char *folder = NULL;
    if (kept->tried[training] || kept->off) {
        return TUB_OK;
    }
    kept->tried[training] = true;
    make_key(set, training, config.key);
    TUB__TRY(tub__path_join(&set->ctx->allocator, set->ctx->data_folder, "clips", &folder, err));
    config.folder = folder;
    const tub_status status = tub__clip_cache_open(set->ctx, &config, &kept->cache[training], err);
    tub__free(&set->ctx->allocator, folder);
    return status;
}

static size_t clip_bytes(const tub__file_set *set) {
    const tub_clip_options *c = &set->clip;
    return (size_t)(c->frames * c->height * c->width * set->channels) *
           tub__dtype_bytes(set->dtype);
}

/* A first pass; each worker has room of its own. */
typedef struct pass {
    const tub__file_set *set;
    tub_split split;
    bool training;
    tub__source *sources; /* [threads] */
    unsigned char *clips; /* [threads] of clip_bytes */
} pass;

/* Reading puts what it had to make. */
static tub_status make(void *user, size_t i, int worker, tub_error *err) {
    const pass *p = user;
    return p->training ? tub__file_set_source(p->set, p->split, i, &p->sources[worker], err)
                       : tub__file_set_clip(p->set, p->split, i,
                                            p->clips + (size_t)worker * clip_bytes(p->set), err);
}

static tub_status run_pass(pass *p, const char *name, tub_error *err) {
    const tub__file_set *set = p->set;
    const tub_allocator *a = &set->ctx->allocator;
    const size_t threads = (size_t)tub__pool_threads(set->ctx->pool);
    void *block;
    TUB__TRY(tub__alloc_array(a, threads, sizeof *p->sources, &block, err));
    p->sources = block;
    TUB__TRY(tub__alloc_array(a, p->training ? 1 : threads, clip_bytes(set), &block, err));
    p->clips = block;
    const tub__clip_range range = {set->sample[p->split], (size_t)set->count[p->split]};
    return tub__clip_cache_fill(set->ctx, set->kept->cache[p->training], &range, name, make, p,
                                err);
}

tub_status tub__file_set_prepare(const tub__file_set *set, const char *name, tub_split split,
                                 bool training, tub_error *err) {
    const tub_allocator *a = &set->ctx->allocator;
    pass p = {.set = set, .split = split, .training = training};
    TUB__TRY(open_cache(set, training, err));
    if (set->kept->cache[training] == NULL) {
        return TUB_OK;
    }
    const tub_status status = run_pass(&p, name, err);
    for (int i = 0; p.sources != NULL && i < tub__pool_threads(set->ctx->pool); i++) {
        tub__free(a, p.sources[i].room);
    }
    tub__free(a, p.sources);
    tub__free(a, p.clips);
    tub__file_set_tell_met(set);
    return status;
}

static size_t source_bytes(const head *h) {
    return (size_t)(h->frames * h->height * h->width * h->channels) *
           tub__dtype_bytes((tub_dtype)h->dtype);
}

bool tub__file_kept_get_source(const tub__file_set *set, uint32_t number, tub__source *source) {
    const void *data = NULL;
    size_t bytes = 0;
    head h;
    if (!tub__clip_cache_get(set->kept->cache[SOURCES], number, &data, &bytes) ||
        bytes < TUB__SOURCE_HEAD) {
        return false;
    }
    memcpy(&h, data, sizeof h);
    if (h.dtype != (int64_t)set->dtype || h.channels != set->channels ||
        h.frames != tub__file_set_kept(set, &set->entries[number].facts) ||
        h.height < set->clip.height || h.width < set->clip.width ||
        bytes != TUB__SOURCE_HEAD + source_bytes(&h)) {
        return false; /* none of ours: the checksum says that it is whole, not that it is right */
    }
    source->samples = (const unsigned char *)data + TUB__SOURCE_HEAD;
    source->frames = h.frames;
    source->height = h.height;
    source->width = h.width;
    source->channels = h.channels;
    source->dtype = (tub_dtype)h.dtype;
    return true;
}

void tub__file_kept_put_source(const tub__file_set *set, uint32_t number,
                               const tub__source *source) {
    const head h = {source->frames, source->height, source->width, source->channels,
                    (int64_t)source->dtype};
    if (set->kept->cache[SOURCES] != NULL) {
        memset(source->room, 0, TUB__SOURCE_HEAD);
        memcpy(source->room, &h, sizeof h);
        tub__clip_cache_put(set->kept->cache[SOURCES], number, source->room,
                            TUB__SOURCE_HEAD + source_bytes(&h));
    }
}

bool tub__file_kept_get_clip(const tub__file_set *set, uint32_t number, void *out) {
    const void *data = NULL;
    size_t bytes = 0;
    if (!tub__clip_cache_get(set->kept->cache[CLIPS], number, &data, &bytes) ||
        bytes != clip_bytes(set)) {
        return false;
    }
    memcpy(out, data, bytes);
    return true;
}

void tub__file_kept_put_clip(const tub__file_set *set, uint32_t number, const void *clip) {
    tub__clip_cache_put(set->kept->cache[CLIPS], number, clip, clip_bytes(set));
}
