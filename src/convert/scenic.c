/* SPDX-License-Identifier: Apache-2.0 */
/* Reading checkpoints of scenic's ViViT: which variant, which sizes, and every array to its place. */
#include "convert/scenic.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/fpenv.h"
#include "convert/array_values.h"
#include "convert/scenic_names.h"
#include "formats/flax.h"

enum { LAYER_LIMIT = 1000, PATH_LIMIT = TUB__SCENIC_NAME_LIMIT + 32 };

/* Where parameters lie: scenic's states with flax.optim (as published, and older), with optax, and
 * parameters alone; and tuples of vision_transformer, which begin with an optimiser or parameters. */
static const char *const roots[] = {
    "optimizer/target/params/", "optimizer/target/", "params/", "", "0/target/", "0/"};

typedef struct scenic {
    tub__flax_file file;
    const char *root;
    const tub__scenic_variant *variant;
    tub__scenic_extent extent;
    bool picture;        /* the kernel has no time axis */
    uint64_t sizes[128]; /* by the letter of shapes; 0: not known */
    tub__scenic_array *arrays;
    const tub__flax_leaf **leaves; /* [count], of the arrays */
    size_t count;
} scenic;

/* ---- Looking ---- */

static const tub__flax_leaf *find(const scenic *s, const char *name) {
    char path[PATH_LIMIT];
    snprintf(path, sizeof path, "%s%s", s->root, name);
    return tub__flax_find(&s->file, path);
}

/* An array by one of its names; having both is an error. */
static tub_status find_array(const scenic *s, const tub__scenic_array *array,
                             const tub__flax_leaf **out, tub_error *err) {
    const tub__flax_leaf *other = array->other[0] == '\0' ? NULL : find(s, array->other);
    *out = find(s, array->name);
    if (*out != NULL && other != NULL) {
        return tub__fail(err, TUB_E_FORMAT, "%s and %s are the same array; the file has it twice",
                         (*out)->name, other->name);
    }
    *out = *out == NULL ? other : *out;
    return TUB_OK;
}

static tub_status need_array(const scenic *s, const tub__scenic_array *array,
                             const tub__flax_leaf **out, tub_error *err) {
    TUB__TRY(find_array(s, array, out, err));
    return *out != NULL
               ? TUB_OK
               : tub__fail(err, TUB_E_NOT_FOUND, "%s%s: missing; ViViT's variant %d has it",
                           s->root, array->name, s->variant->number);
}

static bool has_prefix(const scenic *s, const char *prefix) {
    char path[PATH_LIMIT];
    const int length = snprintf(path, sizeof path, "%s%s", s->root, prefix);
    for (size_t i = 0; i < s->file.count; i++) {
        if (strncmp(s->file.leaves[i].name, path, (size_t)length) == 0) {
            return true;
        }
    }
    return false;
}

static tub_status find_root(scenic *s, tub_error *err) {
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        s->root = roots[i];
        if (find(s, "embedding/kernel") != NULL) {
            return TUB_OK;
        }
    }
    s->root = "";
    return has_prefix(s, "vit/embeddings/") || has_prefix(s, "embeddings/patch_embeddings/")
               ? tub__fail(err, TUB_E_FORMAT,
                           "the arrays of transformers' FlaxViT, which need their config.json: "
                           "give the folder that has both")
               : tub__fail(err, TUB_E_FORMAT,
                           "not a checkpoint of scenic's ViViT: it has no array "
                           "params/embedding/kernel");
}

/* Variants 1 and 4 have the same names; the first is meant where nobody says otherwise. */
static tub_status find_variant(scenic *s, int wanted, tub_error *err) {
    int number = wanted == 4 && find(s, "cls") == NULL ? 4 : 1;
    if (has_prefix(s, "SpatialTransformer/")) {
        number = 2;
    } else if (find(s, "Transformer/encoderblock_0/LayerNorm_time/scale") != NULL) {
        number = 3;
    }
    s->variant = tub__scenic_variant_of(number);
    return wanted == 0 || wanted == number
               ? TUB_OK
               : tub__fail(err, TUB_E_ARGUMENT,
                           "its arrays are those of variant %d (%s), not of variant %d", number,
                           s->variant->title, wanted);
}

/* ---- Matching ---- */

static tub_status count_layers(scenic *s, tub_error *err) {
    for (int tower = 0; tower < TUB__SCENIC_TOWERS; tower++) {
        const tub__flax_leaf *mark = NULL;
        int layer = 0;
        do {
            tub__scenic_array array;
            s->extent.layers[tower] = layer;
            if (s->variant->towers[tower] == NULL || layer == LAYER_LIMIT) {
                break;
            }
            tub__scenic_layer_mark(s->variant, tower, layer++, &array);
            TUB__TRY(find_array(s, &array, &mark, err));
        } while (mark != NULL);
    }
    return TUB_OK;
}

/* Holds an array against its word of letters. The first array that has a letter says its size. */
static tub_status match_shape(scenic *s, const tub__scenic_array *array, const tub__flax_leaf *leaf,
                              tub_error *err) {
    const char *shape = array->shape;
    size_t expected[TUB__FLAX_RANK];
    if (shape[0] == 't' && leaf->rank == 4) {
        s->sizes['t'] = 1; /* frames are sampled, and each is cut alone; or there is but one */
        s->picture = true;
        shape++;
    }
    const int rank = (int)strlen(shape);
    for (int i = 0; i < rank; i++) {
        const uint64_t known = shape[i] == '1' ? 1 : s->sizes[(unsigned char)shape[i]];
        const uint64_t found = i < leaf->rank ? leaf->shape[i] : 1;
        expected[i] = (size_t)(known > 0 ? known : found);
        if (found == 0) {
            return tub__fail(err, TUB_E_SHAPE, "%s: it is empty", leaf->name);
        }
    }
    TUB__TRY(tub__check_shape(leaf->name, rank, expected, leaf->rank, leaf->shape, err));
    for (int i = 0; i < rank; i++) {
        s->sizes[(unsigned char)shape[i]] = leaf->shape[i];
    }
    return TUB_OK;
}

/* Parameters that are none of the variant's. */
static tub_status check_rest(const scenic *s, const bool *used, tub_error *err) {
    const size_t length = strlen(s->root);
    for (size_t i = 0; i < s->file.count; i++) {
        const char *name = s->file.leaves[i].name;
        if (used[i] || strncmp(name, s->root, length) != 0) {
            continue;
        }
        return tub__fail(err, TUB_E_FORMAT,
                         "%.200s: unexpected; ViViT's variant %d has no such array", name,
                         s->variant->number);
    }
    return TUB_OK;
}

static tub_status match_all(scenic *s, bool *used, tub_error *err) {
    for (size_t i = 0; i < s->count; i++) {
        TUB__TRY(need_array(s, &s->arrays[i], &s->leaves[i], err));
        TUB__TRY(match_shape(s, &s->arrays[i], s->leaves[i], err));
        used[s->leaves[i] - s->file.leaves] = true;
    }
    return check_rest(s, used, err);
}

/* Finds every array of the variant; more or fewer are errors. */
static tub_status match(scenic *s, const tub__scenic_hints *hints, tub_error *err) {
    const tub_allocator *a = s->file.allocator;
    bool *used;
    TUB__TRY(find_root(s, err));
    TUB__TRY(find_variant(s, hints->variant, err));
    TUB__TRY(count_layers(s, err));
    s->extent.token = find(s, "cls") != NULL || find(s, "cls_SpatialTransformer") != NULL;
    s->extent.representation = has_prefix(s, "pre_logits/");
    TUB__TRY(tub__scenic_list(a, s->variant, &s->extent, &s->arrays, &s->count, err));
    TUB__TRY(tub__alloc_array(a, s->count, sizeof *s->leaves, (void **)&s->leaves, err));
    TUB__TRY(tub__alloc_array(a, s->file.count, sizeof *used, (void **)&used, err));
    tub_status status = match_all(s, used, err);
    tub__free(a, used);
    return status;
}

/* ---- Configuration ---- */

static int64_t size_of(const scenic *s, char letter) {
    return (int64_t)s->sizes[(unsigned char)letter];
}

static int64_t square_root(int64_t n) {
    int64_t root = 1;
    while ((root + 1) * (root + 1) <= n) {
        root++;
    }
    return root * root == n ? root : 0;
}

static tub_status clip_unknown(const scenic *s, int64_t positions, tub_error *err) {
    enum { USUAL = 224 }; /* pixels; the published checkpoints' */
    const int64_t t = size_of(s, 't'), h = size_of(s, 'h'), w = size_of(s, 'w');
    const int64_t picture = (USUAL / h) * (USUAL / w);
    char usual[96] = "";
    if (picture > 0 && positions % picture == 0) {
        snprintf(usual, sizeof usual, " (%lld frames of %dx%d would fit)",
                 (long long)(positions / picture * t), USUAL, USUAL);
    }
    return tub__fail(err, TUB_E_ARGUMENT,
                     "its %lld positions don't say how they lie: give the clip's frames, or its "
                     "height and width%s",
                     (long long)positions, usual);
}

static tub_status clip_misfit(const tub__scenic_hints *hints, int64_t positions,
                              const tub_model_config *c, tub_error *err) {
    char frames[32] = "", picture[64] = "";
    if (hints->frames > 0) {
        snprintf(frames, sizeof frames, "%lld ", (long long)hints->frames);
    }
    if (hints->height > 0) {
        snprintf(picture, sizeof picture, "frames of %lldx%lld", (long long)hints->height,
                 (long long)hints->width);
    }
    return tub__fail(err, TUB_E_SHAPE,
                     "its %lld positions don't fit %s%s cut into %lldx%lldx%lld%s",
                     (long long)positions, frames, hints->height > 0 ? picture : "square frames",
                     (long long)c->tubelet[0], (long long)c->tubelet[1], (long long)c->tubelet[2],
                     hints->height > 0 ? "" : "; give height and width");
}

/* Positions over all of the clip. The factorised encoder has tables of one time index and of time; a
 * spatial transformer alone does not know how long a clip is. */
static tub_status count_positions(const scenic *s, tub__scenic_hints *hints, int64_t *out,
                                  tub_error *err) {
    const int64_t places = size_of(s, 'P') - s->extent.token, t = size_of(s, 't');
    int64_t times = size_of(s, 'Q') > 0 ? size_of(s, 'Q') - s->extent.token : hints->frames / t;
    if (s->variant->variant != TUB_VARIANT_FACTORISED_ENCODER) {
        *out = places;
        return TUB_OK;
    }
    if (times < 1) {
        return tub__fail(
            err, TUB_E_ARGUMENT,
            "it has no temporal transformer, whose positions would say how many frames "
            "a clip has: give the clip's frames");
    }
    if (hints->frames > 0 && hints->frames / t != times) {
        return tub__fail(err, TUB_E_SHAPE,
                         "its %lld positions over time don't fit %lld frames cut by %lld",
                         (long long)times, (long long)hints->frames, (long long)t);
    }
    hints->frames = hints->frames > 0 ? hints->frames : times * t;
    *out = places * times;
    return TUB_OK;
}

/* The clip of a number of positions, by the hints. */
static tub_status infer_clip(const scenic *s, const tub__scenic_hints *given, tub_model_config *c,
                             tub_error *err) {
    tub__scenic_hints hints = *given;
    int64_t positions = 0;
    TUB__TRY(count_positions(s, &hints, &positions, err));
    if (s->picture && hints.frames == 0 && hints.height == 0 && square_root(positions) > 0) {
        hints.frames = 1;
    }
    int64_t grid[3] = {hints.frames / c->tubelet[0], hints.height / c->tubelet[1],
                       hints.width / c->tubelet[2]};
    if (hints.frames == 0 && hints.height == 0) {
        return clip_unknown(s, positions, err);
    }
    if (hints.height == 0) {
        grid[1] = grid[2] = grid[0] > 0 ? square_root(positions / grid[0]) : 0;
    } else if (hints.frames == 0) {
        grid[0] = grid[1] > 0 && grid[2] > 0 ? positions / grid[1] / grid[2] : 0;
    }
    c->frames = hints.frames > 0 ? hints.frames : grid[0] * c->tubelet[0];
    c->height = hints.height > 0 ? hints.height : grid[1] * c->tubelet[1];
    c->width = hints.height > 0 ? hints.width : grid[2] * c->tubelet[2];
    return positions > 0 && grid[0] * grid[1] * grid[2] == positions
               ? TUB_OK
               : clip_misfit(&hints, positions, c, err);
}

static tub_status configure(const scenic *s, const tub__scenic_hints *hints, tub_model_config *c,
                            tub_error *err) {
    *c = (tub_model_config){.size = sizeof *c,
                            .channels = size_of(s, 'C'),
                            .tubelet = {size_of(s, 't'), size_of(s, 'h'), size_of(s, 'w')},
                            .hidden = size_of(s, 'D'),
                            .heads = size_of(s, 'A'),
                            .layers = s->extent.layers[0],
                            .mlp = size_of(s, 'M'),
                            .classes = size_of(s, 'K'),
                            .gelu = TUB_GELU_TANH, /* flax.linen.gelu's kind */
                            .qkv_bias = 1,
                            .pooling = s->extent.token ? TUB_POOL_CLASS_TOKEN : hints->pooling,
                            .norm_epsilon = 1e-6, /* flax.linen.LayerNorm's */
                            .attention_init = TUB_INIT_GLOROT,
                            .variant = s->variant->variant,
                            .temporal_layers = s->extent.layers[1],
                            .attention_order = hints->attention_order,
                            .head_init = TUB_HEAD_ZEROS,
                            .representation = size_of(s, 'R'),
                            .task = hints->task};
    memcpy(c->head_classes, hints->head_classes, sizeof c->head_classes);
    if (c->heads * size_of(s, 'k') != c->hidden) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "its %lld heads of width %lld don't make up the width %lld of the tokens",
                         (long long)c->heads, (long long)size_of(s, 'k'), (long long)c->hidden);
    }
    TUB__TRY(infer_clip(s, hints, c, err));
    return tub_model_config_check(c, err);
}

static tub_status check_hints(const tub__scenic_hints *hints, tub_error *err) {
    enum { PIXEL_LIMIT = 65536 };
    TUB__TRY(tub__in_range("frames", hints->frames, 0, PIXEL_LIMIT, err));
    TUB__TRY(tub__in_range("height", hints->height, 0, PIXEL_LIMIT, err));
    TUB__TRY(tub__in_range("width", hints->width, 0, PIXEL_LIMIT, err));
    TUB__TRY(tub__in_range("variant", hints->variant, 0, 4, err));
    TUB__TRY(tub__in_range("pooling", hints->pooling, TUB_POOL_MEAN, TUB_POOL_SUM, err));
    TUB__TRY(tub__in_range("attention_order", hints->attention_order, TUB_ORDER_TIME_SPACE,
                           TUB_ORDER_SPACE_TIME, err));
    if (hints->pooling == TUB_POOL_CLASS_TOKEN) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "a class token is an array of the checkpoint's: hint at mean, max or sum");
    }
    return (hints->height > 0) == (hints->width > 0)
               ? TUB_OK
               : tub__fail(err, TUB_E_ARGUMENT, "give height and width, or neither");
}

/* ---- Values ---- */

static tub_status fill_one(const scenic *s, size_t i, tub_model *model,
                           const tub__array_buffers *buffers, tub_error *err) {
    const tub__scenic_array *array = &s->arrays[i];
    const tub__flax_leaf *leaf = s->leaves[i];
    const tub__param *p = tub__params_find(&model->params, array->role, array->layer);
    assert(p != NULL && p->rows * p->cols == leaf->elements);
    TUB__TRY(tub__flax_to_f32(&s->file, leaf, buffers->scratch, err));
    TUB__TRY(tub__check_finite(leaf->name, buffers->scratch, (size_t)leaf->elements, err));
    tub__to_table_layout(p, buffers->scratch, buffers->values);
    return tub__model_write(model, p, TUB_F32, buffers->values, buffers->scratch, err);
}

/* The model is new: where one array is bad, all of it is given up. */
static tub_status fill(const scenic *s, tub_model *model, tub_error *err) {
    tub_status status = TUB_OK;
    tub__array_buffers buffers;
    TUB__TRY(tub__array_buffers_create(model, &buffers, err));
    for (size_t i = 0; i < s->count && status == TUB_OK; i++) {
        status = fill_one(s, i, model, &buffers, err);
    }
    tub__array_buffers_free(model, &buffers);
    return status;
}

/* ---- Opening ---- */

static tub_status make_model(tub_context *ctx, const scenic *s, const tub__scenic_hints *hints,
                             tub_model **out, tub_error *err) {
    tub_model_config config;
    tub_model *model = NULL;
    TUB__TRY(configure(s, hints, &config, err));
    TUB__TRY(tub__model_create_for(ctx, ctx->backend, &config, ctx->precision, &model, err));
    tub__fpenv saved = tub__fpenv_enter();
    tub_status status = fill(s, model, err);
    tub__fpenv_leave(saved);
    if (status != TUB_OK) {
        tub_model_close(model);
        return status;
    }
    *out = model;
    return TUB_OK;
}

static void scenic_close(scenic *s) {
    tub__free(s->file.allocator, s->leaves);
    tub__free(s->file.allocator, s->arrays);
    tub__flax_close(&s->file);
}

/* Names and shapes of the file, in the order of the model's parameter table. */
static tub_status list_arrays(const scenic *s, const tub_model *model, tub__file_array **out,
                              tub_error *err) {
    const tub__params *params = &model->params;
    TUB__TRY(tub__alloc_array(s->file.allocator, params->count, sizeof **out, (void **)out, err));
    for (size_t i = 0; i < s->count; i++) {
        const tub__flax_leaf *leaf = s->leaves[i];
        const tub__param *p = tub__params_find(params, s->arrays[i].role, s->arrays[i].layer);
        tub__file_array *array = &(*out)[p - params->list];
        snprintf(array->name, sizeof array->name, "%s", leaf->name);
        array->rank = leaf->rank;
        memcpy(array->shape, leaf->shape, (size_t)leaf->rank * sizeof *leaf->shape);
    }
    return TUB_OK;
}

static tub_status read_checkpoint(tub_context *ctx, scenic *s, const tub__scenic_hints *hints,
                                  tub_model **out, tub__file_array **arrays, tub_error *err) {
    tub_model *model = NULL;
    TUB__TRY(match(s, hints, err));
    TUB__TRY(make_model(ctx, s, hints, &model, err));
    tub_status status = arrays == NULL ? TUB_OK : list_arrays(s, model, arrays, err);
    if (status != TUB_OK) {
        tub_model_close(model);
        return status;
    }
    *out = model;
    return TUB_OK;
}

tub_status tub__scenic_open_listed(tub_context *ctx, const char *path,
                                   const tub__scenic_hints *hints, tub_model **out,
                                   tub__file_array **arrays, tub_error *err) {
    scenic s = {0};
    TUB__TRY(check_hints(hints, err));
    TUB__TRY(tub__flax_open(&ctx->allocator, path, &s.file, err));
    tub_status status = read_checkpoint(ctx, &s, hints, out, arrays, err);
    scenic_close(&s);
    if (status != TUB_OK) {
        return status == TUB_E_MEMORY ? status : tub__prefix(err, status, "%s", path);
    }
    if (!hints->pixels_known) {
        tub__log_line(
            ctx, TUB_LOG_WARNING,
            "%s does not say how pixels were scaled (published ViViT: to -1 to 1); uint8 input "
            "is scaled to 0 to 1, so give the model prepared float32 input",
            path);
    }
    return TUB_OK;
}

tub_status tub__scenic_open(tub_context *ctx, const char *path, const tub__scenic_hints *hints,
                            tub_model **out, tub_error *err) {
    return tub__scenic_open_listed(ctx, path, hints, out, NULL, err);
}
