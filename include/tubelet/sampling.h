/* SPDX-License-Identifier: Apache-2.0 */
/* Which frames of a file a model sees (docs/predicting.md). */
#ifndef TUBELET_SAMPLING_H
#define TUBELET_SAMPLING_H

#include <stdint.h>
#include <tubelet/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How the frames of a clip are chosen from those of a file. */
typedef enum tub_sampling {
    TUB_SAMPLING_DEFAULT = 0, /* uniform; where a model is asked, what its folder says */
    TUB_SAMPLING_UNIFORM,     /* at equal distances over the whole file, as the paper's tokeniser */
    TUB_SAMPLING_LINSPACE, /* from the first frame to the last, as the examples for transformers; with
                                 a stride over so many frames at one place */
    TUB_SAMPLING_STRIDE,   /* every stride-th frame from one place on */
    TUB_SAMPLING_SEGMENTS, /* the middle of each of so many equal parts */
    TUB_SAMPLINGS
} tub_sampling;
/* "uniform", "linspace", "stride" or "segments"; "uniform" of the default; "unknown" of none. */
TUB_API const char *tub_sampling_name(tub_sampling sampling);
/* Error: TUB_E_ARGUMENT, with the names. */
TUB_API TUB_MUST_USE tub_status tub_sampling_parse(const char *text, tub_sampling *out,
                                                   tub_error *err);

/* A length of time in nanoseconds from "2s", "2.5", "500ms", "1m" or "1h": a decimal number, of seconds
 * where no unit stands behind it. Nothing is rounded. Errors: TUB_E_ARGUMENT (no such number, more
 * than nine decimals of a second), TUB_E_RANGE (more than ten years). */
TUB_API TUB_MUST_USE tub_status tub_time_parse(const char *text, int64_t *nanoseconds,
                                               tub_error *err);

#ifdef __cplusplus
}
#endif
#endif
