/* SPDX-License-Identifier: Apache-2.0 */
/* mod-events: events to the bytes of TensorBoard's protobuf messages (events.proto), by protobuf-c. */
#include "base/error.h"
#include "base/events_module.h"
#include "base/module.h"
#include <events.pb-c.h>
#include <stdlib.h>
#include <string.h>

/* The messages that a value may be made of; those that it is not stay unused. */
typedef struct parts {
    Ev__Value value;
    Ev__Metadata metadata;
    Ev__PluginData plugin;
    Ev__Image image;
    Ev__Histogram histogram;
    Ev__Tensor tensor;
    Ev__Shape shape;
    Ev__Dimension dimension, *dimensions[1];
    ProtobufCBinaryData text;
    unsigned char *content; /* of the plugin; from malloc, or NULL */
} parts;

/* protobuf-c's structs have no const, and writing changes nothing in them. */
static char *borrow(const char *text) {
    return (char *)text;
}

static bool pack(const ProtobufCMessage *message, unsigned char **bytes, size_t *size) {
    *size = protobuf_c_message_get_packed_size(message);
    *bytes = malloc(*size > 0 ? *size : 1);
    return *bytes != NULL && protobuf_c_message_pack(message, *bytes) == *size;
}

static void name_plugin(parts *p, const char *name) {
    ev__metadata__init(&p->metadata);
    ev__plugin_data__init(&p->plugin);
    p->plugin.plugin_name = borrow(name);
    p->metadata.plugin_data = &p->plugin;
    p->value.metadata = &p->metadata;
}

static void fill_text(parts *p, const char *text) {
    name_plugin(p, "text");
    ev__tensor__init(&p->tensor);
    ev__shape__init(&p->shape);
    ev__dimension__init(&p->dimension);
    p->dimension.size = 1;
    p->dimensions[0] = &p->dimension;
    p->shape.n_dim = 1;
    p->shape.dim = p->dimensions;
    p->text = (ProtobufCBinaryData){strlen(text), (unsigned char *)borrow(text)};
    p->tensor.dtype = EV__TENSOR__TYPE__STRING;
    p->tensor.shape = &p->shape;
    p->tensor.n_string_val = 1;
    p->tensor.string_val = &p->text;
    p->value.value_case = EV__VALUE__VALUE_TENSOR;
    p->value.tensor = &p->tensor;
}

static void fill_image(parts *p, const tub__tfevent_value *v) {
    ev__image__init(&p->image);
    p->image.height = v->as.image.height;
    p->image.width = v->as.image.width;
    p->image.colorspace = v->as.image.channels;
    p->image.encoded = (ProtobufCBinaryData){v->as.image.size, (unsigned char *)v->as.image.png};
    p->value.value_case = EV__VALUE__VALUE_IMAGE;
    p->value.image = &p->image;
}

static void fill_histogram(parts *p, const tub__histogram *h) {
    ev__histogram__init(&p->histogram);
    p->histogram.min = h->least;
    p->histogram.max = h->most;
    p->histogram.num = h->count;
    p->histogram.sum = h->sum;
    p->histogram.sum_squares = h->square_sum;
    p->histogram.n_bucket_limit = p->histogram.n_bucket = h->buckets;
    p->histogram.bucket_limit = (double *)h->limits;
    p->histogram.bucket = (double *)h->counts;
    p->value.value_case = EV__VALUE__VALUE_HISTO;
    p->value.histo = &p->histogram;
}

static bool fill_content(parts *p, const Ev__HParams *hparams) {
    name_plugin(p, "hparams");
    p->plugin.content.len = 0;
    const bool packed = pack(&hparams->base, &p->content, &p->plugin.content.len);
    p->plugin.content.data = p->content;
    return packed;
}

static void fill_hparam(const tub__hparam *from, Ev__HParam *entry, Ev__HValue *value) {
    ev__hparam__init(entry);
    ev__hvalue__init(value);
    entry->key = borrow(from->name);
    entry->value = value;
    switch (from->kind) {
    case TUB__HPARAM_NUMBER:
        value->kind_case = EV__HVALUE__KIND_NUMBER_VALUE;
        value->number_value = from->number;
        break;
    case TUB__HPARAM_TEXT:
        value->kind_case = EV__HVALUE__KIND_STRING_VALUE;
        value->string_value = borrow(from->text);
        break;
    case TUB__HPARAM_FLAG:
        value->kind_case = EV__HVALUE__KIND_BOOL_VALUE;
        value->bool_value = from->flag;
        break;
    }
}

static bool fill_start(parts *p, const tub__tfevent_value *v) {
    typedef struct room {
        Ev__HParam entry;
        Ev__HValue value;
    } room;
    const size_t count = v->as.start.count;
    room *rooms = calloc(count + 1, sizeof *rooms);
    Ev__HParam **list = calloc(count + 1, sizeof *list);
    Ev__HParams hparams = EV__HPARAMS__INIT;
    Ev__SessionStart start = EV__SESSION_START__INIT;
    bool done = rooms != NULL && list != NULL;
    for (size_t i = 0; done && i < count; i++) {
        fill_hparam(&v->as.start.hparams[i], &rooms[i].entry, &rooms[i].value);
        list[i] = &rooms[i].entry;
    }
    if (done) {
        start.n_hparams = count;
        start.hparams = list;
        start.group_name = borrow(v->as.start.group);
        start.start_time_secs = v->as.start.seconds;
        hparams.data_case = EV__HPARAMS__DATA_SESSION_START_INFO;
        hparams.session_start_info = &start;
        done = fill_content(p, &hparams);
    }
    free(list);
    free(rooms);
    return done;
}

static bool fill_end(parts *p, const tub__tfevent_value *v) {
    Ev__HParams hparams = EV__HPARAMS__INIT;
    Ev__SessionEnd end = EV__SESSION_END__INIT;
    end.status = (Ev__SessionEnd__Status)v->as.end.status;
    end.end_time_secs = v->as.end.seconds;
    hparams.data_case = EV__HPARAMS__DATA_SESSION_END_INFO;
    hparams.session_end_info = &end;
    return fill_content(p, &hparams);
}

/* False: no memory. */
static bool fill(parts *p, const tub__tfevent_value *v) {
    ev__value__init(&p->value);
    p->value.tag = borrow(v->tag);
    switch (v->kind) {
    case TUB__TFEVENT_SCALAR:
        p->value.value_case = EV__VALUE__VALUE_SIMPLE_VALUE;
        p->value.simple_value = v->as.scalar;
        return true;
    case TUB__TFEVENT_TEXT:
        fill_text(p, v->as.text);
        return true;
    case TUB__TFEVENT_IMAGE:
        fill_image(p, v);
        return true;
    case TUB__TFEVENT_HISTOGRAM:
        fill_histogram(p, &v->as.histogram);
        return true;
    case TUB__TFEVENT_SESSION_START:
        return fill_start(p, v);
    case TUB__TFEVENT_SESSION_END:
        return fill_end(p, v);
    }
    return false;
}

static bool encode_values(const tub__tfevent *event, Ev__Event *message, unsigned char **bytes,
                          size_t *size) {
    parts *all = calloc(event->count + 1, sizeof *all);
    Ev__Value **list = calloc(event->count + 1, sizeof *list);
    Ev__Summary summary = EV__SUMMARY__INIT;
    bool done = all != NULL && list != NULL;
    for (size_t i = 0; done && i < event->count; i++) {
        done = fill(&all[i], &event->values[i]);
        list[i] = &all[i].value;
    }
    if (done) {
        summary.n_value = event->count;
        summary.value = list;
        message->what_case = EV__EVENT__WHAT_SUMMARY;
        message->summary = &summary;
        done = pack(&message->base, bytes, size);
    }
    for (size_t i = 0; all != NULL && i < event->count; i++) {
        free(all[i].content);
    }
    free(list);
    free(all);
    return done;
}

static bool encode_event(const tub__tfevent *event, unsigned char **bytes, size_t *size) {
    Ev__Event message = EV__EVENT__INIT;
    Ev__SessionLog session = EV__SESSION_LOG__INIT;
    message.wall_time = event->wall_time;
    message.step = event->step;
    if (event->file_version != NULL) {
        message.what_case = EV__EVENT__WHAT_FILE_VERSION;
        message.file_version = borrow(event->file_version);
    } else if (event->restart) {
        session.status = EV__SESSION_LOG__STATUS__START;
        message.what_case = EV__EVENT__WHAT_SESSION_LOG;
        message.session_log = &session;
    } else {
        return encode_values(event, &message, bytes, size);
    }
    return pack(&message.base, bytes, size);
}

static tub_status encode(const tub__tfevent *event, unsigned char **bytes, size_t *size,
                         tub_error *err) {
    *bytes = NULL;
    if (!encode_event(event, bytes, size)) {
        free(*bytes);
        *bytes = NULL;
        return tub__fail(err, TUB_E_MEMORY, "no memory for a record of an event file");
    }
    return TUB_OK;
}

static void release(unsigned char *bytes) {
    free(bytes);
}

/* Looked up by name when the module is opened. */
extern __attribute__((visibility("default"))) const tub__events_module tub__module_table;
const tub__events_module tub__module_table = {
    .version = TUB__MODULE_VERSION, .encode = encode, .release = release};
