/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing a model: the repository, the files that have changed, one commit. */
#include <stdio.h>
#include <string.h>
#include <tubelet/hub.h>

#include "base/error.h"
#include "hub/card.h"
#include "hub/model_files.h"
#include "hub/upload.h"

static const char *const json_headers[] = {"Content-Type: application/json", NULL};

tub_push_options tub_push_options_default(void) {
    return (tub_push_options){.size = sizeof(tub_push_options)};
}

static tub_status read_options(const tub_push_options *given, tub_push_options *out,
                               tub_error *err) {
    *out = given != NULL ? *given : tub_push_options_default();
    return out->size == sizeof *out
               ? TUB_OK
               : tub__fail(err, TUB_E_ARGUMENT,
                           "options of another size; make them with tub_push_options_default()");
}

/* ---- What goes up ---- */

static tub_status add_file(void *uploads, const char *name, const char *path, tub_error *err) {
    return tub__hub_upload_file(uploads, name, path, err);
}

static tub_status collect(tub_context *ctx, const char *folder, const tub__hub_name *name,
                          const char *licence, tub__hub_uploads *all, bool *has_licence,
                          tub_error *err) {
    tub__text card;
    tub__text_start(&card, &ctx->allocator);
    tub_status status = tub__hub_card_write(ctx, folder, name, licence, &card, has_licence, err);
    if (status == TUB_OK) {
        status = tub__hub_upload_text(all, "README.md", card.data, card.size, err);
    }
    tub__text_free(&card);
    return status == TUB_OK ? tub__hub_each_file(ctx, folder, add_file, all, err) : status;
}

/* ---- The repository ---- */

/* {"name": …, "organization": …}: the owner may be the user himself. */
static tub_status creation_text(const tub__hub *hub, bool is_private, char **text, size_t *size,
                                tub_error *err) {
    const char *slash = strchr(hub->name.id, '/');
    char owner[TUB__HUB_ID_LIMIT + 1] = "";
    tub__json_writer w;
    snprintf(owner, sizeof owner, "%.*s", (int)(slash != NULL ? slash - hub->name.id : 0),
             hub->name.id);
    tub__json_start(&w, &hub->ctx->allocator, 0);
    tub__json_open_object(&w, NULL);
    tub__json_put_text(&w, "name", slash != NULL ? slash + 1 : hub->name.id);
    tub__json_put_text(&w, "organization", slash != NULL ? owner : NULL);
    tub__json_put_text(&w, "type", "model");
    if (is_private) {
        tub__json_put_text(&w, "visibility", "private");
    }
    tub__json_close_object(&w);
    return tub__json_finish(&w, text, size, err);
}

/* Whether the repository is there and shows itself. */
static tub_status look(tub__hub *hub, bool *there, tub_error *err) {
    const tub__net_request r = {.method = "GET", .fd = -1, .limit = TUB__HUB_JSON_LIMIT};
    tub__net_answer answer;
    char *url;
    TUB__TRY(tub__hub_url(hub, &url, err, "api/models/%s", hub->name.id));
    const tub_status status = tub__hub_ask(hub, url, r, TUB__HUB_TOKEN, &answer, err);
    tub__free(&hub->ctx->allocator, url);
    TUB__TRY(status);
    *there = answer.status == 200;
    hub->net->release(&answer);
    return TUB_OK;
}

/* A token may be allowed to write to one repository, and not to make any. */
static tub_status settle(tub__hub *hub, const tub__net_answer *answer, tub_error *err) {
    bool there = false;
    if (answer->status == 200 || answer->status == 201 || answer->status == 409) {
        return TUB_OK;
    }
    if (answer->status >= 401 && answer->status <= 403) {
        TUB__TRY(look(hub, &there, err));
    }
    return there ? TUB_OK : tub__hub_refused(hub, answer, "a new repository", err);
}

static tub_status create(tub__hub *hub, bool is_private, tub_error *err) {
    tub__net_request r = {
        .method = "POST", .headers = json_headers, .fd = -1, .limit = TUB__HUB_JSON_LIMIT};
    tub__net_answer answer;
    char *url, *text;
    size_t size;
    TUB__TRY(creation_text(hub, is_private, &text, &size, err));
    r.body = text;
    r.body_size = size;
    tub_status status = tub__hub_url(hub, &url, err, "api/repos/create");
    if (status == TUB_OK) {
        status = tub__hub_ask(hub, url, r, TUB__HUB_TOKEN, &answer, err);
        tub__free(&hub->ctx->allocator, url);
    }
    tub__free(&hub->ctx->allocator, text);
    TUB__TRY(status);
    status = settle(hub, &answer, err);
    hub->net->release(&answer);
    return status;
}

/* ---- The push ---- */

static void count(const tub__hub_uploads *all, tub_push_report *report) {
    report->files = (int64_t)all->count;
    for (size_t i = 0; i < all->count; i++) {
        report->bytes += all->list[i].size;
        report->changed += !all->list[i].left_out;
    }
}

static tub_status send_all(tub__hub *hub, tub__hub_uploads *all, const tub_push_options *o,
                           tub_push_report *report, tub_error *err) {
    char revision[3 * TUB__HUB_REVISION_LIMIT + 1], message[128], page[TUB_PUSH_URL];
    snprintf(message, sizeof message, "Upload by tubelet %s", tub_version());
    tub__hub_quote(hub->name.revision, revision);
    TUB__TRY(create(hub, o->is_private != 0, err));
    TUB__TRY(tub__hub_sort(hub, revision, all, err));
    count(all, report);
    if (report->changed == 0) {
        return TUB_OK;
    }
    TUB__TRY(tub__hub_store(hub, all, &report->sent, err));
    return tub__hub_commit(hub, revision, all,
                           o->message != NULL && o->message[0] != '\0' ? o->message : message,
                           report->commit, sizeof report->commit, page, sizeof page, err);
}

static tub_status push(tub__hub *hub, const char *folder, const tub_push_options *o,
                       tub__hub_uploads *all, tub_push_report *report, tub_error *err) {
    bool has_licence;
    snprintf(report->url, sizeof report->url, "%.400s/%s", hub->env.endpoint, hub->name.id);
    TUB__TRY(collect(hub->ctx, folder, &hub->name, o->licence, all, &has_licence, err));
    report->has_licence = has_licence;
    if (o->dry_run) {
        count(all, report);
        report->changed = 0;
        return TUB_OK;
    }
    TUB__TRY(tub__hub_connect(hub, err));
    if (hub->env.token == NULL) {
        return tub__fail(
            err, TUB_E_ARGUMENT,
            "%s: publishing needs a token that may write: set HF_TOKEN, or put it into "
            "%.200s",
            hub->title, hub->env.token_file != NULL ? hub->env.token_file : "its file");
    }
    return send_all(hub, all, o, report, err);
}

tub_status tub_hub_push(tub_context *ctx, const char *folder, const char *name,
                        const tub_push_options *options, tub_push_report *report, tub_error *err) {
    tub_push_options o;
    tub__hub hub;
    tub__hub_uploads all = {.allocator = &ctx->allocator};
    *report = (tub_push_report){0};
    TUB__TRY(read_options(options, &o, err));
    TUB__TRY(tub__hub_open(ctx, name, &hub, err));
    const tub_status status = push(&hub, folder, &o, &all, report, err);
    if (status == TUB_E_CANCELLED) {
        ctx->stop = 0; /* it was meant for this upload */
    }
    tub__hub_uploads_free(&all);
    tub__hub_close(&hub);
    return status;
}

tub_status tub_hub_card(tub_context *ctx, const char *folder, const char *name, const char *licence,
                        char **text, tub_error *err) {
    tub__hub_name parsed;
    tub__text card;
    bool has_licence;
    TUB__TRY(tub__hub_name_parse(name, &parsed, err));
    tub__text_start(&card, &ctx->allocator);
    const tub_status status =
        tub__hub_card_write(ctx, folder, &parsed, licence, &card, &has_licence, err);
    if (status != TUB_OK) {
        tub__text_free(&card);
        return status;
    }
    *text = card.data;
    return TUB_OK;
}

void tub_hub_free(tub_context *ctx, char *text) {
    tub__free(&ctx->allocator, text);
}
