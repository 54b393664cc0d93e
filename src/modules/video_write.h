/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures and animations as bytes of .png and .gif files. */
#ifndef TUB__MODULES_VIDEO_WRITE_H
#define TUB__MODULES_VIDEO_WRITE_H

#include "base/module.h"

/* As tub__video_module's encode and release. */
TUB_MUST_USE tub_status tub__video_encode(const tub__video_picture *picture, bool gif, void **bytes,
                                          size_t *size, tub_error *err);
void tub__video_release(void *bytes);

#endif
