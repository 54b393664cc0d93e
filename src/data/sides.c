/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the classes of a data set are told apart by side or direction, as the left kidney and the right
 * one are: by the words in their names. */
#include "data/augment.h"
#include <string.h>

/* Of two mirrored things. Reversed in time a motion has the opposite direction, too. */
static bool is_side(const char *word, size_t length) {
    static const char *const sides[] = {"left",
                                        "right",
                                        "up",
                                        "down",
                                        "upward",
                                        "downward",
                                        "upwards",
                                        "downwards",
                                        "leftward",
                                        "rightward",
                                        "leftwards",
                                        "rightwards",
                                        "forward",
                                        "backward",
                                        "forwards",
                                        "backwards",
                                        "clockwise",
                                        "anticlockwise",
                                        "counterclockwise"};
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        if (strlen(sides[i]) == length) {
            size_t same = 0;
            while (same < length && (word[same] | 0x20) == sides[i][same]) {
                same++;
            }
            if (same == length) {
                return true;
            }
        }
    }
    return false;
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

const char *tub__side_class(const tub_dataset_info *data) {
    for (int64_t i = 0; data->labels != NULL && i < data->classes; i++) {
        for (const char *c = data->labels[i]; *c != '\0';) {
            size_t length = 0;
            while (is_letter(c[length])) {
                length++;
            }
            if (is_side(c, length)) {
                return data->labels[i];
            }
            c += length > 0 ? length : 1;
        }
    }
    return NULL;
}
