"""Small pictures as SVG, drawn on the server: attributes and classes alone, because the CSP allows no inline style.

Sizes along a chart are percentages and those across it pixels, so that a picture is as wide as its place and its words
stay as large as the page's. What is drawn has a weight and a pattern of its own besides its colour.
"""
