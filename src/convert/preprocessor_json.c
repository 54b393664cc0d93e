/* SPDX-License-Identifier: Apache-2.0 */
/* Preprocessing settings to and from preprocessor_config.json. */
#include "convert/preprocessor_json.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "convert/config_json.h"

static void put_size(tub__json_writer *w, const char *key, int64_t height, int64_t width) {
    tub__json_open_object(w, key);
    tub__json_put_integer(w, "height", height);
    tub__json_put_integer(w, "width", width);
    tub__json_close_object(w);
}

static void put_picture(tub__json_writer *w, const tub_model_config *c,
                        const tub__preprocessing *p) {
    if (p != NULL && p->resize && p->shortest_edge > 0) {
        tub__json_open_object(w, "size");
        tub__json_put_integer(w, "shortest_edge", p->shortest_edge);
        tub__json_close_object(w);
    } else {
        put_size(w, "size", c->height, c->width);
    }
}

static void put_ours(tub__json_writer *w, const tub_model_config *c, bool minus,
                     const tub__clip_rule *clip) {
    tub__json_open_object(w, "tubelet");
    if (clip != NULL) {
        tub__json_open_object(w, "clip");
        if (tub__intensity_is_windowed(&clip->window)) {
            tub__json_open_array(w, "intensity_window");
            tub__json_put_real(w, NULL, clip->window.low);
            tub__json_put_real(w, NULL, clip->window.high);
            tub__json_close_array(w);
        }
        tub__json_put_text(w, "sampling", tub_sampling_name(clip->sampling));
        if (clip->split_seed != 0) {
            tub__json_put_integer(w, "split_seed", clip->split_seed);
        }
        tub__json_put_integer(w, "stride", clip->stride);
        tub__json_close_object(w);
    }
    tub__json_put_integer(w, "frames", c->frames);
    if (!minus) {
        tub__json_put_text(w, "input_scale", tub__input_scale_name(c->input_scale));
    }
    tub__json_close_object(w);
}

tub_status tub__preprocessor_to_json(const tub_allocator *a, const tub_model_config *config,
                                     bool minus, const tub__clip_rule *clip, char **text,
                                     size_t *size, tub_error *err) {
    const tub__preprocessing *p = clip != NULL ? &clip->picture : NULL;
    tub__json_writer w;
    tub__json_start(&w, a, 2);
    tub__json_open_object(&w, NULL);
    put_size(&w, "crop_size", config->height, config->width);
    tub__json_put_bool(&w, "do_center_crop", p != NULL && p->crop);
    tub__json_put_bool(&w, "do_normalize", false);
    tub__json_put_bool(&w, "do_rescale", true);
    tub__json_put_bool(&w, "do_resize", p != NULL && p->resize);
    tub__json_put_text(&w, "image_processor_type", "VivitImageProcessor");
    tub__json_put_bool(&w, "offset", minus); /* left out it would mean true: [-1, 1] */
    if (p != NULL && p->resize) {
        tub__json_put_integer(&w, "resample", (int64_t)p->filter);
    }
    tub__json_put_real(&w, "rescale_factor", minus ? 1.0 / 127.5 : 1.0 / 255.0);
    put_picture(&w, config, p);
    put_ours(&w, config, minus, clip);
    tub__json_close_object(&w);
    return tub__json_finish(&w, text, size, err);
}

/* ---- Reading ---- */

/* The class's defaults; image_mean and image_std are IMAGENET_STANDARD_MEAN and _STD. */
static tub__preprocessing defaults(void) {
    return (tub__preprocessing){.resize = true,
                                .crop = true,
                                .rescale = true,
                                .normalize = true,
                                .shortest_edge = 256,
                                .crop_height = 224,
                                .crop_width = 224,
                                .filter = TUB__BILINEAR,
                                .order = TUB__PILLOW_13,
                                .factor = 1.0 / 127.5,
                                .offset = true,
                                .channels = 1,
                                .mean = {0.5f},
                                .deviation = {0.5f}};
}

/* What happens to a level, whatever its place in the picture. */
static tub_status read_scaling(const tub__json *root, tub__preprocessing *p, tub_error *err) {
    TUB__TRY(tub__json_opt_bool(root, "do_rescale", &p->rescale, err));
    TUB__TRY(tub__json_opt_bool(root, "do_normalize", &p->normalize, err));
    TUB__TRY(tub__json_opt_bool(root, "offset", &p->offset, err));
    return tub__json_opt_real(root, "rescale_factor", &p->factor, err);
}

tub_status tub__preprocessor_from_json(const tub__json *root, tub_model_config *config,
                                       bool *foreign, tub_error *err) {
    const char *scale = NULL;
    tub__preprocessing p = defaults();
    TUB__TRY(tub__json_to_object(root, "the file", &root, err));
    TUB__TRY(tub__json_opt_text(tub__json_get(root, "tubelet"), "input_scale", &scale, err));
    TUB__TRY(read_scaling(root, &p, err));
    if (scale != NULL) {
        TUB__TRY(tub__input_scale_parse(scale, &config->input_scale, err));
    }
    *foreign = !p.rescale || p.normalize || p.offset || fabs(p.factor * 255.0 - 1.0) > 1e-6;
    return TUB_OK;
}

static tub_status read_pixels(const tub__json *value, const char *key, int64_t *out,
                              tub_error *err) {
    TUB__TRY(tub__json_to_integer(value, key, out, err));
    return tub__in_range(key, *out, 1, 65536, err);
}

static tub_status read_height_width(const tub__json *size, const char *key, int64_t *height,
                                    int64_t *width, tub_error *err) {
    if (tub__json_size(size) != 2 || tub__json_get(size, "height") == NULL ||
        tub__json_get(size, "width") == NULL) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "%s: expected height and width, or (of size) shortest_edge alone", key);
    }
    TUB__TRY(read_pixels(tub__json_get(size, "height"), key, height, err));
    return read_pixels(tub__json_get(size, "width"), key, width, err);
}

/* One number is the shortest edge, as in older files. */
static tub_status read_size(const tub__json *root, tub__preprocessing *p, tub_error *err) {
    const tub__json *size = tub__json_get(root, "size"),
                    *edge = tub__json_get(size, "shortest_edge");
    if (size == NULL || tub__json_kind_of(size) == TUB__JSON_NULL) {
        return TUB_OK;
    }
    if (tub__json_kind_of(size) == TUB__JSON_INTEGER) {
        return read_pixels(size, "size", &p->shortest_edge, err);
    }
    TUB__TRY(tub__json_to_object(size, "size", &size, err));
    if (edge != NULL && tub__json_size(size) == 1) {
        return read_pixels(edge, "size", &p->shortest_edge, err);
    }
    p->shortest_edge = 0;
    return read_height_width(size, "size", &p->height, &p->width, err);
}

/* One number is a square. */
static tub_status read_crop(const tub__json *root, tub__preprocessing *p, tub_error *err) {
    const tub__json *size = tub__json_get(root, "crop_size");
    if (size == NULL || tub__json_kind_of(size) == TUB__JSON_NULL) {
        return TUB_OK;
    }
    if (tub__json_kind_of(size) == TUB__JSON_INTEGER) {
        TUB__TRY(read_pixels(size, "crop_size", &p->crop_height, err));
        p->crop_width = p->crop_height;
        return TUB_OK;
    }
    TUB__TRY(tub__json_to_object(size, "crop_size", &size, err));
    return read_height_width(size, "crop_size", &p->crop_height, &p->crop_width, err);
}

/* A number for all channels, or a list with one for each. */
static tub_status read_channels(const tub__json *root, const char *key, float *out, int *count,
                                tub_error *err) {
    const tub__json *value = tub__json_get(root, key);
    const bool list = value != NULL && tub__json_kind_of(value) == TUB__JSON_ARRAY;
    if (value == NULL || tub__json_kind_of(value) == TUB__JSON_NULL) {
        *count = 1;
        return TUB_OK;
    }
    *count = list ? (int)tub__json_size(value) : 1;
    if (*count < 1 || *count > TUB__PREPROCESS_CHANNELS) {
        return tub__fail(err, TUB_E_RANGE, "%s: expected 1 to %d numbers, found %zu", key,
                         TUB__PREPROCESS_CHANNELS, tub__json_size(value));
    }
    for (int i = 0; i < *count; i++) {
        double real;
        TUB__TRY(tub__json_to_real(list ? tub__json_at(value, (size_t)i) : value, key, &real, err));
        out[i] = (float)real;
    }
    return TUB_OK;
}

/* One number goes for all channels of the other list. */
static void widen(float *values, int count) {
    for (int i = 1; i < count; i++) {
        values[i] = values[0];
    }
}

static tub_status read_mean(const tub__json *root, tub__preprocessing *p, tub_error *err) {
    int means, deviations;
    TUB__TRY(read_channels(root, "image_mean", p->mean, &means, err));
    TUB__TRY(read_channels(root, "image_std", p->deviation, &deviations, err));
    p->channels = means > deviations ? means : deviations;
    if (means == 1) {
        widen(p->mean, p->channels);
    }
    if (deviations == 1) {
        widen(p->deviation, p->channels);
    }
    if ((means != 1 && means != p->channels) || (deviations != 1 && deviations != p->channels)) {
        return tub__fail(err, TUB_E_SHAPE, "image_mean has %d numbers, image_std %d", means,
                         deviations);
    }
    for (int i = 0; i < p->channels; i++) {
        if (!(p->deviation[i] > 0)) {
            return tub__fail(err, TUB_E_RANGE, "image_std: %g is not above 0",
                             (double)p->deviation[i]);
        }
    }
    return TUB_OK;
}

tub_status tub__preprocessing_from_json(const tub__json *root, tub__preprocessing *out,
                                        tub_error *err) {
    tub__preprocessing p = defaults();
    int64_t filter = (int64_t)p.filter;
    const char *scale = NULL;
    tub_input_scale scaling = TUB_SCALE_DIVIDE;
    TUB__TRY(tub__json_to_object(root, "the file", &root, err));
    TUB__TRY(tub__json_opt_bool(root, "do_resize", &p.resize, err));
    TUB__TRY(tub__json_opt_bool(root, "do_center_crop", &p.crop, err));
    TUB__TRY(tub__json_opt_integer(root, "resample", &filter, err));
    TUB__TRY(tub__in_range("resample", filter, TUB__NEAREST, TUB__HAMMING, err));
    TUB__TRY(read_scaling(root, &p, err));
    TUB__TRY(read_size(root, &p, err));
    TUB__TRY(read_crop(root, &p, err));
    TUB__TRY(read_mean(root, &p, err));
    TUB__TRY(tub__json_opt_text(tub__json_get(root, "tubelet"), "input_scale", &scale, err));
    if (scale != NULL) {
        TUB__TRY(tub__input_scale_parse(scale, &scaling, err));
    }
    p.multiply = scaling == TUB_SCALE_MULTIPLY;
    p.filter = (tub__filter)filter;
    if (p.offset && !p.rescale) {
        return tub__fail(err, TUB_E_FORMAT,
                         "offset: it needs do_rescale (left out, offset means true)");
    }
    if (!tub__preprocessed_finite(&p)) {
        return tub__fail(err, TUB_E_RANGE,
                         "rescale_factor, image_mean and image_std make numbers of pixels that "
                         "float32 does not have");
    }
    *out = p;
    return TUB_OK;
}

static tub_status read_window(const tub__json *clip, tub__intensity_window *out, tub_error *err) {
    static const char key[] = "tubelet.clip: intensity_window";
    const tub__json *value = tub__json_get(clip, "intensity_window");
    *out = (tub__intensity_window){0, 0};
    if (value == NULL) {
        return TUB_OK;
    }
    if (tub__json_kind_of(value) != TUB__JSON_ARRAY || tub__json_size(value) != 2) {
        return tub__fail(err, TUB_E_FORMAT, "%s: expected two numbers", key);
    }
    TUB__TRY(tub__json_to_real(tub__json_at(value, 0), key, &out->low, err));
    TUB__TRY(tub__json_to_real(tub__json_at(value, 1), key, &out->high, err));
    return tub__intensity_is_windowed(out)
               ? TUB_OK
               : tub__fail(err, TUB_E_RANGE, "%s: %g is not below %g", key, out->low, out->high);
}

tub_status tub__clip_rule_from_json(const tub__json *root, tub__clip_rule *out, bool *known,
                                    tub_error *err) {
    const tub__json *clip = tub__json_get(tub__json_get(root, "tubelet"), "clip");
    const char *sampling = NULL;
    *known = clip != NULL && tub__json_kind_of(clip) != TUB__JSON_NULL;
    if (!*known) {
        return TUB_OK;
    }
    TUB__TRY(tub__json_to_object(clip, "tubelet.clip", &clip, err));
    for (void *it = tub__json_first(clip); it != NULL; it = tub__json_next(clip, it)) {
        const char *key = tub__json_key(it);
        if (strcmp(key, "sampling") != 0 && strcmp(key, "stride") != 0 &&
            strcmp(key, "split_seed") != 0 && strcmp(key, "intensity_window") != 0) {
            return tub__fail(err, TUB_E_UNSUPPORTED, "tubelet.clip: unknown key '%s'", key);
        }
    }
    TUB__TRY(tub__json_get_text(clip, "sampling", &sampling, err));
    TUB__TRY(tub_sampling_parse(sampling, &out->sampling, err));
    out->stride = out->split_seed = 0;
    TUB__TRY(tub__json_opt_integer(clip, "stride", &out->stride, err));
    TUB__TRY(tub__json_opt_integer(clip, "split_seed", &out->split_seed, err));
    TUB__TRY(read_window(clip, &out->window, err));
    TUB__TRY(
        tub__in_range("tubelet.clip: split_seed", out->split_seed, 0, 9200000000000000000, err));
    return tub__in_range("tubelet.clip: stride", out->stride, 0, 65536, err);
}
