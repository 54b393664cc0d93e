/* SPDX-License-Identifier: Apache-2.0 */
/* The table of training settings: recipe keys, command-line options, help, the man page and the
 * resolved recipe are made from it. */
#include "train/options.h"

#include "base/error.h"
#include "data/augment_settings.h"
#include "model/family.h"
#include "model/variant.h"
#include "train/option_value.h"
#include <string.h>

#define INT    TUB_OPTION_INT
#define REAL   TUB_OPTION_REAL
#define TEXT   TUB_OPTION_TEXT
#define CHOICE TUB_OPTION_CHOICE
#define FLAG   TUB_OPTION_FLAG
#define INT3   TUB_OPTION_INT3
#define HEADS  TUB_OPTION_HEADS
#define RANGE  TUB_OPTION_RANGE
#define SIZE   TUB_OPTION_SIZE
#define BIG    1e15  /* more than anybody's steps, and exact in double and JSON */
#define WIDE   65536 /* the largest size that a model may have */

/* X(field, key, type, choices, low, high, argument, help). The one list: everything about a
 * setting stands in its line. The order is that of help and of the resolved recipe. */
/* clang-format off */
#define OPTIONS(X) \
    X(data, "data", TEXT, NULL, 0, 0, "NAME", \
      "data set: a name (phantom3d, organmnist3d, ...) or a .npz file") \
    X(data_url, "data_url", TEXT, NULL, 0, 0, "URL", \
      "folder of a mirror that has the data set's file") \
    X(data_digest, "data_digest", TEXT, NULL, 0, 0, "MD5", \
      "refuse data whose train and val have another digest; folds set it") \
    X(folds, "folds", INT, NULL, 0, 1000, "K", \
      "cut train and val into K parts, train K runs, each without one (0: one run)") \
    X(fold, "fold", INT, NULL, -1, 999, "N", "only the run that leaves out part N, from 0 (-1: all)") \
    X(fold_seed, "fold_seed", INT, NULL, 0, 9.2e18, "N", "seed of the parts") \
    X(preset, "preset", TEXT, NULL, 0, 0, "NAME", \
      "settings of a known model: vivit-tiny, vivit-b, vivit-l or vivit-h; sets all model settings") \
    X(init_from, "init_from", TEXT, NULL, 0, 0, "PATH", \
      "start from a trained ViT of pictures or ViViT: a folder, a run or a checkpoint of scenic; " \
      "sets all model settings as they are there") \
    X(init_kernel, "init_kernel", CHOICE, "central|average|arp", 0, 0, "KIND", \
      "a kernel over pictures for tubelets: to the middle frame, to each its share, or weighted by " \
      "approximate rank pooling") \
    X(init_positions, "init_positions", CHOICE, "resize|tile|bicubic", 0, 0, "KIND", \
      "positions on another grid: each axis resized, time repeated instead, or as transformers " \
      "resizes pictures") \
    X(init_temporal, "init_temporal", CHOICE, "zero|copy", 0, 0, "KIND", \
      "factorised_self_attention over time: with an output of zero, or a copy of that over space") \
    X(init_clip, "init_clip", INT3, NULL, 0, WIDE, "T,H,W", \
      "frames, height and width that a checkpoint of scenic was trained with (0: not known)") \
    X(seed, "seed", INT, NULL, 0, 9.2e18, "N", "seed of all random numbers (at most 9.2e18)") \
    X(epochs, "epochs", INT, NULL, 1, 1e6, "N", "passes over the training samples") \
    X(max_steps, "max_steps", INT, NULL, 0, BIG, "N", \
      "stop after so many steps in all (0: no limit)") \
    X(batch_size, "batch_size", INT, NULL, 1, 65536, "N", "samples per step") \
    X(micro_batch, "micro_batch", INT, NULL, 0, 65536, "N", \
      "samples of a batch to compute at once (a power of two; 0: all); same bits in f32") \
    X(recompute, "recompute", FLAG, NULL, 0, 1, NULL, \
      "keep only what enters a block, compute the rest again in backward: less memory, same bits") \
    X(ranks, "ranks", INT, NULL, 1, 64, "N", \
      "simulated ranks that share a batch (a power of two); same bits in f32") \
    X(precision, "precision", CHOICE, "f32|bf16", 0, 0, "KIND", \
      "of matrix products; weights, sums and everything else are float32") \
    X(optimizer, "optimizer", CHOICE, "adam|adamw|sgd", 0, 0, "NAME", "update rule") \
    X(lr, "lr", REAL, NULL, 0, 1e3, "RATE", "learning rate (the highest one of a schedule)") \
    X(beta1, "beta1", REAL, NULL, 0, 0.999999999, "X", "decay of Adam's first moment") \
    X(beta2, "beta2", REAL, NULL, 0, 0.999999999, "X", "decay of Adam's second moment") \
    X(epsilon, "epsilon", REAL, NULL, 1e-16, 1, "X", "Adam's epsilon") \
    X(adam_form, "adam_form", CHOICE, "keras|pytorch", 0, 0, "NAME", \
      "epsilon beside the uncorrected (keras) or the corrected (pytorch) second moment") \
    X(momentum, "momentum", REAL, NULL, 0, 1, "X", "momentum of sgd") \
    X(sgd_form, "sgd_form", CHOICE, "keras|pytorch", 0, 0, "NAME", \
      "learning rate inside (keras) or outside (pytorch) sgd's velocity") \
    X(weight_decay, "weight_decay", REAL, NULL, 0, 1e3, "X", \
      "decoupled weight decay of adamw and sgd, times the learning rate") \
    X(decay_scope, "decay_scope", CHOICE, "kernels|all", 0, 0, "WHAT", \
      "arrays that decay: kernels only, or all (as Keras)") \
    X(layer_decay, "layer_decay", REAL, NULL, 0.01, 1, "X", \
      "learning rates fall by this from block to block, from the classifier down to the embedding") \
    X(freeze, "freeze", TEXT, NULL, 0, 0, "WHAT", \
      "what stays as it is: none, embedding, or a number of lowest blocks with it") \
    X(clip_norm, "clip_norm", REAL, NULL, 0, 1e9, "X", \
      "largest global norm of the gradient (0: no clipping)") \
    X(label_smoothing, "label_smoothing", REAL, NULL, 0, 0.999, "X", \
      "share of the target spread evenly over all classes") \
    X(class_weights, "class_weights", CHOICE, "none|balanced", 0, 0, "KIND", \
      "weigh each class by the inverse of its count") \
    X(sampling, "sampling", CHOICE, "shuffled|balanced", 0, 0, "KIND", \
      "an epoch has every sample once, or every class equally often") \
    X(ema, "ema", REAL, NULL, 0, 0.9999999, "X", \
      "decay of an average of the weights, for validation and use (0: none)") \
    X(ema_warmup, "ema_warmup", FLAG, NULL, 0, 1, NULL, \
      "the average's decay at step t is at most (1 + t) / (10 + t)") \
    X(schedule, "schedule", CHOICE, "constant|cosine|compound", 0, 0, "NAME", \
      "learning rate over time; compound is scenic's product of factors") \
    X(lr_factors, "lr_factors", TEXT, NULL, 0, 0, "FACTORS", \
      "of compound: constant, linear_warmup, cosine_decay, with * between them") \
    X(steps_per_cycle, "steps_per_cycle", INT, NULL, 0, BIG, "N", \
      "compound's cosine starts again after so many steps, warm-up included (0: all steps)") \
    X(schedule_steps, "schedule_steps", INT, NULL, 0, BIG, "N", \
      "steps that the cosine is made for, of a run that ends sooner (0: those of the run)") \
    X(warmup_steps, "warmup_steps", INT, NULL, 0, BIG, "N", \
      "steps of linear warm-up, instead of warmup_epochs") \
    X(warmup_epochs, "warmup_epochs", REAL, NULL, 0, 1e6, "N", \
      "epochs of linear warm-up before the schedule") \
    X(warmup_start, "warmup_start", REAL, NULL, 0, 1e3, "RATE", \
      "learning rate of the first warm-up step") \
    X(final_lr_share, "final_lr_share", REAL, NULL, 0, 1, "X", \
      "cosine ends at the learning rate times this") \
    X(patience, "patience", INT, NULL, 0, 1e6, "N", \
      "stop after so many epochs without a better validation AUC (0: never)") \
    X(checkpoint_every, "checkpoint_every", INT, NULL, 0, BIG, "N", \
      "checkpoint after so many steps too (0: after each epoch only)") \
    X(events, "events", CHOICE, "auto|true|false", 0, 0, "WHEN", \
      "write event files of TensorBoard into the run folder (auto: where mod-events is installed)") \
    X(events_histograms, "events_histograms", INT, NULL, 0, 1e6, "N", \
      "histograms of weights and gradients in the first epoch and every so many after it (0: none)") \
    X(events_images, "events_images", INT, NULL, 0, 64, "N", \
      "training samples of the first step to show as they are augmented (0: none)") \
    X(loader_threads, "loader_threads", INT, NULL, 0, 256, "N", \
      "threads that read samples ahead (0: one, or half as many as compute where files are decoded)") \
    X(no_cache, "no_cache", FLAG, NULL, 0, 1, NULL, \
      "keep no decoded clips on the disk: every epoch decodes the files again; same bits") \
    X(cache_limit, "cache_limit", SIZE, NULL, 0, BIG, "SIZE", \
      "space on the disk for the decoded clips of all data sets: 500M, 20G") \
    X(evaluate, "evaluate", CHOICE, "last|best", 0, 0, "WHICH", \
      "weights that eval and predict use") \
    X(tta, "tta", CHOICE, "none|flip|shift|all", 0, 0, "VIEWS", \
      "eval and predict average over mirrored or shifted views, or both") \
    X(split_seed, "split_seed", INT, NULL, 0, 9.2e18, "N", \
      "seed of the split of a set of files that does not say its own") \
    TUB__AUGMENT_SETTINGS(X) \
    X(clip.sampling, "clip.sampling", CHOICE, "default|uniform|linspace|stride|segments", 0, 0, \
      "KIND", "which frames of a file, of all its length or at one place, make a clip (default: uniform)") \
    X(clip.stride, "clip.stride", INT, NULL, 0, WIDE, "N", \
      "frames from one of a clip to the next, of sampling stride and linspace (0: 1, and none)") \
    X(clip.resize, "clip.resize", INT, NULL, 0, WIDE, "N", \
      "short side of a file's frames, of which the middle is cropped to the clip's height and width "\
      "(0: as the crop's longer one)") \
    X(clip.intensity_window, "clip.intensity_window", RANGE, NULL, -1e9, 1e9, "LOW,HIGH", \
      "of volumes and arrays of float32: LOW and less become level 0, HIGH and more 255, so that "\
      "they are resized as pictures are (0: they stay as they are)") \
    X(clip.gray, "clip.gray", FLAG, NULL, 0, 1, NULL, "one channel, of videos in colour too") \
    X(clip.max_frames, "clip.max_frames", INT, NULL, 0, WIDE, "N", \
      "frames at equal distances that training takes a file's clips from, where it has more "\
      "(0: 64)") \
    X(model.frames, "model.frames", INT, NULL, 0, WIDE, "N", \
      "frames (depth) of a clip (0: as the data)") \
    X(model.height, "model.height", INT, NULL, 0, WIDE, "N", \
      "height of a clip (0: as the data)") \
    X(model.width, "model.width", INT, NULL, 0, WIDE, "N", "width of a clip (0: as the data)") \
    X(model.channels, "model.channels", INT, NULL, 0, WIDE, "N", \
      "channels of a clip (0: as the data)") \
    X(model.classes, "model.classes", INT, NULL, 0, TUB_LABEL_LIMIT, "N", \
      "classes (0: as the data)") \
    X(model.task, "model.task", CHOICE, "data|multi_class|multi_label|multi_head", 0, 0, "TASK", \
      "what labels are: one class, labels that are there or not, a class of each head") \
    X(model.head_classes, "model.head_classes", HEADS, NULL, 0, TUB_LABEL_LIMIT, "N,N", \
      "classes of each head of multi_head, as 97,300 (0: as the data)") \
    X(model.family, "model.family", CHOICE, \
      "vivit|cnn-frame|cnn-rnn|cnn-transformer|resnet3d18", 0, 0, "NAME", \
      "kind of network: ViViT, or a baseline to hold it against") \
    X(model.filters, "model.filters", INT, NULL, 0, TUB__CHANNEL_LIMIT, "N", \
      "filters of the first convolution of a baseline, doubled in each stage (0: 32; resnet3d18 64)") \
    X(model.stages, "model.stages", INT, NULL, 0, TUB__STAGES, "N", \
      "stages of convolutions of a baseline, each half as wide and high (0: 3; resnet3d18 4)") \
    X(model.units, "model.units", INT, NULL, 0, TUB__UNITS, "N", \
      "width of the recurrent unit of cnn-rnn (0: 128)") \
    X(model.tubelet, "model.tubelet", INT3, NULL, 1, WIDE, "T,H,W", \
      "size of a tubelet; one number means a cube") \
    X(model.stride, "model.stride", INT3, NULL, 0, WIDE, "T,H,W", \
      "distance between tubelets (0: their size)") \
    X(model.hidden, "model.hidden", INT, NULL, 1, WIDE, "N", "width of a token") \
    X(model.heads, "model.heads", INT, NULL, 1, 4096, "N", \
      "attention heads; must divide hidden") \
    X(model.layers, "model.layers", INT, NULL, 1, 4096, "N", "transformer blocks") \
    X(model.mlp, "model.mlp", INT, NULL, 1, 4 * WIDE, "N", "width of the MLP's hidden layer") \
    X(model.gelu, "model.gelu", CHOICE, "tanh|erf", 0, 0, "KIND", "form of GELU") \
    X(model.mlp_output_gelu, "model.mlp_output_gelu", FLAG, NULL, 0, 1, NULL, \
      "GELU after the MLP's second dense layer too (the Keras example)") \
    X(model.qkv_bias, "model.qkv_bias", FLAG, NULL, 0, 1, NULL, \
      "biases of query, key and value") \
    X(model.pooling, "model.pooling", CHOICE, "mean|class_token|max|sum", 0, 0, "KIND", \
      "what the head reads: all tokens, or one of its own (none in the last two variants)") \
    X(model.norm_epsilon, "model.norm_epsilon", REAL, NULL, 0, 1, "X", "epsilon of layer norm") \
    X(model.attention_dropout, "model.attention_dropout", REAL, NULL, 0, 0.999, "X", \
      "dropout of attention probabilities in training") \
    X(model.dropout, "model.dropout", REAL, NULL, 0, 0.999, "X", \
      "dropout of tokens in training: after the positions, and of what attention gives") \
    X(model.mlp_dropout, "model.mlp_dropout", REAL, NULL, 0, 0.999, "X", \
      "dropout after each dense layer of the MLP in training") \
    X(model.drop_layer, "model.drop_layer", REAL, NULL, 0, 0.999, "X", \
      "stochastic depth: share of samples for which the last block is left out in training") \
    X(model.drop_layer_rescale, "model.drop_layer_rescale", FLAG, NULL, 0, 1, NULL, \
      "branches that drop_layer keeps are scaled up (scenic does not)") \
    X(model.attention_init, "model.attention_init", CHOICE, "keras2022|glorot", 0, 0, "KIND", \
      "initial limits of the attention kernels") \
    X(model.input_scale, "model.input_scale", CHOICE, "divide|multiply", 0, 0, "KIND", \
      "uint8 to [0,1]: x / 255, or x * float32(1/255)") \
    X(model.variant, "model.variant", CHOICE, \
      "joint|factorised_encoder|factorised_self_attention|factorised_dot_product", 0, 0, "NAME", \
      "which tokens attend to each other, as models 1 to 4 of the ViViT paper do") \
    X(model.temporal_layers, "model.temporal_layers", INT, NULL, 0, 1000, "N", \
      "blocks of factorised_encoder's temporal transformer (0: mean over time)") \
    X(model.attention_order, "model.attention_order", CHOICE, "time_space|space_time", 0, 0, "KIND", \
      "order of factorised_self_attention") \
    X(model.sampled_frames, "model.sampled_frames", INT, NULL, 0, WIDE, "N", \
      "cut so many evenly spaced frames, one by one; needs tubelets of time 1 (0: tubelets)") \
    X(model.positions, "model.positions", CHOICE, "learned|sinusoidal_1d|sinusoidal_3d|none", 0, 0, \
      "KIND", "what tells tokens their places") \
    X(model.head_init, "model.head_init", CHOICE, "glorot|zeros", 0, 0, "KIND", \
      "initial values of the classifier") \
    X(model.representation, "model.representation", INT, NULL, 0, WIDE, "N", \
      "width of a dense layer with tanh before the classifier (0: none)")

/* clang-format on */

#define PUBLIC(field, key, type, choices, low, high, argument, help)                               \
    {key, type, choices, low, high, argument, help},
static const tub_option options[] = {OPTIONS(PUBLIC)};

typedef struct place {
    size_t offset, size;
} place;

#define PLACE(field, key, type, choices, low, high, argument, help)                                \
    {offsetof(tub_train_config, field), sizeof(((tub_train_config *)NULL)->field)},
static const place places[] = {OPTIONS(PLACE)};

enum { COUNT = sizeof options / sizeof *options };

/* Every kind of setting has one C type, so that an offset is all that set and get need. */
#define BYTES(type)                                                                                \
    ((type) == INT3                       ? 3 * sizeof(int64_t)                                    \
     : (type) == HEADS                    ? TUB_HEAD_LIMIT * sizeof(int64_t)                       \
     : (type) == RANGE                    ? 2 * sizeof(double)                                     \
     : (type) == CHOICE || (type) == FLAG ? sizeof(int)                                            \
                                          : sizeof(int64_t))
#define WIDTH(field, key, type, choices, low, high, argument, help)                                \
    _Static_assert((type) == TEXT || sizeof(((tub_train_config *)NULL)->field) == BYTES(type),     \
                   key " has the C type of its kind");
OPTIONS(WIDTH)

const tub_option *tub_train_options(size_t *count) {
    *count = COUNT;
    return options;
}

static size_t find(const char *key) {
    for (size_t i = 0; i < COUNT; i++) {
        if (strcmp(options[i].key, key) == 0) {
            return i;
        }
    }
    return COUNT;
}

/* Every key, then what stands behind its dot: "heads" is close to "model.heads" for somebody who
 * forgot the mapping. */
static const char *key_word(const void *words, size_t index) {
    (void)words;
    const char *dot = index < COUNT ? NULL : strchr(options[index - COUNT].key, '.');
    return index < COUNT ? options[index].key : dot != NULL ? dot + 1 : "";
}

const char *tub__option_nearest(const char *key) {
    enum { WORDS = 2 * COUNT };
    size_t i = tub_nearest(key, NULL, WORDS, key_word);
    return i < WORDS ? options[i % COUNT].key : NULL;
}

static tub_status unknown(const char *key, tub_error *err) {
    const char *near = tub__option_nearest(key);
    return near != NULL ? tub__fail(err, TUB_E_ARGUMENT,
                                    "unknown setting '%.80s'; did you mean '%s'?", key, near)
                        : tub__fail(err, TUB_E_ARGUMENT,
                                    "unknown setting '%.80s'; tubelet train --help lists all", key);
}

void tub__model_sizes_from_data(tub_model_config *model) {
    model->frames = model->height = model->width = model->channels = model->classes = 0;
    model->task = TUB_TASK_DATA;
    memset(model->head_classes, 0, sizeof model->head_classes);
}

/* The class token of a preset, or of a model to start from, gives way to the mean in a variant that has no
 * place for one, as in the paper; one that somebody asked for is left to be refused. */
static void keep_pooling(tub_train_config *config, const void *changed) {
    tub_model_config *model = &config->model;
    if (changed == &model->pooling) {
        config->pooling_source = TUB_POOLING_GIVEN;
    }
    if (changed != &model->variant || config->pooling_source == TUB_POOLING_GIVEN) {
        return;
    }
    const bool token =
        config->pooling_source == TUB_POOLING_OF_VARIANT || model->pooling == TUB_POOL_CLASS_TOKEN;
    const bool kept = tub__variant_takes_token(model->variant);
    if (token) {
        model->pooling = kept ? TUB_POOL_CLASS_TOKEN : TUB_POOL_MEAN;
        config->pooling_source = kept ? TUB_POOLING_OF_PRESET : TUB_POOLING_OF_VARIANT;
    }
}

void tub__train_model_from(tub_train_config *config, const tub_model_config *model) {
    config->model = *model;
    config->pooling_source = TUB_POOLING_OF_PRESET;
}

/* Model values start again from the preset; the clip's size and the classes stay with the data. */
static tub_status set_preset(tub_train_config *config, const char *value, tub_error *err) {
    tub_model_config model;
    if (tub_model_preset(value, &model, err) != TUB_OK) {
        return tub__prefix(err, TUB_E_ARGUMENT, "preset"); /* a value as wrong as any other */
    }
    tub__model_sizes_from_data(&model);
    tub__train_model_from(config, &model);
    return TUB_OK;
}

tub_status tub_train_config_set(tub_train_config *config, const char *key, const char *value,
                                tub_error *err) {
    if (key == NULL || value == NULL) {
        return tub__fail(err, TUB_E_ARGUMENT, "a setting needs a key and a value; %s%s is NULL",
                         key != NULL ? "the value of " : "the key", key != NULL ? key : "");
    }
    size_t i = find(key);
    if (i == COUNT) {
        return unknown(key, err);
    }
    const tub_option *o = &options[i];
    char *at = (char *)config + places[i].offset;
    if (at == config->preset) {
        TUB__TRY(set_preset(config, value, err));
    }
    TUB__TRY(tub__option_read(o, value, at, places[i].size, err));
    if (o->type == TUB_OPTION_CHOICE) {
        keep_pooling(config, at);
    }
    return TUB_OK;
}

tub_status tub_train_config_get(const tub_train_config *config, const char *key, char *out,
                                size_t size, tub_error *err) {
    if (key == NULL) {
        return tub__fail(err, TUB_E_ARGUMENT, "the key of the setting to read is NULL");
    }
    size_t i = find(key);
    if (i == COUNT) {
        return unknown(key, err);
    }
    return tub__option_write(&options[i], (const char *)config + places[i].offset, out, size, err);
}
