/* SPDX-License-Identifier: Apache-2.0 */
/* Large files by git-lfs' batch protocol:
 * https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md, and the hub's own transfer in
 * parts. The addresses that files go to are signed: the token stays away from them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "hub/upload.h"

static const char *const lfs_headers[] = {"Accept: application/vnd.git-lfs+json",
                                          "Content-Type: application/vnd.git-lfs+json", NULL};
enum { PARTS_LIMIT = 10000, PART_ETAG = 200, LINES_LIMIT = 16, LINE_LIMIT = 8192 };

static tub_status batch_text(const tub__hub *hub, const tub__hub_uploads *all, char **text,
                             size_t *size, tub_error *err) {
    tub__json_writer w;
    tub__json_start(&w, all->allocator, 0);
    tub__json_open_object(&w, NULL);
    tub__json_put_text(&w, "operation", "upload");
    tub__json_open_array(&w, "transfers");
    tub__json_put_text(&w, NULL, "basic");
    tub__json_put_text(&w, NULL, "multipart");
    tub__json_close_array(&w);
    tub__json_open_array(&w, "objects");
    for (size_t i = 0; i < all->count; i++) {
        if (all->list[i].large && !all->list[i].left_out) {
            tub__json_open_object(&w, NULL);
            tub__json_put_text(&w, "oid", all->list[i].sha256);
            tub__json_put_integer(&w, "size", (int64_t)all->list[i].size);
            tub__json_close_object(&w);
        }
    }
    tub__json_close_array(&w);
    tub__json_put_text(&w, "hash_algo", "sha256");
    tub__json_open_object(&w, "ref");
    tub__json_put_text(&w, "name", hub->name.revision);
    tub__json_close_object(&w);
    tub__json_close_object(&w);
    return tub__json_finish(&w, text, size, err);
}

/* ---- Header lines ---- */

/* What a request's head gets: "Name: value" each, the last one NULL. */
typedef struct lines {
    char *list[LINES_LIMIT + 1];
    size_t count;
    bool authorized; /* one of them says who asks */
} lines;

static void free_lines(const tub_allocator *a, lines *l) {
    while (l->count > 0) {
        tub__free(a, l->list[--l->count]);
    }
}

/* A line in a line would be a header of its own. */
static bool is_header(const char *name, const char *value) {
    bool fine = name[0] != '\0' && strlen(name) + strlen(value) < LINE_LIMIT;
    for (const char *c = name; *c != '\0'; c++) {
        fine = fine && *c > ' ' && *c < 0x7f && *c != ':';
    }
    for (const char *c = value; *c != '\0'; c++) {
        fine = fine && (unsigned char)*c >= ' ' && *c != 0x7f;
    }
    return fine;
}

static tub_status add_line(const tub__hub *hub, lines *l, const char *name, const char *value,
                           tub_error *err) {
    char line[LINE_LIMIT + 2];
    if (l->count == LINES_LIMIT || !is_header(name, value)) {
        return tub__fail(err, TUB_E_FORMAT, "%s: the hub asks for header lines that can't be sent",
                         hub->title);
    }
    snprintf(line, sizeof line, "%s: %s", name, value);
    TUB__TRY(tub__alloc_string(&hub->ctx->allocator, line, &l->list[l->count], err));
    l->count++;
    l->authorized = l->authorized || strcasecmp(name, "Authorization") == 0;
    return TUB_OK;
}

/* Those that an action asks for (`header`). */
static tub_status add_lines(const tub__hub *hub, lines *l, const tub__json *action,
                            tub_error *err) {
    const tub__json *header = tub__json_get(action, "header");
    for (void *it = tub__json_first(header); it != NULL; it = tub__json_next(header, it)) {
        const char *value;
        if (tub__json_to_text(tub__json_value(it), "", &value, NULL) == TUB_OK) {
            TUB__TRY(add_line(hub, l, tub__json_key(it), value, err));
        }
    }
    return TUB_OK;
}

/* ---- Sending ---- */

/* Sends bytes of a file to a signed address; etag: of the answer, "" where it has none. Header lines
 * of the hub's are for that address, and not for a store that it leads to. */
static tub_status put(tub__hub *hub, const tub__hub_upload *u, const char *url, const lines *l,
                      uint64_t at, uint64_t size, char etag[PART_ETAG], tub_error *err) {
    const bool has_lines = l != NULL && l->count > 0;
    const tub__net_request r = {.method = "PUT",
                                .headers = has_lines ? (const char *const *)l->list : NULL,
                                .body_fd = u->fd,
                                .body_offset = at,
                                .body_size = size,
                                .fd = -1,
                                .limit = TUB__HUB_JSON_LIMIT,
                                .progress = tub__hub_progress,
                                .user = hub};
    tub__net_answer answer;
    hub->base = at;
    TUB__TRY(tub__hub_ask(hub, url, r, TUB__HUB_PATIENT | (has_lines ? TUB__HUB_STAY : 0), &answer,
                          err));
    tub_status status = TUB_OK;
    if (answer.status < 200 || answer.status > 299) {
        status = tub__fail(err, TUB_E_NETWORK, "%s: the store answered %d for %s", hub->title,
                           answer.status, u->name);
    } else if (!tub__hub_header(&answer, "ETag", etag, PART_ETAG)) {
        etag[0] = '\0';
    }
    hub->net->release(&answer);
    return status;
}

/* A number that is written as one or as text. */
static bool to_number(const tub__json *v, int64_t *out) {
    const char *text;
    char *end;
    if (tub__json_to_integer(v, "", out, NULL) == TUB_OK) {
        return true;
    }
    if (tub__json_to_text(v, "", &text, NULL) != TUB_OK || text[0] == '\0') {
        return false;
    }
    *out = strtoll(text, &end, 10);
    return *end == '\0';
}

/* The signed address of a part: header has one for each number, "1" or "00001". */
static const char *part_url(const tub__json *header, int64_t number) {
    for (void *it = tub__json_first(header); it != NULL; it = tub__json_next(header, it)) {
        const char *key = tub__json_key(it), *url;
        if (key[0] != '\0' && strspn(key, "0123456789") == strlen(key) &&
            strtoll(key, NULL, 10) == number &&
            tub__json_to_text(tub__json_value(it), key, &url, NULL) == TUB_OK) {
            return url;
        }
    }
    return NULL;
}

/* Sends every part, and lists what the store calls them: {"oid": …, "parts": [{"partNumber": 1,
 * "etag": …}]}. */
static tub_status put_parts(tub__hub *hub, const tub__hub_upload *u, const tub__json *header,
                            uint64_t part, tub__json_writer *w, tub_error *err) {
    const uint64_t count = (u->size + part - 1) / part;
    tub__json_open_object(w, NULL);
    tub__json_put_text(w, "oid", u->sha256);
    tub__json_open_array(w, "parts");
    for (uint64_t i = 0; i < count; i++) {
        char etag[PART_ETAG] = "";
        const uint64_t at = i * part;
        const char *url = part_url(header, (int64_t)i + 1);
        if (url == NULL) {
            return tub__fail(err, TUB_E_FORMAT, "%s: the hub has no address for part %llu of %s",
                             hub->title, (unsigned long long)i + 1, u->name);
        }
        TUB__TRY(put(hub, u, url, NULL, at, u->size - at < part ? u->size - at : part, etag, err));
        if (etag[0] == '\0') {
            return tub__fail(err, TUB_E_FORMAT, "%s: the store gives part %llu of %s no ETag",
                             hub->title, (unsigned long long)i + 1, u->name);
        }
        tub__json_open_object(w, NULL);
        tub__json_put_integer(w, "partNumber", (int64_t)i + 1);
        tub__json_put_text(w, "etag", etag);
        tub__json_close_object(w);
    }
    tub__json_close_array(w);
    tub__json_close_object(w);
    return TUB_OK;
}

static tub_status send_parts(tub__hub *hub, const tub__hub_uploads *all, const tub__hub_upload *u,
                             const tub__json *header, const char *end_url, int64_t part,
                             tub_error *err) {
    tub__json_writer w;
    tub__json *answer = NULL;
    char *text;
    size_t size;
    if (part <= 0 || u->size / (uint64_t)part >= PARTS_LIMIT) {
        return tub__fail(err, TUB_E_FORMAT, "%s: the hub wants %s in parts of %lld bytes",
                         hub->title, u->name, (long long)part);
    }
    tub__json_start(&w, all->allocator, 0);
    tub_status status = put_parts(hub, u, header, (uint64_t)part, &w, err);
    if (status != TUB_OK) {
        tub__json_discard(&w);
        return status;
    }
    TUB__TRY(tub__json_finish(&w, &text, &size, err));
    status = tub__hub_post(hub, end_url, lfs_headers, text, size, TUB__HUB_PATIENT,
                           "the parts of a file", &answer, err);
    tub__free(all->allocator, text);
    tub__json_free(answer);
    return status;
}

/* In one piece. */
static tub_status send_whole(tub__hub *hub, const tub__hub_upload *u, const tub__json *action,
                             const char *url, tub_error *err) {
    lines l = {.count = 0};
    char etag[PART_ETAG];
    tub_status status = add_lines(hub, &l, action, err);
    if (status == TUB_OK) {
        status = put(hub, u, url, &l, 0, u->size, etag, err);
    }
    free_lines(&hub->ctx->allocator, &l);
    return status;
}

/* Tells the hub that an object is there. */
static tub_status verify(tub__hub *hub, const tub__hub_upload *u, const tub__json *action,
                         const char *url, tub_error *err) {
    char text[160];
    tub__json *answer = NULL;
    lines l = {.count = 0};
    const int n = snprintf(text, sizeof text, "{\"oid\": \"%s\", \"size\": %llu}", u->sha256,
                           (unsigned long long)u->size);
    tub_status status = add_line(hub, &l, "Content-Type", "application/json", err);
    if (status == TUB_OK) {
        status = add_lines(hub, &l, action, err);
    }
    if (status == TUB_OK) {
        const unsigned who = l.authorized ? TUB__HUB_STAY : TUB__HUB_TOKEN;
        status = tub__hub_post(hub, url, (const char *const *)l.list, text, (size_t)n,
                               who | TUB__HUB_PATIENT, u->name, &answer, err);
    }
    tub__json_free(answer);
    free_lines(&hub->ctx->allocator, &l);
    return status;
}

/* The address of an action, by this hub's name; the caller's. NULL: there is no such action. */
static tub_status action_url(const tub__hub *hub, const tub__json *action, char **out,
                             tub_error *err) {
    const char *href;
    *out = NULL;
    if (action == NULL || tub__json_kind_of(action) == TUB__JSON_NULL) {
        return TUB_OK;
    }
    TUB__TRY(tub__json_get_text(action, "href", &href, err));
    return tub__hub_own_url(hub, href, out, err);
}

static tub_status send(tub__hub *hub, const tub__hub_uploads *all, const tub__hub_upload *u,
                       const tub__json *actions, tub_error *err) {
    const tub__json *upload = tub__json_get(actions, "upload"),
                    *header = tub__json_get(upload, "header"),
                    *part = tub__json_get(header, "chunk_size");
    const tub__json *checking = tub__json_get(actions, "verify");
    char *to = NULL, *check = NULL;
    int64_t part_size = 0;
    tub_status status = action_url(hub, upload, &to, err);
    if (status == TUB_OK) {
        status = action_url(hub, checking, &check, err);
    }
    if (status == TUB_OK && to == NULL) {
        status = tub__fail(err, TUB_E_FORMAT, "%s: the hub does not say where %s goes", hub->title,
                           u->name);
    }
    if (status == TUB_OK) {
        status = part != NULL && to_number(part, &part_size)
                     ? send_parts(hub, all, u, header, to, part_size, err)
                     : send_whole(hub, u, upload, to, err);
    }
    if (status == TUB_OK && check != NULL) {
        status = verify(hub, u, checking, check, err);
    }
    tub__free(all->allocator, to);
    tub__free(all->allocator, check);
    return status;
}

static tub__hub_upload *find(const tub__hub_uploads *all, const char *oid) {
    for (size_t i = 0; i < all->count; i++) {
        if (all->list[i].large && strcmp(all->list[i].sha256, oid) == 0) {
            return &all->list[i];
        }
    }
    return NULL;
}

/* One object of the answer: refused, there already, or to be sent. */
static tub_status send_object(tub__hub *hub, const tub__hub_uploads *all, const tub__json *object,
                              uint64_t *sent, tub_error *err) {
    const char *oid, *message = "no reason given";
    TUB__TRY(tub__json_get_text(object, "oid", &oid, err));
    const tub__hub_upload *u = find(all, oid);
    const tub__json *actions = tub__json_get(object, "actions"),
                    *error = tub__json_get(object, "error");
    if (u == NULL) {
        return tub__fail(err, TUB_E_FORMAT, "%s: the hub asks for a file that is not ours",
                         hub->title);
    }
    if (error != NULL) {
        TUB__TRY(tub__json_opt_text(error, "message", &message, err));
        return tub__fail(err, TUB_E_NETWORK, "%s: the hub does not take %s: %.200s", hub->title,
                         u->name, message);
    }
    if (actions == NULL || tub__json_kind_of(actions) == TUB__JSON_NULL) {
        return TUB_OK; /* it has that content */
    }
    hub->moving = u->name;
    hub->whole = u->size;
    const tub_status status = send(hub, all, u, actions, err);
    hub->moving = NULL;
    hub->base = hub->whole = 0;
    *sent += status == TUB_OK ? u->size : 0;
    return status;
}

static tub_status send_objects(tub__hub *hub, const tub__hub_uploads *all, const tub__json *answer,
                               uint64_t *sent, tub_error *err) {
    const tub__json *objects;
    const tub_status status =
        tub__json_to_array(tub__json_get(answer, "objects"), "objects", &objects, err);
    if (status != TUB_OK) {
        return tub__prefix(err, status, "%s: the hub's answer about large files", hub->title);
    }
    for (size_t i = 0; i < tub__json_size(objects); i++) {
        TUB__TRY(send_object(hub, all, tub__json_at(objects, i), sent, err));
    }
    return TUB_OK;
}

tub_status tub__hub_store(tub__hub *hub, const tub__hub_uploads *all, uint64_t *sent,
                          tub_error *err) {
    tub__json *answer = NULL;
    char *url, *text = NULL;
    size_t size = 0, large = 0;
    *sent = 0;
    for (size_t i = 0; i < all->count; i++) {
        large += all->list[i].large && !all->list[i].left_out;
    }
    if (large == 0) {
        return TUB_OK;
    }
    TUB__TRY(tub__hub_url(hub, &url, err, "%s.git/info/lfs/objects/batch", hub->name.id));
    tub_status status = batch_text(hub, all, &text, &size, err);
    if (status == TUB_OK) {
        status = tub__hub_post(hub, url, lfs_headers, text, size, TUB__HUB_TOKEN | TUB__HUB_PATIENT,
                               "large files", &answer, err);
        tub__free(all->allocator, text);
    }
    if (status == TUB_OK) {
        status = send_objects(hub, all, answer, sent, err);
    }
    tub__json_free(answer);
    tub__free(all->allocator, url);
    return status;
}
