/* What step.c offers, as far as programs call it: program.c. */

#include <stdint.h>

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
void prepare_u8_f32(const uint8_t *X, const int64_t *rows, int64_t n_rows, int64_t columns, const float *shift,
                    const float *scale, float *out, int32_t threads);
void prepare_f32_f32(const float *X, const int64_t *rows, int64_t n_rows, int64_t columns, const float *shift,
                     const float *scale, float *out, int32_t threads);
void prepare_f64_f32(const double *X, const int64_t *rows, int64_t n_rows, int64_t columns, const double *shift,
                     const double *scale, float *out, int32_t threads);
void mask_f32(uint64_t k0, uint64_t k1, uint64_t position, int64_t n, int32_t threshold, float kept, float *out,
              int32_t threads);
void relu_f32(const float *restrict x, int64_t n, float *restrict y, int32_t threads);
void relu_back_f32(const float *restrict x, const float *restrict dy, int64_t n, float *restrict dx, int32_t threads);
void batch_norm_f32(const float *x, int64_t n_networks, int64_t n_rows, int64_t columns, const float *gamma,
                    const float *beta, float epsilon, float *y, float *mean, float *variance, float *r, int32_t threads);
void batch_norm_back_f32(const float *x, const float *dy, int64_t n_networks, int64_t n_rows, int64_t columns,
                         const float *gamma, const float *mean, const float *r, float *dx, float *dgamma, float *dbeta,
                         int32_t threads);
void sum_rows_f32(const float *x, int64_t n_networks, int64_t n_rows, int64_t columns, float *out, int32_t threads);
void cross_entropy_f32(const float *z, const int64_t *classes, int64_t n_networks, int64_t n_rows, int64_t n_out,
                       float smoothing, float *e, float *dz, float *values, float *loss, int32_t threads);
void squared_error_f32(const float *z, const float *t, int64_t n_networks, int64_t n_rows, int64_t n_out, float *dz,
                       float *values, float *loss, int32_t threads);
