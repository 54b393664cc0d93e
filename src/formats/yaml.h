/* SPDX-License-Identifier: Apache-2.0 */
/* YAML 1.2 as a JSON tree, through the module mod-yaml. */
#ifndef TUB__FORMATS_YAML_H
#define TUB__FORMATS_YAML_H

#include "base/context.h"
#include "formats/json.h"

/* Parses one document whose top is a mapping or a list. Plain scalars follow the core schema of
 * YAML 1.2: 1e-4 is a number, yes is text. Refused: duplicate keys, several documents, tags, .inf
 * and .nan, keys that are no scalars, more than 1 MiB of text, 64 levels or 4 MiB after aliases.
 * The error names line and column, not the file; TUB_E_MODULE when the module is missing. *out is
 * the caller's until tub__json_free. */
TUB_MUST_USE tub_status tub__yaml_parse(tub_context *ctx, const char *text, size_t size,
                                        tub__json **out, tub_error *err);
/* The tree of nodes with their places and without types, as tub__yaml_module.to_tree describes it
 * (base/module.h). Refused as above, but for duplicate keys, .inf and .nan, which are text here. */
TUB_MUST_USE tub_status tub__yaml_tree(tub_context *ctx, const char *text, size_t size,
                                       tub__json **out, tub_error *err);
/* tub__yaml_parse from a file; the error begins with the path. */
TUB_MUST_USE tub_status tub__yaml_load(tub_context *ctx, const char *path, tub__json **out,
                                       tub_error *err);

#endif
