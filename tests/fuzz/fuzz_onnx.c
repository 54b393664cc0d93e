/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: ONNX files, with an allocation that fails. */
#include "formats/onnx.h"
#include "fuzz.h"

static void check_tensor(const tub__onnx_graph *g, const tub__onnx_tensor *t, const uint8_t *data,
                         size_t size) {
    uint64_t bytes = t->type == TUB__ONNX_I64 ? 8 : 4;
    FUZZ_CHECK(t->value < g->name_count && t->rank <= TUB__ONNX_RANK);
    for (int i = 0; i < t->rank; i++) {
        bytes *= (uint64_t)t->shape[i];
    }
    FUZZ_CHECK(bytes == t->bytes);
    if (!t->external && t->bytes > 0) {
        FUZZ_CHECK(t->data >= data && t->bytes <= (uint64_t)(data + size - t->data));
    }
}

/* The promises of an accepted graph: every number of a value has a name, counts fit their lists. */
static void check_graph(const tub__onnx_graph *g, const uint8_t *data, size_t size) {
    const char *what = "";
    tub_error err = {0};
    for (size_t i = 0; i < g->node_count; i++) {
        const tub__onnx_node *n = &g->nodes[i];
        FUZZ_CHECK(n->inputs <= TUB__ONNX_INPUTS && n->outputs >= 1 &&
                   n->outputs <= TUB__ONNX_OUTPUTS && n->attributes <= TUB__ONNX_ATTRIBUTES);
        for (size_t j = 0; j < n->inputs; j++) {
            FUZZ_CHECK(n->input[j] < g->name_count);
        }
        for (size_t j = 0; j < n->outputs; j++) {
            FUZZ_CHECK(n->output[j] < g->name_count);
        }
    }
    for (size_t i = 0; i < g->tensor_count; i++) {
        check_tensor(g, &g->tensors[i], data, size);
    }
    FUZZ_CHECK(tub__onnx_graph_same(g, g, &what));
    const tub_status status = tub__onnx_graph_check(&tub__default_allocator, g, &err);
    if (status != TUB_OK) {
        FUZZ_CHECK_ERROR(status, err);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tub__onnx_graph g;
    tub_error err = {0};
    const tub_status status = tub__onnx_read(&tub__default_allocator, data, size, &g, &err);
    if (status == TUB_OK) {
        check_graph(&g, data, size);
        tub__onnx_graph_free(&tub__default_allocator, &g);
    } else {
        FUZZ_CHECK_ERROR(status, err);
    }
    int left = (int)(size % 7);
    const tub_allocator failing = fuzz_allocator(&left);
    if (tub__onnx_read(&failing, data, size, &g, &err) == TUB_OK) {
        tub__onnx_graph_free(&failing, &g);
    }
    return 0;
}
