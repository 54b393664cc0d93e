/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and saving Keras' files: the archive, its three members, and the two kinds of GELU. */
#include "convert/keras.h"

#include "base/error.h"
#include "base/file.h"
#include "base/fpenv.h"
#include "convert/keras_arrays.h"
#include "convert/keras_config.h"
#include "formats/zip.h"
#include <string.h>
#include <unistd.h>

static const char METADATA[] = "metadata.json", CONFIG[] = "config.json",
                  WEIGHTS[] = "model.weights.h5";
/* Parsed JSON takes many times its text. The example's model has about 8 kB of configuration for a
 * block. */
static const uint64_t METADATA_LIMIT = (uint64_t)64 << 10, CONFIG_LIMIT = (uint64_t)2 << 20;
/* Weights, two moments and, with amsgrad, one number more for each parameter, of at most 64 bits; and
 * what HDF5 needs beside them. */
enum { NUMBERS_PER_PARAMETER = 4 };
static const uint64_t WEIGHTS_MORE = (uint64_t)64 << 20;

/* Whose form of the files is written. */
#define KERAS_VERSION "3.15.1"

const char tub__keras_python[] =
    "import keras\n"
    "@keras.saving.register_keras_serializable(package=\"tubelet\", name=\"gelu_tanh\")\n"
    "def gelu_tanh(x):\n"
    "    return keras.ops.gelu(x, approximate=True)\n";

static bool ends_with(const char *text, const char *end) {
    const size_t length = strlen(text), rest = strlen(end);
    return length > rest && strcmp(text + length - rest, end) == 0;
}

bool tub__is_keras_path(const char *path) {
    return ends_with(path, ".keras") || tub__is_keras_weights_path(path);
}

bool tub__is_keras_weights_path(const char *path) {
    return ends_with(path, ".h5");
}

tub_status tub__keras_may_save(const char *path, tub_error *err) {
    return ends_with(path, ".keras") || ends_with(path, ".weights.h5")
               ? TUB_OK
               : tub__fail(err, TUB_E_ARGUMENT,
                           "%s: Keras loads a model from a name that ends in .keras, and weights "
                           "from one that ends in .weights.h5",
                           path);
}

bool tub__keras_needs_python(const tub_model_config *config, const char *path) {
    return config->gelu == TUB_GELU_TANH && ends_with(path, ".keras");
}

/* ---- GELU ---- */

typedef enum said { SAID_NOTHING, SAID_TANH, SAID_ERF } said;

/* metadata.json of files that tubelet wrote says what "gelu" is; others' says nothing. */
static tub_status read_said(const tub__json *root, said *out, tub_error *err) {
    const tub__json *object, *own = tub__json_get(root, "tubelet");
    const char *gelu = NULL;
    *out = SAID_NOTHING;
    TUB__TRY(tub__json_to_object(root, "the file", &object, err));
    if (own == NULL) {
        return TUB_OK;
    }
    TUB__TRY(tub__json_to_object(own, "tubelet", &object, err));
    TUB__TRY(tub__json_get_text(object, "gelu", &gelu, err));
    if (strcmp(gelu, "erf") != 0 && strcmp(gelu, "tanh") != 0) {
        return tub__fail(err, TUB_E_FORMAT, "gelu: '%.100s' is neither tanh nor erf", gelu);
    }
    *out = gelu[0] == 'e' ? SAID_ERF : SAID_TANH;
    return TUB_OK;
}

static tub_status read_metadata(const void *text, size_t size, said *out, tub_error *err) {
    tub__json *root;
    TUB__TRY(tub__json_parse(text, size, &root, err));
    tub_status status = read_said(root, out, err);
    tub__json_free(root);
    return status;
}

static tub_status choose_gelu(tub_context *ctx, const char *path, said file, const tub_gelu *asked,
                              tub_gelu *out, tub_error *err) {
    if (file == SAID_NOTHING) {
        *out = asked != NULL ? *asked : TUB_GELU_TANH;
        if (asked == NULL) {
            tub__log_line(
                ctx, TUB_LOG_WARNING,
                "%s says only 'gelu': taken for its tanh form, as the Keras example trains "
                "with; Keras itself reads it back as erf",
                path);
        }
        return TUB_OK;
    }
    *out = file == SAID_ERF ? TUB_GELU_ERF : TUB_GELU_TANH;
    return asked == NULL || *asked == *out
               ? TUB_OK
               : tub__fail(err, TUB_E_ARGUMENT, "its gelu is %s, not %s",
                           *out == TUB_GELU_ERF ? "erf" : "tanh",
                           *asked == TUB_GELU_ERF ? "erf" : "tanh");
}

/* ---- Reading ---- */

static tub_status read_member(tub__zip *z, const char *name, uint64_t limit, void **bytes,
                              size_t *size, tub_error *err) {
    size_t index;
    if (!tub__zip_find(z, name, &index)) {
        return tub__fail(err, TUB_E_FORMAT, "it has no member %s, so it is no model of Keras 3",
                         name);
    }
    tub_status status = tub__zip_read(z, index, limit, bytes, size, err);
    return status == TUB_OK ? TUB_OK : tub__prefix(err, status, "%s", name);
}

/* config.json and metadata.json to a configuration and the layout of the arrays. */
static tub_status read_description(tub_context *ctx, const char *path, tub__zip *z,
                                   const tub__keras_options *options, tub_model_config *config,
                                   tub__keras_layout *layout, tub_error *err) {
    const tub_allocator *a = &ctx->allocator;
    tub__keras_says says = TUB__KERAS_SAYS_GELU;
    said file = SAID_NOTHING;
    tub__json *root = NULL;
    void *text;
    size_t size, index;
    if (tub__zip_find(z, METADATA, &index)) {
        TUB__TRY(read_member(z, METADATA, METADATA_LIMIT, &text, &size, err));
        tub_status status = read_metadata(text, size, &file, err);
        tub__free(a, text);
        if (status != TUB_OK) {
            return tub__prefix(err, status, "%s", METADATA);
        }
    }
    TUB__TRY(read_member(z, CONFIG, CONFIG_LIMIT, &text, &size, err));
    tub_status status = tub__json_parse(text, size, &root, err);
    tub__free(a, text);
    if (status == TUB_OK) {
        status = tub__keras_config_read(a, root, config, &says, layout, err);
    }
    tub__json_free(root);
    if (status != TUB_OK) {
        return status == TUB_E_MEMORY ? status : tub__prefix(err, status, "%s", CONFIG);
    }
    file = says == TUB__KERAS_SAYS_TANH ? SAID_TANH : file;
    return choose_gelu(ctx, path, file, options->gelu, &config->gelu, err);
}

/* What does not go along of the optimizer's state, if anything. */
static void tell_optimizer(tub_context *ctx, const char *path, const char *optimizer,
                           bool moments) {
    if (optimizer != NULL && !moments) {
        tub__log_line(ctx, TUB_LOG_WARNING,
                      "%s: the state of its optimizer '%s' is left out; read is that of plain "
                      "Adam, without amsgrad, schedule or moving average, over layers of which "
                      "none is frozen",
                      path, optimizer);
    } else if (optimizer != NULL && strcmp(optimizer, "adamw") == 0) {
        tub__log_line(ctx, TUB_LOG_WARNING,
                      "%s: the state of AdamW is taken for one of Adam; its weight decay does not "
                      "go along",
                      path);
    }
}

/* A model of a configuration, filled from the file of arrays. */
static tub_status fill(tub_context *ctx, const tub__h5_file *f, const char *path,
                       const tub_model_config *config, tub__keras_model *out, tub_error *err) {
    const char *optimizer = NULL;
    TUB__TRY(tub__model_create_empty(ctx, ctx->backend, config, &out->model, err));
    const tub__fpenv saved = tub__fpenv_enter();
    tub_status status = tub__keras_read_arrays(out->model, f, &out->layout, err);
    if (status == TUB_OK) {
        status =
            tub__keras_read_moments(out->model, f, &out->layout, &out->moments, &optimizer, err);
    }
    tub__fpenv_leave(saved);
    if (status == TUB_OK) {
        tell_optimizer(ctx, path, optimizer, out->moments.first != NULL);
    }
    return status;
}

/* The member with the arrays, in a file in memory: unpacked it lies nowhere else. */
static tub_status load_weights(const tub_allocator *a, tub__zip *z, const tub_model_config *config,
                               int *fd, tub_error *err) {
    tub__params params;
    void *bytes;
    size_t size;
    TUB__TRY(tub__params_create(a, config, NULL, &params, err));
    const uint64_t limit =
        WEIGHTS_MORE + NUMBERS_PER_PARAMETER * sizeof(double) * (uint64_t)params.numbers;
    tub__params_destroy(&params);
    TUB__TRY(read_member(z, WEIGHTS, limit, &bytes, &size, err));
    tub_status status = tub__h5_load(bytes, size, fd, err);
    tub__free(a, bytes);
    return status;
}

static tub_status open_archive(tub_context *ctx, const char *path,
                               const tub__keras_options *options, tub__zip *z,
                               tub__keras_model *out, tub_error *err) {
    tub_model_config config;
    tub__h5_file f;
    int fd;
    TUB__TRY(read_description(ctx, path, z, options, &config, &out->layout, err));
    TUB__TRY(load_weights(&ctx->allocator, z, &config, &fd, err));
    tub_status status = tub__h5_open_loaded(ctx, fd, &f, err);
    close(fd);
    if (status == TUB_OK) {
        status = fill(ctx, &f, path, &config, out, err);
        tub__h5_close(&f);
    }
    return status == TUB_OK || status == TUB_E_MEMORY ? status
                                                      : tub__prefix(err, status, "%s", WEIGHTS);
}

static tub_status open_keras(tub_context *ctx, const char *path, const tub__keras_options *options,
                             tub__keras_model *out, tub_error *err) {
    tub__zip *z;
    TUB__TRY(tub__zip_open(&ctx->allocator, path, &z, err));
    tub_status status = open_archive(ctx, path, options, z, out, err);
    tub__zip_close(z);
    return status == TUB_OK || status == TUB_E_MEMORY || status == TUB_E_MODULE
               ? status
               : tub__prefix(err, status, "%s", path);
}

static tub_status read_weights(tub_context *ctx, const char *path,
                               const tub__keras_options *options, const tub__h5_file *f,
                               tub__keras_model *out, tub_error *err) {
    tub_model_config config;
    if (options->like == NULL) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "a file of weights does not say the size of the clips; name a model or a "
                         "preset that does (--like vivit-tiny)");
    }
    TUB__TRY(tub__keras_sizes(f, options->like, &config, err));
    config.gelu = options->gelu != NULL ? *options->gelu : options->like->gelu;
    TUB__TRY(tub__keras_layout_plain(&ctx->allocator, (int)config.layers, &out->layout, err));
    return fill(ctx, f, path, &config, out, err);
}

static tub_status open_weights(tub_context *ctx, const char *path,
                               const tub__keras_options *options, tub__keras_model *out,
                               tub_error *err) {
    tub__h5_file f;
    TUB__TRY(tub__h5_open(ctx, path, &f, err)); /* its sentence names the path */
    tub_status status = read_weights(ctx, path, options, &f, out, err);
    tub__h5_close(&f);
    return status == TUB_OK || status == TUB_E_MEMORY ? status
                                                      : tub__prefix(err, status, "%s", path);
}

tub_status tub__keras_open(tub_context *ctx, const char *path, const tub__keras_options *options,
                           tub__keras_model *out, tub_error *err) {
    tub__map map;
    *out = (tub__keras_model){0};
    TUB__TRY(tub__map_open(path, &map, err));
    const bool zip = tub__is_zip(map.data, map.size), hdf5 = tub__is_hdf5(map.data, map.size);
    tub__map_close(&map);
    if (!zip && !hdf5) {
        return tub__fail(err, TUB_E_FORMAT,
                         "%s: neither a .keras file nor a .weights.h5 file of Keras 3", path);
    }
    tub_status status =
        zip ? open_keras(ctx, path, options, out, err) : open_weights(ctx, path, options, out, err);
    if (status != TUB_OK) {
        tub__keras_close(out);
    }
    return status;
}

void tub__keras_close(tub__keras_model *m) {
    tub__moments_destroy(&m->moments);
    tub__keras_layout_destroy(&m->layout);
    tub_model_close(m->model);
    *m = (tub__keras_model){0};
}

/* ---- Writing ---- */

/* The time is that of the archive's members: the same model gives the same bytes. */
static tub_status metadata_text(const tub_allocator *a, const tub_model_config *config, char **text,
                                size_t *size, tub_error *err) {
    tub__json_writer w;
    tub__json_start(&w, a, 0);
    tub__json_open_object(&w, NULL);
    tub__json_put_text(&w, "keras_version", KERAS_VERSION);
    tub__json_put_text(&w, "date_saved", "1980-01-01@00:00:00");
    tub__json_open_object(&w, "tubelet");
    tub__json_put_text(&w, "version", tub_version());
    tub__json_put_text(&w, "gelu", config->gelu == TUB_GELU_ERF ? "erf" : "tanh");
    tub__json_close_object(&w);
    tub__json_close_object(&w);
    return tub__json_finish(&w, text, size, err);
}

static tub_status save_archive(const tub_model *model, const tub__moments *moments,
                               const char *path, const void *weights, size_t size, tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    const bool compiled = moments != NULL && moments->first != NULL;
    /* As the file of arrays has it. */
    const double rate = compiled ? (double)(float)moments->learning_rate : 0.0;
    char *metadata, *config;
    size_t metadata_size, config_size;
    TUB__TRY(metadata_text(a, &model->config, &metadata, &metadata_size, err));
    tub_status status = tub__keras_config_write(a, &model->config, compiled ? &rate : NULL, &config,
                                                &config_size, err);
    if (status == TUB_OK) {
        const tub__zip_member members[] = {{METADATA, metadata, metadata_size},
                                           {CONFIG, config, config_size},
                                           {WEIGHTS, weights, size}};
        status = tub__zip_write(a, path, members, sizeof members / sizeof *members, err);
        tub__free(a, config);
    }
    tub__free(a, metadata);
    return status;
}

tub_status tub__keras_save(const tub_model *model, const tub__moments *moments, const char *path,
                           tub_error *err) {
    const void *bytes;
    size_t size;
    tub__map map;
    TUB__TRY(tub__keras_may_save(path, err));
    TUB__TRY(tub__keras_can(&model->config, err));
    const tub__fpenv saved = tub__fpenv_enter();
    tub_status status = tub__keras_write_arrays(model, moments, &map, &bytes, &size, err);
    tub__fpenv_leave(saved);
    if (status == TUB_OK) {
        status = tub__is_keras_weights_path(path)
                     ? tub__file_write(&model->context->allocator, path, bytes, size, err)
                     : save_archive(model, moments, path, bytes, size, err);
        tub__map_close(&map);
    }
    return status;
}
