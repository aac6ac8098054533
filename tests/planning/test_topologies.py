"""The products a job can be planned for."""

import math

import pytest

from podmeta.errors import InputError
from podmeta.planning.topologies import PRODUCTS, parse_topology


@pytest.mark.parametrize("product", PRODUCTS.values(), ids=PRODUCTS)
def test_every_size_can_be_written_and_read(product):
    assert len(set(product.sizes)) == len(product.sizes)
    for size in product.sizes:
        topology = parse_topology(f"{product.name}:{'x'.join(map(str, size))}")
        assert (topology.product, topology.size, topology.num_chips) == (product, size, math.prod(size))
        assert parse_topology(str(topology)) == topology


def test_the_largest_slices_are_those_of_the_products():
    largest = {name: max(map(math.prod, product.sizes)) for name, product in PRODUCTS.items()}
    assert largest == {"v4": 4096, "v5e": 256, "v5p": 6144, "v6e": 256, "h100": 8}


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("v5e:3x3", ["v5e:2x4"]),
        ("v5e:8x2", ["v5e:4x4"]),
        ("v5e:32x32", ["v5e:16x16"]),
        ("v5p:8x8x7", ["v5p:8x8x8"]),
        ("v4:2x2", ["v4:2x2x1"]),
        ("h100:16", ["h100:8"]),
        ("h100:0", ["h100:1"]),
        ("v6e:", ["v6e:1x1"]),
        ("v6e:axb", ["v6e:1x1"]),
        ("v7:2x2", ["'v7'", "v4, v5e, v5p, v6e, h100"]),
    ],
)
def test_what_no_product_has_is_refused_with_what_is_near(text, near):
    with pytest.raises(InputError) as refusal:
        parse_topology(text)
    assert [part for part in [f"topology={text}", *near] if part not in str(refusal.value)] == []


def test_less_precision_is_faster_on_accelerators():
    for name, expected in {"v5e": (197 / 6, 197 / 3, 197), "h100": (67, 494, 494)}.items():
        product = PRODUCTS[name]
        rates = [product.peaks.matmul_rate(product.platform, how) for how in ("float32", "tensorfloat32", "bfloat16")]
        assert rates == pytest.approx([1e12 * rate for rate in expected])
        activations = product.peaks.bfloat16_matmul_rate(product.platform)
        assert activations == pytest.approx({"v5e": 197e12, "h100": 989e12}[name], rel=0.01)
