/* SPDX-License-Identifier: Apache-2.0 */
/* An ONNX file that was just written, read again and compared with what was meant. */
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "convert/onnx.h"
#include "convert/onnx_numbers.h"
#include "formats/onnx.h"

/* Both files, and the graph in them. */
typedef struct reading {
    const tub__onnx_maker *maker;
    tub__map file, data;
    tub__onnx_graph graph;
} reading;

/* The bytes of an array, which the other file may end before. */
static const unsigned char *find(const reading *r, const tub__onnx_tensor *t) {
    if (!t->external) {
        return t->data;
    }
    return t->offset <= r->data.size && t->bytes <= r->data.size - t->offset
               ? r->data.data + t->offset
               : NULL;
}

static tub_status check_arrays(const reading *r, tub_error *err) {
    tub__onnx_numbers numbers;
    tub_status status = tub__onnx_numbers_create(r->maker, &numbers, err);
    if (status != TUB_OK) {
        return status;
    }
    for (size_t i = 0; i < r->graph.tensor_count && status == TUB_OK; i++) {
        const tub__onnx_tensor *t = &r->graph.tensors[i];
        const unsigned char *there = find(r, t);
        const void *here;
        status = tub__onnx_numbers_of(&numbers, i, &here, err);
        if (status == TUB_OK && (there == NULL || memcmp(here, there, (size_t)t->bytes) != 0)) {
            status = tub__fail(err, TUB_E_NUMERIC, "%s: other numbers when it is read again",
                               r->graph.names[t->value]);
        }
    }
    tub__onnx_numbers_free(&numbers);
    return status;
}

/* Every array of the model has its place in the graph, once. */
static tub_status check_use(const tub__onnx_maker *m, tub_error *err) {
    size_t used = 0;
    for (size_t i = 0; i < m->graph.tensor_count; i++) {
        used += m->sources[i].param != NULL;
    }
    return used == m->model->params.count
               ? TUB_OK
               : tub__fail(err, TUB_E_NUMERIC, "the graph has %zu of %zu arrays", used,
                           m->model->params.count);
}

static tub_status check_read(reading *r, tub_error *err) {
    const tub_allocator *a = r->maker->allocator;
    const char *what = "";
    TUB__TRY(tub__onnx_read(a, r->file.data, r->file.size, &r->graph, err));
    TUB__TRY(tub__onnx_graph_check(a, &r->graph, err));
    if (!tub__onnx_graph_same(&r->maker->graph, &r->graph, &what)) {
        return tub__fail(err, TUB_E_NUMERIC, "what was written has other %s when it is read again",
                         what);
    }
    TUB__TRY(check_use(r->maker, err));
    return check_arrays(r, err);
}

static tub_status open_data(reading *r, const char *path, tub_error *err) {
    char *data;
    if (r->maker->graph.location[0] == '\0') {
        return TUB_OK;
    }
    TUB__TRY(tub__onnx_data_path(r->maker->allocator, path, &data, err));
    const tub_status status = tub__map_open(data, &r->data, err);
    tub__free(r->maker->allocator, data);
    return status;
}

tub_status tub__onnx_check_file(const tub__onnx_maker *m, const char *path, tub_error *err) {
    reading r = {.maker = m};
    TUB__TRY(tub__map_open(path, &r.file, err));
    tub_status status = open_data(&r, path, err);
    if (status == TUB_OK) {
        status = check_read(&r, err);
    }
    tub__onnx_graph_free(m->allocator, &r.graph);
    tub__map_close(&r.data);
    tub__map_close(&r.file);
    return status == TUB_OK || status == TUB_E_MEMORY
               ? status
               : tub__prefix(err, status, "the check of the conversion failed, nothing is written");
}
