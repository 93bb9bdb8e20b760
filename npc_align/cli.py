"""What the commands share: errors a user can read, exit codes a script can trust, common options."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from npc_align.errors import UserError

DEFAULT_DOMAIN = "weapon_rental"
_DISK_FULL_SIGNS = ("No space left on device", "PytorchStreamWriter failed writing", "enforce fail at inline_container")
FAILED = 2  # of a command whose 1 means no
INTERRUPTED = 130  # what a shell reports for a command stopped by Ctrl-C


class MissingExtra(UserError):
    """A command needs a library of an extra that isn't installed."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(f"this needs {module}, which isn't installed; run: pip install 'npc-align[{extra}]'")


@contextmanager
def friendly_errors() -> Iterator[None]:
    """Turns what a user or the machine did wrong into one line on stderr and an exit code; a bug keeps its traceback."""
    try:
        yield
    except UserError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt as error:
        click.echo("Interrupted; nothing half-written is left. Run the same command again to go on.", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _disk_full(error.filename or "output") from error
        if error.filename is None:
            raise  # a closed pipe, say, which click itself handles
        raise click.ClickException(f"{error.filename}: {error.strerror}") from error
    except Exception as error:  # raised again unless it is a full disk
        # safetensors and torch report a full disk as errors of their own, by text only.
        if any(sign in str(error) for sign in _DISK_FULL_SIGNS):
            raise _disk_full("a checkpoint") from error
        raise


def _disk_full(what: str) -> click.ClickException:
    return click.ClickException(f"disk full while writing {what}; make room and run the same command again, it goes on")


class Question(click.Command):
    """A command whose exit code answers it: 0 yes, 1 no. So whatever else ends it exits with 2, a bug too, which keeps its traceback."""


class _Failed(click.ClickException):
    exit_code = FAILED


class FriendlyGroup(click.Group):
    """A command group whose commands end cleanly on a user's mistake, a full disk or Ctrl-C."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with friendly_errors():
                return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:  # raised again, with the exit code of a question that couldn't be answered
            if not isinstance(self.commands.get(ctx.invoked_subcommand or ""), Question):
                raise
            if isinstance(error, click.ClickException):
                raise error if error.exit_code == FAILED else _Failed(error.message) from error
            traceback.print_exc()
            raise click.exceptions.Exit(FAILED) from error


class FriendlyCommand(click.Command):
    """The same for a single command."""

    def invoke(self, ctx: click.Context) -> Any:
        with friendly_errors():
            return super().invoke(ctx)


def domain_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--domain`, the same for every command."""
    text = "A shipped domain, or the path of a domain.yaml."
    return click.option("--domain", "domain_name", default=DEFAULT_DOMAIN, show_default=True, metavar="NAME|PATH", help=text)(
        command
    )


def listed(text: str) -> list[str]:
    """The parts of an option's comma-separated value."""
    return [part.strip() for part in text.split(",") if part.strip()]


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--json`, for commands whose output is data."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")(command)
