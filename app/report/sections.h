/* SPDX-License-Identifier: Apache-2.0 */
/* The sections of a report, each of which writes itself to the page. */
#ifndef APP_REPORT_SECTIONS_H
#define APP_REPORT_SECTIONS_H

#include "facts.h"
#include "page.h"

/* What was trained on what and how it can be repeated; the most important metrics. */
void report_summary(page *p, const report_facts *f);
/* Loss, accuracy, AUC and learning rate over the epochs. */
void report_curves(page *p, const report_facts *f);
/* All metrics with their intervals, and a table of the classes. */
void report_metrics(page *p, const report_facts *f);
/* ROC and precision-recall curves, and calibration. False: no memory. */
bool report_ranks(page *p, const report_facts *f);
/* Counts and shares of true and predicted classes, and which samples they are. CLI_GO, or the
 * exit code after a sentence. */
int report_confusion(const cli_command *self, page *p, const report_facts *f);
/* Moving samples: some of the split, the worst mistakes, the least sure. Likewise. */
int report_samples(const cli_command *self, page *p, const report_facts *f);

/* Attention maps of a few samples, of models that have attention. Likewise. */
int report_attention(const cli_command *self, page *p, const report_facts *f);

#endif
