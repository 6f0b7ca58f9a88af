/* The optimiser's step: all arrays of a network, each in one pass; and the length of its gradient. */

#include "maths.h"

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
        const float scale = r->scaled ? r->scale : 1.0f;                                                               \
        (void)A, (void)B;                                                                                              \
        if (penalty != 0.0f) { OF_DTYPE(RULE, + penalty * p) }                                                         \
        else { OF_DTYPE(RULE, ) }                                                                                      \
    }

#ifdef BFLOAT16
#define OF_DTYPE(RULE, PENALTY)                                                                                        \
    if (e->narrow && W) { LOOP(RULE, widened(((const uint16_t *)e->g)[i]) PENALTY, W[i] = narrowed(p)) }               \
    else if (e->narrow) { LOOP(RULE, widened(((const uint16_t *)e->g)[i]) PENALTY, ) }                                 \
    else if (W) { LOOP(RULE, ((const float *)e->g)[i] PENALTY, W[i] = narrowed(p)) }                                   \
    else { LOOP(RULE, ((const float *)e->g)[i] PENALTY, ) }
#else
#define OF_DTYPE(RULE, PENALTY) LOOP(RULE, ((const float *)e->g)[i] PENALTY, (void)W)
#endif

#define LOOP(RULE, GRADIENT, COPY)                                                                                     \
    PARALLEL                                                                                                           \
    for (int64_t i = 0; i < n; i++) {                                                                                  \
        float p = P[i];                                                                                                \
        const float g = (GRADIENT) * scale;                                                                            \
        p = p * decay;                                                                                                 \
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

#define PARTS 64 /* of an array, each summed by itself: the same sum on any number of threads */
#define LANES 16
#define SQUARE(GRADIENT)                                                                                               \
    float g = GRADIENT;                                                                                                \
    g = penalty != 0.0f ? g + penalty * P[i] : g;                                                                      \
    lanes[lane] += g * g
#define SQUARES(GRADIENT)                                                                                              \
    PARALLEL                                                                                                           \
    for (int64_t part = 0; part < PARTS; part++) {                                                                     \
        const int64_t end = n * (part + 1) / PARTS;                                                                    \
        double sum = 0.0;                                                                                              \
        for (int64_t begin = n * part / PARTS; begin < end; begin += 64 * LANES) {                                     \
            const int64_t stop = end - begin < 64 * LANES ? end : begin + 64 * LANES;                                  \
            float lanes[LANES] = {0};                                                                                  \
            int64_t first = begin;                                                                                     \
            for (; first + LANES <= stop; first += LANES)                                                              \
                for (int64_t lane = 0, i = first; lane < LANES; lane++, i++) { SQUARE(GRADIENT); }                     \
            for (int64_t lane = 0, i = first; i < stop; lane++, i++) { SQUARE(GRADIENT); }                             \
            for (int64_t lane = 0; lane < LANES; lane++) sum += lanes[lane];                                           \
        }                                                                                                              \
        parts[part] = sum;                                                                                             \
    }

/* min(1, limit / |g|), g the gradient of all arrays with its penalty: what it is to be multiplied by. */
float clip_scale(const Entry *entries, int64_t n_entries, const Rule *rules, float limit, int32_t threads) {
    double total = 0.0;
    (void)threads;
    for (int64_t k = 0; k < n_entries; k++) {
        const Entry *e = entries + k;
        const float *restrict const P = e->p;
        const float penalty = e->weight ? rules[e->rule].penalty : 0.0f;
        const int64_t n = e->n;
        double parts[PARTS];
#ifdef BFLOAT16
        if (e->narrow) { SQUARES(widened(((const uint16_t *)e->g)[i])) }
        else
#endif
        { SQUARES(((const float *)e->g)[i]) }
        for (int part = 0; part < PARTS; part++) total += parts[part];
    }
    const float norm = (float)sqrt(total);
    const float scale = limit / (norm < 1e-30f ? 1e-30f : norm);
    return scale > 1.0f ? 1.0f : scale;
}
