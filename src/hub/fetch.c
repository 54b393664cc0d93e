/* SPDX-License-Identifier: Apache-2.0 */
/* Getting a whole model: which commit, which files, and what to do where nobody answers. */
#include <stdio.h>
#include <string.h>
#include <tubelet/hub.h>

#include "base/error.h"
#include "base/file.h"
#include "formats/json.h"
#include "hub/file.h"
#include "hub/weights_list.h"

enum { TEXT_LIMIT = 64 << 20 };
static const uint64_t WEIGHTS_LIMIT = 1ULL << 42;
static const char CONFIG[] = "config.json", ARRAYS[] = "model.safetensors",
                  INDEX[] = "model.safetensors.index.json";

int tub_hub_is_name(const char *text) {
    return tub__hub_is_name(text);
}

/* A model that is being got. */
typedef struct order {
    tub__hub hub;
    tub__hub_cache cache;
    char commit[TUB__HUB_COMMIT + 1];
    tub__json *listing; /* what the hub says of the revision */
} order;

static bool is_listed(const order *o, const char *file) {
    const tub__json *files = tub__json_get(o->listing, "siblings");
    for (size_t i = 0; i < tub__json_size(files); i++) {
        const char *name;
        if (tub__json_get_text(tub__json_at(files, i), "rfilename", &name, NULL) == TUB_OK &&
            strcmp(name, file) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether the cache has a file of the commit. */
static tub_status has(const order *o, const char *file, bool *out, tub_error *err) {
    char *path;
    TUB__TRY(tub__hub_snapshot(&o->cache, o->commit, file, &path, err));
    *out = tub__file_exists(path);
    tub__free(o->cache.allocator, path);
    return TUB_OK;
}

/* The files of the weights where the snapshot has their index. */
static tub_status read_index(const order *o, tub__weights *list, tub_error *err) {
    char *path;
    TUB__TRY(tub__hub_snapshot(&o->cache, o->commit, INDEX, &path, err));
    const tub_status status = tub__hub_weights_list(o->cache.allocator, path, list, err);
    tub__free(o->cache.allocator, path);
    return status;
}

/* Whether the cache has all of the commit that a model needs. */
static tub_status is_complete(const order *o, bool *out, tub_error *err) {
    bool config, single, index;
    TUB__TRY(has(o, CONFIG, &config, err));
    TUB__TRY(has(o, ARRAYS, &single, err));
    TUB__TRY(has(o, INDEX, &index, err));
    *out = config && single;
    if (!config || single || !index) {
        return TUB_OK;
    }
    tub__weights list;
    TUB__TRY(read_index(o, &list, err));
    tub_status status = TUB_OK;
    *out = true;
    for (size_t i = 0; i < list.file_count && status == TUB_OK && *out; i++) {
        status = has(o, list.names[i], out, err);
    }
    tub__weights_close(&list);
    return status;
}

/* Finds the revision's commit in the cache, with all of its files. */
static tub_status find_cached(order *o, bool *found, tub_error *err) {
    *found = false;
    if (tub__hub_is_commit(o->hub.name.revision)) {
        memcpy(o->commit, o->hub.name.revision, sizeof o->commit);
    } else {
        const tub_status status =
            tub__hub_ref_read(&o->cache, o->hub.name.revision, o->commit, err);
        if (status != TUB_OK) {
            return status == TUB_E_NOT_FOUND ? TUB_OK : status;
        }
    }
    return is_complete(o, found, err);
}

static tub_status ask_listing(order *o, bool *unreachable, tub_error *err) {
    char revision[3 * TUB__HUB_REVISION_LIMIT + 1], *url;
    const tub__net_request r = {.method = "GET", .fd = -1, .limit = TUB__HUB_JSON_LIMIT};
    tub__net_answer answer;
    tub__hub_quote(o->hub.name.revision, revision);
    TUB__TRY(
        tub__hub_url(&o->hub, &url, err, "api/models/%s/revision/%s", o->hub.name.id, revision));
    tub_status status =
        tub__hub_ask(&o->hub, url, r, o->hub.env.anonymous ? 0 : TUB__HUB_TOKEN, &answer, err);
    tub__free(&o->hub.ctx->allocator, url);
    *unreachable = status == TUB_E_NETWORK;
    TUB__TRY(status);
    if (answer.status != 200) {
        *unreachable = answer.status >= 500 || answer.status == 429;
        status = tub__hub_refused(&o->hub, &answer, "its list of files", err);
    } else {
        status = tub__json_parse(answer.body, answer.size, &o->listing, err);
        if (status != TUB_OK) {
            tub__prefix(err, status, "%s: the hub's list of files", o->hub.title);
        }
    }
    o->hub.net->release(&answer);
    return status;
}

/* The commit that the hub has, and that its list of files is of. */
static tub_status read_listing(order *o, tub_error *err) {
    const char *commit = "";
    tub_status status = tub__json_get_text(o->listing, "sha", &commit, err);
    if (status == TUB_OK && !tub__hub_is_commit(commit)) {
        status = tub__fail(err, TUB_E_FORMAT, "sha is no commit");
    }
    if (status != TUB_OK) {
        return tub__prefix(err, TUB_E_FORMAT, "%s: the hub's list of files", o->hub.title);
    }
    memcpy(o->commit, commit, sizeof o->commit);
    if (!is_listed(o, CONFIG)) {
        return tub__fail(err, TUB_E_FORMAT,
                         "%s has no config.json, so it is no model that tubelet reads",
                         o->hub.title);
    }
    if (!is_listed(o, ARRAYS) && !is_listed(o, INDEX)) {
        return tub__fail(err, TUB_E_FORMAT,
                         "%s has no model.safetensors%s; tubelet reads no other weights from a hub "
                         "(another revision may have them: hf:OWNER/NAME@REVISION)",
                         o->hub.title,
                         is_listed(o, "pytorch_model.bin") ? ", only pytorch_model.bin" : "");
    }
    return TUB_OK;
}

static tub_status get_file(order *o, const char *file, uint64_t limit, tub_error *err) {
    bool found;
    TUB__TRY(tub__hub_file(&o->hub, &o->cache, o->commit, file, limit, &found, err));
    return found ? TUB_OK
                 : tub__fail(err, TUB_E_NOT_FOUND, "%s lists %s, and does not have it",
                             o->hub.title, file);
}

static tub_status get_weights(order *o, tub_error *err) {
    if (is_listed(o, ARRAYS)) {
        return get_file(o, ARRAYS, WEIGHTS_LIMIT, err);
    }
    tub__weights list;
    TUB__TRY(get_file(o, INDEX, TEXT_LIMIT, err));
    TUB__TRY(read_index(o, &list, err));
    tub_status status = TUB_OK;
    for (size_t i = 0; i < list.file_count && status == TUB_OK; i++) {
        status = get_file(o, list.names[i], WEIGHTS_LIMIT, err);
    }
    tub__weights_close(&list);
    return status;
}

static tub_status get_files(order *o, tub_error *err) {
    static const char *const besides[] = {"preprocessor_config.json", "README.md"};
    TUB__TRY(tub__hub_cache_prepare(&o->cache, o->commit, err));
    TUB__TRY(tub__hub_ref_write(&o->cache, o->hub.name.revision, o->commit, err));
    TUB__TRY(get_file(o, CONFIG, TEXT_LIMIT, err));
    for (size_t i = 0; i < sizeof besides / sizeof *besides; i++) {
        if (is_listed(o, besides[i])) {
            TUB__TRY(get_file(o, besides[i], TEXT_LIMIT, err));
        }
    }
    return get_weights(o, err);
}

static tub_status get_offline(order *o, tub_error *err) {
    bool found;
    TUB__TRY(find_cached(o, &found, err));
    return found ? TUB_OK
                 : tub__fail(err, TUB_E_NOT_FOUND,
                             "%s@%s is not in %.200s, or not all of it, and HF_HUB_OFFLINE is set",
                             o->hub.title, o->hub.name.revision, o->cache.root);
}

static tub_status get(order *o, tub_error *err) {
    bool found = false, unreachable = false;
    if (o->hub.env.offline) {
        return get_offline(o, err);
    }
    if (tub__hub_is_commit(o->hub.name.revision)) { /* which never changes */
        TUB__TRY(find_cached(o, &found, err));
        if (found) {
            return TUB_OK;
        }
    }
    TUB__TRY(tub__hub_connect(&o->hub, err));
    const tub_status status = ask_listing(o, &unreachable, err);
    if (status != TUB_OK) {
        tub_error why;
        const tub_status looked = unreachable ? find_cached(o, &found, &why) : TUB_OK;
        if (looked == TUB_E_MEMORY) {
            return tub__fail(err, looked, "%s", why.message);
        }
        if (looked != TUB_OK || !found) {
            return status;
        }
        tub__log_line(o->hub.ctx, TUB_LOG_WARNING,
                      "%s: the hub does not answer; the copy in the cache is used", o->hub.title);
        return TUB_OK;
    }
    TUB__TRY(read_listing(o, err));
    return get_files(o, err);
}

/* The folder of the commit. */
static tub_status tell_path(const order *o, char *path, size_t path_size, tub_error *err) {
    char *folder;
    TUB__TRY(tub__hub_snapshot(&o->cache, o->commit, NULL, &folder, err));
    tub_status status = TUB_OK;
    if (strlen(folder) >= path_size) {
        status = tub__fail(err, TUB_E_ARGUMENT, "the path of the hub's cache is too long");
    } else {
        memcpy(path, folder, strlen(folder) + 1);
    }
    tub__free(o->cache.allocator, folder);
    return status;
}

tub_status tub_hub_fetch(tub_context *ctx, const char *name, char *path, size_t path_size,
                         tub_error *err) {
    order o = {.listing = NULL};
    TUB__TRY(tub__hub_open(ctx, name, &o.hub, err));
    tub_status status =
        tub__hub_cache_open(&ctx->allocator, o.hub.env.cache, &o.hub.name, &o.cache, err);
    if (status == TUB_OK) {
        status = get(&o, err);
        if (status == TUB_OK) {
            status = tell_path(&o, path, path_size, err);
        }
        tub__hub_cache_close(&o.cache);
    }
    if (status == TUB_E_CANCELLED) {
        ctx->stop = 0; /* it was meant for this download */
    }
    tub__json_free(o.listing);
    tub__hub_close(&o.hub);
    return status;
}
