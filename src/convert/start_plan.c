/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of a start: arrays are matched by their roles in the parameter tables of both models. */
#include "convert/start_plan.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "convert/inflate.h"
#include "convert/start_check.h"

/* ---- Matching ---- */

/* Whether the numbers of both classifiers are read in the same way. */
static bool same_task(const tub_model_config *a, const tub_model_config *b) {
    const bool plain = a->task <= TUB_TASK_MULTI_CLASS && b->task <= TUB_TASK_MULTI_CLASS;
    return (plain || a->task == b->task) &&
           memcmp(a->head_classes, b->head_classes, sizeof a->head_classes) == 0;
}

/* As many classes, and where both know what they are called, the same ones. */
static bool same_classes(const tub__source *s, const tub_model *model) {
    const char *const *there = (const char *const *)s->model->labels, *const *here =
                                                                          (const char *const *)
                                                                              model->labels;
    if (!s->classifier || s->model->config.classes != model->config.classes ||
        !same_task(&s->model->config, &model->config)) {
        return false;
    }
    for (int64_t k = 0; there != NULL && here != NULL && k < model->config.classes; k++) {
        if (strcmp(there[k], here[k]) != 0) {
            return false;
        }
    }
    return true;
}

/* Of the end, which depends on the classes. */
static bool is_end(const tub__param *p) {
    return p->role == TUB__HEAD_KERNEL || p->role == TUB__HEAD_BIAS ||
           p->role == TUB__REPRESENTATION_KERNEL || p->role == TUB__REPRESENTATION_BIAS;
}

static bool is_position(const tub__param *p) {
    return p->role == TUB__POSITION || p->role == TUB__TEMPORAL_POSITION;
}

/* What stands where there is nothing like it there. */
static tub__start_action without(const tub__start_plan *plan, const tub__param *here) {
    const bool over_time = plan->source->model->config.variant == plan->model->config.variant;
    switch (here->role) {
    case TUB__QUERY_BIAS:
    case TUB__KEY_BIAS:
    case TUB__VALUE_BIAS:
        return here->layer < plan->source->model->params.layers ? TUB__START_ZERO
                                                                : TUB__START_FRESH;
    case TUB__TIME_OUT_KERNEL:
    case TUB__TIME_OUT_BIAS:
        return over_time ? TUB__START_FRESH : TUB__START_ZERO;
    default:
        return TUB__START_FRESH;
    }
}

/* The role there of an array here; TUB__ROLES: it is fresh. scenic's rules between variants: a picture's class
 * token is not that of the factorised encoder. */
static tub__role role_there(const tub__start_plan *plan, tub__role here) {
    const tub_variant to = plan->model->config.variant;
    const bool other = plan->source->model->config.variant != to;
    if (other && to == TUB_VARIANT_FACTORISED_SELF_ATTENTION && here >= TUB__TIME_QUERY_KERNEL &&
        here <= TUB__TIME_OUT_BIAS && plan->options.temporal == TUB_START_TEMPORAL_COPY) {
        return (tub__role)(TUB__QUERY_KERNEL + (here - TUB__TIME_QUERY_KERNEL));
    }
    return other && to == TUB_VARIANT_FACTORISED_ENCODER && here == TUB__CLASS_TOKEN ? TUB__ROLES
                                                                                     : here;
}

static bool same_shape(const tub__param *a, const tub__param *b) {
    bool same = a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++) {
        same = a->shape[i] == b->shape[i];
    }
    return same;
}

static bool same_grid(const tub__start_plan *p, tub__role role) {
    const tub__grid there = tub__start_grid(p->source->model, role),
                    here = tub__start_grid(p->model, role);
    return memcmp(&there, &here, sizeof here) == 0;
}

static tub__start_step step_of(const tub__start_plan *plan, const tub__param *here) {
    const tub__param *there =
        tub__params_find(&plan->source->model->params, role_there(plan, here->role), here->layer);
    if (there == NULL) {
        return (tub__start_step){.here = here, .action = without(plan, here)};
    }
    if (is_end(here) && !(same_classes(plan->source, plan->model) && same_shape(here, there))) {
        return (tub__start_step){.here = here, .action = TUB__START_FRESH};
    }
    if (plan->model->config.family != TUB_FAMILY_VIVIT && !same_shape(here, there)) {
        return (tub__start_step){.here = here, .action = TUB__START_FRESH};
    }
    tub__start_step step = {.here = here, .there = there, .action = TUB__START_COPY};
    if (here->role == TUB__EMBED_KERNEL && !same_shape(here, there)) {
        step.action = TUB__START_INFLATE;
    } else if (is_position(here) && !(same_grid(plan, here->role) && same_shape(here, there))) {
        step.action = TUB__START_RESIZE;
    }
    return step;
}

tub__grid tub__start_grid(const tub_model *model, tub__role role) {
    const size_t *grid = model->geometry.grid;
    if (role == TUB__TEMPORAL_POSITION) {
        return (tub__grid){{grid[0], 1, 1}};
    }
    return model->config.variant == TUB_VARIANT_FACTORISED_ENCODER
               ? (tub__grid){{1, grid[1], grid[2]}}
               : (tub__grid){{grid[0], grid[1], grid[2]}};
}

tub_status tub__start_plan_make(const tub__source *source, tub_model *model,
                                const tub_start_options *options, tub__start_plan *out,
                                tub_error *err) {
    const tub_allocator *a = &model->context->allocator;
    const size_t frames = (size_t)model->config.tubelet[0];
    tub__start_plan plan = {
        .source = source, .model = model, .options = *options, .count = model->params.count};
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

static void describe_grid(const tub__start_plan *plan, tub__role role, char *out, size_t size) {
    const tub__grid there = tub__start_grid(plan->source->model, role),
                    here = tub__start_grid(plan->model, role);
    const size_t *n = there.size, *m = here.size;
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

static void describe_positions(const tub__start_plan *plan, tub__role role, char *out,
                               size_t size) {
    const bool there = tub__start_has_token(plan->source->model),
               here = tub__start_has_token(plan->model);
    char grid[64] = "copied";
    if (!same_grid(plan, role)) {
        describe_grid(plan, role, grid, sizeof grid);
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
        describe_positions(plan, step->here->role, out, size);
    } else {
        snprintf(out, size, "%s", words[step->action]);
    }
}
