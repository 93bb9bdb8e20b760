"""What a line tells of the last quest and of the visits, held against the record."""

from __future__ import annotations

from typing import Any

import pytest

from npc_align.checks import results, visits
from npc_align.domain import load_domain

DOMAIN = load_domain("weapon_rental")
FIRST = {"방문횟수": "첫방문", "이전_아이템": "없음", "재방문간격": "없음", "최근_의뢰": "첫방문"}
RESULT, VISIT, INTERVAL = "result_contradiction", "visit_contradiction", "interval_contradiction"


def record(**changed: str) -> dict[str, Any]:
    base = {
        "모험가타입": "전사",
        "방문횟수": "보통",
        "이전_아이템": "검",
        "재방문간격": "보통",
        "최근_의뢰": "성공",
        "성격": "평범형",
    }
    return {**base, **changed}


FAILED = record(최근_의뢰="실패")
WON = record(최근_의뢰="성공")
GREAT = record(최근_의뢰="대성공")
NEW = record(**FIRST)
RECENT = record(재방문간격="최근")
LONG = record(재방문간격="오래됨")


def kinds(line: str, attributes: dict[str, Any]) -> set[str]:
    found = results.check(line, attributes, DOMAIN) + visits.check(line, attributes, DOMAIN)
    assert all(0 <= v.start < v.end <= len(line) for v in found)
    return {v.kind for v in found}


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
    ("attributes", "line", "expected"),
    [
        (FAILED, "사장님이 빌려주신 검으로 마물을 모조리 베었습니다.", {RESULT}),
        (FAILED, "이번 의뢰, 제 인생 최고의 성공이었어요~", {RESULT}),
        (FAILED, "크르르, 우두머리를 물어뜯어 죽였다! 사냥은 우리의 승리다!", {RESULT}),
        (FAILED, "뭐, 당연히 이겼지. 내가 누군데.", {RESULT}),
        (FAILED, "놈은 죽었어. 의뢰 끝.", {RESULT}),
        (FAILED, "거인을 무릎 꿇렸습니다. 다 사장님 덕분입니다.", {RESULT}),
        (FAILED, "토벌 성공 소식 들으셨어요? 제가 해냈어요!", {RESULT}),
        (FAILED, "무사히 의뢰를 마치고 인사드리러 왔습니다.", {RESULT}),
        (FAILED, "산적 소굴을 싹 쓸어버렸다, 크하하!", {RESULT}),
        (FAILED, "포상금 받았어. 한 자루 더.", {RESULT}),
        (FAILED, "이번 사냥에서 곰을 두 마리나 잡았어요.", {RESULT}),
        (FAILED, "성공적으로 끝났어요. 검이 정말 좋던데요?", {RESULT}),
        (FAILED, "결국 놈의 목을 베어 길드에 바쳤지.", {RESULT}),
        (FAILED, "이기긴 이겼는데 손잡이가 헐거워서 고생했네.", {RESULT}),
        (FAILED, "저 드디어 첫 승리를 거뒀어요!", {RESULT}),
        (FAILED, "처치 완료. 검 반납.", {RESULT}),
        (FAILED, "네 도끼가 쓸 만하더군. 덕분에 쉽게 이겼어.", {RESULT}),
        (FAILED, "영주님께 상까지 받았습니다. 이 영광을 사장님께 돌립니다.", {RESULT}),
        (FAILED, "오크 대가리를 두 쪽으로 쪼개 버렸다!", {RESULT}),
        (FAILED, "이기려고 별짓 다 했는데 안 되더라고요.", set()),
        (FAILED, "성공했다면 이렇게 죽을상이겠어요?", set()),
        (FAILED, "옆집 대장장이는 내가 이긴 줄 알더군. 부끄러웠어.", set()),
        (FAILED, "이긴 건 놈이지 내가 아니야.", set()),
        (FAILED, "술내기라면 이겼을 텐데 말이죠~", set()),
        (FAILED, "승률이 반도 안 돼요. 큰일이에요.", set()),
        (FAILED, "거의 다 이겼다고 생각한 순간 검이 부러졌습니다.", set()),
        (FAILED, "고블린은 해치웠지만 정작 보물을 빼앗겼습니다.", set()),
        (FAILED, "이번엔 확실히 잡는다! 검 내놔!", set()),
        (FAILED, "성공하면 두 배로 낼게. 외상으로 줘.", set()),
        (FAILED, "토벌에 성공한 건 다른 조였어요.", set()),
        (FAILED, "도적을 잡기는커녕 제가 잡혔지 뭐예요~", set()),
        (FAILED, "의뢰인은 잘 끝났다고 하지만 제 마음은 아닙니다.", set()),
        (FAILED, "자리 좀 잡아 줘. 다리가 부러졌어.", set()),
        (FAILED, "이 검으로 이기는 놈이 있으면 데려와 봐.", set()),
        (FAILED, "싸움은 끝났어. 우리가 졌지.", set()),
        (FAILED, "겁을 먹고 도망쳤습니다. 부끄럽습니다.", set()),
        (WON, "이번엔 운이 없었어요. 의뢰에 실패했거든요.", {RESULT}),
        (WON, "크으, 놈한테 졌다! 이빨이 두 개나 나갔다!", {RESULT}),
        (WON, "실패야. 검 바꿔 줘.", {RESULT}),
        (WON, "송구합니다. 호위 임무를 그르치고 말았습니다.", {RESULT}),
        (GREAT, "망했어요, 망했어! 의뢰를 홀랑 날려 먹었지 뭐예요~", {RESULT}),
        (GREAT, "결국 목표물을 놓쳤네. 늙은 눈이 문제야.", {RESULT}),
        (WON, "네놈이 준 고물 때문에 졌어. 어쩔 거야?", {RESULT}),
        (WON, "저번 토벌은 완전히 실패였어요.", {RESULT}),
        (WON, "내가 졌다. 인정하지.", {RESULT}),
        (WON, "이길 수 없는 싸움이었습니다. 결국 패배했습니다.", {RESULT}),
        (GREAT, "임무 실패. 할 말 없음.", {RESULT}),
        (WON, "마수를 놓치는 바람에 보수를 못 받았어요.", {RESULT}),
        (WON, "의뢰를 중간에 포기했어요. 너무 무서웠거든요.", {RESULT}),
        (WON, "헛수고만 했다! 굴이 텅 비었더라!", {RESULT}),
        (WON, "성공하지 못했습니다. 다음 기회를 주십시오.", {RESULT}),
        (WON, "또 져 버렸네. 이놈의 팔자.", {RESULT}),
        (WON, "실패라니, 누가 그런 소릴 해?", set()),
        (WON, "지는 줄 알고 식은땀이 났어요.", set()),
        (WON, "자칫하면 질 뻔한 싸움이었지.", set()),
        (WON, "처음엔 놓쳤지만 이튿날 다시 쫓아가서 잡았어요.", set()),
        (WON, "빚지고는 못 사는 성격이라서요.", set()),
        (WON, "가위바위보에 져서 제가 반납하러 왔어요~", set()),
        (WON, "노을이 지니 술 생각이 나는군.", set()),
        (WON, "실패를 두려워 마라! 하하, 이 몸이 가르쳐 주지!", set()),
        (WON, "실패한 놈들 뒤치다꺼리를 내가 했지.", set()),
        (WON, "이번에도 지면 은퇴하려고 했는데 다행히 이겼어요.", set()),
        (WON, "놓치지 않고 다 잡았습니다.", set()),
        (WON, "지난번에는 졌지만 이번에는 이겼다!", set()),
        (WON, "그놈이 졌다고 싹싹 빌더라고요~", set()),
        (WON, "검을 떨어뜨렸지만 주먹으로 끝냈다!", set()),
        (WON, "책임을 지고 수리비를 내겠습니다.", set()),
        (WON, "뒤로 넘어졌는데 화살은 맞았어요.", set()),
        (NEW, "지난번처럼 싸게 해 주실 거죠?", {VISIT}),
        (NEW, "전에도 한 번 들렀는데 그땐 문이 닫혀 있더군.", {VISIT}),
        (NEW, "제가 여기 단골이잖아요~ 서비스 좀 주세요!", {VISIT}),
        (NEW, "오랜만일세. 나를 기억하겠는가?", {VISIT}),
        (NEW, "네가 빌려준 검으로 이겼다! 또 내놔라!", {RESULT, VISIT}),
        (NEW, "평소 빌리던 걸로 하나.", {VISIT}),
        (NEW, "이 집에 온 게 벌써 세 번째야.", {VISIT}),
        (NEW, "빌렸던 활을 돌려드리러 왔어요.", {VISIT}),
        (NEW, "다시 왔습니다. 이번에도 잘 부탁드립니다.", {VISIT}),
        (NEW, "또 뵙네요, 사장님. 요즘 장사는 어떠세요?", {VISIT}),
        (NEW, "매번 신세를 집니다. 오늘도 한 자루 부탁드립니다.", {VISIT}),
        (NEW, "친구가 단골이라 소개받고 왔어요.", set()),
        (NEW, "소문으로만 듣다가 드디어 와 봤네요.", set()),
        (NEW, "예전에 쓰던 검을 잃어버렸어요. 하나 빌려주세요.", set()),
        (NEW, "오랜만에 다시 모험을 시작하려고요.", set()),
        (NEW, "지난번 의뢰에서 검이 부러졌어요. 새로 빌릴 수 있을까요?", set()),
        (NEW, "어제 길드에서 이 가게 얘기를 들었습니다.", set()),
        (NEW, "단골 손님이 많으신가 봐요.", set()),
        (NEW, "언젠가 단골이 될지도 모르지.", set()),
        (NEW, "스승님 덕분에 이겨 본 적은 많습니다.", set()),
        (NEW, "고향 대장간에서 빌린 창은 무거웠어요.", set()),
        (NEW, "어제 왔던 비 때문에 길이 질다!", set()),
        (NEW, "늘 쓰던 검은 집에 두고 왔어요.", set()),
        (NEW, "빌려주신 물건은 깨끗이 쓰겠습니다.", set()),
        (WON, "저, 여기 처음인데 빌리는 법 좀 알려 주세요.", {VISIT}),
        (WON, "처음 뵙습니다. 전사 일을 하고 있습니다.", {VISIT}),
        (WON, "킁, 처음 와 보는 가게다. 쇠 냄새가 진하군!", {VISIT}),
        (WON, "이런 가게가 있는 줄은 몰랐네요. 구경 좀 할게요.", {VISIT}),
        (WON, "생전 처음 와 본 가게인데 물건이 괜찮군.", {VISIT}),
        (WON, "첫 방문이라 잘 몰라서요. 뭐가 좋아요?", {VISIT}),
        (WON, "초면이지만 외상 좀 부탁하네.", {VISIT}),
        (WON, "신참이야. 여긴 처음.", {VISIT}),
        (WON, "여기 처음 왔을 때 생각나? 벌벌 떨었잖아.", set()),
        (WON, "이렇게 쉬운 의뢰는 처음이에요.", set()),
        (WON, "처음 빌릴 땐 몰랐는데 볼수록 좋더라고요.", set()),
        (WON, "처음 뵙는 분이 계시네요. 새 점원이신가요?", set()),
        (WON, "처음부터 이걸로 할 걸 그랬어.", set()),
        (WON, "동생은 여기 처음이에요. 잘 부탁드려요.", set()),
        (RECENT, "오래간만에 인사드립니다.", {INTERVAL}),
        (RECENT, "이게 얼마 만이야! 반갑다, 주인!", {INTERVAL}),
        (RECENT, "두 달 만에 왔어요. 잘 지내셨죠?", {INTERVAL}),
        (RECENT, "그동안 발길을 끊어서 미안하네.", {INTERVAL}),
        (RECENT, "한동안 안 왔더니 간판이 바뀌었네요~", {INTERVAL}),
        (RECENT, "몇 년 만에 와도 그 자리에 앉아 있군.", {INTERVAL}),
        (RECENT, "오랜만. 검.", {INTERVAL}),
        (RECENT, "못 뵌 지 오래되었습니다.", {INTERVAL}),
        (RECENT, "오랜만에 마신 술이 독하더군.", set()),
        (RECENT, "오랜만에 쉬운 일이었어요.", set()),
        (RECENT, "반년 만에 처음으로 웃었어요.", set()),
        (RECENT, "오랜만에 검을 잡았더니 손목이 시큰하네.", set()),
        (RECENT, "백 년 묵은 트롤이었다!", set()),
        (RECENT, "석 달 만에 빚을 다 갚았어요~", set()),
        (LONG, "어제도 오고 오늘도 왔다! 하하!", {INTERVAL}),
        (LONG, "바로 어제 빌려 간 사람이에요.", {INTERVAL}),
        (LONG, "나흘 만에 다시 들렀습니다.", {INTERVAL}),
        (LONG, "엊그제 보고 또 보네.", {INTERVAL}),
        (LONG, "벌써 또 왔어요, 저 너무 자주 오죠?", {INTERVAL}),
        (LONG, "며칠 전 여기서 빌린 검, 돌려줄게.", {INTERVAL}),
        (LONG, "어제 마신 술이 덜 깼어요.", set()),
        (LONG, "이틀 만에 산을 넘었다!", set()),
        (LONG, "그저께 딸이 태어났습니다.", set()),
        (LONG, "며칠 전부터 오려고 벼르고 있었네.", set()),
        (LONG, "금방 갈게. 검만 줘.", set()),
        (LONG, "어제 의뢰주를 만났는데 보수가 반으로 깎였어요.", set()),
        (LONG, "벌써 왔냐고? 반년이나 지났는데.", set()),
        (FAILED, "감사합니다. 주신 창으로 무사히 임무를 마쳤습니다.", {RESULT}),
        (FAILED, "하하, 이번에도 내가 이겼다! 고기랑 술 내와라!", {RESULT}),
        (FAILED, "이겼어. 간단했지.", {RESULT}),
        (FAILED, "글쎄 제가 그 큰 트롤을 한 방에 보냈다니까요~", {RESULT}),
        (FAILED, "상단을 끝까지 지켜 냈어요. 의뢰 성공이에요!", {RESULT}),
        (FAILED, "드래곤 목을 베고 왔다. 값을 깎아라.", {RESULT}),
        (FAILED, "현상범을 잡아 넘겼고 상금도 받았습니다.", {RESULT}),
        (FAILED, "결국 우리 쪽이 승리했어. 네 검도 한몫했고.", {RESULT}),
        (FAILED, "의뢰는 잘 끝났어요. 검도 멀쩡하고요.", {RESULT}),
        (FAILED, "모조리 죽였다. 다음.", {RESULT}),
        (FAILED, "이겨야 하는데 자꾸 지네요.", set()),
        (FAILED, "승리는 놈들 몫이었습니다.", set()),
        (FAILED, "네 검으로는 아무도 못 이겨.", set()),
        (FAILED, "잡았다 싶었는데 가죽만 남기고 도망갔어요.", set()),
        (FAILED, "두 마리는 쓰러뜨렸으나 우두머리에게 당했습니다.", set()),
        (FAILED, "이겼다는 소문은 다 거짓말이에요~", set()),
        (FAILED, "성공할 때까지 해 볼 생각입니다.", set()),
        (FAILED, "살았으니 됐지. 일은 틀렸어.", set()),
        (FAILED, "칼을 놓쳐서 그만… 죄송합니다.", set()),
        (FAILED, "하늘도 무심하시지, 다 이긴 판을 뒤집다니!", set()),
        (WON, "의뢰를 그르쳤네. 입이 열 개라도 할 말이 없어.", {RESULT}),
        (WON, "놓쳤어. 더 빠른 거 줘.", {RESULT}),
        (WON, "하필 그때 시위가 끊어져서 졌습니다.", {RESULT}),
        (WON, "실패했지 뭐예요~ 사장님 위로 좀 해 주세요!", {RESULT}),
        (WON, "이번 의뢰는 망했어요. 보수도 없고요.", {RESULT}),
        (WON, "결과부터 말하지. 실패다.", {RESULT}),
        (WON, "지는 해가 곱더군.", set()),
        (WON, "허탕 칠 뻔했는데 막판에 찾았어요.", set()),
        (WON, "망했다 싶었는데 운 좋게 이겼죠~", set()),
        (WON, "실패는 성공의 어머니라잖아요. 이번엔 성공했지만요~", set()),
        (WON, "기절해서 졌다고 생각했더니 놈도 쓰러져 있더군.", set()),
        (WON, "놈을 한 번 놓쳤으나 끝내 붙잡았습니다.", set()),
        (WON, "등에 지고 온 게 전부 금화다!", set()),
        (WON, "포기하려던 참에 동료가 왔어요.", set()),
        (WON, "지고는 못 사는 성미라 끝까지 쫓았지.", set()),
        (WON, "빚도 갚았고 승급도 했어요.", set()),
        (NEW, "늘 먹던 걸로. 아니, 늘 쓰던 걸로.", {VISIT}),
        (NEW, "저번 그 활 말이야, 또 빌려줘.", {VISIT}),
        (NEW, "지난주에 빌렸던 활을 반납하겠습니다.", {VISIT}),
        (NEW, "오랜만에 들렀는데 그대로군.", {VISIT}),
        (NEW, "단골 왔다! 문 열어라!", {VISIT}),
        (NEW, "여기서 빌린 게 벌써 다섯 자루째지.", {VISIT}),
        (NEW, "빌려주신 활 덕분에 이겼어요. 그때 그거 또 주세요.", {RESULT, VISIT}),
        (NEW, "또 다른 활은 없나요?", set()),
        (NEW, "다시 한번 보여 주세요.", set()),
        (NEW, "지난달에 막 등록한 신참입니다.", set()),
        (NEW, "어제 왔으면 좋았을 텐데요.", set()),
        (NEW, "오랜만에 큰 의뢰를 맡았어요.", set()),
        (NEW, "전에 아버지가 여기서 빌리셨다고 들었어요.", set()),
        (NEW, "제 활을 늘 쓰던 대로 손봐 주는 데가 없더군요.", set()),
        (NEW, "빌린 건 제때 돌려드릴게요.", set()),
        (WON, "이 집은 처음인데, 물건이 괜찮군.", {VISIT}),
        (WON, "처음으로 찾아뵙습니다. 잘 부탁드립니다.", {VISIT}),
        (WON, "나 여기 처음이야. 뭐가 좋아?", {VISIT}),
        (WON, "처음 왔을 적 생각이 나는군.", set()),
        (WON, "오늘 처음으로 이겼어요!", set()),
        (WON, "이 석궁은 처음 써 봤는데 좋았어요.", set()),
        (RECENT, "어휴, 이게 얼마 만이에요! 몇 년은 된 것 같네요~", {INTERVAL}),
        (RECENT, "간만이군. 그 검 있나?", {INTERVAL}),
        (RECENT, "못 온 지 한참 됐죠? 죄송해요.", {INTERVAL}),
        (RECENT, "오랜만에 집에 들렀다 왔어요.", set()),
        (RECENT, "간만에 날이 개었군요.", set()),
        (RECENT, "오랜만에 칭찬을 들었어요~", set()),
        (LONG, "어제 들렀던 사람입니다. 또 왔어요.", {INTERVAL}),
        (LONG, "하루 만에 또 왔다. 웃지 마.", {INTERVAL}),
        (LONG, "그제 빌린 거 돌려주러 왔어.", {INTERVAL}),
        (LONG, "어제 수도에서 막 돌아왔어요.", set()),
        (LONG, "어제 꿈에 사장님이 나왔어요~", set()),
        (LONG, "사흘 전부터 비가 오네.", set()),
    ],
)
def test_lines_written_before_the_rules_saw_them(attributes: dict[str, Any], line: str, expected: set[str]) -> None:
    assert kinds(line, attributes) == expected


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
