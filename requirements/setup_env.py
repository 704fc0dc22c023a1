"""Set up what ``make demo`` and ``make test`` need; ``--which`` prints the Python they use.

An active environment in which torch, torchvision and mmcv work is kept: only missing packages are installed, and no
installed version changes. Otherwise ``.venv`` is made, with the pinned versions in the files beside this one. Either is
done once; a stamp in the environment records the pins.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STARTED = time.monotonic()
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
VENV = ROOT / ".venv"
STAMP = "mmdataseg-setup.json"
PYTHONS = ((3, 10), (3, 11), (3, 12), (3, 13))

# mmcv and torchvision that were compiled for another torch can be imported, but fail when called
WORKS = (HERE / "check_mmcv.py").read_text()
PRESENT = (
    "from importlib.util import find_spec as f; raise SystemExit(not all(map(f, ('torch', 'torchvision', 'mmcv'))))"
)
# mmcv's setup.py compiles GPU operators, which needs nvcc, if torch sees a GPU or if the user asks for them
FOR_GPU = """
import os, torch
from torch.utils.cpp_extension import CUDA_HOME
raise SystemExit(os.environ.get("FORCE_CUDA") != "1" and not (CUDA_HOME and torch.cuda.is_available()))
"""
INSTALLED = """
import json
from importlib.metadata import distributions
print(json.dumps({d.metadata["Name"]: d.version for d in distributions() if d.metadata["Name"]}))
"""


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--which", action="store_true", help="print the Python that make uses, install nothing")
    args = parser.parse_args()
    active = active_python()
    if args.which:
        print(active or VENV / "bin" / "python")
    elif active:
        set_up(active, own=False)
    else:
        if not (VENV / "bin" / "python").exists():
            say_why_not_active()
            say(f"making {VENV}")
            subprocess.run([base_python(), "-m", "venv", str(VENV)], check=True)
        set_up(VENV / "bin" / "python", own=True)


def active_python() -> Path | None:
    """The Python of an active environment that can be used; None if there is none other than our own ``.venv``."""
    python = complete_python()
    return python if python and (stamped(prefix(python)) or succeeds(python, WORKS)) else None


def complete_python() -> Path | None:
    """The Python of an active environment other than ``.venv`` that has torch, torchvision and mmcv, working or not."""
    found = shutil.which("python") or shutil.which("python3")
    if found is None:
        return None
    python = Path(found)
    return python if prefix(python) != VENV and succeeds(python, PRESENT) else None


def say_why_not_active() -> None:
    """Show the error of an active environment that has all packages, before several GB are installed elsewhere."""
    python = complete_python()
    if python:
        say(f"not using {prefix(python)}: its torch, torchvision and mmcv fail")
        succeeds(python, WORKS, show=True)


def set_up(python: Path, *, own: bool) -> None:
    """Install missing packages and, editable, this package into the environment of ``python``, unless that was done
    before."""
    home = prefix(python)
    if stamped(home):
        return
    say(f"setting up {home}" + ("" if own else " (the active environment: nothing in it changes its version)"))
    if own:
        install_pins(python)
    else:
        install_missing(python)
    pip(python, "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    if own and not succeeds(python, WORKS, show=True):
        say("mmcv does not work with this torch; compiling it again, without grouping files")
        build_plainly(python, *pins("onedl")["onedl-mmcv"], "--force-reinstall", "--no-cache-dir")
        subprocess.run([python, "-c", WORKS], check=True)
    (home / STAMP).write_text(json.dumps(stamp_content()))
    minutes, seconds = divmod(round(time.monotonic() - STARTED), 60)
    hint = f"; in a shell, activate it: . {VENV.name}/bin/activate" if own else ""
    say(f"set-up is complete after {minutes} min {seconds} s{hint}")


def install_pins(python: Path) -> None:
    """Install the pinned versions in our own environment; pip keeps packages that have them already."""
    before, (mmcv,) = installed(python), pins("onedl")["onedl-mmcv"]
    pip(python, *constraint_args("torch", "runtime"), "--requirement", str(HERE / "torch.txt"))
    have = installed(python)
    fits = have.get("onedl-mmcv") == mmcv.partition("==")[2] and have.get("torch") == before.get("torch")
    if not fits or "setuptools" not in have:
        pip(python, "--requirement", str(HERE / "build.txt"))
    if not fits:
        build_mmcv(python, mmcv)
    files = [a for name in ("onedl", "runtime", "dev") for a in ("--requirement", str(HERE / f"{name}.txt"))]
    pip(python, *constraint_args("torch"), *files)


def build_mmcv(python: Path, mmcv: str) -> None:
    """Compile mmcv for the installed torch: in grouped files without GPU operators, otherwise by mmcv's own build."""
    if not succeeds(python, FOR_GPU):
        say("compiling mmcv for this torch, without GPU operators: about 3 minutes on 2 cores")
        if subprocess.run([python, str(HERE / "build_mmcv.py"), mmcv]).returncode == 0:
            return
        say("the fast build of mmcv failed, see above; building it without grouping files")
    build_plainly(python, mmcv)


def build_plainly(python: Path, mmcv: str, *args: str) -> None:
    """Compile mmcv by its own build, without pip's cache, which may hold a wheel for another torch."""
    say("compiling mmcv: 20 minutes or more on 2 cores, during which pip prints nothing")
    # hide a GPU if there is no nvcc: mmcv's setup.py would fail
    variables = {} if succeeds(python, FOR_GPU) else {"CUDA_VISIBLE_DEVICES": ""}
    pip(python, "--no-deps", "--no-build-isolation", *args, mmcv, **variables)


def install_missing(python: Path) -> None:
    """Install the missing packages into an active environment, without changing the version of any package in it."""
    have = installed(python)
    family = "openmmlab" if "mmcv" in have else "onedl"
    not_installed = missing(have, family)
    if not not_installed:
        return
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as frozen:
        frozen.writelines(f"{name}==={version}\n" for name, version in have.items())
        frozen.flush()
        try:
            pip(python, "--constraint", frozen.name, *not_installed)
        except subprocess.CalledProcessError:
            sys.exit(
                f"setup: cannot add {' '.join(not_installed)} to {prefix(python)} without changing installed versions. "
                "Deactivate it, and make creates its own .venv; or install these by hand"
            )


def missing(have: dict[str, str], family: str) -> list[str]:
    """Pinned requirements of which no version is installed."""
    build = {name: pins("build")[name] for name in ("setuptools", "wheel")}
    wanted = {**build, **pins(family), **pins("runtime"), **pins("dev")}
    return [line for name, lines in wanted.items() if name not in have for line in lines]


def pins(name: str) -> dict[str, list[str]]:
    """Normalised distribution name -> its lines in a file here; several if its version depends on Python's."""
    found: dict[str, list[str]] = {}
    for line in (HERE / f"{name}.txt").read_text().splitlines():
        text = line.partition("#")[0].strip()
        match = re.match(r"[A-Za-z0-9._-]+", text)
        if match:
            found.setdefault(normalised(match.group()), []).append(text)
    return found


def normalised(name: str) -> str:
    """Normalise a name: 'open_clip_torch' and 'open-clip-torch' are the same distribution."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(python: Path) -> dict[str, str]:
    """Normalised name -> version of every distribution in the environment of ``python``."""
    out = subprocess.run([python, "-c", INSTALLED], check=True, capture_output=True, text=True).stdout
    return {normalised(name): version for name, version in json.loads(out).items()}


def constraint_args(*names: str) -> list[str]:
    """pip's arguments that restrict versions to those in the files of pins."""
    return [a for name in names for a in ("--constraint", str(HERE / f"{name}.txt"))]


def base_python() -> str:
    """A Python that ``.venv`` can be made from."""
    if sys.version_info[:2] in PYTHONS:
        return sys.executable
    for major, minor in reversed(PYTHONS):
        found = shutil.which(f"python{major}.{minor}")
        if found:
            return found
    known = ", ".join(f"{a}.{b}" for a, b in PYTHONS)
    sys.exit(f"setup: needs Python {known}; found {sys.version.split()[0]} only. Install one of them")


def prefix(python: Path) -> Path:
    """Root folder of the environment of ``python``."""
    code = "import sys; print(sys.prefix)"
    return Path(
        subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    ).resolve()


def stamp_content() -> dict[str, str]:
    """What an environment was set up for: this source tree, these pins."""
    digest = hashlib.sha256()
    for path in sorted([*HERE.glob("*.txt"), ROOT / "setup.cfg"]):
        digest.update(path.read_bytes())
    return {"root": str(ROOT), "pins": digest.hexdigest()}


def stamped(home: Path) -> bool:
    """Whether this environment was set up for this source tree and these pins."""
    try:
        return json.loads((home / STAMP).read_text()) == stamp_content()
    except (FileNotFoundError, ValueError):
        return False


def succeeds(python: Path, code: str, *, show: bool = False) -> bool:
    """Whether the code runs without an error; with ``show`` its output is printed."""
    return subprocess.run([python, "-c", code], capture_output=not show).returncode == 0


def pip(python: Path, *args: str, **variables: str) -> None:
    """Run pip install and print its output, without the long list of installed requirements."""
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", *args]
    # torch looks for ninja on the PATH; without it, it compiles one file at a time
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, **variables}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        for line in process.stdout or ():
            if not line.startswith("Requirement already satisfied"):
                print(line, end="", flush=True)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


def say(text: str) -> None:
    """Print a message for the user, before pip's own output."""
    print(f"setup: {text}", flush=True)


if __name__ == "__main__":
    main()
