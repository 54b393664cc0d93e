/* SPDX-License-Identifier: Apache-2.0 */
/* Facts about models, data sets and the machine as text and as JSON. */
#include "info_print.h"

#include <stdio.h>
#include <string.h>

#include "forecast.h"
#include "output.h"
#include "shell.h"

static const double mib = 1.0 / (1024.0 * 1024.0);

static const char *gelu_name(tub_gelu gelu) {
    return gelu == TUB_GELU_TANH ? "tanh" : "erf";
}

static const char *const variants[] = {"joint", "factorised_encoder", "factorised_self_attention",
                                       "factorised_dot_product"};
static const char *const orders[] = {"time_space", "space_time"};
static const char *const positions[] = {"learned", "sinusoidal_1d", "sinusoidal_3d", "none"};
static const char *const poolings[] = {"mean", "class_token", "max", "sum"};

static const char *pooling_title(tub_pooling pooling) {
    return pooling == TUB_POOL_CLASS_TOKEN ? "class token" : poolings[pooling];
}

static bool is_encoder(const tub_model_config *c) {
    return c->variant == TUB_VARIANT_FACTORISED_ENCODER;
}

static const char *dtype_name(tub_dtype dtype) {
    return dtype == TUB_U8 ? "uint8" : dtype == TUB_F32 ? "float32" : "float64";
}

static void print_row(const char *name) {
    printf("%-20s ", name);
}

static void print_arrays(const info_model *m) {
    int64_t n = tub_model_parameters(m->model);
    printf("\n%-72s %-24s %12s\n", "ARRAY", "SHAPE", "PARAMETERS");
    for (int64_t i = 0; i < n; i++) {
        tub_parameter p;
        tub_error err;
        char shape[64] = "", count[OUTPUT_FIGURE];
        if (tub_model_parameter(m->model, i, &p, &err) != TUB_OK) {
            return;
        }
        for (int k = 0; k < p.rank; k++) {
            size_t used = strlen(shape);
            snprintf(shape + used, sizeof shape - used, "%s%lld", k > 0 ? "," : "",
                     (long long)p.shape[k]);
        }
        printf("%-72s [%-.60s]%*s %12s\n", p.name, shape,
               (int)(strlen(shape) < 22 ? 22 - strlen(shape) : 0), "",
               output_grouped(count, p.count));
    }
}

static void print_run(const run_facts *run) {
    char top1[OUTPUT_FIGURE], auc[OUTPUT_FIGURE];
    print_row("data set");
    printf("%s\n", run->config.data);
    print_row("training");
    printf("%lld of %lld epochs%s, %lld steps\n", (long long)run->epochs,
           (long long)run->config.epochs, run->partial ? " (the last one in part)" : "",
           (long long)run->steps);
    print_row("best epoch");
    if (run->best_epoch > 0) {
        printf("%lld, val top-1 %s, val AUC %s\n", (long long)run->best_epoch,
               output_figure(top1, run->best.top1), output_figure(auc, run->best.auc));
    } else {
        puts("none yet");
    }
}

/* "11", "14 labels", or "97 + 300 of 2 heads". */
static void print_classes(int64_t classes, tub_task task, const int64_t *heads) {
    if (task != TUB_TASK_MULTI_HEAD) {
        printf("%lld%s", (long long)classes, task == TUB_TASK_MULTI_LABEL ? " labels" : "");
        return;
    }
    int count = 0;
    for (; count < TUB_HEAD_LIMIT && heads[count] != 0; count++) {
        printf("%s%lld", count > 0 ? " + " : "", (long long)heads[count]);
    }
    printf(" of %d heads", count);
}

/* Of more than one label a sample; NULL objects are the caller's business. */
static void set_task(json_t *object, tub_task task, const int64_t *heads) {
    int64_t count = 0;
    json_object_set_new(
        object, "task",
        json_string(tub_task_name(task == TUB_TASK_DATA ? TUB_TASK_MULTI_CLASS : task)));
    while (task == TUB_TASK_MULTI_HEAD && count < TUB_HEAD_LIMIT && heads[count] != 0) {
        count++;
    }
    if (count > 0) {
        json_object_set_new(object, "head_classes", output_integers(heads, count));
    }
}

/* What differs from the joint variant with learned positions. */
static void print_variant(const tub_model_config *c) {
    if (c->variant != TUB_VARIANT_JOINT) {
        print_row("variant");
        printf("%s", variants[c->variant]);
        if (c->variant == TUB_VARIANT_FACTORISED_SELF_ATTENTION) {
            printf(", %s", orders[c->attention_order]);
        }
        putchar('\n');
    }
    if (c->positions != TUB_POSITIONS_LEARNED) {
        print_row("positions");
        printf("%s\n", positions[c->positions]);
    }
}

static void print_layers(const tub_model_config *c) {
    print_row("layers");
    printf("%lld", (long long)c->layers);
    if (is_encoder(c)) {
        printf(" and %lld over time", (long long)c->temporal_layers);
    }
    printf(", width %lld, %lld heads of %lld, MLP %lld\n", (long long)c->hidden,
           (long long)c->heads, (long long)(c->hidden / c->heads), (long long)c->mlp);
    print_row("GELU");
    printf("%s, %s the second MLP layer\n", gelu_name(c->gelu),
           c->mlp_output_gelu ? "also after" : "not after");
}

static void print_pooling(const tub_model_config *c) {
    print_row("pooling");
    printf("%s", pooling_title(c->pooling));
    if (c->representation > 0) {
        printf(", then tanh of a layer of %lld", (long long)c->representation);
    }
    putchar('\n');
}

static void print_vivit(const tub_model_config *c, const tub_model_cost *cost) {
    print_row("tubelet");
    printf("%lld x %lld x %lld", (long long)c->tubelet[0], (long long)c->tubelet[1],
           (long long)c->tubelet[2]);
    if (c->stride[0] != 0 && memcmp(c->stride, c->tubelet, sizeof c->stride) != 0) {
        printf(", stride %lld x %lld x %lld", (long long)c->stride[0], (long long)c->stride[1],
               (long long)c->stride[2]);
    }
    if (c->sampled_frames > 0) {
        printf(" of %lld sampled frames", (long long)c->sampled_frames);
    }
    putchar('\n');
    print_variant(c);
    print_row("tokens");
    printf("%lld (grid %lld x %lld x %lld)", (long long)cost->tokens, (long long)cost->grid[0],
           (long long)cost->grid[1], (long long)cost->grid[2]);
    if (cost->temporal_tokens > 0) {
        printf(", then %lld over time", (long long)cost->temporal_tokens);
    }
    putchar('\n');
    print_layers(c);
    print_pooling(c);
}

/* Convolutions, and what stands behind them. */
static void print_baseline(const tub_model_config *c, const tub_model_cost *cost) {
    print_row("network");
    printf("%s\n", output_family(c->family));
    print_row("convolutions");
    printf("%lld in %lld stages of %lld", (long long)cost->convolutions, (long long)cost->stages,
           (long long)cost->filters);
    for (int64_t i = 1; i < cost->stages; i++) {
        printf(", %lld", (long long)(cost->filters << i));
    }
    puts(" filters");
    if (cost->frames > 1) {
        print_row("frames");
        printf("%lld, each by itself\n", (long long)cost->frames);
    }
    if (cost->units > 0) {
        print_row("recurrent unit");
        printf("%lld wide\n", (long long)cost->units);
    }
    if (c->family == TUB_FAMILY_CNN_TRANSFORMER) {
        print_layers(c);
    }
    print_pooling(c);
}

void info_print_model(const info_model *m) {
    const tub_model_config *c = m->config;
    const tub_model_cost *cost = &m->cost;
    char text[OUTPUT_FIGURE];
    print_row("model");
    printf("%s\n", m->name);
    print_row("input");
    printf("%lld x %lld x %lld x %lld (T H W C)\n", (long long)c->frames, (long long)c->height,
           (long long)c->width, (long long)c->channels);
    if (c->family == TUB_FAMILY_VIVIT) {
        print_vivit(c, cost);
    } else {
        print_baseline(c, cost);
    }
    print_row("classes");
    print_classes(c->classes, c->task, c->head_classes);
    const char *const *labels = m->model != NULL ? tub_model_labels(m->model) : NULL;
    for (int64_t k = 0; labels != NULL && k < c->classes; k++) {
        printf("%s%s", k > 0 ? ", " : ": ", labels[k]);
    }
    putchar('\n');
    print_row("parameters");
    printf("%s in %lld arrays%s", output_grouped(text, cost->parameters), (long long)cost->arrays,
           m->int8 ? ", the blocks' kernels int8" : "");
    if (m->run != NULL && m->run->trained < cost->parameters) {
        printf(", %s of them trained", output_grouped(text, m->run->trained));
    }
    putchar('\n');
    print_row("cost of one clip");
    printf("%.3f GFLOP forward (two per multiply-add)\n", 2e-9 * cost->multiply_adds);
    print_row("memory");
    printf("%.1f MiB to classify one clip\n", mib * (double)cost->forward_bytes);
    print_row("memory of training");
    printf("%.1f MiB with batch %lld, beside the data (", mib * (double)m->memory.total,
           (long long)m->batch);
    forecast_print_parts(stdout, &m->memory);
    puts(")");
    if (m->run != NULL) {
        print_run(m->run);
    }
    if (m->arrays) {
        print_arrays(m);
    }
}

static json_t *arrays_json(const tub_model *model) {
    json_t *list = json_array();
    int64_t n = tub_model_parameters(model);
    for (int64_t i = 0; i < n; i++) {
        tub_parameter p;
        tub_error err;
        if (tub_model_parameter(model, i, &p, &err) == TUB_OK) {
            json_array_append_new(list, json_pack("{s:s,s:s,s:o,s:I}", "name", p.name, "role",
                                                  p.role, "shape", output_integers(p.shape, p.rank),
                                                  "count", (json_int_t)p.count));
        }
    }
    return list;
}

static json_t *run_json(const run_facts *run) {
    json_t *best =
        run->best_epoch > 0
            ? json_pack("{s:I,s:o,s:o,s:o,s:o}", "epoch", (json_int_t)run->best_epoch, "val_loss",
                        output_number(run->best.loss), "val_top1", output_number(run->best.top1),
                        "val_top5", output_number(run->best.top5), "val_auc",
                        output_number(run->best.auc))
            : json_null();
    return json_pack("{s:o,s:I,s:I,s:I,s:b,s:I,s:o}", "data", output_text(run->config.data),
                     "trained_parameters", (json_int_t)run->trained, "epochs",
                     (json_int_t)run->epochs, "epochs_planned", (json_int_t)run->config.epochs,
                     "partial_epoch", run->partial, "steps", (json_int_t)run->steps, "best", best);
}

/* Keys that not every model has. */
static void put_variant(json_t *object, const info_model *m) {
    const tub_model_config *c = m->config;
    json_object_set_new(object, "variant", json_string(variants[c->variant]));
    json_object_set_new(object, "positions", json_string(positions[c->positions]));
    json_object_set_new(object, "family", json_string(output_family(c->family)));
    if (c->family != TUB_FAMILY_VIVIT) {
        json_object_set_new(object, "convolutions", json_integer(m->cost.convolutions));
        json_object_set_new(object, "filters", json_integer(m->cost.filters));
        json_object_set_new(object, "stages", json_integer(m->cost.stages));
        json_object_set_new(object, "units", json_integer(m->cost.units));
    }
    if (is_encoder(c)) {
        json_object_set_new(object, "temporal_layers", json_integer(c->temporal_layers));
        json_object_set_new(object, "temporal_tokens", json_integer(m->cost.temporal_tokens));
    }
    if (c->variant == TUB_VARIANT_FACTORISED_SELF_ATTENTION) {
        json_object_set_new(object, "attention_order", json_string(orders[c->attention_order]));
    }
    if (c->sampled_frames > 0) {
        json_object_set_new(object, "sampled_frames", json_integer(c->sampled_frames));
    }
    if (c->representation > 0) {
        json_object_set_new(object, "representation", json_integer(c->representation));
    }
}

json_t *info_model_json(const info_model *m) {
    const tub_model_config *c = m->config;
    const int64_t input[4] = {c->frames, c->height, c->width, c->channels};
    const int64_t *stride = c->stride[0] != 0 ? c->stride : c->tubelet;
    json_t *object = json_pack(
        "{s:s,s:o,s:b,s:o,s:o,s:o,s:o,s:I,s:I,s:I,s:I,s:I,s:I,s:s,s:b,s:s,s:I,s:I,s:o,s:I,s:I,s:o,"
        "s:I}",
        "kind", "model", "name", output_text(m->name), "int8", m->int8, "input",
        output_integers(input, 4), "tubelet", output_integers(c->tubelet, 3), "stride",
        output_integers(stride, 3), "grid", output_integers(m->cost.grid, 3), "tokens",
        (json_int_t)m->cost.tokens, "layers", (json_int_t)c->layers, "hidden",
        (json_int_t)c->hidden, "heads", (json_int_t)c->heads, "mlp", (json_int_t)c->mlp, "classes",
        (json_int_t)c->classes, "gelu", gelu_name(c->gelu), "mlp_output_gelu", c->mlp_output_gelu,
        "pooling", poolings[c->pooling], "parameters", (json_int_t)m->cost.parameters, "arrays",
        (json_int_t)m->cost.arrays, "multiply_adds", output_number(m->cost.multiply_adds),
        "forward_bytes", (json_int_t)m->cost.forward_bytes, "training_bytes",
        (json_int_t)m->memory.total, "training_memory", forecast_memory_json(&m->memory),
        "batch_size", (json_int_t)m->batch);
    put_variant(object, m);
    const char *const *labels = m->model != NULL ? tub_model_labels(m->model) : NULL;
    set_task(object, c->task, c->head_classes);
    if (labels != NULL) {
        json_t *list = json_array();
        for (int64_t k = 0; k < c->classes; k++) {
            json_array_append_new(list, output_label(labels, k));
        }
        json_object_set_new(object, "labels", list);
    }
    if (m->run != NULL) {
        json_object_set_new(object, "run", run_json(m->run));
    }
    if (m->arrays) {
        json_object_set_new(object, "parameter_arrays", arrays_json(m->model));
    }
    return object;
}

void info_print_data(const tub_dataset_info *info) {
    print_row("data set");
    printf("%s\n", info->name);
    print_row("licence");
    printf("%s\n", info->licence != NULL ? info->licence : "not known");
    print_row("sample");
    printf("%lld x %lld x %lld x %lld (T H W C), %s\n", (long long)info->frames,
           (long long)info->height, (long long)info->width, (long long)info->channels,
           dtype_name(info->dtype));
    for (int s = 0; s < TUB_SPLITS; s++) {
        print_row(tub_split_name((tub_split)s));
        printf("%lld samples", (long long)info->count[s]);
        if (info->constant[s] > 0) {
            printf(", %lld of them constant", (long long)info->constant[s]);
        }
        putchar('\n');
    }
    print_row("classes");
    print_classes(info->classes, info->task, info->head_classes);
    for (int64_t k = 0; info->labels != NULL && k < info->classes; k++) {
        printf("%s%s", k > 0 ? ", " : ": ", info->labels[k]);
    }
    putchar('\n');
}

json_t *info_data_json(const tub_dataset_info *info) {
    const int64_t sample[4] = {info->frames, info->height, info->width, info->channels};
    json_t *labels = info->labels != NULL ? json_array() : json_null();
    for (int64_t k = 0; info->labels != NULL && k < info->classes; k++) {
        json_array_append_new(labels, output_label(info->labels, k));
    }
    json_t *object = json_pack("{s:s,s:o,s:s?,s:o,s:s,s:I,s:o,s:o,s:o}", "kind", "data", "name",
                               output_text(info->name), "licence", info->licence, "sample",
                               output_integers(sample, 4), "dtype", dtype_name(info->dtype),
                               "classes", (json_int_t)info->classes, "labels", labels, "samples",
                               output_integers(info->count, TUB_SPLITS), "constant",
                               output_integers(info->constant, TUB_SPLITS));
    set_task(object, info->task, info->head_classes);
    return object;
}

void info_print_known(const tub_known_dataset *k) {
    print_row("data set");
    printf("%s: %s\n", k->name, k->title);
    print_row("licence");
    printf("%s\n", k->licence != NULL ? k->licence : "not known");
    for (int s = 0; s < TUB_SPLITS; s++) {
        print_row(tub_split_name((tub_split)s));
        printf("%lld samples\n", (long long)k->count[s]);
    }
    print_row("classes");
    printf("%lld\n", (long long)k->classes);
    print_row("file");
    char program[SHELL_ROOM], name[SHELL_ROOM];
    printf("%s, not downloaded yet: %s fetch %s\n", k->file, shell_program(program),
           shell_path(name, k->name));
}

json_t *info_known_json(const tub_known_dataset *k) {
    return json_pack("{s:s,s:s,s:s,s:s?,s:I,s:o,s:b}", "kind", "data", "name", k->name, "title",
                     k->title, "licence", k->licence, "classes", (json_int_t)k->classes, "samples",
                     output_integers(k->count, TUB_SPLITS), "downloaded", 0);
}

void info_print_machine(const tub_context *ctx, const tub_machine *machine) {
    print_row("tubelet");
    printf("%s\n", tub_version());
    print_row("processor");
    printf("%s\n", machine->processor);
    print_row("cores");
    printf("%d, %d threads in use\n", machine->cores, tub_context_threads(ctx));
    print_row("instruction sets");
    printf("portable%s%s%s%s%s\n", machine->has_neon ? ", neon" : "",
           machine->has_avx2 ? ", avx2" : "", machine->has_avx512 ? ", avx512" : "",
           machine->has_avx512_bf16 ? ", avx512_bf16" : "", machine->has_amx ? ", amx" : "");
    print_row("kernels");
    printf("%s\n", tub_context_cpu(ctx));
}

json_t *info_machine_json(const tub_context *ctx, const tub_machine *machine) {
    return json_pack("{s:s,s:s,s:s,s:i,s:i,s:b,s:b,s:b,s:b,s:b,s:s}", "kind", "machine", "version",
                     tub_version(), "processor", machine->processor, "cores", machine->cores,
                     "threads", tub_context_threads(ctx), "neon", machine->has_neon, "avx2",
                     machine->has_avx2, "avx512", machine->has_avx512, "avx512_bf16",
                     machine->has_avx512_bf16, "amx", machine->has_amx, "kernels",
                     tub_context_cpu(ctx));
}
