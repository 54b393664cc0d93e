/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX files of every kind of model: the graph, computed in float64 by the operators'
 * definitions, gives what the model gives. */
#include "cmocka_all.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "context_folder.h"
#include "failing_alloc.h"
#include "failing_context.h"
#include "formats/json.h"
#include "formats/onnx.h"
#include "onnx_cases.h"
#include "onnx_run.h"

static const tub_allocator *const allocator = &tub__default_allocator;

/* ---- Files ---- */

typedef struct opened {
    tub__map file, data;
    tub__onnx_graph graph;
} opened;

static void open_file(const char *path, opened *o) {
    char data[600];
    tub_error err;
    *o = (opened){0};
    assert_ok(tub__map_open(path, &o->file, &err), err);
    assert_ok(tub__onnx_read(allocator, o->file.data, o->file.size, &o->graph, &err), err);
    assert_ok(tub__onnx_graph_check(allocator, &o->graph, &err), err);
    if (o->graph.location[0] != '\0') {
        snprintf(data, sizeof data, "%s.data", path);
        assert_ok(tub__map_open(data, &o->data, &err), err);
    }
}

static void close_file(opened *o) {
    tub__onnx_graph_free(allocator, &o->graph);
    tub__map_close(&o->file);
    tub__map_close(&o->data);
}

/* A fresh folder for a case below the fixture's. */
static const char *place(fixture *f, const char *name, char out[400]) {
    tub_error err;
    snprintf(out, 400, "%s/%s", f->folder.path, name);
    assert_ok(tub__folder_create(out, &err), err);
    return out;
}

/* ---- Comparing ---- */

static double off_rows(const double *theirs, const float *ours, size_t rows, size_t n) {
    double worst = 0;
    for (size_t r = 0; r < rows; r++) {
        double most = 0, largest = 0;
        for (size_t i = r * n; i < (r + 1) * n; i++) {
            most = fmax(most, fabs(theirs[i] - (double)ours[i]));
            largest = fmax(largest, fabs((double)ours[i]));
        }
        worst = fmax(worst, most / largest);
    }
    return worst;
}

/* Computes the first so many samples; the worst of the logits' differences in *logits, and the
 * probabilities'. */
static double off(const opened *o, const onnx_sample *s, size_t samples, double *probabilities) {
    const tub_model_config *c = &s->config;
    const int64_t shape[] = {(int64_t)samples, c->frames, c->height, c->width, c->channels};
    double *input = malloc(samples * s->voxels * sizeof *input);
    for (size_t i = 0; i < samples * s->voxels; i++) {
        input[i] = s->levels != NULL ? (double)s->levels[i] : (double)s->clips[i];
    }
    onnx_run *r = onnx_run_graph(&o->graph, o->data.data, 5, shape, input);
    free(input);
    assert_string_equal(r->problem, "");
    const onnx_array *logits = onnx_run_value(r, "logits"), *p = onnx_run_value(r, "probabilities");
    assert_int_equal(logits->count, samples * (size_t)c->classes);
    assert_int_equal(p->count, logits->count);
    const double worst = off_rows(logits->data, s->logits, samples, (size_t)c->classes);
    if (probabilities != NULL) {
        *probabilities = off_rows(p->data, s->probabilities, samples, (size_t)c->classes);
    }
    onnx_run_free(r);
    return worst;
}

static void every_case_is_the_model(void **state) {
    fixture *f = *state;
    for (size_t i = 0; i < onnx_case_count; i++) {
        const onnx_case *c = &onnx_cases[i];
        const tub_model_config config = onnx_case_config(c);
        char base[400], folder[500], file[500];
        onnx_sample s;
        opened o;
        tub_error err;
        double p;
        snprintf(folder, sizeof folder, "%s/model", place(f, c->name, base));
        snprintf(file, sizeof file, "%s/model.onnx", base);
        assert_ok(onnx_case_make(f->ctx, c, &config, folder, &s, &err), err);
        if (onnx_case_convert(f->ctx, c, folder, file, &err) != TUB_OK) {
            fail_msg("%s: %s", c->name, err.message);
        }
        open_file(file, &o);
        const double all = off(&o, &s, ONNX_SAMPLES, &p), first = off(&o, &s, 1, NULL);
        if (!(all < 2e-6) || !(first < 2e-6) || !(p < 2e-6)) {
            fail_msg("%s: logits are off by %g and %g, probabilities by %g", c->name, all, first,
                     p);
        }
        assert_int_equal(o.data.data != NULL, c->external_data);
        close_file(&o);
        onnx_sample_free(&s);
    }
}

/* ---- Negative controls ---- */

/* How far the file of a changed configuration is from the model of the case. */
static double off_when(fixture *f, const char *name, const onnx_case *c,
                       const tub_model_config *changed) {
    const tub_model_config config = onnx_case_config(c);
    char base[400], right[500], wrong[500], file[500];
    onnx_sample s;
    opened o;
    tub_error err;
    snprintf(right, sizeof right, "%s/right", place(f, name, base));
    snprintf(wrong, sizeof wrong, "%s/wrong", base);
    snprintf(file, sizeof file, "%s/model.onnx", base);
    assert_ok(onnx_case_make(f->ctx, c, &config, right, &s, &err), err);
    assert_ok(onnx_case_make(f->ctx, c, changed, wrong, NULL, &err), err);
    assert_ok(onnx_case_convert(f->ctx, c, wrong, file, &err), err);
    open_file(file, &o);
    const double worst = off(&o, &s, ONNX_SAMPLES, NULL);
    close_file(&o);
    onnx_sample_free(&s);
    return worst;
}

static void mistakes_show(void **state) {
    tub_model_config gelu = onnx_case_config(&onnx_cases[0]),
                     epsilon = onnx_case_config(&onnx_cases[0]);
    gelu.gelu = TUB_GELU_ERF;
    epsilon.norm_epsilon = 1e-5;
    assert_true(off_when(*state, "gelu", &onnx_cases[0], &gelu) > 2 * ONNX_TOLERANCE);
    assert_true(off_when(*state, "epsilon", &onnx_cases[0], &epsilon) > 2 * ONNX_TOLERANCE);
}

/* ---- What stands beside the graph ---- */

static const char *note(const opened *o, const char *key) {
    for (size_t i = 0; i < o->graph.note_count; i++) {
        if (strcmp(o->graph.notes[i].key, key) == 0) {
            return o->graph.notes[i].text;
        }
    }
    return NULL;
}

static void metadata_tells_the_rest(void **state) {
    fixture *f = *state;
    const onnx_case *c = &onnx_cases[0];
    const tub_model_config config = onnx_case_config(c);
    char base[400], folder[500], file[500];
    opened o;
    tub_error err;
    tub__json *json;
    snprintf(folder, sizeof folder, "%s/model", place(f, "notes", base));
    snprintf(file, sizeof file, "%s/model.onnx", base);
    assert_ok(onnx_case_make(f->ctx, c, &config, folder, NULL, &err), err);
    assert_ok(onnx_case_convert(f->ctx, c, folder, file, &err), err);
    open_file(file, &o);
    assert_string_equal(
        note(&o, "labels"),
        "[\"one\", \"two \\\"quoted\\\"\", \"drei\303\237ig\", \"four\", \"five\"]");
    assert_string_equal(note(&o, "task"), "multi_class");
    for (const char *const *key = (const char *const[]){"config", "preprocessor_config", NULL};
         *key != NULL; key++) {
        const char *text = note(&o, *key);
        assert_ok(tub__json_parse(text, strlen(text), &json, &err), err);
        tub__json_free(json);
    }
    assert_string_equal(o.graph.producer, "tubelet");
    assert_string_equal(o.graph.producer_version, tub_version());
    assert_int_equal(o.graph.ir_version, 8);
    assert_int_equal(o.graph.opset, 17);
    close_file(&o);
}

/* ---- Nothing half done ---- */

static void names_that_are_taken(void **state) {
    fixture *f = *state;
    const onnx_case *c = &onnx_cases[0];
    const tub_model_config config = onnx_case_config(c);
    char base[400], folder[500], file[500], data[520];
    tub_error err;
    struct stat st;
    snprintf(folder, sizeof folder, "%s/model", place(f, "taken", base));
    snprintf(file, sizeof file, "%s/model.onnx", base);
    snprintf(data, sizeof data, "%s.data", file);
    assert_ok(onnx_case_make(f->ctx, c, &config, folder, NULL, &err), err);
    assert_ok(tub__file_write(allocator, data, "x", 1, &err), err);
    assert_int_equal(onnx_case_convert(f->ctx, c, folder, file, &err), TUB_E_EXISTS);
    assert_non_null(strstr(err.message, "model.onnx.data is there already"));
    assert_int_not_equal(stat(file, &st), 0);
    assert_int_equal(remove(data), 0);
    assert_ok(onnx_case_convert(f->ctx, c, folder, file, &err), err);
    assert_int_equal(onnx_case_convert(f->ctx, c, folder, file, &err), TUB_E_EXISTS);
}

typedef struct work {
    const onnx_case *c;
    const char *folder, *file;
} work;

static tub_status convert_with(tub_context *ctx, const void *user, tub_error *err) {
    const work *w = user;
    char data[520];
    const tub_status status = onnx_case_convert(ctx, w->c, w->folder, w->file, err);
    struct stat st;
    snprintf(data, sizeof data, "%s.data", w->file);
    if (status != TUB_OK && (stat(w->file, &st) == 0 || stat(data, &st) == 0)) {
        return tub__fail(err, TUB_E_IO, "something was left");
    }
    (void)remove(w->file);
    (void)remove(data);
    return status;
}

static tub_status convert_failing(const tub_allocator *a, void *user, tub_error *err) {
    return in_failing_context(a, 1, TUB_PRECISION_F32, convert_with, user, err);
}

static void memory_that_is_refused(void **state) {
    fixture *f = *state;
    char base[400], folder[500], file[500];
    tub_error err;
    const onnx_case c = {.name = "memory", .external_data = 1, .uint8_input = 1};
    tub_model_config config = onnx_case_config(&c);
    config.layers = 1;
    config.pooling = TUB_POOL_CLASS_TOKEN;
    config.positions = TUB_POSITIONS_SINUSOIDAL_1D;
    config.sampled_frames = 2;
    config.tubelet[0] = 1;
    snprintf(folder, sizeof folder, "%s/model", place(f, c.name, base));
    snprintf(file, sizeof file, "%s/model.onnx", base);
    assert_ok(onnx_case_make(f->ctx, &c, &config, folder, NULL, &err), err);
    work w = {&c, folder, file};
    const failing_report report = failing_run(convert_failing, &w);
    assert_string_equal(report.problem, "");
}

/* ---- Memory ---- */

/* An allocator that knows how many bytes are out. */
typedef struct tally {
    size_t now, peak;
} tally;
enum { TALLY_HEAD = 64 };

static void *tally_take(void *user, size_t size) {
    tally *t = user;
    unsigned char *block = tub__default_allocator.alloc(NULL, size + TALLY_HEAD);
    if (block == NULL) {
        return NULL;
    }
    memcpy(block, &size, sizeof size);
    t->now += size;
    t->peak = t->now > t->peak ? t->now : t->peak;
    return block + TALLY_HEAD;
}

static void tally_drop(void *user, void *block) {
    tally *t = user;
    unsigned char *begin = (unsigned char *)block - TALLY_HEAD;
    size_t size;
    memcpy(&size, begin, sizeof size);
    t->now -= size;
    tub__default_allocator.free(NULL, begin);
}

static tub_status open_only(tub_context *ctx, const void *user, tub_error *err) {
    const work *w = user;
    tub_model *model;
    const tub_status status = tub_model_open(ctx, w->folder, &model, err);
    if (status == TUB_OK) {
        tub_model_close(model);
    }
    return status;
}

static size_t peak_of(failing_work *what, const work *w) {
    tally t = {0};
    tub_error err;
    const tub_allocator a = {tally_take, tally_drop, &t};
    assert_ok(in_failing_context(&a, 1, TUB_PRECISION_F32, what, w, &err), err);
    assert_int_equal(t.now, 0);
    return t.peak;
}

/* Arrays pass by one after another: of a model of 13 MB, converting takes less than 1 MB more
 * than opening. */
static void arrays_pass_by(void **state) {
    fixture *f = *state;
    char base[400], folder[500], file[500];
    tub_error err;
    const onnx_case c = {.name = "bounded", .external_data = 1};
    tub_model_config config = onnx_case_config(&c);
    config.hidden = 256;
    config.mlp = 512;
    config.layers = 6;
    snprintf(folder, sizeof folder, "%s/model", place(f, c.name, base));
    snprintf(file, sizeof file, "%s/model.onnx", base);
    assert_ok(onnx_case_make(f->ctx, &c, &config, folder, NULL, &err), err);
    const work w = {&c, folder, file};
    const size_t open = peak_of(open_only, &w), whole = peak_of(convert_with, &w);
    assert_true(open > 12000000);
    assert_true(whole < open + 1000000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_case_is_the_model, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mistakes_show, set_up, tear_down),
        cmocka_unit_test_setup_teardown(metadata_tells_the_rest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_that_are_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_that_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(arrays_pass_by, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
