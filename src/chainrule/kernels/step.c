/* The parts of a training step that are bound by memory, each in one pass over its arrays.

   The operations, their order and their rounding are those of the Python they stand in for (optim/, data/, backends/,
   layers/), so that both give the same bits: no contraction to fused multiply-adds, no reassociation. Only sums over
   rows are in another order, and the exponential of the loss is our own. bfloat16 is the upper half of a float32, rounded
   to nearest, ties to even. */

#include "step.h"

#include <math.h>
#include <string.h>

#define LARGE 32768 /* entries from which a second thread pays */
#if defined(_OPENMP)
#define PARALLEL _Pragma("omp parallel for schedule(static) num_threads(threads) if (n > LARGE && threads > 1)")
#else
#define PARALLEL
#endif

static inline float widened(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float y;
    memcpy(&y, &bits, 4);
    return y;
}

static inline uint16_t narrowed(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    uint16_t rounded = (uint16_t)((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
    return x == x ? rounded : (uint16_t)0x7FC0;
}

#define EACH(CONSTANTS, RULE)                                                                                          \
    for (int64_t k = 0; k < n_entries; k++) {                                                                          \
        const Entry *e = entries + k;                                                                                  \
        const Rule *r = rules + e->rule;                                                                               \
        CONSTANTS;                                                                                                     \
        const int64_t n = e->n;                                                                                        \
        float *restrict const P = e->p;                                                                                \
        float *restrict const A = e->a;                                                                                \
        float *restrict const B = e->b;                                                                                \
        uint16_t *restrict const W = e->w;                                                                             \
        const float lr = r->lr, penalty = e->weight ? r->penalty : 0.0f, decay = e->weight ? r->decay : 1.0f;          \
        const float scale = r->scale;                                                                                  \
        const int scaled = r->scaled;                                                                                  \
        (void)A, (void)B;                                                                                              \
        if (e->narrow && W) { LOOP(RULE, widened(((const uint16_t *)e->g)[i]), W[i] = narrowed(p)) }                   \
        else if (e->narrow) { LOOP(RULE, widened(((const uint16_t *)e->g)[i]), ) }                                     \
        else if (W) { LOOP(RULE, ((const float *)e->g)[i], W[i] = narrowed(p)) }                                       \
        else { LOOP(RULE, ((const float *)e->g)[i], ) }                                                                \
    }

#define LOOP(RULE, GRADIENT, COPY)                                                                                     \
    PARALLEL                                                                                                           \
    for (int64_t i = 0; i < n; i++) {                                                                                  \
        float p = P[i], g = GRADIENT;                                                                                  \
        g = penalty != 0.0f ? g + penalty * p : g;                                                                     \
        g = scaled ? g * scale : g;                                                                                    \
        p = decay != 1.0f ? p * decay : p;                                                                             \
        RULE;                                                                                                          \
        P[i] = p;                                                                                                      \
        COPY;                                                                                                          \
    }

void update_sgd(const Entry *entries, int64_t n_entries, const Rule *rules, int32_t threads) {
    (void)threads;
    EACH(, p = p - lr * g)
}

#define MOMENTUM const float momentum = r->momentum
void update_momentum(const Entry *entries, int64_t n_entries, const Rule *rules, int32_t threads) {
    (void)threads;
    if (rules->nesterov)
        EACH(MOMENTUM, float b = momentum * A[i] + g; A[i] = b; p = p - lr * (g + momentum * b))
    else
        EACH(MOMENTUM, float b = momentum * A[i] + g; A[i] = b; p = p - lr * b)
}

#define ADAM                                                                                                           \
    const float beta1 = r->beta1;                                                                                      \
    const float rest1 = r->rest1;                                                                                      \
    const float beta2 = r->beta2;                                                                                      \
    const float rest2 = r->rest2;                                                                                      \
    const float epsilon = r->epsilon
void update_adam(const Entry *entries, int64_t n_entries, const Rule *rules, int32_t threads) {
    (void)threads;
    EACH(ADAM, float m = beta1 * A[i] + rest1 * g; float v = beta2 * B[i] + rest2 * g * g; A[i] = m; B[i] = v;
         p = p - lr * m / (sqrtf(v) + epsilon))
}

#define RMSPROP                                                                                                        \
    const float alpha = r->beta2;                                                                                      \
    const float rest = r->rest2;                                                                                       \
    const float epsilon = r->epsilon;                                                                                  \
    const float momentum = r->momentum;                                                                                \
    (void)momentum
void update_rmsprop(const Entry *entries, int64_t n_entries, const Rule *rules, int32_t threads) {
    (void)threads;
    if (rules->momentum != 0.0f)
        EACH(RMSPROP, float v = alpha * A[i] + rest * g * g; float b = momentum * B[i] + g / (sqrtf(v) + epsilon);
             A[i] = v; B[i] = b; p = p - lr * b)
    else
        EACH(RMSPROP, float v = alpha * A[i] + rest * g * g; A[i] = v; p = p - lr * (g / (sqrtf(v) + epsilon)))
}

/* out <- (X[rows] - shift) scale, X (?, columns) of uint8, float32 or float64, out (n_rows, columns) of float32 or
   bfloat16; computed in float64 for X of float64, else in float32. */
#define PREPARE(NAME, FROM, WIDE, TO, STORE)                                                                           \
    void NAME(const FROM *X, const int64_t *rows, int64_t n_rows, int64_t columns, const WIDE *shift,                  \
              const WIDE *scale, TO *out, int32_t threads) {                                                           \
        const int64_t n = n_rows * columns;                                                                            \
        (void)n, (void)threads;                                                                                        \
        PARALLEL                                                                                                       \
        for (int64_t i = 0; i < n_rows; i++) {                                                                         \
            const FROM *restrict x = X + rows[i] * columns;                                                            \
            TO *restrict y = out + i * columns;                                                                        \
            for (int64_t j = 0; j < columns; j++) {                                                                    \
                float value = (float)(((WIDE)x[j] - shift[j]) * scale[j]);                                             \
                y[j] = STORE(value);                                                                                   \
            }                                                                                                          \
        }                                                                                                              \
    }
PREPARE(prepare_u8_f32, uint8_t, float, float, )
PREPARE(prepare_u8_bf16, uint8_t, float, uint16_t, narrowed)
PREPARE(prepare_f32_f32, float, float, float, )
PREPARE(prepare_f32_bf16, float, float, uint16_t, narrowed)
PREPARE(prepare_f64_f32, double, double, float, )
PREPARE(prepare_f64_bf16, double, double, uint16_t, narrowed)

/* The same for images (channels, height, width) that are moved: moves (n_rows, 5) as in data/augmentation.py. */
static inline int64_t reflected(int64_t position, int64_t size) {
    position = position < 0 ? -position : position;
    return position >= size ? 2 * (size - 1) - position : position;
}

#define PREPARE_MOVED(NAME, FROM, TO, STORE)                                                                           \
    void NAME(const FROM *X, const int64_t *rows, int64_t n_rows, const int64_t *moves, int64_t cutout,                \
              int64_t channels, int64_t height, int64_t width, const float *shift, const float *scale, TO *out,        \
              int32_t threads) {                                                                                       \
        const int64_t columns = channels * height * width, n = n_rows * columns;                                       \
        (void)n, (void)threads;                                                                                        \
        PARALLEL                                                                                                       \
        for (int64_t i = 0; i < n_rows; i++) {                                                                         \
            const int64_t *m = moves + 5 * i, top = m[3], left = m[4];                                                 \
            for (int64_t line = 0; line < channels * height; line++) {                                                 \
                const int64_t h = line % height, at = line * width;                                                    \
                const FROM *x = X + rows[i] * columns + (line - h + reflected(h + m[0], height)) * width;              \
                TO *y = out + i * columns + at;                                                                        \
                for (int64_t w = 0; w < width; w++) {                                                                  \
                    int64_t from = reflected(w + m[1], width);                                                         \
                    from = m[2] ? width - 1 - from : from;                                                             \
                    const int covered = h >= top && h < top + cutout && w >= left && w < left + cutout;                \
                    float value = covered ? 0.0f : ((float)x[from] - shift[at + w]) * scale[at + w];                   \
                    y[w] = STORE(value);                                                                               \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }
PREPARE_MOVED(prepare_moved_u8_f32, uint8_t, float, )
PREPARE_MOVED(prepare_moved_u8_bf16, uint8_t, uint16_t, narrowed)
PREPARE_MOVED(prepare_moved_f32_f32, float, float, )
PREPARE_MOVED(prepare_moved_f32_bf16, float, uint16_t, narrowed)

/* Philox4x64-10 (Salmon et al. 2011) with the counter (block + 1, 0, 0, position), as NumPy's generator counts. */
typedef union {
    uint64_t words[4];
    uint16_t draws[16];
} Block;

static inline Block philox(uint64_t block, uint64_t position, uint64_t k0, uint64_t k1) {
    uint64_t c0 = block + 1, c1 = 0, c2 = 0, c3 = position;
    for (int round = 0; round < 10; round++) {
        const unsigned __int128 first = (unsigned __int128)0xD2E7470EE14C6C93u * c0;
        const unsigned __int128 second = (unsigned __int128)0xCA5A826395121157u * c2;
        c0 = (uint64_t)(second >> 64) ^ c1 ^ k0;
        c1 = (uint64_t)second;
        c2 = (uint64_t)(first >> 64) ^ c3 ^ k1;
        c3 = (uint64_t)first;
        k0 += 0x9E3779B97F4A7C15u;
        k1 += 0xBB67AE8584CAA73Bu;
    }
    return (Block){{c0, c1, c2, c3}};
}

/* out[i] <- kept where the i-th 16 bits of the stream are at least `threshold`, else 0; 16 entries a block. */
#define MASK(NAME, TO)                                                                                                 \
    void NAME(uint64_t k0, uint64_t k1, uint64_t position, int64_t n, int32_t threshold, TO kept, TO *out,             \
              int32_t threads) {                                                                                       \
        const int64_t blocks = n / 16;                                                                                 \
        (void)threads;                                                                                                 \
        PARALLEL                                                                                                       \
        for (int64_t block = 0; block < blocks; block++) {                                                             \
            const Block b = philox((uint64_t)block, position, k0, k1);                                                 \
            for (int i = 0; i < 16; i++) out[16 * block + i] = b.draws[i] >= threshold ? kept : 0;                     \
        }                                                                                                              \
        if (n % 16) {                                                                                                  \
            const Block b = philox((uint64_t)blocks, position, k0, k1);                                                \
            for (int64_t i = 16 * blocks; i < n; i++) out[i] = b.draws[i % 16] >= threshold ? kept : 0;                \
        }                                                                                                              \
    }
MASK(mask_f32, float)
MASK(mask_bf16, uint16_t)

#define SAME(x) (x)
#define ELEMENTWISE(NAME, T, WIDE, STORE)                                                                              \
    void relu_##NAME(const T *restrict x, int64_t n, T *restrict y, int32_t threads) {                                 \
        (void)threads;                                                                                                 \
        PARALLEL                                                                                                       \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const float value = WIDE(x[i]);                                                                            \
            y[i] = value > 0 || value != value ? x[i] : 0;                                                             \
        }                                                                                                              \
    }                                                                                                                  \
    void relu_back_##NAME(const T *restrict x, const T *restrict dy, int64_t n, T *restrict dx, int32_t threads) {     \
        (void)threads;                                                                                                 \
        PARALLEL                                                                                                       \
        for (int64_t i = 0; i < n; i++) dx[i] = WIDE(x[i]) > 0 ? dy[i] : 0;                                            \
    }
ELEMENTWISE(f32, float, SAME, SAME)
ELEMENTWISE(bf16, uint16_t, widened, narrowed)

/* Batch norm over the rows of x (n_rows, columns) of each network: y = gamma (x - mean) r + beta with
   r = 1/sqrt(variance + epsilon), and back. A thread has strips of STRIP columns; sums run over SLAB rows at a time, so
   that their rounding stays small. */
#define STRIP 128
#define SLAB 32
#define STRIPS                                                                                                         \
    const int64_t n = n_rows * columns, strips = (columns + STRIP - 1) / STRIP;                                        \
    (void)n, (void)threads;                                                                                            \
    PARALLEL                                                                                                           \
    for (int64_t strip = 0; strip < strips; strip++) {                                                                 \
        const int64_t first = strip * STRIP, width = columns - first < STRIP ? columns - first : STRIP;
#define SUM_ROWS(TOTALS, ROW, TERM)                                                                                    \
    for (int64_t slab = 0; slab < n_rows; slab += SLAB) {                                                              \
        float part[STRIP] = {0};                                                                                       \
        const int64_t end = slab + SLAB < n_rows ? slab + SLAB : n_rows;                                               \
        for (int64_t i = slab; i < end; i++) {                                                                         \
            ROW;                                                                                                       \
            for (int64_t j = 0; j < width; j++) part[j] += TERM;                                                       \
        }                                                                                                              \
        for (int64_t j = 0; j < width; j++) TOTALS[j] += part[j];                                                      \
    }

#define BATCH_NORM(NAME, T, WIDE, STORE)                                                                               \
    static void normalise_##NAME(const T *x, int64_t n_rows, int64_t columns, const float *gamma, const float *beta,   \
                                 float epsilon, T *y, float *mean, float *variance, float *r, int32_t threads) {       \
        STRIPS                                                                                                         \
            float m[STRIP] = {0}, v[STRIP] = {0}, k[STRIP];                                                            \
            SUM_ROWS(m, const T *row = x + i * columns + first, WIDE(row[j]))                                          \
            for (int64_t j = 0; j < width; j++) m[j] /= (float)n_rows;                                                 \
            SUM_ROWS(v, const T *row = x + i * columns + first, (WIDE(row[j]) - m[j]) * (WIDE(row[j]) - m[j]))         \
            for (int64_t j = 0; j < width; j++) {                                                                      \
                v[j] /= (float)n_rows;                                                                                 \
                k[j] = 1.0f / sqrtf(v[j] + epsilon);                                                                   \
                mean[first + j] = m[j], variance[first + j] = v[j], r[first + j] = k[j];                               \
            }                                                                                                          \
            for (int64_t i = 0; i < n_rows; i++) {                                                                     \
                const T *restrict row = x + i * columns + first;                                                       \
                T *restrict out = y + i * columns + first;                                                             \
                for (int64_t j = 0; j < width; j++)                                                                    \
                    out[j] = STORE(gamma[first + j] * ((WIDE(row[j]) - m[j]) * k[j]) + beta[first + j]);               \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    static void normalise_back_##NAME(const T *x, const T *dy, int64_t n_rows, int64_t columns, const float *gamma,    \
                                      const float *mean, const float *r, T *dx, float *dgamma, float *dbeta,           \
                                      int32_t threads) {                                                               \
        STRIPS                                                                                                         \
            const float *restrict m = mean + first, *restrict k = r + first;                                           \
            float g[STRIP] = {0}, b[STRIP] = {0}, through_mean[STRIP], through_variance[STRIP], scale[STRIP];          \
            SUM_ROWS(b, const T *back = dy + i * columns + first, WIDE(back[j]))                                       \
            SUM_ROWS(g, const T *row = x + i * columns + first; const T *back = dy + i * columns + first,              \
                     WIDE(back[j]) * ((WIDE(row[j]) - m[j]) * k[j]))                                                   \
            for (int64_t j = 0; j < width; j++) {                                                                      \
                dgamma[first + j] = g[j], dbeta[first + j] = b[j];                                                     \
                through_mean[j] = b[j] / (float)n_rows, through_variance[j] = g[j] / (float)n_rows;                    \
                scale[j] = gamma[first + j] * k[j];                                                                    \
            }                                                                                                          \
            for (int64_t i = 0; i < n_rows; i++) {                                                                     \
                const T *restrict row = x + i * columns + first;                                                       \
                const T *restrict back = dy + i * columns + first;                                                     \
                T *restrict out = dx + i * columns + first;                                                            \
                for (int64_t j = 0; j < width; j++) {                                                                  \
                    const float x_hat = (WIDE(row[j]) - m[j]) * k[j];                                                  \
                    out[j] = STORE(scale[j] * (WIDE(back[j]) - through_mean[j] - x_hat * through_variance[j]));        \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    void batch_norm_##NAME(const T *x, int64_t n_networks, int64_t n_rows, int64_t columns, const float *gamma,        \
                           const float *beta, float epsilon, T *y, float *mean, float *variance, float *r,             \
                           int32_t threads) {                                                                          \
        for (int64_t k = 0; k < n_networks; k++) {                                                                     \
            const int64_t i = k * n_rows * columns, j = k * columns;                                                   \
            normalise_##NAME(x + i, n_rows, columns, gamma + j, beta + j, epsilon, y + i, mean + j, variance + j, r + j, \
                             threads);                                                                                 \
        }                                                                                                              \
    }                                                                                                                  \
    void batch_norm_back_##NAME(const T *x, const T *dy, int64_t n_networks, int64_t n_rows, int64_t columns,          \
                                const float *gamma, const float *mean, const float *r, T *dx, float *dgamma,           \
                                float *dbeta, int32_t threads) {                                                       \
        for (int64_t k = 0; k < n_networks; k++) {                                                                     \
            const int64_t i = k * n_rows * columns, j = k * columns;                                                   \
            normalise_back_##NAME(x + i, dy + i, n_rows, columns, gamma + j, mean + j, r + j, dx + i, dgamma + j,      \
                                  dbeta + j, threads);                                                                 \
        }                                                                                                              \
    }
BATCH_NORM(f32, float, SAME, SAME)
BATCH_NORM(bf16, uint16_t, widened, narrowed)

/* out (n_networks, columns) <- sums over the rows of x (n_networks, n_rows, columns). */
#define SUMS(NAME, T, WIDE)                                                                                            \
    void sum_rows_##NAME(const T *X, int64_t n_networks, int64_t n_rows, int64_t columns, float *out,                  \
                         int32_t threads) {                                                                            \
        for (int64_t k = 0; k < n_networks; k++) {                                                                     \
            const T *x = X + k * n_rows * columns;                                                                     \
            STRIPS                                                                                                     \
                float s[STRIP] = {0};                                                                                  \
                SUM_ROWS(s, const T *row = x + i * columns + first, WIDE(row[j]))                                      \
                for (int64_t j = 0; j < width; j++) out[k * columns + first + j] = s[j];                               \
            }                                                                                                          \
        }                                                                                                              \
    }
SUMS(f32, float, SAME)
SUMS(bf16, uint16_t, widened)

/* e^x for x <= 0, within 2 units in the last place; 0 below -87, where float32 has no normal numbers left. The powers of
   2 are taken out, x = n log 2 + r with |r| <= log 2 / 2, and e^r is a polynomial (Cephes' coefficients, Moshier 1992). */
static inline float exponential(float x) {
    const float shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number, left in the lowest bits */
    const float moved = x * 1.44269504088896341f + shift, n = moved - shift;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    uint32_t bits, base;
    memcpy(&bits, &moved, 4), memcpy(&base, &shift, 4);
    bits = (bits - base + 127u) << 23;
    float power;
    memcpy(&power, &bits, 4);
    return x < -87.0f ? 0.0f : p * power;
}

/* The mean of each network's values (n_networks, n_rows). */
static void means(const float *values, int64_t n_networks, int64_t n_rows, float *out) {
    for (int64_t k = 0; k < n_networks; k++) {
        double sum = 0.0;
        for (int64_t i = 0; i < n_rows; i++) sum += values[k * n_rows + i];
        out[k] = (float)(sum / (double)n_rows);
    }
}

/* Softmax cross-entropy of logits z (n_networks, n_rows, n_out) against class indices: the mean over rows, one a network,
   and dz = (softmax(z) - t) / n_rows, t the smoothed targets. e: scratch for all of z. values: a row's loss. A block of
   rows has its exponentials taken in one loop, however few outputs a row has. */
#define BLOCK 16
#define CROSS_ENTROPY(NAME, T, WIDE, STORE)                                                                            \
    void cross_entropy_##NAME(const T *z, const int64_t *classes, int64_t n_networks, int64_t n_rows, int64_t n_out,   \
                              float smoothing, float *e, T *dz, float *values, float *loss, int32_t threads) {         \
        const int64_t all = n_networks * n_rows, n = all * n_out, blocks = (all + BLOCK - 1) / BLOCK;                  \
        const float on = 1.0f - smoothing, off = smoothing / (float)n_out, share = 1.0f / (float)n_rows;               \
        (void)n, (void)threads;                                                                                        \
        PARALLEL                                                                                                       \
        for (int64_t block = 0; block < blocks; block++) {                                                             \
            const int64_t begin = block * BLOCK, end = begin + BLOCK < all ? begin + BLOCK : all;                      \
            for (int64_t i = begin; i < end; i++) {                                                                    \
                const T *row = z + i * n_out;                                                                          \
                float top = WIDE(row[0]), moved = 0.0f;                                                                \
                for (int64_t j = 1; j < n_out; j++) top = WIDE(row[j]) > top ? WIDE(row[j]) : top;                     \
                for (int64_t j = 0; j < n_out; j++) e[i * n_out + j] = WIDE(row[j]) - top;                             \
                if (smoothing != 0.0f)                                                                                 \
                    for (int64_t j = 0; j < n_out; j++) moved += e[i * n_out + j];                                     \
                values[i] = -on * e[i * n_out + classes[i]] - off * moved;                                             \
            }                                                                                                          \
            for (int64_t k = begin * n_out; k < end * n_out; k++) e[k] = exponential(e[k]);                            \
            for (int64_t i = begin; i < end; i++) {                                                                    \
                float *row = e + i * n_out, total = 0.0f;                                                              \
                for (int64_t j = 0; j < n_out; j++) total += row[j];                                                   \
                const float rest = 1.0f / total;                                                                       \
                values[i] += logf(total);                                                                              \
                row[classes[i]] -= on * total;                                                                         \
                for (int64_t j = 0; j < n_out; j++) dz[i * n_out + j] = STORE((row[j] * rest - off) * share);          \
            }                                                                                                          \
        }                                                                                                              \
        means(values, n_networks, n_rows, loss);                                                                       \
    }
CROSS_ENTROPY(f32, float, SAME, SAME)
CROSS_ENTROPY(bf16, uint16_t, widened, narrowed)

/* Squared error of z (n_networks, n_rows, n_out) and targets t of its shape: the mean over rows, one a network, and
   dz = 2 (z - t) / (n_out n_rows). */
#define SQUARED_ERROR(NAME, T, WIDE, STORE)                                                                            \
    void squared_error_##NAME(const T *z, const float *t, int64_t n_networks, int64_t n_rows, int64_t n_out, T *dz,    \
                              float *values, float *loss, int32_t threads) {                                           \
        const int64_t all = n_networks * n_rows, n = all * n_out;                                                      \
        const float share = 2.0f / (float)n_out, count = (float)n_rows;                                                \
        (void)n, (void)threads;                                                                                        \
        PARALLEL                                                                                                       \
        for (int64_t i = 0; i < all; i++) {                                                                            \
            float sum = 0.0f;                                                                                          \
            for (int64_t j = i * n_out; j < (i + 1) * n_out; j++) {                                                    \
                const float d = WIDE(z[j]) - t[j];                                                                     \
                sum += d * d;                                                                                          \
                dz[j] = STORE(d * share / count);                                                                      \
            }                                                                                                          \
            values[i] = sum / (float)n_out;                                                                            \
        }                                                                                                              \
        means(values, n_networks, n_rows, loss);                                                                       \
    }
SQUARED_ERROR(f32, float, SAME, SAME)
SQUARED_ERROR(bf16, uint16_t, widened, narrowed)
