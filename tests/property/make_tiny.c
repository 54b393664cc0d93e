/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the small data set to a path, for scripts. */
#include "tiny_data.h"

int main(int argc, char **argv) {
    return argc == 2 && tiny_data_write(argv[1], TINY_CLASS) == 0 ? 0 : 1;
}
