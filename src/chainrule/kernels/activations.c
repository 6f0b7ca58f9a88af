/* Elementwise activations y = f(x), and back, dx = f'(x) dy: layers/activations.py has the equations. */

#include "maths.h"

/* As in calls.py. */
enum { RELU, LEAKY_RELU, TANH, SIGMOID, GELU, GELU_TANH, SILU, SELU, MISH, SMOOTH_CLIP };

#define SELU_ALPHA 1.6732632423543772f
#define SELU_SCALE 1.0507009873554805f

static inline float gelu(float x) { return x * normal(x, exponential(-0.5f * x * x)); }

static inline float gelu_slope(float x) {
    const float e = exponential(-0.5f * x * x);
    return normal(x, e) + x * e * 0.3989422804014327f;
}

/* tanh(sqrt(2/pi) (x + 0.044715 x^3)) */
static inline float gelu_inner(float x) {
    return hyperbolic_tangent(0.7978845608028654f * (x + 0.044715f * x * x * x));
}

static inline float gelu_tanh_slope(float x) {
    const float t = gelu_inner(x);
    return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * 0.7978845608028654f * (1.0f + 0.134145f * x * x);
}

static inline float silu_slope(float x) {
    const float s = logistic(x);
    return s + x * s * (1.0f - s);
}

static inline float selu(float x) {
    return SELU_SCALE * (x > 0 ? x : SELU_ALPHA * exponential_less_1(x > 0 ? 0.0f : x));
}

static inline float selu_slope(float x) {
    return SELU_SCALE * (x > 0 ? 1.0f : SELU_ALPHA * exponential(x > 0 ? 0.0f : x));
}

/* tanh(log(1 + e^x)) = n/(n + 2) with n = e^x (e^x + 2), both multiplied by e^-2x where x > 0. */
static inline float mish_inner(float x) {
    const float e = exponential(-fabsf(x)), top = x > 0 ? 1.0f + 2.0f * e : e * (e + 2.0f);
    return top / (top + (x > 0 ? 2.0f * e * e : 2.0f));
}

static inline float mish_slope(float x) {
    const float t = mish_inner(x);
    return t + x * (1.0f - t * t) * logistic(x);
}

static inline float smooth_clip_scale(float x, float limit) {
    const float part = x / limit;
    return 1.0f / sqrtf(1.0f + part * part);
}

static inline float cubed(float x) { return x * x * x; }

#define EACH(FROM, INTO, VALUE)                                                                                        \
    PARALLEL                                                                                                           \
    for (int64_t i = 0; i < n; i++) {                                                                                  \
        const float x = FROM;                                                                                          \
        INTO = VALUE;                                                                                                  \
    }                                                                                                                  \
    break

/* `seen` is y for tanh and the sigmoid, whose slope is a polynomial in it, else x. number: the
   slope of leaky ReLU, or the limit of the smooth clip. */
void activation(int32_t kind, float number, const Work *restrict X, int64_t n, Work *restrict y, int32_t threads) {
    (void)threads;
    switch (kind) {
    case RELU: EACH(WIDE(X[i]), y[i], x > 0 || x != x ? X[i] : 0);
    case LEAKY_RELU: EACH(WIDE(X[i]), y[i], STORE(x > 0 ? x : number * x));
    case TANH: EACH(WIDE(X[i]), y[i], STORE(hyperbolic_tangent(x)));
    case SIGMOID: EACH(WIDE(X[i]), y[i], STORE(logistic(x)));
    case GELU: EACH(WIDE(X[i]), y[i], STORE(gelu(x)));
    case GELU_TANH: EACH(WIDE(X[i]), y[i], STORE(0.5f * x * (1.0f + gelu_inner(x))));
    case SILU: EACH(WIDE(X[i]), y[i], STORE(x * logistic(x)));
    case SELU: EACH(WIDE(X[i]), y[i], STORE(selu(x)));
    case MISH: EACH(WIDE(X[i]), y[i], STORE(x * mish_inner(x)));
    case SMOOTH_CLIP: EACH(WIDE(X[i]), y[i], STORE(x * smooth_clip_scale(x, number)));
    }
}

void activation_back(int32_t kind, float number, const Work *restrict seen, const Work *restrict dy, int64_t n,
                     Work *restrict dx, int32_t threads) {
    (void)threads;
    switch (kind) {
    case RELU: EACH(WIDE(seen[i]), dx[i], STORE(WIDE(dy[i]) * (x > 0 ? 1.0f : 0.0f)));
    case LEAKY_RELU: EACH(WIDE(seen[i]), dx[i], STORE(x > 0 ? WIDE(dy[i]) : number * WIDE(dy[i])));
    case TANH: EACH(WIDE(seen[i]), dx[i], STORE(WIDE(dy[i]) * (1.0f - x * x)));
    case SIGMOID: EACH(WIDE(seen[i]), dx[i], STORE(WIDE(dy[i]) * (x * (1.0f - x))));
    case GELU: EACH(WIDE(seen[i]), dx[i], STORE(WIDE(dy[i]) * gelu_slope(x)));
    case GELU_TANH: EACH(WIDE(seen[i]), dx[i], STORE(WIDE(dy[i]) * gelu_tanh_slope(x)));
    case SILU: EACH(WIDE(seen[i]), dx[i], STORE(WIDE(dy[i]) * silu_slope(x)));
    case SELU: EACH(WIDE(seen[i]), dx[i], STORE(WIDE(dy[i]) * selu_slope(x)));
    case MISH: EACH(WIDE(seen[i]), dx[i], STORE(WIDE(dy[i]) * mish_slope(x)));
    case SMOOTH_CLIP: EACH(WIDE(seen[i]), dx[i], STORE(WIDE(dy[i]) * cubed(smooth_clip_scale(x, number))));
    }
}
