"""tone_break and mixed_speech on lines written for them: six personalities, honest lines that look like breaks among them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from npc_align.checks import speech
from npc_align.domain import Tone, load_domain

DOMAIN = load_domain("weapon_rental")
GOOD = {
    "하대형": [
        "저 녀석이 제 발로 도망치더군.",
        "저 도끼 내놔라. 제일 큰 걸로.",
        "저, 이거 얼마지?",
        "산적 놈들, 저만 살겠다고 내빼더군.",
        "이 창이 제값을 하더군.",
        "저기 걸린 활을 내려 보게.",
        "그제 빌린 검이 제법이더라.",
        "'제가 졌습니다' 하고 빌더군.",
        "동료가 제가 최고라고 떠들더라. 우습지.",
        "이제야 제 주인을 만났군, 이 검이.",
        "제대로 된 창을 내놔라.",
        "저런 창으로 뭘 잡나.",
        "저놈의 활은 왜 저기 있나?",
        "한잔 합시다.",
        "잘 있었소? 또 봅시다.",
        "내가 왔소. 이 창이 내 창이오?",
        "여보게, 창 하나 주게. 값은 후하게 쳐줌세.",
        "그놈이 그러더군. 살려 주세요!",
        "영감님께서 여기 활을 쓰시더군. 나도 하나 줘.",
        "쯧, 이게 검이오? 다시 벼려 오시오.",
        "자네가 골라 준 활이 제일이더구먼. 고맙네그려.",
        "그게 최선인가? 한심하군. 다음엔 잘 좀 해.",
        "내 눈이 틀리지 않았구먼. 그 활, 값을 하더이다.",
        "어허, 물러서게나! 내 도끼가 먼저일세.",
        "그런 걸 무기라고 파는 겐가?",
        "감히 누구 앞에서 흥정을 하려 드는 게냐.",
        "내 친히 써 보겠노라. 창을 대령하라.",
        "고작 이 정도라니. 실망이군.",
        "잘 썼소만, 다음엔 더 나은 걸 주시구려.",
        "이 몸께서 오셨는데 인사도 없나?",
        "내가 누군지 모르진 않을 텐데.",
        "이기긴 했네만, 자루가 영 미끄럽더군.",
        "늙은이 놀리는 거 아닐세. 어서 내오게, 어서.",
    ],
    "야성형": [
        "늑대가 제 새끼를 두고 도망갔다!",
        "저만한 곰은 처음 봤다!",
        "족장께서 웃으셨다! 또 사냥이다!",
        "피 냄새다! 도끼를 다오!",
        "우하하하! 곰 가죽이다, 곰 가죽!",
        "놈이 달려들길래 콱! 물어 줬지.",
        "물러나! 내 사냥감이야!",
        "비린내가 진동하는군. 활이나 내놔.",
        "도끼여, 나와 함께 가자!",
        "트롤 따위가 감히! 한 방에 골로 보냈다.",
        "살려 달라고 빌더라! 안 들어줬다!",
    ],
    "단답형": [
        "제 활. 줘.",
        "이겼음. 단검 반납.",
        "졌다. 창 탓.",
        "반납. 끝.",
        "망함. 창 부러짐. 미안.",
        "또 왔어. 활. 어제 그거.",
        "단검. 두 자루. 급함.",
        "별로였어. 바꿔 줘.",
        "얼마?",
        "고맙다.",
        "완벽. 또 그걸로.",
    ],
    "평범형": [
        "제가 쓸 활을 골라 주세요.",
        "사장님!",
        "네.",
        "동료가 왜 졌냐고 묻더라고요.",
        "살려 달라! 하는 소리에 뛰어갔어요.",
        "여기 검이 최고라고 들었어요. 하나 보여 주실래요?",
        "칼이요! 긴 걸로요.",
        "비가 와서요. 좀 늦었죠?",
        "값이 올랐네요. 저번엔 쌌는데.",
        "도끼를 반납할게요. 날은 갈아 뒀고.",
        "활이 부러졌어요. 할 수 없이 걸어왔죠.",
        "검이 가볍네요. 하지만 날은 좀 무뎌요.",
        "졌어요. 하필 비가 와서요.",
        "저기요, 단검 하나 빌리려고요.",
        "지난번에 빌린 활인데요, 줄이 좀 늘어났어요.",
        "의뢰가 생각보다 힘들더라고요. 그래도 해냈죠.",
        "혹시 더 가벼운 것도 있나 해서요.",
        "아, 참! 보증금 드릴게요.",
        "이걸로 할까 저걸로 할까… 그냥 활로 주세요.",
        "오늘은 그냥 구경만 하러 왔어요. 괜찮죠?",
        "창날이 다 나갔더군요, 죄송해요.",
        "네, 그 도끼요! 그거 다시 빌릴 수 있어요?",
        "사실 좀 무서웠거든요, 처음이라.",
        "값이 얼마라고요? 생각보다 싸네요.",
    ],
    "너스레형": [
        "저 왔어요~ 제 칼 잘 있었죠?",
        "하하~",
        "스승님이 그러셨어요. 활은 마음으로 쏘는 거다!",
        "오크가 '어이, 꼬맹이!' 하더라고요. 확 쐈죠~",
        "누가 그러던데요, 여기가 제일 싸다고.",
        "아이고, 허리야! 도끼가 왜 이리 무겁대요?",
        "어디 보자… 오늘은 활이 좋겠네요!",
        "와, 날카롭다! 이거 얼마예요?",
        "갈게용~ 또 봐용!",
        "했다구요, 제가! 믿어 주세요.",
        "그 도끼 덕에 제가 왕이 됐답니다~ 부럽죠?",
        "제가 말이죠, 어제 트롤을 딱! 한 방에 보냈지 뭐예요?",
        "에이, 설마 저한테까지 다 받으시려고요? 단골인데~",
        "이 활만 있으면 천하무적! 그렇죠, 사장님?",
        "죽다 살았다니까요? 아주 그냥 저승사자랑 악수했어요!",
        "헤헤, 외상 되죠? 안 되면 말고요~",
        "도끼님 덕에 살았사옵니다~ 만수무강하소서!",
        "사장님 없으면 난 어떡하라고요~",
        "소문 들으셨어요? 제가 그 유명한 '한 방에 끝내는 남자'랍니다!",
        "검이 울더라고요. '주인님, 살살 좀 다뤄!' 하고요.",
    ],
    "존칭형": [
        "어서 오십시오 사장님",
        "또 봅시다. 감사합니다.",
        "덕분에 살았습니다. 이 은혜를 어찌 갚을지…",
        "스승님께서 추천하셨습니다. 좋은 창이더군요.",
        "송구하오나 창이 부러졌사옵니다.",
        "부디 용서하소서. 갚겠나이다.",
        "지난번 창으로 무사히 임무를 마쳤음을 알려 드립니다.",
        "면목이 없습니다. 빌려주신 검을 그만 강에 빠뜨렸지 뭡니까.",
        "사장님께서 권해 주신 활이 큰 몫을 했습니다. 감사드려요.",
        "혹시 지난번 그 지팡이, 아직 남아 있을는지요?",
        "'모르면 물어라' 하셨기에 여쭙습니다. 어느 창이 튼튼합니까?",
        "실례를 무릅쓰고 한 번 더 부탁드리고자 왔습니다.",
        "과연 명불허전이더군요. 깊이 감사드립니다, 사장님.",
        "덕분에 목숨을 건졌습니다… 정말이지 뭐라 말씀드려야 할지.",
    ],
}
BAD = [
    ("하대형", "제가 이겼다. 당연하지.", "tone_break"),
    ("하대형", "저는 이런 싸구려는 안 쓴다.", "tone_break"),
    ("하대형", "저한테 이런 걸 내주는 거냐?", "tone_break"),
    ("하대형", "저희가 트롤을 잡았다.", "tone_break"),
    ("하대형", "저 같은 명궁한테 이런 활을 줘?", "tone_break"),
    ("하대형", "제 활 어디 뒀나?", "tone_break"),
    ("야성형", "제가 다 때려잡았다!", "tone_break"),
    ("하대형", "전 바쁘다. 얼른 내놔.", "tone_break"),
    ("하대형", "제 이름을 잊었나? 또 왔다.", "tone_break"),
    ("하대형", "저도 값은 안다.", "tone_break"),
    ("평범형", "검 반납해요. 날이 무뎌요. 다른 거 줘.", "mixed_speech"),
    ("평범형", "검 반납한다. 날이 무디다. 다른 거 주세요.", "mixed_speech tone_break"),
    ("평범형", "검 반납해. 다른 거 주세요.", "mixed_speech"),
    ("하대형", "창을 주세요. 빨리 줘.", "mixed_speech"),
    ("하대형", "창을 주세요. 빨리요.", "tone_break"),
    ("존칭형", "감사합니다. 또 올게.", "mixed_speech"),
    ("존칭형", "고마워. 또 올게. 부탁드립니다.", "mixed_speech tone_break"),
    ("단답형", "이겼어요.", "tone_break"),
    ("단답형", "창 하나. 긴 거. 주세요.", "tone_break"),
    ("야성형", "크하하! 이겼습니다! 술을 주십시오!", "tone_break"),
    ("야성형", "크하하! 이겼다! 술을 주십시오!", "mixed_speech"),
    ("너스레형", "주인장, 나 또 왔네. 이 단검 물건일세!", "tone_break"),
    ("너스레형", "검 하나. 튼튼한 놈. 외상.", "tone_break"),
    ("존칭형", "검 한 자루. 감사.", "tone_break"),
    ("너스레형", "이놈 참 물건이더라. 또 빌려줘요~", "mixed_speech"),
    ("평범형", "의뢰는 잘 끝났어요. 보수가 짜더라.", "mixed_speech"),
    ("평범형", "활 하나 빌려주게. 곧 갚을게요.", "mixed_speech"),
    ("존칭형", "창을 돌려드립니다. 날이 상했소.", "mixed_speech"),
    ("존칭형", "귀한 검 잘 썼네. 자네 덕일세.", "tone_break"),
    ("하대형", "겨우 이건가요? 실망이네요.", "tone_break"),
    ("하대형", "흥, 별로더군요. 다른 걸 가져와.", "mixed_speech"),
    ("단답형", "또 졌네요. 창 줘.", "mixed_speech"),
    ("단답형", "활. 빨리. 고맙습니다.", "tone_break"),
    ("야성형", "배고파요! 고기 좀 주세요!", "tone_break"),
    ("야성형", "으르렁! 놈을 물어뜯었슴다!", "tone_break"),
    ("너스레형", "이겼지롱! 한턱 낼게요~", "mixed_speech"),
    ("너스레형", "아 글쎄 트롤이 웃더라니까요? 진짜라니깐!", "mixed_speech"),
    ("단답형", "의뢰 성공했습니다만.", "tone_break"),
    ("평범형", "이번엔 활이다. 튼튼한 걸로 내놔라.", "tone_break"),
    ("존칭형", "그 창이 아니었으면 죽었을 것이오. 하나 더 주시오.", "tone_break"),
    ("존칭형", "지난번 창은 훌륭하더이다. 자, 이번에도 하나 골라 보시게.", "tone_break"),
    ("존칭형", "무사히 돌아왔다네. 자네 활 덕분이지.", "tone_break"),
    ("존칭형", "검을 반납하러 왔습니다. 상태는 보다시피 멀쩡해.", "mixed_speech"),
    ("존칭형", "정말 감사합니다. 다음에도 꼭 들를 테니 좋은 놈으로 남겨 둬.", "mixed_speech"),
    ("존칭형", "잘 썼다. 또 빌리마.", "tone_break"),
    ("평범형", "활 잘 썼어. 다음에도 부탁할게.", "tone_break"),
    ("평범형", "창이 부러졌습니다. 어쩔 수 없었어. 죄송해요.", "mixed_speech"),
    ("평범형", "어이, 주인. 도끼 하나 내놔 봐.", "tone_break"),
    ("평범형", "오늘도 바쁘시네요. 난 늘 쓰던 걸로 줘.", "mixed_speech"),
    ("평범형", "이 지팡이 되게 가볍네. 마음에 들어. 빌릴게요.", "mixed_speech tone_break"),
    ("평범형", "검 한 자루, 사흘.", "tone_break"),
    ("너스레형", "트롤이 울면서 도망갔다니까! 사장님도 봤어야 했는데. 하하!", "tone_break"),
    ("너스레형", "아따, 비싸다 비싸! 그래도 주세요~", "mixed_speech"),
    ("너스레형", "내가 누구냐, 용 잡은 사나이 아니냐! 박수 좀 쳐 주세요~", "mixed_speech"),
    ("너스레형", "의뢰 완료. 보수 수령. 검 반납.", "tone_break"),
    ("너스레형", "이 도끼가 글쎄 나를 살렸지 뭐야. 사장님, 고마워요!", "mixed_speech"),
    ("하대형", "쯧, 사장님. 이 창은 너무 무겁습니다.", "tone_break"),
    ("하대형", "별 볼 일 없네요. 그래도 빌려 가지.", "mixed_speech"),
    ("하대형", "이봐, 저 도끼 좀 꺼내 주세요.", "tone_break"),
    ("하대형", "제 수준엔 맞지 않는 활이군.", "tone_break"),
    ("하대형", "저를 뭘로 보는 건가?", "tone_break"),
    ("하대형", "내 활은? 어서 가져오시죠.", "tone_break"),
    ("하대형", "변변찮더군. 다음엔 제대로 준비하십시오. 알겠나?", "mixed_speech"),
    ("야성형", "크아아! 다 부숴 버렸어요! 또 주세요!", "tone_break"),
    ("야성형", "비켜! 제가 먼저 왔습니다!", "mixed_speech"),
    ("야성형", "사냥은 끝났다. 고기를 좀 나눠 드리겠습니다.", "mixed_speech"),
    ("야성형", "피가 끓는군요. 당장 창을 주시죠.", "tone_break"),
    ("단답형", "네, 성공했습니다.", "tone_break"),
    ("단답형", "단검이요.", "tone_break"),
    ("단답형", "또 실패. 죄송합니다.", "tone_break"),
    ("단답형", "이겼지. 한 자루 더요.", "mixed_speech"),
    ("단답형", "괜찮네요.", "tone_break"),
]


def _kinds(personality: str, line: str) -> str:
    found = speech.check(line, {"성격": personality}, DOMAIN)
    assert all(0 <= v.start < v.end <= len(line) for v in found)
    return " ".join(sorted(v.kind for v in found))


@pytest.mark.parametrize(("personality", "line"), [(p, line) for p, lines in GOOD.items() for line in lines])
def test_a_good_line_has_no_break(personality: str, line: str) -> None:
    assert _kinds(personality, line) == ""


@pytest.mark.parametrize(("personality", "line", "kinds"), BAD)
def test_a_break_is_found(personality: str, line: str, kinds: str) -> None:
    assert _kinds(personality, line) == kinds


def test_humility_is_marked_where_it_stands_and_named() -> None:
    line = "창이 짧군. 저희 일행한텐 안 맞아."
    (found,) = speech.check(line, {"성격": "하대형"}, DOMAIN)
    assert line[found.start : found.end] == "저희"
    assert "'저희'" in found.message
    assert "'우리'" in found.message


def test_the_tone_table_decides_who_is_humble() -> None:
    tones = {name: replace(tone, humble=True) for name, tone in DOMAIN.tone.items()}
    assert speech.check("제가 이겼다.", {"성격": "하대형"}, replace(DOMAIN, tone=tones)) == []


def test_a_level_counted_on_the_other_side_mixes_with_its_old_one() -> None:
    courtly = replace(DOMAIN, politeness={"하오체": "존댓말"}, tone={"하대형": Tone(("하오체", "해라체"))})
    assert [v.kind for v in speech.check("잘 있었소? 검을 내놔라.", {"성격": "하대형"}, courtly)] == ["mixed_speech"]
    assert speech.check("잘 있었소? 검을 내놔라.", {"성격": "하대형"}, DOMAIN) == []


@pytest.mark.parametrize("attributes", [{}, {"성격": None}, {"성격": "없는형"}])
def test_without_a_known_personality_only_mixing_tells(attributes: dict[str, str | None]) -> None:
    assert speech.check("고맙습니다.", attributes, DOMAIN) == []
    assert [v.kind for v in speech.check("고맙습니다. 또 올게.", attributes, DOMAIN)] == ["mixed_speech"]
