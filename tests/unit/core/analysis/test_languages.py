"""The language of a text, told by script and function words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragindex_core.analysis import detect_language
from ragindex_core.analysis.languages import FUNCTION_WORDS, STEMMERS

SENTENCES = {
    "en": "The employees of the company have a right to leave, and it must be taken in the year.",
    "de": "Die Angestellten der Firma haben ein Recht auf Urlaub, und er muss im Jahr genommen werden.",
    "fr": "Les employés de l'entreprise ont droit à des congés, et ils doivent être pris dans l'année.",
    "es": "Los empleados de la empresa tienen derecho a vacaciones y se deben tomar en el año.",
    "it": "I dipendenti della ditta hanno diritto alle ferie, che non sono pagate se non si prendono nell'anno.",
    "pt": "Os empregados da empresa têm direito a férias, que não são pagas se não forem gozadas no ano.",
    "nl": "De werknemers van het bedrijf hebben recht op verlof en het moet in het jaar worden opgenomen.",
    "sv": "De anställda på företaget har rätt till semester, och den ska tas ut under året som är.",
    "da": "De ansatte i firmaet har ret til ferie, og den skal holdes i løbet af året, hvis det er muligt.",
    "fi": "Yrityksen työntekijöillä on oikeus lomaan, ja se on pidettävä sen vuoden aikana, jona se on ansaittu.",
    "pl": "Pracownicy firmy mają prawo do urlopu, który nie jest płatny, jeśli się go nie wykorzysta w roku.",
    "tr": "Şirketin çalışanları için yıllık izin bir haktır ve bu izin o yıl içinde kullanılır, daha sonra değil.",
    "ro": "Angajații firmei au dreptul la concediu și nu este plătit dacă nu se ia în cursul anului.",
    "hu": "A cég dolgozói szabadságra jogosultak, és ezt az év végéig ki kell venni, mert nem fizetik ki.",
    "id": "Para karyawan perusahaan berhak atas cuti yang harus diambil dalam tahun ini dan tidak dapat dibayar.",
    "ru": "Работники компании имеют право на отпуск, и он должен быть взят в течение года.",
    "uk": "Працівники компанії мають право на відпустку, і її треба взяти протягом року.",
    "sr": "Запослени имају право на одмор, који ће бити њихов и љети.",
    "el": "Οι εργαζόμενοι της εταιρείας έχουν δικαίωμα άδειας.",
    "ar": "الموظفون في الشركة لديهم الحق في إجازة من العمل",
    "fa": "کارکنان شرکت حق مرخصی دارند و این را باید در سال از آن استفاده کنند",
    "hi": "कंपनी के कर्मचारियों को छुट्टी का अधिकार है और यह साल में लेनी होती है",
    "he": "לעובדי החברה יש זכות לחופשה",
    "zh": "公司员工有权休年假，而且必须在当年使用。",
    "ja": "会社の従業員は年次休暇を取る権利があります。",
    "ko": "회사의 직원은 연차 휴가를 쓸 권리가 있습니다.",
    "th": "พนักงานของบริษัทมีสิทธิ์ลาพักร้อน",
    "ta": "நிறுவனத்தின் ஊழியர்களுக்கு விடுப்பு உரிமை உண்டு",
}


@pytest.mark.parametrize("language", SENTENCES)
def test_a_sentence_tells_its_language(language: str) -> None:
    assert detect_language(SENTENCES[language]) == language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        pytest.param("", None, id="nothing"),
        pytest.param("12 345 -- 67%", None, id="numbers"),
        pytest.param("Urlaub", None, id="a word that holds no sentence together"),
        pytest.param("invoice 4711 ACME GmbH total amount due net", None, id="a list of nouns"),
        pytest.param("我们的 iPhone 应用程序和 API 文档都在这里", "zh", id="Chinese with foreign names in it"),
    ],
)
def test_what_does_not_tell_is_not_guessed(text: str, language: str | None) -> None:
    assert detect_language(text) == language


@given(st.text(max_size=300))
def test_any_text_has_a_known_language_or_none(text: str) -> None:
    known = {None, "ko", "el", "ta", "th", "hy", "ja", "zh", "he", "yi", "sr", *FUNCTION_WORDS, *STEMMERS}
    assert detect_language(text) in known
