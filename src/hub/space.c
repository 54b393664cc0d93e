/* SPDX-License-Identifier: Apache-2.0 */
/* A container Space: the folder that a hub builds and runs as it is. */
#include <stdio.h>
#include <string.h>
#include <tubelet/hub.h>

#include "base/error.h"
#include "base/file.h"
#include "base/module.h"
#include "convert/text.h"
#include "hub/card.h"
#include "hub/copy.h"
#include "hub/model_files.h"

/* The archive says itself which packages it is built with (tools/setup), and the built program
 * which it runs with, so neither list stands here. */
static const char DOCKERFILE[] =
    "# Builds tubelet from the sources beside this file and serves the model:\n"
    "#   docker build -t space . && docker run --rm -p 7860:7860 space\n"
    "FROM debian:bookworm-slim AS build\n"
    "COPY tubelet.tar.gz /tmp/\n"
    "RUN mkdir /tmp/tubelet && tar -xzf /tmp/tubelet.tar.gz -C /tmp/tubelet\n"
    "RUN . /tmp/tubelet/tools/setup && apt-get update && \\\n"
    "    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "
    "$packages_build\n"
    "RUN meson setup /tmp/tubelet/build /tmp/tubelet -Dtests=false --prefix=/usr/local && ninja -C "
    "/tmp/tubelet/build && \\\n"
    "    DESTDIR=/tmp/image meson install -C /tmp/tubelet/build --no-rebuild --quiet\n"
    "# The packages that hold the libraries of what was built.\n"
    "RUN find /tmp/image -type f \\( -name 'lib*.so*' -o -name 'mod-*.so' -o -name tubelet -o "
    "-name worker \\) "
    "-exec env LD_LIBRARY_PATH=/tmp/image/usr/local/lib/x86_64-linux-gnu:/tmp/image/usr/local/lib "
    "ldd {} + | \\\n"
    "    sed -n 's/.*=> \\(\\/[^ ]*\\) .*/\\1/p' | sort -u | grep -v ^/tmp/ | sed 'p; s|^|/usr|' | "
    "\\\n"
    "    xargs dpkg -S 2>/dev/null | sed 's/:.*//' | sort -u >/tmp/image/packages\n"
    "\n"
    "FROM debian:bookworm-slim\n"
    "COPY --from=build /tmp/image/packages /tmp/packages\n"
    "RUN apt-get update && \\\n"
    "    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates "
    "$(cat /tmp/packages) && \\\n"
    "    rm -rf /var/lib/apt/lists/* /tmp/packages && useradd --uid 1000 --create-home user\n"
    "COPY --from=build /tmp/image/usr/local /usr/local\n"
    "COPY model /model\n"
    "USER 1000\n"
    "EXPOSE 7860\n"
    "# The hub's page of the Space shows the server's in a frame; another hub has another origin.\n"
    "CMD [\"tubelet\", \"serve\", \"/model\", \"--bind\", \"0.0.0.0\", \"--port\", \"7860\", "
    "\"--frame-from\", \"https://huggingface.co\"]\n";

/* Git keeps these outside of itself, as hubs want it. */
static const char ATTRIBUTES[] = "*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
                                 "*.tar.gz filter=lfs diff=lfs merge=lfs -text\n";

/* A Space that is being filled. */
typedef struct space {
    tub_context *ctx;
    const char *model, *title, *licence;
    char sources[4096];
    char *models; /* the folder model/ in it */
} space;

static tub_status write_text(const space *s, const char *folder, const char *name, const char *text,
                             size_t size, tub_error *err) {
    char *path;
    TUB__TRY(tub__path_join(&s->ctx->allocator, folder, name, &path, err));
    const tub_status status = tub__file_write(&s->ctx->allocator, path, text, size, err);
    tub__free(&s->ctx->allocator, path);
    return status;
}

static tub_status copy_to(const space *s, const char *from, const char *folder, const char *name,
                          tub_error *err) {
    char *path;
    TUB__TRY(tub__path_join(&s->ctx->allocator, folder, name, &path, err));
    const tub_status status = tub__hub_copy(&s->ctx->allocator, from, path, err);
    tub__free(&s->ctx->allocator, path);
    return status;
}

static tub_status add_file(void *user, const char *name, const char *path, tub_error *err) {
    const space *s = user;
    return copy_to(s, path, s->models, name, err);
}

static tub_status write_page(const space *s, const char *folder, tub_error *err) {
    tub__text t;
    tub__text_start(&t, &s->ctx->allocator);
    tub__text_add(&t, "---\ntitle: ");
    tub__text_add_quoted(&t, s->title);
    tub__text_add(&t, "\nemoji: \U0001F39E\ncolorFrom: blue\ncolorTo: green\nsdk: docker\n"
                      "app_port: 7860\npinned: false\n");
    if (s->licence != NULL) {
        tub__text_add(&t, "license: %s\n", s->licence);
    }
    tub__text_add(
        &t,
        "---\n\nA video model that answers in the browser: choose a clip, and the page shows the "
        "classes and where the model looks. The container builds tubelet (video vision "
        "transformers in "
        "C) and serves the folder `model/`. What it was trained on and how well it does stands "
        "in `model/README.md`.\n");
    tub_status status = tub__text_check(&t, err);
    if (status == TUB_OK) {
        status = write_text(s, folder, "README.md", t.data, t.size, err);
    }
    tub__text_free(&t);
    return status;
}

/* The model's card, where its folder has one. */
static tub_status copy_card(const space *s, tub_error *err) {
    char *path;
    TUB__TRY(tub__path_join(&s->ctx->allocator, s->model, "README.md", &path, err));
    const tub_status status =
        tub__file_exists(path) ? copy_to(s, path, s->models, "README.md", err) : TUB_OK;
    tub__free(&s->ctx->allocator, path);
    return status;
}

static tub_status copy_model(space *s, const char *folder, tub_error *err) {
    TUB__TRY(tub__path_join(&s->ctx->allocator, folder, "model", &s->models, err));
    tub_status status = tub__folder_create(s->models, err);
    if (status == TUB_OK) {
        status = tub__hub_each_file(s->ctx, s->model, add_file, s, err);
    }
    if (status == TUB_OK) {
        status = copy_card(s, err);
    }
    tub__free(&s->ctx->allocator, s->models);
    return status;
}

static tub_status fill(void *user, const char *folder, tub_error *err) {
    space *s = user;
    TUB__TRY(copy_model(s, folder, err));
    TUB__TRY(copy_to(s, s->sources, folder, "tubelet.tar.gz", err));
    TUB__TRY(write_page(s, folder, err));
    TUB__TRY(write_text(s, folder, "Dockerfile", DOCKERFILE, sizeof DOCKERFILE - 1, err));
    return write_text(s, folder, ".gitattributes", ATTRIBUTES, sizeof ATTRIBUTES - 1, err);
}

tub_status tub_space_write(tub_context *ctx, const char *folder, const char *out, const char *title,
                           const char *licence, tub_error *err) {
    space s = {.ctx = ctx,
               .model = folder,
               .title = title != NULL ? title : tub__path_name(folder),
               .licence = licence};
    if (licence != NULL) {
        TUB__TRY(tub__hub_check_licence(licence, err));
    }
    if (tub__name_taken(out)) {
        return tub__fail(err, TUB_E_EXISTS, "%s is there already", out);
    }
    if (!tub__module_find(ctx, "tubelet.tar.gz", s.sources, sizeof s.sources)) {
        return tub__fail(err, TUB_E_NOT_FOUND,
                         "the sources of tubelet (tubelet.tar.gz), of which a Space builds it, are "
                         "not installed beside its modules");
    }
    return tub__folder_make(&ctx->allocator, out, fill, &s, err);
}
