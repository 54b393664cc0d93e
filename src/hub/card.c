/* SPDX-License-Identifier: Apache-2.0 */
/* The published card is the folder's README.md: its head gets the licence, and its commands the
 * name that the model has from now on. */
#include "hub/card.h"

#include <stdio.h>
#include <string.h>
#include <tubelet/model.h>

#include "base/error.h"
#include "base/file.h"
#include "convert/card.h"

enum { CARD_LIMIT = 4 << 20 };

/* Words of a card that tubelet wrote, and what they become. */
static const char FOLDER[] = "MODEL_FOLDER",
                  FOLDER_IS[] = "; MODEL_FOLDER is the folder that holds this file",
                  FOLDER_GOT[] = ", which gets the model by itself", CALL[] = "(MODEL_FOLDER";

tub_status tub__hub_check_licence(const char *licence, tub_error *err) {
    const size_t n = strlen(licence);
    return n > 0 && n < 64 && strspn(licence, "abcdefghijklmnopqrstuvwxyz0123456789.-+") == n
               ? TUB_OK
               : tub__fail(err, TUB_E_ARGUMENT,
                           "licence '%.60s': hubs know apache-2.0, mit, cc-by-4.0, …, in small "
                           "letters; other stands for all others",
                           licence);
}

/* README.md, or the card that tubelet writes of the model; the caller's. */
static tub_status read_card(tub_context *ctx, const char *folder, char **out, tub_error *err) {
    const tub_allocator *a = &ctx->allocator;
    char *path;
    size_t size;
    TUB__TRY(tub__path_join(a, folder, "README.md", &path, err));
    const bool there = tub__file_exists(path);
    tub_status status = there ? tub__file_read(a, path, CARD_LIMIT, out, &size, err) : TUB_OK;
    tub__free(a, path);
    if (there) {
        return status;
    }
    tub_model *model;
    tub__text card;
    TUB__TRY(tub_model_open(ctx, folder, &model, err));
    tub__text_start(&card, a);
    tub__card_print(&card, model, NULL, false);
    tub_model_close(model);
    status = tub__text_check(&card, err);
    if (status != TUB_OK) {
        tub__text_free(&card);
        return status;
    }
    *out = card.data;
    return TUB_OK;
}

/* The lines between "---" and "---" at the top; 0: the card has none. *body: what is behind
 * them. */
static size_t head_of(const char *card, const char **head, const char **body) {
    *body = *head = card;
    if (strncmp(card, "---\n", 4) != 0) {
        return 0;
    }
    const char *end = strncmp(card + 4, "---\n", 4) == 0 ? card + 3 : strstr(card + 4, "\n---\n");
    if (end == NULL) {
        return 0;
    }
    *head = card + 4;
    *body = end + 5;
    return (size_t)(end + 1 - *head);
}

static bool starts(const char *line, const char *key) {
    return strncmp(line, key, strlen(key)) == 0;
}

/* The head's lines, with another licence where one is named. */
static void write_head(tub__text *t, const char *head, size_t size, const char *licence,
                       bool *has_licence) {
    tub__text_add(t, "---\n");
    for (const char *line = head, *end = head + size; line < end;) {
        const size_t n = strcspn(line, "\n");
        const bool known = starts(line, "license:");
        const bool about = known || starts(line, "license_name:") || starts(line, "license_link:");
        *has_licence = *has_licence || known;
        if (licence == NULL || !about) {
            tub__text_add(t, "%.*s\n", (int)n, line);
        }
        line += n + 1;
    }
    if (size == 0) {
        tub__text_add(t, "library_name: tubelet\npipeline_tag: video-classification\n"
                         "tags:\n  - video-classification\n  - tubelet\n");
    }
    if (licence != NULL) {
        tub__text_add(t, "license: %s\n", licence);
        *has_licence = true;
    }
    tub__text_add(t, "---\n");
}

/* The text with the model's new name. */
static void write_body(tub__text *t, const char *body, const tub__hub_name *name) {
    while (*body != '\0') {
        const char *found = strstr(body, FOLDER);
        const char *begin = found;
        if (found == NULL) {
            tub__text_add(t, "%s", body);
            return;
        }
        if (found - body >= 2 && starts(found - 2, FOLDER_IS)) {
            begin = found - 2;
        } else if (found > body && starts(found - 1, CALL)) {
            begin = found - 1;
        }
        tub__text_add(t, "%.*s", (int)(begin - body), body);
        if (begin == found) {
            tub__text_add(t, "hf:%s", name->id);
            body = found + sizeof FOLDER - 1;
        } else if (*begin == ';') {
            tub__text_add(t, "%s", FOLDER_GOT);
            body = begin + sizeof FOLDER_IS - 1;
        } else {
            tub__text_add(t, "(\"%s\"", name->id);
            body = begin + sizeof CALL - 1;
        }
    }
}

tub_status tub__hub_card_write(tub_context *ctx, const char *folder, const tub__hub_name *name,
                               const char *licence, tub__text *t, bool *has_licence,
                               tub_error *err) {
    char *card;
    const char *head, *body;
    *has_licence = false;
    if (licence != NULL) {
        TUB__TRY(tub__hub_check_licence(licence, err));
    }
    TUB__TRY(read_card(ctx, folder, &card, err));
    const size_t size = head_of(card, &head, &body);
    write_head(t, head, size, licence, has_licence);
    write_body(t, body, name);
    tub__free(&ctx->allocator, card);
    return tub__text_check(t, err);
}
