/* SPDX-License-Identifier: Apache-2.0 */
/* A few lines at the bottom of a terminal that are drawn again and again in one place.
 *
 * The cursor waits at the beginning of the first of them. So they are gone by erasing from the
 * cursor on, also where the terminal has been resized and has wrapped them. */
#ifndef APP_LIVE_H
#define APP_LIVE_H

#include <stdbool.h>
#include <stddef.h>

enum { LIVE_LINES = 12, LIVE_FIELDS = 8, LIVE_ROOM = 256, LIVE_SPARK = 60 /* columns */ };

/* What stderr is. */
typedef struct live {
    bool on;      /* a terminal that can draw in place, and it may */
    bool colour;  /* it may have colours */
    bool utf8;    /* it shows UTF-8 */
    double drawn; /* when, in seconds of the monotonic clock */
    int columns;  /* then */
} live;

/* Texts with two blanks between them; where not all fit, those of the lowest ranks come first. */
typedef struct live_line {
    struct {
        char text[LIVE_ROOM];
        int rank;
        int columns;        /* that the text takes; 0: as many as bytes */
        const char *colour; /* NULL: the usual one; "32": green */
    } field[LIVE_FIELDS];
    int fields;
} live_line;

/* plain: nothing is ever drawn in place. */
void live_init(live *l, bool plain);
/* Whether it is time to draw; `now`: whatever the time is. */
bool live_due(const live *l, bool now);
/* Columns that a line may take. */
int live_columns(void);
/* Adds a text: printf's. It is ASCII. */
void live_add(live_line *line, int rank, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds any text, cut to so many columns: a character is one. What the terminal would not show is
 * '?'. The line has room for another field. */
void live_add_text(const live *l, live_line *line, int rank, int columns, const char *text);
/* Draws the lines over the last ones. Where the terminal has no more than LIVE_LINES rows, only the
 * first. */
void live_draw(live *l, const live_line *lines, int count);
/* Removes what is drawn, so that other text can follow. May be called in a signal handler. Returns
 * whether there was something. */
bool live_clear(void);

#endif
