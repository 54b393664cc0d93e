/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines: argp over the commands' tables, with one sentence for everything that is wrong. */
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shell.h"

static void print_sentence(const char *command, const char *format, va_list arguments) {
    (void)live_clear();
    fprintf(stderr, "tubelet%s%s: ", command != NULL ? " " : "", command != NULL ? command : "");
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

error_t cli_misuse(struct argp_state *state, const char *format, ...) {
    cli_common *common = state->input;
    if (!common->failed) {
        va_list arguments;
        va_start(arguments, format);
        print_sentence(common->command->name, format, arguments);
        va_end(arguments);
        common->failed = true;
    }
    return ECANCELED;
}

bool cli_parse_int(struct argp_state *state, const char *option, const char *text, long low,
                   long high, long *out) {
    char *end = NULL;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < low || value > high) {
        if (high == LONG_MAX) {
            (void)cli_misuse(state, "%s '%s' is not a whole number of at least %ld", option, text,
                             low);
        } else {
            (void)cli_misuse(state, "%s '%s' is not a whole number from %ld to %ld", option, text,
                             low, high);
        }
        return false;
    }
    *out = value;
    return true;
}

error_t cli_parse_common(int key, char *argument, struct argp_state *state) {
    cli_common *common = state->input;
    long number = 0;
    tub_error err;
    switch (key) {
    case ARGP_KEY_INIT:
        state->err_stream = NULL; /* getopt's sentence is enough: no second line "Try ... --help" */
        return 0;
    case 't':
        if (!cli_parse_int(state, "--threads", argument, 1, 1024, &number)) {
            return ECANCELED;
        }
        common->threads = (int)number;
        return 0;
    case CLI_KEY_CPU:
        if (tub_cpu_parse(argument, &common->cpu, &err) != TUB_OK) {
            return cli_misuse(state, "--cpu: %s", err.message);
        }
        return 0;
    case CLI_KEY_PRECISION:
        if (tub_precision_parse(argument, &common->precision, &err) != TUB_OK) {
            return cli_misuse(state, "--precision: %s", err.message);
        }
        return 0;
    case CLI_KEY_DEVICE:
        if (strcmp(argument, "cpu") == 0) {
            return 0;
        }
        if (strcmp(argument, "cuda") == 0) {
            return cli_misuse(state, "--device cuda is planned but not built yet; leave the option "
                                     "away to compute on the processor");
        }
        return cli_misuse(state, "--device '%s' is unknown; this version has cpu", argument);
    case CLI_KEY_JSON:
        common->json = true;
        return 0;
    case 'q':
        common->quiet = true;
        return 0;
    case CLI_KEY_PLAIN:
        common->plain = true;
        return 0;
    case 'h':
        common->help = true;
        return ECANCELED; /* whatever else is on the line */
    case ARGP_KEY_ARG:
        return cli_misuse(state, "unexpected argument '%s'; tubelet %s --help shows the usage",
                          argument, common->command->name);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

error_t cli_parse_argument(const char **out, char *argument, struct argp_state *state) {
    if (*out != NULL) {
        return cli_parse_common(ARGP_KEY_ARG, argument, state);
    }
    *out = argument;
    return 0;
}

error_t cli_parse_name(const char **out, const char *option, const char *argument,
                       struct argp_state *state) {
    if (argument[0] == '\0') {
        return cli_misuse(state, "%s is given an empty name", option);
    }
    *out = argument;
    return 0;
}

const char *cli_input_name(const char *argument) {
    return strcmp(argument, "-") == 0 ? "/dev/stdin" : argument;
}

static size_t count_options(const struct argp_option *options) {
    size_t n = 0;
    while (options[n].name != NULL || options[n].doc != NULL) {
        n++;
    }
    return n;
}

void cli_setting_name(const char *key, char *out, size_t size) {
    static const char model[] = "model.";
    const size_t skip = strncmp(key, model, sizeof model - 1) == 0 ? sizeof model - 1 : 0;
    /* The recipe has a mapping of the name "model"; as an option it is what one expects. */
    const bool family = strcmp(key, "model.family") == 0;
    snprintf(out, size, "%s", family ? "model" : key + skip);
    for (char *c = out; *c != '\0'; c++) {
        if (*c == '_' || *c == '.') {
            *c = '-';
        }
    }
}

const tub_option *cli_setting(int key) {
    size_t n = 0;
    const tub_option *settings = tub_train_options(&n);
    int index = key - CLI_KEY_SETTING;
    return index >= 0 && (size_t)index < n ? &settings[index] : NULL;
}

/* Choices that would leave no room beside them for the help come in the help. */
static bool has_long_choices(const tub_option *setting) {
    enum { LONG = 60 };
    return setting->type == TUB_OPTION_CHOICE && strlen(setting->choices) > LONG;
}

/* "true" where no value is given: flags, and what may be left to the program, too. */
static bool may_stand_alone(const tub_option *setting) {
    return setting->type == TUB_OPTION_FLAG ||
           (setting->type == TUB_OPTION_CHOICE && strstr(setting->choices, "|true|") != NULL);
}

static const char *setting_argument(const tub_option *setting) {
    if (setting->type == TUB_OPTION_FLAG) {
        return "true|false";
    }
    if (setting->type == TUB_OPTION_CHOICE) {
        return has_long_choices(setting) ? setting->argument : setting->choices;
    }
    return setting->argument != NULL ? setting->argument : "VALUE";
}

/* "a|b|c" as " (a, b, c)". */
static void append_choices(const char *choices, char *out, size_t size) {
    const char *before = " (";
    for (size_t length; *choices != '\0'; choices += length + (choices[length] == '|')) {
        const size_t used = strlen(out);
        length = strcspn(choices, "|");
        snprintf(out + used, size - used, "%s%.*s", before, (int)length, choices);
        before = ", ";
    }
    const size_t used = strlen(out);
    snprintf(out + used, size - used, ")");
}

/* The help with a capital letter, and of a recipe's setting the default: "... (default 32)", or
 * "... (0: no limit; default 0)". A preset's model has its own defaults, and no data to take sizes
 * from. */
static void setting_help(const tub_option *setting, bool of_recipe, char *out, size_t size) {
    const tub_train_config defaults = tub_train_config_default();
    char value[TUB_PATH_LENGTH] = "";
    snprintf(out, size, "%s", setting->help);
    if (has_long_choices(setting)) {
        append_choices(setting->choices, out, size);
    }
    out[0] = (char)toupper((unsigned char)out[0]);
    char *from_data = strstr(out, " (0: as the data)");
    if (!of_recipe && from_data != NULL) {
        *from_data = '\0';
    }
    if (!of_recipe ||
        tub_train_config_get(&defaults, setting->key, value, sizeof value, NULL) != TUB_OK ||
        value[0] == '\0') {
        return;
    }
    size_t length = strlen(value), used = strlen(out);
    if (setting->type == TUB_OPTION_REAL && length > 2 && strcmp(value + length - 2, ".0") == 0) {
        value[length - 2] = '\0';
    }
    const char *open = strrchr(out, '(');
    bool remark = open != NULL && open > out && open[-1] == ' ' && out[used - 1] == ')';
    snprintf(out + used - (remark ? 1 : 0), size - used, "%sdefault %s)", remark ? "; " : " (",
             value);
}

enum { NAME_SIZE = 48, HELP_SIZE = 192, TEXT_SIZE = NAME_SIZE + HELP_SIZE };

/* The option of a setting, with its texts in `texts`. */
static struct argp_option setting_option(const tub_option *setting, size_t index, bool of_recipe,
                                         char *texts) {
    char *name = texts, *help = texts + NAME_SIZE;
    cli_setting_name(setting->key, name, NAME_SIZE);
    setting_help(setting, of_recipe, help, HELP_SIZE);
    return (struct argp_option){name,
                                CLI_KEY_SETTING + (int)index,
                                setting_argument(setting),
                                may_stand_alone(setting) ? OPTION_ARG_OPTIONAL : 0,
                                help,
                                strncmp(setting->key, "model.", 6) == 0 ? 6 : 5};
}

/* prefixes: "model.|augment.|clip."; an empty one begins every key. */
static bool begins_with(const char *key, const char *prefixes) {
    for (const char *p = prefixes;; p++) {
        const size_t length = strcspn(p, "|");
        if (strncmp(key, p, length) == 0) {
            return true;
        }
        p += length;
        if (*p == '\0') {
            return false;
        }
    }
}

struct argp_option *cli_full_options(const cli_command *command) {
    size_t own = count_options(command->options);
    size_t n = 0;
    const tub_option *settings = command->settings != NULL ? tub_train_options(&n) : NULL;
    /* One block: the table, its closing entry, then the texts that are made from the settings. */
    struct argp_option *table = calloc(1, (own + n + 3) * sizeof *table + n * TEXT_SIZE);
    if (table == NULL) {
        return NULL;
    }
    memcpy(table, command->options, own * sizeof *table);
    size_t used = own;
    table[used++] = (struct argp_option){"help", 'h', NULL, 0, "Print this help", -1};
    const bool of_recipe = n > 0 && command->settings[0] == '\0';
    if (n > 0) {
        table[used++] = (struct argp_option){
            NULL,
            0,
            NULL,
            OPTION_DOC,
            of_recipe ? "Settings of the recipe (the option wins over the file):"
            : strchr(command->settings, '|') != NULL
                ? "Settings of the model (the option wins over the preset), and of a training "
                  "whose "
                  "augmentation is shown:"
                : "Settings of the model (the option wins over the preset):",
            4};
    }
    char *texts = (char *)(table + own + n + 3);
    for (size_t i = 0; i < n; i++) {
        if (begins_with(settings[i].key, command->settings)) {
            table[used++] = setting_option(&settings[i], i, of_recipe, texts + i * TEXT_SIZE);
        }
    }
    return table;
}

static const char *option_word(const void *words, size_t index) {
    const char *name = ((const struct argp_option *)words)[index].name;
    return name != NULL ? name : "";
}

/* True when the word is, or is short for, a long option of the table. */
static const struct argp_option *find_option(const struct argp_option *options, const char *word,
                                             size_t length) {
    for (size_t i = 0, n = count_options(options); i < n; i++) {
        if (options[i].name != NULL && strncmp(options[i].name, word, length) == 0) {
            return &options[i];
        }
    }
    return NULL;
}

/* Finds a long option that does not exist before getopt does, to be able to say which one was
 * meant. */
static bool check_names(const cli_command *command, const struct argp_option *options, int argc,
                        char **argv) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], "--", 2) != 0) {
            continue;
        }
        char word[48];
        size_t length = strcspn(argv[i] + 2, "=");
        snprintf(word, sizeof word, "%.*s", (int)(length < sizeof word ? length : 0), argv[i] + 2);
        const struct argp_option *option = find_option(options, argv[i] + 2, length);
        if (option == NULL) {
            size_t n = count_options(options), near = tub_nearest(word, options, n, option_word);
            fprintf(stderr, "tubelet %s: unknown option '%.*s'; %s%s%s\n", command->name,
                    (int)length + 2, argv[i], near < n ? "did you mean '--" : "tubelet ",
                    near < n ? options[near].name : command->name,
                    near < n ? "'?" : " --help lists all");
            return false;
        }
        if (option->arg != NULL && (option->flags & OPTION_ARG_OPTIONAL) == 0 &&
            argv[i][2 + length] == '\0') {
            i++; /* the next word is its value, whatever it looks like */
        }
    }
    return true;
}

static int parse(const cli_command *command, int argc, char **argv, cli_common *options) {
    struct argp_option *table = cli_full_options(command);
    char *doc = NULL;
    char name[64];
    int code = CLI_MISUSE;
    if (table == NULL || asprintf(&doc, "%s\n\n%s\vExamples:\n%s\n", command->summary,
                                  command->description, command->examples) < 0) {
        fprintf(stderr, "tubelet %s: out of memory\n", command->name);
        free(table);
        return CLI_FAILED;
    }
    snprintf(name, sizeof name, "tubelet %s", command->name);
    argv[0] = name; /* getopt begins its sentences with it */
    options->command = command;
    struct argp argp = {table, command->parser, command->arguments, doc, NULL, NULL, NULL};
    error_t error = 0;
    if (check_names(command, table, argc, argv)) {
        error = argp_parse(&argp, argc, argv, ARGP_NO_HELP | ARGP_NO_EXIT, NULL, options);
        code = error == 0 && !options->failed ? CLI_GO : CLI_MISUSE;
    }
    if (options->help) {
        /* Without argp's remark about short options: the table shows the same. The user's own
         * format wins. */
        setenv("ARGP_HELP_FMT", "no-dup-args-note", 0);
        argp_help(&argp, stdout, ARGP_HELP_SHORT_USAGE | ARGP_HELP_LONG | ARGP_HELP_DOC, name);
        output_note();
        code = CLI_DONE;
    }
    free(doc);
    free(table);
    return code;
}

static tub_context_config context_config(const cli_common *options, tub_precision precision) {
    tub_context_config config = tub_context_config_default();
    config.threads = options->threads;
    config.cpu = options->cpu;
    config.precision = precision;
    return config;
}

tub_status cli_context_in(const cli_common *options, tub_precision precision, tub_context **out,
                          tub_error *err) {
    const tub_context_config config = context_config(options, precision);
    return tub_context_create(&config, out, err);
}

/* line: how the program was called. */
static int work_begin(cli_work *work, const cli_common *options, const char *line) {
    tub_error err;
    work->command = options->command;
    progress_init(&work->progress, options->command->name, options->quiet, options->json,
                  options->plain);
    tub_context_config config = context_config(options, options->precision);
    config.on_event = progress_event;
    config.event_user = &work->progress;
    config.command = line;
    work->context = NULL;
    if (tub_context_create(&config, &work->context, &err) != TUB_OK) {
        return cli_fail(options->command, &err);
    }
    return CLI_GO;
}

static void work_end(cli_work *work) {
    (void)live_clear();
    tub_context_destroy(work->context);
    work->context = NULL;
}

int cli_run(const cli_command *self, int argc, char **argv, void *options, cli_job_fn *job) {
    cli_work work;
    char *line = shell_line(self->name, argc, argv); /* parsing moves the words */
    int code = parse(self, argc, argv, options);
    if (code == CLI_GO) {
        ((cli_common *)options)->line = line;
        code = work_begin(&work, options, line);
    }
    if (code == CLI_GO) {
        code = job(self, &work, options);
        output_note();
        work_end(&work);
    }
    free(line);
    return code;
}

int cli_fail(const cli_command *command, const tub_error *err) {
    (void)live_clear();
    fprintf(stderr, "tubelet %s: %s\n", command->name, err->message);
    return err->status == TUB_E_ARGUMENT ? CLI_MISUSE : CLI_FAILED;
}

int cli_fail_setting(const cli_command *command, const tub_error *err) {
    int code = cli_fail(command, err);
    return err->status == TUB_E_RANGE || err->status == TUB_E_FORMAT ? CLI_MISUSE : code;
}

int cli_fail_with(const cli_command *command, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    print_sentence(command != NULL ? command->name : NULL, format, arguments);
    va_end(arguments);
    return CLI_FAILED;
}

int cli_print_json(const cli_command *command, json_t *object) {
    return output_line(object) ? CLI_DONE : cli_fail_with(command, "out of memory");
}

int cli_finish(const cli_command *command, int code) {
    (void)fflush(stdout);
    output_note();
    if (output_failure() != 0) {
        return cli_fail_with(command, "the result could not be written to standard output: %s",
                             strerror(output_failure()));
    }
    return code;
}
