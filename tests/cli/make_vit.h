/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a small ViT of grey pictures of 8x8 pixels as transformers does, into a new folder. */
#ifndef TEST_CLI_MAKE_VIT_H
#define TEST_CLI_MAKE_VIT_H

/* Returns 0 when the folder was written. */
int make_vit(const char *folder);

#endif
