/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet convert IN OUT: models to and from the files of other programs. */
#ifndef APP_CONVERT_FILES_H
#define APP_CONVERT_FILES_H

#include "cli.h"

/* Keys of the options of such a conversion, behind those of the command. */
enum {
    CONVERT_KEY_GELU = CLI_KEY_OWN + 0x100,
    CONVERT_KEY_LIKE,
    CONVERT_KEY_FRAMES,
    CONVERT_KEY_SIZE,
    CONVERT_KEY_VARIANT,
    CONVERT_KEY_POOLING,
    CONVERT_KEY_ORDER,
    CONVERT_KEY_TASK,
    CONVERT_KEY_HEADS,
    CONVERT_KEY_PIXELS,
    CONVERT_KEY_ENCODER,
    CONVERT_KEY_NAMES,
    CONVERT_KEY_SHARD,
    CONVERT_KEY_UINT8,
    CONVERT_KEY_EXTERNAL,
    CONVERT_KEY_DRY_RUN
};

#define CONVERT_FILES_OPTIONS                                                                      \
    {NULL, 0, NULL, 0, "Files of other programs:", 1},                                             \
        {"like",                                                                                   \
         CONVERT_KEY_LIKE,                                                                         \
         "MODEL",                                                                                  \
         0,                                                                                        \
         "Preset or model folder that has what a file does not say, such as the clip's size",      \
         1},                                                                                       \
        {"gelu",                                                                                   \
         CONVERT_KEY_GELU,                                                                         \
         "KIND",                                                                                   \
         0,                                                                                        \
         "tanh or erf: which one a file of Keras means that says only 'gelu' (default tanh, as "   \
         "the Keras example trains with)",                                                         \
         1},                                                                                       \
        {"pixels",                                                                                 \
         CONVERT_KEY_PIXELS,                                                                       \
         "RANGE",                                                                                  \
         0,                                                                                        \
         "unit (0 to 1) or signed (-1 to 1): how pixels were scaled, where the file does not say " \
         "it and a folder is written",                                                             \
         1},                                                                                       \
        {"dry-run",                                                                                \
         CONVERT_KEY_DRY_RUN,                                                                      \
         NULL,                                                                                     \
         0,                                                                                        \
         "Read and check everything, print what becomes of each array, write nothing",             \
         1},                                                                                       \
        {NULL, 0, NULL, 0, "What a checkpoint of scenic does not say:", 2},                        \
        {"frames", CONVERT_KEY_FRAMES, "N", 0, "Frames of a clip", 2},                             \
        {"size", CONVERT_KEY_SIZE, "H[,W]", 0, "Height and width of a frame (W: the same)", 2},    \
        {"variant",                                                                                \
         CONVERT_KEY_VARIANT,                                                                      \
         "NAME",                                                                                   \
         0,                                                                                        \
         "joint or factorised_dot_product, whose arrays have the same names (default joint)",      \
         2},                                                                                       \
        {"pooling",                                                                                \
         CONVERT_KEY_POOLING,                                                                      \
         "KIND",                                                                                   \
         0,                                                                                        \
         "mean, max or sum, of a model without class token (default mean)",                        \
         2},                                                                                       \
        {"attention-order",                                                                        \
         CONVERT_KEY_ORDER,                                                                        \
         "ORDER",                                                                                  \
         0,                                                                                        \
         "time_space or space_time, of factorised self-attention (default time_space)",            \
         2},                                                                                       \
        {"task",                                                                                   \
         CONVERT_KEY_TASK,                                                                         \
         "TASK",                                                                                   \
         0,                                                                                        \
         "How the outputs are read: multi_class (default), or multi_label, each by itself",        \
         2},                                                                                       \
        {"head-classes",                                                                           \
         CONVERT_KEY_HEADS,                                                                        \
         "N,N...",                                                                                 \
         0,                                                                                        \
         "Outputs of several heads, each with a softmax of its own, such as 300,97",               \
         2},                                                                                       \
        {NULL, 0, NULL, 0, "How a model folder is written:", 3},                                   \
        {"encoder-only",                                                                           \
         CONVERT_KEY_ENCODER,                                                                      \
         NULL,                                                                                     \
         0,                                                                                        \
         "Without the classifier, for transformers' VivitModel",                                   \
         3},                                                                                       \
        {"names",                                                                                  \
         CONVERT_KEY_NAMES,                                                                        \
         "AGE",                                                                                    \
         0,                                                                                        \
         "published (default) or newer: how arrays are called, as in published files or as in "    \
         "newer transformers modules",                                                             \
         3},                                                                                       \
        {"shard-size",                                                                             \
         CONVERT_KEY_SHARD,                                                                        \
         "BYTES",                                                                                  \
         0,                                                                                        \
         "Several files, of at most so many bytes of arrays each: 5GB, 200MB, 64KB (default: "     \
         "one)",                                                                                   \
         3},                                                                                       \
        {NULL, 0, NULL, 0, "How an ONNX file is written:", 4},                                     \
        {"uint8-input",                                                                            \
         CONVERT_KEY_UINT8,                                                                        \
         NULL,                                                                                     \
         0,                                                                                        \
         "It takes clips of uint8, and scales and normalises them itself (default: float32 that "  \
         "is prepared)",                                                                           \
         4},                                                                                       \
    {                                                                                              \
        "external-data", CONVERT_KEY_EXTERNAL, NULL, 0,                                            \
            "Arrays in a file of their own, OUT.data beside it (default: from 1.8 GB on)", 4       \
    }

typedef struct convert_files_options {
    const char *in, *out;
    const char *weights; /* last or best of a run */
    tub_convert_options convert;
    bool json, quiet;
} convert_files_options;

/* Takes an option of the above; ARGP_ERR_UNKNOWN for another one. */
error_t convert_files_parse(tub_convert_options *o, int key, char *argument,
                            struct argp_state *state);
int convert_files(const cli_command *self, cli_work *work, const convert_files_options *o);

#endif
