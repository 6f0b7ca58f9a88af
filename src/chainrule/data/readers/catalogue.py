"""What is known of the data sets that have a name: their shape, their classes, and where their authors keep them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Remote:
    """A file on the network: its size and md5, and for an archive the members to take and how large each may be."""

    url: str
    size: int
    md5: str
    members: tuple[tuple[str, int], ...] = ()

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.url.rsplit("/", 1)[-1]

    @property
    def files(self) -> tuple[str, ...]:
        """What is there once this has been fetched."""
        return tuple(member for member, _ in self.members) or (self.name,)


@dataclass(frozen=True)
class Named:
    """A data set with a name; `class_names` is empty where the set's own files hold them."""

    title: str
    rows: int
    row_shape: tuple[int, ...]
    classes: int
    class_names: tuple[str, ...] = ()
    remotes: tuple[Remote, ...] = ()

    @property
    def download_bytes(self) -> int:
        """What `fetch` transfers; 0 for a set that is installed with `chainrule`."""
        return sum(remote.size for remote in self.remotes)

    @property
    def files(self) -> tuple[str, ...]:
        """The files that must be there to read it."""
        return tuple(file for remote in self.remotes for file in remote.files)


def _idx(base: str, *facts: tuple[int, str]) -> tuple[Remote, ...]:
    stems = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    return tuple(Remote(f"{base}/{stem}-ubyte.gz", *fact) for stem, fact in zip(stems, facts, strict=True))


_DIGITS = tuple("0123456789")
_CIFAR = "https://www.cs.toronto.edu/~kriz"
_TEXT_BYTES = 2**16

NAMES: dict[str, Named] = {
    "digits": Named("Digits of scikit-learn", 1_797, (1, 8, 8), 10, _DIGITS),
    "cifar10": Named(
        "CIFAR-10",
        60_000,
        (3, 32, 32),
        10,
        remotes=(
            Remote(
                f"{_CIFAR}/cifar-10-binary.tar.gz",
                170_052_171,
                "c32a1d4ab5d03f1284b67883e8d87530",
                (
                    *((f"cifar-10-batches-bin/data_batch_{i}.bin", 30_730_000) for i in range(1, 6)),
                    ("cifar-10-batches-bin/test_batch.bin", 30_730_000),
                    ("cifar-10-batches-bin/batches.meta.txt", _TEXT_BYTES),
                ),
            ),
        ),
    ),
    "cifar100": Named(
        "CIFAR-100",
        60_000,
        (3, 32, 32),
        100,
        remotes=(
            Remote(
                f"{_CIFAR}/cifar-100-binary.tar.gz",
                168_513_733,
                "03b5dce01913d631647c71ecec9e9cb8",
                (
                    ("cifar-100-binary/train.bin", 153_700_000),
                    ("cifar-100-binary/test.bin", 30_740_000),
                    ("cifar-100-binary/fine_label_names.txt", _TEXT_BYTES),
                ),
            ),
        ),
    ),
    "mnist": Named(
        "MNIST",
        70_000,
        (1, 28, 28),
        10,
        _DIGITS,
        _idx(
            "https://storage.googleapis.com/cvdf-datasets/mnist",
            (9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            (28_881, "d53e105ee54ea40749a09fcbcd1e9432"),
            (1_648_877, "9fb629c4189551a2d022fa330f9573f3"),
            (4_542, "ec29112dd5afa0611ce80d1b7f02629c"),
        ),
    ),
    "fashion-mnist": Named(
        "Fashion-MNIST",
        70_000,
        (1, 28, 28),
        10,
        (
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
        _idx(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
            (26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            (29_515, "25c81989df183df01b3e8a0aad5dffbe"),
            (4_422_102, "bef4ecab320f06d8554ea6380940ec79"),
            (5_148, "bb300cfdad3c16e7a12a480ee83cd310"),
        ),
    ),
    "kmnist": Named(
        "KMNIST",
        70_000,
        (1, 28, 28),
        10,
        ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        _idx(
            "http://codh.rois.ac.jp/kmnist/dataset/kmnist",
            (18_165_135, "bdb82020997e1d708af4cf47b453dcf7"),
            (29_497, "e144d726b3acfaa3e44228e80efcd344"),
            (3_041_136, "5c965bf0a639b31b8f53240b1b52f4d7"),
            (5_120, "7320c461ea6c1c855c0b718fb2a4b134"),
        ),
    ),
}
