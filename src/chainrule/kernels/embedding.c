/* Categories embedded as rows of a table: layers/embedding.py has the equation. In float32 alone. */

#ifndef BFLOAT16

#include "maths.h"

/* y (n_rows, plain + k width) <- the first `plain` columns of x (n_rows, plain + 2 k), and of each of the k codes behind
   them, two digits to the base `digit`, its row of E, or zeros. sizes (k): how many categories a column has. picked
   (n_rows, k): the rows of E, or -1, for the way back. */
void embedding(const float *x, int64_t n_rows, int64_t plain, int64_t k, int64_t width, int32_t digit,
               const int64_t *sizes, const float *E, int64_t *picked, float *y) {
    for (int64_t i = 0; i < n_rows; i++) {
        const float *row = x + i * (plain + 2 * k);
        float *out = y + i * (plain + k * width);
        memcpy(out, row, sizeof(float) * plain);
        for (int64_t q = 0, first = 0; q < k; first += sizes[q], q++) {
            const float code = rintf(row[plain + 2 * q]) * (float)digit + rintf(row[plain + 2 * q + 1]);
            const int seen = code >= 1.0f && code <= (float)sizes[q];
            const int64_t at = picked[i * k + q] = seen ? first + (int64_t)code - 1 : -1;
            for (int64_t j = 0; j < width; j++) out[plain + q * width + j] = seen ? E[at * width + j] : 0.0f;
        }
    }
}

/* dE (n_E, width) <- sums of dy where a row of E was picked, in float64 as in Python; dx <- dy in the plain columns, 0 at
   codes; not where it is NULL. sums: room for them. */
void embedding_back(const int64_t *picked, const float *dy, int64_t n_rows, int64_t plain, int64_t k, int64_t width,
                    int64_t n_E, float *dx, double *sums, float *dE) {
    for (int64_t j = 0; j < n_E * width; j++) sums[j] = 0.0;
    for (int64_t i = 0; i < n_rows; i++) {
        const float *back = dy + i * (plain + k * width);
        for (int64_t q = 0; q < k; q++)
            for (int64_t j = 0; picked[i * k + q] >= 0 && j < width; j++)
                sums[picked[i * k + q] * width + j] += back[plain + q * width + j];
        if (dx) {
            memcpy(dx + i * (plain + 2 * k), back, sizeof(float) * plain);
            memset(dx + i * (plain + 2 * k) + plain, 0, sizeof(float) * 2 * k);
        }
    }
    for (int64_t j = 0; j < n_E * width; j++) dE[j] = (float)sums[j];
}

#endif
