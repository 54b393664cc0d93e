/* SPDX-License-Identifier: Apache-2.0 */
/* One sentence for each way in which a hub refuses. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "formats/json.h"
#include "hub/client.h"

enum { WORDS = 200 };

/* The server's own words, from a header or the body's "error"; "" where it has none, or where
 * they hold the token. */
static void server_words(const tub__hub *hub, const tub__net_answer *answer, char out[WORDS]) {
    tub__json *root = NULL;
    const char *said = NULL;
    out[0] = '\0';
    if (!tub__hub_header(answer, "X-Error-Message", out, WORDS) &&
        tub__json_parse(answer->body, answer->size, &root, NULL) == TUB_OK &&
        tub__json_to_text(tub__json_get(root, "error"), "error", &said, NULL) == TUB_OK) {
        snprintf(out, WORDS, "%s", said);
    }
    tub__json_free(root);
    if (hub->env.token != NULL && strstr(out, hub->env.token) != NULL) {
        out[0] = '\0';
    }
}

/* What to do about being nobody, or the wrong one. */
static const char *advice(const tub__hub *hub, char out[WORDS]) {
    if (hub->env.token == NULL) {
        return "set HF_TOKEN to a token that may see it";
    }
    snprintf(out, WORDS, "the token from %.150s may not", hub->env.token_from);
    return out;
}

static tub_status tell_gated(const tub__hub *hub, tub_error *err) {
    char room[WORDS];
    return tub__fail(err, TUB_E_NOT_FOUND,
                     "%s is gated: accept its conditions at %.150s/%s; then %s", hub->title,
                     hub->env.endpoint, hub->name.id,
                     hub->env.token == NULL ? advice(hub, room) : "try again with this token");
}

tub_status tub__hub_refused(const tub__hub *hub, const tub__net_answer *answer, const char *what,
                            tub_error *err) {
    char code[64] = "", words[WORDS], room[WORDS];
    const int status = answer->status;
    (void)tub__hub_header(answer, "X-Error-Code", code, sizeof code);
    server_words(hub, answer, words);
    const char *open = words[0] != '\0' ? " (" : "", *shut = words[0] != '\0' ? ")" : "";
    if (strcmp(code, "GatedRepo") == 0) {
        return tell_gated(hub, err);
    }
    if (strcmp(code, "RevisionNotFound") == 0) {
        return tub__fail(err, TUB_E_NOT_FOUND, "%s has no branch, tag or commit '%s'", hub->title,
                         hub->name.revision);
    }
    if (strcmp(code, "EntryNotFound") == 0) {
        return tub__fail(err, TUB_E_NOT_FOUND, "%s has no file %s", hub->title, what);
    }
    /* "Invalid credentials in Authorization header", "Invalid username or password." */
    if (status == 401 && strncmp(words, "Invalid ", 8) == 0 && hub->env.token != NULL) {
        return tub__fail(err, TUB_E_NOT_FOUND, "%s: the hub does not know the token from %.150s",
                         hub->title, hub->env.token_from);
    }
    if (strcmp(code, "RepoNotFound") == 0 || status == 401 || (status == 404 && code[0] == '\0')) {
        return tub__fail(err, TUB_E_NOT_FOUND,
                         "%s: %.150s has no such model, or does not show it%s%s%s; is it private, "
                         "%s",
                         hub->title, hub->env.endpoint, open, words, shut, advice(hub, room));
    }
    if (status == 403) {
        return tub__fail(err, TUB_E_NOT_FOUND, "%s: the hub forbids it%s%s%s; %s", hub->title, open,
                         words, shut, advice(hub, room));
    }
    if (status == 429) {
        return tub__fail(err, TUB_E_NETWORK,
                         "%s: the hub has had too many requests of ours; try again later%s%s%s",
                         hub->title, open, words, shut);
    }
    return tub__fail(err, TUB_E_NETWORK, "%s: %.150s answered %d for %s%s%s%s", hub->title,
                     hub->env.endpoint, status, what, open, words, shut);
}
