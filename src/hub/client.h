/* SPDX-License-Identifier: Apache-2.0 */
/* Talking to a hub: who one is, redirects, patience, and what its refusals mean. */
#ifndef TUB__HUB_CLIENT_H
#define TUB__HUB_CLIENT_H

#include "base/module.h"
#include "hub/env.h"
#include "hub/name.h"

enum { TUB__HUB_JSON_LIMIT = 16 << 20 }; /* bytes of an answer in memory */

typedef struct tub__hub {
    tub_context *ctx;
    tub__hub_env env;
    tub__hub_name name;
    char title[TUB__HUB_ID_LIMIT + 8]; /* "hf:OWNER/NAME", for sentences */
    const tub__net_module *net;        /* from tub__hub_connect on */
    const tub__hash_module *hash;
    const char *moving;       /* file in transfer, for events; NULL: none */
    unsigned long long base;  /* bytes of it that are there already, of an upload in parts */
    unsigned long long whole; /* all of its bytes; 0: as the transfer says */
} tub__hub;

/* Reads a name and the environment; asks nobody. */
TUB_MUST_USE tub_status tub__hub_open(tub_context *ctx, const char *name, tub__hub *out,
                                      tub_error *err);
void tub__hub_close(tub__hub *hub);
/* Opens what talks. Error: TUB_E_MODULE; TUB_E_NOT_FOUND where HF_HUB_OFFLINE forbids it. */
TUB_MUST_USE tub_status tub__hub_connect(tub__hub *hub, tub_error *err);

/* Flags of tub__hub_ask. */
enum {
    TUB__HUB_TOKEN = 1,  /* the token goes along, to the hub and to nobody else */
    TUB__HUB_STAY = 2,   /* a redirect to somebody else is the answer */
    TUB__HUB_PATIENT = 4 /* a broken connection is tried again, too */
};
/* Asks what the request says, and follows redirects: of PUT and POST those that keep the method.
 * Where the server is busy (408, 429, 5xx), waits as long as it says and asks again, a few
 * times. An answer of any status is TUB_OK; hub->net->release frees it. url: the address; the
 * request's own is overwritten. */
TUB_MUST_USE tub_status tub__hub_ask(tub__hub *hub, const char *url, tub__net_request request,
                                     unsigned flags, tub__net_answer *out, tub_error *err);
/* Prints an address below the hub's; the caller's. */
TUB_MUST_USE tub_status tub__hub_url(const tub__hub *hub, char **out, tub_error *err,
                                     const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The address with the name of this hub instead of that of the public one, as a mirror may hand
 * on; the caller's. */
TUB_MUST_USE tub_status tub__hub_own_url(const tub__hub *hub, const char *url, char **out,
                                         tub_error *err);
/* The revision as a part of an address: "refs%2Fpr%2F1". */
void tub__hub_quote(const char *revision, char out[3 * TUB__HUB_REVISION_LIMIT + 1]);
/* A header's value; false where there is none or no room for it. */
bool tub__hub_header(const tub__net_answer *answer, const char *name, char *out, size_t room);
/* The sentence of a refusal. what: that was asked for. Returns TUB_E_NOT_FOUND for what is not
 * there or must not be seen, else TUB_E_NETWORK. */
tub_status tub__hub_refused(const tub__hub *hub, const tub__net_answer *answer, const char *what,
                            tub_error *err);
/* Waits; false where the context was told to stop meanwhile. */
bool tub__hub_pause(const tub__hub *hub, long seconds);
/* A transfer's progress as events; the context's stop ends it. */
int tub__hub_progress(void *hub, unsigned long long done, unsigned long long total);

#endif
