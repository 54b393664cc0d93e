/* SPDX-License-Identifier: Apache-2.0 */
/* The page at /, whose files lie in the program. */
#include <string.h>

#include "web_answer_js.h"
#include "web_attention_js.h"
#include "web_camera_js.h"
#include "web_icon_svg.h"
#include "web_index_html.h"
#include "web_page_css.h"
#include "web_page_js.h"
#include "web_protocol_js.h"
#include "web_timeline_js.h"

#include "server.h"

#define HTML   "text/html; charset=utf-8"
#define CSS    "text/css; charset=utf-8"
#define SCRIPT "text/javascript; charset=utf-8"
#define SVG    "image/svg+xml"

static const struct page {
    const char *name, *type;
    const unsigned char *bytes;
    size_t size;
} pages[] = {
    {"", HTML, web_index_html, sizeof web_index_html},
    {"page.css", CSS, web_page_css, sizeof web_page_css},
    {"icon.svg", SVG, web_icon_svg, sizeof web_icon_svg},
    {"page.js", SCRIPT, web_page_js, sizeof web_page_js},
    {"answer.js", SCRIPT, web_answer_js, sizeof web_answer_js},
    {"attention.js", SCRIPT, web_attention_js, sizeof web_attention_js},
    {"camera.js", SCRIPT, web_camera_js, sizeof web_camera_js},
    {"protocol.js", SCRIPT, web_protocol_js, sizeof web_protocol_js},
    {"timeline.js", SCRIPT, web_timeline_js, sizeof web_timeline_js},
};

bool page_find(request *r, const char *name) {
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        if (strcmp(pages[i].name, name) == 0) {
            r->page = &pages[i];
            return true;
        }
    }
    return false;
}

void page_answer(request *r) {
    answer_static(r, 200, r->page->type, r->page->bytes, r->page->size);
}
