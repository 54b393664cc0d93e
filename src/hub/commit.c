/* SPDX-License-Identifier: Apache-2.0 */
/* The commit that makes uploaded files a version: one JSON object a line (NDJSON), a header and
 * the files. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "convert/text.h"
#include "hub/upload.h"

/* Adds a finished line. */
static tub_status add_line(tub__text *t, tub__json_writer *w, tub_error *err) {
    char *text;
    size_t size;
    TUB__TRY(tub__json_finish(w, &text, &size, err));
    tub__text_add(t, "%s\n", text);
    tub__free(t->allocator, text);
    return tub__text_check(t, err);
}

static void open_line(tub__json_writer *w, const tub_allocator *a, const char *key) {
    tub__json_start(w, a, 0);
    tub__json_open_object(w, NULL);
    tub__json_put_text(w, "key", key);
    tub__json_open_object(w, "value");
}

static tub_status close_line(tub__text *t, tub__json_writer *w, tub_error *err) {
    tub__json_close_object(w);
    tub__json_close_object(w);
    return add_line(t, w, err);
}

/* A small file: its bytes stand in the line. */
static tub_status add_small(tub__hub *hub, const tub__hub_uploads *all, const tub__hub_upload *u,
                            tub__text *t, tub_error *err) {
    unsigned char *bytes;
    void *encoded;
    tub__json_writer w;
    TUB__TRY(tub__hub_upload_read(all, u, 0, (size_t)u->size, &bytes, err));
    tub_status status =
        tub__alloc(all->allocator, 4 * (((size_t)u->size + 2) / 3) + 1, &encoded, err);
    if (status == TUB_OK) {
        hub->hash->base64(bytes, (size_t)u->size, encoded);
        open_line(&w, all->allocator, "file");
        tub__json_put_text(&w, "content", encoded);
        tub__json_put_text(&w, "path", u->name);
        tub__json_put_text(&w, "encoding", "base64");
        status = close_line(t, &w, err);
        tub__free(all->allocator, encoded);
    }
    tub__free(all->allocator, bytes);
    return status;
}

static tub_status add_large(const tub__hub_uploads *all, const tub__hub_upload *u, tub__text *t,
                            tub_error *err) {
    tub__json_writer w;
    open_line(&w, all->allocator, "lfsFile");
    tub__json_put_text(&w, "path", u->name);
    tub__json_put_text(&w, "algo", "sha256");
    tub__json_put_text(&w, "oid", u->sha256);
    tub__json_put_integer(&w, "size", (int64_t)u->size);
    return close_line(t, &w, err);
}

static tub_status add_lines(tub__hub *hub, const tub__hub_uploads *all, const char *message,
                            tub__text *t, tub_error *err) {
    tub__json_writer w;
    open_line(&w, all->allocator, "header");
    tub__json_put_text(&w, "summary", message);
    tub__json_put_text(&w, "description", "");
    TUB__TRY(close_line(t, &w, err));
    for (size_t i = 0; i < all->count; i++) {
        const tub__hub_upload *u = &all->list[i];
        if (!u->left_out) {
            TUB__TRY(u->large ? add_large(all, u, t, err) : add_small(hub, all, u, t, err));
        }
    }
    return TUB_OK;
}

static tub_status read_answer(const tub__json *answer, char *commit, size_t commit_room, char *url,
                              size_t url_room, tub_error *err) {
    const char *oid, *page = "";
    TUB__TRY(tub__json_get_text(answer, "commitOid", &oid, err));
    TUB__TRY(tub__json_opt_text(answer, "commitUrl", &page, err));
    snprintf(commit, commit_room, "%s", oid);
    snprintf(url, url_room, "%s", page);
    return TUB_OK;
}

tub_status tub__hub_commit(tub__hub *hub, const char *revision, const tub__hub_uploads *all,
                           const char *message, char *commit, size_t commit_room, char *page,
                           size_t page_room, tub_error *err) {
    static const char *const ndjson[] = {"Content-Type: application/x-ndjson", NULL};
    tub__json *answer = NULL;
    tub__text lines;
    char *url;
    TUB__TRY(tub__hub_url(hub, &url, err, "api/models/%s/commit/%s", hub->name.id, revision));
    tub__text_start(&lines, all->allocator);
    tub_status status = add_lines(hub, all, message, &lines, err);
    if (status == TUB_OK) {
        /* Not sent again where the connection breaks: the hub may have made the commit. */
        status = tub__hub_post(hub, url, ndjson, lines.data, lines.size, TUB__HUB_TOKEN,
                               "the commit", &answer, err);
    }
    if (status == TUB_OK) {
        status = read_answer(answer, commit, commit_room, page, page_room, err);
        if (status != TUB_OK) {
            tub__prefix(err, status, "%s: the hub's answer to the commit", hub->title);
        }
    }
    tub__json_free(answer);
    tub__text_free(&lines);
    tub__free(all->allocator, url);
    return status;
}
