/* SPDX-License-Identifier: Apache-2.0 */
/* Zip archives by libzip: the only file that includes its header.
 *
 * Nothing is ever unpacked to disk. No memory is taken by a size that the archive merely claims: a
 * member's claim must first be possible (deflate packs at most 1032 : 1) and within the caller's
 * limit. */
#include "formats/zip.h"

#include "base/error.h"
#include "base/file.h"
#include <errno.h>
#include <string.h>
#include <zip.h>

enum { ENTRY_LIMIT = 1 << 20, DEFLATE_RATIO = 1032, DEFLATE_SLACK = 1024, END_RECORD = 22 };

struct tub__zip {
    const tub_allocator *allocator;
    zip_t *zip;
    uint64_t size; /* of the archive in bytes */
    size_t count;
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

/* Absolute names and names that climb out of their folder have no place in an archive of data:
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

static tub_status check_names(tub__zip *z, tub_error *err) {
    zip_int64_t count = zip_get_num_entries(z->zip, 0);
    if (count > ENTRY_LIMIT) {
        return tub__fail(err, TUB_E_FORMAT,
                         "the archive has %lld members; more than %d are refused", (long long)count,
                         ENTRY_LIMIT);
    }
    z->count = (size_t)count;
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
    }
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
                              tub__zip **out, tub_error *err) {
    tub__zip *z = NULL;
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
    status = check_names(z, err);
    if (status != TUB_OK) {
        tub__zip_close(z);
        return status;
    }
    *out = z;
    return TUB_OK;
drop_source:
    zip_source_free(source);
    tub__free(a, z);
    return status;
}

tub_status tub__zip_open(const tub_allocator *a, const char *path, tub__zip **out, tub_error *err) {
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_file_create(path, 0, -1, &error);
    tub_status status = source == NULL ? zip_failed(&error, "can't be read", err)
                                       : open_source(a, source, &error, out, err);
    zip_error_fini(&error);
    return status == TUB_OK ? TUB_OK : tub__prefix(err, status, "%s", path);
}

tub_status tub__zip_open_memory(const tub_allocator *a, const void *bytes, size_t size,
                                tub__zip **out, tub_error *err) {
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(bytes, size, 0, &error);
    tub_status status = source == NULL ? zip_failed(&error, "can't be read", err)
                                       : open_source(a, source, &error, out, err);
    zip_error_fini(&error);
    return status;
}

void tub__zip_close(tub__zip *z) {
    if (z == NULL) {
        return;
    }
    zip_discard(z->zip);
    tub__free(z->allocator, z);
}

size_t tub__zip_count(const tub__zip *z) {
    return z->count;
}

const char *tub__zip_name(const tub__zip *z, size_t index) {
    return zip_get_name(z->zip, index, ZIP_FL_ENC_GUESS); /* kept by libzip: can't fail now */
}

bool tub__zip_find(const tub__zip *z, const char *name, size_t *index) {
    for (size_t i = z->count; i-- > 0;) {
        if (strcmp(tub__zip_name(z, i), name) == 0) {
            *index = i;
            return true;
        }
    }
    return false;
}

/* Whether a member may be unpacked at all, before any memory is taken for it. */
static tub_status check_member(const tub__zip *z, const zip_stat_t *st, uint64_t limit,
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

tub_status tub__zip_read(tub__zip *z, size_t index, uint64_t limit, void **bytes, size_t *size,
                         tub_error *err) {
    zip_stat_t st;
    if (zip_stat_index(z->zip, index, 0, &st) != 0) {
        return zip_failed(zip_get_error(z->zip), "its entry is damaged", err);
    }
    TUB__TRY(check_member(z, &st, limit, err));
    zip_file_t *file = zip_fopen_index(z->zip, index, 0);
    if (file == NULL) {
        return zip_failed(zip_get_error(z->zip), "its entry is damaged", err);
    }
    void *block = NULL;
    tub_status status = tub__alloc(z->allocator, (size_t)st.size, &block, err);
    if (status == TUB_OK) {
        status = unpack(file, block, st.size, err);
    }
    zip_fclose(file);
    if (status != TUB_OK) {
        tub__free(z->allocator, block);
        return status;
    }
    *bytes = block;
    *size = (size_t)st.size;
    return TUB_OK;
}

/* ---- Writing: the archive is made in memory, then the file is replaced as a whole. ---- */

/* 1 January 1980, the earliest that zip knows: equal members give equal bytes. */
enum { DOS_DATE = 1 << 5 | 1, DOS_TIME = 0 };

static tub_status add_member(zip_t *zip, const tub__zip_member *m, tub_error *err) {
    zip_source_t *source = zip_source_buffer(zip, m->bytes, m->size, 0);
    const zip_int64_t index =
        source == NULL ? -1 : zip_file_add(zip, m->name, source, ZIP_FL_ENC_UTF_8);
    if (index < 0) {
        zip_source_free(source);
        return zip_failed(zip_get_error(zip), m->name, err);
    }
    if (zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_STORE, 0) != 0 ||
        zip_file_set_dostime(zip, (zip_uint64_t)index, DOS_TIME, DOS_DATE, 0) != 0) {
        return zip_failed(zip_get_error(zip), m->name, err);
    }
    return TUB_OK;
}

/* The archive's bytes, out of the source that it was made in. */
static tub_status write_source(const tub_allocator *a, zip_source_t *source, const char *path,
                               tub_error *err) {
    zip_stat_t st;
    void *bytes = NULL;
    if (zip_source_stat(source, &st) != 0 || zip_source_open(source) != 0) {
        return zip_failed(zip_source_error(source), "can't be made", err);
    }
    tub_status status = tub__alloc(a, (size_t)st.size, &bytes, err);
    if (status == TUB_OK && zip_source_read(source, bytes, st.size) != (zip_int64_t)st.size) {
        status = zip_failed(zip_source_error(source), "can't be made", err);
    }
    zip_source_close(source);
    if (status == TUB_OK) {
        status = tub__file_write(a, path, bytes, (size_t)st.size, err);
    }
    tub__free(a, bytes);
    return status;
}

static tub_status fill_archive(zip_source_t *source, const tub__zip_member *members, size_t count,
                               zip_error_t *error, tub_error *err) {
    zip_t *zip = zip_open_from_source(source, ZIP_TRUNCATE, error);
    if (zip == NULL) {
        return zip_failed(error, "can't be made", err);
    }
    zip_source_keep(source); /* for who reads the bytes; closing the archive drops the other */
    tub_status status = TUB_OK;
    for (size_t i = 0; i < count && status == TUB_OK; i++) {
        status = add_member(zip, &members[i], err);
    }
    if (status == TUB_OK && zip_close(zip) == 0) {
        return TUB_OK;
    }
    status = status == TUB_OK ? zip_failed(zip_get_error(zip), "can't be made", err) : status;
    zip_discard(zip);
    return status;
}

tub_status tub__zip_write(const tub_allocator *a, const char *path, const tub__zip_member *members,
                          size_t count, tub_error *err) {
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(NULL, 0, 0, &error);
    tub_status status = source == NULL ? zip_failed(&error, "can't be made", err)
                                       : fill_archive(source, members, count, &error, err);
    if (status == TUB_OK) {
        status = write_source(a, source, path, err); /* its sentence names the path */
    } else {
        tub__prefix(err, status, "%s", path);
    }
    zip_source_free(source);
    zip_error_fini(&error);
    return status;
}
