"""Tries other packages' features and writes the tables of docs/others.md.

    .venv/bin/python tools/compare_packages.py FOLDER [--only NAME ...]

Each package gets a virtual environment of its own below FOLDER, outside of the repository, from PyPI; fieldpress is tried
in the environment that runs this. Every cell is what came out of a line that was run here, or of one that failed: the
probes below say which. Takes some minutes and 2 GB the first time.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

PAGE = Path(__file__).parents[1] / "docs/others.md"
MARKS = "<!-- tried: begin -->\n", "<!-- tried: end -->\n"
#: Packages, with what pip installs for each.
PACKAGES = {
    "fieldpress": [],
    "zfpy": ["zfpy"],
    "pysz": ["pysz"],
    "hdf5plugin": ["hdf5plugin", "h5py"],
    "numcodecs": ["numcodecs"],
    "pcodec": ["pcodec"],
    "compression-safeguards": ["compression-safeguards", "numcodecs-safeguards", "numcodecs-zero"],
    "xbitinfo": ["xbitinfo"],
    "EBCC": ["numcodecs-wasm-ebcc"],
}
#: The distribution whose version is printed.
DISTRIBUTION = {"EBCC": "numcodecs-wasm-ebcc"}
#: Share of the range that bounds are, and the decibels that are asked for.
SHARE, DECIBELS = 1e-3, 60.0
FILL = np.float32(1e20)

Encode = Callable[[np.ndarray, float], Any]
Decode = Callable[[Any, np.ndarray], np.ndarray]


@dataclass
class Package:
    """What a package can: an encoder for each kind of bound, of an array and a bound, and their decoder."""

    decode: Decode
    kinds: dict[str, Encode]
    #: Which of its codecs.
    note: str = "its own"


def field(shape: tuple[int, ...] = (16, 64, 96), dtype: str = "f4") -> np.ndarray:
    """A travelling wave with a little noise; ranges from about -5 to 5."""
    grids = np.indices(shape)
    wave = 5 * np.sin(sum(0.11 * (1 + at % 2) * grid for at, grid in enumerate(grids)))
    return (wave + np.random.default_rng(1).normal(0, 0.01, shape)).astype(dtype)


def of_fieldpress() -> Package:
    import fieldpress

    def by(kind: str) -> Encode:
        return lambda a, e: fieldpress.compress(a, **{kind: e})

    kinds: dict[str, Encode] = {kind: by(kind) for kind in ("abs", "rel", "pw_rel", "psnr", "ratio")}
    kinds["lossless"] = lambda a, _: fieldpress.compress(a, lossless=True)
    return Package(lambda s, _: fieldpress.decompress(s), kinds)


def of_zfpy() -> Package:
    import zfpy

    return Package(
        lambda s, _: zfpy.decompress_numpy(s),
        {
            "abs": lambda a, e: zfpy.compress_numpy(a, tolerance=e),
            "ratio": lambda a, r: zfpy.compress_numpy(a, rate=8 * a.itemsize / r),
            "lossless": lambda a, _: zfpy.compress_numpy(a),
        },
    )


def of_pysz() -> Package:
    from pysz import sz, szConfig, szErrorBoundMode

    def by(mode: str, name: str) -> Encode:
        def encode(a: np.ndarray, e: float) -> Any:
            config = szConfig()
            config.errorBoundMode = getattr(szErrorBoundMode, mode)
            setattr(config, name, e)
            return sz.compress(a, config)[0]

        return encode

    return Package(
        lambda s, a: sz.decompress(np.frombuffer(bytes(s), np.uint8), a.dtype, a.shape)[0],
        {
            "abs": by("ABS", "absErrorBound"),
            "rel": by("REL", "relErrorBound"),
            "psnr": by("PSNR", "psnrErrorBound"),
        },
    )


def of_hdf5plugin() -> Package:
    """A dataset of one chunk in a file in memory, of which the chunk counts; SPERR, but SZ3 and ZFP for what SPERR's filter
    has not. SPERR is told to swap the order of axes: without that it takes rows for frames, unless the chunk is a cube."""
    import io

    import h5py
    import hdf5plugin

    made: dict[str, bytes] = {}

    def by(make: Callable[[float], Any]) -> Encode:
        def encode(a: np.ndarray, e: float) -> bytes:
            memory = io.BytesIO()
            with h5py.File(memory, "w") as file:
                u = file.create_dataset("u", data=a, chunks=a.shape, **make(e))
                chunk = u.id.read_direct_chunk((0,) * a.ndim)[1]
            made["file"] = memory.getvalue()
            return chunk

        return encode

    def decode(s: Any, a: np.ndarray) -> np.ndarray:
        memory = io.BytesIO(made["file"])
        with h5py.File(memory, "r+") as file:
            file["u"].id.write_direct_chunk((0,) * a.ndim, bytes(s))
        with h5py.File(memory) as file:
            return file["u"][...]

    return Package(
        decode,
        {
            "abs": by(lambda e: hdf5plugin.Sperr(absolute=e, swap=True)),
            "rel": by(lambda e: hdf5plugin.SZ3(relative=e)),
            "psnr": by(lambda e: hdf5plugin.Sperr(peak_signal_to_noise_ratio=e, swap=True)),
            "ratio": by(lambda r: hdf5plugin.Sperr(rate=32 / r, swap=True)),
            "pw_rel": by(lambda e: hdf5plugin.SZ(pointwise_relative=e)),
            "lossless": by(lambda _: hdf5plugin.Zfp(reversible=True)),
        },
        "SPERR; rel SZ3; at each point SZ2; lossless ZFP",
    )


def of_numcodecs() -> Package:
    """Its own codecs, without those of other packages: decimal digits, or binary ones, then Zstandard."""
    from numcodecs import BitRound, Quantize, Shuffle, Zstd

    def rounded(a: np.ndarray, e: float) -> bytes:
        keep = next(bits for bits in range(1, 52) if 2.0 ** -(bits + 1) <= e)
        return Zstd(9).encode(Shuffle(a.itemsize).encode(BitRound(keep).encode(np.array(a))))

    def encode(a: np.ndarray, e: float) -> bytes:
        return Zstd(9).encode(
            Shuffle(a.itemsize).encode(
                Quantize(int(np.ceil(-np.log10(2 * e))), a.dtype).encode(np.ascontiguousarray(a))
            )
        )

    def decode(s: Any, a: np.ndarray) -> np.ndarray:
        return np.frombuffer(Shuffle(a.itemsize).decode(Zstd().decode(bytes(s))), a.dtype).reshape(a.shape)

    return Package(
        decode,
        {
            "abs": encode,
            "pw_rel": rounded,
            "lossless": lambda a, _: Zstd(9).encode(Shuffle(a.itemsize).encode(np.ascontiguousarray(a))),
        },
        "Quantize (at each point BitRound), Shuffle, Zstd",
    )


def of_pcodec() -> Package:
    from pcodec import ChunkConfig, standalone

    def encode(a: np.ndarray, _: float) -> bytes:
        return standalone.simple_compress(np.ascontiguousarray(a).reshape(-1), ChunkConfig())

    return Package(
        lambda s, a: standalone.simple_decompress(bytes(s)).reshape(a.shape),
        {"lossless": encode},
        "arrays as one axis, by `reshape`",
    )


def of_safeguards() -> Package:
    """The safeguards alone, as a compressor: over a codec that stores nothing."""
    from numcodecs_safeguards import SafeguardedCodec

    def codec(guard: dict[str, Any]) -> Any:
        return SafeguardedCodec(codec={"id": "zero"}, safeguards=[guard])

    made: dict[str, Any] = {}

    def by(guard: Callable[[float], dict[str, Any]]) -> Encode:
        def encode(a: np.ndarray, e: float) -> bytes:
            made["codec"] = codec(guard(e))
            return bytes(made["codec"].encode(np.ascontiguousarray(a)))

        return encode

    return Package(
        lambda s, a: np.asarray(made["codec"].decode(s)).reshape(a.shape),
        {
            "abs": by(lambda e: {"kind": "eb", "type": "abs", "eb": e, "equal_nan": True}),
            "pw_rel": by(lambda e: {"kind": "eb", "type": "rel", "eb": e, "equal_nan": True}),
            "lossless": by(lambda _: {"kind": "lossless"}),
        },
        "over the codec `zero`",
    )


def of_xbitinfo() -> Package:
    """Bits that hold information are kept, the others are set to zero; zlib codes what is left."""
    import zlib

    import xarray
    import xbitinfo

    def encode(a: np.ndarray, _: float) -> bytes:
        dataset = xarray.Dataset({"u": (tuple("abcde"[: a.ndim]), a)})
        bits = xbitinfo.get_keepbits(
            xbitinfo.get_bitinformation(dataset, dim="abcde"[a.ndim - 1], implementation="python")
        )
        return zlib.compress(xbitinfo.xr_bitround(dataset, bits)["u"].values.tobytes(), 9)

    return Package(
        lambda s, a: np.frombuffer(zlib.decompress(bytes(s)), a.dtype).reshape(a.shape),
        {"information": encode},
        "0.99 of the information, zlib",
    )


def of_ebcc() -> Package:
    """EBCC as it is compiled to WebAssembly for numcodecs: the package of that name on PyPI is another one."""
    from numcodecs_wasm_ebcc import Ebcc

    made = Ebcc(residual="absolute", error=1.0)

    def by(residual: str) -> Encode:
        return lambda a, e: bytes(np.asarray(Ebcc(residual=residual, error=e).encode(np.ascontiguousarray(a))))

    return Package(
        lambda s, a: np.asarray(made.decode(np.frombuffer(bytes(s), np.uint8))).reshape(a.shape),
        {"abs": by("absolute"), "rel": by("relative")},
        "numcodecs-wasm-ebcc",
    )


MAKE = {
    "fieldpress": of_fieldpress, "zfpy": of_zfpy, "pysz": of_pysz, "hdf5plugin": of_hdf5plugin,
    "numcodecs": of_numcodecs, "pcodec": of_pcodec, "compression-safeguards": of_safeguards, "xbitinfo": of_xbitinfo,
    "EBCC": of_ebcc,
}  # fmt: skip


def apart(work: Callable[..., Any], *arguments: Any, limit: float = 60) -> Any:
    """The result of a call in a process of its own, or what became of the process."""
    ours, theirs = multiprocessing.Pipe(duplex=False)

    def run() -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            theirs.send(work(*arguments))
        except Exception as error:  # noqa: BLE001 -- whatever a package raises is the answer
            text = str(error).strip().splitlines()
            theirs.send(f"{type(error).__name__}: {text[0] if text else ''}"[:70].replace("|", "/"))

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    theirs.close()
    try:
        return ours.recv() if ours.poll(limit) else "hangs"
    except EOFError:
        return "crashes"
    finally:
        process.kill()
        process.join()


def kinds(name: str) -> list[str]:
    return list(MAKE[name]().kinds)


def trial(name: str, kind: str) -> str:
    """Ratio, and the largest error over what was promised."""
    package, u = MAKE[name](), field()
    reach = float(np.ptp(u))
    asked = {"abs": SHARE * reach, "rel": SHARE, "psnr": DECIBELS, "ratio": 20.0, "pw_rel": SHARE}.get(kind, 0.0)
    encoded = package.kinds[kind](u, asked)
    decoded = package.decode(encoded, u).astype("f8")
    ratio = u.nbytes / len(bytes(encoded))
    errors = np.abs(decoded - u)
    if kind in ("abs", "rel"):
        return f"{ratio:.1f}, error {errors.max() / (SHARE * reach):.2f} of it"
    if kind == "psnr":
        return f"{ratio:.1f}, {20 * np.log10(reach / np.sqrt(np.mean(errors**2))):.1f} dB"
    if kind == "pw_rel":
        return f"{ratio:.1f}, error {(errors / np.abs(u)).max() / SHARE:.2f} of it"
    if kind == "lossless":
        return f"{ratio:.2f}" if np.array_equal(decoded.astype(u.dtype), u) else "not exact"
    return f"{ratio:.1f}, error {errors.max() / reach:.1e} of the range"


def comes_back(name: str, u: np.ndarray, bound: float, near: float) -> bool:
    """Whether shape and type come back, and values near."""
    package = MAKE[name]()
    decoded = package.decode(next(iter(package.kinds.values()))(u, bound), u)
    return (decoded.shape, decoded.dtype) == (u.shape, u.dtype) and bool(np.abs(decoded - u.astype("f8")).max() < near)


def axes(name: str) -> str:
    """Which numbers of axes come back."""
    shapes = (24576,), (192, 128), (16, 48, 32), (4, 4, 48, 32), (2, 2, 4, 48, 32)
    return ", ".join(str(len(shape)) for shape in shapes if apart(comes_back, name, field(shape), 0.01, 0.5) is True)


def types(name: str) -> str:
    """Which types come back as they are."""
    works = []
    for dtype in ("f2", "f4", "f8", "i2", "i4", "i8", "u2"):
        real = dtype[0] == "f"
        u = (field() if real else 1000 + 100 * field()).astype(dtype)
        if apart(comes_back, name, u, 0.01 if real else 1.0, 0.5 if real else 5.0) is True:
            works.append(f"{dtype[0]}{8 * int(dtype[1])}")
    return ", ".join(works)


def holes(name: str, mark: np.float32) -> str:
    """Whether a patch without data comes back, and the bound holds around it."""
    package, u = MAKE[name](), field()
    kind = next(iter(package.kinds))
    u[:, 7:15, 9:23] = mark
    valid = u != mark if np.isfinite(mark) else np.isfinite(u)
    encoded = package.kinds[kind](u, 0.01)
    decoded = package.decode(encoded, u)
    back = np.array_equal(decoded[~valid], u[~valid], equal_nan=True)
    largest = np.abs(decoded[valid].astype("f8") - u[valid]).max()
    around = "" if kind in ("lossless", "information") else f", around it {largest / 0.01:.3g} of the bound"
    return f"{'exact' if back else 'changed'}{around}; ratio {u.nbytes / len(bytes(encoded)):.1f}"


def layout(name: str) -> str:
    """Whether a transposed part of an array is taken, and comes back."""
    part = field((40, 70, 40))[2:34, 3:67, 4:36].transpose(0, 2, 1)
    return "taken" if comes_back(name, part, 0.01, 0.5) else "wrong values"


def encoded(name: str) -> bytes:
    package = MAKE[name]()
    return bytes(next(iter(package.kinds.values()))(field(), 0.01))


def decoded(name: str, data: bytes) -> bytes:
    package = MAKE[name]()
    if name in ("compression-safeguards", "hdf5plugin"):
        next(iter(package.kinds.values()))(field(), 0.01)  # what decodes is made with what encodes
    return package.decode(data, field()).tobytes()


def damage(name: str) -> str:
    """What one flipped bit does, at 24 places."""
    data = apart(encoded, name)
    if not isinstance(data, bytes):
        return str(data)
    whole = apart(decoded, name, data)
    counts = {"error": 0, "same values": 0, "other values": 0, "crashes": 0, "hangs": 0}
    for at in range(24):
        broken = bytearray(data)
        broken[len(data) * (2 * at + 1) // 48] ^= 0x10
        result = apart(decoded, name, bytes(broken), limit=20)
        if isinstance(result, bytes):
            counts["same values" if result == whole else "other values"] += 1
        else:
            counts[result if result in counts else "error"] += 1
    return ", ".join(f"{what} {count}" for what, count in counts.items() if count)


def threads(name: str) -> str:
    """Whether other threads of Python run while a field is compressed."""
    package, u = MAKE[name](), field((32, 128, 192))
    encode = next(iter(package.kinds.values()))
    encode(u[:8], 0.01)
    ticks: list[float] = []
    stop = threading.Event()

    def tick() -> None:
        while not stop.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    begin = time.perf_counter()
    encode(u, 0.01)
    end = time.perf_counter()
    stop.set()
    thread.join()
    inside = [at for at in ticks if begin < at < end]
    gap = max(np.diff([begin, *inside, end]))
    return "run on" if gap < 0.5 * (end - begin) else "wait"


def probe(name: str) -> dict[str, str]:
    """All cells of a package."""
    cells = {"version tried": version(DISTRIBUTION.get(name, name)), "by": apart(lambda: MAKE[name]().note)}
    there = apart(kinds, name)
    for kind in ("abs", "rel", "pw_rel", "psnr", "ratio", "lossless", "information"):
        cells[kind] = apart(trial, name, kind) if kind in there else "–"
    return cells | {
        "axes": axes(name),
        "types": types(name),
        "NaN": apart(holes, name, np.float32(np.nan)),
        "1e20": apart(holes, name, FILL),
        "layout": apart(layout, name),
        "threads": apart(threads, name),
        "damage": damage(name),
    }


TITLES = {
    "version tried": "version",
    "by": "codec tried",
    "abs": f"`abs`, {SHARE:g} of the range",
    "rel": f"`rel={SHARE:g}`",
    "pw_rel": f"relative at each point, {SHARE:g}",
    "psnr": f"PSNR {DECIBELS:g} dB",
    "ratio": "a size: a twentieth",
    "lossless": "without loss",
    "information": "by information",
    "axes": "axes",
    "types": "types",
    "NaN": "a patch of NaN",
    "1e20": "a patch of 1e20",
    "layout": "transposed part of an array",
    "threads": "other threads of Python",
    "damage": "a flipped bit, 24 places",
}


def table(found: dict[str, dict[str, str]]) -> str:
    """The cells as tables of a few packages each, so that they can be read."""
    out = []
    names = list(found)
    for some in (names[:3], names[3:6], names[6:]):
        shown = some if some[0] == "fieldpress" else ["fieldpress", *some]
        out.append("| | " + " | ".join(shown) + " |\n| --- |" + " --- |" * len(shown))
        out += [
            f"| {title} | " + " | ".join(found[name][row] for name in shown) + " |" for row, title in TITLES.items()
        ]
        out.append("")
    return "\n".join(out)


def main() -> None:
    """Installs, probes, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="where environments are made")
    parser.add_argument("--only", nargs="+", choices=list(PACKAGES), default=list(PACKAGES))
    parser.add_argument("--probe", choices=list(PACKAGES), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.probe:
        print(json.dumps(probe(given.probe)))
        return
    found = {}
    for name in given.only:
        python = Path(sys.executable)
        if PACKAGES[name]:
            python = given.folder / name / "bin/python"
            if not python.exists():
                subprocess.run([sys.executable, "-m", "venv", given.folder / name], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", "numpy", *PACKAGES[name]], check=True)
        done = subprocess.run([python, __file__, "--probe", name], check=True, stdout=subprocess.PIPE, text=True)
        found[name] = json.loads(done.stdout.splitlines()[-1])
        print(name, json.dumps(found[name], indent=1), file=sys.stderr)
    if set(found) == set(PACKAGES):
        before, _, rest = PAGE.read_text().partition(MARKS[0])
        PAGE.write_text(f"{before}{MARKS[0]}\n{table(found)}\n{MARKS[1]}{rest.partition(MARKS[1])[2]}")


if __name__ == "__main__":
    main()
