/* SPDX-License-Identifier: Apache-2.0 */
/* Content-Security-Policy, and the origins in it. */
#include "policy.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

enum {
    HOST = 253, /* characters of a name, and of its parts (RFC 1035) */
    LABEL = 63,
    PORT = 65535 /* the last one */
};

/* Everything that comes from here is the server's own, and nothing of others is wanted by its page. */
static const char rules[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors";

static bool is_plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Letters, digits, and dashes between them. */
static bool is_label(const char *text, size_t n) {
    if (n == 0 || n > LABEL || !is_plain(text[0]) || !is_plain(text[n - 1])) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_plain(text[i]) && text[i] != '-') {
            return false;
        }
    }
    return true;
}

/* Labels with dots between them. */
static bool is_host(const char *text, size_t n) {
    for (size_t begin = 0; begin <= n && n <= HOST;) {
        const char *dot = memchr(text + begin, '.', n - begin);
        const size_t end = dot != NULL ? (size_t)(dot - text) : n;
        if (!is_label(text + begin, end - begin)) {
            return false;
        }
        if (end == n) {
            return true;
        }
        begin = end + 1;
    }
    return false;
}

static bool is_port(const char *text) {
    const size_t n = strspn(text, "0123456789");
    return n > 0 && n <= 5 && text[n] == '\0' && text[0] != '0' && strtol(text, NULL, 10) <= PORT;
}

bool policy_is_origin(const char *text) {
    static const char *const schemes[] = {"https://", "http://"};
    for (int i = 0; i < 2; i++) {
        const size_t n = strlen(schemes[i]);
        if (strncmp(text, schemes[i], n) == 0) {
            const char *host = text + n;
            const size_t length = strcspn(host, ":");
            return is_host(host, length) && (host[length] == '\0' || is_port(host + length + 1));
        }
    }
    return false;
}

char *policy_make(const char *const *origins, int count) {
    textbuf t = {0};
    text_put(&t, "%s", rules);
    for (int i = 0; i < count; i++) {
        text_put(&t, " %s", origins[i]);
    }
    text_put(&t, "%s", count == 0 ? " 'none'" : "");
    if (t.failed) {
        text_free(&t);
    }
    return t.bytes;
}
