/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of a start: arrays are matched by their roles in the parameter tables of both models. */
#include "convert/start_plan.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "convert/inflate.h"
#include "convert/start_check.h"

/* ---- Matching ---- */

/* As many classes, and where both know what they are called, the same ones. */
static bool same_classes(const tub__source *s, const tub_model *model) {
    const char *const *there = (const char *const *)s->model->labels, *const *here =
                                                                          (const char *const *)
                                                                              model->labels;
    if (!s->classifier || s->model->config.classes != model->config.classes) {
        return false;
    }
    for (int64_t k = 0; there != NULL && here != NULL && k < model->config.classes; k++) {
        if (strcmp(there[k], here[k]) != 0) {
            return false;
        }
    }
    return true;
}

static bool is_head(const tub__param *p) {
    return p->role == TUB__HEAD_KERNEL || p->role == TUB__HEAD_BIAS;
}

static bool is_query_bias(const tub__param *p) {
    return p->role == TUB__QUERY_BIAS || p->role == TUB__KEY_BIAS || p->role == TUB__VALUE_BIAS;
}

static bool same_shape(const tub__param *a, const tub__param *b) {
    bool same = a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++) {
        same = a->shape[i] == b->shape[i];
    }
    return same;
}

static bool same_grid(const tub__start_plan *p) {
    return memcmp(&p->there, &p->here, sizeof p->here) == 0;
}

static tub__start_step step_of(const tub__start_plan *plan, const tub__param *here) {
    const tub__param *there =
        tub__params_find(&plan->source->model->params, here->role, here->layer);
    tub__start_step step = {.here = here, .there = there, .action = TUB__START_COPY};
    if (there == NULL) {
        step.action = is_query_bias(here) ? TUB__START_ZERO : TUB__START_FRESH;
    } else if (is_head(here) && !same_classes(plan->source, plan->model)) {
        step = (tub__start_step){.here = here, .action = TUB__START_FRESH};
    } else if (here->role == TUB__EMBED_KERNEL && !same_shape(here, there)) {
        step.action = TUB__START_INFLATE;
    } else if (here->role == TUB__POSITION && !(same_grid(plan) && same_shape(here, there))) {
        step.action = TUB__START_RESIZE;
    }
    return step;
}

static tub__grid grid_of(const tub_model *model) {
    const size_t *grid = model->geometry.grid;
    return (tub__grid){{grid[0], grid[1], grid[2]}};
}

tub_status tub__start_plan_make(const tub__source *source, tub_model *model,
                                const tub_start_options *options, tub__start_plan *out,
                                tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    const size_t frames = (size_t)model->config.tubelet[0];
    tub__start_plan plan = {.source = source,
                            .model = model,
                            .options = *options,
                            .there = grid_of(source->model),
                            .here = grid_of(model),
                            .count = model->params.count};
    TUB__TRY(tub__start_check(source, model, options, err));
    TUB__TRY(tub__alloc_array(a, plan.count, sizeof *plan.steps, (void **)&plan.steps, err));
    tub_status status =
        tub__alloc_array(a, frames, sizeof *plan.weights, (void **)&plan.weights, err);
    if (status != TUB_OK) {
        tub__free(a, plan.steps);
        return status;
    }
    tub__inflate_weights(options->kernel, frames, plan.weights);
    for (size_t i = 0; i < plan.count; i++) {
        plan.steps[i] = step_of(&plan, &model->params.list[i]);
    }
    *out = plan;
    return TUB_OK;
}

void tub__start_plan_free(tub__start_plan *plan) {
    tub__free(&plan->model->context->allocator, plan->weights);
    tub__free(&plan->model->context->allocator, plan->steps);
}

/* ---- In words ---- */

static void describe_kernel(const tub__start_plan *plan, const tub__start_step *s, char *out,
                            size_t size) {
    static const char *const kinds[] = {[TUB_START_CENTRAL] = "central frame",
                                        [TUB_START_AVERAGE] = "average",
                                        [TUB_START_ARP] = "approximate rank pooling"};
    const bool added = s->here->shape[1] != s->there->shape[1];
    if (tub__start_is_longer(s)) {
        snprintf(out, size, "inflated (%s)%s", kinds[plan->options.kernel],
                 added ? ", channels added up" : "");
    } else {
        snprintf(out, size, "channels added up");
    }
}

static void describe_grid(const tub__start_plan *plan, char *out, size_t size) {
    const size_t *n = plan->there.size, *m = plan->here.size;
    const bool flat = n[1] == m[1] && n[2] == m[2];
    const bool repeated = n[0] != m[0] && (n[0] == 1 || plan->options.positions == TUB_START_TILE);
    const char *how = plan->options.positions == TUB_START_BICUBIC ? ", bicubic" : "";
    if (repeated && flat) {
        snprintf(out, size, "%zux%zux%zu repeated %zu times", n[0], n[1], n[2], m[0] / n[0]);
    } else if (repeated) {
        snprintf(out, size, "resized %zux%zu to %zux%zu%s, repeated %zu times", n[1], n[2], m[1],
                 m[2], how, m[0] / n[0]);
    } else {
        snprintf(out, size, "resized %zux%zux%zu to %zux%zux%zu%s", n[0], n[1], n[2], m[0], m[1],
                 m[2], how);
    }
}

static void describe_positions(const tub__start_plan *plan, char *out, size_t size) {
    const bool there = tub__start_has_token(plan->source->model),
               here = tub__start_has_token(plan->model);
    char grid[64] = "copied";
    if (!same_grid(plan)) {
        describe_grid(plan, grid, sizeof grid);
    }
    snprintf(out, size, "%s%s", grid,
             there == here ? ""
             : here        ? ", class token's row fresh"
                           : ", without the class token's row");
}

void tub__start_describe(const tub__start_plan *plan, const tub__start_step *step, char *out,
                         size_t size) {
    static const char *const words[] = {
        [TUB__START_FRESH] = "fresh", [TUB__START_ZERO] = "zero", [TUB__START_COPY] = "copied"};
    if (step->action == TUB__START_INFLATE) {
        describe_kernel(plan, step, out, size);
    } else if (step->action == TUB__START_RESIZE) {
        describe_positions(plan, out, size);
    } else {
        snprintf(out, size, "%s", words[step->action]);
    }
}
