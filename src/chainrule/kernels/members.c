/* What a layer of k members that share their weights does beside its product: layers/members.py has the equations.
   In float32 alone. */

#ifndef BFLOAT16

#include "maths.h"

/* u (n_rows, k, width) <- x r, x (n_rows, k, width), or where it is `spread` (n_rows, width); r (k, width). */
void members_in(const float *x, int64_t n_rows, int64_t k, int64_t width, int32_t spread, const float *r, float *u,
                int32_t threads) {
    const int64_t n = n_rows * k * width;
    (void)n, (void)threads;
    PARALLEL
    for (int64_t i = 0; i < n_rows * k; i++) {
        const float *restrict row = x + (spread ? i / k : i) * width, *restrict by = r + i % k * width;
        float *restrict out = u + i * width;
        for (int64_t j = 0; j < width; j++) out[j] = row[j] * by[j];
    }
}

/* y <- v s + b, v and y (n_rows, k, width), s and b (k, width). */
void members_out(const float *v, int64_t n_rows, int64_t k, int64_t width, const float *s, const float *b, float *y,
                 int32_t threads) {
    const int64_t columns = k * width, n = n_rows * columns;
    (void)n, (void)threads;
    PARALLEL
    for (int64_t i = 0; i < n_rows; i++)
        for (int64_t j = 0; j < columns; j++) y[i * columns + j] = v[i * columns + j] * s[j] + b[j];
}

/* out (columns) <- sums over rows of a b, whose rows begin `step_a` and `step_b` entries after each other. */
static void sums_of_products(const float *a, int64_t step_a, const float *b, int64_t step_b, int64_t n_rows,
                             int64_t columns, float *out, int32_t threads) {
    STRIPS
        float sums[STRIP] = {0};
        SUM_ROWS(sums, const float *one = a + i * step_a + first; const float *other = b + i * step_b + first,
                 one[j] * other[j])
        for (int64_t j = 0; j < width; j++) out[first + j] = sums[j];
    }
}

/* dv <- dy s; ds <- sums over rows of dy v, and db of dy. */
void members_out_back(const float *v, const float *dy, int64_t n_rows, int64_t k, int64_t width, const float *s,
                      float *dv, float *ds, float *db, int32_t threads) {
    const int64_t columns = k * width, n = n_rows * columns;
    (void)n;
    PARALLEL
    for (int64_t i = 0; i < n_rows; i++)
        for (int64_t j = 0; j < columns; j++) dv[i * columns + j] = dy[i * columns + j] * s[j];
    sums_of_products(dy, columns, v, columns, n_rows, columns, ds, threads);
    sum_rows(dy, 1, n_rows, columns, db, threads);
}

/* dr <- sums over rows of du x; dx <- du r, summed over the members where x is spread; not where dx is NULL. */
void members_in_back(const float *x, const float *du, int64_t n_rows, int64_t k, int64_t width, int32_t spread,
                     const float *r, float *dx, float *dr, int32_t threads) {
    const int64_t columns = k * width, step = spread ? width : columns, n = n_rows * columns;
    (void)n;
    for (int64_t m = 0; m < k; m++)
        sums_of_products(du + m * width, columns, x + (spread ? 0 : m * width), step, n_rows, width, dr + m * width,
                         threads);
    if (dx == NULL) return;
    PARALLEL
    for (int64_t i = 0; i < n_rows; i++) {
        const float *restrict back = du + i * columns;
        float *restrict out = dx + i * step;
        for (int64_t j = 0; j < step; j++) out[j] = back[j] * r[j];
        for (int64_t m = 1; spread && m < k; m++)
            for (int64_t j = 0; j < width; j++) out[j] += back[m * width + j] * r[m * width + j];
    }
}

#endif
