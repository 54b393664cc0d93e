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

tub_status picture_read(const report_facts *f, int64_t sample, small_sample **out, tub_error *err) {
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
        picture_free(f, f->kept[i]);
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

static tub_picture frames_of(const small_sample *s, int64_t first, int64_t count) {
    return (tub_picture){.levels = s->levels + first * s->height * s->width * s->channels,
                         .frames = count,
                         .height = s->height,
                         .width = s->width,
                         .channels = s->channels,
                         .hundredths = HUNDREDTHS};
}

/* What is to be made, and whose it becomes. */
typedef struct wanted {
    tub_picture *pictures;
    tub_picture_kind *kinds;
    tub_encoded *made, **owner;
    size_t count;
} wanted;

static void want(wanted *w, const small_sample *s, int64_t first, int64_t count,
                 tub_encoded *owner) {
    w->pictures[w->count] = frames_of(s, first, count);
    w->kinds[w->count] = count > 1 ? TUB_PICTURE_GIF : TUB_PICTURE_PNG;
    w->owner[w->count++] = owner;
}

/* A sample may be in the list more than once. */
static bool is_wanted(const wanted *w, const small_sample *s) {
    for (size_t i = 0; i < w->count; i++) {
        if (w->owner[i] == &s->moving) {
            return true;
        }
    }
    return false;
}

static tub_status make_wanted(const report_facts *f, wanted *w, small_sample *const *list,
                              int64_t count, tub_error *err) {
    for (int64_t i = 0; i < count; i++) {
        small_sample *s = list[i];
        if (s->moving.bytes == NULL && !is_wanted(w, s)) {
            want(w, s, 0, s->frames, &s->moving);
            if (s->frames > 1) {
                want(w, s, s->frames / 2, 1, &s->still);
            }
        }
    }
    const tub_status status =
        tub_pictures_encode(f->context, w->count, w->pictures, w->kinds, w->made, err);
    for (size_t i = 0; i < w->count && status == TUB_OK; i++) {
        *w->owner[i] = w->made[i];
    }
    return status;
}

tub_status pictures_make(const report_facts *f, small_sample *const *list, int64_t count,
                         tub_error *err) {
    const size_t most = 2 * (size_t)count + 1;
    wanted w = {.pictures = calloc(most, sizeof *w.pictures),
                .kinds = calloc(most, sizeof *w.kinds),
                .made = calloc(most, sizeof *w.made),
                .owner = calloc(most, sizeof(tub_encoded *))};
    const bool room = w.pictures != NULL && w.kinds != NULL && w.made != NULL && w.owner != NULL;
    const tub_status status = room ? make_wanted(f, &w, list, count, err) : out_of_memory(err);
    free(w.pictures);
    free(w.kinds);
    free(w.made);
    free(w.owner);
    return status;
}

tub_status pictures_prepare(const report_facts *f, const int64_t *samples, int64_t count,
                            tub_error *err) {
    small_sample **list = calloc((size_t)count + 1, sizeof *list);
    tub_status status = list == NULL ? out_of_memory(err) : TUB_OK;
    for (int64_t i = 0; i < count && status == TUB_OK; i++) {
        status = picture_read(f, samples[i], &list[i], err);
    }
    if (status == TUB_OK) {
        status = pictures_make(f, list, count, err);
    }
    free(list);
    return status;
}

tub_status picture_put(page *p, const report_facts *f, small_sample *s, const char *alt,
                       tub_error *err) {
    const tub_status status = pictures_make(f, &s, 1, err);
    if (status != TUB_OK) {
        return status;
    }
    page_put(p, "<picture>");
    if (s->frames > 1) {
        page_put(p, "<source media=\"print, (prefers-reduced-motion: reduce)\" srcset=\"");
        page_data_url(p, "image/png", s->still.bytes, s->still.size);
        page_put(p, "\">");
    }
    page_put(p, "<img src=\"");
    page_data_url(p, s->frames > 1 ? "image/gif" : "image/png", s->moving.bytes, s->moving.size);
    page_putf(p, "\" width=\"%lld\" height=\"%lld\" alt=\"", (long long)s->width,
              (long long)s->height);
    page_text(p, alt);
    page_put(p, "\"></picture>");
    return TUB_OK;
}

tub_status picture_of_clip(const tub_clip *clip, small_sample **out, tub_error *err) {
    const tub_dataset_info size = {.frames = clip->frames,
                                   .height = clip->height,
                                   .width = clip->width,
                                   .channels = clip->channels,
                                   .dtype = TUB_U8};
    const shrink s = shrink_of(&size, PICTURE_FRAMES); /* of which there are few */
    *out = make_room(&size, &s);
    if (*out == NULL) {
        return out_of_memory(err);
    }
    make_small(&size, clip->samples, &s, *out);
    return TUB_OK;
}

void picture_free(const report_facts *f, small_sample *s) {
    if (s != NULL) {
        tub_picture_free(f->context, s->moving.bytes);
        tub_picture_free(f->context, s->still.bytes);
        free(s);
    }
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
