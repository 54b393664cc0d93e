/* SPDX-License-Identifier: Apache-2.0 */
/* The configured folder of the modules. The shared library has the installed one; tests, which hold
 * the library itself and are never installed, have that of the build. */
#include "base/module.h"

const char tub__module_folder[] = TUB__MODULE_FOLDER;
