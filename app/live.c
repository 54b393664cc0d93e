/* SPDX-License-Identifier: Apache-2.0 */
/* A few lines at the bottom of a terminal that are drawn again and again in one place. */
#include "live.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "clock.h"

static const double redraw_seconds = 0.1;
enum {
    COLUMNS = 80,
    ROWS = 24,
    SEPARATOR = 2,
    BYTES = LIVE_LINES * LIVE_FIELDS * (LIVE_ROOM + 32)
};

/* A signal handler has no argument of ours, so the program keeps this: lines are drawn, and the
 * cursor is at the beginning of the first. */
static volatile sig_atomic_t shown;

/* As the user's locale says, whose name alone would not tell; "C" where that is not installed. */
static bool locale_is_utf8(void) {
    locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    if (locale == (locale_t)0) {
        return false;
    }
    const bool utf8 = strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
    freelocale(locale);
    return utf8;
}

void live_init(live *l, bool plain) {
    const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");
    const bool can = term != NULL && term[0] != '\0' && strcmp(term, "dumb") != 0;
    *l = (live){.on = !plain && can && isatty(STDERR_FILENO)};
    l->colour = no_colour == NULL || no_colour[0] == '\0'; /* no-color.org */
    l->utf8 = locale_is_utf8();
}

bool live_due(const live *l, bool at_once) {
    return l->on && (at_once || clock_now() - l->drawn >= redraw_seconds);
}

static struct winsize window_size(void) {
    struct winsize window = {0};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col == 0) {
        window.ws_col = COLUMNS;
    }
    window.ws_row = window.ws_row == 0 ? ROWS : window.ws_row;
    return window;
}

/* The last column stays free: some terminals wrap behind it at once. */
int live_columns(void) {
    return window_size().ws_col - 1;
}

void live_add(live_line *line, int rank, const char *format, ...) {
    if (line->fields == LIVE_FIELDS) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line->field[line->fields].text, LIVE_ROOM, format, arguments);
    va_end(arguments);
    line->field[line->fields].rank = rank;
    line->field[line->fields].columns = 0;
    line->field[line->fields++].colour = NULL;
}

/* Bytes of the character at s in well-formed UTF-8; 0: there is none. */
static size_t character_at(const char *s) {
    const unsigned char *c = (const unsigned char *)s;
    const size_t n = c[0] < 0x80 ? 1 : c[0] < 0xc2 ? 0 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
    if (c[0] > 0xf4) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((c[i] & 0xc0) != 0x80) { /* the end, too */
            return 0;
        }
    }
    return n;
}

void live_add_text(const live *l, live_line *line, int rank, int columns, const char *text) {
    char out[LIVE_ROOM];
    size_t used = 0;
    int shown_columns = 0;
    while (*text != '\0' && shown_columns < columns) {
        const size_t n = character_at(text);
        const bool known = n == 1 || (n > 1 && l->utf8);
        if (used + (known ? n : 1) >= sizeof out) {
            break;
        }
        memcpy(out + used, known ? text : "?", known ? n : 1);
        used += known ? n : 1;
        text += n > 0 ? n : 1;
        shown_columns++;
    }
    out[used] = '\0';
    live_add(line, rank, "%s", out);
    line->field[line->fields - 1].columns = shown_columns;
}

static int field_columns(const live_line *line, int i) {
    return line->field[i].columns > 0 ? line->field[i].columns : (int)strlen(line->field[i].text);
}

/* The fields that fit, as bits: by their ranks, each that there is still room for. */
static unsigned choose_fields(const live_line *line, int columns) {
    unsigned chosen = 0, seen = 0;
    for (int left = columns + SEPARATOR, n = 0; n < line->fields; n++) {
        int next = -1;
        for (int i = 0; i < line->fields; i++) {
            if ((seen >> i & 1) == 0 &&
                (next < 0 || line->field[i].rank < line->field[next].rank)) {
                next = i;
            }
        }
        seen |= 1u << next;
        if (SEPARATOR + field_columns(line, next) <= left) {
            left -= SEPARATOR + field_columns(line, next);
            chosen |= 1u << next;
        }
    }
    return chosen;
}

static char *put_line(const live *l, const live_line *line, int columns, char *end) {
    const unsigned chosen = choose_fields(line, columns);
    const char *before = "";
    for (int i = 0; i < line->fields; i++) {
        if ((chosen >> i & 1) == 0) {
            continue;
        }
        const char *colour = l->colour ? line->field[i].colour : NULL;
        end = stpcpy(end, before);
        if (colour != NULL) {
            end = stpcpy(stpcpy(stpcpy(end, "\033["), colour), "m");
        }
        end = stpcpy(end, line->field[i].text);
        end = colour != NULL ? stpcpy(end, "\033[0m") : end;
        before = "  ";
    }
    return stpcpy(end, "\033[K");
}

static void write_out(const char *bytes, size_t size) {
    while (size > 0) {
        const ssize_t n = write(STDERR_FILENO, bytes, size);
        if (n < 0 && errno != EINTR) {
            return; /* a terminal that is gone */
        }
        bytes += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
}

void live_draw(live *l, const live_line *lines, int count) {
    char text[BYTES], *end = text;
    const struct winsize window = window_size();
    const int columns = window.ws_col - 1;
    if (!l->on) {
        return;
    }
    count = count > LIVE_LINES ? LIVE_LINES : count;
    count = window.ws_row > LIVE_LINES ? count : 1; /* the same number, whatever there is to draw */
    end = stpcpy(end, shown && columns != l->columns ? "\r\033[J" : "\r");
    for (int i = 0; i < count; i++) {
        end = put_line(l, &lines[i], columns, end);
        end = stpcpy(end, i < count - 1 ? "\n" : "\033[J\r");
    }
    if (count > 1) {
        char up[16];
        snprintf(up, sizeof up, "\033[%dA", count - 1);
        end = stpcpy(end, up);
    }
    shown = 1; /* before: a signal between the two erases in vain, but leaves nothing */
    write_out(text, (size_t)(end - text));
    l->drawn = clock_now();
    l->columns = columns;
}

bool live_clear(void) {
    static const char erase[] = "\r\033[J";
    if (!shown) {
        return false;
    }
    shown = 0;
    write_out(erase, sizeof erase - 1);
    return true;
}
