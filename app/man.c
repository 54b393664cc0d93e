/* SPDX-License-Identifier: Apache-2.0 */
/* The manual page, made of the same tables that read the command line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* Text with roff's own characters made harmless: a dash stays a dash, a leading dot stays text. */
static void put(const char *text) {
    if (text[0] == '.' || text[0] == '\'') {
        fputs("\\&", stdout);
    }
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '-') {
            fputs("\\-", stdout);
        } else if (*c == '\\') {
            fputs("\\e", stdout);
        } else {
            putchar(*c);
        }
    }
}

static void print_option(const struct argp_option *o) {
    if ((o->flags & OPTION_HIDDEN) != 0) {
        return; /* another spelling */
    }
    if (o->name == NULL) {
        fputs(".PP\n", stdout);
        put(o->doc);
        putchar('\n');
        return;
    }
    fputs(".TP\n", stdout);
    if (o->key > ' ' && o->key < 127) {
        fputs("\\fB", stdout);
        printf("\\-%c\\fR, ", o->key);
    }
    fputs("\\fB\\-\\-", stdout);
    put(o->name);
    fputs("\\fR", stdout);
    if (o->arg != NULL) {
        bool optional = (o->flags & OPTION_ARG_OPTIONAL) != 0;
        fputs(optional ? "[=\\fI" : "=\\fI", stdout);
        put(o->arg);
        fputs(optional ? "\\fR]" : "\\fR", stdout);
    }
    putchar('\n');
    put(o->doc);
    putchar('\n');
}

/* Lines of an indented block, as they stand. */
static void print_block(const char *text) {
    fputs(".PP\n.nf\n", stdout);
    char line[512];
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");
        snprintf(line, sizeof line, "%.*s", (int)n, text);
        put(line);
        putchar('\n');
        text += n + (text[n] == '\n');
    }
    fputs(".fi\n", stdout);
}

static void print_command(const cli_command *command) {
    struct argp_option *table = cli_full_options(command);
    printf(".SS tubelet ");
    put(command->name);
    printf("\n");
    /* One usage per line of the arguments. */
    const char *text = command->arguments;
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");
        char line[256];
        snprintf(line, sizeof line, "%.*s", (int)n, text);
        printf(".PP\n\\fBtubelet ");
        put(command->name);
        printf("\\fR [\\fIOPTION\\fR...] ");
        put(line);
        putchar('\n');
        text += n + (text[n] == '\n');
    }
    fputs(".PP\n", stdout);
    put(command->description);
    putchar('\n');
    for (size_t i = 0; table != NULL && (table[i].name != NULL || table[i].doc != NULL); i++) {
        print_option(&table[i]);
    }
    print_block(command->examples);
    free(table);
}

void cli_print_manual(void) {
    size_t n = 0;
    const cli_command *const *commands = cli_commands(&n);
    printf(
        ".\\\" SPDX-License-Identifier: Apache-2.0\n"
        ".\\\" Made by tubelet --man from the option tables; do not edit.\n"
        ".TH TUBELET 1 \"\" \"tubelet %s\" \"User Commands\"\n"
        ".SH NAME\ntubelet \\- train, evaluate and run video vision transformers\n"
        ".SH SYNOPSIS\n\\fBtubelet\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR...] [\\fIARGUMENT\\fR...]\n"
        ".SH DESCRIPTION\n"
        "Trains video vision transformers (ViViT) on volumes, evaluates them and classifies with "
        "them.\nResults go to standard output, everything else to standard error.\n"
        ".SH COMMANDS\n",
        tub_version());
    for (size_t i = 0; i < n; i++) {
        print_command(commands[i]);
    }
    fputs(".SH EXIT STATUS\n"
          "0 done, 1 failed or interrupted, 2 wrong usage (a wrong command line, recipe or "
          "environment variable, values out of range included).\n"
          ".SH ENVIRONMENT\n"
          ".TP\n\\fBTUBELET_CPU\\fR\nInstruction set, as \\-\\-cpu.\n"
          ".TP\n\\fBTUBELET_DATA\\fR\nWhere downloads are kept (default: ~/.cache/tubelet).\n"
          ".TP\n\\fBTUBELET_MODULES\\fR\nFolder of the optional modules.\n"
          ".TP\n\\fBTMPDIR\\fR\nWhere a video that comes through a pipe is kept while it is read "
          "(default: /tmp).\n",
          stdout);
}
