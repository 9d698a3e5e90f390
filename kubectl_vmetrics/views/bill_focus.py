"""A bill for cost tools: FOCUS 1.2, with the columns of 1.3 for costs that are split.

focus.finops.org; the requirements of each column are those of
github.com/FinOps-Open-Cost-and-Usage-Spec/FOCUS_Spec/tree/working_draft/specification
"""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction

from kubectl_vmetrics.allocation.account import By, Kind
from kubectl_vmetrics.allocation.bill import Bill, Row
from kubectl_vmetrics.allocation.quantities import Resource, by_detail, rounded, shown, total
from kubectl_vmetrics.output.formats import View
from kubectl_vmetrics.output.table import Row as Cells

from .bill import object_names
from .bill_csv import PLACES, number
from .cells import moment

FOCUS = (
    *("AllocatedMethodDetails", "AllocatedMethodId", "AllocatedResourceId", "AllocatedResourceName", "AllocatedTags"),
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency"),
    *("BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription"),
    *("ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit"),
    *("ContractedCost", "EffectiveCost", "InvoiceId", "InvoiceIssuerName", "ListCost"),
    *("PricingCategory", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName"),
    *("RegionId", "RegionName", "ResourceId", "ResourceName", "ResourceType", "ServiceCategory", "ServiceName"),
    *("ServiceSubcategory", "SubAccountId", "SubAccountName", "SubAccountType", "Tags", "x_Coverage", "x_Source"),
)
_SERVICES: dict[Resource, tuple[str, str, str, str]] = {
    Resource.CPU: ("Compute", "Containers", "CPU", "Core-Hours"),
    Resource.MEMORY: ("Compute", "Containers", "Memory", "GiB-Hours"),
    Resource.GPU: ("Compute", "Containers", "GPU", "GPU-Hours"),
    Resource.CLAIM: ("Storage", "Block Storage", "Volumes", "GiB-Hours"),
    Resource.NETWORK_OUT: ("Networking", "Other (Networking)", "Network, sent", "GB"),
    Resource.NETWORK_IN: ("Networking", "Other (Networking)", "Network, received", "GB"),
    Resource.CONTROL_PLANE: ("Compute", "Containers", "Control planes", "Hours"),
    Resource.VM: ("Compute", "Virtual Machines", "Virtual machines", "Hours"),
}
"""ServiceCategory and ServiceSubcategory as FOCUS allows them, then our name and unit."""
_METHOD = "vmetrics-greater-of-used-and-requested"
_RATIO = 10**9


def view(bill: Bill) -> View:
    """A row for each account and resource; `bill` has prices.

    The cost of one resource of the whole host is the charge that is split; idle, unmeasured and overcommitted capacity
    are its parts that are allocated to nobody.
    """
    rows: list[Cells] = []
    for resource in Resource:
        charged = [row for row in bill.rows if total(row.billed, resource)]
        ratios = _ratios([Fraction(total(row.billed, resource)) for row in charged])
        rows += [_focus(bill, row, resource, ratio) for row, ratio in zip(charged, ratios, strict=True)]
    sharing = [row for row in bill.rows if row.shared]
    ratios = _ratios([Fraction(row.shared_cost or 0) for row in sharing])
    rows += [_shared(bill, row, ratio) for row, ratio in zip(sharing, ratios, strict=True)]
    return View(FOCUS, rows, dict, lambda: object_names(bill))


def _ratios(amounts: list[Fraction]) -> list[float]:
    """Shares of a whole, to nine digits, which add up to 1."""
    whole = sum(amounts)
    parts = [amount / whole if whole else Fraction(1, len(amounts)) for amount in amounts]
    return [part / _RATIO for part in rounded([part * _RATIO for part in parts])]


def _focus(bill: Bill, row: Row, resource: Resource, ratio: float) -> Cells:
    category, subcategory, service, unit = _SERVICES[resource]
    quantity = shown(total(row.billed, resource), resource)
    account = row.account
    details = {"Elements": [{"AllocatedRatio": ratio, "UsageUnit": unit, "UsageQuantity": round(quantity, PLACES)}]}
    kinds = ", ".join(f"{_DETAILS[resource]} {key}" for key in by_detail(row.billed, resource) if key)
    described = f"{service}{f' ({kinds})' if kinds else ''} of {account.path}"
    given = {
        "AllocatedMethodDetails": json.dumps(details),
        "AllocatedMethodId": _METHOD,
        "ChargeCategory": "Adjustment" if account.kind is Kind.OVERCOMMITTED else "Usage",
        "ChargeDescription": described,
        "PricingQuantity": number(quantity),
        "PricingUnit": unit,
        "ConsumedQuantity": number(quantity) if account.kind is not Kind.OVERCOMMITTED else "",
        "ConsumedUnit": unit if account.kind is not Kind.OVERCOMMITTED else "",
        "ServiceCategory": category,
        "ServiceSubcategory": subcategory,
        "ServiceName": service,
    }
    return _cells(bill, row, (row.costs or {}).get(resource, Decimal(0)), given)


_DETAILS = dict.fromkeys(Resource, "") | {
    Resource.GPU: "model",
    Resource.CLAIM: "storage class",
    Resource.VM: "size",
}


def _shared(bill: Bill, row: Row, ratio: float) -> Cells:
    """What a tenant pays of the host's own pods."""
    details = {"Elements": [{"AllocatedRatio": ratio, "UsageUnit": "Shares", "UsageQuantity": 1}]}
    given = {
        "AllocatedMethodDetails": json.dumps(details),
        "AllocatedMethodId": f"vmetrics-shared-{bill.share.value}",
        "ChargeCategory": "Usage",
        "ChargeDescription": f"The host's own pods, split among tenants ({bill.share.value}), for {row.account.path}",
        "PricingQuantity": "1",
        "PricingUnit": "Shares",
        "ServiceCategory": "Management and Governance",
        "ServiceSubcategory": "Other (Management and Governance)",
        "ServiceName": "Shared",
    }
    return _cells(bill, row, row.shared_cost or Decimal(0), given)


def _cells(bill: Bill, row: Row, cost: Decimal, given: dict[str, str]) -> Cells:
    account, amount = row.account, str(cost)
    tags = {key: value for key, value in (("owner", row.owner.name), ("project", row.owner.project)) if value}
    payer = row.owner.name or row.owner.project or (account.name if bill.by is By.OWNER else "")
    home = account.vcluster.path if account.vcluster else account.namespace
    start, end = moment(bill.window.start), moment(bill.window.end)
    found = {
        "AllocatedResourceId": account.path if account.tenant else "",
        "AllocatedResourceName": (account.name or home or account.path) if account.tenant else "",
        "AllocatedTags": json.dumps(tags) if tags else "",
        "BilledCost": amount,
        "BillingAccountId": payer or "host",
        "BillingAccountName": payer or "host",
        "BillingAccountType": "Owner",
        "BillingCurrency": bill.currency,
        "BillingPeriodEnd": end,
        "BillingPeriodStart": start,
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodEnd": end,
        "ChargePeriodStart": start,
        "ContractedCost": amount,
        "EffectiveCost": amount,
        "InvoiceIssuerName": bill.provider,
        "ListCost": amount,
        "PricingCategory": "Standard",
        "ProviderName": bill.provider,
        "PublisherName": bill.provider,
        "ResourceId": "host",
        "ResourceName": "host",
        "ResourceType": "Kubernetes cluster",
        "SubAccountId": home if account.tenant else "",
        "SubAccountName": home if account.tenant else "",
        "SubAccountType": "Virtual cluster or namespace" if account.tenant and home else "",
        "x_Coverage": json.dumps({item.metric: round(item.share, 4) for item in bill.coverage}),
        "x_Source": bill.source,
        **given,
    }
    return [found.get(column, "") for column in FOCUS]
