"""Parts of a user's own that several tests train, prove and break."""

import chainrule as cr


class Absolute(cr.Loss):
    """The mean of |z - t|."""

    task = "regression"

    def rows(self, z, target, xp):
        d = z - xp.astype(target, z.dtype)
        return xp.mean(xp.abs(d), axis=-1), xp.sign(d) / z.shape[-1]

    def predict(self, logits, xp):
        return logits

    def combined(self, z, xp):
        return xp.mean(z, axis=-2)
