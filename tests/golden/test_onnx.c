/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX graphs against onnxruntime's numbers: first of the goldens themselves, which shows that
 * the reader and the operators of the tests are right, then of what tubelet writes of the same
 * weights. */
#include "golden_array.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "formats/onnx.h"
#include "support/context_folder.h"
#include "support/onnx_run.h"

enum { CLASSES = 3, SAMPLES = 2, VOXELS = 8 * 8 * 8 };
static const tub_allocator *const allocator = &tub__default_allocator;

/* Of the sample's largest logit. Golden and graph are float32 and float64. */
static const double TOLERANCE = 1e-5;

/* ---- Files ---- */

typedef struct file {
    char *bytes;
    tub__onnx_graph graph;
} file;

static tub_status file_read(const char *path, file *f, tub_error *err) {
    size_t size;
    *f = (file){0};
    assert_ok(tub__file_read(allocator, path, 1 << 20, &f->bytes, &size, err), *err);
    return tub__onnx_read(allocator, f->bytes, size, &f->graph, err);
}

static void file_close(file *f) {
    tub__onnx_graph_free(allocator, &f->graph);
    tub__free(allocator, f->bytes);
}

static tub_status golden_read(const char *name, file *f, tub_error *err) {
    char path[512];
    snprintf(path, sizeof path, GOLDEN "/onnx/%s", name);
    return file_read(path, f, err);
}

static double *golden_clip(void) {
    static double clip[SAMPLES * VOXELS];
    char *bytes;
    size_t size;
    tub__npy npy;
    tub_error err;
    assert_ok(tub__file_read(allocator, GOLDEN "/onnx/clip.npy", 1 << 20, &bytes, &size, &err),
              err);
    assert_ok(tub__npy_parse(bytes, size, false, &npy, &err), err);
    assert_int_equal(npy.elements, SAMPLES * VOXELS);
    assert_ok(tub__npy_to_f64(&npy, bytes, clip, &err), err);
    tub__free(allocator, bytes);
    return clip;
}

static onnx_run *run(const tub__onnx_graph *graph) {
    static const int64_t shape[] = {SAMPLES, 8, 8, 8, 1};
    return onnx_run_graph(graph, NULL, 5, shape, golden_clip());
}

/* ---- Comparing ---- */

/* The largest difference, in units of the largest number. */
static double difference(const double *a, const double *b, size_t n) {
    double most = 0, largest = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs(a[i] - b[i]));
        largest = fmax(largest, fabs(b[i]));
    }
    return most / largest;
}

/* Of the logits, sample by sample: the worst of them. */
static double logits_difference(const double *a, const double *b) {
    double worst = 0;
    for (size_t i = 0; i < SAMPLES; i++) {
        worst = fmax(worst, difference(a + i * CLASSES, b + i * CLASSES, CLASSES));
    }
    return worst;
}

static double *expected(const char *name, const char *array) {
    tub__npz *z = golden_open(GOLDEN "/onnx", name);
    double *values = golden_array(z, array, NULL);
    tub__npz_close(z);
    return values;
}

static double off_golden(const onnx_run *r, const char *name) {
    double *golden = expected(name, "logits");
    assert_string_equal(r->problem, "");
    const double off = logits_difference(onnx_run_value(r, "logits")->data, golden);
    free(golden);
    return off;
}

/* ---- The goldens ---- */

static void check_golden(const char *stem) {
    static const char *const outputs[] = {"logits", "probs", "attention"};
    char name[128];
    file f;
    tub_error err;
    snprintf(name, sizeof name, "%s.onnx", stem);
    assert_ok(golden_read(name, &f, &err), err);
    assert_ok(tub__onnx_graph_check(allocator, &f.graph, &err), err);
    assert_int_equal(f.graph.opset, 17);
    onnx_run *r = run(&f.graph);
    snprintf(name, sizeof name, "%s.expected.npz", stem);
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++) {
        const onnx_array *ours = onnx_run_value(r, outputs[i]);
        double *golden = expected(name, outputs[i]);
        assert_string_equal(r->problem, "");
        assert_true(difference(ours->data, golden, ours->count) < 1e-6);
        free(golden);
    }
    onnx_run_free(r);
    file_close(&f);
}

static void goldens_are_computed(void **state) {
    (void)state;
    check_golden("opset17_erf");
    check_golden("opset17_tanh");
}

/* Mistakes that a reader or the rules of graphs find. */
static void mistakes_are_told(void **state) {
    static const struct {
        const char *name;
        const char *sentence;
    } mistakes[] = {
        {"bad_raw_data_short.onnx", "the array pos has 8 bytes, which its shape is not"},
        {"bad_int32_shape.onnx",
         "the graph has arrays of other numbers than float32 and int64, which is not read"},
        {"bad_no_opset.onnx", "there is no version of the operators (opset)"},
        {"bad_duplicate_output.onnx", "the value t4 is given twice"},
        {"bad_nodes_not_sorted.onnx", "the value logits is taken before it is given"}};
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        file f;
        tub_error err = {0};
        tub_status status = golden_read(mistakes[i].name, &f, &err);
        if (status == TUB_OK) {
            status = tub__onnx_graph_check(allocator, &f.graph, &err);
        }
        assert_true(status == TUB_E_FORMAT || status == TUB_E_UNSUPPORTED);
        assert_string_equal(err.message, mistakes[i].sentence);
        file_close(&f);
    }
}

/* Those that only numbers show, and an operator that opset 17 does not have. */
static void mistakes_change_numbers(void **state) {
    static const char *const names[] = {"bad_ln_epsilon_left_out.onnx",
                                        "bad_weights_transposed.onnx"};
    file f;
    tub_error err;
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_ok(golden_read(names[i], &f, &err), err);
        onnx_run *r = run(&f.graph);
        assert_true(off_golden(r, "opset17_erf.expected.npz") > 100 * TOLERANCE);
        onnx_run_free(r);
        file_close(&f);
    }
    assert_ok(golden_read("bad_gelu_in_opset17.onnx", &f, &err), err);
    onnx_run *r = run(&f.graph);
    assert_string_equal(r->problem, "Gelu: no operator that is known here");
    onnx_run_free(r);
    file_close(&f);
}

/* ---- Ours ---- */

static tub_model_config golden_config(void) {
    tub_model_config c;
    tub_error err;
    assert_ok(tub_model_preset("vivit-tiny", &c, &err), err);
    c.frames = c.height = c.width = 8;
    c.tubelet[0] = c.tubelet[1] = c.tubelet[2] = 4;
    c.hidden = 16;
    c.heads = 4;
    c.layers = 1;
    c.mlp = 32;
    c.classes = CLASSES;
    c.gelu = TUB_GELU_ERF;
    c.mlp_output_gelu = 0;
    return c;
}

/* The golden weights: dense ones [in, out], the convolution as model.safetensors has it. */
static void set_weights(tub_model *model) {
    static const struct {
        tub__role role;
        const char *name;
    } arrays[] = {
        {TUB__EMBED_KERNEL, "conv_w"}, {TUB__EMBED_BIAS, "conv_b"}, {TUB__POSITION, "pos"},
        {TUB__NORM1_GAMMA, "ln1_g"},   {TUB__NORM1_BETA, "ln1_b"},  {TUB__QUERY_KERNEL, "q_w"},
        {TUB__QUERY_BIAS, "q_b"},      {TUB__KEY_KERNEL, "k_w"},    {TUB__KEY_BIAS, "k_b"},
        {TUB__VALUE_KERNEL, "v_w"},    {TUB__VALUE_BIAS, "v_b"},    {TUB__OUT_KERNEL, "o_w"},
        {TUB__OUT_BIAS, "o_b"},        {TUB__NORM2_GAMMA, "ln2_g"}, {TUB__NORM2_BETA, "ln2_b"},
        {TUB__MLP1_KERNEL, "m1_w"},    {TUB__MLP1_BIAS, "m1_b"},    {TUB__MLP2_KERNEL, "m2_w"},
        {TUB__MLP2_BIAS, "m2_b"},      {TUB__NORM_GAMMA, "lnf_g"},  {TUB__NORM_BETA, "lnf_b"},
        {TUB__HEAD_KERNEL, "head_w"},  {TUB__HEAD_BIAS, "head_b"}};
    tub__npz *z = golden_open(GOLDEN "/onnx", "weights.npz");
    assert_int_equal(sizeof arrays / sizeof *arrays, model->params.count);
    for (size_t i = 0; i < model->params.count; i++) {
        const tub__param *p = &model->params.list[i];
        double *values = NULL;
        for (size_t j = 0; j < sizeof arrays / sizeof *arrays; j++) {
            if (arrays[j].role == p->role) {
                values = golden_array(z, arrays[j].name, NULL);
            }
        }
        if (p->role == TUB__EMBED_KERNEL) {
            float kernel[1024];
            for (size_t j = 0; j < tub__param_elements(p); j++) {
                kernel[j] = (float)values[j];
            }
            tub_error err;
            assert_ok(tub_model_set(model, (int64_t)i, kernel, &err), err);
        } else {
            golden_set_param(model, p, values);
        }
        free(values);
    }
    tub__npz_close(z);
}

/* Saves the golden weights in a configuration, converts that and reads the file. */
static void convert(fixture *fx, const tub_model_config *config, file *f) {
    tub_model *model;
    tub_error err;
    const char *folder = temp_path(&fx->folder, "model"),
               *out = temp_path(&fx->folder, "model.onnx");
    assert_ok(tub_model_create(fx->ctx, config, 1, &model, &err), err);
    set_weights(model);
    assert_ok(tub_model_save(model, folder, &err), err);
    tub_model_close(model);
    assert_ok(tub_convert(fx->ctx, folder, out, NULL, NULL, &err), err);
    assert_ok(file_read(out, f, &err), err);
    assert_int_equal(remove(out), 0);
    assert_ok(tub__folder_remove(allocator, folder, &err), err);
}

static double off_after(fixture *fx, const tub_model_config *config, const char *golden) {
    file f;
    convert(fx, config, &f);
    onnx_run *r = run(&f.graph);
    const double off = off_golden(r, golden);
    onnx_run_free(r);
    file_close(&f);
    return off;
}

/* With a wrong kind of GELU or a wrong epsilon the comparison must fail: negative controls. */
static void ours_equal_onnxruntime(void **state) {
    tub_model_config c = golden_config();
    assert_true(off_after(*state, &c, "opset17_erf.expected.npz") < TOLERANCE);
    assert_true(off_after(*state, &c, "opset17_tanh.expected.npz") > 2 * TOLERANCE);
    c.gelu = TUB_GELU_TANH;
    assert_true(off_after(*state, &c, "opset17_tanh.expected.npz") < TOLERANCE);
    assert_true(off_after(*state, &c, "opset17_erf.expected.npz") > 2 * TOLERANCE);
    c = golden_config();
    c.norm_epsilon = 1e-5;
    assert_true(off_after(*state, &c, "opset17_erf.expected.npz") > 100 * TOLERANCE);
}

static size_t count(const tub__onnx_graph *g, const char *op) {
    size_t n = 0;
    for (size_t i = 0; i < g->node_count; i++) {
        n += strcmp(g->nodes[i].op, op) == 0;
    }
    return n;
}

/* The same operators as the golden graph, as often. */
static void ours_is_the_same_graph(void **state) {
    const tub_model_config c = golden_config();
    file ours, golden;
    tub_error err;
    convert(*state, &c, &ours);
    assert_ok(golden_read("opset17_erf.onnx", &golden, &err), err);
    assert_int_equal(ours.graph.node_count, golden.graph.node_count);
    for (size_t i = 0; i < golden.graph.node_count; i++) {
        const char *op = golden.graph.nodes[i].op;
        assert_int_equal(count(&ours.graph, op), count(&golden.graph, op));
    }
    assert_int_equal(ours.graph.opset, golden.graph.opset);
    assert_int_equal(ours.graph.ir_version, golden.graph.ir_version);
    assert_string_equal(ours.graph.names[ours.graph.inputs[0].value], "clip");
    assert_int_equal(ours.graph.inputs[0].shape[0], -1);
    file_close(&golden);
    file_close(&ours);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goldens_are_computed),
        cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(mistakes_change_numbers),
        cmocka_unit_test_setup_teardown(ours_equal_onnxruntime, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ours_is_the_same_graph, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
