package format

import (
	"slices"
	"strings"
	"testing"
)

func TestCSV(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, in, want, notes string }{
		{"comma", "speaker,start,end,text\nAnn,1,2,So.\nBo,2,3,No.\n", "Ann 1000-2000: So.\nBo 2000-3000: No.\n", "TIMES_IN_SECONDS@2"},
		{"semicolon", "Name;Start Time (ms);End Time (ms);Transcript\nAnn;1000;2000;So, yes.\n", "Ann 1000-2000: So, yes.\n", ""},
		{"tab", "Speaker\tText\nAnn\tSo,\tno\nBo\tNo.\n", "Ann: So, no\nBo: No.\n", ""},
		{"what separates the most names", "text;speaker;x,text,start,end\nAnn,So.,1,2\n", "? 1000-2000: So.\n", "SPEAKERS_MISSING@2 TIMES_IN_SECONDS@2"},
		{"columns in another order, and more", "id,text,at,who,score\n1,So.,0:01,Ann,9\n2,No.,0:02,Bo,9\n", "Ann: So.\nBo: No.\n", "ENDS_MISSING@2"},
		{"no speakers", "timestamp,transcript\n0:01,So.\n0:02,No.\n", "?: So.\n?: No.\n", "ENDS_MISSING@2 SPEAKERS_MISSING@2"},
		{"quotes", "speaker,text\n\"Ann, Lee\",\"a \"\"b\"\", c\"\n Bo , \"d\" x\nCy,e \"f\" g\n", "Ann, Lee: a \"b\", c\nBo: d x\nCy: e \"f\" g\n", ""},
		{"lines in quotes", "speaker,text\r\nAnn,\"a\r\nb\r\n\r\nc\"\r\nBo,d\r\n", "Ann: a b c\nBo: d\n", ""},
		{"units beside the names", "Start Time (s),End (s),Speaker,Text\n1.5,2,Ann,So.\n", "Ann 1500-2000: So.\n", ""},
		{"clocks beside the names", "Speaker,Time (hh:mm:ss),Text\nAnn,00:00:03,So.\n", "Ann: So.\n", "ENDS_MISSING@2"},
		{"German", "\uFEFFSprecher;Beginn;Ende;Äußerung\nAnn;1,5s;2,25s;Also.\n", "Ann 1500-2250: Also.\n", ""},
		{"French", "Locuteur;Début;Fin;Texte\nAnn;0:01;0:02;Oui.\n", "Ann 1000-2000: Oui.\n", ""},
		{"times under a name that nobody knows", "Speaker,Moment,Text\nAnn,0:01,So.\n", "Ann: So.\n", "TIMES_MISSING@1"},
		{"CR alone", "speaker,text\rAnn,a\rBo,b\r", "Ann: a\nBo: b\n", ""},
		{"quotes that nobody closes", "speaker,text\nAnn,a\nBo,\"b\nCy,c\n", "Ann: a\nBo: b Cy,c\n", "TRUNCATED@3"},
		{"rows that are too short or too long", "speaker,start,end,text\nAnn,1,2,a,b,c\nBo\n\nCy,3,4,c\n", "Ann 1000-2000: a,b,c\nCy 3000-4000: c\n", "TIMES_IN_SECONDS@2 EMPTY_CUE@3"},
		{"what separates, in a text without quotes", "speaker,text\nAnn,Honestly, I stopped, because nobody reads them.\nBo,he said \"no, never\" and left,,\nCy,\"ok\" she said, then left\n",
			"Ann: Honestly, I stopped, because nobody reads them.\nBo: he said \"no, never\" and left\nCy: ok she said, then left\n", ""},
		{"more values than columns, the text before others", "text,speaker\nSo, I think,Ann\nNo.,Bo,,\n", "I think: So\nBo: No.\n", "VALUES_TOO_MANY@2"},
		{"a BOM and an upper-case header", "\uFEFFSPEAKER,TEXT\nAnn,a\n", "Ann: a\n", ""},
		{"Excel says what separates", "sep=|\nspeaker|text\nAnn|a;b,c\n", "Ann: a;b,c\n", ""},
		{"quoted names of columns", "\"Speaker Name\",\"Utterance\"\n\"Ann\",\"a\"\n", "Ann: a\n", ""},
		{"what looks like Name: text", "speaker,text\nAnn,Bob: so\nBo,Note: no\n", "Ann: Bob: so\nBo: Note: no\n", ""},
	} {
		doc, err := Parse([]byte(test.in), Options{})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got := outline(doc); doc.Format != CSV || got != test.want || noted(doc) != test.notes {
			t.Errorf("%s: %s, got\n%s(%s), want\n%s(%s)", test.name, doc.Format, got, noted(doc), test.want, test.notes)
		}
	}
}

func TestNoCSV(t *testing.T) {
	t.Parallel()
	refused(t, "no names", []byte("Ann,1,2,So.\nBo,2,3,No.\n"), CodeUnknownFormat, "column names")
	refused(t, "names of other things", []byte("id,amount,currency\n1,2,EUR\n"), CodeUnknownFormat)
	refused(t, "words alone", []byte("text,score\na,1\n"), CodeUnknownFormat)
	refused(t, "no rows", []byte("speaker,text\n"), CodeNoCues, "no rows")
	refused(t, "rows without words", []byte("speaker,text\nAnn,\n"), CodeNoCues)
	_, err := Parse([]byte("a,b\n1,2\n"), Options{Format: CSV})
	if err == nil || !strings.Contains(err.Error(), "speaker") {
		t.Errorf("told to read CSV: %v", err)
	}
	doc, err := Parse([]byte("Speaker, text: so\nSpeaker, text: no\n"), Options{})
	if err != nil || doc.Format != Text {
		t.Errorf("lines that begin like a header: %v", err)
	}
}

func TestFieldOf(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]field{
		"speaker": {part: partSpeaker}, "Speaker Name": {part: partSpeaker}, "spk": {}, "text": {part: partText}, "TEXT": {part: partText}, "raw_text": {},
		"start": {part: partStart}, "start_ms": {part: partStart, unit: milliseconds}, "startMillis": {part: partStart, unit: milliseconds},
		"Start Time (seconds)": {part: partStart, unit: seconds}, "start time in ms": {part: partStart, unit: milliseconds}, "BeginOffsetMillis": {part: partStart, unit: milliseconds},
		"end-sec": {part: partEnd, unit: seconds}, "durationMs": {part: partDuration, unit: milliseconds}, "textMs": {}, "ms": {}, "": {}, strings.Repeat("x", 100): {},
	} {
		got := fieldOf(name)
		got.rank = 0
		if got != want {
			t.Errorf("%q is %+v, want %+v", name, got, want)
		}
	}
	all := []string{}
	for _, names := range fieldNames {
		all = append(all, names...)
	}
	slices.Sort(all)
	if len(slices.Compact(all)) != len(all) {
		t.Error("a name stands for two parts")
	}
}
