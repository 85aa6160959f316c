"""Which language a text is in, told by its script and its function words, and what is known of each language."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from ragindex_core.analysis.folding import normalise

#: Languages with a stemmer: those PostgreSQL brings a dictionary for. ISO 639-1 to the algorithm's name.
STEMMERS: Mapping[str, str] = {
    "ar": "arabic",
    "hy": "armenian",
    "eu": "basque",
    "ca": "catalan",
    "da": "danish",
    "nl": "dutch_porter",
    "en": "english",
    "et": "estonian",
    "fi": "finnish",
    "fr": "french",
    "de": "german",
    "el": "greek",
    "hi": "hindi",
    "hu": "hungarian",
    "id": "indonesian",
    "ga": "irish",
    "it": "italian",
    "lt": "lithuanian",
    "ne": "nepali",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "es": "spanish",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
    "yi": "yiddish",
}

#: Words that hold sentences together: frequent in any text of the language, whatever it is about.
FUNCTION_WORDS: Mapping[str, frozenset[str]] = {
    language: frozenset(words.split())
    for language, words in {
        "en": "a an the and or but if of to in on at by for from with as is are was were be been being it its this that"
        " these those he she they we you i his her their our your my not no do does did have has had will would can"
        " could should may might must there here what which who whom whose when where why how than then so such into"
        " about after before between through during all any each more most other some only own same s t am me him them"
        " us",
        "de": "der die das den dem des ein eine einen einem einer eines und oder aber wenn von zu zum zur in im an am"
        " auf aus bei mit nach für über unter durch um als wie ist sind war waren sein wird werden wurde wurden hat"
        " haben hatte es er sie wir ihr ich du sich nicht kein keine auch nur noch schon so dass daß was wer wo wann"
        " warum welche welcher welches dieser diese dieses man kann können muss vor zwischen bis gegen ohne seit",
        "fr": "le la les l un une des du de d et ou mais si à au aux en dans sur sous par pour avec sans chez vers est"
        " sont était étaient être été a ont avait avoir il elle ils elles nous vous je tu on se s ne n pas plus que qu"
        " qui quoi dont où quand comment pourquoi quel quelle quels quelles ce cet cette ces c son sa ses leur leurs"
        " notre votre mon ma mes y comme entre après avant aussi",
        "es": "el la los las un una unos unas y e o u pero si de del a al en con por para sin sobre entre hasta desde"
        " es son era eran ser fue fueron ha han había haber está están él ella ellos ellas nosotros yo tú se no que"
        " qué quién cuál cuándo dónde cómo como más muy este esta estos estas ese esa su sus lo le les mi tu ya"
        " también",
        "it": "il lo la i gli le l un uno una e ed o ma se di del dello della dei degli delle a al allo alla ai agli"
        " alle da dal dalla in nel nella nei nelle con su sul sulla per tra fra è sono era erano essere stato ha hanno"
        " aveva avere non che chi cui quale quali quando dove come perché più questo questa questi queste si ci ne"
        " anche suo sua loro io tu lui lei noi voi",
        "pt": "o a os as um uma uns umas e ou mas se de do da dos das em no na nos nas a ao aos à às com por pelo pela"
        " para sem sobre entre até desde é são era eram ser foi foram tem têm tinha ter há ele ela eles elas nós eu"
        " você não que quem qual quais quando onde como mais muito este esta isto esse essa isso seu sua seus suas"
        " lhe já também",
        "nl": "de het een en of maar als van te ter in op aan bij met naar voor over onder door uit om tot tegen zonder"
        " is zijn was waren wordt worden werd werden heeft hebben had hij zij ze wij we jij je ik u het er niet geen"
        " ook nog al dan dat die dit deze wat wie waar wanneer waarom hoe welke zich haar hun onze kan moet tussen",
        "sv": "en ett den det de och eller men om av till i på vid med från för över under genom ut som är var vara"
        " blir blev har hade han hon de vi ni jag du sig inte ej också bara än att vad vem var när varför hur vilken"
        " vilket vilka denna detta dessa sin sitt sina kan ska skulle mellan efter mot utan där",
        "da": "en et den det de og eller men hvis af til i på ved med fra for over under gennem ud som er var være"
        " bliver blev har havde han hun vi jeg du sig ikke også kun end at hvad hvem hvor hvornår hvorfor hvordan"
        " hvilken hvilket denne dette disse sin sit sine kan skal skulle mellem efter mod uden der nogle",
        "no": "en ei et den det de og eller men hvis av til i på ved med fra for over under gjennom ut som er var være"
        " blir ble har hadde han hun vi jeg du seg ikke også bare enn at å hva hvem hvor når hvorfor hvordan hvilken"
        " hvilket denne dette disse sin sitt sine kan skal skulle mellom etter mot uten der noen",
        "fi": "ja tai mutta jos on oli ovat olivat olla ollut ei eivät se ne hän he me te minä sinä tämä nämä tuo joka"
        " jotka mikä mitä kuka missä milloin miksi miten kuin että kun myös vain jo vielä sekä niin sen sitä siitä"
        " joita jonka ole hänen heidän",
        "hu": "a az egy és vagy de ha nem is hogy mint van vannak volt voltak lesz lehet ez ezt azt ezek azok aki ami"
        " amely melyek mi ki mit hol mikor miért hogyan én te ő mi ti ők meg el fel be ki le csak már még után között"
        " alatt által",
        "tr": "ve veya ama fakat ile için bir bu şu o da de ki mi mı mu mü ne kim nerede zaman neden niçin nasıl hangi"
        " gibi kadar daha en çok az değil var yok olan olarak olduğu oldu sonra önce ben sen biz siz onlar her hem ise",
        "pl": "i oraz lub albo ale jeśli w we na do od z ze za po przy przez dla o u pod nad między bez jest są był"
        " była było były być nie tak to ten ta te tego tej tych się że który która które co kto gdzie kiedy dlaczego"
        " jak jaki jako już tylko też jego jej ich on ona oni my wy ja ty",
        "cs": "a i nebo ale když v ve na do od z ze za po při pro o u pod nad mezi bez je jsou byl byla bylo byli být"
        " není ne to ten ta ty toho této těch se si že který která které co kdo kde kdy proč jak jaký jako již jen"
        " také jeho její jejich on ona oni my vy já",
        "ro": "și sau dar dacă de la în din pe cu fără pentru prin despre între este sunt era erau fi fost a au avea"
        " nu că ce cine care unde când cum un o unei unui al ale ai lui ei lor se mai foarte acest această aceste"
        " acel după până el ea noi voi eu",
        "ca": "el la els les un una uns unes i o però si de del dels d a al als en amb per sense sobre entre fins des"
        " és són era eren ser ha han havia no que qui què quin quina quan on com més molt aquest aquesta aquests el"
        " seu seva seus ja també hi",
        "id": "yang dan atau tetapi jika di ke dari pada dengan untuk oleh dalam adalah ialah ini itu tidak bukan"
        " akan telah sudah dapat bisa harus saya kami kita anda dia mereka apa siapa kapan mengapa bagaimana juga"
        " hanya lebih seperti karena sebagai para",
        "lt": "ir ar bet jei kad į iš su be per už prie apie po yra buvo būti nėra ne tai šis ši šie tas kuris kuri"
        " kurie kas kur kada kodėl kaip jau tik dar taip pat jis ji jie mes jūs aš tu savo",
        "ru": "и или но если в во на к ко от из с со за по при для о об у под над между без через до это этот эта эти"
        " тот что кто где когда почему как какой который которая которые не ни да нет был была было были быть есть"
        " он она они мы вы я ты его ее их же бы только уже также а",
        "uk": "і й та або але якщо в у на до від з із за по при для про під над між без через це цей ця ці той що хто"
        " де коли чому як який яка які не ні так був була було були бути є він вона вони ми ви я ти його її їх же б"
        " тільки вже також",
        "el": "ο η το οι τα του της των τον την τους τις και ή αλλά αν σε στο στη στην στον στα από με για προς κατά"
        " μετά είναι ήταν να θα δεν μη που πως τι ποιος ποια πού πότε γιατί ένα ένας μια αυτό αυτή αυτός ως όπως",
        "ar": "في من إلى على عن مع هذا هذه ذلك التي الذي الذين أن إن لا ما لم لن كان كانت هو هي هم نحن أنا أو ثم قد كل"
        " بعد قبل بين حتى كيف متى أين لماذا هل",
        "fa": "و در به از که این آن را با است بود شد برای تا یک بر نیز هم"
        " یا اما اگر هر چه کجا چرا چگونه آنها ما شما من",
        "hi": "का के की है हैं में से को और या पर यह वह ये वे एक नहीं भी था थी थे हो कि जो क्या कौन कहाँ कब क्यों कैसे लिए साथ तक ने",
        "ne": "को का की मा र वा छ छन थियो हो यो त्यो ले लाई बाट पनि भने गर्न गरेको के कहाँ कहिले किन कसरी एक लागि",
    }.items()
}

# Enough to decide; reading a book to its end would decide the same.
_READ_CHARACTERS = 4_000
_WORD = re.compile(r"[^\W\d_]+(?:[\u0300-\u036f\u0900-\u0963]+[^\W\d_]*)*")

_SCRIPTS = re.compile(
    "(?P<kana>[\u3040-\u30ff]++)|(?P<hangul>[\u1100-\u11ff\uac00-\ud7af]++)|(?P<han>[\u3400-\u4dbf\u4e00-\u9fff]++)"
    "|(?P<cyrillic>[\u0400-\u04ff]++)|(?P<greek>[\u0370-\u03ff]++)|(?P<arabic>[\u0600-\u06ff]++)|(?P<hebrew>[\u0590-\u05ff]++)"
    "|(?P<devanagari>[\u0900-\u097f]++)|(?P<tamil>[\u0b80-\u0bff]++)|(?P<thai>[\u0e00-\u0e7f]++)|(?P<armenian>[\u0530-\u058f]++)"
    "|(?P<latin>[a-z\u00c0-\u024f]++)"
)
_ONE_LANGUAGE = {"hangul": "ko", "greek": "el", "tamil": "ta", "thai": "th", "armenian": "hy"}
_OTHER_SCRIPTS = frozenset({"ru", "uk", "el", "ar", "fa", "hi", "ne"})
_LATIN = frozenset(FUNCTION_WORDS) - _OTHER_SCRIPTS


def detect_language(text: str) -> str | None:
    """ISO 639-1 of the language that most of ``text`` is in; None when nothing tells."""
    normal = normalise(text[:_READ_CHARACTERS])
    scripts: Counter[str | None] = Counter()
    for run in _SCRIPTS.finditer(normal):
        scripts[run.lastgroup] += run.end() - run.start()
    # An ideogram carries about as much as a whole word of letters.
    weight = {script: count * (3 if script in ("han", "kana", "hangul") else 1) for script, count in scripts.items()}
    if not weight:
        return None
    script = max(weight, key=lambda name: (weight[name], str(name)))
    if script in ("han", "kana"):
        return "ja" if scripts["kana"] * 10 > scripts["han"] else "zh"
    if script == "cyrillic":
        return _cyrillic(normal)
    if script == "hebrew":
        return "yi" if normal.count("ײ") + normal.count("װ") > len(normal) // 100 else "he"
    if script == "arabic":
        return _by_function_words(normal, {"ar", "fa"}) or "ar"
    if script == "devanagari":
        return _by_function_words(normal, {"hi", "ne"}) or "hi"
    if script == "latin":
        return _by_function_words(normal, _LATIN)
    return _ONE_LANGUAGE[str(script)]


def _cyrillic(normal: str) -> str:
    if any(letter in normal for letter in "ђјљњћџ"):
        return "sr"
    if any(letter in normal for letter in "іїєґ"):
        return "uk"
    return "ru"


def _by_function_words(normal: str, languages: frozenset[str] | set[str]) -> str | None:
    """The language whose function words stand most often in the text, when it is clearly ahead of the next."""
    words = Counter(_WORD.findall(normal))
    hits = {language: sum(words[word] for word in FUNCTION_WORDS[language] if word in words) for language in languages}
    ranked = sorted(hits.items(), key=lambda hit: (-hit[1], hit[0]))
    (best, most), (_, next_most) = ranked[:2]
    total = sum(words.values())
    if most * 20 < total or most <= next_most:
        return None
    return best
