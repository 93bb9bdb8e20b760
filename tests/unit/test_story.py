"""What a line tells of the last quest and of the visits, held against the record."""

from __future__ import annotations

from typing import Any

import pytest
from story_records import DOMAIN, FAILED, GREAT, INTERVAL, LONG, NEW, RECENT, RESULT, VISIT, WON, kinds, record

from npc_align.checks import results


@pytest.mark.parametrize(
    "line",
    [
        "덕분에 이겼어요. 정말 고맙습니다.",
        "대성공이었지. 주인장도 봤어야 하는데.",
        "놈을 잡았어. 검값은 하더군.",
        "의뢰 성공입니다. 검을 반납하겠습니다.",
        "사장님 검 덕분에 오우거를 쓰러뜨렸습니다.",
        "크하하! 트롤 놈 목을 땄다!",
        "임무 완료. 다음 거.",
        "토벌은 무사히 끝났습니다. 은혜를 입었습니다.",
        "제가 혼자 산적 다섯을 해치웠다니까요~",
        "승리를 거두고 돌아왔습니다.",
        "이번 호위는 깔끔하게 끝냈어요. 상인분도 좋아하시더라고요.",
        "현상금까지 두둑이 챙겼지. 한잔 살까?",
        "성공했다. 창 하나 더.",
        "고블린 소굴을 소탕하고 왔네. 별것 아니더군.",
        "드디어 해냈다! 이 몸이 곰을 때려눕혔다!",
        "맡기신 검으로 이기고 왔습니다.",
        "보세요, 제가 이긴다고 했잖아요! 진짜 이겼잖아요~",
        "의뢰를 완수했습니다. 사례금도 넉넉히 받았고요.",
        "이겨서 기분이 좋네요. 또 빌릴게요.",
        "와이번을 쏘아 떨어뜨렸습니다. 활이 훌륭하더군요.",
        "완승이야. 상대도 안 되더라.",
        "그 도끼로 골렘을 박살 냈어.",
        "이겼음. 검 반납.",
        "대박 났어요, 사장님! 의뢰비가 두 배래요.",
    ],
)
def test_a_victory_after_a_failure(line: str) -> None:
    assert kinds(line, FAILED) == {RESULT}


@pytest.mark.parametrize(
    "line",
    [
        "또 실패했어. 이놈의 검 때문이야.",
        "의뢰를 망쳤어요. 죄송합니다.",
        "지고 왔다. 술이나 줘.",
        "표적을 놓쳤어. 활이 짧더군.",
        "졌다, 졌어. 그래, 내 탓이야.",
        "이번 토벌은 실패입니다. 면목이 없습니다.",
        "오크한테 박살이 나게 졌다! 분하다!",
        "의뢰는 실패. 검은 멀쩡.",
        "일을 그르쳐서 뵐 낯이 없습니다.",
        "허탕만 치고 왔어요. 값은 외상으로 해 주세요~",
        "제가 졌습니다. 검에는 잘못이 없습니다.",
        "트롤을 못 잡았어요. 너무 빠르더라고요.",
        "임무를 완수하지 못했습니다. 송구합니다.",
        "패배했네. 늙으니 팔이 안 올라가더군.",
        "하필 비가 와서 졌지 뭐예요~ 다음엔 꼭 이길게요!",
        "도둑을 코앞에서 놓치고 말았습니다.",
        "의뢰 말아먹었어. 더 센 거 줘.",
        "빈손으로 돌아왔어요. 한 마리도 못 잡았거든요.",
        "호위를 맡았는데 마차를 빼앗기고 의뢰도 날렸습니다.",
        "검이 부러져서 졌잖아! 돈 돌려줘!",
    ],
)
def test_a_loss_after_a_success(line: str) -> None:
    assert kinds(line, WON) == kinds(line, GREAT) == {RESULT}


@pytest.mark.parametrize(
    "line",
    [
        "지난번 검 덕분에 이겼어요.",
        "저번에 빌린 활 덕에 의뢰를 무사히 마쳤습니다.",
        "여기서 빌려 간 도끼가 부러져서 졌다! 어쩔 거냐!",
        "사장님이 골라 주신 창 덕분에 토벌에 성공했어요~",
    ],
)
def test_a_result_of_this_shops_weapon_on_a_first_visit(line: str) -> None:
    assert RESULT in kinds(line, NEW)


@pytest.mark.parametrize(
    "line",
    [
        "또 왔어요, 사장님!",
        "단골인데 좀 깎아 주세요~",
        "저번에 빌린 검이 좋았어요. 오늘도 하나 부탁드려요.",
        "늘 쓰던 걸로 줘.",
        "오랜만이에요 사장님, 잘 지내셨어요?",
        "다시 뵙습니다. 그간 별고 없으셨습니까?",
        "지난달에 여기 왔던 전사다! 기억하냐!",
        "나 기억하지? 검 하나 줘.",
        "매번 빌리던 걸로 부탁드립니다.",
        "빌려 간 도끼를 반납하러 왔습니다.",
        "작년에 이 가게에서 창을 빌렸었지. 아직 있나?",
        "또 나야. 외상 되지?",
        "몇 달 만에 왔더니 간판이 바뀌었군.",
        "저 또 빌리러 왔어요~ 제 얼굴 닳겠죠?",
        "며칠 전에 들렀던 사람이에요. 그 검 아직 있죠?",
    ],
)
def test_earlier_visits_on_a_first_visit(line: str) -> None:
    assert VISIT in kinds(line, NEW)


@pytest.mark.parametrize(
    "line",
    [
        "처음 왔어요. 검은 얼마예요?",
        "이 가게는 처음이라 뭐가 뭔지 모르겠어요.",
        "초면에 실례지만 외상 되나?",
        "처음 뵙겠습니다. 소문 듣고 찾아왔습니다.",
        "여긴 처음이군. 쇠 냄새가 좋다!",
        "첫 방문이야. 싼 걸로 줘.",
        "처음 온 손님인데 덤 같은 거 없어요~?",
        "오늘 처음 들렀습니다. 검을 보여 주십시오.",
        "여기서 뭘 빌려 본 적이 없는데, 보증금이 있나요?",
        "첫걸음이니 잘 부탁하네.",
    ],
)
def test_a_first_visit_claimed_later(line: str) -> None:
    assert kinds(line, WON) == {VISIT}


@pytest.mark.parametrize(
    ("line", "attributes"),
    [
        ("오랜만입니다, 사장님.", RECENT),
        ("한참 만에 왔네. 먼지 좀 봐.", RECENT),
        ("석 달 만이군. 그 검 아직 있나?", RECENT),
        ("오랜만에 들렀더니 문이 새것이네요.", RECENT),
        ("그동안 통 못 왔어요. 서운하셨죠?", RECENT),
        ("몇 년 만에 뵙습니다.", RECENT),
        ("간만에 왔다! 반갑냐!", RECENT),
        ("오래 찾아뵙지 못해 송구합니다.", RECENT),
        ("오랜만이지? 검 줘.", RECENT),
        ("어제 빌린 검, 반납.", LONG),
        ("엊그제 왔었는데 또 왔어요~", LONG),
        ("이틀 만에 또 뵙네요.", LONG),
        ("며칠 전에 들렀던 늙은이일세.", LONG),
        ("그새 또 왔다! 더 센 걸 다오!", LONG),
        ("어제 뵙고 오늘 또 뵙습니다.", LONG),
        ("그저께 빌려 간 검을 돌려드립니다.", LONG),
    ],
)
def test_the_wrong_interval(line: str, attributes: dict[str, Any]) -> None:
    assert INTERVAL in kinds(line, attributes)


@pytest.mark.parametrize(
    "line",
    [
        "이번엔 꼭 이기게 해 주세요.",
        "다음엔 성공하겠지. 검이나 갈아 줘.",
        "이길 뻔했는데 발이 미끄러졌어요.",
        "다 잡은 놈인데 코앞에서 달아났어요.",
        "옆 조는 이겼다더라. 나만 이 꼴이야.",
        "동료가 이겼어요. 저는 업혀 왔고요.",
        "젊을 땐 늘 이겼는데 이젠 무릎이 말을 안 듣네.",
        "내기에서는 이겼어요. 의뢰는 뭐, 보시다시피요~",
        "이겼을 것 같나? 이 꼴을 보고도?",
        "성공은 무슨. 쫓겨 왔어.",
        "이겼으면 술을 들고 왔지.",
        "그 검만 안 부러졌어도 이겼어.",
        "늑대 두 마리는 잡았지만 세 번째가 양을 물고 갔어요.",
        "활 덕분에 목숨은 건졌습니다.",
        "승리는 개뿔. 흙만 먹었다!",
        "살아 돌아온 게 어디예요~",
        "의뢰주가 성공 보수를 안 주겠대요. 제가 망쳤거든요.",
        "더위를 이기지 못하고 쓰러졌습니다.",
        "이기고 싶다! 더 큰 걸 내놔라!",
        "꿈에서는 이겼는데 말이에요.",
        "이긴 줄 알았는데 아니더라고요.",
        "한 놈만 잡았어. 나머진 다 도망갔고.",
        "꼭 이기고 오겠습니다. 한 번만 더 빌려주십시오.",
        "지지 않았어도 될 싸움이었네. 내 실수야.",
        "보수는 한 푼도 못 받았어.",
        "무기 예약은 잡았어요? 이번엔 안 질게요.",
    ],
)
def test_nothing_against_a_failure(line: str) -> None:
    assert kinds(line, FAILED) == set()


@pytest.mark.parametrize(
    "line",
    [
        "질 뻔했지만 마지막에 뒤집었어요.",
        "해가 지기 전에 돌아왔습니다.",
        "짐을 지고 오느라 어깨가 빠지겠어요.",
        "놈들이 졌지. 내가 아니라.",
        "놈은 졌지만 솜씨는 대단했어.",
        "실패는 아니지. 삯이 짤 뿐이야.",
        "실패 없이 끝났습니다.",
        "내가 실패할 리가 없지.",
        "검이 부러졌지만 어찌어찌 이겼어요.",
        "술내기에서는 졌어요~ 의뢰는 거뜬했는데 말이죠!",
        "지지 않았다! 이 몸은 지지 않는다!",
        "동료는 실패했대요. 저만 운이 좋았죠.",
        "신세를 졌습니다. 값은 넉넉히 치르겠습니다.",
        "날이 무뎌졌어. 갈아 줘.",
        "실패할까 봐 밤새 떨었어요.",
        "놓칠 뻔한 놈을 겨우 잡았네.",
        "꽃이 졌군. 벌써 여름이야.",
        "다음에 지면 네 탓이다!",
        "지난번 놓친 놈을 이번에 잡았다!",
        "아내한테는 못 이겨요~",
        "사냥은 잘됐는데 활줄이 끊어졌어요.",
        "문이 무너졌어. 그래도 일은 끝.",
        "누가 졌다고 그래? 소문일 뿐이야.",
        "빚을 졌으니 갚아야지.",
        "졸음을 못 이기고 잠들었지만 일은 끝냈어요.",
    ],
)
def test_nothing_against_a_success(line: str) -> None:
    assert kinds(line, WON) == set()


@pytest.mark.parametrize(
    "line",
    [
        "친구가 여기서 빌린 검으로 이겼대요.",
        "지난번에 동료가 여기 활을 빌려 갔는데 좋았다더군요.",
        "고향에서는 씨름으로 다 이겼다!",
        "나도 오늘부터 단골이 되지.",
        "단골이 많다는 소문을 들었어요.",
        "다른 가게 단골이었는데 망했더군.",
        "어제 이 마을에 도착했습니다.",
        "오랜만에 쇠 냄새를 맡는군!",
        "옆 마을에서 빌린 검은 금방 부러졌어요.",
        "다음에 또 올게요. 오늘은 구경만요.",
        "몇 년 만에 다시 검을 잡아요.",
        "비가 또 오네. 우산 없나?",
        "빌린 걸 부러뜨리면 얼마를 물어야 하지?",
        "반납은 언제까지 하면 됩니까?",
        "전에 쓰던 검이 부러져서 빌리러 왔어요.",
        "처음 왔어요. 단골 되면 싸게 해 주나요?",
        "작년에 모험가가 됐습니다.",
        "어릴 때부터 늘 쓰던 활이 부러졌어요.",
        "산적이 또 왔어요! 뭐라도 빌려주세요!",
        "용을 잡아 봤다. 이 가게 검도 쓸 만하냐?",
    ],
)
def test_nothing_against_a_first_visit(line: str) -> None:
    assert kinds(line, NEW) == set()


@pytest.mark.parametrize(
    ("line", "attributes"),
    [
        ("처음 왔을 때보다 가게가 커졌네요.", WON),
        ("처음 온 손님 취급하지 마.", WON),
        ("이런 큰돈은 처음 만져 봐요.", WON),
        ("처음엔 무거웠는데 이젠 손에 맞습니다.", WON),
        ("처음 이겼어! 나도 이제 모험가다!", WON),
        ("겨울 나고 처음 왔네. 잘 있었나?", WON),
        ("초면처럼 왜 이래? 나야.", WON),
        ("여기 처음 왔던 날 기억나세요?", WON),
        ("내가 처음 온 줄 알아?", WON),
        ("처음 뵌 날이 생각납니다.", WON),
        ("오랜만에 푹 잤어요.", RECENT),
        ("오랜만에 이겼다! 고기 먹자!", RECENT),
        ("이런 의뢰는 오랜만이었어요.", RECENT),
        ("몇 달 만에 비가 오더군요.", RECENT),
        ("반년 만에 고향에 다녀왔어요.", RECENT),
        ("오랜만에 몸을 풀었더니 개운하다!", RECENT),
        ("일 년 만에 형을 만났어요.", RECENT),
        ("또 왔어요. 오랜만은 아니죠?", RECENT),
        ("어제 산에서 내려왔습니다. 오랜만입니다.", LONG),
        ("며칠 전에 다리가 나았어요.", LONG),
        ("어제 잡은 사슴이에요. 선물입니다.", LONG),
        ("사흘 만에 끝낼 일을 반년이나 끌었네.", LONG),
        ("방금 왔는데 벌써 가라고?", LONG),
        ("어제 비가 와서 길이 질더군.", LONG),
        ("오랜만이에요.", record()),
        ("어제 왔는데 또 왔어요.", record()),
    ],
)
def test_nothing_against_these_visits(line: str, attributes: dict[str, Any]) -> None:
    assert kinds(line, attributes) == set()


@pytest.mark.parametrize(
    "line", ["", " ", "!?", "졌" * 5000, "이겼다. " * 2000, "또 왔어, " * 2000, "\ud800 졌어\udfff", "🐉졌다🐉 오랜만", "처음"]
)
def test_any_text_at_all(line: str) -> None:
    for attributes in (FAILED, WON, NEW, RECENT, LONG, {}):
        kinds(line, attributes)


def test_no_verdict_without_the_value() -> None:
    assert kinds("이겼다! 또 왔다! 처음 왔다! 오랜만이다!", {"성격": "야성형"}) == set()


def test_the_message_names_the_words_and_the_record() -> None:
    (found,) = results.check("이번 토벌은 실패했어요.", WON, DOMAIN)
    assert (found.start, found.end) == (7, 9)
    assert "실패" in found.message
    assert "성공" in found.message
