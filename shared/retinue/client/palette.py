"""Colours of classes: always the same for a class, and apart for people who see colours differently."""

from retinue.client.lettering import Colour

BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)

# Okabe and Ito, "Color Universal Design" (2008), without black and with grey, in an order of our own.
_COLOURS: tuple[Colour, ...] = (
    (230, 159, 0),  # orange
    (0, 114, 178),  # blue
    (0, 158, 115),  # bluish green
    (204, 121, 167),  # reddish purple
    (86, 180, 233),  # sky blue
    (213, 94, 0),  # vermilion
    (240, 228, 66),  # yellow
    (90, 90, 90),  # grey, darker than most: a middle one is the purple of people who see no green
)
_ROUNDS = ((WHITE, 0.0), (WHITE, 0.5), (BLACK, 0.4))  # as they are, then paler, then darker, then from the start


def class_colour(class_id: int) -> Colour:
    """Return the colour of a class, RGB.

    >>> class_colour(0)
    (230, 159, 0)
    >>> class_colour(0) == class_colour(24)
    True
    """
    mixed_in, share = _ROUNDS[class_id // len(_COLOURS) % len(_ROUNDS)]
    red, green, blue = (
        round(channel * (1 - share) + other * share)
        for channel, other in zip(_COLOURS[class_id % len(_COLOURS)], mixed_in, strict=True)
    )
    return red, green, blue


def ink_on(colour: Colour) -> Colour:
    """Return black or white, whichever stands out more against a colour: their contrast is at least 4.5 to 1.

    Source:
        Relative luminance and contrast ratio of the Web Content Accessibility Guidelines 2.1.

    >>> ink_on((240, 228, 66)), ink_on((0, 114, 178))
    ((0, 0, 0), (255, 255, 255))
    """
    red, green, blue = (_linear(channel / 255) for channel in colour)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return BLACK if (luminance + 0.05) ** 2 > 1.05 * 0.05 else WHITE


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
