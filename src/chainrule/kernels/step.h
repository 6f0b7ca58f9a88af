/* What the kernels offer, as far as programs call it: program.c. */

#ifndef STEP_H
#define STEP_H

#include <stdint.h>

/* What layers work on; all else is float32. */
#ifdef BFLOAT16
typedef uint16_t Work;
#else
typedef float Work;
#endif

/* One parameter: its master p, gradient g (float32, or bfloat16 where `narrow`), slots a and b, and w, the bfloat16 copy
   that the layers use (or NULL). weight: whether it is penalised and decayed. rule: by which of the rules. */
typedef struct {
    float *p;
    const void *g;
    float *a, *b;
    uint16_t *w;
    int64_t n;
    int32_t narrow, weight, rule;
} Entry;

/* g <- scale (g + penalty p), p <- decay p, then the rule. */
typedef struct {
    float lr, penalty, scale, decay;
    int32_t scaled, nesterov;
    float momentum, beta1, rest1, beta2, rest2, epsilon;
} Rule;

void update_sgd(const Entry *entries, int64_t n_entries, const Rule *rules, int32_t threads);
void update_momentum(const Entry *entries, int64_t n_entries, const Rule *rules, int32_t threads);
void update_adam(const Entry *entries, int64_t n_entries, const Rule *rules, int32_t threads);
void update_rmsprop(const Entry *entries, int64_t n_entries, const Rule *rules, int32_t threads);
float clip_scale(const Entry *entries, int64_t n_entries, const Rule *rules, float limit, int32_t threads);
void prepare_u8(const uint8_t *X, const int64_t *rows, int64_t n_rows, int64_t columns, const float *shift,
                const float *scale, Work *out, int32_t threads);
void prepare_f32(const float *X, const int64_t *rows, int64_t n_rows, int64_t columns, const float *shift,
                 const float *scale, Work *out, int32_t threads);
void prepare_f64(const double *X, const int64_t *rows, int64_t n_rows, int64_t columns, const double *shift,
                 const double *scale, Work *out, int32_t threads);
void mask(uint64_t k0, uint64_t k1, uint64_t position, int64_t n, int32_t threshold, Work kept, Work *out,
          int32_t threads);
void activation(int32_t kind, float number, const Work *restrict X, int64_t n, Work *restrict y, int32_t threads);
void activation_back(int32_t kind, float number, const Work *restrict seen, const Work *restrict dy, int64_t n,
                     Work *restrict dx, int32_t threads);
void batch_norm(const Work *x, int64_t n_networks, int64_t n_rows, int64_t columns, const float *gamma,
                const float *beta, float epsilon, Work *y, float *mean, float *variance, float *r, int32_t threads);
void batch_norm_back(const Work *x, const Work *dy, int64_t n_networks, int64_t n_rows, int64_t columns,
                     const float *gamma, const float *mean, const float *r, Work *dx, float *dgamma, float *dbeta,
                     int32_t threads);
void layer_norm(const Work *x, int64_t n_networks, int64_t n_rows, int64_t columns, const float *gamma,
                const float *beta, float epsilon, Work *y, float *mean, float *r, int32_t threads);
void layer_norm_back(const Work *x, const Work *dy, int64_t n_networks, int64_t n_rows, int64_t columns,
                     const float *gamma, const float *mean, const float *r, Work *dx, float *dgamma, float *dbeta,
                     int32_t threads);
void members_in(const float *x, int64_t n_rows, int64_t k, int64_t width, int32_t spread, const float *r, float *u,
                int32_t threads);
void members_out(const float *v, int64_t n_rows, int64_t k, int64_t width, const float *s, const float *b, float *y,
                 int32_t threads);
void members_out_back(const float *v, const float *dy, int64_t n_rows, int64_t k, int64_t width, const float *s,
                      float *dv, float *ds, float *db, int32_t threads);
void members_in_back(const float *x, const float *du, int64_t n_rows, int64_t k, int64_t width, int32_t spread,
                     const float *r, float *dx, float *dr, int32_t threads);
void waves(const float *x, int64_t n_rows, int64_t features, int64_t n_waves, int64_t width, const float *nu,
           const float *phi, const float *W, const float *b, float *cosine, float *sine, float *y, int32_t threads);
void waves_back(const float *x, const float *dy, int64_t n_rows, int64_t features, int64_t n_waves, int64_t width,
                const float *nu, const float *W, const float *cosine, const float *sine, float *parts, float *dx,
                float *dnu, float *dphi, float *dW, float *db, int32_t threads);
void embedding(const float *x, int64_t n_rows, int64_t plain, int64_t k, int64_t width, int32_t digit,
               const int64_t *sizes, const float *E, int64_t *picked, float *y);
void embedding_back(const int64_t *picked, const float *dy, int64_t n_rows, int64_t plain, int64_t k, int64_t width,
                    int64_t n_E, float *dx, double *sums, float *dE);
void sum_rows(const Work *X, int64_t n_networks, int64_t n_rows, int64_t columns, float *out, int32_t threads);
void cross_entropy(const Work *z, const int64_t *classes, const float *weight, int64_t n_networks, int64_t n_rows,
                   int64_t n_out, float smoothing, float *e, Work *dz, float *shares, float *values, float *loss,
                   int32_t threads);
void numbers_loss(int32_t kind, float number, const Work *z, const float *t, const float *weight, int64_t n_networks,
                  int64_t n_rows, int64_t n_out, Work *dz, float *shares, float *values, float *loss, int32_t threads);

#endif
