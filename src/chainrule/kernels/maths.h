/* What the kernels share: threads, bfloat16, and functions of float32 that compilers turn into vector instructions.

   The operations of a kernel, their order and their rounding are those of the Python it stands in for (optim/, data/,
   backends/, layers/), so that both give the same bits: no contraction to fused multiply-adds, no reassociation. Only
   sums over rows or features are in another order, and losses, activations but ReLU and leaky ReLU, sines and cosines
   are our own. bfloat16 is the
   upper half of a float32, rounded to nearest, ties to even. */

#ifndef MATHS_H
#define MATHS_H

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

#ifdef BFLOAT16
#define WIDE(x) widened(x)
#define STORE(x) narrowed(x)
#else
#define WIDE(x) (x)
#define STORE(x) (x)
#endif

/* Sums over the rows of x (n_rows, columns): a thread has strips of STRIP columns, and sums SLAB rows at a time, so that
   their rounding stays small. */
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

/* e^x = power (1 + rest): the powers of 2 are taken out, x = n log 2 + r with |r| <= log 2 / 2, and e^r - 1 is a polynomial
   (Cephes' coefficients, Moshier 1992). For x of -87 to 88. */
static inline float parts_of_exponential(float x, float *r, float *p) {
    const float shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number, left in the lowest bits */
    const float moved = x * 1.44269504088896341f + shift, n = moved - shift;
    *r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    *p = 1.9875691500e-4f;
    *p = *p * *r + 1.3981999507e-3f;
    *p = *p * *r + 8.3334519073e-3f;
    *p = *p * *r + 4.1665795894e-2f;
    *p = *p * *r + 1.6666665459e-1f;
    *p = *p * *r + 5.0000001201e-1f;
    uint32_t bits, base;
    memcpy(&bits, &moved, 4), memcpy(&base, &shift, 4);
    bits = (bits - base + 127u) << 23;
    float power;
    memcpy(&power, &bits, 4);
    return power;
}

/* e^x for x <= 88, within 2 units in the last place; 0 below -87, where float32 has no normal numbers left. */
static inline float exponential(float x) {
    float r, p;
    const float power = parts_of_exponential(x, &r, &p);
    return x < -87.0f ? 0.0f : power * (p * r * r + r + 1.0f);
}

/* e^x - 1 for x <= 0, as precise near 0. */
static inline float exponential_less_1(float x) {
    float r, p;
    const float power = parts_of_exponential(x, &r, &p);
    return x < -87.0f ? -1.0f : power * (p * r * r + r) + (power - 1.0f);
}

/* 1/(1 + e^-x) */
static inline float logistic(float x) {
    const float e = exponential(-fabsf(x));
    return (x >= 0 ? 1.0f : e) / (1.0f + e);
}

/* Near 0 a polynomial (Cephes' coefficients, Moshier 1992), where 1 - e would lose all digits. */
static inline float hyperbolic_tangent(float x) {
    const float size = fabsf(x), e = exponential(-2.0f * size), far = (1.0f - e) / (1.0f + e), z = x * x;
    float p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    return size < 0.625f ? x + x * z * p : (x < 0 ? -far : far);
}

/* log(1 + x) for 0 <= x <= 1: 2 artanh(s) with s = x/(2 + x) <= 1/3, by its series. */
static inline float log_of_1_and(float x) {
    const float s = x / (2.0f + x), z = s * s;
    float p = 1.0f / 17;
    p = p * z + 1.0f / 15;
    p = p * z + 1.0f / 13;
    p = p * z + 1.0f / 11;
    p = p * z + 1.0f / 9;
    p = p * z + 1.0f / 7;
    p = p * z + 1.0f / 5;
    p = p * z + 1.0f / 3;
    return 2.0f * (s + s * z * p);
}

/* The normal distribution function, e being e^(-x^2/2): below 0 it is e q(t) with t = 1/(1 + 0.36 |x|), q a polynomial
   fitted to 4e-8 of its value; within 4e-7 of its value as computed. */
static inline float normal(float x, float e) {
    const float t = 1.0f / (1.0f + 0.36f * fabsf(x));
    float q = -0.02522576041519642f;
    q = q * t + 0.11380606144666672f;
    q = q * t - 0.16715644299983978f;
    q = q * t + 0.03795434162020683f;
    q = q * t + 0.052092045545578f;
    q = q * t + 0.07084573060274124f;
    q = q * t + 0.1316596418619156f;
    q = q * t + 0.142269104719162f;
    q = q * t + 0.14376141130924225f;
    q = q * t - 6.140320692793466e-6f;
    return x < 0 ? e * q : 1.0f - e * q;
}

#endif
