/* SPDX-License-Identifier: Apache-2.0 */
/* Explanations: what is refused, occlusion and curves against clips that are covered here,
 * integrated gradients that add up, pictures pixel by pixel, the same bits however they are
 * computed. */
#include <math.h>

#include "explain_scene.h"
#include "temp_folder.h"

static int set_up(void **state) {
    fill_x();
    *state = context(2, TUB_PRECISION_F32);
    return 0;
}

static int tear_down(void **state) {
    tub_context_destroy(*state);
    return 0;
}

/* ---- what is refused ---- */

static void refused(const tub_model *m, tub_explain_options o, tub_status status,
                    const char *sentence) {
    tub_error err = {0};
    tub_explanation e;
    assert_int_equal(tub_explain_check(m, &o, &err), status);
    if (strstr(err.message, sentence) == NULL) {
        fail_msg("'%s' lacks '%s'", err.message, sentence);
    }
    assert_int_equal(tub_explain((tub_model *)(uintptr_t)m, &o, TUB_F32, x, &e, NULL), status);
    assert_null(e.map);
}

#define REFUSED(m, method_, status, sentence, ...)                                                 \
    do {                                                                                           \
        tub_explain_options o = options_of(method_);                                               \
        __VA_ARGS__;                                                                               \
        refused(m, o, status, sentence);                                                           \
    } while (0)

static void test_options(void **state) {
    tub_model *m = vivit(*state, TUB_VARIANT_JOINT);
    const tub_explain_method roll = TUB_EXPLAIN_ROLLOUT, look = TUB_EXPLAIN_ATTENTION,
                             box = TUB_EXPLAIN_OCCLUSION, path = TUB_EXPLAIN_INTEGRATED_GRADIENTS;
    REFUSED(m, roll, TUB_E_RANGE, "class 3 of a model that has 3, counted from 0", o.target = 3);
    REFUSED(m, roll, TUB_E_RANGE, "class -2", o.target = -2);
    REFUSED(m, TUB_EXPLAIN_METHODS, TUB_E_RANGE, "method is 5", (void)o);
    REFUSED(m, look, TUB_E_RANGE, "layer 2 of a model that has 2, counted from 0", o.layer = 2);
    REFUSED(m, look, TUB_E_RANGE, "head 4 of a model that has 4", o.head = 4);
    REFUSED(m, roll, TUB_E_ARGUMENT, "a layer has no say in rollout", o.layer = 0);
    REFUSED(m, box, TUB_E_ARGUMENT, "a head has no say in occlusion", o.head = 0);
    REFUSED(m, look, TUB_E_ARGUMENT, "see each other over space and time", o.axes = TUB_AXES_SPACE);
    REFUSED(m, path, TUB_E_ARGUMENT, "axes has no say in integrated-gradients",
            o.axes = TUB_AXES_SPACE);
    REFUSED(m, box, TUB_E_RANGE, "frames of a box is 6", o.box[0] = 6);
    REFUSED(m, box, TUB_E_RANGE, "columns of a step is 9", o.step[2] = 9);
    REFUSED(m, path, TUB_E_ARGUMENT, "a box has no say", o.box[1] = 1);
    REFUSED(m, roll, TUB_E_ARGUMENT, "the probability has no say", o.probability = 1);
    REFUSED(m, path, TUB_E_RANGE, "steps is -1", o.steps = -1);
    REFUSED(m, box, TUB_E_ARGUMENT, "a number of steps has no say", o.steps = 3);
    REFUSED(m, roll, TUB_E_ARGUMENT, "a baseline has no say", o.baseline = TUB_BASELINE_MEAN);
    REFUSED(m, path, TUB_E_RANGE, "baseline is 4", o.baseline = TUB_BASELINES);
    REFUSED(m, path, TUB_E_ARGUMENT, "upsampling has no say",
            o.upsampling = TUB_UPSAMPLING_TRILINEAR);
    REFUSED(m, roll, TUB_E_RANGE, "batch is -1", o.batch = -1);
    REFUSED(m, roll, TUB_E_ARGUMENT, "start from tub_explain_options_default()", o.size = 0);
    tub_model_close(m);
}

static void test_axes(void **state) {
    const tub_explain_method look = TUB_EXPLAIN_ATTENTION;
    tub_model *m = vivit(*state, TUB_VARIANT_FACTORISED_ENCODER);
    REFUSED(m, look, TUB_E_RANGE, "layer 2 attends over time, and axes is 'space'", o.layer = 2,
            o.axes = TUB_AXES_SPACE);
    REFUSED(m, look, TUB_E_RANGE, "layer 3 of a model that has 3", o.layer = 3);
    tub_model_close(m);
    m = vivit(*state, TUB_VARIANT_FACTORISED_DOT_PRODUCT);
    REFUSED(m, look, TUB_E_RANGE, "head 1 attends over time, and axes is 'space'", o.head = 1,
            o.axes = TUB_AXES_SPACE);
    tub_model_close(m);
    tub_model_config c = config_of(TUB_FAMILY_VIVIT, TUB_VARIANT_FACTORISED_ENCODER);
    c.temporal_layers = 0;
    m = model_of(*state, &c);
    REFUSED(m, look, TUB_E_ARGUMENT, "no attention over time", o.axes = TUB_AXES_TIME);
    tub_model_close(m);
}

static void test_baselines_without_attention(void **state) {
    for (int f = TUB_FAMILY_CNN_FRAME; f <= TUB_FAMILY_RESNET3D18; f++) {
        const tub_model_config c = config_of((tub_family)f, TUB_VARIANT_JOINT);
        tub_model *m = model_of(*state, &c);
        for (int k = 0; k <= TUB_EXPLAIN_ATTENTION; k++) {
            REFUSED(m, (tub_explain_method)k, TUB_E_UNSUPPORTED,
                    "choose occlusion or integrated-gradients", (void)o);
        }
        tub_model_close(m);
    }
}

static void test_reduced(void **state) {
    (void)state;
    const tub_model_config c = config_of(TUB_FAMILY_VIVIT, TUB_VARIANT_JOINT);
    for (int p = TUB_PRECISION_BF16; p <= TUB_PRECISION_INT8; p++) {
        tub_context *ctx = context(1, (tub_precision)p);
        tub_model *m = NULL;
        tub_error err = {0};
        assert_ok(tub_model_create_for_inference(ctx, &c, 7, &m, &err), err);
        for (int k = 0; k < TUB_EXPLAIN_METHODS; k++) {
            if (k != TUB_EXPLAIN_OCCLUSION) {
                REFUSED(m, (tub_explain_method)k, TUB_E_UNSUPPORTED,
                        p == TUB_PRECISION_INT8 ? "int8 ones, without gradients"
                                                : "bf16 ones, without gradients",
                        (void)o);
            }
        }
        const tub_explain_options o = options_of(TUB_EXPLAIN_OCCLUSION);
        tub_explanation e = explain(m, &o);
        tub_explanation_free(&e);
        tub_model_close(m);
        tub_context_destroy(ctx);
    }
}

static void test_bad_numbers(void **state) {
    tub_model *m = vivit(*state, TUB_VARIANT_JOINT);
    float bad[NUMBERS];
    tub_explanation e;
    tub_error err = {0};
    memcpy(bad, x, sizeof bad);
    for (int i = 0; i < 2; i++) {
        bad[100] = i == 0 ? NAN : INFINITY;
        assert_int_equal(tub_explain(m, NULL, TUB_F32, bad, &e, &err), TUB_E_NUMERIC);
        assert_string_equal(err.message, "value 100 of the clip is no finite number: replace it");
    }
    assert_int_equal(tub_explain(m, NULL, TUB_F64, bad, &e, &err), TUB_E_ARGUMENT);
    assert_non_null(strstr(err.message, "uint8 and float32"));
    tub_explain_options o = options_of(TUB_EXPLAIN_ROLLOUT);
    o.raw = "/nowhere/at/all";
    assert_int_equal(tub_explain(m, &o, TUB_F32, x, &e, &err), TUB_E_NOT_FOUND);
    assert_non_null(strstr(err.message, "/nowhere/at/all-attention.npy"));
    assert_null(e.map);
    tub_model_close(m);
}

static void test_words(void **state) {
    (void)state;
    tub_error err = {0};
    tub_explain_method method;
    tub_axes axes;
    tub_baseline baseline;
    tub_upsampling upsampling;
    for (int i = 0; i < TUB_EXPLAIN_METHODS; i++) {
        const char *name = tub_explain_method_name((tub_explain_method)i);
        assert_ok(tub_explain_method_parse(name, &method, &err), err);
        assert_int_equal(method, i);
    }
    assert_string_equal(tub_explain_method_name(TUB_EXPLAIN_METHODS), "unknown");
    assert_int_equal(tub_explain_method_parse("saliency", &method, &err), TUB_E_ARGUMENT);
    assert_string_equal(err.message, "'saliency' is no method: choose gradient-rollout, rollout, "
                                     "attention, occlusion or integrated-gradients");
    assert_int_equal(tub_axes_parse("depth", &axes, &err), TUB_E_ARGUMENT);
    assert_int_equal(tub_baseline_parse("default", &baseline, &err), TUB_E_ARGUMENT);
    assert_string_equal(err.message, "'default' is no baseline: choose black, zero or mean");
    assert_int_equal(tub_upsampling_parse("cubic", &upsampling, &err), TUB_E_ARGUMENT);
    assert_ok(tub_axes_parse("time", &axes, &err), err);
    assert_ok(tub_baseline_parse("mean", &baseline, &err), err);
    assert_ok(tub_upsampling_parse("trilinear", &upsampling, &err), err);
    assert_true(axes == TUB_AXES_TIME && baseline == TUB_BASELINE_MEAN &&
                upsampling == TUB_UPSAMPLING_TRILINEAR);
}

/* ---- occlusion, covered here ---- */

static void mean_colour(const float *clip, float mean[C]) {
    for (int c = 0; c < C; c++) {
        double sum = 0;
        for (int i = c; i < NUMBERS; i += C) {
            sum += (double)clip[i];
        }
        mean[c] = (float)(sum / VOXELS);
    }
}

static void cover(float *clip, const int64_t begin[3], const int64_t box[3],
                  const float colour[C]) {
    for (int64_t t = begin[0]; t < begin[0] + box[0]; t++) {
        for (int64_t h = begin[1]; h < begin[1] + box[1]; h++) {
            for (int64_t w = begin[2]; w < begin[2] + box[2]; w++) {
                memcpy(clip + ((t * H + h) * W + w) * C, colour, C * sizeof *clip);
            }
        }
    }
}

static double answer_of(tub_model *m, const float *clip, int64_t target, bool probability) {
    float logits[K], probabilities[K];
    tub_error err = {0};
    assert_ok(tub_model_forward(m, 1, TUB_F32, clip, logits, probabilities, &err), err);
    return (double)(probability ? probabilities : logits)[target];
}

static int64_t begin_of(int64_t k, int64_t side, int64_t box, int64_t step) {
    return k * step < side - box ? k * step : side - box;
}

static void check_occlusion(tub_model *m, const int64_t box[3], const int64_t step[3],
                            bool probability, tub_baseline baseline) {
    static const int64_t sides[3] = {T, H, W};
    tub_explain_options o = options_of(TUB_EXPLAIN_OCCLUSION);
    float colour[C] = {0};
    double sum[VOXELS] = {0}, count[VOXELS] = {0};
    o.probability = probability, o.baseline = baseline, o.target = 1;
    for (int i = 0; i < 3; i++) {
        o.box[i] = box[i], o.step[i] = step[i];
    }
    if (baseline != TUB_BASELINE_ZERO) {
        mean_colour(x, colour);
    }
    tub_explanation e = explain(m, &o);
    for (int i = 0; i < 3; i++) {
        assert_true(e.box[i] == box[i] && e.step[i] == step[i]);
    }
    const double before = answer_of(m, x, 1, probability);
    for (int64_t k = 0; k < e.grid[0] * e.grid[1] * e.grid[2]; k++) {
        const int64_t at[3] = {k / e.grid[2] / e.grid[1], k / e.grid[2] % e.grid[1], k % e.grid[2]};
        int64_t begin[3];
        float clip[NUMBERS];
        for (int i = 0; i < 3; i++) {
            begin[i] = begin_of(at[i], sides[i], box[i], step[i]);
        }
        memcpy(clip, x, sizeof clip);
        cover(clip, begin, box, colour);
        const double lost = before - answer_of(m, clip, 1, probability);
        assert_true(e.cells[k] == (float)lost);
        for (int v = 0; v < VOXELS; v++) {
            const int64_t place[3] = {v / W / H, v / W % H, v % W};
            bool in = true;
            for (int i = 0; i < 3; i++) {
                in = in && place[i] >= begin[i] && place[i] < begin[i] + box[i];
            }
            sum[v] += in ? (double)(float)lost : 0;
            count[v] += in;
        }
    }
    for (int v = 0; v < VOXELS; v++) {
        assert_true(count[v] > 0);
        assert_true(fabs((double)e.map[v] - sum[v] / count[v]) < 1e-6);
    }
    tub_explanation_free(&e);
}

static void test_occlusion(void **state) {
    static const int64_t boxes[][2][3] = {
        {{2, 3, 3}, {2, 3, 3}}, {{3, 2, 5}, {1, 2, 2}}, {{5, 6, 8}, {1, 1, 1}}};
    const tub_model_config c = config_of(TUB_FAMILY_RESNET3D18, TUB_VARIANT_JOINT);
    tub_model *models[] = {vivit(*state, TUB_VARIANT_FACTORISED_ENCODER), model_of(*state, &c)};
    for (int i = 0; i < 2; i++) {
        for (size_t k = 0; k < 3; k++) {
            check_occlusion(models[i], boxes[k][0], boxes[k][1], k == 1,
                            k == 0 ? TUB_BASELINE_DEFAULT : TUB_BASELINE_ZERO);
        }
        tub_model_close(models[i]);
    }
}

/* ---- integrated gradients ---- */

static void test_adds_up(void **state) {
    for (int f = TUB_FAMILY_VIVIT; f <= TUB_FAMILY_RESNET3D18; f++) {
        const tub_model_config c = config_of((tub_family)f, TUB_VARIANT_JOINT);
        tub_model *m = model_of(*state, &c);
        tub_explain_options o = options_of(TUB_EXPLAIN_INTEGRATED_GRADIENTS);
        for (int b = TUB_BASELINE_BLACK; b < TUB_BASELINES; b++) {
            double sum = 0;
            float nothing[NUMBERS] = {0}, colour[C];
            o.baseline = (tub_baseline)b;
            tub_explanation e = explain(m, &o);
            if (b == TUB_BASELINE_MEAN) {
                mean_colour(x, colour);
                cover(nothing, (int64_t[3]){0}, (int64_t[3]){T, H, W}, colour);
            }
            const double way =
                answer_of(m, x, e.target, false) - answer_of(m, nothing, e.target, false);
            for (int i = 0; i < VOXELS; i++) {
                sum += (double)e.map[i];
            }
            assert_true(fabs(e.logit - e.baseline_logit - way) < 1e-6);
            assert_true(fabs(sum - e.sum) < 1e-5);
            if (!(fabs(sum - way) <= 0.01 * fabs(way))) {
                fail_msg(
                    "family %d, baseline %d: the map has the sum %g after %d points, the logit "
                    "grows by %g",
                    f, b, sum, (int)e.steps, way);
            }
            assert_true(e.adds_up);
            tub_explanation_free(&e);
        }
        tub_model_close(m);
    }
}

/* Of one point the map is not what it says, and it says so; as many as it takes are taken. */
static void test_points(void **state) {
    tub_model *m = vivit(*state, TUB_VARIANT_JOINT);
    tub_explain_options o = options_of(TUB_EXPLAIN_INTEGRATED_GRADIENTS);
    o.steps = 1;
    tub_explanation e = explain(m, &o);
    const double way = e.logit - e.baseline_logit;
    assert_true(fabs(e.sum - way) > 0.01 * fabs(way) && !e.adds_up && e.steps == 1);
    tub_explanation_free(&e);
    o.steps = 0;
    e = explain(m, &o);
    assert_true(e.adds_up && e.steps >= 64 && e.steps <= 4096);
    /* Half as many would not have done, unless they were the first. */
    const int64_t enough = e.steps;
    tub_explanation_free(&e);
    o.steps = enough / 2;
    e = explain(m, &o);
    assert_true(enough == 64 || !e.adds_up);
    tub_explanation_free(&e);
    tub_model_close(m);
}

/* ---- curves ---- */

static void test_curves(void **state) {
    tub_model *m = vivit(*state, TUB_VARIANT_JOINT);
    const tub_explain_options o = options_of(TUB_EXPLAIN_ROLLOUT);
    const int64_t box[3] = {2, 3, 3};
    tub_explanation e = explain(m, &o);
    tub_explain_curves c;
    tub_error err = {0};
    float clip[NUMBERS], colour[C];
    mean_colour(x, colour);
    assert_ok(tub_explanation_evaluate(m, &e, TUB_F32, x, 0, TUB_BASELINE_DEFAULT, &c, &err), err);
    assert_int_equal(c.points, 9); /* 2 x 2 x 2 tubelets */
    assert_int_equal(c.baseline, TUB_BASELINE_MEAN);
    /* The cells in the order of the map, by looking for the largest that is left. */
    bool done[8] = {false};
    double area = 0;
    memcpy(clip, x, sizeof clip);
    assert_true(fabs(c.deletion[0] - answer_of(m, x, e.target, true)) == 0);
    for (int k = 1; k <= 8; k++) {
        int best = -1;
        for (int i = 0; i < 8; i++) {
            best = !done[i] && (best < 0 || e.cells[i] > e.cells[best]) ? i : best;
        }
        done[best] = true;
        cover(clip, (int64_t[3]){best / 4 * 2, best / 2 % 2 * 3, best % 2 * 3}, box, colour);
        assert_true(c.deletion[k] == answer_of(m, clip, e.target, true));
        area += (c.deletion[k - 1] + c.deletion[k]) / 16;
    }
    assert_true(fabs(area - c.deletion_auc) < 1e-12);
    tub_explain_curves_free(&c);
    assert_ok(tub_explanation_evaluate(m, &e, TUB_F32, x, 3, TUB_BASELINE_ZERO, &c, &err), err);
    assert_int_equal(c.points, 4);
    memset(clip, 0, sizeof clip);
    assert_true(c.insertion[0] == answer_of(m, clip, e.target, true));
    tub_explain_curves_free(&c);
    assert_int_equal(tub_explanation_evaluate(m, &e, TUB_F32, x, 9, TUB_BASELINE_ZERO, &c, &err),
                     TUB_E_RANGE);
    assert_non_null(strstr(err.message, "steps is 9; it must be from 0 to 8"));
    for (int i = 0; i < 2; i++) {
        const int64_t own = e.target;
        e.target = i == 0 ? -1 : K;
        assert_int_equal(
            tub_explanation_evaluate(m, &e, TUB_F32, x, 3, TUB_BASELINE_ZERO, &c, &err),
            TUB_E_RANGE);
        assert_non_null(strstr(err.message, "the map's class is "));
        assert_null(c.deletion);
        e.target = own;
    }
    e.width--;
    assert_int_equal(tub_explanation_evaluate(m, &e, TUB_F32, x, 3, TUB_BASELINE_ZERO, &c, &err),
                     TUB_E_SHAPE);
    assert_null(c.deletion);
    tub_explanation_free(&e);
    tub_model_close(m);
}

/* ---- pictures ---- */

static const unsigned char *pixel(const tub_clip *c, int64_t picture, int64_t row, int64_t column) {
    return (const unsigned char *)c->samples +
           ((picture * c->height + row) * c->width + column) * 3;
}

static void test_draw(void **state) {
    static float map[VOXELS];
    static unsigned char gray[VOXELS];
    static double seconds[T] = {0, 0.5, 1, 1.5, 2};
    const tub_explanation e = {.owner = *state, .frames = T, .height = H, .width = W, .map = map};
    const tub_clip clip = {.frames = T,
                           .height = H,
                           .width = W,
                           .channels = 1,
                           .dtype = TUB_U8,
                           .samples = gray,
                           .seconds = seconds};
    tub_overlay_options o = tub_overlay_options_default();
    tub_clip out;
    tub_error err = {0};
    for (int i = 0; i < VOXELS; i++) {
        gray[i] = (unsigned char)(i % 251);
        map[i] = i % 3 == 0 ? -1 : 0;
    }
    map[(2 * H + 4) * W + 5] = 2; /* frame 2, row 4, column 5 */
    assert_ok(tub_explanation_draw(&e, &clip, NULL, &out, &err), err);
    assert_int_equal(out.frames, T);
    assert_true(out.height == H && out.width == W && out.channels == 3 && out.seconds[3] == 1.5);
    for (int64_t v = 0; v < VOXELS; v++) {
        const unsigned char *p = pixel(&out, v / W / H, v / W % H, v % W);
        if (v != (2 * H + 4) * W + 5) {
            assert_true(p[0] == gray[v] && p[1] == gray[v] && p[2] == gray[v]);
        }
    }
    /* Three quarters of viridis' last colour, a quarter of the level. */
    const double level = gray[(2 * H + 4) * W + 5];
    const unsigned char *p = pixel(&out, 2, 4, 5);
    assert_int_equal(p[0], (int)(0.75 * 253 + 0.25 * level + 0.5));
    assert_int_equal(p[1], (int)(0.75 * 231 + 0.25 * level + 0.5));
    assert_int_equal(p[2], (int)(0.75 * 37 + 0.25 * level + 0.5));
    tub_clip_free(&out);
    /* Slices across the rows, every second one, thrice as large, each below the clip itself. */
    o.axis = 1, o.most = 3, o.bare = 1, o.scale = 3;
    assert_ok(tub_explanation_draw(&e, &clip, &o, &out, &err), err);
    assert_true(out.frames == 3 && out.height == 2 * T * 3 && out.width == W * 3);
    assert_true(out.indices[0] == 1 && out.indices[1] == 3 && out.indices[2] == 5);
    assert_null(out.seconds);
    assert_int_equal(pixel(&out, 1, 2 * 3, 4 * 3 + 2)[0], gray[(2 * H + 3) * W + 4]);
    tub_clip_free(&out);
    o.axis = 2, o.most = 0;
    assert_ok(tub_explanation_draw(&e, &clip, &o, &out, &err), err);
    assert_true(out.frames == W && out.height == 2 * T * 3 && out.width == H * 3);
    assert_int_equal(pixel(&out, 5, 2 * 3 + T * 3, 4 * 3)[1],
                     (int)(0.75 * 231 + 0.25 * level + 0.5));
    tub_clip_free(&out);
    o.axis = 3;
    assert_int_equal(tub_explanation_draw(&e, &clip, &o, &out, &err), TUB_E_RANGE);
    o.axis = 0, o.strength = 1.5;
    assert_int_equal(tub_explanation_draw(&e, &clip, &o, &out, &err), TUB_E_RANGE);
    o.strength = 1, o.size = 0;
    assert_int_equal(tub_explanation_draw(&e, &clip, &o, &out, &err), TUB_E_ARGUMENT);
    o.size = sizeof o, o.scale = 65;
    assert_int_equal(tub_explanation_draw(&e, &clip, &o, &out, &err), TUB_E_RANGE);
    /* Floats from the least to the greatest; what is no number is black. */
    static float floats[VOXELS];
    for (int i = 0; i < VOXELS; i++) {
        floats[i] = i == 7 ? NAN : i % 2 == 0 ? -3 : i == 9 ? 3 : 5;
    }
    tub_clip wide = clip;
    wide.dtype = TUB_F32, wide.samples = floats;
    assert_ok(tub_explanation_draw(&e, &wide, NULL, &out, &err), err);
    assert_int_equal(pixel(&out, 0, 0, 4)[0], 0);
    assert_int_equal(pixel(&out, 0, 0, 5)[0], 255);
    assert_int_equal(pixel(&out, 0, 0, 7)[0], 0);
    assert_int_equal(pixel(&out, 0, 1, 1)[0], 191);
    tub_clip_free(&out);
    map[1] = NAN;
    assert_int_equal(tub_explanation_draw(&e, &clip, NULL, &out, &err), TUB_E_NUMERIC);
    assert_null(out.samples);
    const tub_explanation other = {.owner = *state, .frames = T, .height = H, .width = 3};
    assert_int_equal(tub_explanation_draw(&other, &clip, NULL, &out, &err), TUB_E_SHAPE);
    assert_non_null(strstr(err.message, "a clip of 5x6x8 voxels and a map of 5x6x3"));
}

/* ---- the same bits ---- */

static void same(const tub_explanation *a, const tub_explanation *b) {
    assert_memory_equal(a->map, b->map, VOXELS * sizeof *a->map);
}

static void test_same_bits(void **state) {
    unsigned char levels[NUMBERS];
    float scaled[NUMBERS];
    tub_error err = {0};
    for (int i = 0; i < NUMBERS; i++) {
        levels[i] = (unsigned char)(x[i] * 255);
        scaled[i] = (float)levels[i] / 255;
    }
    for (int method = 0; method < TUB_EXPLAIN_METHODS; method++) {
        tub_explain_options o = options_of((tub_explain_method)method);
        tub_model *m = vivit(*state, TUB_VARIANT_FACTORISED_SELF_ATTENTION);
        tub_explanation first, other;
        assert_ok(tub_explain(m, &o, TUB_F32, scaled, &first, &err), err);
        assert_ok(tub_explain(m, &o, TUB_U8, levels, &other, &err), err);
        same(&first, &other);
        tub_explanation_free(&other);
        o.batch = 3;
        assert_ok(tub_explain(m, &o, TUB_F32, scaled, &other, &err), err);
        same(&first, &other);
        tub_explanation_free(&other);
        for (int n = 0; n < 3 + TUB_CPU_AVX512; n++) {
            const int threads = n < 3 ? 2 * n + 1 : 2;
            tub_context *ctx =
                context_on(n < 3 ? TUB_CPU_AUTO : (tub_cpu)(n - 2), threads, TUB_PRECISION_F32);
            if (ctx == NULL) {
                continue; /* this processor lacks the instructions */
            }
            tub_model *again = vivit(ctx, TUB_VARIANT_FACTORISED_SELF_ATTENTION);
            assert_ok(tub_explain(again, &o, TUB_F32, scaled, &other, &err), err);
            same(&first, &other);
            tub_explanation_free(&other);
            tub_model_close(again);
            tub_context_destroy(ctx);
        }
        tub_explanation_free(&first);
        tub_model_close(m);
    }
}

/* A map is never made for anything: its class is the one that was asked for, else the most
 * probable. */
static void test_target(void **state) {
    tub_model *m = vivit(*state, TUB_VARIANT_FACTORISED_DOT_PRODUCT);
    float logits[K], probabilities[K];
    tub_error err = {0};
    assert_ok(tub_model_forward(m, 1, TUB_F32, x, logits, probabilities, &err), err);
    tub_explanation e = explain(m, NULL);
    for (int k = 0; k < K; k++) {
        assert_true(logits[k] <= logits[e.target]);
    }
    assert_true(e.logit == (double)logits[e.target]);
    assert_true(e.probability == (double)probabilities[e.target]);
    tub_explanation_free(&e);
    for (int k = 0; k < K; k++) {
        tub_explain_options o = options_of(TUB_EXPLAIN_GRADIENT_ROLLOUT);
        o.target = k;
        e = explain(m, &o);
        assert_int_equal(e.target, k);
        assert_true(e.logit == (double)logits[k]);
        tub_explanation_free(&e);
    }
    tub_model_close(m);
}

static void test_write(void **state) {
    temp_folder folder;
    tub_error err = {0};
    tub_volumes v;
    tub_model *m = vivit(*state, TUB_VARIANT_JOINT);
    tub_explanation e = explain(m, NULL);
    temp_folder_make(&folder);
    const char *path = temp_path(&folder, "map.npy");
    assert_ok(tub_explanation_write(&e, path, &err), err);
    assert_ok(tub_volumes_read(*state, path, NULL, &v, &err), err);
    assert_true(v.count == 1 && v.frames == T && v.height == H && v.width == W && v.channels == 1);
    assert_memory_equal(v.data, e.map, VOXELS * sizeof *e.map);
    tub_volumes_free(&v);
    assert_int_equal(tub_explanation_write(&e, "/nowhere/map.npy", &err), TUB_E_NOT_FOUND);
    tub_explanation_free(&e);
    tub_model_close(m);
    temp_folder_drop(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_options),
                                       cmocka_unit_test(test_axes),
                                       cmocka_unit_test(test_baselines_without_attention),
                                       cmocka_unit_test(test_reduced),
                                       cmocka_unit_test(test_bad_numbers),
                                       cmocka_unit_test(test_words),
                                       cmocka_unit_test(test_occlusion),
                                       cmocka_unit_test(test_adds_up),
                                       cmocka_unit_test(test_points),
                                       cmocka_unit_test(test_curves),
                                       cmocka_unit_test(test_draw),
                                       cmocka_unit_test(test_same_bits),
                                       cmocka_unit_test(test_target),
                                       cmocka_unit_test(test_write)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
