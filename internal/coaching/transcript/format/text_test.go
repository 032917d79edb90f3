package format

import (
	"fmt"
	"strings"
	"testing"
)

// timesOf is an outline with starts, for files that tell no ends.
func timesOf(doc *Document) string {
	var b strings.Builder
	for _, u := range doc.Utterances {
		name, start := "?", ""
		if u.Speaker >= 0 {
			name = doc.Speakers[u.Speaker]
		}
		if u.StartMs != nil {
			start = fmt.Sprintf(" %d", *u.StartMs)
		}
		fmt.Fprintf(&b, "%s%s: %s\n", name, start, u.Text)
	}
	return b.String()
}

func TestTimesInText(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, in, want, notes string }{
		{"one paragraph", "Ann  0:03\nSo.", "Ann 3000: So.\n", ""},
		{"several lines", "Ann  0:03\nSo\n it\n\nis.\n\nBo\t1:02:03  \nNo.\n", "Ann 3000: So it is.\nBo 3723000: No.\n", ""},
		{"no names", "0:01  \nSo.\n\n0:15\nNo.\n\nTranscribed by https://otter.ai\n", "? 1000: So.\n? 15000: No.\n", "SPEAKERS_MISSING@1"},
		{"some names", "Ann  0:01\nSo.\n\n0:15\nNo.\n", "Ann 1000: So.\n? 15000: No.\n", ""},
		{"a title", "Third talk\n\nAnn  0:01\nSo.\n\nBo  0:02\nNo.\n", "Ann 1000: So.\nBo 2000: No.\n", "NOT_SPEECH@1"},
		{"nothing said", "Ann  0:01\n\nBo  0:02\nNo.\n\nAnn  0:05\n", "Bo 2000: No.\n", "EMPTY_CUE@1 EMPTY_CUE@6"},
		{"names in words", "Ann  0:01\nBob: so.\n\nBo  0:02\nNote: no.\n", "Ann 1000: Bob: so.\nBo 2000: Note: no.\n", ""},
		{"a time in words", "Ann  0:01\nWe met at 10:30\n\nBo  0:02\nat (10:30)\n", "Ann 1000: We met at 10:30\nBo 2000: at (10:30)\n", ""},
		{"not in order", "Ann  0:09\nSo.\n\nBo  0:02\nNo.\n", "Bo 2000: No.\nAnn 9000: So.\n", "TIMES_UNSORTED@4"},
		{"with ends", "Ann  0:01 - 0:02\nSo.\n\nBo  0:02.5 – 0:04\nNo.\n", "Ann 1000: So.\nBo 2500: No.\n", ""},
		{"with most ends", "Ann  0:01 - 0:02\nSo.\n\nBo  0:03\nNo.\n\nAnn  0:04 - 0:03\nHm.\n", "Ann 1000: So.\nBo 3000: No.\nAnn 4000: Hm.\n", "TIMES_UNREADABLE@4 TIMES_BACKWARDS@7"},
		{"other times in words", "Ann  2:10 – 2:38\n[0:03] so\n2:39 – 3:00\n0:01 – 0:02 so\n", "Ann 130000: [0:03] so 0:01 – 0:02 so\n", ""},
		{"brackets", "Ann Lee (0:03):\nSo.\n\nBo [00:00:05]\nNo.\n", "Ann Lee 3000: So.\nBo 5000: No.\n", ""},
		{"a name with brackets", "Ann (Coach) (0:03)\nSo.\n\nBo (0:05)\nNo.\n", "Ann (Coach) 3000: So.\nBo 5000: No.\n", ""},
		{"a dash", "0:03 - Ann (Acme)\n  So: yes.\n\n@0:05 - **Bo**\n  No.\n", "Ann (Acme) 3000: So: yes.\nBo 5000: No.\n", ""},
		{"a clock on the wall", "[Ann] 14:02:33\nSo.\n\n[Bo] 14:02:40\nNo.\n", "Ann 0: So.\nBo 7000: No.\n", "TIMES_OF_DAY@1"},
		{"a clock on the wall, past midnight", "[Ann] 23:59:59\nSo.\n\n[Bo] 00:00:01\nNo.\n", "Ann 0: So.\nBo 2000: No.\n", "TIMES_OF_DAY@1"},
		{"before words", "[0:03] Ann: So.\n[0:05] Bo: No.\n[0:07] Hm.\nYes.\n", "Ann 3000: So.\nBo 5000: No.\nBo 7000: Hm. Yes.\n", "SPEAKER_ASSUMED@3"},
		{"before words, with ends", "00:00:03.1 - 00:00:04 Ann: So.\n0:05-0:06 Bo: No.\n", "Ann 3100: So.\nBo 5000: No.\n", ""},
		{"before words, without brackets", "00:03 Ann: So.\n00:05 Bo: No.\n", "Ann 3000: So.\nBo 5000: No.\n", ""},
		{"before words, without names", "(0:03) So we met.\n(0:05) At 10:30.\n", "? 3000: So we met.\n? 5000: At 10:30.\n", "SPEAKERS_MISSING@1"},
		{"between", "Ann (0:03): So.\nBo [0:05]: No: not.\n", "Ann 3000: So.\nBo 5000: No: not.\n", ""},
		{"time marks", "Ann: So.\n00:05:00\nBo: No.\nHm.\n\n00:10:00\n\nAnn: Yes.\n", "Ann: So.\nBo: No. Hm.\nAnn: Yes.\n", "TIMES_SPARSE@2"},
		{"Markdown", "**Ann:** So.\n\n**Bo**: No.\n", "Ann: So.\nBo: No.\n", ""},
		{"Markdown with headings", "# Talk\n\n**Ann:** So.\n\n**Bo:** No.\n**Ann:** Hm.\n", "?: # Talk\nAnn: So.\nBo: No.\nAnn: Hm.\n", "SPEAKER_MISSING@1"},
		{"a meeting at half past ten", "Ann: So.\n10:30 Meeting: that was late.\nBo: No.\nAnn: Hm.\n", "Ann: So. 10:30 Meeting: that was late.\nBo: No.\nAnn: Hm.\n", ""},
		{"a first line that ends in a time", "Ann: see you at  10:30\nBo: No.\nAnn: Hm.\n", "Ann: see you at 10:30\nBo: No.\nAnn: Hm.\n", ""},
		{"questions and answers", "Q: What is it?\nA: Time: two hours.\nQ: Why?\nA: So.\n", "Q: What is it?\nA: Time: two hours.\nQ: Why?\nA: So.\n", ""},
		{"names with commas and colons", "Smith, John (Guest): So.\nAcme: Ann: No.\nSmith, John (Guest): see https://a.example: there\nAcme: Ann: Hm.\n", "Smith, John (Guest): So.\nAcme: Ann: No.\nSmith, John (Guest): see https://a.example: there\nAcme: Ann: Hm.\n", ""},
	} {
		doc, err := Parse([]byte(test.in), Options{})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		checkDocument(func(message string, args ...any) { t.Errorf(test.name+": "+message, args...) }, doc)
		notes := strings.TrimSpace(strings.ReplaceAll(" "+noted(doc), " "+firstOf(noted(doc), "ENDS_MISSING"), ""))
		if got := timesOf(doc); doc.Format != Text || got != test.want || notes != test.notes {
			t.Errorf("%s: %s, got\n%s(%s), want\n%s(%s)", test.name, doc.Format, got, notes, test.want, test.notes)
		}
	}
}

// firstOf is the first note with this code, which most files with times above words have.
func firstOf(notes, code string) string {
	for _, n := range strings.Fields(notes) {
		if strings.HasPrefix(n, code+"@") {
			return n
		}
	}
	return "none"
}

func TestNoTimesInText(t *testing.T) {
	t.Parallel()
	refused(t, "a diary", []byte("10:30\nMeeting with nobody.\n"), CodeUnknownFormat)
	refused(t, "a time in prose", []byte("We met.\nThat was at  10:30\nAnd so on.\nAnd on.\n"), CodeUnknownFormat)
	refused(t, "names and times, and no words", []byte("Ann  0:03\n\nBo  0:05\n"), CodeNoCues)
}
