"""Units: the signs and words that may stand beside a number in a cell.

A table of facts. A unit that is not listed makes a cell text, so that codes such as ``3D`` or
``12B`` stay codes. What numbers look like belongs to ``numerals``.
"""

from __future__ import annotations

import unicodedata

_CURRENCY_WORDS = (
    *("AED", "ARS", "AUD", "BRL", "CAD", "CHF", "CLP", "CNY", "COP", "CZK", "DKK", "EGP", "GBP"),
    *("HKD", "HUF", "IDR", "ILS", "INR", "ISK", "JPY", "KRW", "MAD", "MXN", "MYR", "NGN", "NOK"),
    *("NZD", "PEN", "PHP", "PKR", "PLN", "RMB", "RON", "RSD", "RUB", "SAR", "SEK", "SGD", "THB"),
    *("TRY", "TWD", "UAH", "USD", "VND", "ZAR"),
    *("kr", "Kč", "zł", "Ft", "Rs", "Fr", "sFr", "SFr", "lei", "лв", "руб", "грн", "TL", "RM"),
    *("US$", "A$", "AU$", "C$", "CA$", "HK$", "NT$", "NZ$", "S$", "R$", "MX$", "元", "円"),
    *("원", "ct", "¢"),
)
_SPELLINGS = {
    "€": ("EUR", "Euro", "euro", "euros", "Euros"),
    "%": ("pct", "percent", "Prozent"),
    "‰": ("promille", "per mille"),
    "Rs": ("Rs.",),
    "kr": ("kr.", "Kr", "Kr.", ":-"),
    "Fr": ("Fr.", "fr."),
    "руб": ("руб.", "р."),
    "kg": ("Kg", "KG", "kgs", "kilograms"),
    "g": ("gr", "grams"),
    "lb": ("lbs", "pounds"),
    "oz": ("ounces",),
    "t": ("tons", "tonnes"),
    "cm": ("Cm", "CM"),
    "mm": ("Mm",),
    "km": ("Km", "KM", "kms"),
    "mi": ("mile", "miles"),
    "ft": ("feet", "foot"),
    "in": ("inch", "inches"),
    "yd": ("yards",),
    "ms": ("msec", "milliseconds"),
    "s": ("sec", "secs", "second", "seconds"),
    "min": ("mins", "minute", "minutes", "min."),
    "h": ("hr", "hrs", "hour", "hours", "Std", "Std."),
    "day": ("days", "d", "Tage"),
    "week": ("weeks", "wk", "wks"),
    "month": ("months", "mo", "mos"),
    "year": ("years", "yr", "yrs", "y.o."),
    "km/h": ("kmh", "kph"),
    "mph": ("MPH",),
    "l": ("L", "liter", "liters", "litre", "litres"),
    "ml": ("mL",),
    "m2": ("sqm", "qm"),
    "sqft": ("sq ft", "sq. ft.", "ft2"),
    "px": ("pixels",),
    "pcs": ("pc", "pcs.", "pieces"),
    "KB": ("kB",),
    "bpm": ("BPM",),
}
_PHYSICAL = (
    *("µg", "mg", "µm", "nm", "dm", "m", "ha", "acres", "m3", "cm2", "cm3", "mm2", "km2", "cl"),
    *("dl", "hl", "gal", "µs", "ns", "us", "m/s", "kn", "°", "°C", "°F", "Hz", "kHz", "MHz", "GHz"),
    *("W", "kW", "MW", "GW", "Wh", "kWh", "MWh", "GWh", "hp", "PS", "kJ", "MJ", "kcal", "cal"),
    *("V", "mV", "kV", "mA", "mAh", "Ah", "Pa", "hPa", "kPa", "MPa", "bar", "mbar", "mmHg", "psi"),
    *("bit", "bits", "bytes", "MB", "GB", "TB", "KiB", "MiB", "GiB", "Mbps", "Gbps", "Mbit/s"),
    *("dB", "dBm", "ppm", "ppb", "pH", "rpm", "mol", "mmol", "mg/dL", "mg/dl", "mmol/L", "g/L"),
    *("mg/L", "g/dL", "kg/m2", "l/100km", "mpg", "fps", "dpi", "cc"),
)
_AFTER_A_SPACE = ("A", "B", "C", "F", "J", "K", "N")
"""Single letters that are units behind a space alone: ``12 A`` is amperes, ``12A`` a door."""

_UNITS = {unit: unit for unit in (*_CURRENCY_WORDS, *_PHYSICAL)} | {
    spelling: unit for unit, others in _SPELLINGS.items() for spelling in (unit, *others)
}
_BEFORE = frozenset(_CURRENCY_WORDS) | {
    spelling
    for unit in ("€", "kr", "Rs", "Fr", "%")
    for spelling in (unit, *_SPELLINGS[unit])
    if unit != "%" or spelling == "%"
}
_CODES_WHERE_TOUCHING = ("Ft", "Fr", "TL", "RM", "ct", "lei")
_ALIKE = str.maketrans({"μ": "µ", "²": "2", "³": "3", "％": "%", "℃": "°C"})


def unit_before(text: str, *, touching: bool) -> str | None:
    """The unit that stands before a number, a currency or a percent sign, or None.

    Examples
    --------
    >>> unit_before("$", touching=True), unit_before("EUR", touching=False)
    ('$', '€')
    >>> unit_before("TL", touching=True), unit_before("kg", touching=False)
    (None, None)
    """
    text = text.translate(_ALIKE)
    if text in _BEFORE and not (touching and text in _CODES_WHERE_TOUCHING):
        return _UNITS[text]
    return text if _is_currency_sign(text) else None


def unit_after(text: str, *, touching: bool) -> str | None:
    """The unit that stands behind a number, in one spelling, or None.

    ``touching`` says that no space is between them.

    Examples
    --------
    >>> unit_after("Euro", touching=False), unit_after("hrs", touching=True)
    ('€', 'h')
    >>> unit_after("A", touching=False), unit_after("A", touching=True)
    ('A', None)
    """
    text = text.translate(_ALIKE)
    if text in _UNITS:
        return _UNITS[text]
    if text in _AFTER_A_SPACE and not touching:
        return text
    return text if _is_currency_sign(text) else None


def _is_currency_sign(text: str) -> bool:
    return len(text) == 1 and unicodedata.category(text) == "Sc"
