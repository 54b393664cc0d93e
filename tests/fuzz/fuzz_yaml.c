/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: YAML recipes. What the module gives must be JSON that our reader takes. */
#include "base/module.h"
#include "formats/json.h"
#include "fuzz.h"
#include <string.h>

extern const tub__yaml_module tub__module_table; /* of mod-yaml.c, compiled into this program */

/* libfyaml 0.7.12 leaks 4 KiB of its scanner when a quoted text with many pieces never ends. Leaks
 * of our own are still seen, and forgotten events, parsers and the like by test_yaml under a
 * sanitizer. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libfyaml.so";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = NULL;
    tub_error err = {0};
    tub_status status = tub__module_table.to_json((const char *)data, size, &text, &err);
    if (status != TUB_OK) {
        FUZZ_CHECK_ERROR(status, err);
        return 0;
    }
    tub__json *root = NULL;
    status = tub__json_parse(text, strlen(text), &root, &err);
    if (status != TUB_OK) {
        fprintf(stderr, "%s\n%s\n", text, err.message);
    }
    FUZZ_CHECK(status == TUB_OK);
    tub__json_free(root);
    tub__module_table.release(text);
    return 0;
}
