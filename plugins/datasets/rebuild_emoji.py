"""Rebuild the embedded emoji data from the two npm packages it comes from.

    python plugins/datasets/rebuild_emoji.py

`npm pack` fetches the packages (80 MB) into a temporary folder; nothing of them is installed or
run. Written are one WebP sheet of all pictures, one JSON line a picture in the sheet's order, and
two of the licence texts. The same versions of Pillow and its WebP encoder give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import tarfile
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import cast

from PIL import Image

PICTURES = "emoji-datasource-google@16.0.0"
NAMES = "emojibase-data@17.0.0"
DATA = Path(__file__).parent / "mmlab_datasets" / "data"
PIXELS = 64
COLUMNS = 38
LEFT_OUT = frozenset({"Flags", "Symbols", "Component"})
#: Part of each subcategory that is held out, for validation and for test each.
HELD_OUT = 0.1


@dataclass(frozen=True)
class Item:
    """One line of the index. `family` names the near-twins that must share a split."""

    id: str
    name: str
    tags: Sequence[str]
    category: str
    subcategory: str
    family: str
    split: str = ""


def main() -> None:
    """Fetch, select, split and write."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = r"emoji\.json|LICENSE|img/google/64/.*\.png"
        pictures = read_package(PICTURES, Path(folder), wanted)
        names = read_package(NAMES, Path(folder), r"en/data\.json|LICENSE")
    chosen = select(json.loads(pictures["emoji.json"]))
    items = split_items(make_items(chosen, json.loads(names["en/data.json"])))
    write_index(items)
    write_sheet([pictures[f"img/google/64/{emoji['image']}"] for emoji in chosen])
    (DATA / "LICENSE-emoji-datasource.txt").write_bytes(pictures["LICENSE"])
    (DATA / "LICENSE-emojibase.txt").write_bytes(names["LICENSE"])
    print(summary(items))


def read_package(package: str, folder: Path, wanted: str) -> dict[str, bytes]:
    """The files of an npm package whose path matches `wanted`, by path; npm checks its hash."""
    command = ["npm", "pack", package, "--silent", "--pack-destination", str(folder)]
    archive = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    found = {}
    with tarfile.open(folder / archive) as tar:
        for member in tar:
            path = member.name.removeprefix("package/")
            content = tar.extractfile(member) if re.fullmatch(wanted, path) else None
            if content is not None:
                found[path] = content.read()
    return found


Emoji = Mapping[str, object]


def select(emojis: Iterable[Emoji]) -> list[Emoji]:
    """The emoji in Unicode's order, without flags, symbols and components."""
    chosen = [
        emoji for emoji in emojis if emoji["category"] not in LEFT_OUT and emoji["has_img_google"]
    ]
    return sorted(chosen, key=lambda emoji: cast(int, emoji["sort_order"]))


def make_items(chosen: Iterable[Emoji], names: Iterable[Emoji]) -> list[Item]:
    """Pictures joined with their English names and tags."""
    by_code = {plain_code(emoji["hexcode"]): emoji for emoji in names}
    return [make_item(emoji, by_code[plain_code(emoji["unified"])]) for emoji in chosen]


def plain_code(code: object) -> str:
    """The code points without the variation selectors, which the two packages place differently."""
    return str(code).replace("-FE0F", "")


def make_item(emoji: Emoji, english: Emoji) -> Item:
    """One item, its category and subcategory in lower case and in words: "animal mammal"."""
    name = str(english["label"])
    category, subcategory = (
        str(emoji[key]).lower().replace("-", " ") for key in ("category", "subcategory")
    )
    tags = cast(Sequence[str], english["tags"])
    return Item(
        plain_code(emoji["unified"]),
        name,
        list(tags),
        category,
        subcategory,
        family_of(name, category),
    )


# --- families: near-twins by name -------------------------------------------------------------

#: Families whose members have no common stem: their names, and what the family is called.
FAMILIES = (
    (r".*(o\u2019clock|-thirty)", "clock face"),
    (r".*\bmoon( face)?", "moon"),
    (r"grinning face( with (big|smiling) eyes)?", "grinning face"),
    (r"kissing face( with .*)?", "kissing face"),
    (r"(frowning face with open mouth|anguished face)", "anguished face"),
    (r".* face with horns", "face with horns"),
    (r"skull.*", "skull"),
    (r".*-no-evil monkey", "monkeys of no evil"),
    (r"(speech balloon|left speech bubble)", "speech"),
    (r"heart suit", "heart"),
    (r"(spade|diamond|club) suit", "card suit"),
    (r"raised (hand|back of hand)", "raised hand"),
    (r"ear( with hearing aid)?", "ear"),
    (r".*\bclaus", "claus"),
    (r".*feeding( baby)?", "feeding"),
    (r"mer(man|maid|person)", "merperson"),
    (r"(prince|princess|person with crown)", "royalty"),
    (r".*(health|office) worker", "worker"),
    (r".*holding hands", "holding hands"),
    (r"(spouting )?whale", "whale"),
    (r"(beer mug|clinking beer mugs)", "beer"),
    (r"fork and knife.*", "fork and knife"),
    (r"globe showing .*", "globe"),
    (r"house( with garden)?", "house"),
    (r"(night with stars|cityscape.*)", "cityscape"),
    (r"sun(rise.*|set)", "sunrise"),
    (r".*airplane.*", "airplane"),
    (r"hourglass.*", "hourglass"),
    (r"(cloud( with .*)?|sun behind .*)", "cloud"),
    (r"sun( with face)?", "sun"),
    (r"(glowing )?star", "star"),
    (r"(closed )?umbrella( with .*)?", "umbrella"),
    (r".*\bsnowman\b.*", "snowman"),
    (r"(ticket|admission tickets)", "ticket"),
    (r"(.* place|sports) medal", "medal"),
    (r"bell( with slash)?", "bell"),
    (r"(muted speaker|speaker .*)", "speaker"),
    (r"mobile phone.*", "mobile phone"),
    (r"(dvd|optical disk)", "disk"),
    (r"camera( with flash)?", "camera"),
    (r"(ledger|notebook.*)", "book"),
    (r"page .*", "page"),
    (r".*\bbanknote", "banknote"),
    (r"chart .*", "chart"),
    (r"(envelope.*|e-mail|incoming envelope)", "envelope"),
    (r"red envelope", "red envelope"),
    (r"(in|out)box tray", "tray"),
    (r".*\bmailbox with .* flag", "mailbox"),
    (r"((tear-off|spiral) )?calendar", "calendar"),
    (r"(linked )?paperclips?", "paperclip"),
    (r"(un)?locked.*", "lock"),
)
#: Words that tell near-twins apart: who, which way, which colour, how full.
DIFFERENCES = re.compile(
    r"\b(man|woman|men|women|person|people|boy|girl|child|older|old|adult"
    r"|left|right|leftwards|rightwards|up|down|facing|tilted|oncoming|front-facing"
    r"|red|orange|yellow|green|light blue|blue|purple|brown|black|grey|white|pink"
    r"|low|small|closed|open|two-hump)\b-?"
)


def family_of(name: str, category: str) -> str:
    """What is left of a name without the words that tell near-twins apart.

    "woman running: facing right" -> "running", "blue heart" -> "heart", "one-thirty" -> a clock.
    """
    stem = name.lower().split(":")[0]
    for pattern, family in FAMILIES:
        if re.fullmatch(pattern, stem):
            return family
    if category == "animals & nature":
        stem = stem.removesuffix(" face")
    return " ".join(DIFFERENCES.sub(" ", stem).split()) or "person"


# --- splits -----------------------------------------------------------------------------------


def split_items(items: Sequence[Item]) -> list[Item]:
    """Give every family one split, each subcategory holding out its part for validation and test.

    A family counts for the subcategory of its first member. The order in which families are tried
    is that of their names' hashes: it says nothing about their content, and never changes.
    """
    families: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        families[item.family].append(item)
    by_subcategory: dict[str, dict[str, int]] = defaultdict(dict)
    for family, members in families.items():
        by_subcategory[members[0].subcategory][family] = len(members)
    split_of: dict[str, str] = {}
    for sizes in by_subcategory.values():
        split_of |= split_families(sizes)
    return [replace(item, split=split_of[item.family]) for item in items]


def split_families(sizes: Mapping[str, int]) -> dict[str, str]:
    """Family -> split, for one subcategory: first test is filled, then validation, then train.

    A family too large for the place left in a split is passed over. Each split in turn gets its
    smallest family at least, as long as one is left for training.
    """
    left = sorted(sizes, key=lambda family: hashlib.sha256(family.encode()).hexdigest())
    wanted = max(1, round(HELD_OUT * sum(sizes.values())))
    split_of: dict[str, str] = {}
    for split in ("test", "validation"):
        chosen = fill(left, sizes, wanted) if len(left) > 1 else []
        split_of |= dict.fromkeys(chosen, split)
        left = [family for family in left if family not in chosen]
    return split_of | dict.fromkeys(left, "train")


def fill(families: Sequence[str], sizes: Mapping[str, int], wanted: int) -> list[str]:
    """The first families that hold `wanted` items at most together; the smallest if none fits."""
    chosen: list[str] = []
    for family in families:
        if sum(sizes[one] for one in [*chosen, family]) <= wanted:
            chosen.append(family)
    return chosen or sorted(families, key=lambda family: sizes[family])[:1]


# --- writing ----------------------------------------------------------------------------------


def write_index(items: Iterable[Item]) -> None:
    """One JSON line an item, in the order of the sheet."""
    lines = (json.dumps(asdict(item), ensure_ascii=False) + "\n" for item in items)
    (DATA / "emoji.jsonl").write_text("".join(lines), encoding="utf-8")


def write_sheet(pictures: Sequence[bytes]) -> None:
    """All pictures on white, row by row, as one WebP."""
    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * PIXELS, rows * PIXELS), "white")
    for place, content in enumerate(pictures):
        row, column = divmod(place, COLUMNS)
        picture = Image.open(io.BytesIO(content)).convert("RGBA")
        sheet.paste(picture, (column * PIXELS, row * PIXELS), picture)
    sheet.save(DATA / "emoji.webp", quality=90, method=6)


def summary(items: Sequence[Item]) -> str:
    """Items and subcategories of each split."""
    counts = Counter(item.split for item in items)
    labels = {split: {i.subcategory for i in items if i.split == split} for split in counts}
    return "\n".join(
        f"{split}: {counts[split]} items of {len(labels[split])} subcategories" for split in counts
    )


if __name__ == "__main__":
    main()
