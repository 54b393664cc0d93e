/* SPDX-License-Identifier: Apache-2.0 */
/* Planning and writing ONNX files, one array after another. */
#include "convert/onnx.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/module.h"
#include "convert/onnx_numbers.h"

/* External arrays begin at pages, so that they can be mapped; small ones stay in the graph. */
enum { PAGE = 4096, SMALL = 1024 };

static const char END[] = ".onnx", DATA_END[] = ".data";

bool tub__is_onnx_path(const char *path) {
    const size_t length = strlen(path), end = sizeof END - 1;
    return length > end && strcmp(path + length - end, END) == 0;
}

tub_status tub__onnx_data_path(const tub_allocator *a, const char *path, char **out,
                               tub_error *err) {
    const size_t size = strlen(path) + sizeof DATA_END;
    TUB__TRY(tub__alloc(a, size, (void **)out, err));
    snprintf(*out, size, "%s%s", path, DATA_END);
    return TUB_OK;
}

/* ---- The plan ---- */

static uint64_t bytes_of(const tub__onnx_graph *g) {
    uint64_t sum = 0;
    for (size_t i = 0; i < g->tensor_count; i++) {
        sum += g->tensors[i].bytes;
    }
    return sum;
}

static tub_status place(tub__onnx_graph *g, const char *path, tub_error *err) {
    uint64_t at = 0;
    const int length =
        snprintf(g->location, sizeof g->location, "%s%s", tub__path_name(path), DATA_END);
    if (length >= (int)sizeof g->location) {
        return tub__fail(err, TUB_E_ARGUMENT, "%s: too long a name for a file of arrays beside it",
                         path);
    }
    for (size_t i = 0; i < g->tensor_count; i++) {
        tub__onnx_tensor *t = &g->tensors[i];
        if (t->bytes >= SMALL) {
            t->external = true;
            t->offset = at;
            at = (at + t->bytes + PAGE - 1) / PAGE * PAGE;
        }
    }
    if (at == 0) { /* all of them are small: there is no other file */
        g->location[0] = '\0';
    }
    return TUB_OK;
}

tub_status tub__onnx_plan(tub__onnx_maker *m, const tub_model *model, const char *path,
                          const tub__onnx_options *options, bool external, tub_error *err) {
    tub__onnx_maker_start(m, model);
    TUB__TRY(tub__onnx_make(m, options, err));
    return external || bytes_of(&m->graph) > TUB__ONNX_LIMIT ? place(&m->graph, path, err) : TUB_OK;
}

void tub__onnx_describe(const tub__onnx_maker *m, tub__file_array *out) {
    for (size_t i = 0; i < m->graph.tensor_count; i++) {
        const tub__onnx_tensor *t = &m->graph.tensors[i];
        if (m->sources[i].param == NULL) {
            continue;
        }
        tub__file_array *a = &out[m->sources[i].param - m->model->params.list];
        *a = (tub__file_array){.rank = t->rank};
        snprintf(a->name, sizeof a->name, "%s", m->graph.names[t->value]);
        for (int j = 0; j < t->rank; j++) {
            a->shape[j] = (uint64_t)t->shape[j];
        }
    }
}

const char *tub__onnx_axes(const tub__onnx_maker *m, const tub__param *p) {
    for (size_t i = 0; i < m->graph.tensor_count; i++) {
        if (m->sources[i].param == p) {
            return m->sources[i].transposed ? "transposed" : "as it is";
        }
    }
    return "left out";
}

/* ---- Writing ---- */

typedef struct job {
    const tub__onnx_maker *maker;
    tub__onnx_numbers numbers;
    tub__writer writer;
} job;

static tub_status put_bytes(void *user, const void *data, size_t size, tub_error *err) {
    job *j = user;
    return tub__writer_write(&j->writer, data, size, err);
}

static tub_status put_tensor(void *user, size_t i, tub_error *err) {
    job *j = user;
    const void *data;
    TUB__TRY(tub__onnx_numbers_of(&j->numbers, i, &data, err));
    return tub__writer_write(&j->writer, data, (size_t)j->maker->graph.tensors[i].bytes, err);
}

static tub_status write_graph(job *j, tub_error *err) {
    const tub__onnx_sink sink = {.user = j, .bytes = put_bytes, .tensor = put_tensor};
    const void *table = NULL;
    TUB__TRY(tub__module_open(j->maker->model->context, "onnx", &table, err));
    const tub__onnx_module *module = table;
    return module->write(&j->maker->graph, &sink, err);
}

static tub_status write_data(job *j, tub_error *err) {
    const tub__onnx_graph *g = &j->maker->graph;
    for (size_t i = 0; i < g->tensor_count; i++) {
        const tub__onnx_tensor *t = &g->tensors[i];
        const void *data;
        if (!t->external) {
            continue;
        }
        TUB__TRY(tub__onnx_numbers_of(&j->numbers, i, &data, err));
        TUB__TRY(tub__writer_put(&j->writer, t->offset, data, (size_t)t->bytes, err));
    }
    return TUB_OK;
}

static tub_status write_file(job *j, const char *path, tub_status (*fill)(job *, tub_error *),
                             tub_error *err) {
    TUB__TRY(tub__writer_open(j->maker->allocator, path, &j->writer, err));
    const tub_status status = fill(j, err);
    if (status != TUB_OK) {
        tub__writer_abort(&j->writer);
        return status;
    }
    return tub__writer_commit(&j->writer, err);
}

static tub_status write_files(job *j, const char *path, tub_error *err) {
    char *data;
    if (j->maker->graph.location[0] != '\0') {
        TUB__TRY(tub__onnx_data_path(j->maker->allocator, path, &data, err));
        const tub_status status = write_file(j, data, write_data, err);
        tub__free(j->maker->allocator, data);
        TUB__TRY(status);
    }
    return write_file(j, path, write_graph, err);
}

tub_status tub__onnx_save(const tub__onnx_maker *m, const char *path, tub_error *err) {
    job j = {.maker = m};
    TUB__TRY(tub__onnx_numbers_create(m, &j.numbers, err));
    const tub_status status = write_files(&j, path, err);
    tub__onnx_numbers_free(&j.numbers);
    return status;
}
