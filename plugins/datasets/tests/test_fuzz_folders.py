"""Generated folders of labels against a plain walk through their names."""

from __future__ import annotations

import re

from mmlab_datasets.folders import Folders
from support.fuzz.label_folders import FolderTree, folder_trees, left_out, read_plainly
from support.fuzz.outcome import compare, fresh_folder, fuzzed


@fuzzed(folder_trees())
def test_a_folder_of_labels_is_read_as_its_names_say_or_refused_with_its_name(
    tree: FolderTree,
) -> None:
    with fresh_folder() as folder:
        tree.write(folder)
        dataset = compare(
            lambda: Folders(tree.split, path=folder, **tree.options),
            lambda: read_plainly(tree),
            re.escape(str(folder)),
        )
        assert dataset is None or bool(dataset.notes) == bool(left_out(tree))
