/* SPDX-License-Identifier: Apache-2.0 */
/* Models of a hub from inside: names, checksums, origins, and every allocation of getting, of a
 * card and of a Space made to fail. tests/hub has the protocol. */
#include "cmocka_all.h"

#include "base/file.h"
#include "base/module.h"
#include "failing_alloc.h"
#include "failing_context.h"
#include "http_server.h"
#include "hub/card.h"
#include "hub/client.h"
#include "hub/env.h"
#include "hub/name.h"
#include "hub/weights_list.h"
#include "temp_folder.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <tubelet/tubelet.h>
#include <unistd.h>

#define COMMIT "0123456789abcdef0123456789abcdef01234567"

static const tub_allocator *const heap = &tub__default_allocator;

typedef struct fixture {
    temp_folder folder;
    tub_context *ctx;
    http_server *server;
    char cache[512], model[512], space[512];
} fixture;

static void write_file(fixture *f, const char *name, const char *text) {
    char path[512];
    snprintf(path, sizeof path, "%s", temp_path(&f->folder, name));
    assert_int_equal(tub__parent_create(heap, path, NULL), TUB_OK);
    assert_int_equal(tub__file_write(heap, path, text, strlen(text), NULL), TUB_OK);
}

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    temp_folder_make(&f->folder);
    snprintf(f->cache, sizeof f->cache, "%s", temp_path(&f->folder, "cache"));
    snprintf(f->model, sizeof f->model, "%s", temp_path(&f->folder, "model"));
    snprintf(f->space, sizeof f->space, "%s", temp_path(&f->folder, "space"));
    assert_int_equal(tub_context_create(NULL, &f->ctx, NULL), TUB_OK);
    f->server = http_server_start(f->folder.path);
    assert_non_null(f->server);
    http_server_behave(f->server, (http_behaviour){.commit = COMMIT});
    setenv("HOME", f->folder.path, 1);
    setenv("HF_HUB_CACHE", f->cache, 1);
    setenv("HF_ENDPOINT", http_server_url(f->server), 1);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    static const char *const names[] = {"HF_HUB_CACHE", "HF_ENDPOINT", "HF_HUB_OFFLINE",
                                        "HF_TOKEN"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        unsetenv(names[i]);
    }
    http_server_stop(f->server);
    tub_context_destroy(f->ctx);
    temp_folder_drop(&f->folder);
    free(f);
    return 0;
}

static void reads_names(void **state) {
    (void)state;
    static const struct {
        const char *text, *id, *revision; /* id NULL: no name */
    } cases[] = {
        {"hf:google/vivit-b-16x2", "google/vivit-b-16x2", "main"},
        {"hf:a/b@v1.0", "a/b", "v1.0"},
        {"hf:a/b@refs/pr/12", "a/b", "refs/pr/12"},
        {"hf:vivit", "vivit", "main"},
        {"hf:A_b.c-d/E", "A_b.c-d/E", "main"},
        {"hf:", NULL, NULL},
        {"hf:/", NULL, NULL},
        {"hf:a/", NULL, NULL},
        {"hf:/a", NULL, NULL},
        {"hf:a/b/c", NULL, NULL},
        {"hf:a/../b", NULL, NULL},
        {"hf:../a", NULL, NULL},
        {"hf:a/b..c", NULL, NULL},
        {"hf:a/b--c", NULL, NULL},
        {"hf:-a/b", NULL, NULL},
        {"hf:a./b", NULL, NULL},
        {"hf:a/b.git", NULL, NULL},
        {"hf:a/b c", NULL, NULL},
        {"hf:a/b\n", NULL, NULL},
        {"hf:a/b%2f", NULL, NULL},
        {"hf:a/b@", NULL, NULL},
        {"hf:a/b@/", NULL, NULL},
        {"hf:a/b@x/", NULL, NULL},
        {"hf:a/b@../x", NULL, NULL},
        {"hf:a/b@.x", NULL, NULL},
        {"hf:a/b@-x", NULL, NULL},
        {"hf:a/b@x y", NULL, NULL},
        {"hf:a/b@x?y", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tub__hub_name name;
        tub_error err = {0};
        const tub_status status = tub__hub_name_parse(cases[i].text, &name, &err);
        if (cases[i].id == NULL) {
            if (status != TUB_E_ARGUMENT || err.message[0] == '\0') {
                fail_msg("'%s' was taken", cases[i].text);
            }
            continue;
        }
        assert_int_equal(status, TUB_OK);
        assert_string_equal(name.id, cases[i].id);
        assert_string_equal(name.revision, cases[i].revision);
    }
    assert_true(tub__hub_is_commit(COMMIT));
    assert_false(tub__hub_is_commit("0123456789ABCDEF0123456789abcdef01234567"));
    assert_false(tub__hub_is_commit(COMMIT "8"));
    assert_false(tub__hub_is_plain(""));
    assert_false(tub__hub_is_plain(".."));
    assert_false(tub__hub_is_plain("a/b"));
    assert_true(tub__hub_is_plain("model-00001-of-00002.safetensors"));
}

static void knows_origins(void **state) {
    fixture *f = *state;
    const void *table;
    assert_int_equal(tub__module_open(f->ctx, "net", &table, NULL), TUB_OK);
    const tub__net_module *net = table;
    assert_true(net->same_origin("https://a.b/x?y", "https://A.B:443/z"));
    assert_true(net->same_origin("http://a:80/", "http://a"));
    assert_false(net->same_origin("https://a.b/", "http://a.b/"));
    assert_false(net->same_origin("https://a.b/", "https://a.b:444/"));
    assert_false(net->same_origin("https://a.b/", "https://x.a.b/"));
    assert_false(net->same_origin("https://a.b/", "https://a.b@c.d/"));
    assert_false(net->same_origin("https://a.b/", ""));
}

/* ---- Who gets the token ---- */

/* A net whose first answer leads on to `leads_to`. */
static const char *leads_to;
static int answers;
static bool token_came;

static tub_status answer(const tub__net_request *r, tub__net_answer *out, tub_error *err) {
    (void)err;
    *out = (tub__net_answer){.status = answers++ == 0 ? 307 : 200};
    out->headers = strdup("");
    out->location = out->status == 307 ? strdup(leads_to) : NULL;
    token_came = r->token != NULL;
    return TUB_OK;
}

static void forget(tub__net_answer *out) {
    free(out->headers);
    free(out->location);
}

/* Whether the token follows a redirect of a hub's. */
static bool follows(fixture *f, const char *endpoint, const char *to) {
    const void *table;
    char host[64], token[] = "hf_abc";
    assert_int_equal(tub__module_open(f->ctx, "net", &table, NULL), TUB_OK);
    const tub__net_module net = {.ask = answer,
                                 .release = forget,
                                 .same_origin = ((const tub__net_module *)table)->same_origin};
    snprintf(host, sizeof host, "%s", endpoint);
    tub__hub hub = {.ctx = f->ctx, .env = {.endpoint = host, .token = token}, .net = &net};
    const tub__net_request r = {.method = "GET", .fd = -1};
    tub__net_answer out;
    leads_to = to;
    answers = 0;
    assert_int_equal(tub__hub_ask(&hub, endpoint, r, TUB__HUB_TOKEN, &out, NULL), TUB_OK);
    forget(&out);
    assert_int_equal(answers, 2);
    return token_came;
}

static void keeps_the_token(void **state) {
    fixture *f = *state;
    assert_true(follows(f, "https://own.example", "https://own.example/other"));
    assert_true(follows(f, "https://hf.co", "https://huggingface.co/x"));
    assert_true(follows(f, "https://huggingface.co", "https://huggingface.co/x"));
    assert_false(follows(f, "https://own.example", "https://huggingface.co/x"));
    assert_false(follows(f, "https://huggingface.co", "https://cdn.huggingface.co/x"));
    assert_false(follows(f, "https://huggingface.co", "https://huggingface.co:444/x"));
}

/* Signed addresses are long, and one that is cut off is signed no more. */
static void keeps_long_addresses(void **state) {
    fixture *f = *state;
    static const char public[] = "https://huggingface.co/", mirror[] = "http://mirror/below/";
    char given[6000], wanted[6000], endpoint[] = "http://mirror/below", *url;
    const tub__hub hub = {.ctx = f->ctx, .env = {.endpoint = endpoint}};
    memset(given, 'a', sizeof given);
    memset(wanted, 'a', sizeof wanted);
    memcpy(given, public, sizeof public - 1);
    memcpy(wanted, mirror, sizeof mirror - 1);
    given[sizeof public - 1 + 5000] = wanted[sizeof mirror - 1 + 5000] = '\0';
    assert_int_equal(tub__hub_own_url(&hub, given, &url, NULL), TUB_OK);
    assert_string_equal(url, wanted);
    tub__free(heap, url);
}

/* Known answers: FIPS 180's "abc", git's empty blob, RFC 4648's base64. */
static void sums_up(void **state) {
    fixture *f = *state;
    char hex[TUB__HASH_HEX], text[16];
    const void *table;
    assert_int_equal(tub__module_open(f->ctx, "hash", &table, NULL), TUB_OK);
    const tub__hash_module *hash = table;
    write_file(f, "abc", "abc");
    write_file(f, "empty", "");
    int fd = open(temp_path(&f->folder, "abc"), O_RDONLY);
    assert_int_equal(hash->file("sha256", NULL, 0, fd, hex, NULL), TUB_OK);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(hash->file("sha1", NULL, 0, fd, hex, NULL), TUB_OK);
    assert_string_equal(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
    close(fd);
    fd = open(temp_path(&f->folder, "empty"), O_RDONLY);
    assert_int_equal(hash->file("sha1", "blob 0", 7, fd, hex, NULL), TUB_OK);
    assert_string_equal(hex, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    close(fd);
    hash->base64("foob", 4, text);
    assert_string_equal(text, "Zm9vYg==");
    hash->base64("", 0, text);
    assert_string_equal(text, "");
}

static void reads_the_environment(void **state) {
    fixture *f = *state;
    tub__hub_env env;
    tub_error err;
    setenv("HF_TOKEN", " hf_abc\n", 1);
    setenv("HF_ENDPOINT", "https://mirror.example///", 1);
    assert_int_equal(tub__hub_env_read(f->ctx, &env, &err), TUB_OK);
    assert_string_equal(env.token, "hf_abc");
    assert_string_equal(env.endpoint, "https://mirror.example");
    assert_false(env.offline);
    tub__hub_env_free(&env);
    setenv("HF_TOKEN", "hf_a\r\nX-Evil: 1", 1);
    assert_int_equal(tub__hub_env_read(f->ctx, &env, &err), TUB_E_ARGUMENT);
    assert_null(strstr(err.message, "hf_a"));
    setenv("HF_HUB_OFFLINE", "0", 1);
    setenv("HF_TOKEN", "  ", 1);
    assert_int_equal(tub__hub_env_read(f->ctx, &env, &err), TUB_OK);
    assert_null(env.token);
    assert_false(env.offline);
    tub__hub_env_free(&env);
}

static void lists_files_of_an_index(void **state) {
    fixture *f = *state;
    static const char *const wrong[] = {"{}",
                                        "{\"weight_map\": {}}",
                                        "{\"weight_map\": {\"a\": 1}}",
                                        "{\"weight_map\": []}",
                                        "{\"weight_map\": {\"a\": \"../b.safetensors\"}}",
                                        "{\"weight_map\": {\"a\": \"b.safetensors/c\"}}",
                                        "{\"weight_map\": {\"a\": \".safetensors\"}}"};
    tub__weights list;
    tub_error err;
    write_file(f, "index",
               "{\"weight_map\": {\"a\": \"b.safetensors\", \"c\": \"d.safetensors\", "
               "\"e\": \"b.safetensors\"}}");
    assert_int_equal(tub__hub_weights_list(heap, temp_path(&f->folder, "index"), &list, NULL),
                     TUB_OK);
    assert_int_equal(list.file_count, 2);
    assert_string_equal(list.names[1], "d.safetensors");
    tub__weights_close(&list);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        write_file(f, "index", wrong[i]);
        const tub_status status =
            tub__hub_weights_list(heap, temp_path(&f->folder, "index"), &list, &err);
        assert_true(status == TUB_E_FORMAT || status == TUB_E_NOT_FOUND);
        assert_non_null(strstr(err.message, "/index: "));
    }
}

/* ---- Failing allocations ---- */

static void serve_model(fixture *f) {
    write_file(f, "api/models/who/m/revision/main",
               "{\"sha\": \"" COMMIT "\", \"siblings\": [{\"rfilename\": \"config.json\"}, "
               "{\"rfilename\": \"model.safetensors.index.json\"}]}");
    write_file(f, "who/m/resolve/" COMMIT "/config.json", "{}");
    write_file(f, "who/m/resolve/" COMMIT "/model.safetensors.index.json",
               "{\"weight_map\": {\"a\": \"one.safetensors\", \"b\": \"two.safetensors\"}}");
    write_file(f, "who/m/resolve/" COMMIT "/one.safetensors", "1");
    write_file(f, "who/m/resolve/" COMMIT "/two.safetensors", "22");
}

static tub_status fetch(tub_context *ctx, const void *user, tub_error *err) {
    char path[512];
    (void)user;
    return tub_hub_fetch(ctx, "hf:who/m", path, sizeof path, err);
}

static tub_status fetch_anew(const tub_allocator *a, void *user, tub_error *err) {
    fixture *f = user;
    assert_int_equal(tub__folder_remove(heap, f->cache, NULL), TUB_OK);
    return in_failing_context(a, 1, TUB_PRECISION_F32, fetch, f, err);
}

static tub_status fetch_again(const tub_allocator *a, void *user, tub_error *err) {
    return in_failing_context(a, 1, TUB_PRECISION_F32, fetch, user, err);
}

static tub_status print_card(tub_context *ctx, const void *user, tub_error *err) {
    const fixture *f = user;
    char *card;
    TUB__TRY(tub_hub_card(ctx, f->model, "hf:me/m", "mit", &card, err));
    tub_hub_free(ctx, card);
    tub_push_options options = tub_push_options_default();
    tub_push_report report;
    options.dry_run = 1;
    return tub_hub_push(ctx, f->model, "hf:me/m", &options, &report, err);
}

static tub_status card(const tub_allocator *a, void *user, tub_error *err) {
    return in_failing_context(a, 1, TUB_PRECISION_F32, print_card, user, err);
}

static tub_status write_space(tub_context *ctx, const void *user, tub_error *err) {
    const fixture *f = user;
    return tub_space_write(ctx, f->model, f->space, "A title", "mit", err);
}

/* There is a whole folder, or none. */
static tub_status space(const tub_allocator *a, void *user, tub_error *err) {
    fixture *f = user;
    assert_int_equal(tub__folder_remove(heap, f->space, NULL), TUB_OK);
    const tub_status status = in_failing_context(a, 1, TUB_PRECISION_F32, write_space, f, err);
    assert_int_equal(tub__name_taken(f->space), status == TUB_OK);
    return status;
}

static void survives(failing_operation *operation, fixture *f) {
    const failing_report report = failing_run(operation, f);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations > 5);
}

static void survives_failing_allocations(void **state) {
    fixture *f = *state;
    tub_model_config config;
    tub_model *model;
    serve_model(f);
    survives(fetch_anew, f);
    survives(fetch_again, f);
    http_server_behave(f->server, (http_behaviour){.status = 404}); /* no hub, but a cache */
    setenv("HF_HUB_OFFLINE", "1", 1);
    survives(fetch_again, f);
    unsetenv("HF_HUB_OFFLINE");
    assert_int_equal(tub_model_preset("vivit-tiny", &config, NULL), TUB_OK);
    config.layers = 1;
    config.hidden = config.mlp = 16;
    config.heads = 2;
    assert_int_equal(tub_model_create(f->ctx, &config, 1, &model, NULL), TUB_OK);
    assert_int_equal(tub_model_save(model, f->model, NULL), TUB_OK);
    tub_model_close(model);
    survives(card, f);
    survives(space, f);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(reads_names),
        CASE(knows_origins),
        CASE(keeps_long_addresses),
        CASE(keeps_the_token),
        CASE(sums_up),
        CASE(reads_the_environment),
        CASE(lists_files_of_an_index),
        CASE(survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
