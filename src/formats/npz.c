/* SPDX-License-Identifier: Apache-2.0 */
/* Reading .npz archives by libzip: the only file that includes its header.
 *
 * Nothing is ever unpacked to disk. No memory is taken by a size that the archive merely claims: a
 * member's claim must first be possible (deflate packs at most 1032 : 1) and within the caller's
 * limit. */
#include "formats/npy.h"

#include "base/error.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

enum { ENTRY_LIMIT = 1 << 20, DEFLATE_RATIO = 1032, DEFLATE_SLACK = 1024, END_RECORD = 22 };

typedef struct entry {
    char *name;     /* without .npy; into tub__npz.names */
    uint64_t index; /* in the archive */
} entry;

struct tub__npz {
    const tub_allocator *allocator;
    zip_t *zip;
    uint64_t size;  /* of the archive in bytes */
    entry *entries; /* in the archive's order; of equal names only the last */
    size_t count;
    char *names; /* one block */
};

bool tub__is_zip(const void *bytes, size_t size) {
    const unsigned char *b = bytes;
    return size >= 4 && b[0] == 'P' && b[1] == 'K' &&
           ((b[2] == 3 && b[3] == 4) || (b[2] == 5 && b[3] == 6));
}

/* The sentence is made from a copy: libzip 1.7 leaks the text that it hangs on a source's own
 * error. */
static tub_status zip_failed(const zip_error_t *error, const char *what, tub_error *err) {
    int code = zip_error_code_zip(error), system = zip_error_code_system(error);
    tub_status status = TUB_E_FORMAT;
    zip_error_t copy;
    zip_error_init(&copy);
    zip_error_set(&copy, code, system);
    if (code == ZIP_ER_MEMORY) {
        status = TUB_E_MEMORY;
    } else if (zip_error_system_type(&copy) == ZIP_ET_SYS && system != 0) {
        status = system == ENOENT ? TUB_E_NOT_FOUND : TUB_E_IO;
    }
    (void)tub__fail(err, status, "%s: %s", what, zip_error_strerror(&copy));
    zip_error_fini(&copy);
    return status;
}

/* Absolute names and names that climb out of their folder have no place in an array archive:
 * whoever made it means harm. */
static bool safe_name(const char *name) {
    if (name[0] == '/' || name[0] == '\\' || (name[0] != '\0' && name[1] == ':')) {
        return false;
    }
    while (*name != '\0') {
        size_t part = strcspn(name, "/\\");
        if (part == 2 && name[0] == '.' && name[1] == '.') {
            return false;
        }
        name += part + (name[part] != '\0');
    }
    return true;
}

static int by_name(const void *left, const void *right) {
    const entry *a = left, *b = right;
    int order = strcmp(a->name, b->name);
    return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

static int by_index(const void *left, const void *right) {
    const entry *a = left, *b = right;
    return (a->index > b->index) - (a->index < b->index);
}

/* Of equal names only the last of the archive stays, as in NumPy; the archive's order is kept. */
static void drop_duplicates(tub__npz *z) {
    size_t kept = 0;
    qsort(z->entries, z->count, sizeof *z->entries, by_name);
    for (size_t i = 0; i < z->count; i++) {
        if (i + 1 == z->count || strcmp(z->entries[i].name, z->entries[i + 1].name) != 0) {
            z->entries[kept++] = z->entries[i];
        }
    }
    z->count = kept;
    qsort(z->entries, z->count, sizeof *z->entries, by_index);
}

static tub_status check_names(tub__npz *z, size_t *bytes, tub_error *err) {
    *bytes = 0;
    for (uint64_t i = 0; i < z->count; i++) {
        const char *name = zip_get_name(z->zip, i, ZIP_FL_ENC_GUESS);
        if (name == NULL) {
            return zip_failed(zip_get_error(z->zip), "the zip archive is damaged", err);
        }
        if (!safe_name(name)) {
            return tub__fail(err, TUB_E_FORMAT,
                             "the archive holds the unsafe name '%.200s'; refused as a whole",
                             name);
        }
        *bytes += strlen(name) + 1;
    }
    return TUB_OK;
}

static tub_status list_entries(tub__npz *z, tub_error *err) {
    zip_int64_t count = zip_get_num_entries(z->zip, 0);
    if (count > ENTRY_LIMIT) {
        return tub__fail(err, TUB_E_FORMAT,
                         "the archive has %lld members; more than %d are refused", (long long)count,
                         ENTRY_LIMIT);
    }
    z->count = (size_t)count;
    size_t bytes;
    TUB__TRY(check_names(z, &bytes, err));
    TUB__TRY(tub__alloc(z->allocator, bytes, (void **)&z->names, err));
    TUB__TRY(
        tub__alloc_array(z->allocator, z->count, sizeof *z->entries, (void **)&z->entries, err));
    char *to = z->names;
    for (uint64_t i = 0; i < z->count; i++) {
        const char *name =
            zip_get_name(z->zip, i, ZIP_FL_ENC_GUESS); /* kept by libzip: can't fail now */
        size_t length = strlen(name);
        memcpy(to, name, length + 1);
        if (length > 4 && strcmp(to + length - 4, ".npy") == 0) {
            to[length - 4] = '\0';
        }
        z->entries[i] = (entry){.name = to, .index = i};
        to += length + 1;
    }
    drop_duplicates(z);
    return TUB_OK;
}

/* What has no table of its members at its end is no archive, or not all of one. */
static tub_status open_failed(const zip_error_t *error, tub_error *err) {
    int code = zip_error_code_zip(error);
    bool no_end = code == ZIP_ER_NOZIP;
#ifdef ZIP_ER_TRUNCATED_ZIP /* from libzip 1.11 on */
    no_end = no_end || code == ZIP_ER_TRUNCATED_ZIP;
#endif
    return no_end ? tub__fail(err, TUB_E_FORMAT,
                              "not a zip archive, or a damaged one (cut off?); copy or download it "
                              "again")
                  : zip_failed(error, "the zip archive can't be read", err);
}

/* With libzip's comparison of central and local headers, which also refuses members that overlap.
 * It refuses duplicate names too, which NumPy reads: only for them the comparison is left out. */
static zip_t *open_zip(zip_source_t *source, zip_error_t *error) {
    zip_t *zip = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, error);
    if (zip == NULL && zip_error_code_zip(error) == ZIP_ER_EXISTS) {
        zip = zip_open_from_source(source, ZIP_RDONLY, error);
    }
    return zip;
}

/* Takes the source over in any case. */
static tub_status open_source(const tub_allocator *a, zip_source_t *source, zip_error_t *error,
                              tub__npz **out, tub_error *err) {
    tub__npz *z = NULL;
    tub_status status = tub__alloc_array(a, 1, sizeof *z, (void **)&z, err);
    zip_stat_t whole;
    if (status != TUB_OK) {
        goto drop_source;
    }
    z->allocator = a;
    if (zip_source_stat(source, &whole) != 0 || (whole.valid & ZIP_STAT_SIZE) == 0) {
        status = zip_failed(zip_source_error(source), "can't be read", err);
        goto drop_source;
    }
    z->size = whole.size;
    if (z->size < END_RECORD) { /* libzip takes no bytes at all for an empty archive */
        status = tub__fail(err, TUB_E_FORMAT, "too short to be a zip archive (%llu bytes)",
                           (unsigned long long)z->size);
        goto drop_source;
    }
    z->zip = open_zip(source, error);
    if (z->zip == NULL) {
        status = open_failed(error, err);
        goto drop_source;
    }
    status = list_entries(z, err);
    if (status != TUB_OK) {
        tub__npz_close(z);
        return status;
    }
    *out = z;
    return TUB_OK;
drop_source:
    zip_source_free(source);
    tub__free(a, z);
    return status;
}

tub_status tub__npz_open(const tub_allocator *a, const char *path, tub__npz **out, tub_error *err) {
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_file_create(path, 0, -1, &error);
    tub_status status = source == NULL ? zip_failed(&error, "can't be read", err)
                                       : open_source(a, source, &error, out, err);
    zip_error_fini(&error);
    return status == TUB_OK ? TUB_OK : tub__prefix(err, status, "%s", path);
}

tub_status tub__npz_open_memory(const tub_allocator *a, const void *bytes, size_t size,
                                tub__npz **out, tub_error *err) {
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(bytes, size, 0, &error);
    tub_status status = source == NULL ? zip_failed(&error, "can't be read", err)
                                       : open_source(a, source, &error, out, err);
    zip_error_fini(&error);
    return status;
}

void tub__npz_close(tub__npz *z) {
    if (z == NULL) {
        return;
    }
    zip_discard(z->zip);
    tub__free(z->allocator, z->entries);
    tub__free(z->allocator, z->names);
    tub__free(z->allocator, z);
}

size_t tub__npz_count(const tub__npz *z) {
    return z->count;
}

const char *tub__npz_name(const tub__npz *z, size_t index) {
    return z->entries[index].name;
}

static const entry *find(const tub__npz *z, const char *name) {
    for (size_t i = 0; i < z->count; i++) {
        if (strcmp(z->entries[i].name, name) == 0) {
            return &z->entries[i];
        }
    }
    return NULL;
}

bool tub__npz_has(const tub__npz *z, const char *name) {
    return find(z, name) != NULL;
}

/* Whether a member may be unpacked at all, before any memory is taken for it. */
static tub_status check_member(const tub__npz *z, const zip_stat_t *st, uint64_t limit,
                               tub_error *err) {
    if (st->encryption_method != ZIP_EM_NONE) {
        return tub__fail(err, TUB_E_UNSUPPORTED, "it is encrypted");
    }
    if (st->comp_method != ZIP_CM_STORE && st->comp_method != ZIP_CM_DEFLATE) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "it is packed by zip method %d; only stored and deflated members are read",
                         st->comp_method);
    }
    if (st->size > limit) {
        return tub__fail(err, TUB_E_RANGE, "it unpacks to %llu bytes, the limit is %llu",
                         (unsigned long long)st->size, (unsigned long long)limit);
    }
    bool stored = st->comp_method == ZIP_CM_STORE;
    if (st->comp_size > z->size || (stored && st->size != st->comp_size) ||
        (!stored && st->size > st->comp_size * DEFLATE_RATIO + DEFLATE_SLACK)) {
        return tub__fail(err, TUB_E_FORMAT,
                         "it claims %llu bytes out of %llu packed ones in an archive of %llu",
                         (unsigned long long)st->size, (unsigned long long)st->comp_size,
                         (unsigned long long)z->size);
    }
    return TUB_OK;
}

/* Reads exactly `size` bytes, and then sees the end: that is where libzip compares length and
 * CRC-32. */
static tub_status unpack(zip_file_t *file, unsigned char *out, uint64_t size, tub_error *err) {
    uint64_t done = 0;
    zip_int64_t got = 1;
    while (done < size && got > 0) {
        got = zip_fread(file, out + done, size - done);
        done += got > 0 ? (uint64_t)got : 0;
    }
    unsigned char more;
    if (got > 0 || size == 0) {
        got = zip_fread(file, &more, 1);
    }
    if (got < 0) {
        return zip_failed(zip_file_get_error(file), "its bytes are damaged", err);
    }
    if (done < size || got > 0) {
        return tub__fail(err, TUB_E_FORMAT,
                         "its bytes are damaged: they unpack to %s than it claims",
                         done < size ? "fewer" : "more");
    }
    return TUB_OK;
}

static tub_status read_member(tub__npz *z, const entry *e, uint64_t limit, bool text, void **bytes,
                              tub__npy *npy, tub_error *err) {
    zip_stat_t st;
    if (zip_stat_index(z->zip, e->index, 0, &st) != 0) {
        return zip_failed(zip_get_error(z->zip), "its entry is damaged", err);
    }
    TUB__TRY(check_member(z, &st, limit, err));
    zip_file_t *file = zip_fopen_index(z->zip, e->index, 0);
    if (file == NULL) {
        return zip_failed(zip_get_error(z->zip), "its entry is damaged", err);
    }
    void *block = NULL;
    tub_status status = tub__alloc(z->allocator, (size_t)st.size, &block, err);
    if (status == TUB_OK) {
        status = unpack(file, block, st.size, err);
    }
    zip_fclose(file);
    if (status == TUB_OK) {
        status = text ? tub__npy_parse_text(block, (size_t)st.size, npy, err)
                      : tub__npy_parse(block, (size_t)st.size, false, npy, err);
    }
    if (status != TUB_OK) {
        tub__free(z->allocator, block);
        return status;
    }
    *bytes = block;
    return TUB_OK;
}

static tub_status read_named(tub__npz *z, const char *name, uint64_t limit, bool text, void **bytes,
                             tub__npy *npy, tub_error *err) {
    const entry *e = find(z, name);
    if (e == NULL) {
        return tub__fail(err, TUB_E_NOT_FOUND, "no array '%.200s' in the archive", name);
    }
    tub_status status = read_member(z, e, limit, text, bytes, npy, err);
    return status == TUB_OK ? TUB_OK : tub__prefix(err, status, "member '%.200s'", name);
}

tub_status tub__npz_read(tub__npz *z, const char *name, uint64_t limit, void **bytes, tub__npy *npy,
                         tub_error *err) {
    return read_named(z, name, limit, false, bytes, npy, err);
}

tub_status tub__npz_read_text(tub__npz *z, const char *name, uint64_t limit, void **bytes,
                              tub__npy *npy, tub_error *err) {
    return read_named(z, name, limit, true, bytes, npy, err);
}
