/* SPDX-License-Identifier: Apache-2.0 */
/* tubelet bench step and predict: whole models. */
#include "bench.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bench_print.h"
#include "subject.h"

static const char *preset_word(const void *words, size_t index) {
    static const char *const presets[] = {"vivit-tiny", "vivit-b", "vivit-l", "vivit-h"};
    (void)words;
    return index < sizeof presets / sizeof *presets ? presets[index] : "";
}

static int misuse(const cli_command *self, const char *model) {
    const size_t count = 4, near = tub_nearest(model, NULL, count, preset_word);
    if (near < count) {
        (void)cli_fail_with(self, "'%s' is no model folder or preset; did you mean '%s'?", model,
                            preset_word(NULL, near));
    } else {
        (void)cli_fail_with(
            self, "'%s' is no model folder, and no preset (vivit-tiny, vivit-b, vivit-l, vivit-h)",
            model);
    }
    return CLI_MISUSE;
}

static int open_folder(const cli_command *self, tub_context *ctx, const bench_options *o,
                       tub_model **model) {
    tub_error err;
    subject s;
    if (o->settings.count > 0) {
        char option[48];
        cli_setting_name(o->settings.given[0].setting->key, option, sizeof option);
        (void)cli_fail_with(self, "--%s changes a preset; %s is a folder, whose model is as it is",
                            option, o->model);
        return CLI_MISUSE;
    }
    int code = subject_resolve(self, ctx, o->model, NULL, &s);
    if (code == CLI_GO && tub_model_open(ctx, s.folder, model, &err) != TUB_OK) {
        code = cli_fail(self, &err);
    }
    return code;
}

/* A preset's sizes with those that were given; whatever is wrong then is the command line. */
static int make_preset(const cli_command *self, tub_context *ctx, const bench_options *o,
                       const tub_model_config *preset, tub_model **model) {
    const uint64_t seed = 1;
    tub_train_config config = tub_train_config_default();
    tub_error err;
    config.model = *preset;
    tub_status status = settings_apply(&o->settings, NULL, &config, &err);
    if (status == TUB_OK) {
        status = tub_model_create_for_inference(ctx, &config.model, seed, model, &err);
    }
    if (status == TUB_OK) {
        return CLI_GO;
    }
    const int code = cli_fail_setting(self, &err);
    return status == TUB_E_UNSUPPORTED ? CLI_MISUSE : code;
}

/* A name that is a preset is one, unless a folder of that name lies here. */
static int find_model(const cli_command *self, tub_context *ctx, const bench_options *o,
                      const char *name, tub_model **model) {
    tub_model_config preset;
    struct stat status;
    if (o->model != NULL && (tub_hub_is_name(o->model) || stat(o->model, &status) == 0)) {
        return open_folder(self, ctx, o, model);
    }
    if (tub_model_preset(name, &preset, NULL) != TUB_OK) {
        return misuse(self, name);
    }
    return make_preset(self, ctx, o, &preset, model);
}

static int print_profile(const cli_command *self, const bench_options *o, tub_model *model,
                         int64_t batch, double peak) {
    const tub_bench_config config = bench_config(o);
    const tub_bench_pass pass = o->name == BENCH_STEP ? TUB_BENCH_STEP : TUB_BENCH_PREDICT;
    tub_bench_operation operations[TUB_BENCH_OPERATIONS];
    size_t count = 0;
    tub_error err;
    int code = CLI_DONE;
    if (tub_bench_profile(model, pass, batch, &config, operations, &count, &err) != TUB_OK) {
        return cli_fail(self, &err);
    }
    if (!o->common.json) {
        bench_print_profile(operations, count, peak);
    }
    for (size_t i = 0; o->common.json && i < count && code == CLI_DONE; i++) {
        code = cli_print_json(self, bench_operation_json(&operations[i], peak));
    }
    return code;
}

static tub_status measure(const bench_options *o, tub_model *model, bench_line *line,
                          tub_bench_step_result *out, tub_error *err) {
    const tub_bench_config config = bench_config(o);
    tub_model_cost cost;
    tub_status status = tub_model_cost_of(line->config, line->batch, &cost, err);
    if (status != TUB_OK) {
        return status;
    }
    line->tokens = cost.tokens;
    line->result = &out->whole;
    if (o->name == BENCH_PREDICT) {
        return tub_bench_predict(model, line->batch, &config, &out->whole, err);
    }
    line->step = out;
    return tub_bench_step(model, line->batch, &config, out, err);
}

/* As trained by default; as answered one by one. */
static int64_t batch_of(const bench_options *o) {
    const int64_t usual = o->name == BENCH_STEP ? 32 : 1;
    return o->number[BENCH_BATCH] != 0 ? o->number[BENCH_BATCH] : usual;
}

static int measure_and_print(const cli_command *self, tub_context *ctx, const bench_options *o,
                             const char *name, tub_model *model) {
    tub_bench_step_result result = {0};
    tub_error err;
    bench_line line = {.bench = o->word,
                       .cpu = tub_context_cpu(ctx),
                       .threads = tub_context_threads(ctx),
                       .precision = o->precision,
                       .model = name,
                       .config = tub_model_describe(model),
                       .batch = batch_of(o)};
    const tub_status status = measure(o, model, &line, &result, &err);
    if (status != TUB_OK) {
        const int code = cli_fail_setting(self, &err);
        return status == TUB_E_UNSUPPORTED ? CLI_MISUSE : code;
    }
    int code = CLI_DONE;
    if (o->common.json) {
        code = cli_print_json(self, bench_line_json(&line));
    } else {
        bench_print_model(&line);
    }
    return code == CLI_DONE && o->profile
               ? print_profile(self, o, model, line.batch, line.result->peak)
               : code;
}

int bench_model(const cli_command *self, tub_context *ctx, const bench_options *o) {
    const char *name = o->model != NULL ? o->model : "vivit-tiny";
    tub_model *model = NULL;
    int code = find_model(self, ctx, o, name, &model);
    if (code == CLI_GO) {
        code = measure_and_print(self, ctx, o, name, model);
    }
    tub_model_close(model);
    return code;
}
