/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of a page, in boxes that scroll where they are wide, by the keyboard, too. */
#ifndef APP_REPORT_TABLE_H
#define APP_REPORT_TABLE_H

#include "page.h"

/* <div> for something that may be wider than the screen; label: what it shows, for those who don't
 * see it. */
void table_box(page *p, const char *label);
/* A table in such a box. kind: classes of the style sheet; "": none. */
void table_open(page *p, const char *kind, const char *label);
/* The headings, ended by NULL, and the beginning of the body; or one by one. */
void table_head(page *p, const char *const *names);
void table_begin_head(page *p);
void table_heading(page *p, const char *name);
void table_end_head(page *p);
/* A row's heading, plain text; the row ends with </tr>. */
void table_row(page *p, const char *name);
void table_close(page *p);

#endif
