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
#define MOST 256 /* waves of a feature at a time */

/* y (n_rows, features, width) <- x and its waves' mixtures, x (n_rows, features); nu and phi (features, waves), W
   (features, waves, width - 1), b (features, width - 1); cosine and sine (n_rows, features, waves) are kept for the way
   back. */
void waves(const float *x, int64_t n_rows, int64_t features, int64_t waves, int64_t width, const float *nu,
           const float *phi, const float *W, const float *b, float *cosine, float *sine, float *y, int32_t threads) {
    const int64_t n = n_rows * features * waves, mixed = width - 1;
    (void)n, (void)threads;
    PARALLEL
    for (int64_t i = 0; i < n_rows; i++)
        for (int64_t j = 0; j < features; j++) {
            const float angle = TWO_PI * x[i * features + j];
            float *out = y + (i * features + j) * width, *kept = cosine + (i * features + j) * waves;
            for (int64_t first = 0; first < waves; first += MOST) {
                const int64_t some = waves - first < MOST ? waves - first : MOST;
                const float *restrict by = nu + j * waves + first, *restrict from = phi + j * waves + first;
                float a[MOST];
                for (int64_t q = 0; q < some; q++) a[q] = angle * by[q] + from[q];
                circle(a, some, kept + first, sine + (i * features + j) * waves + first);
            }
            out[0] = x[i * features + j];
            for (int64_t c = 0; c < mixed; c++) out[1 + c] = b[j * mixed + c];
            for (int64_t q = 0; q < waves; q++)
                for (int64_t c = 0; c < mixed; c++) out[1 + c] += kept[q] * W[(j * waves + q) * mixed + c];
        }
}

/* Back; dx (n_rows, features), or NULL. A thread has features of its own. */
void waves_back(const float *x, const float *dy, int64_t n_rows, int64_t features, int64_t waves, int64_t width,
                const float *nu, const float *W, const float *cosine, const float *sine, float *dx, float *dnu,
                float *dphi, float *dW, float *db, int32_t threads) {
    const int64_t n = n_rows * features * waves, mixed = width - 1;
    (void)n, (void)threads;
    memset(dnu, 0, sizeof(float) * features * waves), memset(dphi, 0, sizeof(float) * features * waves);
    memset(dW, 0, sizeof(float) * features * waves * mixed), memset(db, 0, sizeof(float) * features * mixed);
    PARALLEL
    for (int64_t j = 0; j < features; j++) {
        const float *restrict mix = W + j * waves * mixed, *restrict by = nu + j * waves;
        float *restrict to_nu = dnu + j * waves, *restrict to_phi = dphi + j * waves;
        float *restrict to_mix = dW + j * waves * mixed, *restrict to_b = db + j * mixed;
        for (int64_t i = 0; i < n_rows; i++) {
            const float *restrict back = dy + (i * features + j) * width, angle = TWO_PI * x[i * features + j];
            const float *restrict c = cosine + (i * features + j) * waves;
            const float *restrict s = sine + (i * features + j) * waves;
            float sum = 0.0f;
            for (int64_t q = 0; q < waves; q++) {
                float da = 0.0f;
                for (int64_t l = 0; l < mixed; l++) {
                    da += back[1 + l] * mix[q * mixed + l];
                    to_mix[q * mixed + l] += c[q] * back[1 + l];
                }
                da *= -s[q];
                to_phi[q] += da;
                to_nu[q] += angle * da;
                sum += da * by[q];
            }
            for (int64_t l = 0; l < mixed; l++) to_b[l] += back[1 + l];
            if (dx) dx[i * features + j] = back[0] + TWO_PI * sum;
        }
    }
}

#endif
