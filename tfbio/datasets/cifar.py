"""What TFDS does not say of the CIFAR data sets that it has."""

from tfbio.datasets.registry import DatasetInfo, register_dataset

register_dataset(
    DatasetInfo(
        name="cifar10",
        kind="tfds",
        description="Small pictures of ten classes.",
        images="60,000 of 32 x 32, 10 classes",
        splits="train, test",
        access="fetched by TFDS, 170 MB",
        licence="not stated",
        reference="https://www.cs.toronto.edu/~kriz/cifar.html",
    )
)
register_dataset(
    DatasetInfo(
        name="cifar100",
        kind="tfds",
        description="Small pictures of a hundred classes.",
        images="60,000 of 32 x 32, 100 classes",
        splits="train, test",
        access="fetched by TFDS, 170 MB",
        licence="not stated",
        reference="https://www.cs.toronto.edu/~kriz/cifar.html",
    )
)
register_dataset(
    DatasetInfo(
        name="cifar10_corrupted",
        kind="tfds",
        description="CIFAR-10-C: the test images of CIFAR-10 under 19 corruptions.",
        # TFDS numbers the classes; under their names a run on CIFAR-10 is known to have the same.
        class_names=(
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ),
        corruption_names={"glass_blur": "frosted_glass_blur", "elastic_transform": "elastic"},
        images="95 sets of 10,000 of 32 x 32, 10 classes",
        splits="test",
        access="fetched by TFDS, 2.9 GB",
        licence="CC BY 4.0",
        reference="10.48550/arXiv.1903.12261",
    )
)
