/* SPDX-License-Identifier: Apache-2.0 */
/* The file of one set of cached clips: making, checking, reading entries, appending records. */
#include "data/clip_set.h"

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VERSION = 1, ORDER_MARK = 0x01020304, ALIGN = 64, PIECE = 1 << 20, ZEROS = 1 << 16 };

typedef struct header {
    char magic[16];
    uint32_t version, order;
    unsigned char key[TUB__CLIP_KEY];
    uint64_t count, entry_bytes;
    uint64_t check; /* of what stands before it */
} header;

_Static_assert(sizeof(header) == ALIGN && sizeof(tub__clip_entry) == 32, "as the drawing says");

static header header_of(const tub__clip_cache_config *config) {
    header h = {.magic = "tubelet clips",
                .version = VERSION,
                .order = ORDER_MARK,
                .count = config->count,
                .entry_bytes = sizeof(tub__clip_entry)};
    memcpy(h.key, config->key, sizeof h.key);
    h.check = tub__hash64(&h, offsetof(header, check), 0);
    return h;
}

uint64_t tub__clip_set_begin(size_t count) {
    return tub__round_up(sizeof(header) + count * sizeof(tub__clip_entry), ALIGN);
}

void tub__clip_at(const tub__clip_set *set, tub__clip_point point) {
    if (set->config->hook != NULL) {
        set->config->hook(set->config->hook_user, point);
    }
}

uint64_t tub__clip_set_size(const tub__clip_set *set) {
    struct stat st;
    return fstat(set->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static bool read_fully(int fd, void *to, size_t size, uint64_t at) {
    ssize_t n = -1;
    for (size_t used = 0; used < size; used += (size_t)n) {
        do {
            n = pread(fd, (char *)to + used, size - used, (off_t)(at + used));
        } while (n < 0 && errno == EINTR);
        if (n <= 0) {
            return false;
        }
    }
    return true;
}

static bool write_fully(int fd, const void *data, size_t size, uint64_t at) {
    ssize_t n = -1;
    for (size_t used = 0; used < size; used += (size_t)n) {
        do {
            n = pwrite(fd, (const char *)data + used, size - used, (off_t)(at + used));
        } while (n < 0 && errno == EINTR);
        if (n < 0) {
            return false;
        }
    }
    return true;
}

static uint64_t check_of(const tub__clip_set *set, size_t i, const tub__clip_entry *e) {
    struct {
        tub__clip_entry entry;
        uint64_t number;
        unsigned char key[TUB__CLIP_KEY];
    } all = {.entry = *e, .number = i};
    all.entry.check = 0;
    memcpy(all.key, set->config->key, sizeof all.key);
    return tub__hash64(&all, sizeof all, VERSION);
}

static uint64_t place_of(size_t i) {
    return sizeof(header) + i * sizeof(tub__clip_entry);
}

bool tub__clip_set_entry(const tub__clip_set *set, size_t i, tub__clip_entry *out) {
    if (!read_fully(set->fd, out, sizeof *out, place_of(i)) ||
        out->check != check_of(set, i, out) ||
        out->offset < tub__clip_set_begin(set->config->count)) {
        return false;
    }
    const uint64_t size = tub__clip_set_size(set);
    return out->offset <= size && out->bytes <= size - out->offset;
}

/* Whether the open file is a set of this key, its index whole in size. */
static bool is_set(int fd, const tub__clip_cache_config *config) {
    const header want = header_of(config);
    header h;
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
           (uint64_t)st.st_size >= tub__clip_set_begin(config->count) &&
           read_fully(fd, &h, sizeof h, 0) && memcmp(&h, &want, sizeof h) == 0;
}

static tub_status write_empty(tub__writer *w, const tub__clip_set *set, tub_error *err) {
    static const char zeros[ZEROS];
    const header h = header_of(set->config);
    size_t left = (size_t)tub__clip_set_begin(set->config->count) - sizeof h;
    TUB__TRY(tub__writer_write(w, &h, sizeof h, err));
    tub__clip_at(set, TUB__CLIP_FILE_BEGUN);
    while (left > 0) { /* no holes: a page that has no place on the disk is found out here */
        const size_t n = tub__min(left, sizeof zeros);
        TUB__TRY(tub__writer_write(w, zeros, n, err));
        left -= n;
    }
    return TUB_OK;
}

/* An empty set under the file's name, in one step. */
static tub_status make_empty(const tub_allocator *a, const tub__clip_set *set, tub_error *err) {
    const uint64_t bytes = tub__clip_set_begin(set->config->count);
    char *path = NULL;
    tub__writer w;
    if (tub__clip_folder_room(set, bytes) != TUB__CLIP_ROOM) {
        return tub__fail(err, TUB_E_IO, "%s has no room for the index of %zu clips",
                         set->config->folder, set->config->count);
    }
    TUB__TRY(tub__path_join(a, set->config->folder, set->name, &path, err));
    tub_status status = tub__writer_open(a, path, &w, err);
    if (status == TUB_OK) {
        status = write_empty(&w, set, err);
        if (status == TUB_OK) {
            status = tub__writer_commit(&w, err);
        } else {
            tub__writer_abort(&w);
        }
    }
    if (status == TUB_OK) {
        tub__clip_at(set, TUB__CLIP_FILE_WHOLE);
    }
    tub__free(a, path);
    return status;
}

/* Cuts off what lies behind the last record that counts: what a kill left of one, and nobody else can have
 * mapped. Whoever is alone with the file may. */
static void trim(const tub__clip_set *set) {
    const uint64_t size = tub__clip_set_size(set);
    uint64_t end = tub__clip_set_begin(set->config->count);
    if (size == end || flock(set->fd, LOCK_EX | LOCK_NB) != 0) {
        return;
    }
    for (size_t i = 0; i < set->config->count; i++) {
        tub__clip_entry e;
        if (tub__clip_set_entry(set, i, &e) && e.offset + e.bytes > end) {
            end = e.offset + e.bytes;
        }
    }
    if (end < size) {
        (void)!ftruncate(set->fd, (off_t)end);
    }
}

/* Opens the file and says to others that it is in use; with the folder locked. */
static tub_status open_file(const tub_allocator *a, tub__clip_set *set, bool *rebuilt,
                            tub_error *err) {
    const int flags = O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW;
    set->fd = openat(set->folder, set->name, flags);
    if (set->fd >= 0 && !is_set(set->fd, set->config)) {
        close(set->fd);
        set->fd = -1;
        *rebuilt = true;
    }
    if (set->fd < 0) {
        TUB__TRY(make_empty(a, set, err));
        set->fd = openat(set->folder, set->name, flags);
    }
    if (set->fd >= 0) {
        trim(set);
    }
    if (set->fd < 0 || flock(set->fd, LOCK_SH | LOCK_NB) != 0) {
        return tub__fail_errno(err, errno, "%s/%s", set->config->folder, set->name);
    }
    (void)!futimens(set->fd, NULL); /* the time of its last use */
    (void)tub__clip_folder_room(set, 0);
    return TUB_OK;
}

static tub_status open_all(const tub_allocator *a, tub__clip_set *set, bool *rebuilt,
                           tub_error *err) {
    const char *folder = set->config->folder;
    TUB__TRY(tub__folder_create(folder, err));
    set->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (set->folder < 0) {
        return tub__fail_errno(err, errno, "%s", folder);
    }
    set->lock = openat(set->folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (set->lock < 0) {
        return tub__fail_errno(err, errno, "%s/lock", folder);
    }
    if (!tub__clip_folder_lock(set, !set->config->impatient)) {
        return tub__fail_errno(err, errno, "%s can't be locked", folder);
    }
    tub_status status = tub__temporaries_remove(a, folder, err); /* of makers that died */
    if (status == TUB_OK) {
        status = open_file(a, set, rebuilt, err);
    }
    tub__clip_folder_unlock(set);
    return status;
}

tub_status tub__clip_set_open(const tub_allocator *a, const tub__clip_cache_config *config,
                              tub__clip_set *out, bool *rebuilt, tub_error *err) {
    *out = (tub__clip_set){.folder = -1, .lock = -1, .fd = -1, .config = config};
    *rebuilt = false;
    for (int i = 0; i < TUB__CLIP_KEY; i++) {
        snprintf(out->name + 2 * i, sizeof out->name - 2 * (size_t)i, "%02x", config->key[i]);
    }
    strcat(out->name, TUB__CLIP_SUFFIX);
    const tub_status status = open_all(a, out, rebuilt, err);
    if (status != TUB_OK) {
        tub__clip_set_close(out);
    }
    return status;
}

void tub__clip_set_close(tub__clip_set *set) {
    const int open[] = {set->fd, set->lock, set->folder};
    for (size_t i = 0; i < sizeof open / sizeof *open; i++) {
        if (open[i] >= 0) {
            close(open[i]);
        }
    }
    set->fd = set->lock = set->folder = -1;
}

/* Bytes of a record in pieces, so that a full disk shows early. */
static bool write_record(const tub__clip_set *set, const char *data, size_t bytes, uint64_t at) {
    for (size_t done = 0, n = 0; done < bytes; done += n) {
        n = tub__min(bytes - done, PIECE);
        if (!write_fully(set->fd, data + done, n, at + done)) {
            return false;
        }
        tub__clip_at(set, TUB__CLIP_PIECE);
    }
    return true;
}

tub_status tub__clip_set_append(const tub__clip_set *set, size_t i, const void *data, size_t bytes,
                                tub_error *err) {
    const uint64_t size = tub__clip_set_size(set), begin = tub__clip_set_begin(set->config->count);
    if (size < begin) {
        return tub__fail(err, TUB_E_IO, "%s/%s was cut off by somebody", set->config->folder,
                         set->name);
    }
    /* An empty record makes the file no longer: it has to lie where there is one. */
    tub__clip_entry e = {.offset = bytes > 0 ? (size + ALIGN - 1) / ALIGN * ALIGN : begin,
                         .bytes = bytes,
                         .hash = tub__hash64(data, bytes, 0)};
    e.check = check_of(set, i, &e);
    bool written = write_record(set, data, bytes, e.offset);
    if (written) {
        tub__clip_at(set, TUB__CLIP_DATA);
        written = write_fully(set->fd, &e, sizeof e, place_of(i));
    }
    if (!written) {
        const int why = errno;
        /* Nobody knows of these bytes: no entry leads there. */
        (void)!ftruncate(set->fd, (off_t)size);
        return tub__fail_errno(err, why, "%s/%s", set->config->folder, set->name);
    }
    tub__clip_at(set, TUB__CLIP_INDEX);
    return TUB_OK;
}
