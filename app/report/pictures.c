/* SPDX-License-Identifier: Apache-2.0 */
/* Samples as pictures. */
#include "pictures.h"

#include <stdlib.h>
#include <string.h>

enum { HUNDREDTHS = 10 };

/* How a sample becomes small: every `every`-th frame, squares of `by` pixels to one. */
typedef struct shrink {
    int64_t every, by;
} shrink;

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t parts_of(int64_t n, int64_t most) {
    return (n + most - 1) / most;
}

/* Floats become levels from the sample's least value to its greatest. */
static void range_of(const float *v, size_t n, float *low, float *high) {
    *low = *high = v[0];
    for (size_t i = 1; i < n; i++) {
        *low = v[i] < *low ? v[i] : *low;
        *high = v[i] > *high ? v[i] : *high;
    }
}

/* What is no number is black. */
static double shade(double value, double low, double high) {
    const double level = high > low ? 255 * ((value - low) / (high - low)) : 0;
    return level > 0 ? (level < 255 ? level : 255) : 0;
}

/* Samples as they are, and what is black and white in them where they are floats. */
typedef struct source {
    const tub_dataset_info *info;
    const void *sample;
    float low, high;
} source;

static double value_at(const source *from, int64_t at) {
    return from->info->dtype == TUB_U8 ? (double)((const unsigned char *)from->sample)[at]
                                       : shade((double)((const float *)from->sample)[at],
                                               (double)from->low, (double)from->high);
}

/* The mean of a square of pixels, from 0 to 255. at: frame, row, column and channel. */
static unsigned char level_of(const source *from, int64_t by, const int64_t at[4]) {
    const tub_dataset_info *i = from->info;
    double sum = 0;
    int64_t count = 0;
    for (int64_t y = at[1]; y < at[1] + by && y < i->height; y++) {
        for (int64_t x = at[2]; x < at[2] + by && x < i->width; x++, count++) {
            sum += value_at(from, ((at[0] * i->height + y) * i->width + x) * i->channels + at[3]);
        }
    }
    return (unsigned char)(sum / (double)count + 0.5);
}

static void make_small(const tub_dataset_info *i, const void *sample, const shrink *s,
                       small_sample *out) {
    source from = {i, sample, 0, 1};
    unsigned char *to = out->levels;
    if (i->dtype != TUB_U8) {
        range_of(sample, (size_t)(i->frames * i->height * i->width * i->channels), &from.low,
                 &from.high);
    }
    for (int64_t t = 0; t < out->frames; t++) {
        for (int64_t y = 0; y < out->height; y++) {
            for (int64_t x = 0; x < out->width; x++) {
                for (int64_t c = 0; c < out->channels; c++) {
                    *to++ = level_of(&from, s->by,
                                     (const int64_t[]){t * s->every, y * s->by, x * s->by, c});
                }
            }
        }
    }
}

static tub_status out_of_memory(tub_error *err) {
    *err = (tub_error){.status = TUB_E_MEMORY, .message = "out of memory"};
    return TUB_E_MEMORY;
}

static shrink shrink_of(const tub_dataset_info *i, int64_t frames_most) {
    return (shrink){parts_of(i->frames, frames_most),
                    parts_of(larger(i->height, i->width), PICTURE_SIDE)};
}

static small_sample *make_room(const tub_dataset_info *i, const shrink *s) {
    const small_sample size = {.frames = parts_of(i->frames, s->every),
                               .height = parts_of(i->height, s->by),
                               .width = parts_of(i->width, s->by),
                               .channels = i->channels == 3 ? 3 : 1};
    small_sample *made =
        malloc(sizeof *made + (size_t)(size.frames * size.height * size.width * size.channels));
    if (made != NULL) {
        *made = size;
    }
    return made;
}

tub_status picture_read(const report_facts *f, int64_t sample, const small_sample **out,
                        tub_error *err) {
    const tub_dataset_info *i = f->info;
    const size_t n = (size_t)(i->frames * i->height * i->width * i->channels);
    const shrink s = shrink_of(i, i->channels == 3 ? PICTURE_COLOUR_FRAMES : PICTURE_FRAMES);
    if (f->kept[sample] != NULL) {
        *out = f->kept[sample];
        return TUB_OK;
    }
    void *whole = malloc(n * (i->dtype == TUB_U8 ? 1 : sizeof(float)));
    small_sample *made = make_room(i, &s);
    tub_status status = whole == NULL || made == NULL
                            ? out_of_memory(err)
                            : tub_dataset_read(f->data, f->split, sample, 1, whole, err);
    if (status == TUB_OK) {
        make_small(i, whole, &s, made);
        *out = f->kept[sample] = made;
    } else {
        free(made);
    }
    free(whole);
    return status;
}

bool pictures_remember(report_facts *f, int64_t samples) {
    f->kept = calloc((size_t)samples + 1, sizeof(small_sample *));
    return f->kept != NULL;
}

void pictures_forget(report_facts *f, int64_t samples) {
    for (int64_t i = 0; f->kept != NULL && i < samples; i++) {
        free(f->kept[i]);
    }
    free(f->kept);
    f->kept = NULL;
}

void picture_still_size(const small_sample *s, int64_t by, int64_t size[2]) {
    size[0] = parts_of(s->height, by);
    size[1] = parts_of(s->width, by);
}

void picture_still(const small_sample *s, int64_t by, unsigned char *out) {
    const tub_dataset_info frame = {
        .height = s->height, .width = s->width, .channels = s->channels, .dtype = TUB_U8};
    const source from = {&frame, s->levels, 0, 1};
    for (int64_t y = 0; y < s->height; y += by) {
        for (int64_t x = 0; x < s->width; x += by) {
            for (int64_t c = 0; c < s->channels; c++) {
                *out++ = level_of(&from, by, (const int64_t[]){s->frames / 2, y, x, c});
            }
        }
    }
}

static tub_status put_url(page *p, const report_facts *f, const tub_picture *picture,
                          tub_picture_kind kind, tub_error *err) {
    void *bytes;
    size_t size;
    const tub_status status = tub_picture_encode(f->context, picture, kind, &bytes, &size, err);
    if (status == TUB_OK) {
        page_data_url(p, kind == TUB_PICTURE_GIF ? "image/gif" : "image/png", bytes, size);
        tub_picture_free(f->context, bytes);
    }
    return status;
}

tub_status picture_put(page *p, const report_facts *f, const small_sample *s, const char *alt,
                       tub_error *err) {
    tub_picture picture = {.levels = s->levels + s->frames / 2 * s->height * s->width * s->channels,
                           .frames = 1,
                           .height = s->height,
                           .width = s->width,
                           .channels = s->channels,
                           .hundredths = HUNDREDTHS};
    tub_status status = TUB_OK;
    page_put(p, "<picture>");
    if (s->frames > 1) {
        page_put(p, "<source media=\"print, (prefers-reduced-motion: reduce)\" srcset=\"");
        status = put_url(p, f, &picture, TUB_PICTURE_PNG, err);
        page_put(p, "\">");
        picture.levels = s->levels;
        picture.frames = s->frames;
    }
    page_put(p, "<img src=\"");
    if (status == TUB_OK) {
        status = put_url(p, f, &picture, s->frames > 1 ? TUB_PICTURE_GIF : TUB_PICTURE_PNG, err);
    }
    page_putf(p, "\" width=\"%lld\" height=\"%lld\" alt=\"", (long long)s->width,
              (long long)s->height);
    page_text(p, alt);
    page_put(p, "\"></picture>");
    return status;
}

tub_status picture_put_clip(page *p, const report_facts *f, const tub_clip *clip, const char *alt,
                            tub_error *err) {
    const tub_dataset_info size = {.frames = clip->frames,
                                   .height = clip->height,
                                   .width = clip->width,
                                   .channels = clip->channels,
                                   .dtype = TUB_U8};
    const shrink s = shrink_of(&size, PICTURE_FRAMES); /* of which there are few */
    small_sample *made = make_room(&size, &s);
    if (made == NULL) {
        return out_of_memory(err);
    }
    make_small(&size, clip->samples, &s, made);
    const tub_status status = picture_put(p, f, made, alt, err);
    free(made);
    return status;
}

void picture_number(page *p, const report_facts *f, int64_t sample) {
    enum { SHORT = 28 };
    const char *file = report_file(f, sample);
    page_put(p, "<span class=\"range\"");
    if (file != NULL) {
        page_put(p, " title=\"");
        page_text(p, file);
        page_put(p, "\"");
    }
    page_putf(p, ">#%lld", (long long)sample);
    if (file != NULL && strlen(file) <= SHORT) {
        page_put(p, " ");
        page_text(p, file);
    }
    page_put(p, "</span>");
}

const char *picture_file(const report_facts *f, int64_t sample, char out[REPORT_NAME]) {
    const char *file = report_file(f, sample);
    snprintf(out, REPORT_NAME, "%s%s", file != NULL ? ", " : "", file != NULL ? file : "");
    return out;
}
