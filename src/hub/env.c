/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the environment: where the cache is, who one is, and which hub is asked. */
#include "hub/env.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"

static const char ENDPOINT[] = "https://huggingface.co";
enum { TOKEN_LIMIT = 4096, PATH_ROOM = 4096 };

/* A variable that says something, or NULL. */
static const char *variable(const char *name) {
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool is_true(const char *value) {
    static const char *const words[] = {"1", "ON", "YES", "TRUE"};
    for (size_t i = 0; value != NULL && i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(value, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* $NAME and ${NAME} at *in; false where it is none that is set, and stands for itself. */
static bool expand(const char **in, char *out, size_t room, size_t *used) {
    char name[64];
    const bool braces = (*in)[1] == '{';
    const char *begin = *in + 1 + braces;
    const size_t n =
        strspn(begin, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
    if (n == 0 || n >= sizeof name || (braces && begin[n] != '}')) {
        return false;
    }
    snprintf(name, sizeof name, "%.*s", (int)n, begin);
    const char *value = getenv(name);
    if (value == NULL || strlen(value) >= room - *used) {
        return false;
    }
    memcpy(out + *used, value, strlen(value));
    *used += strlen(value);
    *in = begin + n + braces;
    return true;
}

/* A path with ~ in front and $NAME in it, as other tools write it into their variables. */
static tub_status expand_path(const tub_allocator *a, const char *path, char **out,
                              tub_error *err) {
    char whole[PATH_ROOM];
    size_t used = 0;
    if (path[0] == '~' && (path[1] == '/' || path[1] == '\0')) {
        const char *home = variable("HOME");
        if (home == NULL) {
            return tub__fail(err, TUB_E_ARGUMENT, "%s: HOME is not set", path);
        }
        used = (size_t)snprintf(whole, sizeof whole, "%s", home);
        path++;
    }
    while (*path != '\0' && used < sizeof whole - 1) {
        if (*path != '$' || !expand(&path, whole, sizeof whole, &used)) {
            whole[used++] = *path++;
        }
    }
    if (used >= sizeof whole - 1) {
        return tub__fail(err, TUB_E_ARGUMENT, "the path of the hub's cache is too long");
    }
    whole[used] = '\0';
    return tub__alloc_string(a, whole, out, err);
}

static tub_status join(const tub_allocator *a, const char *folder, const char *name, char **out,
                       tub_error *err) {
    char *whole;
    TUB__TRY(expand_path(a, folder, &whole, err));
    tub_status status = tub__path_join(a, whole, name, out, err);
    tub__free(a, whole);
    return status;
}

/* A file or folder of the tools' home: $HF_HOME, else huggingface/ in the folder of caches. */
static tub_status in_home(const tub_allocator *a, const char *name, char **out, tub_error *err) {
    const char *home = variable("HF_HOME"), *caches = variable("XDG_CACHE_HOME");
    char below[64];
    if (home != NULL) {
        return join(a, home, name, out, err);
    }
    snprintf(below, sizeof below, "huggingface/%s", name);
    return join(a, caches != NULL ? caches : "~/.cache", below, out, err);
}

static tub_status find_cache(tub__hub_env *env, tub_error *err) {
    const char *folder = variable("HF_HUB_CACHE");
    folder = folder != NULL ? folder : variable("HUGGINGFACE_HUB_CACHE");
    return folder != NULL ? expand_path(env->allocator, folder, &env->cache, err)
                          : in_home(env->allocator, "hub", &env->cache, err);
}

static tub_status find_endpoint(tub__hub_env *env, tub_error *err) {
    const char *given = variable("HF_ENDPOINT");
    if (given != NULL && strncmp(given, "http://", 7) != 0 && strncmp(given, "https://", 8) != 0) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "HF_ENDPOINT=%.200s: give an address such as https://host", given);
    }
    TUB__TRY(
        tub__alloc_string(env->allocator, given != NULL ? given : ENDPOINT, &env->endpoint, err));
    for (size_t n = strlen(env->endpoint); n > 0 && env->endpoint[n - 1] == '/'; n--) {
        env->endpoint[n - 1] = '\0';
    }
    return TUB_OK;
}

/* Keeps a token without the white space around it; one of white space alone is none. */
static tub_status keep_token(tub__hub_env *env, const char *text, const char *from,
                             tub_error *err) {
    static const char space[] = " \t\r\n\v\f";
    text += strspn(text, space);
    size_t n = strlen(text);
    while (n > 0 && strchr(space, text[n - 1]) != NULL) {
        n--;
    }
    for (size_t i = 0; i < n; i++) {
        if (text[i] <= ' ' || text[i] > '~') {
            return tub__fail(err, TUB_E_ARGUMENT, "%s: the token has characters that no token has",
                             from);
        }
    }
    if (n == 0) {
        return TUB_OK;
    }
    void *kept;
    TUB__TRY(tub__alloc(env->allocator, n + 1, &kept, err));
    env->token = kept;
    memcpy(env->token, text, n);
    env->token[n] = '\0';
    env->token_from = from;
    return TUB_OK;
}

static tub_status read_token_file(tub_context *ctx, tub__hub_env *env, tub_error *err) {
    char *text;
    size_t size;
    struct stat st;
    if (stat(env->token_file, &st) < 0) {
        return errno == ENOENT || errno == ENOTDIR
                   ? TUB_OK
                   : tub__fail_errno(err, errno, "%s, the token's file", env->token_file);
    }
    TUB__TRY(tub__file_read(env->allocator, env->token_file, TOKEN_LIMIT, &text, &size, err));
    const tub_status status = keep_token(env, text, env->token_file, err);
    explicit_bzero(text, size);
    tub__free(env->allocator, text);
    if (status == TUB_OK && env->token != NULL && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        tub__log_line(ctx, TUB_LOG_WARNING,
                      "%s: others can read the token; chmod 600 takes that from them",
                      env->token_file);
    }
    return status;
}

static tub_status find_token(tub_context *ctx, tub__hub_env *env, tub_error *err) {
    static const char *const names[] = {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (variable(names[i]) != NULL) {
            return keep_token(env, variable(names[i]), names[i], err);
        }
    }
    const char *named = variable("HF_TOKEN_PATH");
    TUB__TRY(named != NULL ? expand_path(env->allocator, named, &env->token_file, err)
                           : in_home(env->allocator, "token", &env->token_file, err));
    return read_token_file(ctx, env, err);
}

tub_status tub__hub_env_read(tub_context *ctx, tub__hub_env *out, tub_error *err) {
    const char *offline = variable("HF_HUB_OFFLINE");
    *out = (tub__hub_env){.allocator = &ctx->allocator,
                          .offline =
                              is_true(offline != NULL ? offline : variable("TRANSFORMERS_OFFLINE")),
                          .anonymous = is_true(variable("HF_HUB_DISABLE_IMPLICIT_TOKEN"))};
    tub_status status = find_endpoint(out, err);
    if (status == TUB_OK) {
        status = find_cache(out, err);
    }
    if (status == TUB_OK && !out->offline) {
        status = find_token(ctx, out, err);
    }
    if (status != TUB_OK) {
        tub__hub_env_free(out);
    }
    return status;
}

void tub__hub_env_free(tub__hub_env *env) {
    if (env->token != NULL) {
        explicit_bzero(env->token, strlen(env->token));
    }
    tub__free(env->allocator, env->token);
    tub__free(env->allocator, env->token_file);
    tub__free(env->allocator, env->cache);
    tub__free(env->allocator, env->endpoint);
    *env = (tub__hub_env){0};
}
