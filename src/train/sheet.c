/* SPDX-License-Identifier: Apache-2.0 */
/* The contact sheet of augmentation.
 *
 *      sample 0 |  as epoch e  as epoch e + 1  ..
 *      sample k |  ..
 *
 * Clips are made by the functions that the loader makes them with, at the places that its orders say. */
#include <tubelet/sheet.h>

#include "base/context.h"
#include "base/error.h"
#include "base/file.h"
#include "base/fpenv.h"
#include "base/module.h"
#include "data/sample_maker.h"
#include "train/material.h"
#include "train/trainer.h"
#include <string.h>

enum {
    GAP = 4,         /* pixels between pictures */
    LEAST = 96,      /* pictures with shorter sides are enlarged, pixel by pixel */
    EPOCHS = 1000,   /* that are looked through for a sample */
    PIXELS = 1 << 28 /* of a sheet */
};
static const unsigned char BACKGROUND = 128;

tub_sheet_options tub_sheet_options_default(void) {
    return (tub_sheet_options){
        .size = sizeof(tub_sheet_options), .samples = 8, .versions = 6, .epoch = 1};
}

typedef struct sheet {
    const tub_allocator *allocator;
    const tub_train_config *config;
    tub_dataset_info info; /* of what the augmenter gets */
    const tub_dataset *data;
    size_t count; /* samples of the train split */
    tub__order orders;
    tub_sheet_options options;
    tub__augmenter *augmenter;
    tub__sample_maker maker;
    tub__sample_scratch scratch;
    void *clip, *sample;
    uint32_t *order;
    size_t clip_size[3]; /* T, H, W */
    size_t zoom, cell[2], colours, width, height;
    unsigned char *pixels;
} sheet;

static tub_status check_options(const tub_sheet_options *o, tub_error *err) {
    if (o->size != sizeof *o) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "the sheet's options were not made by tub_sheet_options_default");
    }
    TUB__TRY(tub__in_range("samples", o->samples, 1, TUB_SHEET_SAMPLES, err));
    TUB__TRY(tub__in_range("versions", o->versions, 1, TUB_SHEET_VERSIONS, err));
    return tub__in_range("epoch", o->epoch, 1, UINT32_MAX - EPOCHS, err);
}

/* ---- the picture ---- */

static unsigned char pixel_of(tub_dtype dtype, const void *values, size_t i) {
    if (dtype == TUB_U8) {
        return ((const unsigned char *)values)[i];
    }
    const float v = ((const float *)values)[i] * 255.0f + 0.5f, low = v > 0.0f ? v : 0.0f;
    return (unsigned char)(int)(low < 255.0f ? low : 255.0f);
}

/* The middle frame of [T,H,W,C] into the cell. */
static void put_frame(sheet *s, size_t row, size_t column, const size_t size[3], tub_dtype dtype,
                      const void *values) {
    const size_t channels = (size_t)s->info.channels,
                 first = size[0] / 2 * size[1] * size[2] * channels,
                 top = GAP + row * (s->cell[0] + GAP),
                 left = GAP + column * (s->cell[1] + GAP) + (column > 0 ? 2 * GAP : 0);
    for (size_t y = 0; y < size[1] * s->zoom; y++) {
        unsigned char *to = s->pixels + ((top + y) * s->width + left) * s->colours;
        for (size_t x = 0; x < size[2] * s->zoom; x++) {
            const size_t from = first + (y / s->zoom * size[2] + x / s->zoom) * channels;
            for (size_t c = 0; c < s->colours; c++) {
                *to++ = pixel_of(dtype, values, from + c);
            }
        }
    }
}

static tub_status lay_out(sheet *s, tub_error *err) {
    const size_t sample[2] = {(size_t)s->info.height, (size_t)s->info.width},
                 rows = (size_t)s->options.samples, columns = 1 + (size_t)s->options.versions;
    const size_t longest = sample[0] > sample[1] ? sample[0] : sample[1];
    s->zoom = longest < LEAST ? LEAST / longest : 1;
    s->cell[0] = sample[0] * s->zoom; /* no clip is larger than a sample */
    s->cell[1] = sample[1] * s->zoom;
    s->colours = s->info.channels == 3 ? 3 : 1;
    s->height = GAP + rows * (s->cell[0] + GAP);
    s->width = 3 * GAP + columns * (s->cell[1] + GAP);
    size_t pixels = 0;
    if (!tub__mul(s->height, s->width, &pixels) || pixels > PIXELS) {
        return tub__fail(err, TUB_E_SHAPE,
                         "a sheet of %zu rows of %zu pictures of %zu x %zu is too large; ask for "
                         "fewer samples or versions",
                         rows, columns, s->cell[0], s->cell[1]);
    }
    TUB__TRY(tub__alloc(s->allocator, pixels * s->colours, (void **)&s->pixels, err));
    memset(s->pixels, BACKGROUND, pixels * s->colours);
    return TUB_OK;
}

/* ---- the clips ---- */

/* The sample's clip of the epoch in s->order; false when the epoch has none. */
static tub_status draw_version(sheet *s, uint32_t epoch, uint32_t index, size_t row, size_t column,
                               bool *drawn, tub_error *err) {
    const size_t batch = (size_t)s->config->batch_size;
    size_t position = 0;
    while (position < s->count && s->order[position] != index) {
        position++;
    }
    *drawn = position < s->count;
    if (!*drawn) {
        return TUB_OK;
    }
    const size_t start = position / batch * batch;
    const tub__sample_key key = {s->config->seed, epoch, (uint32_t)position, index};
    const tub__sample_batch of = {s->order + start, tub__min(batch, s->count - start),
                                  position - start};
    tub__augment_mix mix;
    TUB__TRY(tub__sample_make(&s->maker, &key, &of, &s->scratch, s->clip, &mix, err));
    put_frame(s, row, column, s->clip_size, tub__augmenter_dtype(s->augmenter), s->clip);
    return TUB_OK;
}

/* The sample before augmentation: of a file the frames that the first epoch draws. */
static tub_status draw_sample(sheet *s, uint32_t index, size_t row, tub_error *err) {
    const size_t size[3] = {(size_t)s->info.frames, (size_t)s->info.height, (size_t)s->info.width};
    const tub__sample_key key = {.seed = s->config->seed, .index = index};
    TUB__TRY(tub__dataset_source(s->data, TUB_TRAIN, index, &s->scratch.source, err));
    const void *sample = s->scratch.source.samples;
    if (s->sample != NULL) {
        TUB__TRY(tub__source_frames(s->data, TUB_TRAIN, &s->scratch.source, &key, s->sample, err));
        sample = s->sample;
    }
    put_frame(s, row, 0, size, s->info.dtype, sample);
    return TUB_OK;
}

static uint32_t row_sample(const sheet *s, size_t row) {
    return (uint32_t)(row * s->count / (size_t)s->options.samples);
}

/* Epoch by epoch: each order is made once. */
static tub_status draw(sheet *s, tub_error *err) {
    const size_t rows = (size_t)s->options.samples, versions = (size_t)s->options.versions;
    size_t drawn[TUB_SHEET_SAMPLES] = {0}, full = 0;
    for (size_t row = 0; row < rows; row++) {
        TUB__TRY(draw_sample(s, row_sample(s, row), row, err));
    }
    for (uint32_t epoch = (uint32_t)s->options.epoch - 1, i = 0; full < rows && i < EPOCHS;
         epoch++, i++) {
        tub__order_fill(&s->orders, epoch, s->order);
        for (size_t row = 0; row < rows; row++) {
            bool one = false;
            if (drawn[row] < versions) {
                TUB__TRY(
                    draw_version(s, epoch, row_sample(s, row), row, 1 + drawn[row], &one, err));
            }
            drawn[row] += one;
            full += one && drawn[row] == versions;
        }
    }
    return TUB_OK;
}

static tub_status prepare(sheet *s, tub_dataset *data, tub_error *err) {
    const tub_model_config *m = &s->config->model;
    const int64_t clip[3] = {m->frames, m->height, m->width};
    void *block;
    s->data = data;
    s->info = tub__dataset_source_info(data);
    s->count = (size_t)s->info.count[TUB_TRAIN];
    if ((size_t)s->options.samples > s->count) {
        s->options.samples = (int64_t)s->count;
    }
    for (int i = 0; i < 3; i++) {
        s->clip_size[i] = (size_t)clip[i];
    }
    TUB__TRY(tub__augmenter_create(s->allocator, &s->config->augment, s->config->seed, &s->info,
                                   clip, &s->augmenter, err));
    s->maker = (tub__sample_maker){.data = data, .split = TUB_TRAIN, .augmenter = s->augmenter};
    if (data->files != NULL) {
        TUB__TRY(tub__alloc(s->allocator, tub__dataset_sample_bytes(&s->info), &s->sample, err));
    }
    TUB__TRY(tub__alloc(s->allocator, tub__augmenter_clip_bytes(s->augmenter), &s->clip, err));
    TUB__TRY(tub__alloc_array(s->allocator, s->count, sizeof *s->order, &block, err));
    s->order = block;
    TUB__TRY(tub__order_create(s->allocator, tub__train_order(s->config), s->config->seed,
                               tub_dataset_labels(data, TUB_TRAIN), s->count,
                               (size_t)s->info.classes, &s->orders, err));
    return lay_out(s, err);
}

/* ---- the file ---- */

static tub_status write_png(tub_context *ctx, const sheet *s, const char *path, tub_error *err) {
    const void *table;
    unsigned char *bytes;
    size_t size;
    TUB__TRY(tub__module_open(ctx, "draw", &table, err));
    const tub__draw_module *module = table;
    TUB__TRY(module->to_png(s->pixels, (uint32_t)s->width, (uint32_t)s->height, (int)s->colours,
                            &bytes, &size, err));
    const tub_status status = tub__file_write(s->allocator, path, bytes, size, err);
    module->release(bytes);
    return status;
}

static tub_status make(tub_context *ctx, const tub__material *m, sheet *s, const char *path,
                       tub_error *err) {
    tub_status status = prepare(s, m->data, err);
    if (status == TUB_OK) {
        status = draw(s, err);
    }
    if (status == TUB_OK) {
        status = write_png(ctx, s, path, err);
    }
    tub__free(s->allocator, s->pixels);
    tub__free(s->allocator, s->order);
    tub__order_destroy(&s->orders);
    tub__free(s->allocator, s->clip);
    tub__free(s->allocator, s->sample);
    if (s->maker.data != NULL) {
        tub__sample_scratch_free(&s->maker, &s->scratch);
    }
    tub__augmenter_destroy(s->augmenter);
    return status;
}

tub_status tub_augment_sheet(tub_context *ctx, const tub_train_config *config, tub_dataset *data,
                             const tub_sheet_options *options, const char *path, tub_error *err) {
    tub_train_config resolved = *config;
    if (config->folds > 0 && config->fold < 0) {
        resolved.fold = 0; /* any of them stands for all */
    }
    sheet s = {.allocator = &ctx->allocator,
               .config = &resolved,
               .options = options != NULL ? *options : tub_sheet_options_default()};
    const void *table;
    TUB__TRY(check_options(&s.options, err));
    TUB__TRY(tub_train_config_check(config, err));
    TUB__TRY(tub__module_open(ctx, "draw", &table, err)); /* before any work */
    tub__fpenv saved = tub__fpenv_enter();
    tub__material m = {0};
    tub_status status = tub__material_open(ctx, &resolved, data, false, &m, err);
    if (status == TUB_OK) {
        status = make(ctx, &m, &s, path, err);
    }
    tub__material_close(&m);
    tub__fpenv_leave(saved);
    return status;
}
