"""Rebuilds the data sets of `data/` from the packages that carry them; run by hand, never by the tests.

    pip install --no-deps --target wheels Django==5.2.19 ISLP==0.6.0 plotnine==0.15.9 river==0.26.1
    python utils/make_data.py --wheels wheels

The same packages give the same bytes (the gzip headers hold no time). The digits come from the installed scikit-learn.
What each set holds, where it comes from and under which licence, says `data/README.md`.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import io
import re
import struct
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

Table = tuple[Sequence[str], Iterator[Sequence[object]]]

LANGUAGES = (
    *("ca", "cs", "da", "de", "en", "es", "et", "eu", "fi", "fr", "gl", "hr", "hu", "id", "is", "it"),
    *("lt", "lv", "nb", "nl", "pl", "pt", "ro", "sk", "sl", "sq", "sv", "tr", "vi", "cy"),
)
"""Languages in Latin letters, so that the alphabet alone does not give the answer away."""

SENTENCES_PER_LANGUAGE = 320
SHORTEST_SENTENCE = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", type=Path, required=True, help="folder into which the packages were installed")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent / "data")
    options = parser.parse_args()
    for name, make in SETS.items():
        columns, rows = make(options.wheels)
        path = options.out / f"{name}.csv.gz"
        count = write(path, columns, rows)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        print(f"{path.name:20} {count:6} rows {path.stat().st_size:8} bytes  sha256 {digest}")


def write(path: Path, columns: Sequence[str], rows: Iterator[Sequence[object]]) -> int:
    """Write a gzipped CSV whose bytes depend on its content alone; returns the number of rows."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    count = 0
    for row in rows:
        writer.writerow(row)
        count += 1
    path.write_bytes(gzip.compress(text.getvalue().encode(), compresslevel=9, mtime=0))
    return count


def segments(wheels: Path) -> Table:
    """Outdoor image segments: 18 measurements of 3 x 3 pixels, and what they show (in river)."""
    with zipfile.ZipFile(wheels / "river" / "datasets" / "segment.csv.zip") as archive:
        text = archive.read(archive.namelist()[0]).decode()
    header, *rows = csv.reader(io.StringIO(text))
    columns = [name.replace("vegde", "vedge").replace("-", "_") for name in header]
    return columns, ([*(_short(value) for value in row[:-1]), row[-1]] for row in rows)


def digits(_: Path) -> Table:
    """Handwritten digits of 8 x 8 pixels (in scikit-learn)."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    columns = [*(f"pixel_{row}_{column}" for row in range(8) for column in range(8)), "digit"]
    return columns, ([*map(int, image), int(label)] for image, label in zip(pixels, labels, strict=True))


def diamonds(wheels: Path) -> Table:
    """Prices of cut diamonds (in plotnine, from ggplot2)."""
    with (wheels / "plotnine" / "data" / "diamonds.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    return header, iter(rows)


def bikes(wheels: Path) -> Table:
    """Hourly rentals of a bike share (in ISLP)."""
    names = ("day", "hr", "weekday", "workingday", "holiday", "weathersit", "temp", "hum", "windspeed", "bikers")
    with (wheels / "ISLP" / "data" / "Bikeshare.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    columns = ["hour" if name == "hr" else name for name in names]
    return columns, ([row[name] for name in names] for row in found)


def languages(wheels: Path) -> Table:
    """The same messages of a program in thirty languages (in Django)."""
    catalogs = {language: _messages(wheels, language) for language in LANGUAGES if language != "en"}
    sources = sorted({source for catalog in catalogs.values() for source in catalog})
    catalogs["en"] = {source: source for source in sources}
    numbers = {source: number for number, source in enumerate(sources)}

    def rows() -> Iterator[Sequence[object]]:
        for language in LANGUAGES:
            plain = {source: _plain(text) for source, text in catalogs[language].items()}
            usable = {text: numbers[source] for source, text in plain.items() if len(text) >= SHORTEST_SENTENCE}
            ranked = sorted(usable.items(), key=lambda item: hashlib.sha256(item[0].encode()).digest())
            for text, number in sorted(ranked[:SENTENCES_PER_LANGUAGE], key=lambda item: item[1]):
                yield language, number, text

    return ("language", "message", "text"), rows()


SETS: dict[str, Callable[[Path], Table]] = {
    "bikes": bikes,
    "diamonds": diamonds,
    "digits": digits,
    "languages": languages,
    "segments": segments,
}


def _messages(wheels: Path, language: str) -> dict[str, str]:
    """English source text -> translation, of Django itself and its bundled applications."""
    found: dict[str, str] = {}
    homes = [wheels / "django" / "conf", *sorted((wheels / "django" / "contrib").iterdir())]
    for home in homes:
        path = home / "locale" / language / "LC_MESSAGES" / "django.mo"
        if path.is_file():
            found.update((source, text) for source, text in _catalog(path.read_bytes()) if source and text != source)
    return found


def _catalog(data: bytes) -> Iterator[tuple[str, str]]:
    """The entries of a compiled gettext catalog: singular forms, contexts dropped (format: GNU gettext manual, MO)."""
    magic, _, count, sources, targets = struct.unpack_from("<5I", data)
    if magic != 0x950412DE:
        raise ValueError("this is not a little-endian gettext catalog")
    for index in range(count):
        texts = []
        for table in (sources, targets):
            length, offset = struct.unpack_from("<2I", data, table + 8 * index)
            texts.append(data[offset : offset + length].decode().split("\0")[0])
        yield texts[0].rpartition("\4")[2], texts[1]


def _plain(text: str) -> str:
    """A message without what is the same in all languages: placeholders, markup, line breaks."""
    text = re.sub(r"%(?:\(\w+\))?[-.0-9]*[a-zA-Z]|\{[^}]*\}|<[^>]*>|&\w+;", " ", text)
    return re.sub(r"\s+", " ", text).strip()


def _short(number: str) -> str:
    """A number with six significant digits, as short as it goes."""
    return f"{float(number):.6g}"


if __name__ == "__main__":
    main()
