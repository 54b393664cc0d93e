/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of mod-hdf5 share; the only one that includes the library's header. */
#ifndef TUB__MODULES_H5_H
#define TUB__MODULES_H5_H

#include <hdf5.h>
#include <stddef.h>
#include <tubelet/status.h>

/* A sentence about one object ("": about the file), with the library's own reason behind it;
 * TUB_E_MEMORY where that is a want of memory. */
tub_status tub__h5_failed(tub_error *err, const char *where, const char *what);

/* Every array of the HDF5 file `input` as records to `output`, at most `most` bytes, and the texts
 * of the attributes "name" of its groups. */
TUB_MUST_USE tub_status tub__h5_read(int input, int output, size_t most, tub_error *err);
/* The HDF5 file that the records of `input` describe, as one record of bytes: an array becomes a
 * dataset, a text the attribute "name" of a group. */
TUB_MUST_USE tub_status tub__h5_write(int input, int output, tub_error *err);

#endif
