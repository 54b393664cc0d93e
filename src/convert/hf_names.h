/* SPDX-License-Identifier: Apache-2.0 */
/* The names that one array has in files of Hugging Face transformers. */
#ifndef TUB__CONVERT_HF_NAMES_H
#define TUB__CONVERT_HF_NAMES_H

enum { TUB__HF_NAME_LIMIT = 192, TUB__HF_SPELLINGS = 4 };

/* All spellings of a name of the parameter table, itself first; returns how many. They differ in the
 * age of transformers and in the prefix "vivit.", which VivitModel's own files don't have. */
int tub__hf_spellings(const char *name, char out[TUB__HF_SPELLINGS][TUB__HF_NAME_LIMIT]);
/* The same of ViT, whose names begin with "vit." or nothing. */
int tub__vit_spellings(const char *name, char out[TUB__HF_SPELLINGS][TUB__HF_NAME_LIMIT]);
/* Of an array of whole numbers: the name of its scales, one for each output channel. */
void tub__scale_name(const char *name, char out[TUB__HF_NAME_LIMIT]);

#endif
