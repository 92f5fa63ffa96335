"""Samples in tar files, as webdataset, open_clip and CLIP_benchmark write them."""
