"""Speech levels from sentence-final endings: a table of hard cases, robustness, and 800 lines labelled by people."""

from __future__ import annotations

import json
import random
import re
import time
import unicodedata
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npc_align.domain import default_corpus
from npc_align.korean.morphemes import compose, tokens
from npc_align.korean.speech_level import fragments_only, politeness, sentences

IWSLT = Path(__file__).parents[3] / "shared" / "data" / "speech_level" / "iwslt23_train.jsonl"

LEVELS = {
    "하십시오체": [
        "고맙습니다.", "또 왔습니다…", "한번 보여 주시겠습니까?", "어서 오십시오, 사장님!", "어서 오십시오 사장님",
        "다들 배가 아파서 줄을 섰답니다~", "초면입니다만.", "감사합니당ㅋㅋ", "베었사옵니다.", "빌려 주십사 왔습니다.",
        "하나만 빌립시다!", "덕분에 무사히 다녀왔습니다.", "이 활을 다시 빌릴 수 있겠습니까?", "부디 좋은 창을 골라 주십시오.",
        "어서 오십시오 주인장", "창을 한 자루 내어 주십시오, 사장님!", "그간 평안하셨습니까, 사장님?", "제 불찰입니다…",
        "송구할 따름입니다만.", "고맙습니다, 정말로.", "이 은혜는 잊지 않겠습니다 ㅎㅎ", "다시 뵙게 되어 영광이옵니다.",
        "부디 굽어살피소서.", "소인이 왔나이다.", "잘 부탁드립니다아~", "반갑습니당!", "감사합니다요.", "잘 다녀왔습니다~~",
        "또 지고 말았습니다,,", "도끼가 참 묵직합디다, 사장님. 고맙습니다.", "실례하겠슴다!", "제가 해냈다는 말씀입니다!",
        "하나만 빌려 주십쇼.", "어서 보여 주십시요.", "용서하시옵소서.", "그 놈이 저를 보더니 꼬리를 말더랍니다!",
        "소문대로 좋은 검이랍니다.", "이 창이 아니었으면 죽었을 겁니다!", "함께 가시지요, 라고 할 줄 알았습니다.",
        "이만 물러가옵니다.", "비싸지는 않으리라 믿습니다.",
    ],
    "해요체": [
        "좋아요~", "왔는데요.", "다 나갔거든요.", "못 추더라고요…", "그랬습죠 뭐.", "일은 끝냈지요.", "얼마나 좋았을까요?",
        "안녕하세요!", "칼이요!", "그래서요.", "한 자루로요.", "했어용~", "갈게용!", "많이 컸네요ㅎㅎ", "줘요, 빨리.",
        "괜찮아요, 그 칼.", "제법이군요!?", "스승님이 '가라!' 하셨어요.", "쓸 만하다고 해서 왔어요.", "검이 참 좋더라고요.",
        "새 걸로 하나 주시겠어요?", "저번 거랑 같은 걸로요!", "활이요!", "마법서요, 얇은 걸로요.", "비 와서요…",
        "혼자서는 무리라서요.", "일이 좀 꼬였거든요.", "값만 좀 깎아 주시면요.", "아직 반납을 못 했는데요?", "얼마나 떨렸게요!",
        "제가 이겼다니까요~", "동료들이 다들 부러워하더군요.", "이거면 될까요?", "제가 들 수 있을까요, 저 망치?",
        "그 칼이면 되죠 뭐.", "어쩌겠어요, 먹고살아야죠.", "제가 누굽니까, 단골입죠~", "사장님만 믿을게요.", "또 올게용~",
        "하나만 깎아 줘용, 네?", "살았지 뭐예용!", "지난번엔 고마웠어요, 사장님!", "그렇게 무거울 줄은 몰랐지요…",
        "잘 지내셨죠 사장님?", "제 이름 기억하시려나요?", "이리 줘 봐요.", "저도 데려가 주셔요.", "사장님도 참, 왜 그러셔요~",
        "어디가 덧나나요?", "저만 그런가요?", "제가 언제 그랬나요!", "어쩜 이렇게 가볍대요?", "글쎄 그놈이 그러더래요!",
        "좀 더 센 거 없나 해서요.", "이번엔 꼭 갚으려고요.", "제 팔이 부러질 뻔했다고요!", "안 된다뇨!", "왜 안 되냐고요?",
        "얼른 가자고요.", "네, 이겼어요", "다녀왔어여~", "죽는 줄 알았슈.", "참 좋네유.", "아니에요.", "괜찮아요 사장님",
        "그럼 이걸로 할래요", "그건 제 것이 아닌걸요.", "혼자 다 잡았는걸요?", "그 값이면 살 텐데요.", "몸은 멀쩡해요. ^^",
        "벌써 갚았잖아요.", "제 솜씨 보셨어야 했는데요!", "저기요, 검 하나 주세요.", "별수 있겠어요?", "내 말이요!",
        "그러게요.", "글쎄요.", "누구시더라… 아, 사장님이시네요!", "좋긴 좋은데 비싸네요.", "진짜예요.",
        "검이에요, 활이에요?",
    ],
    "하오체": [
        "살았소, 주인장.", "이리 주시오.", "고맙구려.", "내가 이겼단 말이오!", "왔소이다.", "갚으리다.",
        "오랜만이오, 주인장.", "나는 북쪽에서 왔소.", "그 창을 내어 주시오.", "이 검이 마음에 드오.",
        "허, 참으로 대단한 물건이구려.", "내 이 은혜는 갚으리다.", "저 도끼를 좀 보여 주오.", "무엇이 문제란 말이오?",
        "그리하겠소.", "비가 오는구려…", "이건 내 창이 아니외다.", "한 수 가르쳐 주구려.", "내 말을 믿지 않는 게요?",
        "이 활로 말할 것 같으면 명궁이라오.", "안에 계시오?", "여보시오, 게 누구 없소?", "다 부서졌단 말이오.",
        "칼은 두고 왔소이다.", "그럼 잘 계시구려, 주인장.", "어서 주시오 주인", "이만하면 됐소~", "어찌 그리 비싸오?",
        "그게 아니오.",
    ],
    "하게체": [
        "한 자루 주게.", "어서 가세.", "어디 있나?", "잘 있었는가?", "좋구먼.", "사절일세.", "어디 보세나.",
        "가죽도 뚫나, 저 칼?", "여보게, 창 하나 내주게.", "그동안 잘 있었나?", "요즘 장사는 어떤가?",
        "내가 졌네, 자네 말이 맞네.", "자네 덕에 살았네그려.", "이게 최선인가?", "이보게, 또 왔네. 자네 창은 좋더구먼.",
        "이리 와 보게나.", "그럼 가 보세.", "한잔하러 가세나!", "나일세, 나.", "그게 무슨 소린가!", "늙으니 팔이 떨리는구먼.",
        "자네가 골라 준 검일세.", "값은 후하게 쳐줌세.", "반납하러 옴세.", "내 다시 들름세.", "아직도 그 값인가, 이 사람아?",
        "그 활은 못쓰겠네. 자네나 쓰게.", "어떻게 그럴 수가 있는가 말일세.", "별일 없었는가, 자네?", "그만하게.",
        "허허, 이 늙은이가 해냈다네!", "자네도 봤어야 했네.", "다치지는 않았는가, 자네는?", "그 값에 누가 사나?", "그렇다네.",
        "어찌할 텐가?",
    ],
    "해체": [
        "줘, 빨리.", "얼른 내놔!", "좀 무겁던데.", "날이 다 나갔거든.", "일은 됐고.", "시위가 끊겼으니까.", "곰 잡으려고.",
        "좋더군, 그 칼.", "살았네.", "그 정도면 됐지, 뭐.", "단칼 탓 아냐.", "갈게.", "내가 잡았다고!",
        "활짝 웃더라니까.", "사장님께서 주신 게 좋았어.", "창이나 내놔.", "이거 얼마야?", "또 졌어…", "됐어, 그만해.",
        "무겁잖아!", "꺼져, 비켜.", "내가 뭐랬어!", "그놈 목을 땄지.", "이런 걸 돈 받고 빌려줘?", "날이 무뎌졌더군.",
        "딱 맞는군, 이거.", "제법인데?", "이게 얼마나 귀한 건데!", "줄이 끊어졌다니까!", "내가 잡았다고.", "그럼 내가 할까?",
        "이걸로 할게.", "나중에 갚을걸.", "죽을 뻔했거든.", "이걸 누가 써.", "빨리 줘", "안 비싸, 이 정도면.",
        "저 녀석이 그랬대.", "보수는 받았고.", "내 도끼 어딨어?", "지긴 누가 져!", "그걸 왜 나한테 물어.", "빌려줘, 하루만.",
        "상관 마.", "웃지 마!", "걱정 말고 내놔.", "손대지 마, 내 거야.", "말도 마, 죽다 살았어.", "또 네놈이야?",
        "뭐, 나쁘지 않네.", "싸네, 이거.", "그럼 그렇지.", "내가 왜?, 싫어.", "이번엔 활이야.",
        "역시 내 눈은 틀림없다니까~", "그딴 걸 어디에 써먹으라고!", "그 꼴로 장사를 해?", "누가 몰라?", "하나 골라 봐, 늙은이.",
        "그래, 또 졌다고!", "비싸기는 또 왜 이리 비싸!", "내가 그런 것도 못 할까 봐?", "진짜라니까 그러네.",
        "그렇다고 치지 뭐.", "잡긴 잡았는데 말이야.", "내 알 바 아니지.", "살아 있었네?", "됐다, 됐어.",
    ],
    "해라체": [
        "스승님께서 오셨다.", "이거 받아라.", "뭐 하냐?", "가자.", "만만하구나.", "고맙다옹", "가죽 벗어 주마.",
        "쓸 만하더라, 귀찮게.", "밥은 먹었니?", "드디어 내가 이겼다!", "창을 가져와라.", "뭘 꾸물거리느냐!",
        "그 도끼 내놔라, 당장!", "어디 한번 가 보자.", "또 만나는구나, 주인!", "이게 네놈이 자랑하던 검이냐?", "피가 끓는다!",
        "놈을 찢어 버렸다!!", "내 도끼를 다오.", "잘 있었느냐.", "별것도 아니더라~", "밥은 먹고 다니니?", "값을 깎아 주마.",
        "늦지 말거라.", "얼른 꺼내거라!", "이리 오너라!", "어서 가져오렴.", "싸우러 가자꾸나.", "내가 못 할쏘냐!",
        "누가 감히 나를 막으랴!", "무기를 내어 다오, 주인아.", "네까짓 게 뭘 아느냐?", "이까짓 것쯤이야 식은 죽 먹기다.",
        "날이 시퍼렇구나, 좋다!", "이 몸이 오셨다!", "그 소문이 사실이더냐?", "두고 보자.", "멧돼지 떼다!", "비켜라, 꼬맹이.",
        "창이 부러졌다… 젠장.", "놈이 도망쳤단다.", "참 좋은 활이로다.", "눈이 부시도다!", "죽을 뻔했단 말이다!",
        "누구를 바보로 아나 보다.", "장사 한번 잘한다.", "배고프다옹!", "어디 보자, 이건 뭐냐.", "다 덤벼라!",
        "내가 지면 사람이 아니다.", "간다!", "그게 얼만지 아느냐",
    ],
    None: [
        "사장님!", "어이, 주인!", "크흠.", "하하하!", "칼 하나.", "그 늪, 어제.", "“살려 줘!” 그 한마디.",
        "늪에 빠짐.", "찾아뵈려 했는데…", "칼을 잡고,", "저기요!", "", "사장님, 여기요!", "주인장!", "에헴.", "흥!",
        "어이쿠, 이런!", "칼 한 자루.", "장궁, 튼튼한 걸로.", "활 하나만.", "단검 필요.", "망치 고장.",
        "의뢰 실패. 도끼 부러짐.", "성공했음.", "반납 완료.", "어제 그 동굴, 그 오크.", "'비싸다'는 소문.", "두 개.",
        "트롤 세 마리.", "또 부러짐.", "검 두고 감.", "저기…", "북쪽 바다.", "주인 나리!", "아이고, 내 팔자.",
        "지팡이가…", "창을 들고,", "이 검, 혹시…", "튼튼한 녀석으로 하나", "저번처럼.", "빨리.", "아니, 그게…", "음…",
        "하…", "헉!", "이 활만 있으면…", "전부 도끼 탓.",
    ],
}  # fmt: skip
# Lines of several sentences, or with words of others: the levels in order, sentences without one left out.
LINES = [
    ("왔소? 검을 내주십시오.", "하오체 하십시오체"),
    ("사장님, 저 왔어요! 검 하나 줘.", "해요체 해체"),
    ("검 좋더라. 다음에 또 올게요.", "해라체 해요체"),
    ("'이놈아, 게 섰거라!' 하고 외쳤더니 도망갔어요.", "해요체"),
    ('대장이 "물러서라"고 했습니다.', "하십시오체"),
    ("동료가 못 이긴다고 했지만 이겼어요.", "해요체"),
    ("형님이 여기로 가라고 하셔서 왔습니다.", "하십시오체"),
    ("누가 그러더라고요, 여기가 제일 싸다고.", "해요체"),
    ("다들 도망가자고 했어요. 저만 남았죠.", "해요체 해요체"),
    ("트롤이 '살려 주세요!' 하더라.", "해라체"),
    ("‘고맙습니다’ 소리를 다 들었지.", "해체"),
    ("놈이 '용서해 주십시오' 하고 빌길래 놔줬어.", "해체"),
    ("도와 달라! 하길래 달려갔습니다.", "하십시오체"),
    ("얼마냐고요? 그건 비밀이에요.", "해요체 해요체"),
    ("이겼냐고? 당연하지.", "해체 해체"),
    ("졌다고 놀리지 마세요.", "해요체"),
    ("아, 맞다! 저번 거 반납할게요.", "해요체"),
    ("아차! 지갑을 두고 왔네요.", "해요체"),
    ("어라? 지팡이가 바뀌었네요.", "해요체"),
    ("옳지! 이 검이면 됩니다.", "하십시오체"),
    ("만세! 이겼습니다.", "하십시오체"),
    ("할 일이 많아요. 할 수 없이 또 왔습니다.", "해요체 하십시오체"),
    ("검이 부러졌어요. 하나 더 주세요.", "해요체 해요체"),
    ("오크를 잡았다. 하는 김에 트롤도 잡았어.", "해라체 해체"),
    ("또 졌습니다. 하지만 포기는 안 해요.", "하십시오체 해요체"),
    ("이 검 좋아요. 이러다 단골 되겠어요.", "해요체 해요체"),
    ("도끼를 놓쳤습니다. 하마터면 발등을 찍을 뻔했습니다.", "하십시오체 하십시오체"),
    ("졌어. 하나도 안 분해.", "해체 해체"),
    ("도끼가 좋네요. 고마워요, 사장님. 또 봅시다!", "해요체 해요체 하십시오체"),
    ("가세! 어서 가십시다.", "하게체 하오체"),
    ("저 왔습니다, 검 줘.", "하십시오체 해체"),
    ("검은 됐고, 활이나 주세요.", "해요체"),
    ("팔 아파 죽겠어요 그래도 이겼지!", "해요체 해체"),
    ("좋아! 그럼 이걸로 할게요.", "해체 해요체"),
    ("그래! 이 맛이야!", "해체"),
    ("네! 이걸로 하겠습니다.", "하십시오체"),
    ("예, 제가 그랬습니다.", "하십시오체"),
    ("이봐요, 이거 날이 나갔잖아요.", "해요체"),
    ("주인장 계시오? 활을 빌리러 왔소.", "하오체 하오체"),
    ("자네 있나? 창 좀 보세.", "하게체 하게체"),
    ("대단하군! 이 검을 사겠소.", "해체 하오체"),
    ("사장님! 검! 빨리요!", "해요체"),
    ("도끼 반납. 고맙습니다.", "하십시오체"),
    ("의뢰 끝. 보수 받음. 술이다!", "해라체"),
    ("늑대가 세 마리, 곰이 두 마리. 다 잡았지요!", "해요체"),
    ("이게 웬 떡이야~ 사장님, 최고예요!", "해체 해요체"),
    ("혼자 갔냐고? 아니요, 셋이 갔어요.", "해체 해요체"),
    ("칼을 쓸까 활을 쓸까 고민이에요.", "해요체"),
    ("괜찮을까 걱정했는데 괜찮더라고요.", "해요체"),
    ("어디 보자, 단검이 어디 있더라… 찾았어요!", "해요체"),
    ("스승님이 그러셨어요. 활은 마음으로 쏘는 거다.", "해요체"),
    ("동료가 그랬어요. 여긴 비싸다!", "해요체"),
    ("네 창 상관 마. 내 창이야.", "해체 해체"),
    ("나 이제 가. 검은 두고 가마.", "해체 해라체"),
    ("제 별명이 '도망쟁이'예요.", "해요체"),
    ("이 책 제목이 '불의 노래'라지요?", "해요체"),
    ("죽다 살았다는 말이 딱 이거네요.", "해요체"),
    ("이겼다는 소문 들으셨죠?", "해요체"),
    ("살아 돌아오라던 사장님 말씀, 지켰습니다.", "하십시오체"),
    ("다녀왔습니다! 에구구, 허리야.", "하십시오체"),
    ("에이, 설마! 그럴 리가요.", "해요체"),
    ("무릎이야… 늙었나 봐요.", "해요체"),
    ("나 참! 이런 걸 창이라고 줬나?", "하게체"),
    ("흥, 겨우 이거? 다른 걸 가져와.", "해체"),
    ("네놈 창 덕에 살았다. 고맙단 말은 안 한다.", "해라체 해라체"),
    ("오호, 이게 그 검이군. 어디, 한번 휘둘러 볼까?", "해체 해체"),
    ("왔다~ 이겼다~ 배고프다~", "해라체 해라체 해라체"),
    ("감사합니다… 또 올게요…", "하십시오체 해요체"),
    ("저번 활은 좋았는데, 이번 건 영 별로네요.", "해요체"),
    ("활 좀 보러 왔는데. 좋은 거 있어요?", "해요체"),
    ("저는요, 활이요, 진짜 좋아해요.", "해요체"),
    ("근데요, 사장님, 그 검 말인데요.", "해요체"),
    ("사장님이 웃으셨다! 오늘은 깎아 주시겠다!", "해라체 해라체"),
    ("어머니께서 여기 검이 최고라고 하셨어.", "해체"),
    ("우리 스승님께선 활만 쓰셨지.", "해체"),
    ("주인장, 안녕하시오? 이 창은 값이 얼마요?", "하오체 하오체"),
    ("어서 오시오. 내가 바로 용을 잡은 사내요.", "하오체 하오체"),
    ("그간 잘 있었소? 내 말을 믿지 않는 거요?", "하오체 하오체"),
    ("사장님, 저 왔어요. 이건 얼마요?", "해요체 해요체"),
    ("와, 진짜 멋있다! 이거 빌려주세요.", "해요체"),
    ("와, 진짜 멋있다!", "해라체"),
    ("이 검 진짜 멋있다! 이거 빌려주세요.", "해라체 해요체"),
    ("아이고, 허리야! 사장님, 의자 좀 주세요.", "해요체"),
    ("깜짝이야! 사장님, 놀랐잖아요.", "해요체"),
    ("이걸 뭐라고 하더라? 아, 석궁이요.", "해요체"),
    ("같이 갑시다. 늦겠소.", "하오체 하오체"),
    ("다 끝났구만요.", "해요체"),
    ("나올시다, 주인장. 잘 있었소?", "하오체 하오체"),
    ("나올시다.", "하십시오체"),
    ("무겁니다. 다른 걸로 주세요.", "하십시오체 해요체"),
    ("잘 썼습니다. 근데 날이 무뎌졌더군요어.", "하십시오체 해요체"),
    ("이겼거든용요! 믿어 주세요.", "해요체 해요체"),
    ("쯧, 그걸 도끼라고 내놓았나? 내 팔이 다 빠졌네그려.", "하게체 하게체"),
    ("지팡이가 먼저 도망가던걸! 재밌었어요.", "해체 해요체"),
    ("이겼다나 뭐라나. 저는 안 믿어요.", "해요체"),
    ("같이 갈래? 그러더라고요.", "해요체"),
    ("동료들이 투덜거렸어요. 무겁다.", "해요체"),
]
SIDES = [
    ("구멍 뚫었어! 정말 완벽했어요!", "혼용"),
    ("구멍 뚫었어, 정말 완벽했어요!", "혼용"),
    ("구멍 뚫었어 정말 완벽했어요", "혼용"),
    ("고마워. 또 오겠습니다.", "혼용"),
    ("사장님! 크흠. 왔습니다. 칼 하나요.", "존댓말"),
    ("'살려 줘!' 하길래 도망쳤습니다.", "존댓말"),
    ("살려 줘! 하길래 도망쳤습니다.", "존댓말"),
    ("같이 갈래? 이랬어요.", "존댓말"),
    ("‘어서 오세요’라니, 징그럽다.", "반말"),
    ("스승님께서 보시더니 웃으시더라. 고얀 영감.", "반말"),
    ("고맙네. 자네 덕일세.", "반말"),
    ("가자! 어서 갑시다.", "반말"),
    ("재미있네요. 늘 궁금했는데. 써 볼게요.", "존댓말"),
    ("칼 하나.", "판단불가"),
    ("", "판단불가"),
    ("그리고 제가 제발 다시", "존댓말"),
    ("마치 네 솔루션이", "반말"),
    ("저 늑대, 저기", "판단불가"),
    ("제 발로 온 놈", "판단불가"),
    ("네, 사장님", "존댓말"),
]


@pytest.mark.parametrize(("level", "line"), [(level, line) for level, lines in LEVELS.items() for line in lines])
def test_level_of_one_sentence(level: str | None, line: str) -> None:
    assert {s.level for s in sentences(line)} - {None} == ({level} if level else set())


@pytest.mark.parametrize(("line", "levels"), LINES)
def test_levels_of_several_sentences(line: str, levels: str) -> None:
    assert " ".join(s.level for s in sentences(line) if s.level is not None) == levels


@pytest.mark.parametrize(
    ("line", "sure"), [("한잔 합시다.", False), ("왔소. 한잔 합시다.", True), ("왔습니다.", True), ("보러 왔는데.", True)]
)
def test_an_ending_of_both_sides_is_not_sure_by_itself(line: str, sure: bool) -> None:
    assert sentences(line)[-1].sure is sure


@pytest.mark.parametrize(("line", "side"), SIDES)
def test_politeness(line: str, side: str) -> None:
    assert politeness(line) == side


def test_spans_hold_the_sentences() -> None:
    line = " 왔습니다!  3.5냥이에요… 좋더군, 그 칼. "
    assert [line[s.start : s.end] for s in sentences(line)] == ["왔습니다!", "3.5냥이에요…", "좋더군, 그 칼."]
    assert [s.text for s in sentences(line)] == [line[s.start : s.end] for s in sentences(line)]


def test_decomposed_text_is_read_as_composed_and_keeps_its_offsets() -> None:
    composed = "처음 뵙겠습니다. 좋아!"
    line = unicodedata.normalize("NFD", composed)
    found = sentences(line)
    assert [s.level for s in found] == ["하십시오체", "해체"]
    assert [unicodedata.normalize("NFC", line[s.start : s.end]) for s in found] == ["처음 뵙겠습니다.", "좋아!"]


@pytest.mark.parametrize("line", ["사장님! 칼 하나.", "크흠, 활 하나.", "그 늪, 대박!"])
def test_bare_fragments(line: str) -> None:
    assert fragments_only(line)


@pytest.mark.parametrize(
    "line", ["칼 하나요.", "줘, 칼.", "'칼 하나.'라니", "가마.", "갔다 왔음.", "사장님!", "네.", "하하~", "?!", ""]
)
def test_no_bare_fragments_where_in_doubt(line: str) -> None:
    assert not fragments_only(line)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60) | st.text(alphabet="가나다요까. ,…~!?'\"“”검을줘\u1100\u1161\u11a8\ud800\U0001f600", max_size=60))
def test_any_text_has_sentences_inside_it(line: str) -> None:
    found = sentences(line)
    assert all(0 <= s.start < s.end <= len(line) for s in found)
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert sentences(line) == found


@given(st.text(max_size=40))
def test_composition_is_nfc_with_a_way_back(line: str) -> None:
    composed = compose(line)
    assert composed.text == unicodedata.normalize("NFC", line)
    assert len(composed.starts) == len(composed.ends) == len(composed.text)


def test_offsets_are_code_points() -> None:
    assert [(t.form, t.start, t.end) for t in tokens("😀집")][-1] == ("집", 1, 2)


def _iwslt() -> list[dict[str, str]]:
    if not IWSLT.is_file():
        pytest.skip(f"the IWSLT formality data isn't there ({IWSLT}): nothing measures the speech levels against people's labels")
    return [json.loads(row) for row in IWSLT.read_text(encoding="utf-8").splitlines()]


def test_800_labelled_lines() -> None:
    rows = _iwslt()
    verdicts = Counter((row["politeness"], politeness(row["text"])) for row in rows)
    right = sum(count for (label, verdict), count in verdicts.items() if label == verdict)
    mixed = sum(count for (_, verdict), count in verdicts.items() if verdict == "혼용")
    assert len(rows) == 800
    assert right / len(rows) >= 0.99, verdicts
    assert mixed / len(rows) <= 0.005, verdicts


def _corpus_sentences() -> dict[str, list[str]]:
    """Sentences of the shipped corpus that end in a final ending, by the side of the personality that says them."""
    sides: dict[str, list[str]] = {"존댓말": [], "반말": []}
    for row in default_corpus("weapon_rental").read_text(encoding="utf-8").splitlines()[::4]:
        record = json.loads(row)
        side = "존댓말" if record["성격"] in ("존칭형", "평범형", "너스레형") else "반말"
        for sentence in re.findall(r"[^.!?…~'‘]+[.!?]+(?=\s|$)", record["인사말"]):
            words = [t for t in tokens(sentence) if t.tag[0] != "S"]
            if record["성격"] != "단답형" and len(sentence.split()) > 1 and (words[-1].tag == "EF" or words[-1].form == "요"):
                sides[side].append(sentence.strip())
    return sides


def _labelled_sentences() -> dict[str, list[str]]:
    rows = [(row["politeness"], row["text"].strip()) for row in _iwslt()]
    single = [(side, text) for side, text in rows if len(re.findall(r"[.!?]+(?:\s|$)", text)) == 1 and text[-1] in ".!?"]
    return {side: [text for label, text in single if label == side] for side in ("존댓말", "반말")}


@pytest.mark.parametrize("source", [_corpus_sentences, _labelled_sentences])
def test_a_polite_and_a_plain_sentence_joined_are_mixed(source: Callable[[], dict[str, list[str]]]) -> None:
    rng, sides = random.Random(4), source()
    pairs = [(rng.choice(sides["존댓말"]), rng.choice(sides["반말"])) for _ in range(200)]
    joined = [f"{first} {second}" for pair in pairs for first, second in (pair, pair[::-1])]
    missed = [line for line in joined if politeness(line) != "혼용"]
    assert len(missed) / len(joined) <= 0.03, missed


@pytest.mark.parametrize(
    "piece",
    ["왔어요, ", "왔어요 갈게 ", "그러더라고요, 왔다. ", "제가 가고 ", "저는 ", "아이고 허리야! ", "요", "마. ", "\ud800가"],
)
def test_ten_thousand_characters_take_no_quadratic_time(piece: str) -> None:
    line = (piece * 10_000)[:10_000]
    tokens(line)  # Kiwi's own time is Kiwi's
    begin = time.process_time()
    politeness(line)
    assert time.process_time() - begin < 3
