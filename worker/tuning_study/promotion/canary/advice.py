"""What a canary's manifest asks for that its time can hardly show. Asked by whoever reads a manifest."""

import re
from collections.abc import Iterator

from tuning_study.api.canary import Canary
from tuning_study.api.duration import format_duration
from tuning_study.promotion.canary.requests_needed import requests_needed

_RATES = (0.01, 0.05)  # shares of bad requests, for which requests are told: the manifest does not name them
_RATE = re.compile(r"\b(rate|irate|increase|delta|idelta)\s*\(")
_SECOND = 1.0  # requests on the canary that are not worth a sentence


def advice_on_canary(canary: Canary) -> Iterator[str]:
    """One sentence for each metric whose margin takes more than a request a second, with its place."""
    for metric in canary.metrics:
        for field, query in (("bad", metric.bad), ("total", metric.total)):
            if query is not None and _RATE.search(query) is not None:
                yield (
                    f"promotion.canary.metrics.{metric.name}: `{field}` is a rate, whose growth would be taken for"
                    " requests: write the counter itself, as in sum(requests_total{ {{variant}} })"
                )
    seconds = (canary.for_ - canary.warmup).total_seconds()
    for metric in canary.metrics:
        if not metric.compares:
            continue
        needed = [max(canary.min_samples, requests_needed(rate, metric.margin, canary.alpha)) for rate in _RATES]
        if needed[0] / seconds <= _SECOND:
            continue
        told = " and ".join(
            f"{requests:,} where {rate:.0%} of them are bad ({_rounded(requests / seconds)} a second)"
            for requests, rate in zip(needed, _RATES, strict=True)
        )
        yield (
            f"promotion.canary.metrics.{metric.name}: {format_duration(canary.for_)} at 1 request a second cannot show "
            f"a margin of {100 * metric.margin:g} %: it takes about {told} on the canary, and as many on stable; write "
            "a longer `for`, or a larger `margin`"
        )


def _rounded(rate: float) -> str:
    return f"{rate:.2g}" if rate < 10 else f"{rate:,.0f}"
