/* SPDX-License-Identifier: Apache-2.0 */
/* A map as files: the array, an animation, strips of pictures. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "explain_parts.h"

/* Pixels that a picture's longer side has at least, by whole numbers of pixels a voxel. */
enum { SIDE = 96 };

static const char *const endings[EXPLAIN_FILES] = {".npy", ".gif", ".png", "-rows.png",
                                                   "-columns.png"};
enum { ARRAY, ANIMATION, FRAMES, ROWS, COLUMNS };

static bool add_name(explain_files *f, const char *prefix, const char *middle, const char *end) {
    const size_t size = strlen(prefix) + strlen(middle) + strlen(end) + 1;
    char *path = malloc(size);
    if (path != NULL) {
        snprintf(path, size, "%s%s%s", prefix, middle, end);
        f->path[f->count++] = path;
    }
    return path != NULL;
}

bool explain_files_of(const char *prefix, bool volume, const tub_model *model,
                      const tub_explain_options *raw, explain_files *out) {
    bool made = true;
    *out = (explain_files){.pictures = volume ? EXPLAIN_FILES : ROWS};
    for (int i = 0; i < out->pictures && made; i++) {
        made = add_name(out, prefix, "", endings[i]);
    }
    for (int i = 0; raw != NULL && made && out->count < STAGE_FILES; i++) {
        char middle[64];
        const char *name = tub_explain_raw_name(model, raw, i);
        if (name == NULL) {
            break;
        }
        snprintf(middle, sizeof middle, "-%s", name);
        made = add_name(out, prefix, middle, ".npy");
    }
    if (!made) {
        explain_files_free(out);
    }
    return made;
}

void explain_files_free(explain_files *f) {
    stage_end(&f->stage);
    for (int i = 0; i < f->count; i++) {
        free(f->path[i]);
    }
    *f = (explain_files){0};
}

/* ---- what they may replace ---- */

/* A file as it is named to be read: FILE, or FILE[5]. */
static bool find(const char *input, struct stat *out) {
    char file[PATH_MAX];
    const char *bracket = strrchr(input, '[');
    if (stat(input, out) == 0) {
        return true;
    }
    snprintf(file, sizeof file, "%.*s", bracket != NULL ? (int)(bracket - input) : 0, input);
    return bracket != NULL && stat(file, out) == 0;
}

static int check_one(const cli_command *self, const char *path, const struct stat *input,
                     bool force) {
    struct stat there;
    if (lstat(path, &there) != 0) {
        return CLI_GO;
    }
    if (input != NULL && there.st_dev == input->st_dev && there.st_ino == input->st_ino) {
        return cli_fail_with(self, "%s is what is explained; give another --out", path);
    }
    if (!force) {
        return cli_fail_with(self, "%s exists; --force replaces it", path);
    }
    return S_ISREG(there.st_mode) || S_ISLNK(there.st_mode)
               ? CLI_GO
               : cli_fail_with(self, "%s is a folder or device, not a file that could be replaced",
                               path);
}

int explain_files_check(const cli_command *self, const explain_files *f, const char *input,
                        bool force) {
    struct stat facts;
    const bool found = find(input, &facts);
    int code = CLI_GO;
    for (int i = 0; i < f->count && code == CLI_GO; i++) {
        code = check_one(self, f->path[i], found ? &facts : NULL, force);
    }
    return code;
}

/* ---- making them ---- */

int explain_files_begin(const cli_command *self, tub_context *ctx, explain_files *f,
                        const char *prefix) {
    static const unsigned char gray = 0;
    const tub_picture picture = {&gray, 1, 1, 1, 1, 1};
    void *bytes = NULL;
    size_t size;
    tub_error err;
    if (tub_picture_encode(ctx, &picture, TUB_PICTURE_GIF, &bytes, &size, &err) != TUB_OK) {
        return cli_fail(self, &err);
    }
    tub_picture_free(ctx, bytes);
    return stage_begin(&f->stage, prefix)
               ? CLI_GO
               : cli_fail_with(self, "%s: creating files: %s", prefix, strerror(errno));
}

/* A strip has the clip itself above each picture; an animation shows all frames. */
static tub_status draw(const char *path, int file, const tub_explanation *e, const tub_clip *clip,
                       tub_error *err) {
    tub_overlay_options o = tub_overlay_options_default();
    tub_clip picture;
    o.axis = file == ROWS ? 1 : file == COLUMNS ? 2 : 0;
    o.most = file == ANIMATION ? 0 : TUB_STRIP_FRAMES;
    o.bare = file != ANIMATION;
    const int64_t longer = clip->height > clip->width ? clip->height : clip->width;
    o.scale = (SIDE + longer - 1) / longer;
    o.scale = o.scale > 64 ? 64 : o.scale;
    tub_status status = tub_explanation_draw(e, clip, &o, &picture, err);
    if (status == TUB_OK) {
        status = tub_clip_write(&picture, path, err);
        tub_clip_free(&picture);
    }
    return status;
}

tub_status explain_files_write(const explain_files *f, const tub_explanation *e,
                               const tub_clip *clip, tub_error *err) {
    tub_status status = TUB_OK;
    for (int i = 0; i < f->pictures && status == TUB_OK; i++) {
        char path[PATH_MAX];
        if (!stage_path(&f->stage, f->path[i], path)) {
            err->status = status = TUB_E_ARGUMENT;
            snprintf(err->message, sizeof err->message, "%.100s...: too long a name", f->path[i]);
        } else {
            status = i == ARRAY ? tub_explanation_write(e, path, err) : draw(path, i, e, clip, err);
        }
    }
    return status;
}

int explain_files_commit(const cli_command *self, explain_files *f, bool force) {
    const char *names[STAGE_FILES];
    for (int i = 0; i < f->count; i++) {
        names[i] = f->path[f->count - 1 - i]; /* the map last: who waits for it finds all */
    }
    const char *failed = stage_commit(&f->stage, names, f->count, force);
    return failed == NULL    ? CLI_GO
           : errno == EEXIST ? cli_fail_with(self, "%s exists; --force replaces it", failed)
                             : cli_fail_with(self, "%s: %s", failed, strerror(errno));
}
