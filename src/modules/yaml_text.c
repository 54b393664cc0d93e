/* SPDX-License-Identifier: Apache-2.0 */
/* What is checked of a YAML text before libfyaml sees it. */
#include "modules/yaml_text.h"

#include "base/error.h"
#include "base/utf8.h"
#include <stdbool.h>
#include <string.h>

/* The byte order mark and the line ends of YAML 1.1 count too: libfyaml may see the start of a line
 * behind them. */
static bool starts_line(const char *at, size_t length) {
    static const char *const starts[] = {"\n",       "\r",           "\xef\xbb\xbf",
                                         "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9"};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        if (strlen(starts[i]) == length && memcmp(starts[i], at, length) == 0) {
            return true;
        }
    }
    return false;
}

tub_status tub__yaml_check_text(const char *text, size_t size, tub_error *err) {
    int line = 1, column = 1;
    bool at_start = true;
    for (size_t i = 0; i < size;) {
        unsigned char c = (unsigned char)text[i];
        size_t length = tub__utf8_length((const unsigned char *)text + i, size - i);
        const char *wrong = length == 0            ? "not UTF-8"
                            : at_start && c == '%' ? "directives (%...) are not read"
                            : (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f
                                ? "a control character"
                                : NULL;
        if (wrong != NULL) {
            return tub__fail(err, TUB_E_FORMAT, "line %d, column %d: %s", line, column, wrong);
        }
        at_start = starts_line(text + i, length);
        line += c == '\n';
        column = c == '\n' ? 1 : column + 1;
        i += length;
    }
    return TUB_OK;
}
