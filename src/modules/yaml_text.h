/* SPDX-License-Identifier: Apache-2.0 */
/* What is checked of a YAML text before libfyaml sees it. */
#ifndef TUB__MODULES_YAML_TEXT_H
#define TUB__MODULES_YAML_TEXT_H

#include <stddef.h>
#include <tubelet/status.h>

/* Refuses what is not UTF-8, control characters, and directives (lines that begin with '%'):
 * recipes need none of them, and libfyaml 0.7.12 never returns from some directives. */
TUB_MUST_USE tub_status tub__yaml_check_text(const char *text, size_t size, tub_error *err);

#endif
