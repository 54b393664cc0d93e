/* SPDX-License-Identifier: Apache-2.0 */
/* What the model looks at in a few samples: maps of the class that it says, drawn over them. */
#include "../explain_parts.h"
#include "pictures.h"
#include "sections.h"

#include <stdlib.h>
#include <string.h>
#include <tubelet/explain.h>

enum { FEW = 5 };

static tub_status draw(const tub_explanation *e, const tub_clip *clip, small_sample **out,
                       tub_error *err) {
    const tub_overlay_options o = tub_overlay_options_default();
    tub_clip drawn = {0};
    tub_status status = tub_explanation_draw(e, clip, &o, &drawn, err);
    if (status == TUB_OK) {
        status = picture_of_clip(&drawn, out, err);
    }
    tub_clip_free(&drawn);
    return status;
}

static tub_status explain(const report_facts *f, int64_t sample, small_sample **out,
                          tub_error *err) {
    tub_explain_options o = tub_explain_options_default();
    tub_explanation e = {0};
    explain_clip clip;
    tub_status status = explain_clip_sample(f->model, f->data, f->split, sample, &clip, err);
    o.target = report_prediction(f, &f->part[0], sample);
    if (status == TUB_OK) {
        status = tub_explain(f->model, &o, clip.dtype, clip.x, &e, err);
    }
    if (status == TUB_OK) {
        status = draw(&e, &clip.clip, out, err);
    }
    tub_explanation_free(&e);
    explain_clip_free(&clip);
    return status;
}

static tub_status put_sample(page *p, const report_facts *f, const report_answer *a,
                             small_sample *map, tub_error *err) {
    char truth[REPORT_TEXT], said[REPORT_TEXT], alt[3 * REPORT_TEXT], file[REPORT_NAME];
    report_describe(f, a->sample, true, truth);
    report_describe(f, a->sample, false, said);
    snprintf(alt, sizeof alt, "Sample %lld%s, moving, bright where %s comes from; it is %s",
             (long long)a->sample, picture_file(f, a->sample, file), said, truth);
    page_putf(p, "<figure class=\"sample %s\">", a->right ? "right" : "wrong");
    const tub_status status = picture_put(p, f, map, alt, err);
    page_put(p, "<figcaption>T: ");
    page_text(p, truth);
    page_put(p, " | P: ");
    page_text(p, said);
    page_put(p, " ");
    picture_number(p, f, a->sample);
    page_put(p, "</figcaption></figure>\n");
    return status;
}

/* The surest of the wrong ones, or of the right ones. */
static int64_t choose(const report_facts *f, bool right, report_answer out[FEW]) {
    int64_t n = 0;
    for (int64_t s = 0; s < f->samples; s++) {
        const report_answer a = report_answer_of(f, s);
        int64_t at = n < FEW ? n : FEW;
        if (a.right != right) {
            continue;
        }
        while (at > 0 && out[at - 1].confidence < a.confidence) {
            if (at < FEW) {
                out[at] = out[at - 1];
            }
            at--;
        }
        if (at < FEW) {
            out[at] = a;
            n = n < FEW ? n + 1 : FEW;
        }
    }
    return n;
}

/* Their maps, whose pictures are made together. */
static tub_status put_maps(page *p, const report_facts *f, const report_answer *few, int64_t n,
                           small_sample **maps, tub_error *err) {
    tub_status status = TUB_OK;
    for (int64_t i = 0; i < n && status == TUB_OK; i++) {
        status = explain(f, few[i].sample, &maps[i], err);
    }
    if (status == TUB_OK) {
        status = pictures_make(f, maps, n, err);
    }
    for (int64_t i = 0; i < n && status == TUB_OK; i++) {
        status = put_sample(p, f, &few[i], maps[i], err);
    }
    return status;
}

static tub_status put_few(page *p, const report_facts *f, const char *title, bool right,
                          tub_error *err) {
    report_answer few[FEW];
    small_sample *maps[FEW] = {0};
    const int64_t n = choose(f, right, few);
    if (n == 0) {
        return TUB_OK;
    }
    page_putf(p, "<h3>%s</h3><div class=\"row\">\n", title);
    const tub_status status = put_maps(p, f, few, n, maps, err);
    page_put(p, "</div>\n");
    for (int i = 0; i < FEW; i++) {
        picture_free(f, maps[i]);
    }
    return status;
}

int report_attention(const cli_command *self, page *p, const report_facts *f) {
    const tub_explain_options o = tub_explain_options_default();
    tub_error err;
    if (f->parts != 1 || tub_explain_check(f->model, &o, &err) != TUB_OK) {
        return CLI_GO; /* no attention, no gradients, or more than one question */
    }
    page_put(
        p, "<section id=\"attention\"><h2>What it looks at</h2><p class=\"note\">Gradient-weighted "
           "attention over all layers (Chefer et al. 2021) of the predicted class: the brighter, "
           "the more. <code>tubelet explain</code> makes others.</p>\n");
    tub_status status = put_few(p, f, "Its surest mistakes", false, &err);
    if (status == TUB_OK) {
        status = put_few(p, f, "Its surest right answers", true, &err);
    }
    page_put(p, "</section>\n");
    return status == TUB_OK ? CLI_GO : cli_fail(self, &err);
}
