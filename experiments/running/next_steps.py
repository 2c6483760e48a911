"""What to do with a run that is finished."""

import shlex
import shutil
import sys
from pathlib import Path

from experiments.configuration.execution import Execution
from experiments.configuration.settings import Settings
from slotjax import data


def next_steps(settings: Settings, execution: Execution) -> dict[str, str]:
    """Commands that go on from a run, in words and as they are typed.

    >>> from experiments.flags.resolve import Request, resolve
    >>> steps = next_steps(resolve(Request()), Execution(workdir="runs/one"))
    >>> steps["next: pack it"].partition(" -m ")[2]
    'experiments.export --workdir=runs/one --out=lenet.ticket'
    """
    ticket, workdir = f"{settings.model}.ticket", shlex.quote(str(execution.workdir))
    more = f" --data_dir={shlex.quote(execution.data_dir)}" if execution.data_dir else ""
    more = " --sample=200" if settings.dataset in data.TEXTS else more
    packing = {
        "next: pack it": f"{python()} -m experiments.export --workdir={workdir} --out={ticket}",
        "next: evaluate the ticket": f"{python()} -m experiments.evaluate --ticket={ticket}{more}",
    }
    return {
        # Expected weights have no ticket, because no mask stands for them.
        **(packing if settings.evaluation != "expected" else {}),
        "next: look at its curves": f"{workdir}/curves.png, or tensorboard --logdir={workdir}",
        "if a run is interrupted": "the same command resumes it",
    }


def python() -> str:
    """How this Python is called from here, as briefly as possible."""
    if shutil.which("python") == sys.executable:
        return "python"
    here = Path(sys.executable)
    return str(here.relative_to(Path.cwd())) if here.is_relative_to(Path.cwd()) else sys.executable
