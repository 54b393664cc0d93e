/* SPDX-License-Identifier: Apache-2.0 */
/* Preprocessing settings to and from preprocessor_config.json. */
#include "convert/preprocessor_json.h"

#include <math.h>

#include "base/error.h"
#include "convert/config_json.h"

static void put_size(tub__json_writer *w, const char *key, const tub_model_config *c) {
    tub__json_open_object(w, key);
    tub__json_put_integer(w, "height", c->height);
    tub__json_put_integer(w, "width", c->width);
    tub__json_close_object(w);
}

tub_status tub__preprocessor_to_json(const tub_allocator *a, const tub_model_config *config,
                                     char **text, size_t *size, tub_error *err) {
    tub__json_writer w;
    tub__json_start(&w, a, 2);
    tub__json_open_object(&w, NULL);
    put_size(&w, "crop_size", config);
    tub__json_put_bool(&w, "do_center_crop", false);
    tub__json_put_bool(&w, "do_normalize", false);
    tub__json_put_bool(&w, "do_rescale", true);
    tub__json_put_bool(&w, "do_resize", false);
    tub__json_put_text(&w, "image_processor_type", "VivitImageProcessor");
    tub__json_put_bool(&w, "offset", false); /* left out it would mean true: [-1, 1] */
    tub__json_put_real(&w, "rescale_factor", 1.0 / 255.0);
    put_size(&w, "size", config);
    tub__json_open_object(&w, "tubelet");
    tub__json_put_integer(&w, "frames", config->frames);
    tub__json_put_text(&w, "input_scale", tub__input_scale_name(config->input_scale));
    tub__json_close_object(&w);
    tub__json_close_object(&w);
    return tub__json_finish(&w, text, size, err);
}

tub_status tub__preprocessor_from_json(const tub__json *root, tub_model_config *config,
                                       bool *foreign, tub_error *err) {
    const char *scale = NULL;
    bool rescale = true, normalize = true, offset = true; /* transformers' defaults */
    double factor = 1.0 / 127.5;
    TUB__TRY(tub__json_opt_text(tub__json_get(root, "tubelet"), "input_scale", &scale, err));
    TUB__TRY(tub__json_opt_bool(root, "do_rescale", &rescale, err));
    TUB__TRY(tub__json_opt_bool(root, "do_normalize", &normalize, err));
    TUB__TRY(tub__json_opt_bool(root, "offset", &offset, err));
    TUB__TRY(tub__json_opt_real(root, "rescale_factor", &factor, err));
    if (scale != NULL) {
        TUB__TRY(tub__input_scale_parse(scale, &config->input_scale, err));
    }
    *foreign = !rescale || normalize || offset || fabs(factor * 255.0 - 1.0) > 1e-6;
    return TUB_OK;
}
