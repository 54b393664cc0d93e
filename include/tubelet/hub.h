/* SPDX-License-Identifier: Apache-2.0 */
/* Models on a hub: getting them, publishing them, and a folder that shows one to the world. */
#ifndef TUBELET_HUB_H
#define TUBELET_HUB_H

#include <tubelet/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whether a text names a model on a hub: begins with "hf:". Thread-safe. */
TUB_API int tub_hub_is_name(const char *text);

/* Gets a model, "hf:OWNER/NAME" or "hf:OWNER/NAME@REVISION" (a branch, tag or commit; main where
 * none is named), into the cache that other tools of hubs share, and writes the path of its
 * folder: config.json, the weights as safetensors in one file or several, and what there is of
 * preprocessor_config.json and README.md. What the cache has is not asked for again; a broken
 * download goes on where it broke off; every file is checked against what the server says of it.
 * Where the hub can't be reached, or HF_HUB_OFFLINE is set, the cache answers alone. Reads
 * HF_ENDPOINT, HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_TOKEN_PATH and HF_HUB_OFFLINE (docs/hub.md).
 * Progress comes as TUB_EVENT_DOWNLOAD; tub_train_stop ends it. Errors: TUB_E_ARGUMENT (no such
 * form of a name), TUB_E_NOT_FOUND (no such model, revision or file, or not for this token),
 * TUB_E_NETWORK, TUB_E_CHECKSUM, TUB_E_FORMAT (the server is no hub, or the model has no
 * safetensors), TUB_E_IO, TUB_E_MODULE (mod-net or mod-hash), TUB_E_CANCELLED, TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_hub_fetch(tub_context *ctx, const char *name, char *path,
                                              size_t path_size, tub_error *err);

/* How a model is published. */
typedef struct tub_push_options {
    size_t size;         /* sizeof(tub_push_options) */
    const char *message; /* of the commit; NULL: says what made it */
    const char
        *licence;   /* identifier for the card, such as "apache-2.0"; NULL: as the card has it */
    int is_private; /* a repository that is made shows itself to its owner alone */
    int dry_run;    /* send nothing */
} tub_push_options;
/* The defaults, with size filled. */
TUB_API tub_push_options tub_push_options_default(void);

enum { TUB_PUSH_URL = 512 };
/* What a push did. */
typedef struct tub_push_report {
    char url[TUB_PUSH_URL]; /* the model's page */
    char commit[64];        /* "" where nothing had changed, or nothing was to be sent */
    int64_t files, changed; /* files of the model, and those that the hub did not have so */
    uint64_t bytes, sent;   /* of all files, and what went to the store of large ones */
    int has_licence;        /* the card names one */
} tub_push_report;

/* Publishes the model in `folder` as "hf:OWNER/NAME", or on an existing branch as
 * "hf:OWNER/NAME@BRANCH", in one commit: the card (README.md, with the licence of the options
 * and commands that name the hub; written where the folder has none), config.json,
 * preprocessor_config.json and the weights. The repository is made where it is missing. Large
 * files go to the store by git-lfs' protocol, unless it has their content. Needs a token that
 * may write. Errors: as tub_hub_fetch, and what is wrong with the folder. */
TUB_API TUB_MUST_USE tub_status tub_hub_push(tub_context *ctx, const char *folder, const char *name,
                                             const tub_push_options *options,
                                             tub_push_report *report, tub_error *err);
/* The text of the card that tub_hub_push would send; *text is the caller's (tub_hub_free). */
TUB_API TUB_MUST_USE tub_status tub_hub_card(tub_context *ctx, const char *folder, const char *name,
                                             const char *licence, char **text, tub_error *err);
TUB_API void tub_hub_free(tub_context *ctx, char *text); /* accepts NULL */

/* Makes a folder that is a container Space of a hub: README.md, whose head names the kind and
 * the port, a Dockerfile that builds tubelet from the sources beside it and serves the model on
 * 0.0.0.0:7860, with its page for frames of huggingface.co, the sources (tubelet.tar.gz) and the model. title: NULL for one of the folder's
 * name. Errors: TUB_E_EXISTS (something of that name is there), TUB_E_NOT_FOUND (the sources are
 * not installed), what is wrong with the model's folder, TUB_E_IO, TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_space_write(tub_context *ctx, const char *folder,
                                                const char *out, const char *title,
                                                const char *licence, tub_error *err);

#ifdef __cplusplus
}
#endif
#endif
