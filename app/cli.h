/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands share: their table entry, option parsing, the context they work in, and how
 * they fail. */
#ifndef APP_CLI_H
#define APP_CLI_H

#include <argp.h>
#include <errno.h>
#include <stdbool.h>
#include <tubelet/tubelet.h>

#include "output.h"
#include "progress.h"

/* Exit codes of the program. CLI_MISUSE: the command line, the environment or a recipe is wrong,
 * whatever the files are; CLI_FAILED: everything else. */
enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_MISUSE = 2 };

/* Keys of long options without a letter; each command numbers its own from CLI_KEY_OWN. */
enum {
    CLI_KEY_CPU = 0x100,
    CLI_KEY_PRECISION,
    CLI_KEY_DEVICE,
    CLI_KEY_JSON,
    CLI_KEY_PLAIN,
    CLI_KEY_OWN = 0x200,
    CLI_KEY_SETTING = 0x1000
};

/* One command. The same entry makes the help text, the man page and the list in `tubelet --help`.
 */
typedef struct cli_command {
    const char *name;
    const char *arguments;             /* "MODEL FILE..." for the usage line */
    const char *summary;               /* one line, no full stop */
    const char *description;           /* a paragraph */
    const char *examples;              /* lines "command\n", what it does in a comment */
    const struct argp_option *options; /* ended by an empty entry */
    const char *settings;              /* settings of a recipe follow, one option each: those whose
                                          key begins so, or with one of several ("model.|clip.");
                                          NULL: none */
    argp_parser_t parser;              /* gets the keys of `options` and the arguments */
    int (*run)(const struct cli_command *self, int argc, char **argv);
} cli_command;

extern const cli_command cli_train, cli_eval, cli_predict, cli_info, cli_fetch, cli_bench,
    cli_convert, cli_clip, cli_report, cli_compare, cli_explain, cli_push, cli_space, cli_serve,
    cli_sweep;
/* All commands in the order of the help, *n of them. */
const cli_command *const *cli_commands(size_t *n);
const cli_command *cli_command_find(const char *name);

/* Options that every command has. The first member of each command's own struct, so that one parser
 * fills it. */
typedef struct cli_common {
    const cli_command *command;
    const char *line; /* how the command was called, as a shell takes it (shell_line) */
    int threads;
    tub_cpu cpu;
    tub_precision precision;
    bool json, quiet, plain;
    bool help;   /* --help was given */
    bool failed; /* a sentence was printed: the command line is wrong */
} cli_common;

/* Entries for the option tables; the group heads the common ones in the help. */
#define CLI_OPTIONS_COMPUTE                                                                        \
    {"threads", 't', "N", 0, "Compute with N threads (default: one per core)", 8},                 \
        {"cpu",                                                                                    \
         CLI_KEY_CPU,                                                                              \
         "SET",                                                                                    \
         0,                                                                                        \
         "Instruction set: auto, portable, neon, avx2, avx512, avx512_bf16 or amx; all give the "  \
         "same "                                                                                   \
         "bits in "                                                                                \
         "float32 (default auto)",                                                                 \
         8},                                                                                       \
    {                                                                                              \
        "device", CLI_KEY_DEVICE, "NAME", 0, "Where to compute: cpu (default cpu)", 8              \
    }
/* Of commands that read a model; training has a setting of this name. */
#define CLI_OPTION_PRECISION                                                                       \
    {                                                                                              \
        "precision", CLI_KEY_PRECISION, "KIND", 0,                                                 \
            "Precision of matrix products: f32, bf16 or int8 (default f32)", 8                     \
    }
#define CLI_OPTIONS_TALK                                                                           \
    {"json", CLI_KEY_JSON, NULL, 0, "Print JSON, one object per line (docs/json.md)", 9},          \
        {"quiet", 'q', NULL, 0, "Print results only", 9}, {                                        \
        "plain", CLI_KEY_PLAIN, NULL, 0, "Print lines on a terminal, too", 9                       \
    }

/* Not an exit code: go on with the work. */
enum { CLI_GO = -1 };
/* The common keys; every command's parser ends with it. */
error_t cli_parse_common(int key, char *argument, struct argp_state *state);
/* Prints "tubelet COMMAND: sentence" and makes the parser fail. */
error_t cli_misuse(struct argp_state *state, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The one argument that a command takes. */
error_t cli_parse_argument(const char **out, char *argument, struct argp_state *state);
/* Takes the name of a file or folder; an empty one is most often a variable of a script that is
 * not set. */
error_t cli_parse_name(const char **out, const char *option, const char *argument,
                       struct argp_state *state);
/* A file to read: "-" is the standard input. */
const char *cli_input_name(const char *argument);
/* Reads a whole number within bounds; false: the sentence was printed. */
bool cli_parse_int(struct argp_state *state, const char *option, const char *text, long low,
                   long high, long *out);
/* The key of a recipe's setting that belongs to an option key of CLI_KEY_SETTING and above. */
const tub_option *cli_setting(int key);
/* "model.mlp_output_gelu" to "mlp-output-gelu", "augment.flip_w" to "augment-flip-w". */
void cli_setting_name(const char *key, char *out, size_t size);
/* The option table with the settings of a recipe appended when the command has them; free() it. */
struct argp_option *cli_full_options(const cli_command *command);

/* A command at work: its context and the progress that its events draw. */
typedef struct cli_work {
    const cli_command *command;
    tub_context *context;
    progress progress;
} cli_work;

/* Parses a command's line into *options, whose first member is a cli_common, makes the context, does
 * the job and returns the exit code. */
typedef int cli_job_fn(const cli_command *self, cli_work *work, void *parsed);
int cli_run(const cli_command *self, int argc, char **argv, void *options, cli_job_fn *job);

/* A context as the options say, but of another precision, and one that tells no events; the caller's
 * (tub_context_destroy). */
tub_status cli_context_in(const cli_common *options, tub_precision precision, tub_context **out,
                          tub_error *err);

/* Prints the sentence of err to stderr and returns the exit code for it. */
int cli_fail(const cli_command *command, const tub_error *err);
/* The same where only settings can be wrong: a value out of range is misuse there, and so is a
 * recipe whose form is wrong. */
int cli_fail_setting(const cli_command *command, const tub_error *err);
/* The same from a sentence of the program's own: returns CLI_FAILED. command NULL: of no command.
 */
int cli_fail_with(const cli_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Prints a result as a line of JSON and releases it; CLI_FAILED where there was no memory for it. */
int cli_print_json(const cli_command *command, json_t *object);
/* The end of the program. Flushes stdout: a result that could not be written is a failure. Returns
 * code, or CLI_FAILED. command: NULL for the program itself. */
int cli_finish(const cli_command *command, int code);

/* Writes the manual page made of the option tables to stdout. */
void cli_print_manual(void);

#endif
