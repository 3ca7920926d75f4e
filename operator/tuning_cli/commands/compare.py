"""`tuning compare`: one study with several samplers or pruners, on this machine."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuning_cli.options import Output
from tuning_cli.output import Format, render
from tuning_client.exceptions import WrongUse
from tuning_report.format import visible

if TYPE_CHECKING:
    from tuning_client.local.comparing import Compared
    from tuning_client.studyfile import StudyFile
    from tuning_client.variants import Part, Variant


def compare(
    file: Annotated[Path, typer.Argument(help="The study's manifest; - reads standard input.", metavar="FILE")],
    samplers: Annotated[
        str | None, typer.Option(metavar="LIST", help="As TPE,CmaEs,'As written'; options as in YAML: {type: …}.")
    ] = None,
    pruners: Annotated[str | None, typer.Option(metavar="LIST", help="As None,Median,Hyperband.")] = None,
    repeats: Annotated[int, typer.Option(min=1, max=100, help="Seeds, each of which every one of the list gets.")] = 5,
    trials: Annotated[int | None, typer.Option(min=1, max=1_000_000, help="By default spec.budget.trials.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=1000, help="By default spec.workers.replicas.")] = None,
    storage: Annotated[
        str | None, typer.Option(metavar="URL", help="A store instead of the PostgreSQL in .tuning.")
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with curves too.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Compare samplers or pruners on one study here: the same budget and the same seeds for each.

    Every run is a study of its own, NAME-compare-SAMPLER-SEED. Ctrl-C keeps what is done, and the same command goes on;
    with more --repeats or --trials it adds what is missing. Progress goes to standard error.
    """
    from tuning_client import studyfile, variants
    from tuning_client.display import display_on_stderr
    from tuning_client.local.comparing import compare as run_all

    part, text = _part(samplers, pruners)
    study = studyfile.read(file)
    found = variants.variants(study, part, text, trials)
    number = workers or study.spec.workers.replicas
    compared = run_all(
        study,
        found,
        repeats=repeats,
        workers=number,
        storage=storage,
        display=display_on_stderr(),
        prunes=part == "pruner",
    )
    _tell(compared, study, part, found, number, report, output)
    if compared.signal is not None:
        print(visible(f"stopped; `tuning {shlex.join(sys.argv[1:])}` goes on from here"), file=sys.stderr)
        raise typer.Exit(128 + compared.signal)


def _part(samplers: str | None, pruners: str | None) -> "tuple[Part, str]":
    if samplers is not None and pruners is None:
        return "sampler", samplers
    if pruners is not None and samplers is None:
        return "pruner", pruners
    raise WrongUse("say what to compare, with --samplers TPE,CmaEs,Random or with --pruners None,Median,Hyperband")


def _tell(
    compared: "Compared",
    study: "StudyFile",
    part: "Part",
    found: "list[Variant]",
    workers: int,
    report: Path | None,
    output: Format,
) -> None:
    from tuning_client.variants import left_out
    from tuning_report import comparison

    if not compared.histories:
        print("no seed has a run of each yet, so there is nothing to compare", file=sys.stderr)
        return
    told = comparison.Told(
        study=study.name,
        part=part,
        workers=workers,
        budget=found[0].spec.budget.trials,
        left_out=left_out(study.spec),
        histories=compared.histories,
        names=[variant.label for variant in found],
    )
    print(render(output, comparison.data(told), "\n".join(comparison.lines(told))))
    if report is not None:
        from tuning_report import page

        page.write_comparison(told, report)
        print(f"report: {report}", file=sys.stderr)
