"""What the stand-alone prompts of the fresh exam ask for: questions, dates, closed lists, topics.

Facts and phrases of our own choice. Each pool is larger than an exam takes from it.
"""

from __future__ import annotations

from functools import cache

QUESTIONS = (
    ("What is the largest animal that has ever lived?", "blue whale"),
    ("Which gas do plants take in from the air for photosynthesis?", "carbon dioxide"),
    ("Seoul is the capital of which country?", "south korea"),
    ("Wellington is the capital of which country?", "new zealand"),
    ("Riyadh is the capital of which country?", "saudi arabia"),
    ("What is the capital of Argentina?", "buenos aires"),
    ("What is the capital of Malaysia?", "kuala lumpur"),
    ("Which white bear lives in the Arctic?", "polar bear"),
    ("What is the largest living lizard?", "komodo dragon"),
    ("What is the northernmost point of the Earth called?", "north pole"),
    ("What is a year with 366 days called?", "leap year"),
    ("What do you call an object in space from which no light can escape?", "black hole"),
    ("Which city is nicknamed the Big Apple?", "new york"),
    ("San José is the capital of which country?", "costa rica"),
    ("Which sea lies between Egypt and Saudi Arabia?", "red sea"),
    ("Which bridge with orange towers stands at the entrance of San Francisco Bay?", "golden gate"),
    ("In which galaxy is our solar system?", "milky way"),
)
"""Questions with one answer of two words, which is given in small letters."""

EVENTS = (
    ("the launch dates of all crewed Apollo missions", 1968, 1975),
    ("the dates of all landings of people on the Moon", 1969, 1972),
    ("the launch dates of the first ten crewed space flights", 1961, 1966),
    ("the dates on which the popes of the 20th century were elected", 1903, 1978),
    ("the dates on which the Beatles' studio albums came out in the United Kingdom", 1963, 1970),
    ("the dates on which the seven Harry Potter novels were first published", 1997, 2007),
    ("the opening dates of all Summer Olympic Games from 1948 to 2016", 1948, 2016),
    ("the dates of the finals of all men's football World Cups from 1950 to 2022", 1950, 2022),
    ("the dates of birth of all presidents of the French Fifth Republic", 1880, 1990),
    ("the dates of the first ascents of all mountains higher than 8000 metres", 1950, 1964),
    ("the dates of the first space flights of the five Space Shuttles", 1981, 1992),
    ("the dates of birth of the presidents of the United States from Truman to Obama", 1884, 1961),
)
"""What happened on several days, no two on one; the first and the last year in which a day can lie."""

CAPITALS = (
    ("Reykjavik", 64.15), ("Helsinki", 60.17), ("Oslo", 59.91), ("Tallinn", 59.44),
    ("Stockholm", 59.33), ("Riga", 56.95), ("Moscow", 55.76), ("Copenhagen", 55.68),
    ("Vilnius", 54.69), ("Minsk", 53.90), ("Dublin", 53.35), ("Berlin", 52.52), ("Amsterdam", 52.37),
    ("Warsaw", 52.23), ("London", 51.51), ("Brussels", 50.85), ("Kyiv", 50.45), ("Prague", 50.08),
    ("Luxembourg", 49.61), ("Paris", 48.86), ("Vienna", 48.21), ("Bratislava", 48.15),
    ("Budapest", 47.50), ("Vaduz", 47.14), ("Chisinau", 47.01), ("Bern", 46.95),
    ("Ljubljana", 46.06), ("Zagreb", 45.81),
)  # fmt: skip
"""European capitals from north to south with their latitude in degrees, as far as 45 degrees."""

LATITUDES = (48, 49, 51, 52, 53, 55, 56, 58, 59)
"""Degrees from which every capital is more than a tenth of a degree away, so that none is in doubt."""

_GROUPS = {
    "the planets of the solar system": "Mercury, Venus, Earth, Mars, Jupiter, Saturn, Uranus, Neptune",
    "the months of the year": (
        "January, February, March, April, May, June, July, August, September, October, November, "
        "December"
    ),
    "the days of the week": "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday",
    "the seven colours of the rainbow": "red, orange, yellow, green, blue, indigo, violet",
    "the six kinds of chess pieces": "king, queen, rook, bishop, knight, pawn",
    "the letters of the Greek alphabet by name": (
        "alpha, beta, gamma, delta, epsilon, zeta, eta, theta, iota, kappa, lambda, mu, nu, xi, "
        "omicron, pi, rho, sigma, tau, upsilon, phi, chi, psi, omega"
    ),
    "the signs of the zodiac": (
        "Aries, Taurus, Gemini, Cancer, Leo, Virgo, Libra, Scorpio=Scorpius, Sagittarius, "
        "Capricorn=Capricornus, Aquarius, Pisces"
    ),
    "the countries of South America": (
        "Argentina, Bolivia, Brazil, Chile, Colombia, Ecuador, Guyana, Paraguay, Peru, Suriname, "
        "Uruguay, Venezuela"
    ),
    "the countries of Central America": (
        "Belize, Costa Rica, El Salvador, Guatemala, Honduras, Nicaragua, Panama"
    ),
    "the member states of the European Union as of 2024": (
        "Austria, Belgium, Bulgaria, Croatia, Cyprus, Czechia=Czech Republic, Denmark, Estonia, "
        "Finland, France, Germany, Greece, Hungary, Ireland=Republic of Ireland, Italy, Latvia, "
        "Lithuania, Luxembourg, Malta, Netherlands, Poland, Portugal, Romania, Slovakia, Slovenia, "
        "Spain, Sweden"
    ),
    "the states of the United States": (
        "Alabama, Alaska, Arizona, Arkansas, California, Colorado, Connecticut, Delaware, Florida, "
        "Georgia, Hawaii, Idaho, Illinois, Indiana, Iowa, Kansas, Kentucky, Louisiana, Maine, "
        "Maryland, Massachusetts, Michigan, Minnesota, Mississippi, Missouri, Montana, Nebraska, "
        "Nevada, New Hampshire, New Jersey, New Mexico, New York, North Carolina, North Dakota, "
        "Ohio, Oklahoma, Oregon, Pennsylvania, Rhode Island, South Carolina, South Dakota, "
        "Tennessee, Texas, Utah, Vermont, Virginia, Washington, West Virginia, Wisconsin, Wyoming"
    ),
    "the provinces of Canada, without the territories,": (
        "Alberta, British Columbia, Manitoba, New Brunswick, "
        "Newfoundland and Labrador=Newfoundland Labrador, Nova Scotia, Ontario, "
        "Prince Edward Island, Quebec, Saskatchewan"
    ),
    "the six states of Australia": (
        "New South Wales, Queensland, South Australia, Tasmania, Victoria, Western Australia"
    ),
    "the nine Muses of Greek mythology": (
        "Calliope, Clio, Erato, Euterpe, Melpomene, Polyhymnia=Polymnia, Terpsichore, Thalia, Urania"
    ),
}
GROUPS = tuple(_GROUPS)
"""Closed lists, by what a prompt calls them."""


@cache
def members(group: str) -> dict[str, str]:
    """The member of a group that each of its names stands for, the names in small letters."""
    every = [entry.strip().split("=") for entry in _GROUPS[group].split(",")]
    return {name.lower(): names[0] for names in every for name in names}


STORY_TOPICS = (
    "a postman who delivers one letter too many", "a power cut in a big city",
    "a cook who loses her sense of taste", "the first snow in a desert village",
    "a robot that wants to learn to dance", "two rival ice-cream sellers", "a night in a toy shop",
    "a parrot that repeats a secret", "a river that changes its course", "the oldest tree in the park",
    "a detective on his day off", "a school trip that goes wrong", "an inventor and her umbrella",
    "a train that never stops",
)  # fmt: skip
QUIZ_TOPICS = (
    "the human skeleton", "volcanoes and earthquakes", "the history of printing", "chess openings",
    "ancient Egypt", "the rules of volleyball", "photosynthesis", "the exploration of Antarctica",
    "musical instruments", "world currencies", "the planets", "famous bridges", "bread and baking",
    "the French Revolution",
)  # fmt: skip
COLUMNS = (
    ("TicketID", "Theatre", "Play", "Date", "Price"),
    ("BookID", "Title", "Author", "Year", "Pages"),
    ("OrderID", "Customer", "Product", "Quantity", "Total"),
    ("PlantID", "Name", "Height", "Colour", "Season"),
    ("RunnerID", "Club", "Distance", "Time", "Place"),
    ("RoomID", "Hotel", "Floor", "Beds", "Rate"),
    ("FlightID", "Airline", "From", "To", "Delay"),
    ("RecipeID", "Dish", "Cuisine", "Minutes", "Servings"),
    ("MatchID", "Home", "Guest", "Goals", "Attendance"),
    ("SensorID", "Station", "Temperature", "Humidity", "Pressure"),
    ("BirdID", "Species", "Wingspan", "Habitat", "Sightings"),
    ("SongID", "Artist", "Album", "Length", "Rating"),
)
