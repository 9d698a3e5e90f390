"""-o, -w and --no-headers: the same for every command that shows a table."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from kubectl_vmetrics.kube import duration
from kubectl_vmetrics.kube.errors import UsageError, VmetricsError
from kubectl_vmetrics.metrics.metrics_api import Skipped
from kubectl_vmetrics.output import formats
from kubectl_vmetrics.output.formats import View
from kubectl_vmetrics.output.terminal import Environment

from .command import PROGRAM, cluster_flags

if TYPE_CHECKING:
    from kubectl_vmetrics.output.jsonpath import Path


class Outcome(NamedTuple):
    """What a command found.

    Attributes:
        view: what to show.
        empty: the message if the view has no rows.
        warnings: what could not be resolved.
        skipped: what could not be read.
        failed: whether the exit code is 1 although everything could be shown.
        partial: whether rows or numbers are missing because they could not be read; the warnings name them.
    """

    view: View
    empty: str = "No resources found"
    warnings: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    failed: bool = False
    partial: bool = False


_WATCHED = "With --watch: refresh interval (minimum 500ms)."


WHEN = ("auto", "always", "never")
_PATH = f"{__name__}.path"


def _keep(context: click.Context, option: click.Parameter, value: Any) -> None:
    """Remember how to draw tables: no command has to pass it on."""
    if option.name == "color" and value not in WHEN:
        raise UsageError(f"--color accepts only {', '.join(WHEN)}")
    context.meta[f"{__name__}.{option.name}"] = value


def color_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --color."""
    return click.option(
        "--color",
        default="auto",
        show_default=True,
        expose_value=False,
        callback=_keep,
        help="When to color output: auto (on a terminal without NO_COLOR), always or never.",
    )(command)


def no_fit_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --no-fit."""
    return click.option(
        "--no-fit",
        is_flag=True,
        expose_value=False,
        callback=_keep,
        help="Do not shorten or leave out text to fit the terminal.",
    )(command)


def coloured(context: click.Context) -> bool:
    """Whether to color output, by --color and the environment."""
    when = context.meta.get(f"{__name__}.color", "auto")
    environment: Environment = context.obj
    return environment.colours if when == "auto" else bool(when == "always")


def output_options(command: Callable[..., Any], interval: str = _WATCHED) -> Callable[..., Any]:
    """Add -o, --no-headers, -w and --interval."""
    for option in (
        click.option("--interval", default="15s", show_default=True, help=interval),
        click.option(
            "-w", "--watch", is_flag=True, help="Refresh every --interval; redraws in a terminal, appends when piped."
        ),
        click.option("--no-headers", is_flag=True, help="Do not print headers."),
        no_fit_option,
        color_option,
        click.option(
            "--bars", is_flag=True, expose_value=False, callback=_keep, help="Add a bar beside each share of a table."
        ),
        click.option(
            "-o",
            "--output",
            default="",
            help="Output format: wide, json, yaml, csv, name, jsonpath=…, custom-columns=…, or a format of tabulate: "
            "github, html, …",
        ),
    ):
        command = option(command)
    return command


def sampling_options(shortest: float) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the same options where --interval is the time between two samples; `shortest` is in seconds."""
    text = f"Time between two samples: {duration.render(shortest)} or more; with --watch, also the refresh interval."
    return lambda command: output_options(command, text)


def sort_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --sort-by."""
    return sorted_by("Sort by cpu or memory, in descending order")(command)


def sorted_by(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --sort-by; `text` says by what, without a period. A JSONPath expression is taken care of by Show."""
    more = ", or, with -o json, yaml, jsonpath or custom-columns, by a JSONPath expression."
    return click.option("--sort-by", default="", callback=_sort_by, help=text + more)


def _sort_by(context: click.Context, _: click.Parameter, value: str) -> str:
    if not value.startswith((".", "{")):
        return value
    from kubectl_vmetrics.output.jsonpath import Path

    try:
        context.meta[_PATH] = Path(value)
    except ValueError as error:
        raise UsageError(f"--sort-by: {error}") from None
    return ""


def check_sort(sort_by: str, known: Iterable[str] = ("cpu", "memory")) -> None:
    """Raises UsageError, as kubectl, for a value that is not known."""
    listed = list(known)
    if sort_by and sort_by not in listed:
        raise UsageError(f"--sort-by accepts only {', '.join(listed[:-1])} or {listed[-1]}")


class Show:
    """How to show what a command finds.

    Args:
        context: of the command.
        output, no_headers, watch, interval: what output_options add.
        shortest: the shortest interval, in seconds, and why.

    Attributes:
        shown: what was found last.

    Raises:
        UsageError: an unknown format, or an invalid interval.
    """

    shown: Outcome | None = None

    def __init__(
        self,
        context: click.Context,
        output: str,
        no_headers: bool,
        watch: bool,
        interval: str,
        *,
        shortest: tuple[float, str] = (0.5, "metrics are updated about every 15 seconds"),
    ) -> None:
        self.environment: Environment = context.obj
        self.output = output
        self.fits = not context.meta.get(f"{__name__}.no_fit")
        self.bars = bool(context.meta.get(f"{__name__}.bars"))
        self.coloured = coloured(context) and output in formats.TABLES
        self.verbose = bool(cluster_flags(context).get("verbosity"))
        if self.bars and output not in formats.TABLES:
            raise UsageError(f"--bars requires a table, not -o {output}")
        self.headers = not no_headers
        self.watch = watch
        self.title = context.command_path.removeprefix(PROGRAM).strip()
        try:
            formats.check(output)
        except ValueError as error:
            raise UsageError(str(error)) from None
        self._path: Path | None = context.meta.get(_PATH)
        if self._path and not self.document:
            raise UsageError("--sort-by with a JSONPath expression requires -o json, yaml, jsonpath or custom-columns")
        try:
            self.interval = duration.parse(interval if not interval.isdigit() else f"{interval}s")
        except ValueError:
            raise UsageError(f"--interval: {interval!r} is not a duration (example: 15s, 1m30s)") from None
        least, why = shortest
        if self.interval < least:
            raise UsageError(f"--interval must be {duration.render(least)} or more: {why}")

    @property
    def document(self) -> bool:
        """Whether objects are printed rather than rows."""
        return formats.is_document(self.output)

    @property
    def wide(self) -> bool:
        """Whether the columns of -o wide are shown."""
        return self.output == "wide"

    @property
    def details(self) -> bool:
        """Whether everything is printed that is known, although it takes more requests."""
        return self.wide or self.document or self.output == "csv"

    def run(self, find: Callable[[], Outcome]) -> int:
        """Find and print, once or, with --watch, until Ctrl-C. Returns the exit code."""
        if self.watch:
            return self._watch(find)
        with self.waiting():
            outcome = find()
        Show.shown = outcome  # to free 100,000 rows takes as long as to print them, and the process ends with them
        self.environment.stdout.write(self._text(outcome, headers=self.headers))
        self.environment.stdout.flush()
        for note in self._notes(outcome):
            self.environment.say(note)
        return 1 if outcome.skipped or outcome.failed or outcome.partial else 0

    def waiting(self) -> contextlib.AbstractContextManager[object]:
        """For `with`: a spinner on stderr for a person who waits."""
        if not self.environment.advises or self.verbose:
            return contextlib.nullcontext()
        from kubectl_vmetrics.kube import credentials
        from kubectl_vmetrics.output.spinner import Spinner

        return Spinner(self.environment, credentials.plugin_runs)

    def _text(self, outcome: Outcome, *, headers: bool) -> str:
        if not outcome.view.rows and not self.document:
            return ""
        view = outcome.view
        if self.document:
            return self._objects(view, headers=headers)
        if self.bars:
            from kubectl_vmetrics.output import bars

            headers_, rows, footer, added = bars.add(view.headers, view.rows, view.footer)
            view = view._replace(headers=headers_, rows=rows, footer=footer, spare=(*added, *(view.spare or ())))
        width = self.environment.width if self.fits and self.output in formats.TABLES else None
        if width and (view.spare is not None or self.watch):
            from kubectl_vmetrics.output import fit

            fitting = fit.fit(view.headers, view.rows, view.footer, width, view.spare or (), cut=self.watch)
            if self.bars and fit.excess(*fitting, width) > 0:  # without room for numbers, there is none for bars
                view = outcome.view
                fitting = fit.fit(view.headers, view.rows, view.footer, width, view.spare or (), cut=self.watch)
            view = view._replace(headers=fitting[0], rows=fitting[1], footer=fitting[2])
            text = formats.render(view, self.output, headers=headers, coloured=self.coloured)
            # kubectl's tables end in spaces, which would begin a new line on a screen that is just wide enough.
            return "".join(f"{line.rstrip()}\n" for line in text.splitlines())
        return formats.render(view, self.output, headers=headers, coloured=self.coloured)

    def _objects(self, view: View, *, headers: bool) -> str:
        """Objects, or what a template finds in them, in the order of --sort-by."""
        try:
            if self._path:
                from kubectl_vmetrics.output import sorting

                document = view.document()
                if isinstance(document.get("items"), list):
                    document["items"] = sorting.by(self._path, document["items"])
                view = view._replace(document=lambda: document)
            return formats.render(view, self.output, headers=headers)
        except ValueError as error:
            raise VmetricsError(str(error)) from None

    def _notes(self, outcome: Outcome) -> list[str]:
        notes = [f"Warning: {warning}" for warning in outcome.warnings]
        if outcome.skipped:
            count = len(outcome.skipped)
            some = "; ".join(f"{what} ({why})" for what, why in outcome.skipped[:3])
            rest = f"; and {count - 3} more" if count > 3 else ""
            notes.append(f"error: {count} {'item' if count == 1 else 'items'} could not be read: {some}{rest}")
        elif not outcome.view.rows:
            notes.append(outcome.empty)
        return notes

    def _watch(self, find: Callable[[], Outcome]) -> int:
        import gc

        from kubectl_vmetrics.output import watch

        gc.enable()
        last = ""
        failed_before = False

        def frame() -> watch.Frame:
            nonlocal last, failed_before
            try:
                outcome = find()
            except VmetricsError as error:
                if not last and not failed_before:
                    raise  # what fails at once is not worth waiting for
                failed_before = True
                return watch.Frame(last if self.environment.paints else "", error.line)
            failed_before = False
            notes = " ".join(self._notes(outcome))
            # A table on a pipe is read by a program: headers once for csv, each time where it is a table to look at.
            headers = self.headers and not (last and self.output == "csv")
            text = self._text(outcome, headers=headers)
            last = text or last
            return watch.Frame(text, notes)

        watch.run(self.environment, self.interval, frame, f"Every {duration.render(self.interval)}: {self.title}")
        return 0
