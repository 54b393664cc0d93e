/* SPDX-License-Identifier: Apache-2.0 */
/* The program tubelet: finds the command and runs it. */
#ifdef __linux__
#include <malloc.h>
#endif
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const cli_command *const commands[] = {&cli_train,   &cli_eval,    &cli_predict, &cli_report,
                                              &cli_explain, &cli_compare, &cli_clip,    &cli_sweep,
                                              &cli_serve,   &cli_convert, &cli_info,    &cli_fetch,
                                              &cli_push,    &cli_space,   &cli_bench};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

const cli_command *const *cli_commands(size_t *n) {
    *n = COMMANDS;
    return commands;
}

const cli_command *cli_command_find(const char *name) {
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

static const char *command_word(const void *words, size_t index) {
    return (*((const cli_command *const *)words + index))->name;
}

static void print_unknown(const char *word) {
    size_t near = tub_nearest(word, commands, COMMANDS, command_word);
    fprintf(stderr, "tubelet: unknown command '%s'; ", word);
    if (near < COMMANDS) {
        fprintf(stderr, "did you mean '%s'?\n", commands[near]->name);
        return;
    }
    fputs("there are", stderr);
    for (size_t i = 0; i < COMMANDS; i++) {
        fprintf(stderr, "%s %s", i > 0 ? "," : "", commands[i]->name);
    }
    fputc('\n', stderr);
}

static void print_help(void) {
    fputs("Usage: tubelet COMMAND [OPTION...] [ARGUMENT...]\n"
          "Trains, evaluates and runs video vision transformers (ViViT).\n\n",
          stdout);
    for (size_t i = 0; i < COMMANDS; i++) {
        printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
    }
    fputs("\n"
          "  tubelet COMMAND --help   the options of a command, with examples\n"
          "  tubelet --version        the version\n\n"
          "Start: tubelet train --data phantom3d --recipe keras-vivit --out runs/first\n",
          stdout);
}

/* Options before a command; -1: there is a command to run. */
static int run_without_command(int argc, char **argv) {
    const char *word = argc > 1 ? argv[1] : "";
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
        (strcmp(word, "help") == 0 && argc == 2)) {
        print_help();
        return CLI_DONE;
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        printf("tubelet %s\n", tub_version());
        return CLI_DONE;
    }
    if (strcmp(word, "--man") == 0) {
        cli_print_manual();
        return CLI_DONE;
    }
    if (word[0] == '\0') {
        fputs("tubelet: needs a command; tubelet --help lists them\n", stderr);
        return CLI_MISUSE;
    }
    return -1;
}

/* glibc takes large blocks from the heap once one of that size was freed, and keeps what lies
 * below others: some 30 MiB where a large model is reduced. With a threshold of one's own they
 * always go back to the system. */
static void give_memory_back(void) {
#ifdef __GLIBC__
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
}

int main(int argc, char **argv) {
    argp_err_exit_status = CLI_MISUSE;
    give_memory_back();
    int code = run_without_command(argc, argv);
    if (code >= 0) {
        return cli_finish(NULL, code);
    }
    bool help = strcmp(argv[1], "help") == 0;
    const char *word = help ? argv[2] : argv[1];
    const cli_command *command = cli_command_find(word);
    if (command == NULL) {
        print_unknown(word);
        return CLI_MISUSE;
    }
    if (help) {
        char *line[] = {argv[0], (char[]){"--help"}, NULL};
        return cli_finish(command, command->run(command, 2, line));
    }
    return cli_finish(command, command->run(command, argc - 1, argv + 1));
}
