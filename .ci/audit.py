"""Ask for known vulnerabilities of the packages listed in a file, as `pip freeze` writes it.

Ends with 1 when there are any, or when the question itself failed. Where the advisories cannot be reached,
or do not know a package, nothing is known of it: that is said, and no failure, since it depends on the
network and not on the change.
"""

import json
import subprocess
import sys
from pathlib import Path

_NO_NETWORK = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "NameResolutionError")


def main(listed: str) -> int:
    command = [
        Path(sys.executable).with_name("pip-audit"),
        "--progress-spinner=off",
        "--format=json",
    ]
    options = ["--no-deps", "--disable-pip", "--requirement", listed]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return _failed(done.stderr)
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    bad = [package for package in packages if package.get("vulns")]
    for package in bad:
        for found in package["vulns"]:
            fixed = ", ".join(found["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {found['id']}, mended in {fixed}")
    audited = len(packages) - len(unknown)
    print(f"{audited} of {len(packages)} packages audited, {len(bad)} with known vulnerabilities")
    if unknown:
        print(f"nothing is known of: {', '.join(unknown)}")
    return 1 if bad else 0


def _failed(errors: str) -> int:
    """Tell why there is no answer: only a network that is not there is no failure."""
    lines = errors.strip().splitlines()
    print(f"not audited: {lines[-1] if lines else 'no answer'}")
    if any(word in errors for word in _NO_NETWORK):
        return 0
    print(errors, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
