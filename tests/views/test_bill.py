"""The table, the document and the rows for other programs of `bill`, for a host with hostile names."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import shutil
import subprocess
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from kubectl_vmetrics.allocation.account import By
from kubectl_vmetrics.allocation.bill import Bill, Share
from kubectl_vmetrics.allocation.making import Question
from kubectl_vmetrics.output import formats
from kubectl_vmetrics.views import bill as view
from kubectl_vmetrics.views import bill_csv, bill_focus
from tests.allocation.made_up import HOSTILE, PRICES, SHOP, bill

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "Bill.json").read_text())
QUESTIONS = [
    Question(by, share, prices)
    for by in By
    for share, prices in ((Share.NONE, None), (Share.EVEN, PRICES), (Share.BY_USAGE, PRICES))
]


def ids(question: Question) -> str:
    return f"{question.by.value}-{question.share.value}-{question.prices is not None}"


def table(found: Bill) -> str:
    return "".join(f"{line.rstrip()}\n" for line in formats.render(view.view(found, wide=False), "").splitlines())


def test_the_table() -> None:
    assert (
        table(bill(Question(By.VCLUSTER, Share.BY_USAGE, PRICES)))
        == """\
NAME                        OWNER                              PROJECT    CPU-USED   CPU-REQ    CPU(core-h)   MEM-USED   MEM-REQ    MEMORY(GiB-h)   GPU(h)     VOL(GiB-h)   COST(EUR)
team-a/shop                 ann                                web-shop   3.600      0.700      3.746         1.200      0.500      1.241           0.000      20.000       1.02
team-b/bank                 =HYPERLINK("http://example.com")   @bank      1.000      3.500      4.049         2.000      4.000      4.138           2.000      0.000        6.51
team-c/=cmd|' /C calc'!A0   <none>                             <none>     0.125      0.000      0.126         0.000      0.000      0.000           0.000      0.000        0.00
machines                    <none>                             <none>     0.250      0.000      0.253         0.500      0.000      0.517           0.000      0.000        0.03
owned                       -2+3                               <none>     0.050      0.000      0.051         0.100      0.000      0.104           0.000      0.000        0.00
<shared>                    <none>                             <none>     0.100      0.100      0.000         0.200      0.000      0.000           0.000      0.000        0.00
<idle>                      <none>                             <none>     0.000      0.000      1.775         0.000      0.000      26.000          0.000      0.000        0.17
<overcommitted>             <none>                             <none>     0.000      0.000      -2.000        0.000      0.000      0.000           0.000      0.000        -0.06
                                                                          ________   ________   ________      ________   ________   ________        ________   ________     ________
                                                                          5.125      4.300      8.000         4.000      4.500      32.000          2.000      20.000       7.67
"""
    )


def test_what_a_bill_rests_on() -> None:
    assert view.said(bill()) == [
        "Window: 2026-11-24T06:00:00Z to 2026-11-24T08:00:00Z, compared every 1h",
        "Source: monitoring/prometheus-k8s; names: vcluster_pod_info",
        "Coverage: cpu 100%, memory 100%, requests 100%, network 75%, volumes 100%, allocatable 100%, gpu 100%",
        "Note: overcommitted is what was billed beyond the host's allocatable capacity: some containers used more than "
        "they requested while the requests of others were billed as well",
        "Note: team-b/bank is odd",
    ]


@pytest.mark.parametrize("question", QUESTIONS, ids=ids)
def test_columns_add_up_as_they_are_printed(question: Question) -> None:
    shown = view.view(bill(question))
    lead = [index for index, cell in enumerate(shown.footer[1]) if cell]

    assert lead
    for index in lead:
        assert sum(Decimal(row[index]) for row in shown.rows) == Decimal(shown.footer[1][index])


@pytest.mark.parametrize("question", QUESTIONS, ids=ids)
def test_the_document_has_its_schema(question: Question) -> None:
    found = bill(question)
    text = formats.render(view.view(found), "json")

    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(text))
    assert "<script>" not in text or question.by in (By.NAMESPACE, By.WORKLOAD)


OPENCOST = {
    *("name", "properties", "window", "start", "end", "minutes", "cpuCores", "cpuCoreRequestAverage"),
    *("cpuCoreUsageAverage", "cpuCoreHours", "cpuCost", "cpuEfficiency", "gpuCount", "gpuHours", "gpuCost"),
    *("networkTransferBytes", "networkReceiveBytes", "networkCost", "pvBytes", "pvByteHours", "pvCost", "ramBytes"),
    *("ramByteRequestAverage", "ramByteUsageAverage", "ramByteHours", "ramCost", "ramEfficiency", "sharedCost"),
    "totalCost",
}
"""Fields of OpenCost's AllocationJSON (core/pkg/opencost/allocation_json.go) that a bill has something for."""


def test_data_are_those_of_opencost() -> None:
    document = view.document(bill(Question(By.VCLUSTER, Share.EVEN, PRICES)))

    (allocations,) = document["data"]
    for name, found in allocations.items():
        assert found["name"] == name
        assert found.keys() >= OPENCOST
    bank = allocations["team-b/bank"]
    assert bank["properties"] == {
        "kind": "vcluster",
        "owner": '=HYPERLINK("http://example.com")',
        "project": "@bank",
        "vcluster": {"name": "bank", "hostNamespace": "team-b"},
    }
    assert (bank["minutes"], bank["gpuHours"], bank["gpuHoursByModel"]) == (120, 2, {"A100": 2})
    assert (bank["cpuCoreHoursUsed"], bank["cpuCoreHoursRequested"]) == (1.0, 3.5)
    # A fifth of 0.1 core-hours of the host's own pods, beside the greater of use and request in each hour: 1 and 3.
    assert bank["cpuCoreHours"] == pytest.approx(4.02)
    assert bank["shared"]["cpuCoreHours"] == pytest.approx(0.02)
    assert bank["cpuCores"] == pytest.approx(2.01)
    assert bank["cpuEfficiency"] == pytest.approx(1 / 3.5)
    total = sum(Decimal(str(found["totalCost"])) for found in allocations.values())
    assert total == Decimal(str(document["totalCost"]))
    assert sum(found["cpuCoreHours"] for found in allocations.values()) == pytest.approx(
        document["whole"]["cpuCoreHours"], abs=1e-12
    )


def rows(shown: formats.View) -> list[dict[str, str]]:
    """What a program reads from CSV."""
    return list(csv.DictReader(io.StringIO(formats.render(shown, "csv"))))


def test_csv_has_the_columns_of_opencost_first() -> None:
    found = rows(bill_csv.view(bill()))

    assert list(found[0])[:20] == [
        "Date",
        "Namespace",
        "ControllerKind",
        "ControllerName",
        "Pod",
        "Container",
        "CPUCoreUsageAverage",
        "CPUCoreRequestAverage",
        "RAMBytesUsageAverage",
        "RAMBytesRequestAverage",
        "NetworkReceiveBytes",
        "NetworkTransferBytes",
        "GPUs",
        "PVBytes",
        "CPUCost",
        "RAMCost",
        "NetworkCost",
        "PVCost",
        "GPUCost",
        "TotalCost",
    ]
    web = next(row for row in found if row["ControllerName"] == "web")
    assert web | {} == web
    assert {key: web[key] for key in ("ControllerKind", "CPUCoreUsageAverage", "NetworkTransferBytes", "CPUCost")} == {
        "ControllerKind": "deployment",
        "CPUCoreUsageAverage": "1.75",
        "NetworkTransferBytes": "10000000000",
        "CPUCost": "0.11",
    }
    for column in ("CPUCoreHours", "TotalCost"):
        expected = {"CPUCoreHours": Decimal(8), "TotalCost": Decimal("7.67")}
        assert sum(Decimal(row[column]) for row in found) == expected[column]
    assert {(row["CPUCoverage"], row["Source"]) for row in found} == {("1", "monitoring/prometheus-k8s")}


# ------------------------------------------------------------------------------------------------------------ FOCUS
# The requirements of FOCUS 1.2 (and of 1.3 for Allocated…) that concern a data set like this; see
# github.com/FinOps-Open-Cost-and-Usage-Spec/FOCUS_Spec. The published validator, focus-validator 1.0.0, knows 0.5 to 1.0.

MANDATORY = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
]
SPLIT = ["AllocatedMethodId", "AllocatedMethodDetails", "AllocatedResourceId", "AllocatedResourceName", "AllocatedTags"]
NEVER_NULL = set(MANDATORY) - {
    "BillingAccountName",
    "ChargeClass",
    "ChargeDescription",
    "PricingQuantity",
    "PricingUnit",
}
CATEGORIES = {"Usage", "Purchase", "Tax", "Credit", "Adjustment"}
SERVICES = {
    *("AI and Machine Learning", "Analytics", "Business Applications", "Compute", "Databases", "Developer Tools"),
    *("Multicloud", "Identity", "Integration", "Internet of Things", "Management and Governance", "Media"),
    *("Migration", "Mobile", "Networking", "Security", "Storage", "Web", "Other"),
}
FREQUENCIES = {"One-Time", "Recurring", "Usage-Based"}
PRICING = {"Standard", "Dynamic", "Committed", "Other"}
DATE = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")
COSTS = ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost")


@pytest.mark.parametrize("question", [item for item in QUESTIONS if item.prices], ids=ids)
def test_focus(question: Question) -> None:
    made = bill(question)
    found = rows(bill_focus.view(made))

    assert found
    assert set(found[0]) >= {*MANDATORY, *SPLIT}
    assert all(re.fullmatch(r"(x_)?([A-Z][A-Za-z]*)+", column) for column in found[0])
    assert not {"ListUnitPrice", "ContractedUnitPrice"} & set(found[0])  # a cost would have to be their exact product
    for row in found:
        assert all(row[column] for column in NEVER_NULL)
        assert all(NUMBER.fullmatch(row[column]) for column in COSTS)
        assert row["ListCost"] == row["BilledCost"] == row["ContractedCost"] == row["EffectiveCost"]
        assert (row["ChargeCategory"] in CATEGORIES, row["ServiceCategory"] in SERVICES) == (True, True)
        assert (row["ChargeFrequency"] in FREQUENCIES, row["PricingCategory"] in PRICING) == (True, True)
        assert row["ChargeClass"] == ""
        assert re.fullmatch(r"[A-Z]{3}", row["BillingCurrency"])
        for column in ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd"):
            assert DATE.fullmatch(row[column])
        assert row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["ChargePeriodEnd"] <= row["BillingPeriodEnd"]
        if row["ChargeCategory"] == "Usage":
            assert NUMBER.fullmatch(row["PricingQuantity"])
            assert row["PricingUnit"]
        assert bool(row["ConsumedQuantity"]) == bool(row["ConsumedUnit"])
        assert row["AllocatedMethodId"]
        assert row["AllocatedTags"] == "" or isinstance(json.loads(row["AllocatedTags"]), dict)
    assert sum(Decimal(row["BilledCost"]) for row in found) == made.cost


@pytest.mark.parametrize("question", [item for item in QUESTIONS if item.prices], ids=ids)
def test_allocated_charges_of_focus_add_up_to_the_origin_charge(question: Question) -> None:
    """AllocatedRatio adds up to 1 for each origin charge, and capacity of no tenant is allocated to nobody."""
    ratios: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in rows(bill_focus.view(bill(question))):
        (element,) = json.loads(row["AllocatedMethodDetails"])["Elements"]
        assert set(element) == {"AllocatedRatio", "UsageUnit", "UsageQuantity"}
        ratios[row["AllocatedMethodId"], row["ServiceName"]] += Decimal(str(element["AllocatedRatio"]))
        nobody = re.search(r" of (idle|unmeasured|overcommitted|shared.*|kube-system.*)$", row["ChargeDescription"])
        assert bool(row["AllocatedResourceId"]) != bool(nobody), row["ChargeDescription"]

    assert ratios
    assert set(ratios.values()) == {Decimal(1)}


# ------------------------------------------------------------------------------------------------------ spreadsheets

FORMULAS = "=+-@\t\r"


@pytest.mark.parametrize("shown", [bill_csv.view, bill_focus.view], ids=["csv", "focus"])
def test_no_cell_is_a_formula(shown: Any) -> None:
    """By OWASP's rule for CSV injection; a negative number is none."""
    found = rows(shown(bill()))
    cells = [cell for row in found for cell in row.values() if cell]

    assert any(HOSTILE.name in cell for cell in cells)
    assert not [cell for cell in cells if cell[0] in FORMULAS and not NUMBER.fullmatch(cell)]


@pytest.mark.skipif(shutil.which("ssconvert") is None, reason="ssconvert is not on the PATH (Debian: gnumeric)")
@pytest.mark.parametrize(
    ("shown", "numbers"), [(bill_csv.view, ("CPUCoreHours", "TotalCost")), (bill_focus.view, COSTS)]
)
def test_a_spreadsheet_computes_nothing(shown: Any, numbers: tuple[str, ...], tmp_path: Path) -> None:
    """Opened by Gnumeric, each cell is a text, a number or a date: a formula would have no type of value."""
    text = formats.render(shown(bill()), "csv")
    if shown is bill_csv.view:  # Gnumeric guesses what separates cells, and quotation marks in names mislead it
        text = text.replace('"', "")
    given, opened = tmp_path / "bill.csv", tmp_path / "bill.gnumeric"
    given.write_text(text)
    subprocess.run(
        ["ssconvert", str(given), str(opened)],
        check=True,
        capture_output=True,
        timeout=60,
    )

    tree = ElementTree.fromstring(gzip.decompress(opened.read_bytes()))
    cells = {
        (int(cell.attrib["Row"]), int(cell.attrib["Col"])): cell
        for cell in tree.iter("{http://www.gnumeric.org/v10.dtd}Cell")
    }
    header = next(csv.reader(io.StringIO(text)))
    assert len({row for row, _ in cells}) == len(text.splitlines())
    assert {cell.get("ValueType") for cell in cells.values()} <= {"20", "30", "40", "60"}
    assert not [cell.text for cell in cells.values() if cell.get("ExprID")]
    for column in numbers:
        found = [cells[row, header.index(column)].get("ValueType") for row in range(1, len(text.splitlines()))]
        assert set(found) == {"40"}


# ---------------------------------------------------------------------------------------------------------- one tenant


@pytest.mark.parametrize("share", Share)
@pytest.mark.parametrize("by", [item for item in By if item is not By.OWNER])
def test_a_tenants_bill_holds_nothing_of_others(by: By, share: Share) -> None:
    """Neither a name, nor the capacity of the host, in any format; its own amounts are those of the whole bill."""
    whole, own = bill(Question(by, share, PRICES)), bill(Question(by, share, PRICES, vcluster=SHOP))

    assert own.rows == tuple(row for row in whole.rows if row.account.vcluster == SHOP)
    texts = [formats.render(view.view(own), form) for form in ("", "json", "yaml", "csv", "name", "github")]
    texts += ["\n".join(view.said(own))]
    texts += [formats.render(shown(own), "csv") for shown in (bill_csv.view, bill_focus.view)]
    for text in texts:
        others = "bank team-b teller team-c cmd machines kube-system coredns owned portal idle overcommitted HYPERLINK"
        assert not [word for word in others.split() if word in text]
    document = view.document(own)
    assert "whole" not in document
    assert Decimal(str(document["totalCost"])) == sum((row.cost or Decimal(0) for row in own.rows), Decimal(0))
