/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of the small recipe, and comparing what they leave behind. */
#include "training.h"

#include "cmocka_all.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../unit/sha256.h"
#include "backend/cpu.h"
#include "base/file.h"
#include "tiny_data.h"

const how plainly = {1, TUB_CPU_AUTO, 1, 0};

static char scratch[64];

bool runs_on(tub_cpu cpu) {
    if (!tub__cpu_has(cpu)) {
        print_message("skip: this processor lacks instruction set %s\n", tub__cpu_name(cpu));
        return false;
    }
    return true;
}

static bool enter(void) {
    /* In memory where possible: the tests wait for the disk thousands of times otherwise. */
    bool memory = access("/dev/shm", W_OK) == 0;
    strcpy(scratch, memory ? "/dev/shm/tubelet-train-XXXXXX" : "/tmp/tubelet-train-XXXXXX");
    /* Clips of files are kept there too, not in the user's own cache. */
    return mkdtemp(scratch) != NULL && chdir(scratch) == 0 &&
           setenv("TUBELET_DATA", scratch, 1) == 0 &&
           tiny_data_write("tiny.npz", TINY_CLASS) == 0 &&
           tiny_data_write("tiny-labels.npz", TINY_LABELS) == 0 &&
           tiny_data_write("tiny-heads.npz", TINY_HEADS) == 0;
}

int scratch_enter(void **state) {
    (void)state;
    return enter() ? 0 : -1;
}

int scratch_enter_with_reference(void **state) {
    (void)state;
    if (!enter()) {
        return -1;
    }
    tub_train_config c = long_recipe();
    must_run(&c, &plainly, "reference");
    return 0;
}

int scratch_leave(void **state) {
    (void)state;
    (void)!chdir("/");
    (void)!tub__folder_remove(&tub__default_allocator, scratch, NULL);
    return 0;
}

tub_train_config small_recipe(void) {
    static const char *const settings[][2] = {{"epochs", "10"},
                                              {"batch_size", "26"},
                                              {"lr", "2e-3"},
                                              {"schedule", "cosine"},
                                              {"warmup_epochs", "1"},
                                              {"optimizer", "adamw"},
                                              {"weight_decay", "0.01"},
                                              {"clip_norm", "1"},
                                              {"label_smoothing", "0.1"},
                                              {"class_weights", "balanced"},
                                              {"model.tubelet", "4,5,3"},
                                              {"model.hidden", "24"},
                                              {"model.heads", "3"},
                                              {"model.layers", "2"},
                                              {"model.mlp", "40"},
                                              {"model.attention_dropout", "0.2"}};
    tub_train_config c = tub_train_config_default();
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        assert_int_equal(tub_train_config_set(&c, settings[i][0], settings[i][1], NULL), TUB_OK);
    }
    strcpy(c.data, "tiny.npz");
    return c;
}

void use_labels_of(tub_train_config *c, const char *data) {
    strcpy(c->data, data);
    c->class_weights = TUB_WEIGHTS_NONE;
}

void turn_drops_on(tub_train_config *c) {
    c->model.dropout = 0.1;
    c->model.mlp_dropout = 0.2;
    c->model.drop_layer = 0.4;
    c->model.drop_layer_rescale = 1;
}

void turn_augmentation_on(tub_train_config *c) {
    tub_augment_config *a = &c->augment;
    a->volume = 1;
    a->flip_h = a->flip_w = 0.5;
    a->rotate = 20;
    a->shift = 0.1;
    a->scale[0] = 0.9, a->scale[1] = 1.1;
    a->intensity[0] = 0.8, a->intensity[1] = 1.2;
    a->noise[1] = 0.1;
    a->rand_ops = 1;
    a->mixup = 0.4;
    a->cutmix = 1;
    a->mix_chance = 0.8;
}

void turn_accuracy_on(tub_train_config *c) {
    c->ema = 0.9;
    c->class_weights = TUB_WEIGHTS_NONE;
    c->sampling = TUB_BALANCED;
    c->layer_decay = 0.8;
    strcpy(c->freeze, "embedding");
}

tub_train_config long_recipe(void) {
    tub_train_config c = small_recipe();
    c.epochs = 6;
    c.batch_size = 8;
    c.checkpoint_every = 4;
    return c;
}

static tub_status train(tub_context *ctx, const tub_train_config *config, const how *by,
                        const char *folder, tub_train_result *result, tub_error *err) {
    tub_train_config c = *config;
    c.ranks = by->ranks;
    c.micro_batch = by->micro_batch != 0 ? by->micro_batch : c.micro_batch;
    return tub_train(ctx, &c, NULL, folder, 0, result, err);
}

static tub_status open_context(tub_context_config context, const how *by, tub_context **out,
                               tub_error *err) {
    context.threads = by->threads;
    context.cpu = by->cpu;
    return tub_context_create(&context, out, err);
}

tub_status train_in(tub_context_config context, const tub_train_config *config, const how *by,
                    const char *folder, tub_error *err) {
    tub_context *ctx = NULL;
    tub_status status = open_context(context, by, &ctx, err);
    if (status == TUB_OK) {
        status = train(ctx, config, by, folder, NULL, err);
        tub_context_destroy(ctx);
    }
    return status;
}

tub_status run(const tub_train_config *config, const how *by, const char *folder, bool resume,
               tub_event_fn *on_event, void *user, tub_train_result *result, tub_error *err) {
    tub_context_config context = tub_context_config_default();
    tub_context *ctx = NULL;
    context.on_event = on_event;
    context.event_user = user;
    tub_status status = open_context(context, by, &ctx, err);
    if (status == TUB_OK) {
        status = resume ? tub_train_resume(ctx, folder, NULL, config != NULL ? config->epochs : 0,
                                           -1, result, err)
                        : train(ctx, config, by, folder, result, err);
        tub_context_destroy(ctx);
    }
    return status;
}

void must_run(const tub_train_config *config, const how *by, const char *folder) {
    tub_error err = {0};
    if (run(config, by, folder, false, NULL, NULL, NULL, &err) != TUB_OK) {
        fail_msg("%s", err.message);
    }
}

/* Kills the process at its n-th event of any kind that happens while a run is under way. */
static void kill_at(void *user, const tub_event *event) {
    int *left = user;
    if (event->kind != TUB_EVENT_LOG && --*left == 0) {
        raise(SIGKILL);
    }
}

bool child_of(const tub_train_config *c, const char *folder, bool resume, int events, int delay) {
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        tub_train_config usual = long_recipe();
        tub_error err = {0};
        tub_status status =
            run(c != NULL ? c : &usual, &plainly, folder, resume, kill_at, &events, NULL, &err);
        if (status != TUB_OK) {
            fprintf(stderr, "%s\n", err.message);
        }
        _exit(status == TUB_OK ? 0 : 1);
    }
    if (delay >= 0) {
        nanosleep(&(struct timespec){.tv_sec = delay / 1000000, .tv_nsec = delay % 1000000 * 1000L},
                  NULL);
        kill(pid, SIGKILL);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status)) {
        assert_int_equal(WEXITSTATUS(status), 0);
        return true;
    }
    assert_int_equal(WTERMSIG(status), SIGKILL);
    return false;
}

bool child(const char *folder, bool resume, int events, int delay) {
    return child_of(NULL, folder, resume, events, delay);
}

static char *read_all(const char *folder, const char *name, size_t *size) {
    char path[1024];
    char *bytes = NULL;
    tub_error err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (tub__file_read(&tub__default_allocator, path, 1 << 28, &bytes, size, &err) != TUB_OK) {
        fail_msg("%s", err.message);
    }
    return bytes;
}

void file_hash(const char *folder, const char *name, char hex[65]) {
    size_t size = 0;
    char *bytes = read_all(folder, name, &size);
    sha256_hex(bytes, size, hex);
    tub__free(&tub__default_allocator, bytes);
}

char *log_without_time(const char *folder) {
    size_t size = 0;
    char *text = read_all(folder, "log.csv", &size), *out = calloc(size + 1, 1);
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char *time = strchr(strchr(line, ',') + 1, ',') + 1; /* epoch,step,seconds,... */
        strncat(out, line, (size_t)(time - line));
        strcat(out, strchr(time, ',') + 1);
        *strrchr(out, ',') = '\0'; /* ...,data_wait */
        strcat(out, "\n");
    }
    tub__free(&tub__default_allocator, text);
    return out;
}

static void assert_same_file(const char *a, const char *b, const char *name) {
    char left[65], right[65];
    file_hash(a, name, left);
    file_hash(b, name, right);
    if (strcmp(left, right) != 0) {
        fail_msg("%s differs: %s in %s, %s in %s", name, left, a, right, b);
    }
}

void assert_same_run(const char *a, const char *b) {
    char *left = log_without_time(a), *right = log_without_time(b);
    assert_string_equal(left, right);
    free(left);
    free(right);
    assert_same_file(a, b, "model.safetensors");
    assert_same_file(a, b, "best/model.safetensors");
}

void assert_other_weights(const char *a, const char *b) {
    char left[65], right[65];
    file_hash(a, "model.safetensors", left);
    file_hash(b, "model.safetensors", right);
    assert_string_not_equal(left, right);
}

int count_temporaries(const char *folder) {
    DIR *dir = opendir(folder);
    int count = 0;
    assert_non_null(dir);
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        count += strstr(e->d_name, ".tmp-") != NULL;
    }
    closedir(dir);
    return count;
}

bool is_run(const char *folder) {
    char path[2048];
    snprintf(path, sizeof path, "%s/recipe.yaml", folder);
    return tub__file_exists(path);
}

void assert_clean(const char *folder) {
    char inside[2048];
    assert_int_equal(count_temporaries(folder), 0);
    snprintf(inside, sizeof inside, "%s/checkpoint", folder);
    assert_int_equal(count_temporaries(inside), 0);
}
