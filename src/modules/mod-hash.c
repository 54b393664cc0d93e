/* SPDX-License-Identifier: Apache-2.0 */
/* mod-hash: SHA-256, SHA-1 and Base64 by OpenSSL, for what hubs check and take. */
#include "base/error.h"
#include "base/module.h"
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <unistd.h>

static tub_status update_with_file(EVP_MD_CTX *sum, int fd, tub_error *err) {
    unsigned char buffer[1 << 16];
    for (off_t at = 0;;) {
        const ssize_t n = pread(fd, buffer, sizeof buffer, at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return tub__fail_errno(err, errno, "the file can't be read");
        }
        if (n == 0) {
            return TUB_OK;
        }
        if (EVP_DigestUpdate(sum, buffer, (size_t)n) != 1) {
            return tub__fail(err, TUB_E_MEMORY, "libcrypto can't add to a checksum");
        }
        at += n;
    }
}

static tub_status hash_file(const char *kind, const char *prefix, size_t prefix_size, int fd,
                            char hex[TUB__HASH_HEX], tub_error *err) {
    const EVP_MD *type = EVP_get_digestbyname(kind);
    EVP_MD_CTX *sum = EVP_MD_CTX_new();
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (type == NULL || sum == NULL || EVP_DigestInit_ex(sum, type, NULL) != 1 ||
        EVP_DigestUpdate(sum, prefix, prefix_size) != 1) {
        EVP_MD_CTX_free(sum);
        return tub__fail(err, TUB_E_MEMORY, "libcrypto can't make a checksum of kind %s", kind);
    }
    tub_status status = update_with_file(sum, fd, err);
    if (status == TUB_OK && EVP_DigestFinal_ex(sum, bytes, &size) != 1) {
        status = tub__fail(err, TUB_E_MEMORY, "libcrypto can't end a checksum");
    }
    EVP_MD_CTX_free(sum);
    for (unsigned i = 0; status == TUB_OK && i < size && 2 * i + 2 < TUB__HASH_HEX; i++) {
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    }
    return status;
}

static void to_base64(const void *bytes, size_t size, char *out) {
    /* A length of OpenSSL's is an int. Groups of three leave no padding between them. */
    const unsigned char *from = bytes;
    enum { STEP = 3 << 20 };
    for (; size > STEP; size -= STEP, from += STEP) {
        out += EVP_EncodeBlock((unsigned char *)out, from, STEP);
    }
    (void)EVP_EncodeBlock((unsigned char *)out, from, (int)size);
}

extern __attribute__((visibility("default"))) const tub__hash_module tub__module_table;
const tub__hash_module tub__module_table = {
    .version = TUB__MODULE_VERSION, .file = hash_file, .base64 = to_base64};
