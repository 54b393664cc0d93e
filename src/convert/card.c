/* SPDX-License-Identifier: Apache-2.0 */
/* The model card's text: what the model is, what it was trained on, how well it does, and how to
 * use it. */
#include "convert/card.h"

#include <string.h>

#include "convert/config_json.h"
#include "model/family.h"

/* Licence identifiers that model hubs know, by the names that data sets use. */
static const struct licence {
    const char *name, *id;
} licences[] = {
    {"CC BY 4.0", "cc-by-4.0"},
    {"CC-BY-4.0", "cc-by-4.0"},
    {"CC BY-NC 4.0", "cc-by-nc-4.0"},
    {"CC-BY-NC-4.0", "cc-by-nc-4.0"},
    {"CC BY-SA 4.0", "cc-by-sa-4.0"},
    {"CC-BY-SA-4.0", "cc-by-sa-4.0"},
    {"CC0", "cc0-1.0"},
    {"CC0-1.0", "cc0-1.0"},
    {"Apache-2.0", "apache-2.0"},
    {"MIT", "mit"},
};

/* "other" for a licence that the hubs have no identifier for; NULL when none is known. */
static const char *licence_id(const tub__card *card) {
    if (card->licence == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof licences / sizeof *licences; i++) {
        if (strcmp(card->licence, licences[i].name) == 0) {
            return licences[i].id;
        }
    }
    return "other";
}

static void print_metric(tub__text *t, const char *type, const char *name, double value) {
    if (value == value) {
        tub__text_add(t, "          - type: %s\n            name: %s\n            value: ", type,
                      name);
        tub__text_add_real(t, value);
        tub__text_add(t, "\n");
    }
}

/* Whether the five likeliest classes, of any head, say anything. */
static bool has_top5(const tub_model_config *c) {
    const tub__outputs o = tub__model_outputs(c);
    bool any = o.task == TUB_TASK_MULTI_CLASS && c->classes > 5;
    for (int i = 0; o.task == TUB_TASK_MULTI_HEAD && i < TUB_HEAD_LIMIT; i++) {
        any = any || c->head_classes[i] > 5;
    }
    return any;
}

/* One split's results in the form that hubs show beside the model. */
static void print_split(tub__text *t, const tub__card *card, const char *split, const tub_scores *s,
                        bool top5) {
    if (s == NULL) {
        return;
    }
    tub__text_add(
        t,
        "      - task:\n          type: video-classification\n        dataset:\n          name: ");
    tub__text_add_quoted(t, card->data);
    tub__text_add(t, "\n          type: ");
    tub__text_add_quoted(t, card->data);
    tub__text_add(t, "\n          split: %s\n        metrics:\n", split);
    print_metric(t, "accuracy", "Top-1 accuracy", s->top1);
    if (top5) {
        print_metric(t, "accuracy", "Top-5 accuracy", s->top5);
    }
    print_metric(t, "roc_auc", "AUC", s->auc);
    print_metric(t, "loss", "Log loss", s->loss);
}

static void print_model_index(tub__text *t, const tub__card *card, bool top5) {
    if (card->data == NULL || (card->val == NULL && card->test == NULL)) {
        return;
    }
    tub__text_add(t, "model-index:\n  - name: tubelet ViViT\n    results:\n");
    print_split(t, card, "validation", card->val, top5);
    print_split(t, card, "test", card->test, top5);
}

static void print_front_matter(tub__text *t, const tub__card *card, const tub_model_config *c,
                               bool encoder) {
    const char *id = licence_id(card),
               *task = encoder ? "feature-extraction" : "video-classification";
    tub__text_add(t,
                  "---\nlibrary_name: tubelet\npipeline_tag: %s\n"
                  "tags:\n  - %s\n  - %s\n  - tubelet\n",
                  task, tub__family_name(c->family), task);
    if (id != NULL) {
        tub__text_add(t, "license: %s\n", id);
        if (strcmp(id, "other") == 0) {
            tub__text_add(t, "license_name: ");
            tub__text_add_quoted(t, card->licence);
            tub__text_add(t, "\n");
        }
    }
    print_model_index(t, card, has_top5(c));
    tub__text_add(t, "---\n\n");
}

/* "11 classes", "14 labels that are each there or not", "97 and 300 classes of 2 heads". */
static void print_answers(tub__text *t, const tub_model_config *c) {
    const tub__outputs o = tub__model_outputs(c);
    if (o.task == TUB_TASK_MULTI_LABEL) {
        tub__text_add(t, "%lld labels that are each there or not", (long long)c->classes);
        return;
    }
    for (size_t h = 0; h < o.heads; h++) {
        tub__text_add(t, "%s%zu", h > 0 ? " and " : "", o.head_classes[h]);
    }
    if (o.heads > 0) {
        tub__text_add(t, " classes of %zu heads", o.heads);
    } else {
        tub__text_add(t, "%lld classes", (long long)c->classes);
    }
}

/* "4 layers", "12 layers over space and 4 over time". */
static void print_layers(tub__text *t, const tub_model_config *c) {
    static const char *const titles[] = {
        [TUB_VARIANT_JOINT] = "Joint space-time attention",
        [TUB_VARIANT_FACTORISED_ENCODER] = "Factorised encoder",
        [TUB_VARIANT_FACTORISED_SELF_ATTENTION] = "Factorised self-attention",
        [TUB_VARIANT_FACTORISED_DOT_PRODUCT] = "Factorised dot-product attention"};
    tub__text_add(t, "%s: %lld layers", titles[c->variant], (long long)c->layers);
    if (c->variant == TUB_VARIANT_FACTORISED_ENCODER) {
        tub__text_add(t, " over space and %lld over time", (long long)c->temporal_layers);
    }
}

/* Parameters and arrays that the folder has. */
static void count_written(const tub_model *model, bool encoder, size_t *numbers, size_t *arrays) {
    const tub__param *kernel = tub__params_find(&model->params, TUB__HEAD_KERNEL, -1),
                     *bias = tub__params_find(&model->params, TUB__HEAD_BIAS, -1);
    *numbers = model->params.trained;
    *arrays = model->params.count;
    if (encoder) {
        *numbers -= tub__param_elements(kernel) + tub__param_elements(bias);
        *arrays -= 2;
    }
}

static void print_model(tub__text *t, const tub_model *model, bool encoder) {
    const tub_model_config *c = &model->config;
    size_t numbers, arrays;
    count_written(model, encoder, &numbers, &arrays);
    tub__text_add(t,
                  "# %s\n\n"
                  "%s clips of %lld frames of %lld x %lld pixels with %lld channel(s)",
                  tub__family_title(c->family),
                  encoder ? "An encoder without a classifier, for" : "Classifies",
                  (long long)c->frames, (long long)c->height, (long long)c->width,
                  (long long)c->channels);
    if (!encoder) {
        tub__text_add(t, " into ");
        print_answers(t, c);
    }
    tub__text_add(t, ". ");
    if (c->family != TUB_FAMILY_VIVIT) {
        tub__text_add(t, "%zu parameters in %zu arrays.\n\n", numbers, arrays);
        return;
    }
    print_layers(t, c);
    tub__text_add(t,
                  " of width %lld with %lld heads over tubelets of "
                  "%lld x %lld x %lld; %zu parameters in %zu arrays.\n\n",
                  (long long)c->hidden, (long long)c->heads, (long long)c->tubelet[0],
                  (long long)c->tubelet[1], (long long)c->tubelet[2], numbers, arrays);
}

static void print_data(tub__text *t, const tub__card *card) {
    if (card->data == NULL) {
        return;
    }
    tub__text_add(t, "## Data\n\nTrained on `%s`", card->data);
    if (card->licence != NULL) {
        tub__text_add(t, " (licence: %s)", card->licence);
    }
    tub__text_add(t, ".\n\n");
    if (card->recipe != NULL) {
        tub__text_add(t, "Made with `%s`.\n\n", card->recipe);
    }
    if (card->start != NULL) {
        tub__text_add(t, "Started from the weights of `%s`.\n\n", card->start);
    }
}

static void print_scores(tub__text *t, const char *split, const tub_scores *s, bool top5) {
    const double values[] = {s->top1, s->top5, s->auc, s->loss};
    tub__text_add(t, "| %s |", split);
    for (int i = 0; i < (int)(sizeof values / sizeof *values); i++) {
        if (i == 1 && !top5) {
            continue;
        }
        tub__text_add(t, " ");
        tub__text_add_real(t, values[i]);
        tub__text_add(t, " |");
    }
    tub__text_add(t, "\n");
}

/* What the first two scores are (tub_task_scores_compute). */
static void print_titles(tub__text *t, tub_task task, bool top5) {
    const char *const of = task == TUB_TASK_MULTI_HEAD ? " of all heads" : "";
    tub__text_add(t,
                  "## Results\n\n| split | %s%s |%s%s%s AUC | log loss |\n"
                  "| --- | --- |%s --- | --- |\n",
                  task == TUB_TASK_MULTI_LABEL ? "accuracy of the labels" : "top-1", of,
                  top5 ? " top-5" : "", top5 ? of : "", top5 ? " |" : "", top5 ? " --- |" : "");
}

static void print_results(tub__text *t, const tub__card *card, const tub_model_config *c) {
    const bool top5 = has_top5(c);
    if (card->note != NULL) {
        tub__text_add(t, "%s\n\n", card->note);
    }
    if (card->val == NULL && card->test == NULL) {
        return;
    }
    print_titles(t, c->task, top5);
    if (card->val != NULL) {
        print_scores(t, "validation", card->val, top5);
    }
    if (card->test != NULL) {
        print_scores(t, "test", card->test, top5);
    }
    tub__text_add(t, "\n");
}

/* On one line, whatever is in it. */
static void print_line(tub__text *t, const char *text) {
    for (const char *c = text; *c != '\0'; c++) {
        tub__text_add(t, "%c", (unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c);
    }
    tub__text_add(t, "\n");
}

static void print_labels(tub__text *t, const tub_model *model) {
    if (model->labels == NULL || model->config.classes > 1000) {
        return;
    }
    tub__text_add(t, "## Classes\n\n");
    for (int64_t k = 0; k < model->config.classes; k++) {
        tub__text_add(t, "%lld. ", (long long)k);
        print_line(t, model->labels[k]);
    }
    tub__text_add(t, "\n");
}

static void print_commands(tub__text *t, const tub__card *card, bool encoder) {
    if (encoder) {
        tub__text_add(
            t, "## How to use\n\nWith tubelet (video vision transformers in C), to train "
               "a classifier on it; MODEL_FOLDER is the folder that holds this file:\n\n```sh\n"
               "tubelet train --data DATA --init-from MODEL_FOLDER\n```\n\n"
               "With transformers: `VivitModel.from_pretrained(MODEL_FOLDER, "
               "add_pooling_layer=False)`.\n\n");
        return;
    }
    tub__text_add(t,
                  "## How to use\n\nWith tubelet (video vision transformers in C); MODEL_FOLDER is "
                  "the folder that holds this file:\n\n```sh\ntubelet info MODEL_FOLDER\n"
                  "tubelet predict MODEL_FOLDER volume.npy\n"
                  "tubelet eval MODEL_FOLDER --data %s --split test\n```\n\n",
                  card->data == NULL ? "DATA" : card->data);
}

static void print_use(tub__text *t, const tub_model *model, const tub__card *card, bool encoder) {
    print_commands(t, card, encoder);
    tub__text_add(t,
                  "Input is uint8 (%s) or float32 of shape [%lld, %lld, %lld, %lld] "
                  "(frames, height, width, channels).\n",
                  model->preprocessing != NULL ? "prepared as `preprocessor_config.json` says"
                                               : "scaled to 0 to 1",
                  (long long)model->config.frames, (long long)model->config.height,
                  (long long)model->config.width, (long long)model->config.channels);
}

void tub__card_print(tub__text *t, const tub_model *model, const tub__card *card, bool encoder) {
    const tub__card empty = {0};
    card = card == NULL ? &empty : card;
    print_front_matter(t, card, &model->config, encoder);
    print_model(t, model, encoder);
    print_data(t, card);
    print_results(t, card, &model->config);
    if (!encoder) {
        print_labels(t, model);
    }
    print_use(t, model, card, encoder);
}
