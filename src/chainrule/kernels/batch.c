/* A batch: its rows gathered and scaled, images moved on the way, and masks of dropout. */

#include "maths.h"

/* out <- (X[rows] - shift) scale, X (?, columns) of uint8, float32 or float64, out (n_rows, columns); computed in
   float64 for X of float64, else in float32. */
#define PREPARE(NAME, FROM, IN)                                                                                        \
    void NAME(const FROM *X, const int64_t *rows, int64_t n_rows, int64_t columns, const IN *shift,                    \
              const IN *scale, Work *out, int32_t threads) {                                                           \
        const int64_t n = n_rows * columns;                                                                            \
        (void)n, (void)threads;                                                                                        \
        PARALLEL                                                                                                       \
        for (int64_t i = 0; i < n_rows; i++) {                                                                         \
            const FROM *restrict x = X + rows[i] * columns;                                                            \
            Work *restrict y = out + i * columns;                                                                      \
            for (int64_t j = 0; j < columns; j++) {                                                                    \
                float value = (float)(((IN)x[j] - shift[j]) * scale[j]);                                               \
                y[j] = STORE(value);                                                                                   \
            }                                                                                                          \
        }                                                                                                              \
    }
PREPARE(prepare_u8, uint8_t, float)
PREPARE(prepare_f32, float, float)
PREPARE(prepare_f64, double, double)

/* The same for images (channels, height, width) that are moved: moves (n_rows, 5) as in data/augmentation.py. */
static inline int64_t reflected(int64_t position, int64_t size) {
    position = position < 0 ? -position : position;
    return position >= size ? 2 * (size - 1) - position : position;
}

#define PREPARE_MOVED(NAME, FROM)                                                                                      \
    void NAME(const FROM *X, const int64_t *rows, int64_t n_rows, const int64_t *moves, int64_t cutout,                \
              int64_t channels, int64_t height, int64_t width, const float *shift, const float *scale, Work *out,      \
              int32_t threads) {                                                                                       \
        const int64_t columns = channels * height * width, n = n_rows * columns;                                       \
        (void)n, (void)threads;                                                                                        \
        PARALLEL                                                                                                       \
        for (int64_t i = 0; i < n_rows; i++) {                                                                         \
            const int64_t *m = moves + 5 * i, top = m[3], left = m[4];                                                 \
            for (int64_t line = 0; line < channels * height; line++) {                                                 \
                const int64_t h = line % height, at = line * width;                                                    \
                const FROM *x = X + rows[i] * columns + (line - h + reflected(h + m[0], height)) * width;              \
                Work *y = out + i * columns + at;                                                                      \
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
PREPARE_MOVED(prepare_moved_u8, uint8_t)
PREPARE_MOVED(prepare_moved_f32, float)

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
void mask(uint64_t k0, uint64_t k1, uint64_t position, int64_t n, int32_t threshold, Work kept, Work *out,
          int32_t threads) {
    const int64_t blocks = n / 16;
    (void)threads;
    PARALLEL
    for (int64_t block = 0; block < blocks; block++) {
        const Block b = philox((uint64_t)block, position, k0, k1);
        for (int i = 0; i < 16; i++) out[16 * block + i] = b.draws[i] >= threshold ? kept : 0;
    }
    if (n % 16) {
        const Block b = philox((uint64_t)blocks, position, k0, k1);
        for (int64_t i = 16 * blocks; i < n; i++) out[i] = b.draws[i % 16] >= threshold ? kept : 0;
    }
}
