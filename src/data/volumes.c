/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the volumes that one command-line argument names: FILE.npy, FILE.npz or FILE.npz:ARRAY,
 * each also with [i] or [i:j]. */
#include "data/volumes.h"
#include "base/error.h"
#include "base/file.h"
#include "data/array.h"
#include "data/dataset.h"
#include "formats/zip.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRUTH_LIMIT = 8192 }; /* labels of a sample */
static const uint64_t UNPACKED_LIMIT = (uint64_t)64
                                       << 30; /* more in one member is taken for a bomb */

/* An argument taken apart. */
typedef struct target {
    char *path;
    const char *member; /* in the same block as path; NULL: none named */
    bool sliced;        /* [begin:end] was given; one index i is [i:i+1] */
    int64_t begin, end; /* end -1: to the last */
    bool single;        /* [i] */
    bool intensities;   /* tub__volumes_read's */
} target;

static bool parse_index(const char **text, int64_t *out) {
    if (**text < '0' || **text > '9') {
        return false;
    }
    char *rest;
    errno = 0;
    *out = strtoll(*text, &rest, 10);
    *text = rest;
    return errno == 0;
}

/* "[5]", "[5:9]", "[5:]" or "[:9]". */
static bool parse_slice(const char *text, target *t) {
    const char *at = text + 1;
    bool begin = parse_index(&at, &t->begin);
    t->end = -1;
    t->sliced = true;
    t->single = begin && *at == ']';
    if (t->single) {
        t->end = t->begin + 1;
    } else {
        if (*at != ':') {
            return false;
        }
        at++;
        (void)(*at == ']' || parse_index(&at, &t->end));
    }
    return strcmp(at, "]") == 0;
}

/* A file that exists under the whole argument is meant literally; else a slice and then a member's
 * name are split off. */
static tub_status parse_argument(const tub_allocator *a, const char *argument, target *out,
                                 tub_error *err) {
    *out = (target){.end = -1};
    TUB__TRY(tub__alloc_string(a, argument, &out->path, err));
    if (tub__file_exists(argument)) {
        return TUB_OK;
    }
    size_t length = strlen(out->path);
    char *bracket = length > 0 && out->path[length - 1] == ']' ? strrchr(out->path, '[') : NULL;
    if (bracket) {
        if (!parse_slice(bracket, out)) {
            return tub__fail(err, TUB_E_ARGUMENT, "%s: give the volumes as [5] or [5:9]", argument);
        }
        *bracket = '\0';
    }
    if (tub__file_exists(out->path)) {
        return TUB_OK;
    }
    char *colon = strrchr(out->path, ':');
    if (colon) {
        *colon = '\0';
        out->member = colon + 1;
    }
    if (!tub__file_exists(out->path)) {
        return errno == ENOENT ? tub__fail(err, TUB_E_NOT_FOUND, "%s: no such file", out->path)
                               : tub__fail_errno(err, errno, "%s", out->path);
    }
    return TUB_OK;
}

/* The names of an archive's arrays, for sentences. */
static void list_members(const tub__npz *z, char *out, size_t size) {
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < tub__npz_count(z) && used < size; i++) {
        used +=
            (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : "", tub__npz_name(z, i));
    }
}

static tub_status choose_member(const tub__npz *z, target *t, tub_error *err) {
    char names[256];
    list_members(z, names, sizeof names);
    if (t->member) {
        if (tub__npz_has(z, t->member)) {
            return TUB_OK;
        }
        return tub__fail(err, TUB_E_NOT_FOUND, "no array %s; it has %s", t->member, names);
    }
    if (tub__npz_count(z) != 1) {
        return tub__fail(err, TUB_E_ARGUMENT, "%zu arrays (%s): name one, as in %s:NAME[0]",
                         tub__npz_count(z), names, tub__path_name(t->path));
    }
    t->member = tub__npz_name(z, 0);
    return TUB_OK;
}

/* Which dimensions mean what: fills count and T, H, W, C of *out. */
static tub_status settle_shape(const tub__npy *npy, const int64_t *want, tub_volumes *out,
                               tub_error *err) {
    char shape[160];
    tub__shape_text(npy, shape, sizeof shape);
    if (npy->rank < 3 || npy->rank > 5 || npy->elements == 0) {
        return tub__fail(
            err, TUB_E_SHAPE,
            "shape %s: a volume is [T,H,W] or [T,H,W,C], a stack of them has one dimension more",
            shape);
    }
    int64_t d[5] = {0};
    for (int i = 0; i < npy->rank; i++) {
        d[i] = (int64_t)npy->shape[i];
    }
    bool stack = npy->rank == 5;
    bool channels = npy->rank == 5;
    if (npy->rank ==
        4) { /* [T,H,W,C] or [N,T,H,W]: the model's own shape tells, else few channels do */
        bool one = want && d[0] == want[0] && d[1] == want[1] && d[2] == want[2] && d[3] == want[3];
        bool many = want && want[3] == 1 && d[1] == want[0] && d[2] == want[1] && d[3] == want[2];
        channels = one || (!many && d[3] <= 4);
        stack = !channels;
    }
    const int64_t *v = d + (stack ? 1 : 0);
    out->count = stack ? d[0] : 1;
    out->frames = v[0];
    out->height = v[1];
    out->width = v[2];
    out->channels = channels ? v[3] : 1;
    return TUB_OK;
}

/* Checks the slice against what is there. */
static tub_status settle_slice(const target *t, int64_t count, int64_t *begin, int64_t *end,
                               tub_error *err) {
    *begin = t->sliced ? t->begin : 0;
    *end = t->sliced && t->end >= 0 ? t->end : count;
    if ((t->single || t->end < 0) && *begin >= count) {
        return tub__fail(err, TUB_E_RANGE, "no volume %lld: there are %lld, counted from 0",
                         (long long)*begin, (long long)count);
    }
    if (*begin >= *end) {
        return tub__fail(err, TUB_E_RANGE,
                         "[%lld:%lld] takes no volume: the second number is the first one left out",
                         (long long)*begin, (long long)*end);
    }
    if (*end > count) {
        return tub__fail(err, TUB_E_RANGE,
                         "no volumes %lld to %lld: there are %lld, counted from 0",
                         (long long)*begin, (long long)*end - 1, (long long)count);
    }
    return TUB_OK;
}

/* Which volumes of the file's array are wanted. */
typedef struct wanted {
    int64_t begin, end;
    int64_t total; /* in the file */
} wanted;

static tub_status settle(const target *t, const tub__npy *npy, const int64_t *want,
                         tub_volumes *out, wanted *w, tub_error *err) {
    TUB__TRY(settle_shape(npy, want, out, err));
    w->total = out->count;
    return settle_slice(t, out->count, &w->begin, &w->end, err);
}

/* Makes the array one of the wanted volumes alone, so that nothing else is copied or converted; which needs
 * them to lie in a row. */
static void cut(tub__npy *npy, wanted *w) {
    if (npy->fortran) {
        return;
    }
    const uint64_t volume = npy->elements / (uint64_t)w->total;
    npy->data_offset += (size_t)((uint64_t)w->begin * volume) * (size_t)npy->width;
    npy->elements = (uint64_t)(w->end - w->begin) * volume;
    w->end -= w->begin;
    w->begin = 0;
}

/* Turns the file's array into the wanted volumes; takes *bytes over. */
static tub_status make_volumes(const target *t, void **bytes, const tub__npy *npy, const wanted *w,
                               tub_volumes *out, tub_error *err) {
    const tub_allocator *a = &out->owner->allocator;
    tub__array array = {0};
    TUB__TRY(tub__array_take(a, bytes, npy, t->intensities, &array, err));
    out->dtype = array.dtype;
    const size_t volume = (size_t)(out->frames * out->height * out->width * out->channels) *
                          tub__dtype_bytes(out->dtype);
    const size_t size = (size_t)(w->end - w->begin) * volume;
    /* The caller frees `data` itself, so the volumes move to the start of a block of their own
     * size. */
    const tub_status status = tub__alloc(a, size, &out->data, err);
    if (status == TUB_OK) {
        memcpy(out->data, (char *)array.elements + (size_t)w->begin * volume, size);
    }
    tub__free(a, array.block);
    return status;
}

/* The labels that belong to NAME_images lie in NAME_labels. Only a help: whatever does not fit is
 * left out. */
static tub_status read_truth(tub__npz *z, const target *t, int64_t total, tub_volumes *out,
                             tub_error *err) {
    const tub_allocator *a = &out->owner->allocator;
    const char suffix[] = "_images";
    size_t stem = strlen(t->member);
    char name[128];
    if (stem < sizeof suffix || strcmp(t->member + stem - (sizeof suffix - 1), suffix) != 0 ||
        (size_t)snprintf(name, sizeof name, "%.*s_labels", (int)(stem - (sizeof suffix - 1)),
                         t->member) >= sizeof name ||
        !tub__npz_has(z, name)) {
        return TUB_OK;
    }
    void *bytes = NULL, *wide = NULL, *truth = NULL;
    tub__npy npy;
    tub_status status = tub__npz_read(
        z, name, (uint64_t)(1 << 20) + (uint64_t)total * 8 * TRUTH_LIMIT, &bytes, &npy, err);
    bool usable = status == TUB_OK && npy.kind != TUB__NPY_FLOAT && npy.rank >= 1 &&
                  npy.shape[0] == (uint64_t)total && npy.rank <= 2 && npy.elements > 0 &&
                  npy.elements / npy.shape[0] <= TRUTH_LIMIT;
    const size_t columns = usable ? (size_t)(npy.elements / npy.shape[0]) : 1;
    const size_t skipped = (size_t)out->first * columns, count = (size_t)out->count * columns;
    if (usable) {
        status = tub__alloc_array(a, (size_t)npy.elements, sizeof(int64_t), &wide, err);
        if (status == TUB_OK) {
            status = tub__alloc_array(a, count, sizeof(int32_t), &truth, err);
        }
        usable = status == TUB_OK && tub__npy_to_i64(&npy, bytes, wide, NULL) == TUB_OK;
    }
    for (size_t i = 0; usable && i < count; i++) {
        int64_t label = ((const int64_t *)wide)[skipped + i];
        usable = label >= 0 && label <= INT32_MAX;
        ((int32_t *)truth)[i] = (int32_t)label;
    }
    tub__free(a, bytes);
    tub__free(a, wide);
    if (!usable) {
        tub__free(a, truth);
        truth = NULL;
    }
    out->truth = truth;
    out->truth_columns = (int64_t)columns;
    return status == TUB_E_MEMORY ? status : TUB_OK;
}

/* Of an archive's member, which is in memory as a whole; takes *bytes over. */
static tub_status take(const target *t, void **bytes, tub__npy *npy, const int64_t *want,
                       tub_volumes *out, wanted *w, tub_error *err) {
    const tub_status status = settle(t, npy, want, out, w, err);
    if (status != TUB_OK) {
        tub__free(&out->owner->allocator, *bytes);
        *bytes = NULL;
        return status;
    }
    out->first = w->begin;
    out->count = w->end - w->begin;
    cut(npy, w);
    return make_volumes(t, bytes, npy, w, out, err);
}

static tub_status read_npz(target *t, const int64_t *want, tub_volumes *out, tub_error *err) {
    const tub_allocator *a = &out->owner->allocator;
    tub__npz *z;
    void *bytes = NULL;
    tub__npy npy;
    wanted w = {0};
    TUB__TRY(tub__npz_open(a, t->path, &z, err));
    tub_status status = choose_member(z, t, err);
    if (status == TUB_OK) {
        status = tub__npz_read(z, t->member, UNPACKED_LIMIT, &bytes, &npy, err);
    }
    if (status == TUB_OK) {
        status = take(t, &bytes, &npy, want, out, &w, err);
        if (status != TUB_OK) {
            status = tub__prefix(err, status, "%s", t->member);
        }
    }
    if (status == TUB_OK) {
        status = read_truth(z, t, w.total, out, err);
    }
    tub__npz_close(z);
    return status == TUB_OK ? TUB_OK : tub__prefix(err, status, "%s", t->path);
}

static tub_status read_npy(const target *t, const tub__map *map, const int64_t *want,
                           tub_volumes *out, tub_error *err) {
    tub__npy npy;
    void *bytes;
    wanted w = {0};
    if (t->member) {
        return tub__fail(err, TUB_E_ARGUMENT, "one array without a name: leave out :%s", t->member);
    }
    TUB__TRY(tub__npy_parse(map->data, map->size, false, &npy, err));
    TUB__TRY(settle(t, &npy, want, out, &w, err));
    out->first = w.begin;
    out->count = w.end - w.begin;
    cut(&npy, &w);
    const size_t size = (size_t)npy.elements * (size_t)npy.width;
    TUB__TRY(tub__alloc(&out->owner->allocator, size, &bytes, err));
    memcpy(bytes, (const char *)map->data + npy.data_offset, size);
    npy.data_offset = 0;
    return make_volumes(t, &bytes, &npy, &w, out, err);
}

static tub_status read_file(target *t, const int64_t *want, tub_volumes *out, tub_error *err) {
    if (tub__is_folder(t->path)) {
        return tub__fail(err, TUB_E_UNSUPPORTED, "%s is a folder: give .npy or .npz files",
                         t->path);
    }
    tub__map map;
    TUB__TRY(tub__map_open(t->path, &map, err));
    bool zip = tub__is_zip(map.data, map.size);
    tub_status status = TUB_OK;
    if (tub__is_npy(map.data, map.size)) {
        status = read_npy(t, &map, want, out, err);
    } else if (!zip) {
        status = tub__fail(err, TUB_E_FORMAT, "neither a .npy nor a .npz file");
    }
    tub__map_close(&map);
    if (status != TUB_OK) {
        return tub__prefix(err, status, "%s", t->path);
    }
    return zip ? read_npz(t, want, out, err) : TUB_OK;
}

tub_status tub__volumes_read(tub_context *ctx, const char *argument, const int64_t want[4],
                             bool intensities, tub_volumes *out, tub_error *err) {
    target t;
    *out = (tub_volumes){.owner = ctx};
    tub_status status = parse_argument(&ctx->allocator, argument, &t, err);
    t.intensities = intensities;
    if (status == TUB_OK) {
        status = read_file(&t, want, out, err);
    }
    tub__free(&ctx->allocator, t.path);
    if (status != TUB_OK) {
        tub_volumes_free(out);
    }
    return status;
}

tub_status tub__volumes_file(const tub_allocator *a, const char *argument, char **out,
                             tub_error *err) {
    target t;
    const tub_status status = parse_argument(a, argument, &t, err);
    if (status != TUB_OK) {
        tub__free(a, t.path);
        return status;
    }
    *out = t.path;
    return TUB_OK;
}

void tub_volumes_free(tub_volumes *v) {
    if (!v->owner) {
        return;
    }
    tub__free(&v->owner->allocator, v->data);
    tub__free(&v->owner->allocator, v->truth);
    *v = (tub_volumes){0};
}
