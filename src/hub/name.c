/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the name of a model on a hub. */
#include "hub/name.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

static const char PREFIX[] = "hf:";
static const char WORD[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

bool tub__hub_is_name(const char *text) {
    return strncmp(text, PREFIX, sizeof PREFIX - 1) == 0;
}

bool tub__hub_is_commit(const char *text) {
    return strlen(text) == TUB__HUB_COMMIT && strspn(text, "0123456789abcdef") == TUB__HUB_COMMIT;
}

bool tub__hub_is_plain(const char *text) {
    const size_t n = strlen(text);
    return n > 0 && n <= 200 && text[0] != '.' && strspn(text, WORD) == n;
}

/* One part of an id: neither begins nor ends with '-' or '.', has neither "--" nor "..". */
static bool is_part(const char *text, size_t n) {
    char part[TUB__HUB_ID_LIMIT + 1];
    snprintf(part, sizeof part, "%.*s", (int)n, text);
    return n > 0 && n <= TUB__HUB_ID_LIMIT && strspn(part, WORD) == n &&
           strchr("-.", part[0]) == NULL && strchr("-.", part[n - 1]) == NULL &&
           strstr(part, "--") == NULL && strstr(part, "..") == NULL;
}

/* What git allows, as far as it can become a path of its own: a-b, v1.0, refs/pr/1. */
static bool is_revision(const char *text) {
    const size_t n = strlen(text);
    if (n == 0 || n > TUB__HUB_REVISION_LIMIT) {
        return false;
    }
    for (const char *part = text; *part != '\0';) {
        const size_t length = strcspn(part, "/");
        if (length == 0 || part[0] == '.' || part[0] == '-' || strspn(part, WORD) < length) {
            return false;
        }
        part += length + (part[length] == '/');
    }
    return text[n - 1] != '/' && strstr(text, "..") == NULL;
}

tub_status tub__hub_name_parse(const char *text, tub__hub_name *out, tub_error *err) {
    const char *id = tub__hub_is_name(text) ? text + sizeof PREFIX - 1 : text;
    const size_t length = strcspn(id, "@");
    const char *slash = memchr(id, '/', length);
    const char *revision = id[length] == '@' ? id + length + 1 : "main";
    const char *second = slash != NULL ? slash + 1 : id;
    if (length > TUB__HUB_ID_LIMIT || (slash != NULL && !is_part(id, (size_t)(slash - id))) ||
        !is_part(second, length - (size_t)(second - id)) ||
        (length > 4 && memcmp(id + length - 4, ".git", 4) == 0)) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "%.150s: a model on a hub is hf:OWNER/NAME or hf:OWNER/NAME@REVISION, of "
                         "letters, digits and single - _ .",
                         text);
    }
    if (!is_revision(revision)) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "%.150s: the part behind @ is a branch, a tag or a commit", text);
    }
    snprintf(out->id, sizeof out->id, "%.*s", (int)length, id);
    snprintf(out->revision, sizeof out->revision, "%s", revision);
    return TUB_OK;
}
