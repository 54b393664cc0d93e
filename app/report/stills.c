/* SPDX-License-Identifier: Apache-2.0 */
/* Middle frames of many samples in one picture. */
#include "stills.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 48, ACROSS = 20 };

static tub_status out_of_memory(tub_error *err) {
    *err = (tub_error){.status = TUB_E_MEMORY, .message = "out of memory"};
    return TUB_E_MEMORY;
}

static int64_t find(const stills *all, int64_t sample) {
    int64_t at = 0;
    while (at < all->count && all->sample[at] != sample) {
        at++;
    }
    return at;
}

/* All samples have the size of the first. */
static tub_status add(const report_facts *f, stills *all, int64_t sample, tub_error *err) {
    small_sample *s;
    const tub_status status = picture_read(f, sample, &s, err);
    if (status != TUB_OK) {
        return status;
    }
    const int64_t longer = s->height > s->width ? s->height : s->width;
    const int64_t by = (longer + SIDE - 1) / SIDE;
    if (all->levels == NULL) {
        int64_t size[2];
        picture_still_size(s, by, size);
        all->height = size[0], all->width = size[1], all->channels = s->channels;
        all->levels = calloc(STILLS_MOST, (size_t)(size[0] * size[1] * s->channels));
    }
    if (all->levels == NULL) {
        return out_of_memory(err);
    }
    picture_still(s, by, all->levels + all->count * all->height * all->width * all->channels);
    all->sample[all->count++] = sample;
    return TUB_OK;
}

tub_status stills_put(page *p, const report_facts *f, stills *all, int64_t sample, tub_error *err) {
    const int64_t number = find(all, sample);
    if (number == STILLS_MOST) {
        return TUB_OK;
    }
    const tub_status status = number < all->count ? TUB_OK : add(f, all, sample, err);
    if (status == TUB_OK) {
        page_putf(p, "<i class=\"still\" style=\"--x:%d;--y:%d\"></i>", (int)(number % ACROSS),
                  (int)(number / ACROSS));
    }
    return status;
}

/* [rows of ACROSS stills] of pixels; NULL: no memory. */
static unsigned char *lay_out(const stills *all, int64_t rows) {
    const int64_t line = all->width * all->channels;
    unsigned char *levels = calloc((size_t)(rows * all->height * ACROSS * line), 1);
    for (int64_t i = 0; i < all->count && levels != NULL; i++) {
        for (int64_t y = 0; y < all->height; y++) {
            memcpy(levels + ((i / ACROSS * all->height + y) * ACROSS + i % ACROSS) * line,
                   all->levels + (i * all->height + y) * line, (size_t)line);
        }
    }
    return levels;
}

tub_status stills_put_style(page *p, const report_facts *f, const stills *all, tub_error *err) {
    const int64_t rows = (all->count + ACROSS - 1) / ACROSS;
    void *bytes;
    size_t size;
    if (all->count == 0) {
        return TUB_OK;
    }
    unsigned char *levels = lay_out(all, rows);
    if (levels == NULL) {
        return out_of_memory(err);
    }
    const tub_picture picture = {.levels = levels,
                                 .frames = 1,
                                 .height = rows * all->height,
                                 .width = ACROSS * all->width,
                                 .channels = all->channels};
    const tub_status status =
        tub_picture_encode(f->context, &picture, TUB_PICTURE_PNG, &bytes, &size, err);
    free(levels);
    if (status == TUB_OK) {
        page_putf(p, " style=\"--w:%" PRId64 ";--h:%" PRId64 ";--columns:%d;--sheet:url(",
                  all->width, all->height, ACROSS);
        page_data_url(p, "image/png", bytes, size);
        page_put(p, ")\"");
        tub_picture_free(f->context, bytes);
    }
    return status;
}

void stills_free(stills *all) {
    free(all->levels);
    all->levels = NULL;
    all->count = 0;
}
