"""A hook of your own: sends one line a row wherever you like. Run it: python examples/own_hook.py"""

import chainrule as cr


class Told(cr.Hook):
    def started(self, begun: cr.Begun) -> None:
        print(f"{begun.plan.network!r}, {begun.plan.n_steps:,} steps to go")

    def logged(self, row: dict[str, float]) -> None:
        print(f"step {row['step']:,}: validation accuracy {row['validation_accuracy']:.3f}")

    def finished(self, run: cr.Run) -> None:
        print(f"done: {run.metrics['model']['validation_accuracy']:.3f}")


if __name__ == "__main__":
    cr.train(cr.mlp([32]), cr.read("digits"), training=cr.Training(epochs=3), hooks=[Told()])
