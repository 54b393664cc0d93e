/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of a page. */
#include "table.h"

void table_box(page *p, const char *label) {
    page_put(p, "<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"");
    page_text(p, label);
    page_put(p, "\">");
}

void table_open(page *p, const char *kind, const char *label) {
    table_box(p, label);
    page_putf(p, "<table%s%s%s>\n", kind[0] != '\0' ? " class=\"" : "", kind,
              kind[0] != '\0' ? "\"" : "");
}

void table_begin_head(page *p) {
    page_put(p, "<thead><tr>");
}

void table_heading(page *p, const char *name) {
    page_put(p, "<th scope=\"col\">");
    page_text(p, name);
    page_put(p, "</th>");
}

void table_end_head(page *p) {
    page_put(p, "</tr></thead><tbody>\n");
}

void table_head(page *p, const char *const *names) {
    table_begin_head(p);
    for (; *names != NULL; names++) {
        table_heading(p, *names);
    }
    table_end_head(p);
}

void table_row(page *p, const char *name) {
    page_put(p, "<tr><th scope=\"row\">");
    page_text(p, name);
    page_put(p, "</th>");
}

void table_close(page *p) {
    page_put(p, "</tbody></table></div>\n");
}
