# SPDX-License-Identifier: Apache-2.0
# Draws growth.svg: milliseconds over GFLOP, both logarithmic. Reads lines "series|size|GFLOP|milliseconds|..."; peak in GFLOP/s.

function log10(x) { return log(x) / log(10) }
function ceiling(x,   i) { i = int(x); return i < x ? i + 1 : i }

# Places in the picture.
function across(gflop) { return LEFT + (RIGHT - LEFT) * (log10(gflop) - x_low) / (x_high - x_low) }
function down(ms) { return BOTTOM - (BOTTOM - TOP) * (log10(ms) - y_low) / (y_high - y_low) }

function text(x, y, class, words) { printf "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", class, x, y, words }
function line(class, x1, y1, x2, y2) {
    printf "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", class, x1, y1, x2, y2
}

# A circle, square or triangle, whichever the series has.
function mark(name, x, y) {
    if (name == "tokens") printf "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>\n", name, x, y
    else if (name == "width") printf "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"7\" height=\"7\"/>\n", name, x - 3.5, y - 3.5
    else printf "<path class=\"%s\" d=\"M%.1f %.1fl4.5 8h-9z\"/>\n", name, x, y - 5
}

# 0.1, 1, 10: powers of ten as people write them.
function power(exponent) { return exponent < 0 ? sprintf("%.*f", -exponent, 10 ^ exponent) : sprintf("%d", 10 ^ exponent) }

function style() {
    print "<style>"
    print "text { font: 13px system-ui, sans-serif; fill: #333 }"
    print ".title { font-size: 15px; font-weight: 600 } .middle { text-anchor: middle } .end { text-anchor: end }"
    print ".grid, .frame { stroke: #ddd; fill: none } .peak { stroke: #777; stroke-width: 1.5; stroke-dasharray: 6 4 }"
    print ".curve { fill: none; stroke-width: 2 }"
    print ".tokens { fill: #0b6bb8 } .width { fill: #c2410c } .batch { fill: #15803d }"
    print ".curve.tokens { fill: none; stroke: #0b6bb8 } .curve.width { fill: none; stroke: #c2410c } .curve.batch { fill: none; stroke: #15803d }"
    print ".ground { fill: #fff }"
    print "@media (prefers-color-scheme: dark) {"
    print "text { fill: #ddd } .grid, .frame { stroke: #333 } .peak { stroke: #999 } .ground { fill: #161616 }"
    print ".tokens { fill: #58b4ff } .width { fill: #ff9457 } .batch { fill: #5bd687 }"
    print ".curve.tokens { stroke: #58b4ff } .curve.width { stroke: #ff9457 } .curve.batch { stroke: #5bd687 }"
    print "}"
    print "</style>"
}

function grid(   i, at) {
    printf "<rect class=\"frame\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>\n", LEFT, TOP, RIGHT - LEFT, BOTTOM - TOP
    for (i = ceiling(x_low); i <= x_high; i++) {
        at = across(10 ^ i)
        line("grid", at, TOP, at, BOTTOM)
        text(at, BOTTOM + 20, "middle", power(i))
    }
    for (i = ceiling(y_low); i <= y_high; i++) {
        at = down(10 ^ i)
        line("grid", LEFT, at, RIGHT, at)
        text(LEFT - 8, at + 4, "end", power(i))
    }
    text((LEFT + RIGHT) / 2, BOTTOM + 44, "middle", "operations of one forward pass, GFLOP")
    printf "<text class=\"middle\" transform=\"translate(22 %.1f) rotate(-90)\">milliseconds</text>\n", (TOP + BOTTOM) / 2
}

# From the left edge, or from where the line comes in at the bottom, to the right edge or the top.
function draw_peak(   low, high, at) {
    low = 10 ^ x_low
    if (1e3 * low / peak < 10 ^ y_low) low = peak * 10 ^ y_low / 1e3
    high = 10 ^ x_high
    if (1e3 * high / peak > 10 ^ y_high) high = peak * 10 ^ y_high / 1e3
    line("peak", across(low), down(1e3 * low / peak), across(high), down(1e3 * high / peak))
}

function draw_series(name,   i) {
    printf "<polyline class=\"curve %s\" points=\"", name
    for (i = 1; i <= count; i++) if (series[i] == name) printf "%.1f,%.1f ", across(gflop[i]), down(ms[i])
    print "\"/>"
    for (i = 1; i <= count; i++) if (series[i] == name) mark(name, across(gflop[i]), down(ms[i]))
}

function legend(   i, y) {
    for (i = 1; i <= 3; i++) {
        y = TOP + 22 * i
        mark(NAMES[i], LEFT + 24, y)
        text(LEFT + 38, y + 4, "", WORDS[NAMES[i]])
    }
    y = TOP + 88
    line("peak", LEFT + 12, y, LEFT + 34, y)
    text(LEFT + 38, y + 4, "", sprintf("the peak of multiply-adds, %.0f GFLOP/s", peak))
}

BEGIN {
    WIDTH = 720; HEIGHT = 460; LEFT = 76; RIGHT = 700; TOP = 44; BOTTOM = 396
    ROOM = 1.7 # factor between the outermost points and the frame
    split("tokens width batch", NAMES, " ")
    WORDS["tokens"] = "tokens, 27 to 3,137 (one volume)"
    WORDS["width"] = "width, 64 to 768 (32 volumes)"
    WORDS["batch"] = "batch, 1 to 128 volumes"
}

{
    count++
    series[count] = $1; gflop[count] = $3; ms[count] = $4
    if (count == 1 || $3 < x_least) x_least = $3
    if ($3 > x_most) x_most = $3
    if (count == 1 || $4 < y_least) y_least = $4
    if ($4 > y_most) y_most = $4
}

END {
    x_low = log10(x_least / ROOM); x_high = log10(x_most * ROOM)
    y_low = log10(y_least / ROOM); y_high = log10(y_most * ROOM)
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\">\n", WIDTH, HEIGHT
    print "<title>Time of a forward pass over its operations</title>"
    style()
    printf "<rect class=\"ground\" width=\"%d\" height=\"%d\"/>\n", WIDTH, HEIGHT
    text(LEFT, 26, "title", "Time of a forward pass over its operations")
    grid()
    draw_peak()
    for (i = 1; i <= 3; i++) draw_series(NAMES[i])
    legend()
    print "</svg>"
}
