/* SPDX-License-Identifier: Apache-2.0 */
/* mod-nifti: volumes of NIfTI-1 files (https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h), plain
 * or packed by gzip. niftilib says what a header means; the values are read here, piece by piece, so that
 * a damaged or hostile header can't make it take memory. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <nifti1_io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/error.h"
#include "base/module.h"

enum {
    HEADER_NIFTI_2 = 540,
    PIECE = 1 << 16,         /* bytes read at once; whole values of any type */
    OFFSET_LIMIT = 16 << 20, /* of extensions before the values */
    PACKING_LIMIT = 1040     /* gzip can't make more bytes of one */
};

struct tub__nifti {
    gzFile file;
    nifti_image *image; /* of the header; its data are not read */
    double slope, offset;
    bool scaled;
    uint64_t values;
    char path[4096];
    unsigned char piece[PIECE];
};

/* Bytes of a value; 0 for types that are not one real number. */
static int value_size(int type) {
    switch (type) {
    case DT_UINT8:
    case DT_INT8:
        return 1;
    case DT_INT16:
    case DT_UINT16:
        return 2;
    case DT_INT32:
    case DT_UINT32:
    case DT_FLOAT32:
        return 4;
    case DT_INT64:
    case DT_UINT64:
    case DT_FLOAT64:
        return 8;
    default:
        return 0;
    }
}

static double value_at(int type, const unsigned char *at) {
#define READ_AS(name)                                                                              \
    {                                                                                              \
        name v;                                                                                    \
        memcpy(&v, at, sizeof v);                                                                  \
        return (double)v;                                                                          \
    }
    switch (type) {
    case DT_UINT8:
        return *at;
    case DT_INT8:
        READ_AS(int8_t)
    case DT_INT16:
        READ_AS(int16_t)
    case DT_UINT16:
        READ_AS(uint16_t)
    case DT_INT32:
        READ_AS(int32_t)
    case DT_UINT32:
        READ_AS(uint32_t)
    case DT_FLOAT32:
        READ_AS(float)
    case DT_INT64:
        READ_AS(int64_t)
    case DT_UINT64:
        READ_AS(uint64_t)
    default:
        READ_AS(double)
    }
#undef READ_AS
}

/* ---- The header ---- */

static tub_status read_bytes(tub__nifti *n, void *out, size_t size, tub_error *err) {
    const int got = gzread(n->file, out, (unsigned)size);
    if (got == (int)size) {
        return TUB_OK;
    }
    return tub__fail(err, TUB_E_FORMAT,
                     got < 0 ? "%s: its gzip packing is damaged; copy the file again"
                             : "%s: cut off; copy the file again",
                     n->path);
}

/* What niftilib would complain about to stderr, whatever its level of talk is. */
static bool is_sensible(const nifti_1_header *h, bool swapped) {
    short dim[8], type = h->datatype;
    float offset = h->vox_offset;
    int bytes, unused;
    memcpy(dim, h->dim, sizeof dim);
    if (swapped) {
        nifti_swap_2bytes(8, dim);
        nifti_swap_2bytes(1, &type);
        nifti_swap_4bytes(1, &offset);
    }
    nifti_datatype_sizes(type, &bytes, &unused);
    bool sensible =
        dim[0] >= 1 && dim[0] <= 7 && bytes > 0 && offset >= 0 && offset <= OFFSET_LIMIT;
    for (int i = 1; i <= dim[0] && sensible; i++) {
        sensible = dim[i] >= 1;
    }
    return sensible;
}

static tub_status read_header(tub__nifti *n, tub_error *err) {
    nifti_1_header h;
    TUB__TRY(read_bytes(n, &h, sizeof h, err));
    int size = h.sizeof_hdr, swapped = h.sizeof_hdr;
    nifti_swap_4bytes(1, &swapped);
    if (size == HEADER_NIFTI_2 || swapped == HEADER_NIFTI_2) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "%s: NIfTI-2, of which NIfTI-1 is read; convert it, as nibabel does",
                         n->path);
    }
    if ((size != (int)sizeof h && swapped != (int)sizeof h) || memcmp(h.magic, "n", 1) != 0) {
        return tub__fail(err, TUB_E_FORMAT, "%s: no NIfTI file", n->path);
    }
    if (memcmp(h.magic, "n+1", 4) != 0) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "%s: a header whose values lie in an .img file; convert both to one .nii",
                         n->path);
    }
    if (!is_sensible(&h, size != (int)sizeof h)) {
        return tub__fail(err, TUB_E_FORMAT, "%s: its header makes no sense; copy the file again",
                         n->path);
    }
    n->image = nifti_convert_nhdr2nim(h, n->path);
    return n->image != NULL
               ? TUB_OK
               : tub__fail(err, TUB_E_FORMAT, "%s: its header makes no sense; copy the file again",
                           n->path);
}

/* Three axes, all others of length one. */
static tub_status check_axes(const tub__nifti *n, tub_error *err) {
    const nifti_image *m = n->image;
    if (m->ndim < 3 || m->nx < 1 || m->ny < 1 || m->nz < 1) {
        return tub__fail(err, TUB_E_SHAPE, "%s: %d axes; a volume has three", n->path, m->ndim);
    }
    for (int i = 4; i <= m->ndim && i <= 7; i++) {
        if (m->dim[i] != 1) {
            return tub__fail(err, TUB_E_SHAPE,
                             "%s: %d volumes of %dx%dx%d in one file; give one volume a file",
                             n->path, m->dim[i], m->nx, m->ny, m->nz);
        }
    }
    return TUB_OK;
}

/* The size of the file bounds what it can hold, so that no more memory than that is asked for. */
static tub_status check_size(tub__nifti *n, uint64_t file_size, uint64_t limit, tub_error *err) {
    const nifti_image *m = n->image;
    const int size = value_size(m->datatype);
    if (size == 0) {
        return tub__fail(err, TUB_E_UNSUPPORTED, "%s: values of the type %s; real numbers are read",
                         n->path, nifti_datatype_string(m->datatype));
    }
    /* Each axis is an int16, so the product stays below 2^45. */
    n->values = (uint64_t)m->nx * (uint64_t)m->ny * (uint64_t)m->nz;
    const uint64_t wanted = n->values * (uint64_t)size;
    if (n->values * sizeof(float) > limit) {
        return tub__fail(err, TUB_E_RANGE, "%s: %dx%dx%d values are more than %llu GiB", n->path,
                         m->nx, m->ny, m->nz, (unsigned long long)(limit >> 30));
    }
    if (m->iname_offset < (int)sizeof(nifti_1_header)) {
        return tub__fail(err, TUB_E_FORMAT, "%s: its values begin within its header", n->path);
    }
    const uint64_t possible = gzdirect(n->file) ? file_size : file_size * PACKING_LIMIT;
    if (wanted + (uint64_t)m->iname_offset > possible) {
        return tub__fail(err, TUB_E_FORMAT,
                         "%s: cut off: %dx%dx%d values of %d bytes don't fit into its %llu bytes",
                         n->path, m->nx, m->ny, m->nz, size, (unsigned long long)file_size);
    }
    return TUB_OK;
}

static void settle_scale(tub__nifti *n) {
    const nifti_image *m = n->image;
    const bool sensible = m->scl_slope != 0 && isfinite(m->scl_slope) && isfinite(m->scl_inter);
    n->slope = sensible ? m->scl_slope : 1;
    n->offset = sensible ? m->scl_inter : 0;
    n->scaled = n->slope != 1 || n->offset != 0;
}

/* ---- The table ---- */

static void close_volume(tub__nifti *n) {
    if (n != NULL) {
        if (n->file != NULL) {
            gzclose(n->file);
        }
        nifti_image_free(n->image);
        free(n);
    }
}

static tub_status open_file(tub__nifti *n, uint64_t *size, tub_error *err) {
    struct stat facts;
    const int fd = open(n->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &facts) != 0) {
        const int failure = errno;
        if (fd >= 0) {
            close(fd);
        }
        return failure == ENOENT ? tub__fail(err, TUB_E_NOT_FOUND, "%s: no such file", n->path)
                                 : tub__fail_errno(err, failure, "%s", n->path);
    }
    *size = (uint64_t)facts.st_size;
    n->file = gzdopen(fd, "rb");
    if (n->file == NULL) {
        close(fd);
        return tub__fail(err, TUB_E_MEMORY, "%s: no memory to read", n->path);
    }
    return TUB_OK;
}

static tub_status open_volume(const char *path, uint64_t limit, tub__nifti **out,
                              tub__nifti_facts *facts, tub_error *err) {
    uint64_t size = 0;
    nifti_set_debug_level(0);
    tub__nifti *n = calloc(1, sizeof *n);
    if (n == NULL) {
        return tub__fail(err, TUB_E_MEMORY, "%s: no memory to read", path);
    }
    if ((size_t)snprintf(n->path, sizeof n->path, "%s", path) >= sizeof n->path) {
        free(n);
        return tub__fail(err, TUB_E_ARGUMENT, "%.100s...: the name is too long", path);
    }
    tub_status status = open_file(n, &size, err);
    status = status == TUB_OK ? read_header(n, err) : status;
    status = status == TUB_OK ? check_axes(n, err) : status;
    status = status == TUB_OK ? check_size(n, size, limit, err) : status;
    if (status != TUB_OK) {
        close_volume(n);
        return status;
    }
    settle_scale(n);
    *facts = (tub__nifti_facts){.frames = n->image->nz,
                                .height = n->image->ny,
                                .width = n->image->nx,
                                .floats = n->scaled || n->image->datatype != DT_UINT8};
    *out = n;
    return TUB_OK;
}

/* count values of a piece to out[first] and on. */
static tub_status convert_piece(const tub__nifti *n, uint64_t first, size_t count, float *out,
                                tub_error *err) {
    const int type = n->image->datatype, size = value_size(type);
    for (size_t i = 0; i < count; i++) {
        const double raw = value_at(type, n->piece + i * (size_t)size);
        out[first + i] = (float)(n->scaled ? raw * n->slope + n->offset : raw);
        if (!isfinite(out[first + i])) {
            return tub__fail(err, TUB_E_RANGE,
                             "%s: value %llu is %g: replace it before training or predicting",
                             n->path, (unsigned long long)(first + i), raw);
        }
    }
    return TUB_OK;
}

static tub_status read_values(tub__nifti *n, void *out, tub_error *err) {
    const size_t size = (size_t)value_size(n->image->datatype);
    const bool plain = n->image->datatype == DT_UINT8 && !n->scaled;
    const bool swap = n->image->byteorder != nifti_short_order();
    if (gzseek(n->file, n->image->iname_offset, SEEK_SET) < 0) {
        return tub__fail(err, TUB_E_FORMAT, "%s: cut off; copy the file again", n->path);
    }
    for (uint64_t done = 0; done < n->values;) {
        const uint64_t left = n->values - done;
        const size_t count = left < PIECE / size ? (size_t)left : PIECE / size;
        TUB__TRY(read_bytes(n, n->piece, count * size, err));
        if (plain) {
            memcpy((unsigned char *)out + done, n->piece, count);
        } else {
            if (swap && size > 1) {
                nifti_swap_Nbytes((int)count, (int)size, n->piece);
            }
            TUB__TRY(convert_piece(n, done, count, out, err));
        }
        done += count;
    }
    return TUB_OK;
}

/* Looked up by name when the module is opened. */
extern __attribute__((visibility("default"))) const tub__nifti_module tub__module_table;
const tub__nifti_module tub__module_table = {.version = TUB__MODULE_VERSION,
                                             .open = open_volume,
                                             .read = read_values,
                                             .close = close_volume};
