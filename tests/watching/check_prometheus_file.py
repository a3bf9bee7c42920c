#!/usr/bin/python3
"""Reads a .prom file with the parser of Prometheus' own Python client and prints: name{label=value,...} TAB number."""

import sys

from prometheus_client.parser import text_string_to_metric_families

seen = set()
for family in text_string_to_metric_families(open(sys.argv[1]).read()):
    assert family.name not in seen, f"{family.name} stands in two places"
    assert family.type == "gauge" and family.documentation, family
    seen.add(family.name)
    for sample in family.samples:
        labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
        print(f"{sample.name}{{{labels}}}\t{sample.value}")
