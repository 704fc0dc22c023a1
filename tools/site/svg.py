"""Small SVG drawings: rectangles, grids of cells and text, written as text that two runs make alike.

Coordinates are pixels of the drawing, x to the right and y down.
"""

from xml.etree import ElementTree

from torch import Tensor

INK, FAINT = "#222222", "#d8d8d8"


class Drawing:
    """A drawing on white.

    Args:
        width: In pixels.
        height: In pixels.
        title: What it shows, for readers who cannot see it.
    """

    def __init__(self, width: int, height: int, title: str) -> None:
        self.root = ElementTree.Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "viewBox": f"0 0 {width} {height}",
                "width": str(width),
                "height": str(height),
                "font-family": "sans-serif",
                "font-size": "13",
                "fill": INK,
            },
        )
        ElementTree.SubElement(self.root, "title").text = title
        self.rect(0, 0, width, height, fill="white")

    def rect(self, x: float, y: float, width: float, height: float, **style: str) -> None:
        """Draw a rectangle.

        Args:
            x: Its left side.
            y: Its top.
            width: In pixels.
            height: In pixels.
            **style: Attributes of SVG, with ``_`` for ``-``.
        """
        places = {"x": x, "y": y, "width": width, "height": height}
        self._add("rect", {key: _number(value) for key, value in places.items()} | style)

    def line(self, x1: float, y1: float, x2: float, y2: float, **style: str) -> None:
        """Draw a line from (x1, y1) to (x2, y2).

        Args:
            x1: Where it begins.
            y1: Where it begins.
            x2: Where it ends.
            y2: Where it ends.
            **style: Attributes of SVG, with ``_`` for ``-``.
        """
        places = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
        self._add("line", {key: _number(value) for key, value in places.items()} | {"stroke": INK} | style)

    def text(self, x: float, y: float, text: str, **style: str) -> None:
        """Write a line of text.

        Args:
            x: Its beginning, or its middle with ``text_anchor="middle"``.
            y: Its base line.
            text: The text.
            **style: Attributes of SVG, with ``_`` for ``-``.
        """
        self._add("text", {"x": _number(x), "y": _number(y)} | style).text = text

    def cells(self, x: float, y: float, mask_HW: Tensor, cell: float, color: str, **style: str) -> None:
        """Draw a mask on a grid, with a frame around the grid.

        Args:
            x: Left side of the grid.
            y: Top of the grid.
            mask_HW: (H, W) bool, the cells to fill.
            cell: Side of a cell in pixels.
            color: Of the filled cells.
            **style: Attributes of SVG of the filled cells, with ``_`` for ``-``.
        """
        height, width = mask_HW.shape
        for row, flags in enumerate(mask_HW.tolist()):
            start = None
            for column, flag in enumerate([*flags, False]):
                if flag and start is None:
                    start = column
                elif not flag and start is not None:
                    left, wide = x + start * cell, (column - start) * cell
                    self.rect(left, y + row * cell, wide, cell, fill=color, shape_rendering="crispEdges", **style)
                    start = None
        self.rect(x, y, width * cell, height * cell, fill="none", stroke="#888888")

    def to_text(self) -> str:
        """The drawing as the text of a file."""
        ElementTree.indent(self.root, " ")
        return ElementTree.tostring(self.root, encoding="unicode") + "\n"

    def _add(self, tag: str, attributes: dict[str, str]) -> ElementTree.Element:
        return ElementTree.SubElement(self.root, tag, {k.replace("_", "-"): v for k, v in attributes.items()})


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
