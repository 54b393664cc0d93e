/* SPDX-License-Identifier: Apache-2.0 */
/* A module of a version that the library does not know, for test_context.c. */
#include "base/module.h"

extern __attribute__((visibility("default"))) const tub__yaml_module tub__module_table;
const tub__yaml_module tub__module_table = {.version = TUB__MODULE_VERSION + 1};
