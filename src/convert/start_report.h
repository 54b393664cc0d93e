/* SPDX-License-Identifier: Apache-2.0 */
/* What became of each array, for people and for files. */
#ifndef TUB__CONVERT_START_REPORT_H
#define TUB__CONVERT_START_REPORT_H

#include "convert/start_plan.h"

TUB_MUST_USE tub_status tub__start_report_make(const tub__start_plan *plan, tub_start_report **out,
                                               tub_error *err);
/* Log lines: a line for each array, but one for arrays of all layers that fared the same. */
void tub__start_report_tell(tub_context *ctx, const tub_start_report *report, const char *path);
/* Every array, as JSON; *text is the caller's (tub__free). */
TUB_MUST_USE tub_status tub__start_report_json(const tub_allocator *a,
                                               const tub_start_report *report, const char *path,
                                               char **text, size_t *size, tub_error *err);

#endif
