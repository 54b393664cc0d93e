/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures as files in memory, by the modules that know the formats. */
#include <string.h>
#include <tubelet/picture.h>

#include "base/alloc.h"
#include "base/context.h"
#include "base/each.h"
#include "base/error.h"
#include "base/module.h"

static tub_status check(const tub_picture *p, tub_picture_kind kind, tub_error *err) {
    enum { FIELD_MOST = 65535 }; /* fields of a GIF have sixteen bits */
    if (kind != TUB_PICTURE_PNG && kind != TUB_PICTURE_GIF) {
        return tub__fail(err, TUB_E_ARGUMENT, "%d is no kind of picture", (int)kind);
    }
    if (p->levels == NULL || p->frames < 1 || (kind == TUB_PICTURE_PNG && p->frames != 1)) {
        return tub__fail(err, TUB_E_ARGUMENT, "a %s of %lld frames",
                         kind == TUB_PICTURE_PNG ? "PNG" : "GIF", (long long)p->frames);
    }
    if (kind == TUB_PICTURE_GIF && (p->hundredths < 1 || p->hundredths > FIELD_MOST)) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "a GIF whose frames are shown for %d hundredths; it takes 1 to %d",
                         p->hundredths, FIELD_MOST);
    }
    if (p->channels != 1 && p->channels != 3) {
        return tub__fail(err, TUB_E_SHAPE, "a picture of %lld channels; it has 1 or 3",
                         (long long)p->channels);
    }
    if (p->width < 1 || p->height < 1 || p->width > FIELD_MOST || p->height > FIELD_MOST) {
        return tub__fail(err, TUB_E_RANGE, "a picture of %lldx%lld pixels; 1 to %d along a side",
                         (long long)p->width, (long long)p->height, FIELD_MOST);
    }
    return TUB_OK;
}

/* The module's bytes as the context's. */
static tub_status keep(tub_context *ctx, const void *from, size_t n, void **bytes, size_t *size,
                       tub_error *err) {
    TUB__TRY(tub__alloc(&ctx->allocator, n, bytes, err));
    memcpy(*bytes, from, n);
    *size = n;
    return TUB_OK;
}

static tub_status encode_png(tub_context *ctx, const tub_picture *p, void **bytes, size_t *size,
                             tub_error *err) {
    const void *table;
    unsigned char *made;
    size_t n;
    TUB__TRY(tub__module_open(ctx, "draw", &table, err));
    const tub__draw_module *module = table;
    TUB__TRY(module->to_png(p->levels, (uint32_t)p->width, (uint32_t)p->height, (int)p->channels,
                            &made, &n, err));
    const tub_status status = keep(ctx, made, n, bytes, size, err);
    module->release(made);
    return status;
}

static tub_status encode_gif(tub_context *ctx, const tub_picture *p, void **bytes, size_t *size,
                             tub_error *err) {
    const void *table;
    void *made;
    size_t n;
    TUB__TRY(tub__module_open(ctx, "video", &table, err));
    const tub__video_module *module = table;
    const tub__video_picture picture = {.levels = p->levels,
                                        .frames = p->frames,
                                        .height = p->height,
                                        .width = p->width,
                                        .channels = p->channels,
                                        .hundredths = p->hundredths};
    TUB__TRY(module->encode(&picture, true, &made, &n, err));
    const tub_status status = keep(ctx, made, n, bytes, size, err);
    module->release(made);
    return status;
}

tub_status tub_picture_encode(tub_context *ctx, const tub_picture *picture, tub_picture_kind kind,
                              void **bytes, size_t *size, tub_error *err) {
    TUB__TRY(check(picture, kind, err));
    return kind == TUB_PICTURE_PNG ? encode_png(ctx, picture, bytes, size, err)
                                   : encode_gif(ctx, picture, bytes, size, err);
}

typedef struct batch {
    tub_context *ctx;
    const tub_picture *pictures;
    const tub_picture_kind *kinds;
    tub_encoded *out;
} batch;

static tub_status encode_one(void *argument, size_t i, int worker, tub_error *err) {
    const batch *b = argument;
    (void)worker;
    return tub_picture_encode(b->ctx, &b->pictures[i], b->kinds[i], &b->out[i].bytes,
                              &b->out[i].size, err);
}

tub_status tub_pictures_encode(tub_context *ctx, size_t count, const tub_picture *pictures,
                               const tub_picture_kind *kinds, tub_encoded *out, tub_error *err) {
    batch b = {.ctx = ctx, .pictures = pictures, .kinds = kinds, .out = out};
    for (size_t i = 0; i < count; i++) {
        out[i] = (tub_encoded){0};
    }
    const tub_status status = tub__pool_each(ctx->pool, count, encode_one, &b, err);
    for (size_t i = 0; i < count && status != TUB_OK; i++) {
        tub_picture_free(ctx, out[i].bytes);
        out[i] = (tub_encoded){0};
    }
    return status;
}

void tub_picture_free(tub_context *ctx, void *bytes) {
    tub__free(&ctx->allocator, bytes);
}
