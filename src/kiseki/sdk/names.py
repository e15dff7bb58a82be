"""Names for runs: ids that never clash, and names that people can say."""

from __future__ import annotations

import os

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_ADJECTIVES = (  # noqa: SIM905 - a list of words reads best as words
    "amber azure bold brave breezy bright brisk bronze calm careful cheerful chilly clear clever cobalt "
    "cool copper coral cosmic cosy crimson crisp curious daring dawn deft dusky eager early earnest easy "
    "ember fair fancy fleet fond fresh frosty gentle giddy glad golden graceful grand green happy hardy "
    "hazel honest humble indigo ivory jade jolly keen kind lively lucid lucky lunar mellow merry mild "
    "misty modest mossy neat noble olive patient pearl placid plucky polite proud quick quiet rapid ready "
    "robust rosy ruby rustic sage sandy scarlet serene sharp silent silver sleek smooth snowy solar solid "
    "spry steady still sunny swift tidy vivid warm wise witty "
).split()
_ANIMALS = (  # noqa: SIM905
    "alpaca ant badger bat bear beaver bee bison boar bream camel carp cat cheetah cicada cobra cod "
    "condor coyote crab crane cricket crow deer dingo dog dolphin donkey dove dragonfly duck eagle eel "
    "elk falcon ferret finch firefly fox frog gazelle gecko gibbon goat goose grouse gull hare hawk "
    "hedgehog heron hornet horse ibex ibis iguana jackal jaguar jay kestrel kite kiwi koala koi lark "
    "lemur lion lizard llama lynx magpie marmot marten mole moose moth mouse newt octopus orca oriole "
    "osprey otter owl ox panda panther parrot pelican penguin pika plover pony puffin puma quail rabbit "
    "raccoon raven robin salmon seal shark sheep shrew sloth snail sparrow squid stork swan swift tapir "
    "tern thrush tiger toad trout turtle viper vole walrus wasp weasel whale wolf wren "
).split()
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


def new_run_id() -> str:
    """Eight random characters of a-z and 0-9; the user's random seeds play no part."""
    number = int.from_bytes(os.urandom(8), "big")
    characters = []
    for _ in range(8):
        number, digit = divmod(number, 36)
        characters.append(_DIGITS[digit])
    return "".join(characters)


def new_writer_id() -> str:
    """`w` and 15 random base32 characters, also the name of the writer's file."""
    number = int.from_bytes(os.urandom(10), "big")
    return "w" + "".join(_BASE32[number >> 5 * place & 31] for place in range(15))


def new_run_uid() -> str:
    """32 random hex digits."""
    return os.urandom(16).hex()


def readable_name(number: int) -> str:
    """An adjective, an animal and `number`: "amber-fox-12"."""
    first, second = os.urandom(2), os.urandom(2)
    adjective = _ADJECTIVES[int.from_bytes(first, "big") % len(_ADJECTIVES)]
    animal = _ANIMALS[int.from_bytes(second, "big") % len(_ANIMALS)]
    return f"{adjective}-{animal}-{number}"
