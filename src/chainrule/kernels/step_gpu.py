# mypy: ignore-errors
"""What the kernels in C do, for CUDA: the memory-bound parts of a step in Triton, each in one pass over its arrays.

Operations and their order are those in C, without contraction to fused multiply-adds; sums over rows are in an
order of their own, and the exponential is the device's. Whatever changes from step to step is read from the device's
memory, at `place`, so that a recorded step can be replayed.
"""

import triton
import triton.language as tl


@triton.jit
def prepare(X, rows, shift, scale, out, columns, ld, BLOCK: tl.constexpr):
    """out[i] <- (X[rows[i]] - shift)·scale, and zeros to the end of the row of ld numbers."""
    i = tl.program_id(0).to(tl.int64)
    j = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = j < columns
    x = tl.load(X + tl.load(rows + i) * columns + j, mask=inside, other=0).to(tl.float32)
    y = (x - tl.load(shift + j, mask=inside, other=0.0)) * tl.load(scale + j, mask=inside, other=0.0)
    tl.store(out + i * ld + j, y.to(out.dtype.element_ty), mask=j < ld)


@triton.jit
def pick(values, rows, out, n, BLOCK: tl.constexpr):
    """out[i] <- values[rows[i]]."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    tl.store(out + i, tl.load(values + tl.load(rows + i, mask=inside, other=0), mask=inside), mask=inside)


@triton.jit
def _reflected(position, size):
    position = tl.abs(position)
    return tl.where(position >= size, 2 * (size - 1) - position, position)


@triton.jit
def prepare_moved(X, rows, moves, cutout, height, width, shift, scale, out, columns, BLOCK: tl.constexpr):
    """The same for images, with moves (n_rows, 5) as in data/augmentation.py."""
    i = tl.program_id(0).to(tl.int64)
    j = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = j < columns
    plane, h, w = j // (height * width), j // width % height, j % width
    m = moves + 5 * i
    from_h = _reflected(h + tl.load(m).to(tl.int32), height)
    from_w = _reflected(w + tl.load(m + 1).to(tl.int32), width)
    from_w = tl.where(tl.load(m + 2) == 1, width - 1 - from_w, from_w)
    top, left = tl.load(m + 3).to(tl.int32), tl.load(m + 4).to(tl.int32)
    covered = (h >= top) & (h < top + cutout) & (w >= left) & (w < left + cutout)
    source = tl.load(rows + i) * columns + (plane * height + from_h) * width + from_w
    x = tl.load(X + source, mask=inside, other=0).to(tl.float32)
    y = (x - tl.load(shift + j, mask=inside, other=0.0)) * tl.load(scale + j, mask=inside, other=0.0)
    tl.store(out + i * columns + j, tl.where(covered, 0.0, y).to(out.dtype.element_ty), mask=inside)


@triton.jit
def mask(keys, position, out, n, threshold, kept, BLOCK: tl.constexpr):
    """out[k, i] <- kept where the i-th 16 bits of network k's Philox stream are at least `threshold`, else 0."""
    network = tl.program_id(1).to(tl.int64)
    block = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    zero = tl.zeros((BLOCK,), tl.uint64)
    first, second = zero + 0xD2E7470EE14C6C93, zero + 0xCA5A826395121157
    k0 = zero + tl.load(keys + 2 * network).to(tl.uint64, bitcast=True)
    k1 = zero + tl.load(keys + 2 * network + 1).to(tl.uint64, bitcast=True)
    c0, c1, c2, c3 = (block + 1).to(tl.uint64), zero, zero, zero + tl.load(position).to(tl.uint64)
    for _ in tl.static_range(10):
        high0, high2 = tl.umulhi(first, c0), tl.umulhi(second, c2)
        low0, low2 = first * c0, second * c2
        c0, c1, c2, c3 = high2 ^ c1 ^ k0, low2, high0 ^ c3 ^ k1, low0
        k0 += 0x9E3779B97F4A7C15
        k1 += 0xBB67AE8584CAA73B
    out += network * n
    for half in tl.static_range(4):
        _keep(out, 16 * block + half, c0 >> (16 * half), n, threshold, kept)
        _keep(out, 16 * block + 4 + half, c1 >> (16 * half), n, threshold, kept)
        _keep(out, 16 * block + 8 + half, c2 >> (16 * half), n, threshold, kept)
        _keep(out, 16 * block + 12 + half, c3 >> (16 * half), n, threshold, kept)


@triton.jit
def _keep(out, i, word, n, threshold, kept):
    draw = (word & 0xFFFF).to(tl.int32)
    tl.store(out + i, tl.where(draw >= threshold, kept, 0.0).to(out.dtype.element_ty), mask=i < n)


@triton.jit
def pad(x, out, columns, from_ld, ld, n_rows, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Rows of each network's x, from_ld numbers apart, into rows of out, ld apart: `columns` numbers, then zeros."""
    network = tl.program_id(2).to(tl.int64) * n_rows
    i = (tl.program_id(0) * ROWS + tl.arange(0, ROWS))[:, None]
    j = (tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS))[None, :]
    value = tl.load(x + network * from_ld + i * from_ld + j, mask=(i < n_rows) & (j < columns), other=0.0)
    tl.store(out + network * ld + i * ld + j, value.to(out.dtype.element_ty), mask=(i < n_rows) & (j < ld))


@triton.jit
def add_bias(z, b, columns, ld, n_rows, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """z <- z + b, with z (n_networks, n_rows, ld) and b (n_networks, columns)."""
    network = tl.program_id(2).to(tl.int64)
    i = (tl.program_id(0) * ROWS + tl.arange(0, ROWS))[:, None]
    j = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside, place = (i < n_rows) & (j < ld)[None, :], network * n_rows * ld + i * ld + j[None, :]
    added = tl.load(b + network * columns + j, mask=j < columns, other=0.0).to(tl.float32)[None, :]
    value = tl.load(z + place, mask=inside, other=0.0).to(tl.float32)
    tl.store(z + place, (value + added).to(z.dtype.element_ty), mask=inside)


@triton.jit
def relu(x, y, n, BLOCK: tl.constexpr):
    """y <- max(x, 0); what is not a number stays so."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(x + i, mask=i < n, other=0.0)
    wide = value.to(tl.float32)
    tl.store(y + i, tl.where((wide > 0) | (wide != wide), wide, 0.0).to(y.dtype.element_ty), mask=i < n)


@triton.jit
def relu_back(x, dy, dx, n, BLOCK: tl.constexpr):
    """dx <- dy where x > 0, else 0."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(x + i, mask=i < n, other=0.0).to(tl.float32)
    back = tl.load(dy + i, mask=i < n, other=0.0).to(tl.float32)
    tl.store(dx + i, tl.where(value > 0, back, back * 0.0).to(dx.dtype.element_ty), mask=i < n)


@triton.jit
def batch_norm(
    x,
    gamma,
    beta,
    y,
    mean,
    variance,
    r,
    columns,
    ld,
    epsilon,
    n_rows: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """γ (x - μ)·r + β over the rows of each network, with μ, σ² and r = 1/√(σ² + ε)."""
    network = tl.program_id(1).to(tl.int64)
    j = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    wanted, at = j < columns, network * columns + j
    x += network * n_rows * ld
    y += network * n_rows * ld
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    for start in range(0, n_rows, ROWS):
        i = start + tl.arange(0, ROWS)
        inside = (i < n_rows)[:, None] & wanted[None, :]
        total += tl.load(x + i[:, None] * ld + j[None, :], mask=inside, other=0.0).to(tl.float32)
    m = tl.sum(total, axis=0) / n_rows
    squares = tl.zeros((ROWS, COLUMNS), tl.float32)
    for start in range(0, n_rows, ROWS):
        i = start + tl.arange(0, ROWS)
        inside = (i < n_rows)[:, None] & wanted[None, :]
        d = tl.load(x + i[:, None] * ld + j[None, :], mask=inside, other=0.0).to(tl.float32) - m[None, :]
        squares += tl.where(inside, d * d, 0.0)
    v = tl.sum(squares, axis=0) / n_rows
    k = 1.0 / tl.sqrt(v + epsilon)
    tl.store(mean + at, m, mask=wanted)
    tl.store(variance + at, v, mask=wanted)
    tl.store(r + at, k, mask=wanted)
    g, b = tl.load(gamma + at, mask=wanted, other=0.0), tl.load(beta + at, mask=wanted, other=0.0)
    for start in range(0, n_rows, ROWS):
        i = start + tl.arange(0, ROWS)
        inside = (i < n_rows)[:, None] & wanted[None, :]
        d = tl.load(x + i[:, None] * ld + j[None, :], mask=inside, other=0.0).to(tl.float32) - m[None, :]
        out = g[None, :] * (d * k[None, :]) + b[None, :]
        tl.store(
            y + i[:, None] * ld + j[None, :], out.to(y.dtype.element_ty), mask=(i < n_rows)[:, None] & (j < ld)[None, :]
        )


@triton.jit
def batch_norm_back(x, dy, gamma, mean, r, dx, dgamma, dbeta, columns, ld, n_rows: tl.constexpr,
                    ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # fmt: skip
    """dβ = Σ dy, dγ = Σ dy x̂, dx = γ r (dy - dβ/n - x̂ dγ/n)."""
    network = tl.program_id(1).to(tl.int64)
    j = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    wanted, at = j < columns, network * columns + j
    x += network * n_rows * ld
    dy += network * n_rows * ld
    dx += network * n_rows * ld
    m, k = tl.load(mean + at, mask=wanted, other=0.0), tl.load(r + at, mask=wanted, other=0.0)
    b = tl.zeros((ROWS, COLUMNS), tl.float32)
    g = tl.zeros((ROWS, COLUMNS), tl.float32)
    for start in range(0, n_rows, ROWS):
        i = start + tl.arange(0, ROWS)
        inside = (i < n_rows)[:, None] & wanted[None, :]
        place = i[:, None] * ld + j[None, :]
        back = tl.load(dy + place, mask=inside, other=0.0).to(tl.float32)
        b += back
        g += back * ((tl.load(x + place, mask=inside, other=0.0).to(tl.float32) - m[None, :]) * k[None, :])
    through_b, through_g = tl.sum(b, axis=0), tl.sum(g, axis=0)
    tl.store(dbeta + at, through_b, mask=wanted)
    tl.store(dgamma + at, through_g, mask=wanted)
    scale = tl.load(gamma + at, mask=wanted, other=0.0) * k
    for start in range(0, n_rows, ROWS):
        i = start + tl.arange(0, ROWS)
        inside = (i < n_rows)[:, None] & wanted[None, :]
        place = i[:, None] * ld + j[None, :]
        back = tl.load(dy + place, mask=inside, other=0.0).to(tl.float32)
        x_hat = (tl.load(x + place, mask=inside, other=0.0).to(tl.float32) - m[None, :]) * k[None, :]
        out = scale[None, :] * (back - (through_b / n_rows)[None, :] - x_hat * (through_g / n_rows)[None, :])
        tl.store(dx + place, out.to(dx.dtype.element_ty), mask=(i < n_rows)[:, None] & (j < ld)[None, :])


@triton.jit
def sum_rows(x, out, columns, ld, n_rows: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """out (n_networks, columns) <- sums over the rows of x (n_networks, n_rows, ld)."""
    network = tl.program_id(1).to(tl.int64)
    j = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    x += network * n_rows * ld
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    for start in range(0, n_rows, ROWS):
        i = start + tl.arange(0, ROWS)
        inside = (i < n_rows)[:, None] & (j < columns)[None, :]
        total += tl.load(x + i[:, None] * ld + j[None, :], mask=inside, other=0.0).to(tl.float32)
    tl.store(out + network * columns + j, tl.sum(total, axis=0), mask=j < columns)


@triton.jit
def cross_entropy(
    z, classes, values, dz, n_rows, n_out, ld, smoothing, all_rows, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    """Values (n_networks·n_rows) of softmax cross-entropy, and dz, which is over n_rows already.

    Rows are ld numbers apart; from n_out on dz is zero.
    """
    i = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    j = tl.arange(0, COLUMNS)
    inside = (i < all_rows)[:, None] & (j < n_out)[None, :]
    place = i.to(tl.int64)[:, None] * ld + j[None, :]
    x = tl.load(z + place, mask=inside, other=0.0).to(tl.float32)
    top = tl.max(tl.where((j < n_out)[None, :], x, float("-inf")), axis=1)
    moved = x - top[:, None]
    e = tl.where((j < n_out)[None, :], tl.exp(moved), 0.0)
    total = tl.sum(e, axis=1)
    label = tl.load(classes + i, mask=i < all_rows, other=0)
    hit = (j[None, :] == label[:, None]) & inside
    share = (1.0 - smoothing) * hit.to(tl.float32) + smoothing / n_out
    lost = tl.sum(tl.where(inside, share * moved, 0.0), axis=1)
    tl.store(values + i, tl.log(total) - lost, mask=i < all_rows)
    slope = tl.where((j < n_out)[None, :], (e / total[:, None] - share) / n_rows, 0.0)
    tl.store(dz + place, slope.to(dz.dtype.element_ty), mask=(i < all_rows)[:, None] & (j < ld)[None, :])


@triton.jit
def update(p, g, a, b, w, numbers, place, clip, n, beta1, rest1, beta2, rest2,
           RULE: tl.constexpr, WEIGHT: tl.constexpr, CLIPPED: tl.constexpr, NARROW: tl.constexpr,
           BLOCK: tl.constexpr):  # fmt: skip
    """g <- clip (g + penalty p), p <- decay p, then the rule; w <- p, narrowed. n: entries of one network.

    numbers (steps, n_networks, 4): rate, decay, penalty and epsilon of each step and network. beta1: also momentum.
    """
    network = tl.program_id(1).to(tl.int64)
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside, at = i < n, network * n + i
    own = numbers + (tl.load(place) * tl.num_programs(1) + network) * 4
    lr, decay, penalty, epsilon = tl.load(own), tl.load(own + 1), tl.load(own + 2), tl.load(own + 3)
    P, G = tl.load(p + at, mask=inside, other=0.0), tl.load(g + at, mask=inside, other=0.0).to(tl.float32)
    if WEIGHT:
        G = G + penalty * P
    if CLIPPED:
        G = G * tl.load(clip + network)
    if WEIGHT:
        P = P * decay
    if RULE == "sgd":
        P = P - lr * G
    elif RULE == "momentum" or RULE == "nesterov":
        A = beta1 * tl.load(a + at, mask=inside, other=0.0) + G
        tl.store(a + at, A, mask=inside)
        P = P - lr * (G + beta1 * A) if RULE == "nesterov" else P - lr * A
    elif RULE == "adam":
        A = beta1 * tl.load(a + at, mask=inside, other=0.0) + rest1 * G
        B = beta2 * tl.load(b + at, mask=inside, other=0.0) + rest2 * G * G
        tl.store(a + at, A, mask=inside)
        tl.store(b + at, B, mask=inside)
        P = P - lr * A / (tl.sqrt(B) + epsilon)
    else:
        A = beta2 * tl.load(a + at, mask=inside, other=0.0) + rest2 * G * G
        tl.store(a + at, A, mask=inside)
        S = G / (tl.sqrt(A) + epsilon)
        if RULE == "rmsprop_momentum":
            S = beta1 * tl.load(b + at, mask=inside, other=0.0) + S
            tl.store(b + at, S, mask=inside)
        P = P - lr * S
    tl.store(p + at, P, mask=inside)
    if NARROW:
        tl.store(w + at, P.to(w.dtype.element_ty), mask=inside)
