"""Countries by name: of Africa, and of the world with their capitals."""

from __future__ import annotations

from functools import cache

AFRICA = (
    ("Algeria",), ("Angola",), ("Benin",), ("Botswana",), ("Burkina Faso",), ("Burundi",),
    ("Cabo Verde", "Cape Verde"), ("Cameroon",), ("Central African Republic",), ("Chad",),
    ("Comoros", "The Comoros"),
    ("Democratic Republic of the Congo", "Congo Democratic Republic of the", "DR Congo", "DRC",
     "Congo Kinshasa", "Democratic Republic of Congo"),
    ("Republic of the Congo", "Congo Republic of the", "Congo", "Congo Brazzaville",
     "Republic of Congo"),
    ("Djibouti",), ("Egypt",), ("Equatorial Guinea",), ("Eritrea",), ("Eswatini", "Swaziland"),
    ("Ethiopia",), ("Gabon",), ("Gambia", "The Gambia", "Gambia The"), ("Ghana",), ("Guinea",),
    ("Guinea Bissau",), ("Ivory Coast", "Cote d Ivoire", "Cote dIvoire"), ("Kenya",), ("Lesotho",),
    ("Liberia",), ("Libya",), ("Madagascar",), ("Malawi",), ("Mali",), ("Mauritania",),
    ("Mauritius",), ("Morocco",), ("Mozambique",), ("Namibia",), ("Niger",), ("Nigeria",),
    ("Rwanda",), ("Sao Tome and Principe", "Sao Tome Principe"),
    ("Senegal",), ("Seychelles", "The Seychelles"),
    ("Sierra Leone",), ("Somalia",), ("South Africa",), ("South Sudan",), ("Sudan", "The Sudan"),
    ("Tanzania",), ("Togo",), ("Tunisia",), ("Uganda",), ("Zambia",), ("Zimbabwe",),
)  # fmt: skip
"""The 54 African members of the United Nations, each with the names it goes by, without accents and
marks."""

CAPITALS = """
Afghanistan: Kabul; Albania: Tirana; Algeria: Algiers; Andorra; Angola: Luanda; Argentina: Buenos Aires;
Armenia: Yerevan; Australia: Canberra, Sydney, Melbourne; Austria: Vienna; Azerbaijan: Baku;
Bahamas: Nassau; Bahrain: Manama; Bangladesh: Dhaka; Barbados: Bridgetown; Belarus: Minsk;
Belgium: Brussels; Belize: Belmopan; Benin: Porto-Novo; Bhutan: Thimphu; Bolivia: La Paz;
Bosnia: Sarajevo; Botswana: Gaborone; Brazil: Brasilia, Rio de Janeiro; Brunei; Bulgaria: Sofia;
Burkina Faso: Ouagadougou; Burundi: Gitega; Cabo Verde: Praia; Cambodia: Phnom Penh;
Cameroon: Yaounde; Canada: Ottawa, Toronto; Central African Republic: Bangui; Chad: N'Djamena;
Chile: Santiago; China: Beijing, Shanghai; Colombia: Bogota; Comoros: Moroni;
Republic of the Congo: Brazzaville; Democratic Republic of the Congo: Kinshasa;
Costa Rica: San Jose; Croatia: Zagreb; Cuba: Havana; Cyprus: Nicosia; Czech Republic: Czechia, Prague;
Denmark: Copenhagen; Djibouti; Dominica: Roseau; Dominican Republic: Santo Domingo; Ecuador: Quito;
Egypt: Cairo; El Salvador: San Salvador; Equatorial Guinea: Malabo; Eritrea: Asmara;
Estonia: Tallinn; Eswatini: Mbabane; Ethiopia: Addis Ababa; Fiji: Suva; Finland: Helsinki;
France: Paris; Gabon: Libreville; Gambia: Banjul; Georgia: Tbilisi; Germany: Berlin, Munich;
Ghana: Accra; Greece: Athens; Grenada; Guatemala; Guinea: Conakry; Guinea-Bissau: Bissau;
Guyana: Georgetown; Haiti: Port-au-Prince; Honduras: Tegucigalpa; Hungary: Budapest;
Iceland: Reykjavik; India: New Delhi, Mumbai; Indonesia: Jakarta; Iran: Tehran; Iraq: Baghdad;
Ireland: Dublin; Israel: Jerusalem, Tel Aviv; Italy: Rome, Milan; Ivory Coast: Yamoussoukro;
Jamaica: Kingston; Japan: Tokyo, Kyoto; Jordan: Amman; Kazakhstan: Astana; Kenya: Nairobi;
Kiribati: Tarawa; Kuwait; Kyrgyzstan: Bishkek; Laos: Vientiane; Latvia: Riga; Lebanon: Beirut;
Lesotho: Maseru; Liberia: Monrovia; Libya: Tripoli; Liechtenstein: Vaduz; Lithuania: Vilnius;
Luxembourg; Madagascar: Antananarivo; Malawi: Lilongwe; Malaysia: Kuala Lumpur; Maldives: Male;
Mali: Bamako; Malta: Valletta; Marshall Islands: Majuro; Mauritania: Nouakchott;
Mauritius: Port Louis; Mexico: Mexico City; Micronesia: Palikir; Moldova: Chisinau; Monaco;
Mongolia: Ulaanbaatar; Montenegro: Podgorica; Morocco: Rabat; Mozambique: Maputo;
Myanmar: Naypyidaw; Namibia: Windhoek; Nauru: Yaren; Nepal: Kathmandu; Netherlands: Amsterdam;
New Zealand: Wellington; Nicaragua: Managua; Niger: Niamey; Nigeria: Abuja, Lagos;
North Korea: Pyongyang; North Macedonia: Skopje; Norway: Oslo; Oman: Muscat; Pakistan: Islamabad;
Palau: Ngerulmud; Palestine: Ramallah; Panama; Papua New Guinea: Port Moresby; Paraguay: Asuncion;
Peru: Lima; Philippines: Manila; Poland: Warsaw; Portugal: Lisbon; Qatar: Doha;
Romania: Bucharest; Russia: Moscow; Rwanda: Kigali; Saint Kitts and Nevis: Basseterre;
Saint Lucia: Castries; Saint Vincent: Kingstown; Samoa: Apia; San Marino;
Sao Tome and Principe: Sao Tome; Saudi Arabia: Riyadh; Senegal: Dakar; Serbia: Belgrade;
Seychelles: Victoria; Sierra Leone: Freetown; Singapore; Slovakia: Bratislava;
Slovenia: Ljubljana; Solomon Islands: Honiara; Somalia: Mogadishu; South Africa: Pretoria, Cape Town;
South Korea: Seoul; South Sudan: Juba; Spain: Madrid, Barcelona; Sri Lanka: Colombo;
Sudan: Khartoum; Suriname: Paramaribo; Sweden: Stockholm; Switzerland: Bern, Geneva, Zurich;
Syria: Damascus; Tajikistan: Dushanbe; Tanzania: Dodoma; Thailand: Bangkok; Timor-Leste: Dili;
Togo: Lome; Tonga: Nuku'alofa; Trinidad and Tobago: Port of Spain; Tunisia: Tunis;
Turkey: Turkiye, Ankara, Istanbul; Turkmenistan: Ashgabat; Tuvalu: Funafuti; Uganda: Kampala;
Ukraine: Kyiv; United Arab Emirates: Abu Dhabi, Dubai; United Kingdom: England, Scotland, Wales, London;
United States: USA, America, New York, Washington; Uruguay: Montevideo; Uzbekistan: Tashkent;
Vanuatu: Port Vila; Vatican; Venezuela: Caracas; Vietnam: Hanoi; Yemen: Sanaa; Zambia: Lusaka;
Zimbabwe: Harare
"""
"""Countries, each with its capital and some more places, parted by semicolons."""


@cache
def places() -> dict[str, str]:
    """The country of every place, countries included."""
    found: dict[str, str] = {}
    for entry in CAPITALS.replace("\n", " ").split(";"):
        country, _, cities = (part.strip() for part in entry.partition(":"))
        for place in (country, *filter(None, map(str.strip, cities.split(",")))):
            found[place] = country
    return found
