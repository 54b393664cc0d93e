/* SPDX-License-Identifier: Apache-2.0 */
/* mod-draw: pixels to the bytes of a PNG file, by libpng. */
#include "base/error.h"
#include "base/module.h"
#include <png.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct sink {
    unsigned char *bytes;
    size_t size, capacity;
    bool full;        /* no memory for more */
    char reason[120]; /* what libpng says is wrong */
} sink;

static void append(png_structp png, png_bytep data, size_t size) {
    sink *s = png_get_io_ptr(png);
    if (s->size + size > s->capacity) {
        const size_t capacity = 2 * (s->size + size) + 4096;
        unsigned char *bytes = realloc(s->bytes, capacity);
        if (bytes == NULL) {
            s->full = true;
            png_error(png, "no memory");
        }
        s->bytes = bytes;
        s->capacity = capacity;
    }
    memcpy(s->bytes + s->size, data, size);
    s->size += size;
}

static void flush(png_structp png) {
    (void)png;
}

static void fail(png_structp png, png_const_charp message) {
    sink *s = png_get_error_ptr(png);
    snprintf(s->reason, sizeof s->reason, "%s", message);
    png_longjmp(png, 1);
}

static void warn(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

/* Jumps back here where libpng fails: nothing that changes after setjmp is read then, but what `s` points
 * to. */
static bool write_rows(png_structp png, png_infop info, const unsigned char *pixels, uint32_t width,
                       uint32_t height, int channels) {
    if (setjmp(png_jmpbuf(png)) != 0) {
        return false;
    }
    png_set_IHDR(png, info, width, height, 8,
                 channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (uint32_t y = 0; y < height; y++) {
        png_write_row(png, pixels + (size_t)y * width * (size_t)channels);
    }
    png_write_end(png, info);
    return true;
}

static tub_status to_png(const unsigned char *pixels, uint32_t width, uint32_t height, int channels,
                         unsigned char **bytes, size_t *size, tub_error *err) {
    sink s = {0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &s, fail, warn);
    png_infop info = png != NULL ? png_create_info_struct(png) : NULL;
    bool written = false;
    if (info != NULL) {
        png_set_write_fn(png, &s, append, flush);
        written = write_rows(png, info, pixels, width, height, channels);
    }
    png_destroy_write_struct(&png, &info);
    if (written) {
        *bytes = s.bytes;
        *size = s.size;
        return TUB_OK;
    }
    free(s.bytes);
    return s.reason[0] == '\0'
               ? tub__fail(err, TUB_E_MEMORY, "no memory for a PNG picture")
               : tub__fail(err, s.full ? TUB_E_MEMORY : TUB_E_ARGUMENT,
                           "a picture of %u x %u can't be made a PNG file (libpng: %s)", width,
                           height, s.reason);
}

static void release(unsigned char *bytes) {
    free(bytes);
}

/* Looked up by name when the module is opened. */
extern __attribute__((visibility("default"))) const tub__draw_module tub__module_table;
const tub__draw_module tub__module_table = {
    .version = TUB__MODULE_VERSION, .to_png = to_png, .release = release};
