"""What MkDocs asks while it builds the site: the navigation, pages made from code, and links.

The navigation is read from the index, docs/README.md, so that a page is listed once. Links that
leave docs/ lead to copies of those files within the site; so do theirs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import generated_pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
#: Where files that lie beside docs/ are in the site.
OUTSIDE = "project"
FENCES = {".toml": "toml", ".py": "python", ".sh": "sh", ".yml": "yaml", ".json": "json"}
LINK = re.compile(r"\]\((?!https?:|mailto:|#)(?P<path>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")
FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Take the navigation from the index."""
    config.nav = navigation((DOCS / "README.md").read_text("utf-8"))
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the code, and the files that pages link to."""
    made = generated_pages.pages()
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    for path in outside():
        text = rewritten(page_text(path), path)
        files.append(File.generated(config, place(path), content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links of a page of docs/ that leave it lead to the site's copies."""
    path = DOCS / page.file.src_uri
    return rewritten(markdown, path) if path.is_file() else markdown


def navigation(index: str) -> list[Any]:
    """The sections of the index and their pages, those made from the code among them.

    >>> navigation("# All\\n## Start\\n- [Install](start/install.md): how.\\n")
    [{'Home': 'README.md'}, {'Start': [{'Install': 'start/install.md'}]}]
    """
    sections: list[Any] = [{"Home": "README.md"}]
    for part in re.split(r"^## ", index, flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        links = re.findall(r"\[((?:[^\[\]]|\[\w+\])+)\]\(([^)#]+)\)", body)
        listed = [{capital(name): placed(target)} for name, target in links]
        if title == "Reference":
            made = [{name: target} for name, target in generated_pages.TITLES.items()]
            listed.append({"Made from the code": made})
        sections.append({title: listed})
    return sections


def capital(name: str) -> str:
    """A title as the navigation shows it, without the marks of code."""
    plain = name.replace("`", "")
    return plain[:1].upper() + plain[1:]


def placed(target: str) -> str:
    """Where the site has what a link of the index names."""
    path = (DOCS / target).resolve()
    return path.relative_to(DOCS).as_posix() if path.is_relative_to(DOCS) else place(path)


def outside() -> list[Path]:
    """The files beside docs/ that its pages link to, and those that these link to."""
    found: dict[Path, None] = {}
    asked = sorted(DOCS.rglob("*.md"))
    while asked:
        page = asked.pop()
        for target in targets(page):
            if not target.is_relative_to(DOCS) and target.exists() and target not in found:
                found[target] = None
                asked += [target] if target.suffix == ".md" else []
    return sorted(found)


def targets(page: Path) -> Iterator[Path]:
    """The files that a page links to, not within its blocks of code."""
    for text in FENCED.split(page.read_text("utf-8"))[::2]:
        for link in LINK.finditer(text):
            yield (page.parent / link["path"]).resolve()


def place(path: Path) -> str:
    """Where the site has a file that lies beside docs/: a page of its own."""
    name = path.relative_to(ROOT).as_posix()
    return f"{OUTSIDE}/{name}" if path.suffix == ".md" else f"{OUTSIDE}/{name}.md"


def page_text(path: Path) -> str:
    """A file as a page: Markdown as it is, a folder by its names, others in a block of code."""
    if path.suffix == ".md":
        return path.read_text("utf-8")
    name = path.relative_to(ROOT).as_posix()
    if path.is_dir():
        names = sorted(each.name for each in path.iterdir() if not each.name.startswith((".", "_")))
        return f"# {name}\n\n" + "\n".join(f"- `{each}`" for each in names) + "\n"
    return f"# {name}\n\n```{FENCES.get(path.suffix, '')}\n{path.read_text('utf-8')}```\n"


def rewritten(text: str, source: Path) -> str:
    """A page's text whose links to and from files beside docs/ hold within the site."""
    parts = FENCED.split(text)
    parts[::2] = [LINK.sub(lambda link: _rewritten(link, source), part) for part in parts[::2]]
    return "".join(parts)


def _rewritten(link: re.Match[str], source: Path) -> str:
    target = (source.parent / link["path"]).resolve()
    if not target.exists() or {source.is_relative_to(DOCS), target.is_relative_to(DOCS)} == {True}:
        return link[0]
    here, there = (PurePosixPath(placed(os.path.relpath(path, DOCS))) for path in (source, target))
    way = os.path.relpath(there, here.parent).replace(os.sep, "/")
    return f"]({way}{link['anchor'] or ''})"
