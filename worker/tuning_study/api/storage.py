"""`spec.storage`: a database of the study's own."""

from pydantic import Field

from tuning_study.api.field_types import ObjectName
from tuning_study.api.rules import Model


class Storage(Model):
    """A PostgreSQL of your own for this study. If left out, the operator's is used."""

    secret_name: ObjectName = Field(
        description="Name of a Secret in the study's namespace that holds the database URL. Example: my-postgres."
    )
    key: str = Field(
        "url",
        min_length=1,
        max_length=253,
        pattern=r"^[-._a-zA-Z0-9]+$",
        description="Key of the Secret whose value is the URL, postgresql://USER:PASSWORD@HOST/DATABASE. Default: url.",
    )
