"""Temperatures as TIFF files say what they are to programs of geography."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from ivfuse.thermal.raster import write_celsius

METADATA, NODATA = 42112, 42113  # private tags of GDAL


@pytest.mark.parametrize("whole", [True, False])
def test_unit_and_value_without_data_are_stated_as_gdal_reads_them(tmp_path: Path, whole: bool) -> None:
    celsius = np.array([[-3.5, 20.25], [40, 41 if whole else np.nan]], np.float32)
    write_celsius(tmp_path / "t.tif", celsius)
    with Image.open(tmp_path / "t.tif") as image:
        np.testing.assert_array_equal(np.asarray(image), celsius)
        tags = dict(image.tag_v2)  # type: ignore[attr-defined]  # of TIFF files
    items = {each.get("role"): each.text for each in ElementTree.fromstring(tags[METADATA])}
    assert items == {"unittype": "degC", "description": "temperature, degC"}
    assert tags.get(NODATA) == (None if whole else "nan")
