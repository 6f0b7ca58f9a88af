/* Whole steps of a plain network, one after the other, with no return to Python between them: a program is the list of a
   step's operations with the arrays they work on. Matrix products are those of the library that NumPy uses, with the
   arguments that NumPy would give, so that they have its bits. In float32 alone. */

#ifndef BFLOAT16

#include "step.h"

/* cblas_sgemm, cblas_sgemv and cblas_sdot, with indices of 64 bits. */
typedef struct {
    void (*matrices)(int32_t order, int32_t transpose_a, int32_t transpose_b, int64_t rows, int64_t columns, int64_t inner,
                     float alpha, const float *a, int64_t row_a, const float *b, int64_t row_b, float beta, float *c,
                     int64_t row_c);
    void (*vector)(int32_t order, int32_t transpose, int64_t rows, int64_t columns, float alpha, const float *a,
                   int64_t row_a, const float *x, int64_t step_x, float beta, float *y, int64_t step_y);
    float (*numbers)(int64_t n, const float *x, int64_t step_x, const float *y, int64_t step_y);
} Products;
typedef void (*Update)(const Entry *entries, int64_t n_entries, const Rule *rules, int32_t threads);

/* As in program.py. */
enum {
    PREPARE_U8, PREPARE_F32, PREPARE_F64, CLASSES, NUMBERS, PRODUCT, BIAS, ACTIVATION, ACTIVATION_BACK, MASK, TIMES, PLUS,
    BATCH_NORM, BATCH_NORM_BACK, RUNNING, LAYER_NORM, LAYER_NORM_BACK, SUMS, CROSS_ENTROPY, NUMBERS_LOSS, MEMBERS_IN,
    MEMBERS_OUT, MEMBERS_OUT_BACK, MEMBERS_IN_BACK, WAVES, WAVES_BACK, EMBEDDING, EMBEDDING_BACK
};

typedef struct {
    int32_t kind, option;
    int64_t n[4];
    uint64_t key[2];
    float number[4];
    void *at[12];
} Operation;

static void product(const Operation *o, const Products *call) {
    enum { ROW_MAJOR = 101, COLUMN_MAJOR = 102, AS_IS = 111, TRANSPOSED = 112, LEFT = 1, RIGHT = 2 };
    const int64_t rows = o->n[0], columns = o->n[1], inner = o->n[2];
    const int left = o->option == LEFT, right = o->option == RIGHT;
    if (rows == 1 && columns == 1)
        *(float *)o->at[2] = call->numbers(inner, o->at[0], 1, o->at[1], 1);
    else if (columns == 1 && left)
        call->vector(ROW_MAJOR, TRANSPOSED, inner, rows, 1.0f, o->at[0], rows, o->at[1], 1, 0.0f, o->at[2], 1);
    else if (columns == 1)
        call->vector(COLUMN_MAJOR, TRANSPOSED, inner, rows, 1.0f, o->at[0], inner, o->at[1], 1, 0.0f, o->at[2], 1);
    else if (rows == 1 && right)
        call->vector(COLUMN_MAJOR, TRANSPOSED, inner, columns, 1.0f, o->at[1], inner, o->at[0], 1, 0.0f, o->at[2], 1);
    else if (rows == 1)
        call->vector(ROW_MAJOR, TRANSPOSED, inner, columns, 1.0f, o->at[1], columns, o->at[0], 1, 0.0f, o->at[2], 1);
    else
        call->matrices(ROW_MAJOR, left ? TRANSPOSED : AS_IS, right ? TRANSPOSED : AS_IS, rows, columns, inner, 1.0f,
                       o->at[0], left ? rows : inner, o->at[1], right ? inner : columns, 0.0f, o->at[2], columns);
}

static void running(const Operation *o, float *restrict held, const float *restrict now, float factor) {
    for (int64_t j = 0; j < o->n[0]; j++) held[j] = o->number[0] * held[j] + o->number[1] * (now[j] * factor);
}

static void work(const Operation *o, const int64_t *rows, uint64_t position, const Products *call) {
    float *const *at = (float *const *)o->at;
    const int64_t *n = o->n;
    switch (o->kind) {
    case PREPARE_U8: prepare_u8(o->at[0], rows, n[0], n[1], at[1], at[2], at[3], 1); break;
    case PREPARE_F32: prepare_f32(at[0], rows, n[0], n[1], at[1], at[2], at[3], 1); break;
    case PREPARE_F64: prepare_f64(o->at[0], rows, n[0], n[1], o->at[1], o->at[2], at[3], 1); break;
    case CLASSES:
        for (int64_t i = 0; i < n[0]; i++) ((int64_t *)o->at[1])[i] = ((const int64_t *)o->at[0])[rows[i / o->option]];
        break;
    case NUMBERS:
        for (int64_t i = 0; i < n[0]; i++)
            for (int64_t j = 0; j < n[1]; j++) at[1][i * n[1] + j] = at[0][rows[i / o->option] * n[1] + j];
        break;
    case PRODUCT: product(o, call); break;
    case BIAS:
        for (int64_t i = 0; i < n[0]; i++)
            for (int64_t j = 0; j < n[1]; j++) at[0][i * n[1] + j] += at[1][j];
        break;
    case ACTIVATION: activation(o->option, o->number[0], at[0], n[0], at[1], 1); break;
    case ACTIVATION_BACK: activation_back(o->option, o->number[0], at[0], at[1], n[0], at[2], 1); break;
    case MASK: mask(o->key[0], o->key[1], position, n[0], o->option, o->number[0], at[0], 1); break;
    case TIMES:
        for (int64_t i = 0; i < n[0]; i++) at[2][i] = at[0][i] * at[1][i];
        break;
    case PLUS:
        for (int64_t i = 0; i < n[0]; i++) at[2][i] = at[0][i] + at[1][i];
        break;
    case BATCH_NORM:
        batch_norm(at[0], 1, n[0], n[1], at[1], at[2], o->number[0], at[3], at[4], at[5], at[6], 1);
        break;
    case BATCH_NORM_BACK:
        batch_norm_back(at[0], at[1], 1, n[0], n[1], at[2], at[3], at[4], at[5], at[6], at[7], 1);
        break;
    case RUNNING:
        running(o, at[0], at[1], 1.0f);
        running(o, at[2], at[3], o->number[2]);
        break;
    case LAYER_NORM: layer_norm(at[0], 1, n[0], n[1], at[1], at[2], o->number[0], at[3], at[4], at[5], 1); break;
    case LAYER_NORM_BACK:
        layer_norm_back(at[0], at[1], 1, n[0], n[1], at[2], at[3], at[4], at[5], at[6], at[7], 1);
        break;
    case SUMS: sum_rows(at[0], 1, n[0], n[1], at[1], 1); break;
    case CROSS_ENTROPY:
        cross_entropy(at[0], o->at[1], at[2], 1, n[0], n[1], o->number[0], at[3], at[3], at[4], at[5], at[6], 1);
        break;
    case NUMBERS_LOSS:
        numbers_loss(o->option, o->number[0], at[0], at[1], at[2], 1, n[0], n[1], at[3], at[4], at[5], at[6], 1);
        break;
    case MEMBERS_IN: members_in(at[0], n[0], n[1], n[2], o->option, at[1], at[2], 1); break;
    case MEMBERS_OUT: members_out(at[0], n[0], n[1], n[2], at[1], at[2], at[3], 1); break;
    case MEMBERS_OUT_BACK: members_out_back(at[0], at[1], n[0], n[1], n[2], at[2], at[3], at[4], at[5], 1); break;
    case MEMBERS_IN_BACK: members_in_back(at[0], at[1], n[0], n[1], n[2], o->option, at[2], at[3], at[4], 1); break;
    case WAVES: waves(at[0], n[0], n[1], n[2], n[3], at[1], at[2], at[3], at[4], at[5], at[6], at[7], 1); break;
    case WAVES_BACK:
        waves_back(at[0], at[1], n[0], n[1], n[2], n[3], at[2], at[3], at[4], at[5], at[6], at[7], at[8], at[9], at[10],
                   at[11], 1);
        break;
    case EMBEDDING: embedding(at[0], n[0], n[1], n[2], n[3], o->option, o->at[1], at[2], o->at[3], at[4]); break;
    case EMBEDDING_BACK: embedding_back(o->at[0], at[1], n[0], n[1], n[2], n[3], o->option, at[2], o->at[3], at[4]); break;
    }
}

/* n_steps steps, of which the first is the `position`-th of the run. rows (n_steps, batch): of X. rules: one a step. limit:
   of the gradient's norm, 0 where there is none. Returns total + share loss + share loss + ..., loss being where the program
   leaves a step's. */
float run(const Operation *operations, int64_t n_operations, const Products *call, Update update, const Entry *entries,
          int64_t n_entries, float limit, const float *loss, const Rule *rules, const int64_t *rows, int64_t batch,
          uint64_t position, int64_t n_steps, float share, float total) {
    for (int64_t step = 0; step < n_steps; step++) {
        Rule rule = rules[step];
        for (int64_t k = 0; k < n_operations; k++)
            work(operations + k, rows + step * batch, position + (uint64_t)step, call);
        if (limit > 0) rule.scaled = 1, rule.scale = clip_scale(entries, n_entries, &rule, limit, 1);
        update(entries, n_entries, &rule, 1);
        total += *loss * share;
    }
    return total;
}

#endif
