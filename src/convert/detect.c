/* SPDX-License-Identifier: Apache-2.0 */
/* What kind of model lies at a path, by its bytes. */
#include <string.h>
#include <tubelet/convert.h>

#include "base/context.h"
#include "base/error.h"
#include "base/file.h"
#include "convert/config_json.h"
#include "convert/onnx.h"
#include "formats/hdf5.h"
#include "formats/zip.h"

#define KNOWN                                                                                      \
    "known are folders with config.json, .keras and .weights.h5 files of Keras 3, and "            \
    "checkpoints "                                                                                 \
    "of scenic (Flax)"

static const size_t CONFIG_LIMIT = (size_t)32 << 20;

const char *tub_convert_kind_name(tub_convert_kind kind) {
    static const char *const names[] = {
        [TUB_CONVERT_FOLDER] = "folder", [TUB_CONVERT_ENCODER] = "encoder",
        [TUB_CONVERT_KERAS] = "keras",   [TUB_CONVERT_KERAS_WEIGHTS] = "keras-weights",
        [TUB_CONVERT_SCENIC] = "scenic", [TUB_CONVERT_ONNX] = "onnx"};
    return (unsigned)kind < sizeof names / sizeof *names ? names[kind] : "unknown";
}

/* ---- Folders ---- */

static tub_status detect_config(const tub_allocator *a, const char *path, tub_convert_kind *out,
                                tub_error *err) {
    tub__json *root;
    TUB__TRY(tub__json_load(a, path, CONFIG_LIMIT, &root, err));
    *out = tub__config_is_encoder(root) ? TUB_CONVERT_ENCODER : TUB_CONVERT_FOLDER;
    tub__json_free(root);
    return TUB_OK;
}

static tub_status detect_folder(const tub_allocator *a, const char *path, tub_convert_kind *out,
                                tub_error *err) {
    char *config;
    TUB__TRY(tub__path_join(a, path, "config.json", &config, err));
    tub_status status = tub__file_exists(config)
                            ? detect_config(a, config, out, err)
                            : tub__fail(err, TUB_E_FORMAT,
                                        "%s has no config.json, so it is no model folder; of "
                                        "scenic, give a checkpoint in it",
                                        path);
    tub__free(a, config);
    return status;
}

/* ---- Files ---- */

/* A zip that is none of Keras'. */
static tub_status detect_zip(const tub_allocator *a, const char *path, tub_convert_kind *out,
                             tub_error *err) {
    tub__zip *z;
    size_t index;
    bool pickle = false;
    TUB__TRY(tub__zip_open(a, path, &z, err));
    const bool keras = tub__zip_find(z, "config.json", &index);
    for (size_t i = 0; i < tub__zip_count(z); i++) {
        const char *name = tub__zip_name(z, i), *slash = strrchr(name, '/');
        pickle = pickle || strcmp(slash != NULL ? slash + 1 : name, "data.pkl") == 0;
    }
    tub__zip_close(z);
    *out = TUB_CONVERT_KERAS;
    if (keras) {
        return TUB_OK;
    }
    return pickle ? tub__fail(err, TUB_E_FORMAT,
                              "%s: a pickle of PyTorch, which can hold any program and is not "
                              "read; write the model with save_pretrained(), and give that folder",
                              path)
                  : tub__fail(err, TUB_E_FORMAT, "%s: a zip archive without a model; " KNOWN, path);
}

/* A length of eight bytes, the last ones zero, and then a JSON object. */
static bool is_safetensors(const unsigned char *bytes, size_t size) {
    return size > 8 && bytes[8] == '{' && bytes[7] == 0 && bytes[6] == 0;
}

/* A map with something in it; pickles begin as an empty one. */
static bool is_msgpack_map(const unsigned char *bytes, size_t size) {
    return size > 1 &&
           ((bytes[0] > 0x80 && bytes[0] <= 0x8f) || bytes[0] == 0xde || bytes[0] == 0xdf);
}

static tub_status detect_bytes(const tub_allocator *a, const char *path, const tub__map *map,
                               tub_convert_kind *out, tub_error *err) {
    if (tub__is_zip(map->data, map->size)) {
        return detect_zip(a, path, out, err);
    }
    if (is_safetensors(map->data, map->size)) {
        return tub__fail(err, TUB_E_FORMAT,
                         "%s: arrays alone; give the folder that has config.json beside them",
                         path);
    }
    if (tub__is_onnx_path(path)) {
        return tub__fail(err, TUB_E_FORMAT,
                         "%s: an ONNX file, which is written, not read; take the model that it was "
                         "made of",
                         path);
    }
    *out = tub__is_hdf5(map->data, map->size) ? TUB_CONVERT_KERAS_WEIGHTS : TUB_CONVERT_SCENIC;
    return *out == TUB_CONVERT_KERAS_WEIGHTS || is_msgpack_map(map->data, map->size)
               ? TUB_OK
               : tub__fail(err, TUB_E_FORMAT, "%s: no kind of model that is known; " KNOWN, path);
}

tub_status tub_convert_detect(tub_context *ctx, const char *path, tub_convert_kind *out,
                              tub_error *err) {
    const tub_allocator *a = &ctx->allocator;
    tub__map map;
    if (tub__is_folder(path)) {
        return detect_folder(a, path, out, err);
    }
    TUB__TRY(tub__map_open(path, &map, err));
    tub_status status = detect_bytes(a, path, &map, out, err);
    tub__map_close(&map);
    return status;
}
