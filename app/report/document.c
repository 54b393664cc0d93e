/* SPDX-License-Identifier: Apache-2.0 */
/* The frame of every page. */
#include "document.h"

#include "script_js.h"
#include "style_css.h"

void document_begin(page *p, const char *title) {
    page_put(p, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
                "<meta name=\"color-scheme\" content=\"light dark\"><meta name=\"generator\" "
                "content=\"tubelet ");
    page_text(p, tub_version());
    page_put(p, "\"><title>");
    page_text(p, title);
    page_put(p, "</title>\n<link rel=\"icon\" href=\"data:,\"><style>\n");
    page_put_bytes(p, report_style, sizeof report_style);
    page_put(p, "</style></head>\n<body>");
}

void document_end(page *p) {
    page_put(p, "</main>\n<script>\n");
    page_put_bytes(p, report_script, sizeof report_script);
    page_put(p, "</script></body></html>\n");
}
