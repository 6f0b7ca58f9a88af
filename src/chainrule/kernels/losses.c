/* Losses of z (n_networks, n_rows, n_out), and dz: the mean over the rows of a network, or the weighted mean. */

#include "maths.h"

/* What each row counts: weight / sum of the network's weights, or 1 / n_rows where there are none. */
static void share_rows(const float *weight, int64_t n_networks, int64_t n_rows, float *shares) {
    for (int64_t k = 0; k < n_networks; k++) {
        double sum = 0.0;
        for (int64_t i = 0; weight && i < n_rows; i++) sum += weight[k * n_rows + i];
        const float total = sum > 0.0 ? (float)sum : 1.0f; /* a batch of no weight has loss 0 */
        for (int64_t i = k * n_rows; i < (k + 1) * n_rows; i++)
            shares[i] = weight ? weight[i] / total : 1.0f / (float)n_rows;
    }
}

/* The mean of each network's values (n_networks, n_rows). */
static void means(const float *values, const float *shares, int weighted, int64_t n_networks, int64_t n_rows,
                  float *out) {
    for (int64_t k = 0; k < n_networks; k++) {
        double sum = 0.0;
        for (int64_t i = k * n_rows; i < (k + 1) * n_rows; i++)
            sum += weighted ? (double)shares[i] * values[i] : values[i];
        out[k] = (float)(weighted ? sum : sum / (double)n_rows);
    }
}

/* Softmax cross-entropy against class indices: dz = (softmax(z) - t) share, t the smoothed targets. e: scratch for all
   of z. values, shares: a row's loss and share. A block of rows has its exponentials taken in one loop, however few
   outputs a row has. */
#define BLOCK 16
void cross_entropy(const Work *z, const int64_t *classes, const float *weight, int64_t n_networks,
                   int64_t n_rows, int64_t n_out, float smoothing, float *e, Work *dz, float *shares,
                   float *values, float *loss, int32_t threads) {
    const int64_t all = n_networks * n_rows, n = all * n_out, blocks = (all + BLOCK - 1) / BLOCK;
    const float on = 1.0f - smoothing, off = smoothing / (float)n_out;
    (void)n, (void)threads;
    share_rows(weight, n_networks, n_rows, shares);
    PARALLEL
    for (int64_t block = 0; block < blocks; block++) {
        const int64_t begin = block * BLOCK, end = begin + BLOCK < all ? begin + BLOCK : all;
        for (int64_t i = begin; i < end; i++) {
            const Work *row = z + i * n_out;
            float top = WIDE(row[0]), moved = 0.0f;
            for (int64_t j = 1; j < n_out; j++) top = WIDE(row[j]) > top ? WIDE(row[j]) : top;
            for (int64_t j = 0; j < n_out; j++) e[i * n_out + j] = WIDE(row[j]) - top;
            if (smoothing != 0.0f)
                for (int64_t j = 0; j < n_out; j++) moved += e[i * n_out + j];
            values[i] = -on * e[i * n_out + classes[i]] - off * moved;
        }
        for (int64_t k = begin * n_out; k < end * n_out; k++) e[k] = exponential(e[k]);
        for (int64_t i = begin; i < end; i++) {
            float *row = e + i * n_out, total = 0.0f;
            for (int64_t j = 0; j < n_out; j++) total += row[j];
            const float rest = 1.0f / total, share = shares[i];
            values[i] += logf(total);
            row[classes[i]] -= on * total;
            for (int64_t j = 0; j < n_out; j++) dz[i * n_out + j] = STORE((row[j] * rest - off) * share);
        }
    }
    means(values, shares, weight != NULL, n_networks, n_rows, loss);
}

/* As in calls.py. */
enum { SQUARED_ERROR, HUBER, POISSON, SIGMOID };

static inline float clipped(float x, float limit) { return x > limit ? limit : (x < -limit ? -limit : x); }

/* e^x, continued by its tangent above 50. */
static inline float rate(float x) {
    const float beyond = x > 50.0f ? x - 50.0f : 0.0f;
    return exponential(x > 50.0f ? 50.0f : x) * (1.0f + beyond);
}

#define OUTPUT                                                                                                         \
    const float x = WIDE(z[j]), y = t[j], d = x - y;                                                                   \
    (void)d
#define LANES 16 /* sums of a row's losses, whose order is the same for any compiler */
#define ROWS(VALUE, SLOPE)                                                                                             \
    PARALLEL                                                                                                           \
    for (int64_t i = 0; i < all; i++) {                                                                                \
        const int64_t end = (i + 1) * n_out;                                                                           \
        const float share = shares[i];                                                                                 \
        float sum = 0.0f, lanes[LANES] = {0};                                                                          \
        int64_t first = i * n_out;                                                                                     \
        for (int64_t j = first; j < end; j++) { OUTPUT; dz[j] = STORE((SLOPE) * each * share); }                       \
        for (; first + LANES <= end; first += LANES)                                                                   \
            for (int64_t lane = 0, j = first; lane < LANES; lane++, j++) { OUTPUT; lanes[lane] += VALUE; }             \
        for (int64_t lane = 0, j = first; j < end; lane++, j++) { OUTPUT; lanes[lane] += VALUE; }                      \
        for (int64_t lane = 0; lane < LANES; lane++) sum += lanes[lane];                                               \
        values[i] = sum / (float)n_out;                                                                                \
    }                                                                                                                  \
    break

/* Losses against numbers t of the shape of z, a row's being the mean over its outputs: losses.py has the equations.
   number: the delta of Huber's. */
void numbers_loss(int32_t kind, float number, const Work *z, const float *t, const float *weight,
                  int64_t n_networks, int64_t n_rows, int64_t n_out, Work *dz, float *shares, float *values,
                  float *loss, int32_t threads) {
    const int64_t all = n_networks * n_rows, n = all * n_out;
    const float each = 1.0f / (float)n_out;
    (void)n, (void)threads;
    share_rows(weight, n_networks, n_rows, shares);
    switch (kind) {
    case SQUARED_ERROR: ROWS(d * d, 2.0f * d);
    case HUBER: ROWS(clipped(d, number) * (d - 0.5f * clipped(d, number)), clipped(d, number));
    case POISSON: ROWS(rate(x) - y * x, exponential(x > 50.0f ? 50.0f : x) - y);
    case SIGMOID: ROWS((x > 0 ? x : 0.0f) - x * y + log_of_1_and(exponential(-fabsf(x))), logistic(x) - y);
    }
    means(values, shares, weight != NULL, n_networks, n_rows, loss);
}
