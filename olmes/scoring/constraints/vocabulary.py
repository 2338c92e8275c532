"""Plain words and sentences, for made-up arguments and made-up answers."""

from __future__ import annotations

from random import Random

NOUNS = (
    "garden", "river", "window", "market", "summer", "teacher", "bridge", "letter", "winter", "music",
    "story", "kitchen", "morning", "forest", "pocket", "castle", "island", "doctor", "mirror", "engine",
    "cloud", "paper", "silver", "basket", "village", "number", "ocean", "candle", "stone", "yellow",
)  # fmt: skip

# Each letter is missing from a good many, so that an answer can do without it.
FILLER = (
    "the", "garden", "with", "this", "wind", "and", "light", "that", "is", "still",
    "there", "where", "the", "river", "thing", "which", "they", "think", "will", "bring",
    "winter", "to", "what", "hand", "walks", "as", "it", "was", "all", "this",
    "morning", "then", "while", "we", "were", "in", "that", "small", "town", "within",
)  # fmt: skip

SENTENCES = {
    "ar": "هذا كتاب جميل عن تاريخ المدينة القديمة وأهلها الطيبين.",
    "bg": "Това е една хубава книга за историята на стария български град и неговите жители.",
    "bn": "এটি আমাদের পুরনো শহরের ইতিহাস নিয়ে লেখা একটি সুন্দর বই।",
    "de": "Das ist ein schönes Buch über die Geschichte der alten Stadt und ihrer Menschen.",
    "es": "Este es un libro muy bonito sobre la historia de la ciudad antigua y de su gente.",
    "fa": "این یک کتاب زیبا درباره تاریخ شهر قدیمی ما و مردم خوب آن است که می‌خوانیم.",
    "fi": "Tämä on kaunis kirja vanhan kaupungin historiasta ja sen ystävällisistä asukkaista.",
    "fr": "Ceci est un très beau livre sur l'histoire de la vieille ville et de ses habitants.",
    "gu": "આ આપણા જૂના શહેરના ઇતિહાસ વિશેનું એક સુંદર પુસ્તક છે.",
    "hi": "यह हमारे पुराने शहर के इतिहास के बारे में लिखी गई एक बहुत सुंदर किताब है।",
    "it": "Questo è un bel libro sulla storia della vecchia città e dei suoi abitanti gentili.",
    "ja": "これは古い町の歴史とそこに住む人々についての美しい本です。",
    "kn": "ಇದು ನಮ್ಮ ಹಳೆಯ ನಗರದ ಇತಿಹಾಸದ ಬಗ್ಗೆ ಬರೆದ ಒಂದು ಸುಂದರ ಪುಸ್ತಕ.",
    "ko": "이것은 오래된 도시의 역사와 그곳에 사는 사람들에 관한 아름다운 책입니다.",
    "mr": "हे आपल्या जुन्या शहराच्या इतिहासाबद्दल लिहिलेले एक अतिशय सुंदर पुस्तक आहे.",
    "ne": "यो हाम्रो पुरानो सहरको इतिहासको बारेमा लेखिएको एउटा धेरै राम्रो किताब हो।",
    "pa": "ਇਹ ਸਾਡੇ ਪੁਰਾਣੇ ਸ਼ਹਿਰ ਦੇ ਇਤਿਹਾਸ ਬਾਰੇ ਲਿਖੀ ਇੱਕ ਸੁੰਦਰ ਕਿਤਾਬ ਹੈ।",
    "pt": "Este é um livro muito bonito sobre a história da cidade antiga e da sua gente.",
    "ru": "Это очень красивая книга об истории старого города и о людях которые в нём живут.",
    "sw": "Hiki ni kitabu kizuri sana kuhusu historia ya mji wetu wa zamani na watu wake wema.",
    "ta": "இது எங்கள் பழைய நகரத்தின் வரலாற்றைப் பற்றிய ஓர் அழகான புத்தகம்.",
    "te": "ఇది మా పాత నగరం చరిత్ర గురించి రాసిన ఒక అందమైన పుస్తకం.",
    "th": "นี่คือหนังสือที่สวยงามเกี่ยวกับประวัติศาสตร์ของเมืองเก่าและผู้คนที่นั่น",
    "ur": "یہ ہمارے پرانے شہر کی تاریخ کے بارے میں لکھی گئی ایک بہت خوبصورت کتاب ہے۔",
    "vi": "Đây là một cuốn sách rất hay về lịch sử của thành phố cổ và những người dân ở đó.",
}
"""One sentence without a comma in each language that can be asked for, by ISO 639-1 code."""


def draw_words(rng: Random, count: int) -> tuple[str, ...]:
    """`count` different nouns."""
    return tuple(rng.sample(NOUNS, count))
