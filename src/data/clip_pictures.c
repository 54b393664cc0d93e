/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of pictures as a clip: its pictures in natural order of their names, one frame each. */
#include <dirent.h>
#include <errno.h>
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

static tub_status next_picture(tub__clip_file *clip, bool samples, tub__clip_frame *out, bool *end,
                               tub_error *err) {
    pictures_clip *p = (pictures_clip *)clip;
    const size_t at = (size_t)clip->position;
    int64_t said;
    *end = at >= p->count;
    if (*end || !samples) {
        return TUB_OK;
    }
    if (at != p->open) {
        p->open = p->count;
        TUB__TRY(p->module->reopen(p->video, p->paths[at], err));
        TUB__TRY(p->module->next(p->video, &said, end, err));
        p->open = at;
    }
    return p->module->pixels(p->video, (const unsigned char **)&out->samples, err);
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
    .next = next_picture, .seek = seek_picture, .close = close_pictures};

static tub_status fill(pictures_clip *p, const char *folder, int threads, tub_error *err) {
    const void *table;
    tub__video_facts facts;
    int64_t said;
    bool end;
    TUB__TRY(list_pictures(p, folder, err));
    TUB__TRY(tub__module_open(p->base.context, "video", &table, err));
    p->module = table;
    TUB__TRY(p->module->open(p->paths[0], threads, &p->video, &facts, err));
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
