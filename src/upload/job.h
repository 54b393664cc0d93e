/* SPDX-License-Identifier: Apache-2.0 */
/* What the process that decodes an upload is told. Both sides are of one build, so that the struct goes over as
 * it is, in hexadecimal digits. */
#ifndef TUB__UPLOAD_JOB_H
#define TUB__UPLOAD_JOB_H

#include "predict/clips.h"

typedef struct tub__decode_job {
    tub__taking taking;
    bool volumes; /* arrays are volumes of the model's shape, not files whose frames are sampled */
    int64_t want[4];       /* that shape */
    int64_t window, hop;   /* nanoseconds; 0: one clip */
    int64_t frames, clips; /* at most */
    char path[32];         /* what the upload is called */
} tub__decode_job;

/* Names of the records of the answer. */
#define TUB__DECODE_CLIPS  "clips"  /* uint8 or float32 [n,T,H,W,C] */
#define TUB__DECODE_TIMES  "times"  /* float64 [n,2], of windows */
#define TUB__DECODE_FRAMES "frames" /* int64 [1], of the file */
#define TUB__DECODE_DAMAGE "damage" /* a text, where there is some */

#endif
