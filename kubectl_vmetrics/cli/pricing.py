"""--prices: from a path to a price list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kubectl_vmetrics.kube.errors import UsageError

if TYPE_CHECKING:
    from kubectl_vmetrics.allocation.prices import Prices


def prices(file: str | None) -> Prices | None:
    """The price list in a file; None without one. Raises UsageError for a file that cannot be used."""
    from kubectl_vmetrics.allocation import price_file

    if file is None:
        return None
    if not file:  # an empty variable: as a path, it would be the current folder
        raise UsageError('the path "" does not exist')
    try:
        with Path(file).open("rb") as opened:
            return price_file.parse(opened.read(price_file.LARGEST + 1).decode())
    except FileNotFoundError:
        raise UsageError(f'the path "{file}" does not exist') from None
    except OSError as error:
        raise UsageError(f"--prices {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"--prices {file}: not text in UTF-8") from None
    except ValueError as error:
        raise UsageError(f"--prices {file}: {error}") from None
