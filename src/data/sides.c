/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the classes of a data set are told apart by side or direction, as the left kidney and the right
 * one are: by the words in their names. */
#include "data/sides.h"

#include <stddef.h>

/* Of two mirrored things; those that any mirror exchanges first. Reversed in time a motion has the opposite
 * direction, too. */
static const char *const sides[] = {
    "left",       "right",     "leftward",      "rightward",        "leftwards",
    "rightwards", "clockwise", "anticlockwise", "counterclockwise", "up",
    "down",       "upward",    "downward",      "upwards",          "downwards",
    "forward",    "backward",  "forwards",      "backwards"};
enum { LEFT_RIGHT = 9, SIDES = sizeof sides / sizeof *sides };

/* Letters of ASCII, in any case. */
static bool is_word(const char *word, size_t length, const char *side) {
    size_t same = 0;
    while (same < length && (word[same] | 0x20) == side[same]) {
        same++;
    }
    return same == length && side[same] == '\0';
}

static bool is_side(const char *word, size_t length, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (is_word(word, length, sides[i])) {
            return true;
        }
    }
    return false;
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

const char *tub__side_name(const char *const *names, int64_t count, bool left_right) {
    for (int64_t i = 0; names != NULL && i < count; i++) {
        for (const char *c = names[i]; *c != '\0';) {
            size_t length = 0;
            while (is_letter(c[length])) {
                length++;
            }
            if (is_side(c, length, left_right ? LEFT_RIGHT : SIDES)) {
                return names[i];
            }
            c += length > 0 ? length : 1;
        }
    }
    return NULL;
}
