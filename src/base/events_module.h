/* SPDX-License-Identifier: Apache-2.0 */
/* mod-events: what stands in TensorBoard's event files, as the bytes of protobuf messages. */
#ifndef TUB__BASE_EVENTS_MODULE_H
#define TUB__BASE_EVENTS_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tubelet/status.h>

/* A setting of a run, for TensorBoard's table of those. */
typedef enum tub__hparam_kind {
    TUB__HPARAM_NUMBER,
    TUB__HPARAM_TEXT,
    TUB__HPARAM_FLAG
} tub__hparam_kind;
typedef struct tub__hparam {
    const char *name;
    tub__hparam_kind kind;
    double number;
    bool flag;
    const char *text;
} tub__hparam;

/* Values of the plugin's enumeration. */
typedef enum tub__session_status {
    TUB__SESSION_UNKNOWN = 0,
    TUB__SESSION_SUCCESS = 1,
    TUB__SESSION_FAILURE = 2
} tub__session_status;

/* counts[i] values lie from limits[i - 1] on and below limits[i], in the last bucket at its limit, too.
 * The first bucket is empty: its limit is the left edge of the second. */
typedef struct tub__histogram {
    double least, most, count, sum, square_sum;
    size_t buckets;
    const double *limits, *counts; /* [buckets] */
} tub__histogram;

typedef enum tub__tfevent_value_kind {
    TUB__TFEVENT_SCALAR,
    TUB__TFEVENT_TEXT, /* Markdown; the tag ends in /text_summary */
    TUB__TFEVENT_IMAGE,
    TUB__TFEVENT_HISTOGRAM,
    TUB__TFEVENT_SESSION_START, /* _hparams_/session_start_info */
    TUB__TFEVENT_SESSION_END    /* _hparams_/session_end_info */
} tub__tfevent_value_kind;

typedef struct tub__tfevent_value {
    tub__tfevent_value_kind kind;
    const char *tag;
    union {
        float scalar;
        const char *text;
        struct {
            const unsigned char *png;
            size_t size; /* of its bytes */
            int32_t height, width, channels;
        } image;
        tub__histogram histogram;
        struct {
            const tub__hparam *hparams;
            size_t count;
            const char *group; /* "": none */
            double seconds;    /* since 1970; 0: not known */
        } start;
        struct {
            tub__session_status status;
            double seconds;
        } end;
    } as;
} tub__tfevent_value;

/* One record: a version, a restart, or values. */
typedef struct tub__tfevent {
    double wall_time; /* seconds since 1970 */
    int64_t step;
    const char *file_version; /* of a file's first record; else NULL */
    bool restart;             /* what earlier files have at this step or later came to nothing */
    const tub__tfevent_value *values;
    size_t count;
} tub__tfevent;

typedef struct tub__events_module {
    int version;
    /* *bytes is from malloc, released by release(). Error: TUB_E_MEMORY. */
    tub_status (*encode)(const tub__tfevent *event, unsigned char **bytes, size_t *size,
                         tub_error *err);
    void (*release)(unsigned char *bytes);
} tub__events_module;

#endif
