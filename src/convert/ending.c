/* SPDX-License-Identifier: Apache-2.0 */
/* Names of what is to be written that look like a file's, and would become a folder. */
#include "convert/ending.h"

#include "base/error.h"
#include "base/file.h"
#include "convert/keras.h"
#include "convert/onnx.h"
#include <ctype.h>
#include <string.h>
#include <tubelet/convert.h>

/* The ending of a name, as files have them: letters first, and short. NULL: none. "model-1.5" has none, nor has
 * "run.of.tuesday". */
static const char *ending_of(const char *path) {
    const char *dot = strrchr(tub__path_name(path), '.');
    const size_t length =
        dot != NULL
            ? strspn(dot + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
            : 0;
    const bool letter = length > 0 && dot[1] > '9' && dot[1 + length] == '\0';
    return letter && length <= 8 && dot > tub__path_name(path) ? dot + 1 : NULL;
}

static const char *ending_word(const void *words, size_t index) {
    return ((const char *const *)words)[index];
}

/* A folder of such a name would be no mistake of ours, and probably one of somebody's: what is nearly a file's name is
 * refused, and what only looks like one is told. */
tub_status tub__check_ending(tub_context *ctx, const char *path, tub_error *err) {
    static const char *const endings[] = {"onnx", "keras", "weights"};
    enum { ENDINGS = sizeof endings / sizeof *endings };
    const char *ending = ending_of(path);
    char small[9] = "";
    if (ending == NULL || tub__is_onnx_path(path) || tub_convert_knows(path)) {
        return TUB_OK;
    }
    for (size_t i = 0; ending[i] != '\0'; i++) {
        small[i] = (char)tolower((unsigned char)ending[i]);
    }
    const size_t near = tub_nearest(small, endings, ENDINGS, ending_word);
    if (near < ENDINGS) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "%s: .%s is no ending of a model's file; did you mean .%s%s?", path,
                         ending, endings[near], near == ENDINGS - 1 ? ".h5" : "");
    }
    tub__log_line(ctx, TUB_LOG_WARNING,
                  "%s becomes a folder; files end in .keras, .weights.h5 or .onnx", path);
    return TUB_OK;
}
