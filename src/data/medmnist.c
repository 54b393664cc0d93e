/* SPDX-License-Identifier: Apache-2.0 */
/* The six MedMNIST3D sets in both sizes: files, checksums, splits and class names as in the
 * medmnist package 3.0.2. */
#include "data/medmnist.h"

#include "base/error.h"
#include <string.h>

const char tub__medmnist_url[] = "https://zenodo.org/records/10519652/files/";
const char tub__medmnist_query[] = "?download=1";

#define LICENCE        "CC BY 4.0"
#define ADRENAL_TITLE  "adrenal glands in CT, as shape masks: normal or hyperplasia"
#define FRACTURE_TITLE "rib fractures in CT: buckle, nondisplaced or displaced"
#define NODULE_TITLE   "lung nodules in CT: benign or malignant"
#define ORGAN_TITLE    "organs in abdominal CT, 11 classes"
#define SYNAPSE_TITLE  "synapses in electron microscopy: inhibitory or excitatory"
#define VESSEL_TITLE   "brain vessels, as shape masks: healthy or aneurysm"

/* Rows of one set lie beside each other: 28 voxels a side, then 64. details[] below has the same
 * order. */
static const tub_known_dataset known[] = {
    {"organmnist3d", "organmnist3d.npz", ORGAN_TITLE, LICENCE, 11, {971, 161, 610}},
    {"organmnist3d@64", "organmnist3d_64.npz", ORGAN_TITLE ", 64^3", LICENCE, 11, {971, 161, 610}},
    {"nodulemnist3d", "nodulemnist3d.npz", NODULE_TITLE, LICENCE, 2, {1158, 165, 310}},
    {"nodulemnist3d@64",
     "nodulemnist3d_64.npz",
     NODULE_TITLE ", 64^3",
     LICENCE,
     2,
     {1158, 165, 310}},
    {"adrenalmnist3d", "adrenalmnist3d.npz", ADRENAL_TITLE, LICENCE, 2, {1188, 98, 298}},
    {"adrenalmnist3d@64",
     "adrenalmnist3d_64.npz",
     ADRENAL_TITLE ", 64^3",
     LICENCE,
     2,
     {1188, 98, 298}},
    {"fracturemnist3d", "fracturemnist3d.npz", FRACTURE_TITLE, LICENCE, 3, {1027, 103, 240}},
    {"fracturemnist3d@64",
     "fracturemnist3d_64.npz",
     FRACTURE_TITLE ", 64^3",
     LICENCE,
     3,
     {1027, 103, 240}},
    {"vesselmnist3d", "vesselmnist3d.npz", VESSEL_TITLE, LICENCE, 2, {1335, 191, 382}},
    {"vesselmnist3d@64",
     "vesselmnist3d_64.npz",
     VESSEL_TITLE ", 64^3",
     LICENCE,
     2,
     {1335, 191, 382}},
    {"synapsemnist3d", "synapsemnist3d.npz", SYNAPSE_TITLE, LICENCE, 2, {1230, 177, 352}},
    {"synapsemnist3d@64",
     "synapsemnist3d_64.npz",
     SYNAPSE_TITLE ", 64^3",
     LICENCE,
     2,
     {1230, 177, 352}},
};
enum { KNOWN = sizeof known / sizeof known[0] };

static const char *const organ_labels[] = {
    "liver", "kidney-right", "kidney-left", "femur-right", "femur-left", "bladder",
    "heart", "lung-right",   "lung-left",   "spleen",      "pancreas"};
static const char *const nodule_labels[] = {"benign", "malignant"};
static const char *const adrenal_labels[] = {"normal", "hyperplasia"};
static const char *const fracture_labels[] = {"buckle rib fracture", "nondisplaced rib fracture",
                                              "displaced rib fracture"};
static const char *const vessel_labels[] = {"vessel", "aneurysm"};
static const char *const synapse_labels[] = {"inhibitory synapse", "excitatory synapse"};

static const tub__known_details details[KNOWN] = {
    /* Two builds of this file are in circulation. */
    {{"a0c5a1ff56af4f155c46d46fbb45a2fe", "21f0a239e7f502e6eca33c3fc453c0b6"}, organ_labels},
    {{"58a2205adf14a9d0a189cb06dc78bf10", NULL}, organ_labels},
    {{"8755a7e9e05a4d9ce80a24c3e7a256f3", NULL}, nodule_labels},
    {{"c47c5b7d457bf6332200d2ea6d64ecd8", NULL}, nodule_labels},
    {{"bbd3c5a5576322bc4cdfea780653b1ce", NULL}, adrenal_labels},
    {{"17721accfe9fb005146a47d33bc54b2f", NULL}, adrenal_labels},
    {{"6aa7b0143a6b42da40027a9dda61302f", NULL}, fracture_labels},
    {{"f01d7e6316aedf4210da0da5b7437b42", NULL}, fracture_labels},
    {{"b41fd4f7e7e2feedddb201585ecafa1b", NULL}, vessel_labels},
    {{"6bb274a8846e1097066dcd64e2c4520f", NULL}, vessel_labels},
    {{"1235b78a3cd6280881dd7850a78eadb6", NULL}, synapse_labels},
    {{"43bd14ebf3af9d3dd072446fedc14d5e", NULL}, synapse_labels},
};

const tub_known_dataset *tub_known_datasets(size_t *n) {
    *n = KNOWN;
    return known;
}

int tub__known_by_name(const char *name) {
    for (int i = 0; i < KNOWN; i++) {
        if (strcmp(known[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

int tub__known_by_file(const char *file) {
    for (int i = 0; i < KNOWN; i++) {
        if (strcmp(known[i].file, file) == 0) {
            return i;
        }
    }
    return -1;
}

bool tub__known_info(const char *name, tub_dataset_info *out) {
    int i = tub__known_by_name(name);
    if (i < 0) {
        return false;
    }
    int64_t side = strchr(name, '@') != NULL ? 64 : 28;
    *out = (tub_dataset_info){.name = known[i].name,
                              .licence = known[i].licence,
                              .frames = side,
                              .height = side,
                              .width = side,
                              .channels = 1,
                              .dtype = TUB_U8,
                              .classes = known[i].classes,
                              .task = TUB_TASK_MULTI_CLASS,
                              .label_columns = 1,
                              .labels = details[i].labels};
    memcpy(out->count, known[i].count, sizeof out->count);
    return true;
}

/* The table's, then the built-in ones. */
static const char *name_word(const void *words, size_t index) {
    (void)words;
    return index < KNOWN ? known[index].name : tub_built_in_dataset(index - KNOWN);
}

tub_status tub__known_fail(const char *name, const char *fact, bool built_in, tub_error *err) {
    size_t n = KNOWN;
    while (built_in && tub_built_in_dataset(n - KNOWN) != NULL) {
        n++;
    }
    size_t near = tub_nearest(name, NULL, n, name_word);
    if (near < n) {
        return tub__fail(err, TUB_E_NOT_FOUND, "%s: %s; did you mean '%s'?", name, fact,
                         name_word(NULL, near));
    }
    return tub__fail(err, TUB_E_NOT_FOUND,
                     "%s: %s (%sorganmnist3d, nodulemnist3d, adrenalmnist3d, fracturemnist3d, "
                     "vesselmnist3d, synapsemnist3d; all%s also with @64)",
                     name, fact, built_in ? "phantom3d, motion, " : "",
                     built_in ? " but the first two" : "");
}

const tub__known_details *tub__known_details_of(int index) {
    return &details[index];
}
