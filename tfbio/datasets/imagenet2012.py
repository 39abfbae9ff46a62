"""What TFDS does not say of ImageNet and ImageNet-C, which it prepares."""

from tfbio.datasets.registry import DatasetInfo, register_dataset

register_dataset(
    DatasetInfo(
        name="imagenet2012",
        kind="tfds",
        description="ImageNet, as TFDS prepares it.",
        aliases=("imagenet",),
        alexnet_errors=True,
        images="1.33 million, 1000 classes",
        splits="train, validation",
        access="by hand, 138 GB and 6 GB",
        licence="ImageNet's terms",
        reference="10.1007/s11263-015-0816-y",
    )
)
register_dataset(
    DatasetInfo(
        name="imagenet2012_corrupted",
        kind="tfds",
        description="ImageNet-C, as TFDS makes it from ImageNet's validation images.",
        aliases=("imagenet_c",),
        alexnet_errors=True,
        images="sets of 50,000 of 224 x 224, 1000 classes",
        splits="validation",
        access="made by TFDS from ImageNet",
        licence="CC BY 4.0 and ImageNet's terms, as far as known",
        reference="10.48550/arXiv.1903.12261",
    )
)
