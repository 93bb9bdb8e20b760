"""The words and moods by which Korean asks for a thing: what a shop's owner does, what a customer does, and how both are wished.

A mood is matched on the forms that follow a verb's root, joined by spaces ("빌리" + "어 주 시 ᆯ래 요").
"""

from __future__ import annotations

import re

from npc_align.checks.clauses import words

# What the listener does to hand something over; after any other verb 주 asks for a service ("갈아 주세요").
HANDING = words(
    "주 달 내 내놓 내오 내주 내어주 내려놓 내리 꺼내 꺼내오 꺼내놓 빌리 빌려주 대여하 보이 보여주 추천하 권하 소개하 고르 골라주 골라잡 "
    "뽑 챙기 찾 찾아오 찾아내 구하 건네 건네주 넘기 넘겨주 던지 쥐이 쥐여주 들리 맡기 바꾸 바꿔주 교환하 가져오 가지 가져다주 갖다주 갖 "
    "데려오 대령하 준비하 마련하 장만하 풀 양보하 제공하 하사하 내밀 모시 올리 돌리 얹 끼우 들이 예약하 잡 잡아주 알아보 팔 얻"
)
# What the speaker does who takes something.
TAKING = words(
    "빌리 빌려가 대여하 대여받 쓰 사용하 이용하 가져가 갖 가지 가지고가 데려가 데리 모시 들 들리 메 쥐 차 챙기 고르 골라잡 택하 선택하 "
    "뽑 집 바꾸 갈아타 교환하 교체하 구하 구경하 찾 얻 받 사 시험하 써보 쏘 휘두르 다루 잡 던지 읽 펼치 익히 들이 맞추 청하 부탁하 부탁드리 "
    "요청하 주문하 예약하 신청하 하 가 해보 맡 지니 도전하 입문하 만지 끼 외우 당기 걸 노리 물 배우 품 걸치 시도하 시작하 경험하 장만하 장착하 마련하 두 보"
)
BORROWING = words(
    "빌리 빌려가 대여하 대여받 가져가 데려가 갖 가지 고르 바꾸 교환하 구하 얻 받 보 구경하 사 부탁하 부탁드리 청하 찾 하 잡 쓰"
)
SEEKING = words("찾 구하 물색하 수소문하 알아보 원하 바라 고르")
NEEDING = words(
    "필요하 필요로하 절실하 급하 시급하 간절하 아쉽 탐나 탐이나 욕심나 끌리 당기 땡기 그립 고프 마렵 갖고싶 구미 동하"
)
LIKING = words("좋 낫 나 괜찮 제격 적당하 알맞 편하 어울리 끝내주 나쁘")
STAYING = words("있 없 남 들어오 계시 나오 비")
# Nouns that name the request itself.
EVENTS = words("추천 대여 부탁 주문 예약 신청 요청 필요 대령 준비 교환")
# Nouns that may stand between a thing and its verb without becoming what is asked for.
AMOUNTS = words(
    "하나 둘 셋 넷 자루 대 개 벌 권 정 점 발 쌍 세트 가지 것 거 걸 게 놈 녀석 물건 쪽 종류 계열 정도 급 상품 제품 하루 이틀 사흘 나흘 닷새 "
    "엿새 이레 열흘 보름 며칠 일주일 주일 달 밤 날 오늘 내일 모레 이번 다음 지금 당장 번 동안 시간 나절 반나절 저 나 제 내 우리 저희 여기 저기 거기 "
    "이거 그거 저거 이것 그것 저것 아무 뭐 제일 최고 손 사장 주인 주인장 님 당신 자네 너 네 때 무엇 어디 어디서 요거 고거 외 뿐 참 김 나중 마지막 이참 "
    "중 데 전 후 뒤 값 보증금 가게 집"
)
GENERIC = words("것 거 걸 게 놈 녀석 물건 쪽 데 만 정도")
# Nouns before 또 that are no other thing: what any of the shop's goods may be called, and times.
GOODS_OR_TIMES = words(
    "무기 장비 연장 병기 쇠붙이 짝 짝꿍 단짝 친구 어제 그제 그저께 엊그제 새벽 아침 점심 저녁 낮 봄 여름 가을 겨울 올해 내년 요즘 당분간"
)
DENYING = words("안 못 말 아니 않 싫 무슨 왜 어찌 됐 모르 관두 그만두 그만 사양하 필요없 절대 차라리")
QUESTIONING = words("무슨 왜 어찌 누가 뭐하러 어째서 웬 어떻게")
# What follows an item that is only a measure, a place, an owner, or left out.
ASIDE = words(
    "보다 처럼 만큼 같이 한테 에게 께 에 에서 의 대신 빼 제외하 아니 없이 같 부터 마냥 말 말고 빼고 따위 밖에 보단 이라 라 이라고 라고 이란 란"
)
# Times that belong to this visit, and what else makes a bare noun a wish.
NOW = words("이번 오늘 다음 이제 지금 이젠 이참 내일 담")
AGAIN = words("또 다시 재차 마저 더")
PLAIN_ADVERBS = words(
    "또 다시 좀 더 제일 가장 빨리 얼른 어서 당장 일단 역시 그냥 그럼 그러면 자 이봐 부탁 꼭 한번 조금 아무튼 살짝 딱 이왕"
)
SAME = words("그거 그것 고거 그놈 그걸")
POINTING = SAME | words("저거 저것 이거 이것 하나 거 것 걸 놈")
OTHER = words("다른 딴 새 새로 새로운 말고")
# Between predicates of one chain.
AUXILIARIES = words(
    "주 보 있 없 싶 하 되 않 말 좋 괜찮 감사 고맙 감사하 궁금 궁금하 여쭙 여쭈 묻 알 드리 오 가 놓 두 달 나오 들르 찾아오 찾아가 이 낫 바라 부탁 영광 "
    "은혜 다행 어떻 어떠하 올 온 다니 나서 들어오 되시"
)
LINKS = re.compile(
    r"어|아|여|어서|아서|고|게|지|러|으러|어다|어다가|다가|어도|아도|여도|으?면|[ᆯ을]까|고자|으?려고?|도록|어야|아야|"
    r"[는은ᆫᆯ을]지|으?ᆯ는지|기|나|[는은ᆫ]가|음|ᆷ|었으면|다면|ᆫ다면|는다면"
)

ASK = (
    r"(?:습니까|ᆸ니까|나요?|냐|느냐|니|는가요?|은가요?|ᆫ가요?|[ᆯ을]까요?|[ᆯ을]지요?|[ᆯ을]는지요?|는지요?|은지요?|으?려나요?"
    r"|소|오|어요?|지요?|죠|는데요?|으?ᆫ데요?|고요?|남|[ᆯ을]런지요?)"
)
END = r"(?: 요| 만| 마는)*$"
# Moods of handing over, after the root of the last verb that hands something.
HAND_MOOD = re.compile(
    r"(?:(?:시|으시|으십|옵) )?(?:"
    rf"(?:어|아|여|어라|아라|여라|으?라|거라|너라|게|게나|오|으오|시오|ᆸ시오|십시오|소|소서|으?렴|으?려무나|구려|지|지요|죠|어요|세요|으세요|셔요|쇼|십쇼|ᆸ쇼|"
    rf"[ᆯ을]래요?|라고요?|라니까요?|든가|든지|던가|자|자고|어야지요?|어야죠|달라고요?|라우|쇼){END}"
    rf"|겠 (?:습니까|어요?|나요?|소|는가|는지요?|지요?|죠|ᆯ까요?|니|냐){END}"
    r"|[ᆯ을] 수 (?:있|없|는 없|도 있|야 있)"
    r"|으?면|ᆫ다면|신다면|다면|었으면|길|기 바라|기를 바라|지 않 (?:겠|으시겠|[ᆯ을]래)|어도 되|으?려나|고 ?요?$|고$|[ᆯ을] 만|어야 (?:하|되|쓰)|고 싶)"
)
# Moods of one's own doing, after the root.
SELF_MOOD = re.compile(
    rf"(?:시 )?(?:[ᆯ을](?:게|래|게요|래요|란다){END}|[ᆯ을](?:란다|랍니다|라네)"
    r"|겠 (?:습니다|어요?|네|소|다|노라|는데요?|으니까?|단다|다니까요?|수다|지만)"
    r"|고 싶 (?!어 하|었|대|다더|다던|다길래|다며|으)|고파"
    r"|고 싶 은|고 싶 으(?:니|면)"
    r"|[ᆯ을]까(?:요|$| (?:하|보|싶|요) (?!다가|었))|[ᆯ을]까요?$"
    r"|으?려고(?:요| 요|$| 하| 오| 왔| 들르| 찾아오| 나오)|으?려(?:는데|는데요|ᆸ니다|ᆫ다| 하 (?!다가|었))|으?렵니다|으?련다|으?려네|으?려오"
    r"|으?러 (?:오|가|들르|나오|찾아오|들어오|내려오|달려오|여기|이리)(?! ᆯ| 는 | ᆫ )|고자"
    r"|[ᆯ을] (?:생각|참|작정|예정|거|것|걸|테|터|셈|계획|마음|차례)"
    r"|으?ᆸ시다|읍시다|[ᆯ을]세|세$|자$|자고|자꾸나"
    r"|어야 (?:하|되|겠)|어야지|어야겠|어야죠|어야쓰|어야만"
    r"|었으면|었 으면|[ᆫ는]다면 좋|으?면 (?:좋|하|싶|되|안 되|어떻)"
    r"|어도 (?:되|괜찮|좋|상관))"
)
WISH_OF_ABILITY = re.compile(r"[ᆯ을] 수 (?:있|없|는 없|도 있)")
STOCK_MOOD = re.compile(rf"(?:(?:어|아) (?:있|계시) )?(?:시 |으시 )?(?:었 |겠 |었 겠 )?{ASK}(?: 요)?$")
STOCK_IF = re.compile(r"(?:(?:어|아) 있 )?(?:시 |으시 )?(?:으면|다면|거든)(?P<rest>.*)|(?:었 )으면|는지|[ᆯ을]지")
NEED_MOOD = re.compile(
    r"(?:시 )?(?:겠 )?(?:ᆸ니다|습니다|어요?|아요?|여요?|다|군요?|는군요?|네요?|는데요?|으?ᆫ데요?|오|소|지요?|죠|으?니까?|어서요?|아서요?|거든요?|고요?|단다|다니까요?|"
    r"다고요?|던데요?|구먼|구나|ᆫ다|[ᆯ을] (?:거|것|듯|텐데|테)|게 되|어 지|야|지만)(?= |$)"
)
LIKE_MOOD = re.compile(r"(?:겠|을 (?:것|거|듯)|ᆯ (?:것|거|듯))")
ENOUGH = re.compile(r"(?:되|충분하|족하|만족하|좋|어떻)")
