/* SPDX-License-Identifier: Apache-2.0 */
/* damage_file IN OUT N: a copy that is damaged in a way that follows from N and the file's size alone. Even
 * N cut it off at a random place, odd N write random bytes over one to sixteen places. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Steele and others (2014): SplitMix64. */
static uint64_t draw(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

int main(int argc, char **argv) {
    FILE *in = argc == 4 ? fopen(argv[1], "rb") : NULL;
    FILE *out = in != NULL ? fopen(argv[2], "wb") : NULL;
    if (out == NULL || fseek(in, 0, SEEK_END) != 0) {
        fprintf(stderr, "usage: damage_file IN OUT N\n");
        return 2;
    }
    size_t size = (size_t)ftell(in);
    const uint64_t n = strtoull(argv[3], NULL, 10);
    uint64_t state = n * 0x2545f4914f6cdd1du + size;
    unsigned char *bytes = malloc(size + 1);
    rewind(in);
    if (bytes == NULL || size == 0 || fread(bytes, 1, size, in) != size) {
        return 1;
    }
    if (n % 2 == 0) {
        size = draw(&state) % size;
    } else {
        for (uint64_t places = 1 + draw(&state) % 16; places > 0; places--) {
            const uint64_t at = draw(&state) % size, length = 1 + draw(&state) % 8;
            for (uint64_t i = at; i < at + length && i < size; i++) {
                bytes[i] = (unsigned char)draw(&state);
            }
        }
    }
    fwrite(bytes, 1, size, out);
    free(bytes);
    fclose(in);
    return fclose(out) == 0 ? 0 : 1;
}
