"""Everything that the labelling program says, in Korean and in English."""

from __future__ import annotations

from collections.abc import Mapping

from npc_align.violation import KIND_NAMES

LANGUAGES = ("ko", "en")


class Texts:
    """The messages of one language, by name: `texts("saved", choice="A")`."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._messages = MESSAGES[language]

    def __call__(self, name: str, **values: object) -> str:
        return self._messages[name].format(**values)

    def kind(self, kind: str) -> str:
        """A kind of violation, as a writer calls it."""
        return KIND_NAMES[self.language][kind]

    def choice(self, choice: str) -> str:
        return self(f"choice_{choice}")

    def duration(self, seconds: float) -> str:
        if seconds < 90:
            return self("seconds", count=round(seconds))
        return self("minutes", count=round(seconds / 60)) if seconds < 5400 else self("hours", count=round(seconds / 3600, 1))


_KO = {
    "title_pair": "어느 대사가 나은가요?",
    "title_line": "이 대사는 어떤가요?",
    "progress": "{done}/{total} ({percent} %)",
    "pace": "하나에 {pace}",
    "remaining": "약 {time} 남음",
    "seconds": "{count}초",
    "minutes": "{count}분",
    "hours": "{count}시간",
    "line_single": "대사",
    # The keys at the foot of the screen
    "key_left": "1 A가 낫다",
    "key_right": "2 B가 낫다",
    "key_tie": "0 비슷하다",
    "key_both_bad": "9 둘 다 나쁘다",
    "key_good": "1 좋다",
    "key_bad": "2 나쁘다",
    "key_fix": "e 고친다",
    "key_skip": "Space 건너뛰기",
    "key_undo": "Bksp 되돌리기",
    "key_edit": "e 고치기",
    "key_reason": "r 이유",
    "key_flag": "f 표시",
    "key_hints": "h 힌트",
    "key_guideline": "g 지침",
    "key_help": "? 도움말",
    "key_leave": "q 끝내기",
    "choice_left": "A가 낫다",
    "choice_right": "B가 낫다",
    "choice_tie": "비슷하다",
    "choice_both_bad": "둘 다 나쁘다",
    "choice_good": "좋다",
    "choice_bad": "나쁘다",
    "choice_fix": "고쳤다",
    "choice_skip": "건너뜀",
    # What happened
    "saved": "✓ 저장됨 {time} · {choice}",
    "not_saved": "저장하지 못했습니다: {error} · 같은 키를 다시 눌러 주세요.",
    "undone": "되돌렸습니다. 방금까지의 판정: {choice}. 다시 판정해 주세요.",
    "nothing_to_undo": "되돌릴 판정이 없습니다.",
    "nothing_here": "여기서는 쓰지 않는 키입니다.",
    "not_edited": "e로 대사를 고친 뒤에 저장됩니다.",
    "empty_edit": "빈 대사는 저장하지 않습니다.",
    "unchanged_edit": "화면의 대사와 같습니다. 고친 곳이 없습니다.",
    "too_long_edit": "대사가 너무 깁니다. 1,000자까지 저장합니다. 다른 글을 붙여 넣지 않았나요?",
    "other_mode": "여기서는 쓰지 않는 키입니다. ?를 누르면 쓸 수 있는 키가 나옵니다.",
    "hangul": "한글이 입력되었습니다. 한/영 키로 영문으로 바꾸거나 숫자 키(1 2 0 9)를 쓰세요.",
    "unknown_key": "뜻이 없는 키입니다. ?를 누르면 쓸 수 있는 키가 나옵니다.",
    "too_small": "창이 작아({width}x{height}) 다 보이지 않을 수 있습니다. 80x24 이상으로 키워 주세요.",
    "edited": "고친 대사: {line}",
    "edited_now_choose": "고친 대사를 저장했습니다. 이제 두 대사를 판정해 주세요 (1 2 0 9).",
    "reasons": "이유: {reasons}",
    "whole_line": "대사 전체",
    "flagged": "[표시함] 다시 볼 대사",
    "hints_wait": "검사기가 보는 중…",
    "hints_none": "힌트: 검사기는 흠을 찾지 못했습니다.",
    "hint": "힌트: {kind}: {message}",
    # Panels
    "which_edit": "어느 대사를 고칠까요?",
    "which_reason": "어느 대사에 흠이 있나요?",
    "which_keys": "1 또는 ← A · 2 또는 → B · Esc 그만두기",
    "edit_title": "더 나은 대사로 고쳐 쓰세요",
    "edit_keys": "Enter 저장 · Esc 그만두기 (쓰던 글은 남습니다)",
    "reason_title": "무엇이 흠인가요?",
    "reason_keys": "↑↓ 고르고 Enter · Backspace 마지막 이유 지우기 · Esc 닫기",
    "mark_title": "{kind}: 어디가 그런가요?",
    "mark_keys": "Shift+방향키나 마우스로 표시하고 Enter · 표시 없이 Enter면 대사 전체 · Esc 그만두기",
    "guideline_title": "판정 지침",
    "guideline_keys": "↑↓ 움직이기 · g 또는 Esc 닫기",
    "no_guideline": "# 지침이 없습니다\n\n이 도메인에는 판정 지침이 아직 없습니다. Markdown 파일을 `domain.yaml` 옆에 두면 여기에 나옵니다.\n\n`{path}`",
    "help_title": "도움말",
    "help_keys": "↑↓ 움직이기 · ? 또는 Esc 닫기",
    # The end
    "end_none": "판정할 것이 아직 없습니다.",
    "end_not_assigned": "{annotator} 님에게 배정된 것이 없습니다. 배정받은 사람: {people}.",
    "end_all": "모두 마쳤습니다. 고맙습니다!",
    "end_limit": "이번에 하기로 한 {count}개를 마쳤습니다. 고맙습니다!",
    "end_counts": "{annotator} 님이 이번에 {made}개, 모두 {done}개를 판정했습니다.",
    "end_make": "담당 엔지니어에게 물어보세요. 판정할 것은 이 명령이 만듭니다:  npc-pref pair --mode {mode} --store {store}",
    "end_name": "이름이 다르면 이렇게 시작하세요:  npc-pref label --store {store} --annotator 이름",
    "end_other_mode": "다른 방식으로 판정할 것이 {count}개 있습니다:  {command}",
    "end_more": "이어서 하려면:  {command}",
    "end_merge": "엔지니어에게 이 파일을 보내세요:  {store}  (받는 쪽에서는 npc-pref merge 파일)",
    "end_export": "학습 파일로 내보내려면:  npc-pref export --store {store}",
    "end_keys": "Backspace 되돌리기 · g 지침 · q 끝내기",
    "goodbye": "이번에 판정한 {made}개가 {store}에 저장되어 있습니다. 남은 것 {left}개. 이어서 하려면: {command}",
    # Plain prompts
    "plain_pair_keys": "1 A · 2 B · 0 비슷 · 9 둘 다 나쁨 · s 건너뛰기 · u 되돌리기 · e 고치기 · r 이유 · f 표시 · h 힌트 · g 지침 · q 끝",
    "plain_line_keys": "1 좋다 · 2 나쁘다 · e 고친다 · s 건너뛰기 · u 되돌리기 · r 이유 · f 표시 · h 힌트 · g 지침 · q 끝",
    "plain_which": "1 A, 2 B (그만두려면 Enter)> ",
    "plain_edit": "고친 대사 (그만두려면 Enter)> ",
    "plain_kind": "번호 (그만두려면 Enter)> ",
    "plain_drop": "마지막 이유 지우기",
    "plain_mark": "틀린 곳을 그대로 옮겨 적으세요 (대사 전체면 Enter)> ",
    "plain_no_such_place": "대사에 그런 곳이 없습니다.",
    "help": """\
1  ←         A가 낫다 (한 줄 방식: 좋다)
2  →         B가 낫다 (한 줄 방식: 나쁘다)
0  t ㅅ      비슷하다
9  b ㅠ      둘 다 나쁘다
Space        건너뛰기
Backspace    마지막 판정 되돌리기. 몇 번이든, 어제 것도
e ㄷ         더 나은 대사로 고쳐 쓰기
r ㄱ         이유 달기: 흠의 종류를 고르고 자리를 표시
f ㄹ         다시 볼 대사로 표시
h ㅗ         검사기의 힌트. 먼저 스스로 판단한 뒤에
g ㅎ         판정 지침
q ㅂ         끝내기. 모두 저장되어 있습니다
PgUp PgDn    화면보다 긴 대사 움직이기

마우스로 대사나 단추를 눌러도 됩니다. 판정은 누르는 즉시 저장되고, ✓ 저장됨이 보이면 디스크에 있습니다.
한글 상태에서 글자가 모여 한 음절이 되면 명령으로 받지 않습니다. 숫자 키나 영문 상태가 편합니다.
""",
}

_EN = {
    "title_pair": "Which line is better?",
    "title_line": "How is this line?",
    "progress": "{done}/{total} ({percent} %)",
    "pace": "{pace} each",
    "remaining": "about {time} left",
    "seconds": "{count} s",
    "minutes": "{count} min",
    "hours": "{count} h",
    "line_single": "Line",
    "key_left": "1 A is better",
    "key_right": "2 B is better",
    "key_tie": "0 tie",
    "key_both_bad": "9 both bad",
    "key_good": "1 good",
    "key_bad": "2 bad",
    "key_fix": "e fix",
    "key_skip": "Space skip",
    "key_undo": "Bksp undo",
    "key_edit": "e edit",
    "key_reason": "r reason",
    "key_flag": "f flag",
    "key_hints": "h hints",
    "key_guideline": "g guide",
    "key_help": "? help",
    "key_leave": "q quit",
    "choice_left": "A is better",
    "choice_right": "B is better",
    "choice_tie": "tie",
    "choice_both_bad": "both bad",
    "choice_good": "good",
    "choice_bad": "bad",
    "choice_fix": "fixed",
    "choice_skip": "skipped",
    "saved": "✓ saved {time} · {choice}",
    "not_saved": "NOT saved: {error} · press the same key again.",
    "undone": "Taken back: {choice}. Judge it again.",
    "nothing_to_undo": "There is no judgement left to take back.",
    "nothing_here": "This key isn't used here.",
    "not_edited": "It is saved once you have mended the line with e.",
    "empty_edit": "An empty line isn't saved.",
    "unchanged_edit": "That is one of the lines on the screen, not changed.",
    "too_long_edit": "Too long: up to 1,000 characters are saved. Was something else pasted?",
    "other_mode": "This key isn't used here. ? lists the keys.",
    "hangul": "That was Hangul. Switch to English input (한/영), or use the digits 1 2 0 9.",
    "unknown_key": "This key has no meaning. ? lists the keys.",
    "too_small": "A window of {width}x{height} may hide something. Make it 80x24 or larger.",
    "edited": "Better line: {line}",
    "edited_now_choose": "The better line is saved. Now judge the two (1 2 0 9).",
    "reasons": "Reasons: {reasons}",
    "whole_line": "whole line",
    "flagged": "[flagged] for a second look",
    "hints_wait": "the checker is looking…",
    "hints_none": "Hint: the checker finds nothing wrong.",
    "hint": "Hint: {kind}: {message}",
    "which_edit": "Which line do you want to edit?",
    "which_reason": "Which line is at fault?",
    "which_keys": "1 or ← A · 2 or → B · Esc leave",
    "edit_title": "Rewrite it into a better line",
    "edit_keys": "Enter save · Esc leave (what you wrote stays)",
    "reason_title": "What is wrong with it?",
    "reason_keys": "↑↓ and Enter · Backspace drops the last reason · Esc close",
    "mark_title": "{kind}: where?",
    "mark_keys": "Mark with Shift+arrows or the mouse, then Enter · Enter alone: whole line · Esc leave",
    "guideline_title": "Guideline",
    "guideline_keys": "↑↓ move · g or Esc close",
    "no_guideline": "# No guideline\n\nThis domain has no guideline yet. Put a Markdown file beside its `domain.yaml` and it shows here.\n\n`{path}`",
    "help_title": "Help",
    "help_keys": "↑↓ move · ? or Esc close",
    "end_none": "There is nothing to judge yet.",
    "end_not_assigned": "Nothing is assigned to {annotator}. People with tasks: {people}.",
    "end_all": "All done. Thank you!",
    "end_limit": "The {count} of this sitting are done. Thank you!",
    "end_counts": "{annotator} judged {made} in this sitting, {done} in all.",
    "end_make": "Ask your engineer; tasks are made with:  npc-pref pair --mode {mode} --store {store}",
    "end_name": "If your name is another one, start with:  npc-pref label --store {store} --annotator NAME",
    "end_other_mode": "{count} tasks wait in the other mode:  {command}",
    "end_more": "To go on:  {command}",
    "end_merge": "Send your engineer this file:  {store}  (who runs: npc-pref merge FILE)",
    "end_export": "To make the training file:  npc-pref export --store {store}",
    "end_keys": "Backspace undo · g guide · q quit",
    "goodbye": "The {made} judgements of this sitting are saved in {store}; {left} left. To go on: {command}",
    "plain_pair_keys": "1 A · 2 B · 0 tie · 9 both bad · s skip · u undo · e edit · r reason · f flag · h hints · g guideline · q quit",
    "plain_line_keys": "1 good · 2 bad · e fix · s skip · u undo · r reason · f flag · h hints · g guideline · q quit",
    "plain_which": "1 A, 2 B (Enter: leave)> ",
    "plain_edit": "better line (Enter: leave)> ",
    "plain_kind": "number (Enter: leave)> ",
    "plain_drop": "drop the last reason",
    "plain_mark": "copy the faulty place (Enter: whole line)> ",
    "plain_no_such_place": "The line has no such place.",
    "help": """\
1  ←         A is better (single lines: good)
2  →         B is better (single lines: bad)
0  t ㅅ      tie
9  b ㅠ      both bad
Space        skip
Backspace    take the last judgement back; as often as you like, yesterday's too
e ㄷ         edit into a better line
r ㄱ         reason: choose the fault, mark the place
f ㄹ         flag for a second look
h ㅗ         the checker's hints; make up your own mind first
g ㅎ         guideline
q ㅂ         quit; everything is saved
PgUp PgDn    scroll lines that are longer than the screen

A click on a line or a button does the same. A judgement is saved when you make it: ✓ saved means that it is on disk.
A Hangul syllable composed by an input method is not taken for a command; digits always work.
""",
}

MESSAGES: Mapping[str, Mapping[str, str]] = {"ko": _KO, "en": _EN}
