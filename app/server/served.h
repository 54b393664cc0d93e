/* SPDX-License-Identifier: Apache-2.0 */
/* A version of a model that is being served, and all of them by their names (docs/serving.md). */
#ifndef APP_SERVER_SERVED_H
#define APP_SERVER_SERVED_H

#include <limits.h>

#include "../cli.h"
#include "batcher.h"
#include "text.h"

enum { SERVED_NAME = 128, SERVED_VERSION = 24 };

/* A model is served under three names, because a model of the protocol has one type of input: NAME takes clips
 * as the model takes them, NAME_u8 levels, NAME_video files. */
typedef enum served_view { VIEW_CLIP, VIEW_LEVELS, VIEW_FILE, VIEWS } served_view;

typedef struct served {
    char name[SERVED_NAME], version[SERVED_VERSION];
    char folder[PATH_MAX]; /* of the weights */
    tub_context *context;  /* the batcher's thread's alone */
    tub_model *model;
    const tub_model_config *config;
    size_t clip;  /* numbers of one */
    size_t map;   /* numbers of a map over it */
    bool resizes; /* levels of another size can become clips */
    batcher *batcher;
    batcher_counts counts;
    atomic_ullong requests, failures;
    atomic_int references;
} served;

typedef struct served_settings {
    const cli_command *command;
    const cli_common *common;
    int64_t max_batch;
    double max_delay; /* seconds */
} served_settings;

typedef struct registry registry;

/* Reads what `paths` name: model folders, run folders, or folders of models. CLI_GO, or the exit code after a
 * sentence. */
int registry_create(const served_settings *settings, char *const *paths, int count, registry **out);
/* Looks at the folders again: opens what is new or has changed, and lets go of what is gone. A folder that
 * can't be opened is told once, and the model before it stays. */
void registry_scan(registry *r);
/* Closes models that were replaced and have nothing to do any more. */
void registry_reap(registry *r);
/* A model by the name of one of its views, its highest version where `version` is NULL; NULL: there is none.
 * known (may be NULL): whether there is the name in another version. The caller's (served_release). */
served *registry_find(registry *r, const char *name, const char *version, served_view *view,
                      bool *known);
void served_release(served *s);
/* Visits all, by name and version. */
typedef void registry_visit(void *user, served *s);
void registry_each(registry *r, registry_visit *visit, void *user);
unsigned long long registry_reloads(registry *r);
void registry_destroy(registry *r); /* accepts NULL; nothing is referred to any more */

/* "_u8" and so on. */
const char *served_suffix(served_view view);
/* Metadata of a view, as the protocol has them. versions: all of them. */
void served_metadata(textbuf *t, const served *s, served_view view, char versions[][SERVED_VERSION],
                     int count);
/* Versions of a model, the lowest first; at most `room`. */
int registry_versions(registry *r, const char *name, char versions[][SERVED_VERSION], int room);

tub_status served_open(const served_settings *settings, const char *name, const char *version,
                       const char *folder, served **out, tub_error *err);
void served_close(served *s);

#endif
