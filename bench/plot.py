"""Small plots as SVG, so that figures are seen and not only told."""

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640, 320, 56, 44, 40, 130
COLOURS = ("#1b6ca8", "#c0392b")
BAR_COLOURS = ("#9aa5b1", "#d9a441", "#8e6bbf", "#7a5c3a", "#1b6ca8", "#2e8b57", "#c0392b")
NAMES_A_LINE = 3
BAR, BAR_GAP, BAR_LEFT, BAR_WIDTH = 12, 12, 240, 720


def text(at_x, at_y, words, extra=""):
    return f'<text x="{at_x:.1f}" y="{at_y:.1f}" {extra}>{words}</text>'


def growth_svg(title, sizes, curves, limit):
    """curves: name -> cost relative to the smallest size, one value a size. limit is drawn dashed."""
    top = max(limit, *(value for curve in curves.values() for value in curve)) * 1.15

    def x(size):
        return LEFT + (WIDTH - LEFT - RIGHT) * (size - sizes[0]) / (sizes[-1] - sizes[0])

    def y(value):
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / top

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           text(LEFT, 22, title, 'font-size="14"')]
    for tick in range(int(top * 2) + 1):
        value = tick / 2
        out += [f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}" stroke="#dddddd"/>',
                text(LEFT - 8, y(value) + 4, f"{value:g}", 'text-anchor="end"')]
    for size in sizes:
        out.append(text(x(size), HEIGHT - BOTTOM + 18, f"{size:,}", 'text-anchor="middle"'))
    out += [text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, "nodes", 'text-anchor="middle"'),
            f'<path d="M{LEFT} {y(limit):.1f}H{WIDTH - RIGHT}" stroke="#888888" '
            'stroke-dasharray="6 4"/>',
            text(WIDTH - RIGHT + 8, y(limit) + 4, f"limit {limit:g}", 'fill="#666666"')]
    for number, (name, curve) in enumerate(curves.items()):
        points = " ".join(f"{x(s):.1f},{y(v):.1f}" for s, v in zip(sizes, curve))
        colour = COLOURS[number % len(COLOURS)]
        out += [f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>',
                text(WIDTH - RIGHT + 8, HEIGHT - BOTTOM - 40 + 18 * number, name,
                     f'fill="{colour}"')]
    return "\n".join([*out, "</svg>", ""])


def bars_svg(title, names, groups):
    """Groups of bars that lie: groups: words -> one value a name, the first one's being 1."""
    longest = max(1.0, *(value for bars in groups.values() for value in bars))
    scale = (BAR_WIDTH - BAR_LEFT - 60) / longest
    group_height = len(names) * BAR + BAR_GAP
    head = 40 + 16 * -(-len(names) // NAMES_A_LINE)
    height = head + len(groups) * group_height + 14
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {BAR_WIDTH} {height}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{BAR_WIDTH}" height="{height}" fill="white"/>',
           text(12, 20, title, 'font-size="13"')]
    for number, name in enumerate(names):
        x, y = 12 + number % NAMES_A_LINE * 230, 32 + number // NAMES_A_LINE * 16
        out += [f'<rect x="{x}" y="{y}" width="10" height="10" fill="{BAR_COLOURS[number]}"/>', text(x + 14, y + 9, name)]
    for place, (words, bars) in enumerate(groups.items()):
        top = head + place * group_height
        out.append(text(BAR_LEFT - 8, top + len(names) * BAR / 2 + 4, words, 'text-anchor="end"'))
        for number, value in enumerate(bars):
            y = top + number * BAR
            out += [f'<rect x="{BAR_LEFT}" y="{y}" width="{value * scale:.1f}" height="{BAR - 2}" '
                    f'fill="{BAR_COLOURS[number]}"/>',
                    text(BAR_LEFT + value * scale + 5, y + BAR - 3, f"{value:.2f}", 'font-size="10"')]
    return "\n".join([*out, "</svg>", ""])
