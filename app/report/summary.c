/* SPDX-License-Identifier: Apache-2.0 */
/* What was trained, on what, where, and how it can be done again. */
#include "sections.h"
#include "table.h"

#include "../eval_result.h"
#include "../shell.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <string.h>

static void row(page *p, const char *name) {
    table_row(p, name);
    page_put(p, "<td>");
}

static void end_row(page *p) {
    page_put(p, "</td></tr>\n");
}

static void tile(page *p, const char *name, const char *key, const tub_interval *m) {
    page_putf(p, "<div class=\"tile\"><span class=\"name\">%s</span><span class=\"value\">", name);
    page_interval(p, key, m);
    page_put(p, "</span></div>\n");
}

/* The metrics that one asks for first; of heads those of all together. */
static void put_tiles(page *p, const report_facts *f) {
    const eval_subject *e = f->eval;
    page_put(p, "<div class=\"tiles\">\n");
    if (e->metrics != NULL) {
        tile(p, "top-1", "eval.top1", &e->metrics->top1);
        tile(p, "AUC", "eval.auc", &e->metrics->auc);
        if (eval_result_top5(e->metrics->classes)) {
            tile(p, "top-5", "eval.top5", &e->metrics->top5);
        }
        tile(p, "log loss", "eval.loss", &e->metrics->loss);
    } else if (e->head_metrics != NULL) {
        tile(p, "all heads right", "eval.top1", &e->head_metrics->top1);
        tile(p, "log loss", "eval.loss", &e->head_metrics->loss);
    } else {
        tile(p, "AUC", "eval.auc", &e->label_metrics->auc);
        tile(p, "mAP", "eval.mean_average_precision", &e->label_metrics->precision);
        tile(p, "log loss", "eval.loss", &e->label_metrics->loss);
    }
    page_put(p, "</div>\n");
}

static void put_data(page *p, const report_facts *f) {
    const tub_dataset_info *i = f->info;
    row(p, "data");
    page_text(p, i->name);
    if (i->licence != NULL) {
        page_put(p, ", licence: ");
        page_text(p, i->licence);
    }
    end_row(p);
    row(p, "samples");
    page_putf(p,
              "%" PRId64 " to train, %" PRId64 " to validate, %" PRId64 " to test; each %" PRId64
              " x %" PRId64 " x %" PRId64 " x %" PRId64 " (T H W C), %" PRId64 " classes",
              i->count[TUB_TRAIN], i->count[TUB_VAL], i->count[TUB_TEST], i->frames, i->height,
              i->width, i->channels, i->classes);
    end_row(p);
}

static void put_model(page *p, const report_facts *f) {
    const tub_model_config *c = f->config;
    tub_model_cost cost;
    tub_error err;
    row(p, "model");
    if (f->subject->is_run) {
        page_text(p, f->subject->config.preset);
        page_put(p, ", ");
    }
    if (c->family == TUB_FAMILY_VIVIT) {
        page_putf(p,
                  "%" PRId64 " layers of width %" PRId64 " with %" PRId64
                  " heads, tubelets of %" PRId64 " x %" PRId64 " x %" PRId64,
                  c->layers, c->hidden, c->heads, c->tubelet[0], c->tubelet[1], c->tubelet[2]);
    } else {
        page_text(p, output_family(c->family));
    }
    end_row(p);
    if (tub_model_cost_of(c, 1, &cost, &err) == TUB_OK) {
        row(p, "parameters");
        page_count(p, "model.parameters", cost.parameters);
        page_putf(p, ", %.3f GFLOP for one sample", 2e-9 * cost.multiply_adds);
        end_row(p);
    }
}

/* A whole number of metrics.json; a dash where it has none. */
static void put_whole(page *p, const report_facts *f, const char *name) {
    char key[64];
    const json_t *value = json_object_get(f->metrics, name);
    snprintf(key, sizeof key, "metrics.%s", name);
    if (json_is_integer(value)) {
        page_count(p, key, json_integer_value(value));
    } else {
        page_number(p, key, NAN, 0);
    }
}

static void put_training(page *p, const report_facts *f) {
    const json_t *seconds = json_object_get(f->metrics, "seconds");
    if (!json_is_object(f->metrics)) {
        return;
    }
    row(p, "trained");
    put_whole(p, f, "epochs");
    page_put(p, " epochs, ");
    put_whole(p, f, "steps");
    page_put(p, " steps, ");
    page_number(p, "metrics.seconds", json_is_number(seconds) ? json_number_value(seconds) : NAN,
                1);
    page_put(p, " seconds");
    if (!json_is_true(json_object_get(f->metrics, "finished"))) {
        page_put(p, " (not finished)");
    }
    page_putf(p, "; seed %" PRIu64, f->subject->config.seed);
    end_row(p);
    row(p, "best epoch, by validation AUC");
    put_whole(p, f, "best_epoch");
    end_row(p);
}

/* What the numbers are of: weights, precision, views. */
static void put_judging(page *p, const report_facts *f) {
    static const char *const precisions[] = {[TUB_PRECISION_F32] = "float32",
                                             [TUB_PRECISION_BF16] = "bf16",
                                             [TUB_PRECISION_INT8] = "int8"};
    const char *weights = f->subject->weights;
    row(p, "judged");
    page_putf(p, "%s%s, in %s", weights != NULL ? weights : "the model's", " weights",
              precisions[f->precision]);
    if (f->eval->views != TUB_VIEWS_NONE) {
        page_putf(p, ", mean over views: %s", tub_views_name(f->eval->views));
    }
    end_row(p);
}

static void put_machine(page *p, const report_facts *f) {
    tub_machine m;
    tub_machine_describe(&m);
    row(p, "judged on");
    page_text(p, m.processor);
    page_putf(p, ", %d cores; tubelet %s, %s kernels", m.cores, tub_version(),
              tub_context_cpu(f->context));
    end_row(p);
}

void report_summary(page *p, const report_facts *f) {
    char recipe[PATH_MAX + 16], quoted[SHELL_ROOM];
    page_put(p, "<section id=\"summary\"><h2 class=\"hidden\">Summary</h2>\n");
    put_tiles(p, f);
    table_open(p, "facts", "What was trained on what");
    page_put(p, "<tbody>\n");
    put_data(p, f);
    put_model(p, f);
    put_training(p, f);
    put_judging(p, f);
    put_machine(p, f);
    if (f->subject->is_run) {
        row(p, "to repeat");
        page_put(p, "<code>tubelet train --recipe ");
        snprintf(recipe, sizeof recipe, "%s/recipe.yaml", f->run);
        page_text(p, shell_path(quoted, recipe));
        page_put(p, " --out again</code>");
        end_row(p);
    }
    table_close(p);
    page_put(p, "</section>\n");
}
