/* SPDX-License-Identifier: Apache-2.0 */
/* What browsers are told that the page may do, and who may show it. */
#ifndef APP_SERVER_POLICY_H
#define APP_SERVER_POLICY_H

#include <stdbool.h>

/* Whether a text is the origin of a page on a host, as browsers write it: https://example.org, http://localhost:8000.
 * Nothing else may come into the policy: a space or a semicolon would be another rule. */
bool policy_is_origin(const char *text);
/* The value of Content-Security-Policy; origins: of pages that may show this one in a frame. From malloc; NULL: no
 * memory. */
char *policy_make(const char *const *origins, int count);

#endif
