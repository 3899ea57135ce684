"""The data sets known by name, with their metadata."""

from dataclasses import dataclass
from typing import Literal

DIGITS = tuple("0123456789")
FASHION_MNIST = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR100 = tuple(
    """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel
    can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup
    dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower
    leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid
    otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray
    road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
    sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm""".split()  # noqa: SIM905  a hundred names in quotes read worse
)
OXFORD_PETS = tuple(
    """abyssinian american_bulldog american_pit_bull_terrier basset_hound beagle bengal birman bombay boxer
    british_shorthair chihuahua egyptian_mau english_cocker_spaniel english_setter german_shorthaired
    great_pyrenees havanese japanese_chin keeshond leonberger maine_coon miniature_pinscher newfoundland
    persian pomeranian pug ragdoll russian_blue saint_bernard samoyed scottish_terrier shiba_inu siamese
    sphynx staffordshire_bull_terrier wheaten_terrier yorkshire_terrier""".split()  # noqa: SIM905  as above
)


@dataclass(frozen=True)
class Entry:
    """Metadata of a data set."""

    name: str
    title: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]  # (channels, height, width); (d, 1, 1) of features
    train_size: int
    test_size: int  # 0: no official test part
    source: str
    licence: str  # with the attribution
    origin: Literal["bundled", "torchvision", "folder", "computed"]
    download_bytes: int = 0
    masks: bool = False  # whether every image has one
    content: str = ""  # fingerprint of a bundled set's arrays, part of the fingerprints of ideas
    kind: Literal["images", "features"] = "images"  # features are vectors: they cannot be drawn


MOST_NAMED = 10  # classes that one line names
CATALOGUE = {
    entry.name: entry
    for entry in (
        Entry(
            "digits",
            "Handwritten digits, 8×8",
            DIGITS,
            (1, 8, 8),
            1_797,
            0,
            "scikit-learn's copy of the test part of Optical Recognition of Handwritten Digits, UCI Machine"
            " Learning Repository",
            "E. Alpaydin and C. Kaynak, 1998; CC BY 4.0.",
            "bundled",
            content="1a77e69e910b275b",
        ),
        Entry(
            "mnist",
            "MNIST, handwritten digits",
            DIGITS,
            (1, 28, 28),
            60_000,
            10_000,
            "MNIST, from the National Institute of Standards and Technology's special databases 1 and 3",
            "Y. LeCun, C. Cortes and C. Burges, 1998; CC BY-SA 3.0.",
            "torchvision",
            11_594_722,
        ),
        Entry(
            "fashion_mnist",
            "Fashion-MNIST, articles of clothing",
            FASHION_MNIST,
            (1, 28, 28),
            60_000,
            10_000,
            "Fashion-MNIST, Zalando's article images",
            "H. Xiao, K. Rasul and R. Vollgraf (Zalando), 2017; MIT.",
            "torchvision",
            30_878_645,
        ),
        Entry(
            "cifar10",
            "CIFAR-10, small photographs",
            CIFAR10,
            (3, 32, 32),
            50_000,
            10_000,
            "CIFAR-10, a labelled part of the Tiny Images",
            "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009; no licence is"
            " stated.",
            "torchvision",
            170_498_071,
        ),
        Entry(
            "cifar100",
            "CIFAR-100, small photographs of 100 classes",
            CIFAR100,
            (3, 32, 32),
            50_000,
            10_000,
            "CIFAR-100 (fine labels), a labelled part of the Tiny Images",
            "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009; no licence is"
            " stated.",
            "torchvision",
            169_001_437,
        ),
        Entry(
            "svhn",
            "SVHN, house numbers from street views",
            DIGITS,
            (3, 32, 32),
            73_257,
            26_032,
            "Street View House Numbers, cropped digits",
            "Y. Netzer, T. Wang, A. Coates, A. Bissacco, B. Wu and A. Ng, 2011; for non-commercial use only.",
            "torchvision",
            246_316_178,
        ),
        Entry(
            "oxford_pets",
            "Oxford-IIIT Pet, photographs of 37 breeds of cats and dogs with masks",
            OXFORD_PETS,
            (3, 64, 64),  # as they are read: the photographs are of all sizes
            3_680,
            3_669,
            "Oxford-IIIT Pet, its photographs and trimaps resized to 64×64 pixels",
            "O. M. Parkhi, A. Vedaldi, A. Zisserman and C. V. Jawahar, Cats and Dogs, CVPR 2012; CC BY-SA"
            " 4.0.",
            "torchvision",
            811_092_049,
            masks=True,
        ),
        Entry(
            "cifar10_features",
            "CIFAR-10, photographs as features of an ImageNet network",
            CIFAR10,
            (64, 1, 1),
            10_000,
            2_000,
            "64 features of each of 12,000 photographs of CIFAR-10: principal components of what"
            " EfficientNet-Lite0, trained on ImageNet, computes before its last layer",
            "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009; no licence is"
            " stated. The photographs are not contained.",
            "bundled",
            content="98b5a679c47d4926",
            kind="features",
        ),
        Entry(
            "cifar10_features_full",
            "CIFAR-10, all photographs as features of an ImageNet network",
            CIFAR10,
            (64, 1, 1),
            50_000,
            10_000,
            "as cifar10_features, of all 60,000 photographs",
            "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009; no licence is"
            " stated.",
            "computed",
            kind="features",
        ),
    )
}


def class_key(name: str) -> str:
    """The classes that numbers in a figure of this data set stand for, after a comma;
    "" where the numbers are their names or the classes are many or an own folder's.
    """
    known = CATALOGUE.get(name)
    if known is None or known.classes == DIGITS or len(known.classes) > MOST_NAMED:
        return ""
    return ", " + ", ".join(f"{number} {fine}" for number, fine in enumerate(known.classes))
