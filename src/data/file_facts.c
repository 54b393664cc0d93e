/* SPDX-License-Identifier: Apache-2.0 */
/* What surveys have found: a file for each set, of a head, a record for each item of the list, and what is told of damage.
 * Its name is the key of all that the records depend on. Numbers are in the machine's own order. */
#include "data/file_facts.h"

#include "base/error.h"
#include "base/hash.h"
#include "base/md5.h"
#include "data/file_kept.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LAYOUT = 2, MOST_FILES = 100 };
static const char FOLDER[] = "surveys", MAGIC[8] = {'t', 'u', 'b', 'f', 'a', 'c', 't', 's'};

typedef struct head {
    char magic[8];
    uint64_t count, bytes; /* of records, of the file */
    uint64_t hash;         /* of all that follows */
} head;

typedef struct record {
    tub__item_facts facts;
    uint64_t known; /* 1: they are */
    uint64_t damage,
        damage_bytes; /* where the sentence lies behind the records, with its 0; of 0 bytes: none */
} record;

_Static_assert(sizeof(tub__item_facts) == 4 * 4 + 8 * 8 + 2 * 4, "facts have no padding");
_Static_assert(sizeof(record) == sizeof(tub__item_facts) + 3 * 8, "records have none either");

/* ---- the key ---- */

static void add_number(tub__md5 *md5, int64_t number) {
    char text[32];
    tub__md5_update(md5, text, (size_t)snprintf(text, sizeof text, "%" PRId64 ",", number));
}

/* Its name, whose ending says how it is read, and when it was changed: its content is known by size, beginning and
 * end only. */
static void add_file(tub__md5 *md5, const char *path) {
    struct stat st = {0};
    const char *name = tub__path_name(path);
    add_number(md5, stat(path, &st) == 0);
    add_number(md5, st.st_mtim.tv_sec);
    add_number(md5, st.st_mtim.tv_nsec);
    tub__md5_update(md5, name, strlen(name) + 1);
}

static void make_key(const tub__file_set *set, char hex[33]) {
    const tub__intensity_window window = tub__clip_window(&set->clip);
    tub__md5 md5;
    tub__md5_init(&md5);
    tub__md5_update(&md5, TUB__VERSION, sizeof TUB__VERSION);
    add_number(&md5, LAYOUT);
    add_number(&md5, sizeof(record));
    tub__md5_update(&md5, &window, sizeof window);
    for (size_t i = 0; i < set->list.count; i++) {
        const tub__file_item *item = &set->list.items[i];
        tub__md5_update(&md5, set->entries[i].content, 32);
        add_number(&md5, item->start);
        add_number(&md5, item->end);
        add_file(&md5, item->path);
    }
    tub__md5_finish(&md5, hex);
}

/* ---- reading ---- */

/* One that is not whole, or of something else, is none. */
static bool is_whole(const tub__map *map, size_t count) {
    head h;
    if (map->size < sizeof h) {
        return false;
    }
    memcpy(&h, map->data, sizeof h);
    return memcmp(h.magic, MAGIC, sizeof MAGIC) == 0 && h.count == count && h.bytes == map->size &&
           (map->size - sizeof h) / sizeof(record) >= count &&
           tub__hash64(map->data + sizeof h, map->size - sizeof h, 0) == h.hash;
}

tub_status tub__file_facts_open(const tub__file_set *set, tub__map *out, tub_error *err) {
    const tub_allocator *a = &set->ctx->allocator;
    char name[sizeof FOLDER + 34], key[33];
    *out = (tub__map){0};
    if (set->kept->off) {
        return TUB_OK;
    }
    make_key(set, key);
    snprintf(name, sizeof name, "%s/%s", FOLDER, key);
    TUB__TRY(tub__path_join(a, set->ctx->data_folder, name, &set->kept->facts, err));
    if (tub__map_open(set->kept->facts, out, NULL) != TUB_OK) {
        *out = (tub__map){0};
    } else if (!is_whole(out, set->list.count)) {
        tub__file_facts_close(out);
    } else {
        (void)utimensat(AT_FDCWD, set->kept->facts, NULL, 0); /* the ones longest unused go first */
    }
    return TUB_OK;
}

void tub__file_facts_close(tub__map *map) {
    if (map->data != NULL) {
        tub__map_close(map);
    }
    *map = (tub__map){0};
}

/* The hash says that the file is whole, not that it is one of ours. */
static bool is_clip(const tub__item_facts *f) {
    return f->kind >= TUB__CLIP_VIDEO && f->kind <= TUB__CLIP_VOLUME &&
           (f->dtype == TUB_U8 || f->dtype == TUB_F32) && f->height > 0 && f->width > 0 &&
           f->channels > 0 && f->frames > 0 && f->frames <= INT32_MAX && f->first >= 0 &&
           f->first <= INT32_MAX - f->frames && f->nanoseconds >= 0 && f->rate_numerator >= 0 &&
           f->rate_denominator > 0;
}

static bool is_sentence(const record *r, const char *texts, size_t bytes) {
    return r->damage_bytes == 0 ||
           (r->damage_bytes <= bytes && r->damage <= bytes - r->damage_bytes &&
            texts[r->damage + r->damage_bytes - 1] == '\0');
}

tub_status tub__file_facts_get(const tub__map *map, tub__file_set *set, uint32_t number,
                               bool *found, tub_error *err) {
    const unsigned char *data = map->data;
    const size_t texts = sizeof(head) + set->list.count * sizeof(record);
    tub__file_entry *e = &set->entries[number];
    record r;
    *found = false;
    if (data == NULL || e->content[0] == '\0') {
        return TUB_OK;
    }
    memcpy(&r, data + sizeof(head) + number * sizeof r, sizeof r);
    if (r.known != 1 || !is_clip(&r.facts) ||
        !is_sentence(&r, (const char *)data + texts, map->size - texts)) {
        return TUB_OK;
    }
    e->facts = r.facts;
    *found = true;
    return r.damage_bytes == 0
               ? TUB_OK
               : tub__alloc_string(&set->ctx->allocator, (const char *)data + texts + r.damage,
                                   &e->damage, err);
}

/* ---- writing ---- */

static bool is_known(const tub__file_entry *e) {
    return e->problem == NULL && e->content[0] != '\0';
}

static size_t sentence_bytes(const tub__file_entry *e) {
    return is_known(e) && e->damage != NULL ? strlen(e->damage) + 1 : 0;
}

static size_t file_bytes(const tub__file_set *set) {
    size_t bytes = sizeof(head) + set->list.count * sizeof(record);
    for (size_t i = 0; i < set->list.count; i++) {
        bytes += sentence_bytes(&set->entries[i]);
    }
    return bytes;
}

static void fill_file(const tub__file_set *set, unsigned char *file, size_t bytes) {
    unsigned char *records = file + sizeof(head);
    unsigned char *texts = records + set->list.count * sizeof(record);
    uint64_t used = 0;
    for (size_t i = 0; i < set->list.count; i++) {
        const tub__file_entry *e = &set->entries[i];
        if (is_known(e)) {
            const record r = {e->facts, 1, used, sentence_bytes(e)};
            memcpy(records + i * sizeof r, &r, sizeof r);
            if (r.damage_bytes > 0) {
                memcpy(texts + used, e->damage, r.damage_bytes);
            }
            used += r.damage_bytes;
        }
    }
    head h = {.count = set->list.count, .bytes = bytes};
    memcpy(h.magic, MAGIC, sizeof MAGIC);
    h.hash = tub__hash64(records, bytes - sizeof h, 0);
    memcpy(file, &h, sizeof h);
}

/* The file that was used longest ago. */
static void remove_oldest(const char *folder, const tub__names *names) {
    struct timespec oldest = {0};
    const char *victim = NULL;
    struct stat st;
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < names->count && fd >= 0; i++) {
        if (fstatat(fd, names->list[i], &st, 0) == 0 &&
            (victim == NULL || st.st_mtim.tv_sec < oldest.tv_sec ||
             (st.st_mtim.tv_sec == oldest.tv_sec && st.st_mtim.tv_nsec < oldest.tv_nsec))) {
            victim = names->list[i];
            oldest = st.st_mtim;
        }
    }
    if (victim != NULL) {
        (void)unlinkat(fd, victim, 0);
    }
    if (fd >= 0) {
        close(fd);
    }
}

/* One goes for each that comes. */
static tub_status make_place(const tub__file_set *set, tub_error *err) {
    const tub_allocator *a = &set->ctx->allocator;
    char *folder = NULL;
    tub__names names = {0};
    TUB__TRY(tub__path_join(a, set->ctx->data_folder, FOLDER, &folder, err));
    const tub_status status = tub__names_read(a, folder, &names, err);
    if (status == TUB_OK && names.count > MOST_FILES) {
        remove_oldest(folder, &names);
    }
    tub__names_free(&names);
    tub__free(a, folder);
    return status;
}

static tub_status write_file(const tub__file_set *set, const char *path, tub_error *err) {
    const tub_allocator *a = &set->ctx->allocator;
    const size_t bytes = file_bytes(set);
    void *file;
    TUB__TRY(tub__parent_create(a, path, err));
    TUB__TRY(tub__alloc_array(a, bytes, 1, &file, err));
    fill_file(set, file, bytes);
    const tub_status status = tub__file_write(a, path, file, bytes, err);
    tub__free(a, file);
    return status == TUB_OK ? make_place(set, err) : status;
}

tub_status tub__file_facts_put(const tub__file_set *set, tub_error *err) {
    char key[33];
    tub_error why = {0};
    const char *path = set->kept->facts;
    if (path == NULL) {
        return TUB_OK;
    }
    make_key(set, key);
    if (strcmp(key, tub__path_name(path)) != 0) {
        return TUB_OK;
    }
    const tub_status status = write_file(set, path, &why);
    return status == TUB_E_MEMORY ? tub__fail(err, status, "%s", why.message) : TUB_OK;
}

void tub__file_facts_forget(const tub__file_set *set) {
    if (set->kept->facts != NULL) {
        (void)unlink(set->kept->facts);
    }
}
