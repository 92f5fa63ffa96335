"""Datasets for mmlab: embedded, from local files, and the user's own from a manifest."""

from mmlab.plugin import hookimpl


@hookimpl
def mmlab_datasets() -> dict[str, str]:
    """Names used in TOML, and where the datasets are."""
    return {
        "alphabet": "mmlab_datasets.alphabet:Alphabet",
        "av_mnist": "mmlab_datasets.av_mnist:AvMnist",
        "benchmark": "mmlab_datasets.published.benchmark:Benchmark",
        "captions": "mmlab_datasets.captions:Captions",
        "clip_benchmark": "mmlab_datasets.shards.folder:ClipBenchmarkFolder",
        "coco": "mmlab_datasets.coco:Coco",
        "emoji": "mmlab_datasets.emoji:Emoji",
        "emoji_scenes": "mmlab_datasets.emoji_scenes:EmojiScenes",
        "files": "mmlab_datasets.named_files:Files",
        "folders": "mmlab_datasets.folders:Folders",
        "manifest": "mmlab_datasets.manifest:Manifest",
        "mix": "mmlab_datasets.mix:Mix",
        "parquet": "mmlab_datasets.parquet:Parquet",
        "tuxpaint": "mmlab_datasets.tuxpaint:TuxPaint",
        "voc": "mmlab_datasets.voc:Voc",
        "webdataset": "mmlab_datasets.shards.webdataset:WebDataset",
    }
