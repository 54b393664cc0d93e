/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of pictures as a clip: its pictures in natural order of their names, one frame each. A picture that
 * can't be decoded is damage, as a packet of a video: the clip has the others. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/file.h"
#include "data/clip_kind.h"
#include "data/natural_order.h"

/* Endings of files that count as pictures; others lie there for other reasons. */
static const char *const endings[] = {"png",  "jpg",  "jpeg", "bmp", "gif", "tif",
                                      "tiff", "webp", "ppm",  "pgm", "pbm", "pnm",
                                      "tga",  "jp2",  "dpx",  "exr", "jxl", "qoi"};

typedef struct pictures_clip {
    tub__clip_file base;
    const tub__video_module *module;
    tub__video *video;
    char **paths; /* [count] */
    size_t count, room;
    size_t open; /* index of the picture that the module has; count: none */
    size_t bad;  /* pictures that were left out */
    char said[96];
} pictures_clip;

static bool is_picture(const char *name) {
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && name[0] != '.' && i < sizeof endings / sizeof *endings; i++) {
        if (strcasecmp(dot + 1, endings[i]) == 0) {
            return true;
        }
    }
    return false;
}

static tub_status add_picture(pictures_clip *p, const char *folder, const char *name,
                              tub_error *err) {
    const tub_allocator *a = &p->base.context->allocator;
    TUB__TRY(tub__alloc_room(a, (void **)&p->paths, p->count, sizeof *p->paths, &p->room, err));
    TUB__TRY(tub__path_join(a, folder, name, &p->paths[p->count], err));
    p->count++;
    return TUB_OK;
}

static int compare_paths(const void *a, const void *b) {
    return tub__natural_compare(*(char *const *)a, *(char *const *)b);
}

static tub_status list_pictures(pictures_clip *p, const char *folder, tub_error *err) {
    DIR *d = opendir(folder);
    tub_status status = TUB_OK;
    if (d == NULL) {
        return tub__fail_errno(err, errno, "%s", folder);
    }
    for (struct dirent *e = readdir(d); e != NULL && status == TUB_OK; e = readdir(d)) {
        if (is_picture(e->d_name)) {
            status = add_picture(p, folder, e->d_name, err);
        }
    }
    closedir(d);
    TUB__TRY(status);
    if (p->count == 0) {
        return tub__fail(err, TUB_E_NOT_FOUND,
                         "%s: no picture (.png, .jpg, .bmp, ...) in the folder, which would be the "
                         "frames of a clip",
                         folder);
    }
    qsort(p->paths, p->count, sizeof *p->paths, compare_paths);
    return TUB_OK;
}

/* What is wrong with the file itself; a picture that is gone, and all else, ends the reading. */
static bool is_damage(tub_status status) {
    return status == TUB_E_FORMAT || status == TUB_E_UNSUPPORTED;
}

/* The first of them is the one to look at. */
static void leave_out(pictures_clip *p, size_t at) {
    const char *slash = strrchr(p->paths[at], '/');
    const char *name = slash != NULL ? slash + 1 : p->paths[at];
    if (p->bad++ == 0) {
        snprintf(p->said, sizeof p->said, "%.48s can't be decoded", name);
    } else {
        snprintf(p->said, sizeof p->said, "%zu pictures can't be decoded", p->bad);
    }
    tub__free(&p->base.context->allocator, p->paths[at]);
    memmove(p->paths + at, p->paths + at + 1, (--p->count - at) * sizeof *p->paths);
    p->open = p->count;
}

static tub_status open_picture(pictures_clip *p, size_t at, tub_error *err) {
    int64_t said;
    bool end = false;
    p->open = p->count;
    TUB__TRY(p->module->reopen(p->video, p->paths[at], err));
    TUB__TRY(p->module->next(p->video, &said, &end, err));
    p->open = at;
    return TUB_OK;
}

static tub_status next_picture(tub__clip_file *clip, bool samples, tub__clip_frame *out, bool *end,
                               tub_error *err) {
    pictures_clip *p = (pictures_clip *)clip;
    const size_t at = (size_t)clip->position;
    tub_status status = TUB_OK;
    tub_error why = {0};
    while (samples && at < p->count) {
        status = at == p->open ? TUB_OK : open_picture(p, at, &why);
        if (status == TUB_OK) {
            status = p->module->pixels(p->video, (const unsigned char **)&out->samples, &why);
        }
        if (!is_damage(status) || p->count == 1) {
            return status == TUB_OK ? TUB_OK : tub__fail(err, status, "%s", why.message);
        }
        leave_out(p, at);
        clip->facts.frames = (int64_t)p->count;
        clip->counts++;
    }
    *end = at >= p->count;
    return TUB_OK;
}

static const char *tell_pictures(const tub__clip_file *clip) {
    const pictures_clip *p = (const pictures_clip *)clip;
    return p->bad > 0 ? p->said : NULL;
}

static tub_status seek_picture(tub__clip_file *clip, int64_t index, tub_error *err) {
    (void)err;
    clip->position = index;
    return TUB_OK;
}

static void close_pictures(tub__clip_file *clip) {
    pictures_clip *p = (pictures_clip *)clip;
    const tub_allocator *a = &clip->context->allocator;
    if (p->module != NULL) {
        p->module->close(p->video);
    }
    for (size_t i = 0; i < p->count; i++) {
        tub__free(a, p->paths[i]);
    }
    tub__free(a, p->paths);
}

static const tub__clip_operations operations = {
    .next = next_picture, .seek = seek_picture, .damage = tell_pictures, .close = close_pictures};

/* The first that can be decoded says the size of all. Where none can, the sentence is of the first. */
static tub_status open_first(pictures_clip *p, int threads, tub__video_facts *facts,
                             tub_error *err) {
    tub_error why = {0};
    tub_status status = p->module->open(p->paths[0], threads, &p->video, facts, &why);
    for (size_t at = 1; is_damage(status) && at < p->count; at++) {
        const tub_status next = p->module->open(p->paths[at], threads, &p->video, facts, NULL);
        if (next == TUB_OK) {
            for (; at > 0; at--) {
                leave_out(p, 0);
            }
            return TUB_OK;
        }
        if (!is_damage(next)) {
            break;
        }
    }
    return status == TUB_OK ? TUB_OK : tub__fail(err, status, "%s", why.message);
}

static tub_status fill(pictures_clip *p, const char *folder, int threads, tub_error *err) {
    const void *table;
    tub__video_facts facts;
    int64_t said;
    bool end;
    TUB__TRY(list_pictures(p, folder, err));
    TUB__TRY(tub__module_open(p->base.context, "video", &table, err));
    p->module = table;
    TUB__TRY(open_first(p, threads, &facts, err));
    TUB__TRY(p->module->next(p->video, &said, &end, err));
    p->base.facts = (tub__clip_facts){.kind = TUB__CLIP_PICTURES,
                                      .dtype = TUB_U8,
                                      .height = facts.height,
                                      .width = facts.width,
                                      .channels = 3,
                                      .frames = (int64_t)p->count,
                                      .frames_exact = true,
                                      .rate_denominator = 1,
                                      .time_base_denominator = 1};
    return TUB_OK;
}

tub_status tub__clip_open_pictures(tub_context *ctx, const char *folder, int threads,
                                   tub__clip_file **out, tub_error *err) {
    pictures_clip *p;
    TUB__TRY(tub__alloc_array(&ctx->allocator, 1, sizeof *p, (void **)&p, err));
    *p = (pictures_clip){.base = {.operations = &operations, .context = ctx}};
    const tub_status status = fill(p, folder, threads, err);
    if (status != TUB_OK) {
        close_pictures(&p->base);
        tub__free(&ctx->allocator, p);
        return status;
    }
    *out = &p->base;
    return TUB_OK;
}
