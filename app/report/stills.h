/* SPDX-License-Identifier: Apache-2.0 */
/* Middle frames of many samples, all in one picture of the page, to which each is a window. */
#ifndef APP_REPORT_STILLS_H
#define APP_REPORT_STILLS_H

#include "pictures.h"

enum { STILLS_MOST = 600 };

typedef struct stills {
    int64_t count, height, width, channels;
    int64_t sample[STILLS_MOST];
    unsigned char *levels; /* [STILLS_MOST,height,width,channels], or NULL */
} stills;

/* Puts a sample's middle frame on the page; nothing where there is no room for more. */
tub_status stills_put(page *p, const report_facts *f, stills *all, int64_t sample, tub_error *err);
/* The picture, as an attribute style of the element around all of them. */
tub_status stills_put_style(page *p, const report_facts *f, const stills *all, tub_error *err);
void stills_free(stills *all); /* accepts one that is all zero */

#endif
