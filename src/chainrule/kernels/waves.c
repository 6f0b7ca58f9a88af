/* Features embedded in waves: layers/periodic.py has the equations. In float32 alone. */

#ifndef BFLOAT16

#include "maths.h"

#define FARTHEST 8192.0f /* up to which a multiple of pi/2 is taken off without loss */

/* cos and sin of n angles. Pi/2 is taken off in three parts; the rest by Cephes' polynomials (Moshier 1992). */
static void circle(const float *restrict a, int64_t n, float *restrict cosine, float *restrict sine) {
    int far = 0;
    for (int64_t i = 0; i < n; i++) {
        const float shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number, left in the lowest bits */
        const float moved = a[i] * 0.636619772367581343f + shift, quarters = moved - shift;
        float r = a[i] - quarters * 1.5703125f;
        r = r - quarters * 4.837512969970703125e-4f;
        r = r - quarters * 7.54978995489188216e-8f;
        const float z = r * r;
        const float s = r + r * z * ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f);
        const float c = 1.0f - 0.5f * z +
                        z * z * ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f);
        uint32_t k;
        memcpy(&k, &moved, 4);
        const int odd = k & 1, low = (k + 1) & 2, high = k & 2;
        const float along = odd ? s : c, across = odd ? c : s;
        cosine[i] = low ? -along : along;
        sine[i] = high ? -across : across;
        far |= fabsf(a[i]) > FARTHEST;
    }
    for (int64_t i = 0; far && i < n; i++)
        if (fabsf(a[i]) > FARTHEST) cosine[i] = cosf(a[i]), sine[i] = sinf(a[i]);
}

#define TWO_PI 6.283185307179586f
#define AT_ONCE 256 /* waves of a feature */

/* y (n_rows, features, width) <- x and its waves' mixtures, x (n_rows, features); nu and phi (features, waves), W
   (features, waves, width - 1), b (features, width - 1); cosine and sine (n_rows, features, waves) are kept for the way
   back. */
void waves(const float *x, int64_t n_rows, int64_t features, int64_t n_waves, int64_t width, const float *nu,
           const float *phi, const float *W, const float *b, float *cosine, float *sine, float *y, int32_t threads) {
    const int64_t n = n_rows * features * n_waves, mixed = width - 1;
    (void)n, (void)threads;
    PARALLEL
    for (int64_t i = 0; i < n_rows; i++)
        for (int64_t j = 0; j < features; j++) {
            const float angle = TWO_PI * x[i * features + j];
            float *out = y + (i * features + j) * width, *kept = cosine + (i * features + j) * n_waves;
            for (int64_t first = 0; first < n_waves; first += AT_ONCE) {
                const int64_t some = n_waves - first < AT_ONCE ? n_waves - first : AT_ONCE;
                const float *restrict by = nu + j * n_waves + first, *restrict from = phi + j * n_waves + first;
                float a[AT_ONCE];
                for (int64_t q = 0; q < some; q++) a[q] = angle * by[q] + from[q];
                circle(a, some, kept + first, sine + (i * features + j) * n_waves + first);
            }
            out[0] = x[i * features + j];
            for (int64_t c = 0; c < mixed; c++) out[1 + c] = b[j * mixed + c];
            for (int64_t q = 0; q < n_waves; q++)
                for (int64_t c = 0; c < mixed; c++) out[1 + c] += kept[q] * W[(j * n_waves + q) * mixed + c];
        }
}

/* Back; dx (n_rows, features), or NULL. A thread has features of its own. Sums run over SLAB rows at a time; parts
   (features, n_waves (width + 1) + width - 1): room for them. */
void waves_back(const float *x, const float *dy, int64_t n_rows, int64_t features, int64_t n_waves, int64_t width,
                const float *nu, const float *W, const float *cosine, const float *sine, float *parts, float *dx,
                float *dnu, float *dphi, float *dW, float *db, int32_t threads) {
    const int64_t n = n_rows * features * n_waves, mixed = width - 1, length = n_waves * (width + 1) + mixed;
    (void)n, (void)threads;
    PARALLEL
    for (int64_t j = 0; j < features; j++) {
        const float *restrict mix = W + j * n_waves * mixed, *restrict by = nu + j * n_waves;
        float *restrict part = parts + j * length;
        float *restrict to_phi = part + n_waves, *restrict to_mix = part + 2 * n_waves;
        float *restrict to_b = part + n_waves * (width + 1);
        memset(dnu + j * n_waves, 0, sizeof(float) * n_waves), memset(dphi + j * n_waves, 0, sizeof(float) * n_waves);
        memset(dW + j * n_waves * mixed, 0, sizeof(float) * n_waves * mixed);
        memset(db + j * mixed, 0, sizeof(float) * mixed);
        for (int64_t slab = 0; slab < n_rows; slab += SLAB) {
            const int64_t end = slab + SLAB < n_rows ? slab + SLAB : n_rows;
            memset(part, 0, sizeof(float) * length);
            for (int64_t i = slab; i < end; i++) {
                const float *restrict back = dy + (i * features + j) * width;
                const float *restrict c = cosine + (i * features + j) * n_waves;
                const float *restrict s = sine + (i * features + j) * n_waves;
                const float angle = TWO_PI * x[i * features + j];
                float sum = 0.0f;
                for (int64_t q = 0; q < n_waves; q++) {
                    float da = 0.0f;
                    for (int64_t l = 0; l < mixed; l++) {
                        da += back[1 + l] * mix[q * mixed + l];
                        to_mix[q * mixed + l] += c[q] * back[1 + l];
                    }
                    da *= -s[q];
                    part[q] += angle * da;
                    to_phi[q] += da;
                    sum += da * by[q];
                }
                for (int64_t l = 0; l < mixed; l++) to_b[l] += back[1 + l];
                if (dx) dx[i * features + j] = back[0] + TWO_PI * sum;
            }
            for (int64_t q = 0; q < n_waves; q++) dnu[j * n_waves + q] += part[q], dphi[j * n_waves + q] += to_phi[q];
            for (int64_t q = 0; q < n_waves * mixed; q++) dW[j * n_waves * mixed + q] += to_mix[q];
            for (int64_t l = 0; l < mixed; l++) db[j * mixed + l] += to_b[l];
        }
    }
}

#endif
