/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a program on a terminal of its own and shows what a person would see there in the end.
 *
 *   pty_screen ROWSxCOLUMNS [--on TEXT --resize ROWSxCOLUMNS | --on TEXT --key C]... COMMAND...
 *
 * --on: once, when the program has written TEXT: the terminal gets another size, or Ctrl-C is pressed. Prints the lines
 * that have scrolled away and those of the screen, without empty ones, then how wide the widest line was
 * at any time (since the last resize) and the exit code. Everything that came from the program goes to the file raw. */
#include <errno.h>
#include <pty.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROWS = 100, COLUMNS = 300, CELL = 5, KEEP = 1 << 16, ACTIONS = 4 };

typedef struct action {
    const char *on;
    struct winsize size; /* zero rows: a key */
    char key;
    bool done;
} action;

static struct screen {
    char cell[ROWS][COLUMNS][CELL]; /* UTF-8 */
    int rows, columns, row, column, widest;
    char escape[32];
    int escape_length; /* 0: none is open */
    char letter[CELL];
    int letter_length;
} screen;

static action actions[ACTIONS];
static int action_count;

static struct winsize read_size(const char *text) {
    int rows, columns;
    if (sscanf(text, "%dx%d", &rows, &columns) != 2 || rows < 1 || rows > ROWS || columns < 1 ||
        columns > COLUMNS) {
        fprintf(stderr, "pty_screen: '%s' is no size\n", text);
        exit(2);
    }
    return (struct winsize){.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
}

static void print_row(const char row[COLUMNS][CELL]) {
    int end = COLUMNS;
    while (end > 0 && (row[end - 1][0] == '\0' || row[end - 1][0] == ' ')) {
        end--;
    }
    for (int i = 0; i < end; i++) {
        fputs(row[i][0] != '\0' ? row[i] : " ", stdout);
    }
    if (end > 0) {
        putchar('\n');
    }
}

static void new_line(void) {
    if (++screen.row == screen.rows) {
        print_row((const char(*)[CELL])screen.cell[0]);
        memmove(screen.cell[0], screen.cell[1], sizeof screen.cell[0] * (ROWS - 1));
        memset(screen.cell[ROWS - 1], 0, sizeof screen.cell[0]);
        screen.row--;
    }
}

static void put_cell(const char *bytes, int length) {
    if (screen.column == screen.columns) { /* wraps */
        screen.column = 0;
        new_line();
    }
    memset(screen.cell[screen.row][screen.column], 0, CELL);
    memcpy(screen.cell[screen.row][screen.column++], bytes, (size_t)length);
    screen.widest = screen.column > screen.widest ? screen.column : screen.widest;
}

static void erase_line(int row, int from) {
    memset(screen.cell[row][from], 0, sizeof screen.cell[0][0] * (size_t)(COLUMNS - from));
}

/* The final letter of ESC [ ... */
static void obey(char letter) {
    const int n = atoi(screen.escape + 2) > 0 ? atoi(screen.escape + 2) : 1;
    if (letter == 'A') {
        screen.row = screen.row > n ? screen.row - n : 0;
    } else if (letter == 'K' || letter == 'J') {
        erase_line(screen.row, screen.column);
        for (int row = screen.row + 1; letter == 'J' && row < screen.rows; row++) {
            erase_line(row, 0);
        }
    } else if (letter != 'm') {
        printf("unknown escape %s\n", screen.escape + 1);
    }
}

static void feed_escape(char c) {
    screen.escape[screen.escape_length++] = c;
    screen.escape[screen.escape_length] = '\0';
    if (screen.escape_length > 2 && c >= '@' && c <= '~') {
        obey(c);
        screen.escape_length = 0;
    } else if (screen.escape_length == sizeof screen.escape - 1) {
        screen.escape_length = 0;
    }
}

/* A byte of a character that may come in two reads. */
static void feed_character(char c) {
    const unsigned char first = (unsigned char)(screen.letter_length > 0 ? screen.letter[0] : c);
    const int length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
    screen.letter[screen.letter_length++] = c;
    if (screen.letter_length == length) {
        put_cell(screen.letter, length);
        screen.letter_length = 0;
    }
}

static void feed(char c) {
    if (screen.escape_length > 0 || c == '\033') {
        feed_escape(c);
    } else if (c == '\r') {
        screen.column = 0;
    } else if (c == '\n') {
        new_line();
    } else if ((unsigned char)c >= ' ') {
        feed_character(c);
    }
}

static void act(int terminal, const char *seen) {
    for (int i = 0; i < action_count; i++) {
        action *a = &actions[i];
        if (a->done || strstr(seen, a->on) == NULL) {
            continue;
        }
        a->done = true;
        if (a->size.ws_row == 0) {
            if (write(terminal, &a->key, 1) != 1) {
                perror("pty_screen: write");
            }
            continue;
        }
        ioctl(terminal, TIOCSWINSZ, &a->size);
        screen.rows = a->size.ws_row;
        screen.columns = a->size.ws_col;
        screen.widest = 0;
        for (int row = 0; row < ROWS; row++) {
            erase_line(row, screen.columns);
        }
    }
}

static int parse(int argc, char **argv, struct winsize *size) {
    int i = 2;
    if (argc < 3) {
        fputs("pty_screen: needs a size and a command\n", stderr);
        exit(2);
    }
    *size = read_size(argv[1]);
    for (; i + 3 < argc && strcmp(argv[i], "--on") == 0 && action_count < ACTIONS; i += 4) {
        action *a = &actions[action_count++];
        a->on = argv[i + 1];
        if (strcmp(argv[i + 2], "--resize") == 0) {
            a->size = read_size(argv[i + 3]);
        } else {
            a->key = (char)(argv[i + 3][0] & 0x1f); /* as with Ctrl */
        }
    }
    return i;
}

int main(int argc, char **argv) {
    struct winsize size;
    static char seen[KEEP];
    size_t used = 0;
    int terminal, status;
    const int command = parse(argc, argv, &size);
    screen.rows = size.ws_row;
    screen.columns = size.ws_col;
    FILE *raw = fopen("raw", "w");
    const pid_t child = forkpty(&terminal, NULL, NULL, &size);
    if (child == 0) {
        execvp(argv[command], argv + command);
        perror(argv[command]);
        _exit(127);
    }
    if (child < 0 || raw == NULL) {
        perror("pty_screen");
        return 2;
    }
    for (ssize_t n; (n = read(terminal, seen + used, 4096)) > 0 || (n < 0 && errno == EINTR);) {
        if (n < 0) {
            continue;
        }
        fwrite(seen + used, 1, (size_t)n, raw);
        for (ssize_t i = 0; i < n; i++) {
            feed(seen[used + (size_t)i]);
        }
        used += (size_t)n;
        seen[used] = '\0';
        act(terminal, seen);
        if (used > KEEP - 8192) { /* the end is enough for what may follow */
            memmove(seen, seen + used - 1024, 1025);
            used = 1024;
        }
    }
    fclose(raw);
    waitpid(child, &status, 0);
    for (int row = 0; row < screen.rows; row++) {
        print_row((const char(*)[CELL])screen.cell[row]);
    }
    printf("widest %d, exit %d\n", screen.widest,
           WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return 0;
}
