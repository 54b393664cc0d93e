/* SPDX-License-Identifier: Apache-2.0 */
/* TensorBoard's event files: records that are there whole or not at all.
 *
 *   uint64 length | masked CRC of those 8 bytes | data | masked CRC of the data      little-endian
 *
 * The data of a record are a protobuf message (modules/events.proto). A reader takes every whole record
 * and stops at the first that is not. Source: tensorflow/core/lib/io/record_writer.cc,
 * tensorboard/summary/writer/record_writer.py. */
#ifndef TUB__FORMATS_TFEVENTS_H
#define TUB__FORMATS_TFEVENTS_H

#include "base/context.h"
#include "base/events_module.h"

/* CRC-32C (Castagnoli), and the form in which a file has it: CRCs of data that hold CRCs are weak. */
uint32_t tub__crc32c(const void *data, size_t size);
uint32_t tub__crc32c_masked(uint32_t crc);

typedef struct tub__tfevents {
    const tub_allocator *allocator;
    const tub__events_module *module;
    char *path;  /* of the file */
    void *bytes; /* whole records that wait for tub__tfevents_flush */
    size_t size, capacity;
} tub__tfevents;

/* How the names of tubelet's event files begin and end; seconds since 1970 stand between. */
#define TUB__TFEVENTS_BEGIN "events.out.tfevents."
#define TUB__TFEVENTS_END   ".tubelet"
/* Whether a file name is one of those. */
bool tub__tfevents_is_name(const char *name);

/* Names a new file of the folder, behind all of tubelet's there by name, which is the order in which
 * TensorBoard reads them; *others: whether there are some. Its first record waits, as everything put
 * does; nothing is on the disk before the first flush. Errors: TUB_E_MODULE (mod-events), TUB_E_IO,
 * TUB_E_MEMORY; then *out is cleared. */
TUB_MUST_USE tub_status tub__tfevents_create(tub_context *ctx, const char *folder, double wall_time,
                                             tub__tfevents *out, bool *others, tub_error *err);
/* What is not flushed is lost; accepts a cleared one. */
void tub__tfevents_close(tub__tfevents *e);

/* Adds a record. Error: TUB_E_MEMORY. */
TUB_MUST_USE tub_status tub__tfevents_put(tub__tfevents *e, const tub__tfevent *event,
                                          tub_error *err);
/* Appends the records to the file, all or none of them; they are not waited for on the disk. */
TUB_MUST_USE tub_status tub__tfevents_flush(tub__tfevents *e, tub_error *err);

#endif
