/* SPDX-License-Identifier: Apache-2.0 */
/* Which kind a clip file is, and what all kinds have in common. */
#include "data/clip_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "data/clip_kind.h"
#include "formats/npy.h"
#include "formats/zip.h"

static bool ends_with(const char *text, const char *ending) {
    const size_t n = strlen(text), m = strlen(ending);
    return n > m && strcasecmp(text + n - m, ending) == 0;
}

/* "set.npz:member", "stack.npy[3]": what predict takes as well. */
static bool names_part(const char *path) {
    return ends_with(path, "]") || strstr(path, ".npz:") != NULL;
}

/* The first bytes of a file, as many as there are. */
static tub_status read_head(const char *path, unsigned char *head, size_t room, size_t *size,
                            tub_error *err) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    const ssize_t n = fd < 0 ? -1 : read(fd, head, room);
    const int failure = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (n < 0) {
        return failure == ENOENT ? tub__fail(err, TUB_E_NOT_FOUND, "%s: no such file", path)
                                 : tub__fail_errno(err, failure, "%s", path);
    }
    *size = (size_t)n;
    return TUB_OK;
}

/* What is read of it is gone: nothing may be looked at beforehand. */
static bool is_pipe(const char *path) {
    struct stat facts;
    return stat(path, &facts) == 0 && (S_ISFIFO(facts.st_mode) || S_ISSOCK(facts.st_mode));
}

/* Behind 128 bytes that may be anything. */
static bool is_dicom(const unsigned char *head, size_t size) {
    return size >= 132 && memcmp(head + 128, "DICM", 4) == 0;
}

static tub_status open_kind(tub_context *ctx, const char *path, int threads, bool windowed,
                            tub__clip_file **out, tub_error *err) {
    unsigned char head[132];
    size_t size = 0;
    if (tub__is_folder(path)) {
        return tub__clip_open_pictures(ctx, path, threads, out, err);
    }
    if (!tub__file_exists(path) && names_part(path)) {
        return tub__clip_open_array(ctx, path, windowed, out, err);
    }
    if (ends_with(path, ".nii") || ends_with(path, ".nii.gz")) {
        return tub__clip_open_volume(ctx, path, out, err);
    }
    if (is_pipe(path)) {
        return tub__clip_open_video(ctx, path, threads, out, err);
    }
    TUB__TRY(read_head(path, head, sizeof head, &size, err));
    if (tub__is_npy(head, size) || tub__is_zip(head, size)) {
        return tub__clip_open_array(ctx, path, windowed, out, err);
    }
    if (is_dicom(head, size)) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "%s: a DICOM file, which is not read; dcm2niix makes NIfTI of a series",
                         path);
    }
    return tub__clip_open_video(ctx, path, threads, out, err);
}

/* From now on the clip's intensities come out as levels. */
static tub_status look_through(tub__clip_file *clip, const tub__intensity_window *window,
                               tub_error *err) {
    tub__clip_facts *f = &clip->facts;
    if (f->dtype == TUB_U8) {
        return TUB_OK;
    }
    clip->window = *window;
    f->dtype = TUB_U8;
    f->windowed = true;
    return tub__alloc(&clip->context->allocator, (size_t)(f->height * f->width * f->channels),
                      (void **)&clip->levels, err);
}

tub_status tub__clip_open(tub_context *ctx, const char *path, int threads,
                          const tub__intensity_window *window, tub__clip_file **out,
                          tub_error *err) {
    tub__clip_file *clip = NULL;
    const bool windowed = window != NULL && tub__intensity_is_windowed(window);
    TUB__TRY(open_kind(ctx, path, threads, windowed, &clip, err));
    tub_status status = tub__alloc_string(&ctx->allocator, path, &clip->path, err);
    if (status == TUB_OK && windowed) {
        status = look_through(clip, window, err);
    }
    if (status != TUB_OK) {
        tub__clip_close(clip);
        return status;
    }
    *out = clip;
    return TUB_OK;
}

const tub__clip_facts *tub__clip_describe(const tub__clip_file *clip) {
    return &clip->facts;
}

const char *tub__clip_path(const tub__clip_file *clip) {
    return clip->path;
}

static tub_status next(tub__clip_file *clip, bool samples, tub__clip_frame *out, bool *end,
                       tub_error *err) {
    tub__clip_frame unused;
    tub__clip_frame *frame = out != NULL ? out : &unused;
    *frame = (tub__clip_frame){.height = clip->facts.height,
                               .width = clip->facts.width,
                               .index = clip->position,
                               .time = clip->position};
    *end = false;
    TUB__TRY(clip->operations->next(clip, samples, frame, end, err));
    if (clip->levels != NULL && samples && !*end) {
        const tub__clip_facts *f = &clip->facts;
        tub__intensity_to_levels(&clip->window, frame->samples,
                                 (size_t)(f->height * f->width * f->channels), clip->levels);
        frame->samples = clip->levels;
    }
    clip->position += !*end;
    if (*end) { /* packets may have promised more than can be decoded */
        clip->counts += clip->times != NULL && clip->facts.frames != clip->position;
        clip->facts.frames = clip->position;
        clip->facts.frames_exact = true;
    }
    return TUB_OK;
}

tub_status tub__clip_next(tub__clip_file *clip, tub__clip_frame *out, bool *end, tub_error *err) {
    return next(clip, true, out, end, err);
}

tub_status tub__clip_skip(tub__clip_file *clip, tub__clip_frame *out, bool *end, tub_error *err) {
    return next(clip, false, out, end, err);
}

tub_status tub__clip_count(tub__clip_file *clip, tub_error *err) {
    if (clip->operations->count != NULL && clip->times == NULL) {
        TUB__TRY(clip->operations->count(clip, err));
    }
    return tub__clip_seek(clip, 0, err);
}

const int64_t *tub__clip_times(const tub__clip_file *clip) {
    return clip->times;
}

int64_t tub__clip_counts(const tub__clip_file *clip) {
    return clip->counts;
}

tub_status tub__clip_seek(tub__clip_file *clip, int64_t index, tub_error *err) {
    if (index < 0 || (clip->facts.frames_exact && index >= clip->facts.frames)) {
        return tub__fail(err, TUB_E_RANGE, "%s: no frame %lld; there are %lld, counted from 0",
                         clip->path, (long long)index, (long long)clip->facts.frames);
    }
    return index == clip->position && clip->facts.frames_exact
               ? TUB_OK
               : clip->operations->seek(clip, index, err);
}

void tub__clip_warn_far(const tub__clip_file *clip) {
    if (clip->operations->warn_far != NULL && clip->facts.dtype == TUB_F32) {
        clip->operations->warn_far(clip);
    }
}

const char *tub__clip_damage(const tub__clip_file *clip) {
    return clip->operations->damage == NULL ? NULL : clip->operations->damage(clip);
}

void tub__clip_close(tub__clip_file *clip) {
    if (clip != NULL) {
        const tub_allocator *a = &clip->context->allocator;
        clip->operations->close(clip);
        tub__free(a, clip->levels);
        tub__free(a, clip->times);
        tub__free(a, clip->path);
        tub__free(a, clip);
    }
}
