/* SPDX-License-Identifier: Apache-2.0 */
/* YAML by way of JSON text: the module turns one into the other, so that everything above sees one
 * kind of tree. */
#include "formats/yaml.h"

#include "base/error.h"
#include "base/file.h"
#include "base/module.h"
#include <string.h>

enum { TEXT_LIMIT = 1 << 20 };

tub_status tub__yaml_parse(tub_context *ctx, const char *text, size_t size, tub__json **out,
                           tub_error *err) {
    const void *table;
    TUB__TRY(tub__module_open(ctx, "yaml", &table, err));
    const tub__yaml_module *module = table;
    char *json;
    TUB__TRY(module->to_json(text, size, &json, err));
    tub_status status = tub__json_parse(json, strlen(json), out, err);
    module->release(json);
    return status;
}

tub_status tub__yaml_tree(tub_context *ctx, const char *text, size_t size, tub__json **out,
                          tub_error *err) {
    const void *table;
    TUB__TRY(tub__module_open(ctx, "yaml", &table, err));
    const tub__yaml_module *module = table;
    char *json;
    TUB__TRY(module->to_tree(text, size, &json, err));
    tub_status status = tub__json_parse(json, strlen(json), out, err);
    module->release(json);
    return status;
}

tub_status tub__yaml_load(tub_context *ctx, const char *path, tub__json **out, tub_error *err) {
    char *text;
    size_t size;
    TUB__TRY(tub__file_read(&ctx->allocator, path, TEXT_LIMIT, &text, &size, err));
    tub_status status = tub__yaml_parse(ctx, text, size, out, err);
    tub__free(&ctx->allocator, text);
    return status == TUB_OK ? TUB_OK : tub__prefix(err, status, "%s", path);
}
