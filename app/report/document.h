/* SPDX-License-Identifier: Apache-2.0 */
/* The frame of every page: head with style sheet, and the script at the end. */
#ifndef APP_REPORT_DOCUMENT_H
#define APP_REPORT_DOCUMENT_H

#include "page.h"

/* From the document type to <body>. */
void document_begin(page *p, const char *title);
/* From </main> on. */
void document_end(page *p);

#endif
