/* Batch norm, layer norm, and sums over rows. */

#include "maths.h"

/* Batch norm over the rows of x (n_rows, columns) of each network: y = gamma (x - mean) r + beta with
   r = 1/sqrt(variance + epsilon), and back. */
static void normalise(const Work *x, int64_t n_rows, int64_t columns, const float *gamma, const float *beta,
                      float epsilon, Work *y, float *mean, float *variance, float *r, int32_t threads) {
    STRIPS
        float m[STRIP] = {0}, v[STRIP] = {0}, k[STRIP];
        SUM_ROWS(m, const Work *row = x + i * columns + first, WIDE(row[j]))
        for (int64_t j = 0; j < width; j++) m[j] /= (float)n_rows;
        SUM_ROWS(v, const Work *row = x + i * columns + first, (WIDE(row[j]) - m[j]) * (WIDE(row[j]) - m[j]))
        for (int64_t j = 0; j < width; j++) {
            v[j] /= (float)n_rows;
            k[j] = 1.0f / sqrtf(v[j] + epsilon);
            mean[first + j] = m[j], variance[first + j] = v[j], r[first + j] = k[j];
        }
        for (int64_t i = 0; i < n_rows; i++) {
            const Work *restrict row = x + i * columns + first;
            Work *restrict out = y + i * columns + first;
            for (int64_t j = 0; j < width; j++)
                out[j] = STORE(gamma[first + j] * ((WIDE(row[j]) - m[j]) * k[j]) + beta[first + j]);
        }
    }
}

static void normalise_back(const Work *x, const Work *dy, int64_t n_rows, int64_t columns, const float *gamma,
                           const float *mean, const float *r, Work *dx, float *dgamma, float *dbeta,
                           int32_t threads) {
    STRIPS
        const float *restrict m = mean + first, *restrict k = r + first;
        float g[STRIP] = {0}, b[STRIP] = {0}, through_mean[STRIP], through_variance[STRIP], scale[STRIP];
        SUM_ROWS(b, const Work *back = dy + i * columns + first, WIDE(back[j]))
        SUM_ROWS(g, const Work *row = x + i * columns + first; const Work *back = dy + i * columns + first,
                 WIDE(back[j]) * ((WIDE(row[j]) - m[j]) * k[j]))
        for (int64_t j = 0; j < width; j++) {
            dgamma[first + j] = g[j], dbeta[first + j] = b[j];
            through_mean[j] = b[j] / (float)n_rows, through_variance[j] = g[j] / (float)n_rows;
            scale[j] = gamma[first + j] * k[j];
        }
        for (int64_t i = 0; i < n_rows; i++) {
            const Work *restrict row = x + i * columns + first;
            const Work *restrict back = dy + i * columns + first;
            Work *restrict out = dx + i * columns + first;
            for (int64_t j = 0; j < width; j++) {
                const float x_hat = (WIDE(row[j]) - m[j]) * k[j];
                out[j] = STORE(scale[j] * (WIDE(back[j]) - through_mean[j] - x_hat * through_variance[j]));
            }
        }
    }
}

void batch_norm(const Work *x, int64_t n_networks, int64_t n_rows, int64_t columns, const float *gamma,
                const float *beta, float epsilon, Work *y, float *mean, float *variance, float *r,
                int32_t threads) {
    for (int64_t k = 0; k < n_networks; k++) {
        const int64_t i = k * n_rows * columns, j = k * columns;
        normalise(x + i, n_rows, columns, gamma + j, beta + j, epsilon, y + i, mean + j, variance + j, r + j, threads);
    }
}

void batch_norm_back(const Work *x, const Work *dy, int64_t n_networks, int64_t n_rows, int64_t columns,
                     const float *gamma, const float *mean, const float *r, Work *dx, float *dgamma,
                     float *dbeta, int32_t threads) {
    for (int64_t k = 0; k < n_networks; k++) {
        const int64_t i = k * n_rows * columns, j = k * columns;
        normalise_back(x + i, dy + i, n_rows, columns, gamma + j, mean + j, r + j, dx + i, dgamma + j,
                       dbeta + j, threads);
    }
}

/* out (n_networks, columns) <- sums over the rows of x (n_networks, n_rows, columns). */
void sum_rows(const Work *X, int64_t n_networks, int64_t n_rows, int64_t columns, float *out, int32_t threads) {
    for (int64_t k = 0; k < n_networks; k++) {
        const Work *x = X + k * n_rows * columns;
        STRIPS
            float s[STRIP] = {0};
            SUM_ROWS(s, const Work *row = x + i * columns + first, WIDE(row[j]))
            for (int64_t j = 0; j < width; j++) out[k * columns + first + j] = s[j];
        }
    }
}

/* The mean over j < n of TERM, in LANES sums, whose order is the same for any compiler. */
#define LANES 16
#define MEAN(INTO, TERM)                                                                                               \
    {                                                                                                                  \
        float lanes[LANES] = {0};                                                                                      \
        int64_t first = 0;                                                                                             \
        for (; first + LANES <= columns; first += LANES)                                                               \
            for (int64_t lane = 0, j = first; lane < LANES; lane++, j++) lanes[lane] += TERM;                          \
        for (int64_t lane = 0, j = first; j < columns; lane++, j++) lanes[lane] += TERM;                               \
        for (int64_t lane = 0; lane < LANES; lane++) INTO += lanes[lane];                                              \
        INTO /= (float)columns;                                                                                        \
    }

/* Layer norm over the features of each row: y = gamma (x - mean) r + beta with r = 1/sqrt(variance + epsilon), mean and
   r (n_networks, n_rows), and back. */
void layer_norm(const Work *x, int64_t n_networks, int64_t n_rows, int64_t columns, const float *gamma,
                const float *beta, float epsilon, Work *y, float *mean, float *r, int32_t threads) {
    const int64_t all = n_networks * n_rows, n = all * columns;
    (void)n, (void)threads;
    PARALLEL
    for (int64_t i = 0; i < all; i++) {
        const float *restrict g = gamma + i / n_rows * columns, *restrict b = beta + i / n_rows * columns;
        const Work *restrict row = x + i * columns;
        Work *restrict out = y + i * columns;
        float m = 0.0f, v = 0.0f;
        MEAN(m, WIDE(row[j]))
        MEAN(v, (WIDE(row[j]) - m) * (WIDE(row[j]) - m))
        const float k = 1.0f / sqrtf(v + epsilon);
        mean[i] = m, r[i] = k;
        for (int64_t j = 0; j < columns; j++) out[j] = STORE(g[j] * ((WIDE(row[j]) - m) * k) + b[j]);
    }
}

static void layer_norm_sums(const Work *x, const Work *dy, int64_t n_rows, int64_t columns, const float *mean,
                            const float *r, float *dgamma, float *dbeta, int32_t threads) {
    STRIPS
        float g[STRIP] = {0}, b[STRIP] = {0};
        SUM_ROWS(b, const Work *back = dy + i * columns + first, WIDE(back[j]))
        SUM_ROWS(g, const Work *row = x + i * columns + first; const Work *back = dy + i * columns + first,
                 WIDE(back[j]) * ((WIDE(row[j]) - mean[i]) * r[i]))
        for (int64_t j = 0; j < width; j++) dgamma[first + j] = g[j], dbeta[first + j] = b[j];
    }
}

void layer_norm_back(const Work *x, const Work *dy, int64_t n_networks, int64_t n_rows, int64_t columns,
                     const float *gamma, const float *mean, const float *r, Work *dx, float *dgamma,
                     float *dbeta, int32_t threads) {
    const int64_t all = n_networks * n_rows, n = all * columns;
    (void)n;
    PARALLEL
    for (int64_t i = 0; i < all; i++) {
        const float *restrict g = gamma + i / n_rows * columns;
        const Work *restrict row = x + i * columns;
        const Work *restrict back = dy + i * columns;
        Work *restrict out = dx + i * columns;
        const float m = mean[i], k = r[i];
        float through_mean = 0.0f, through_variance = 0.0f;
        MEAN(through_mean, WIDE(back[j]) * g[j])
        MEAN(through_variance, WIDE(back[j]) * g[j] * ((WIDE(row[j]) - m) * k))
        for (int64_t j = 0; j < columns; j++) {
            const float x_hat = (WIDE(row[j]) - m) * k;
            out[j] = STORE(k * (WIDE(back[j]) * g[j] - through_mean - x_hat * through_variance));
        }
    }
    for (int64_t network = 0; network < n_networks; network++) {
        const int64_t i = network * n_rows * columns, j = network * columns, k = network * n_rows;
        layer_norm_sums(x + i, dy + i, n_rows, columns, mean + k, r + k, dgamma + j, dbeta + j, threads);
    }
}
