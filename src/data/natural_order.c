/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing names with numbers in them. */
#include "data/natural_order.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static size_t digits(const char *text) {
    size_t n = 0;
    while (is_digit(text[n])) {
        n++;
    }
    return n;
}

/* Compares the numbers at *a and *b and goes over them. */
static int compare_numbers(const char **a, const char **b) {
    while (**a == '0' && is_digit((*a)[1])) {
        (*a)++;
    }
    while (**b == '0' && is_digit((*b)[1])) {
        (*b)++;
    }
    const size_t n = digits(*a), m = digits(*b);
    const int order = n != m ? (n < m ? -1 : 1) : strncmp(*a, *b, n);
    *a += n;
    *b += m;
    return order;
}

int tub__natural_compare(const char *a, const char *b) {
    const char *p = a, *q = b;
    while (*p != '\0' && *q != '\0') {
        int order;
        if (is_digit(*p) && is_digit(*q)) {
            order = compare_numbers(&p, &q);
        } else {
            order = (unsigned char)*p - (unsigned char)*q;
            p++;
            q++;
        }
        if (order != 0) {
            return order;
        }
    }
    return *p != *q ? (*p == '\0' ? -1 : 1) : strcmp(a, b);
}
