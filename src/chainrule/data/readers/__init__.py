"""One file for each kind of data set that `chainrule` reads; each gives a `Dataset` or a DataError naming the file."""

from chainrule.data.readers.arrow_files import read_arrow as read_arrow
from chainrule.data.readers.cifar import read_cifar10 as read_cifar10
from chainrule.data.readers.cifar import read_cifar100 as read_cifar100
from chainrule.data.readers.csv_files import read_csv as read_csv
from chainrule.data.readers.digits import read_digits as read_digits
from chainrule.data.readers.idx import read_idx as read_idx
from chainrule.data.readers.images import read_images as read_images
from chainrule.data.readers.numpy_files import read_npy as read_npy
from chainrule.data.readers.numpy_files import read_npz as read_npz
