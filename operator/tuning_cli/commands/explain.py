"""The command that tells what a field of a TuningStudy means, with no cluster: from the models the CRD is made of."""

import json
from typing import Annotated

import typer

from tuning_cli.options import Output
from tuning_cli.output import Format, render
from tuning_client.exceptions import WrongUse


def explain(
    field: Annotated[
        str, typer.Argument(help="Such as spec.objective, or parameters[0].min; by default the whole resource.")
    ] = "",
    recursive: Annotated[bool, typer.Option("--recursive", help="Print the names of all fields below it.")] = False,
    schema: Annotated[
        bool,
        typer.Option("--schema", help="Print the manifest's JSON schema, for the YAML language server of editors."),
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Explain a field of a study's manifest or status, as `kubectl explain` does: meaning, type, default and limits.

    `spec.` may be left out. With -o json or yaml it prints the field's schema. For an editor, write
    `tuning explain --schema > study.schema.json`, and in the manifest's first line
    `# yaml-language-server: $schema=study.schema.json`.
    """
    from tuning_cli import explanation
    from tuning_study.api.crd import study_schema
    from tuning_study.editor_schema import editor_schema

    if schema:
        if field:
            raise WrongUse("--schema is of the whole manifest: leave out the field, or write -o json")
        print(json.dumps(editor_schema(), indent=1, ensure_ascii=False))
        return
    found = explanation.find(study_schema(), field)
    print(render(output, found.schema, explanation.tree(found) if recursive else explanation.text(found)))
