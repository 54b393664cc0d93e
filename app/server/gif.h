/* SPDX-License-Identifier: Apache-2.0 */
/* Animations that outlive the context they were made with. */
#ifndef APP_SERVER_GIF_H
#define APP_SERVER_GIF_H

#include <tubelet/tubelet.h>

/* The bytes of an animated GIF, to be freed by free(). Errors: as tub_picture_encode. */
tub_status gif_encode(tub_context *ctx, const tub_picture *picture, void **bytes, size_t *size,
                      tub_error *err);

#endif
