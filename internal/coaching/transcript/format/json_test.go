package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// readsAs parses and compares, by outline and warnings.
func readsAs(t *testing.T, name, in, want, notes string) {
	t.Helper()
	doc, err := Parse([]byte(in), Options{})
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if got := outline(doc); got != want {
		t.Errorf("%s: got\n%swant\n%s", name, got, want)
	}
	if got := noted(doc); got != notes {
		t.Errorf("%s: warnings %q, want %q", name, got, notes)
	}
}

// refused parses and demands a fault with this code and these words in its message.
func refused(t *testing.T, name string, in []byte, code string, words ...string) {
	t.Helper()
	_, err := Parse(in, Options{})
	var f *fault.Error
	if !errors.As(err, &f) {
		t.Errorf("%s: error %v, want a fault", name, err)
		return
	}
	if f.Kind != fault.KindInvalid || f.Field != "content" || f.Code != code {
		t.Errorf("%s: %s %s %s (%s), want %s", name, f.Kind, f.Field, f.Code, f.Message, code)
	}
	for _, w := range words {
		if !strings.Contains(f.Message, w) {
			t.Errorf("%s: %q does not say %q", name, f.Message, w)
		}
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, in, want, notes string }{
		{"escapes", `[{"speaker":"Zo\u00eb \ud83c\udf31!","start_ms":1,"end_ms":2,"text":"a\tb\n\"c\" \\ \/ \u006f \ud83c x"}]`, "Zoë 🌱! 1-2: a b \"c\" \\ / o \uFFFD x\n", ""},
		{"control characters in escapes", `[{"speaker":"Ann","start_ms":1,"end_ms":2,"text":"a\u0000b\u0007c"}]`, "Ann 1-2: abc\n", "CONTROLS_REMOVED@1"},
		{"a control character with an escape of its own", `[{"speaker":"Ann","text":"a\bb"}]`, "Ann: ab\n", "CONTROLS_REMOVED@1"},
		{"members with escapes", `[{"\u0073peaker":"Ann","text":"a"}]`, "Ann: a\n", ""},
		{"names of any case", `[{"Speaker Name":"Ann","Start Time (ms)":1,"EndTimeMs":2,"Transcript":"a"}]`, "Ann 1-2: a\n", ""},
		{"the better name wins, wherever it stands", `[{"speaker_id":7,"speaker":"Ann","speaker_label":"x","raw_text":"b","text":"a"}]`, "Ann: a\n", ""},
		{"null is nothing", `[{"speaker":null,"speaker_id":"x1","start":null,"text":"a"},{"speaker":"Ann","text":null},{"speaker":"Ann","text":"b"}]`, "x1: a\nAnn: b\n", "EMPTY_CUE@1"},
		{"numbers and letters are labels", `[{"speaker":0,"text":"a"},{"speaker":"B","text":"b"},{"speaker":12,"text":"c"},{"speaker":"","text":"d"}]`, "Speaker 0: a\nSpeaker B: b\nSpeaker 12: c\n?: d\n", "SPEAKER_MISSING@1"},
		{"durations", `[{"text":"a b","offset":"0.5s","duration":"1500 ms"},{"text":"c","offset":"2s"}]`, "? 500-2000: a b\n? 2000-2000: c\n", "SPEAKERS_MISSING@1 TIMES_UNREADABLE@1"},
		{"seconds and minutes in one", `[{"speaker":"Ann","timestamp":"00:01 - 00:02","text":"a"}]`, "Ann 1000-2000: a\n", ""},
		{"ticks", `[{"speaker":1,"offsetInTicks":10000000,"durationInTicks":5000000,"display":"So."}]`, "Speaker 1 1000-1500: So.\n", ""},
		{"somebody else's wrapper", `{"ok":true,"n":[1,2],"page":{"items":[[{"who":"Ann","message":"a"}]]}}`, "Ann: a\n", ""},
		{"topics beside", `{"topics":[{"name":"x","text":"a b"}],"list":[{"name":"Ann","text":"a b c"}]}`, "Ann: a b c\n", ""},
		{"things to do beside", `{"list":[{"name":"Ann","text":"a b c"}],"todo":[{"name":"x","text":"a b"}]}`, "Ann: a b c\n", ""},
		{"lines, the first of which is about the others", `{"list":[{"name":"Ann","text":"a"},7]}` + "\n" + `{"name":"Bo","text":"b"}`, "Bo: b\n", "EMPTY_CUE@1"},
		{"lines", "{\"speaker\":\"Ann\",\"text\":\"a\"}\n{\"speaker\":\"Bo\",\"text\":\"b\"}\n", "Ann: a\nBo: b\n", ""},
		{"the line of the element", "[\r\n{\"speaker\":\"Ann\",\"text\":\"\"},\r\n{\"speaker\":\"Ann\",\"text\":\"a\"},\r{\"speaker\":\"Ann\",\"text\":\"\"}]", "Ann: a\n", "EMPTY_CUE@2 EMPTY_CUE@4"},
		{"words alone, as OpenAI's Whisper answers", `{"task":"transcribe","duration":8.4,"text":"How are you?","words":[{"word":"How","start":0.0,"end":0.2},{"word":"are","start":0.2,"end":0.4},{"word":"you?","start":0.5,"end":0.9}]}`, "? 0-900: How are you?\n", "SPEAKERS_MISSING@1"},
		{"Microsoft's names", `[{"speakerDisplayName":"Ann","startOffset":"00:00:01.5","endOffset":"00:00:03","text":"So."}]`, "Ann 1500-3000: So.\n", ""},
		{"UTF-16", utf16Text(binary.LittleEndian, `[{"speaker":"Ann","text":"ü"}]`), "Ann: ü\n", ""},
		{"AWS without speakers", `{"results":{"items":[{"type":"pronunciation","start_time":"1.0","end_time":"1.5","alternatives":[{"content":"So"}]},{"type":"punctuation","alternatives":[{"content":"."}]}]}}`,
			"? 1000-1500: So.\n", "SPEAKERS_MISSING@1"},
		{"AWS with channels and speakers", `{"results":{"channel_labels":{"channels":[{"channel_label":"ch_0","items":[{"type":"pronunciation","start_time":"1.0","end_time":"1.5","speaker_label":"spk_0","alternatives":[{"content":"So"}]}]},` +
			`{"channel_label":"ch_1","items":[{"type":"pronunciation","start_time":"0.5","end_time":"0.7","speaker_label":"spk_0","alternatives":[{"content":"Oh"}]}]}]}}}`, "ch_1 spk_0 500-700: Oh\nch_0 spk_0 1000-1500: So\n", ""},
		{"one channel has no name of its own", `{"results":{"channels":[{"alternatives":[{"words":[{"word":"so","start":1,"end":2}]}]}]}}`, "? 1000-2000: so\n", "SPEAKERS_MISSING@1"},
		{"words are joined to sentences, and at silence", `{"audio_url":"","words":[{"text":"One","start":0,"end":100,"speaker":"A"},{"text":"two.","start":100,"end":200,"speaker":"A"},{"text":"Three","start":300,"end":400,"speaker":"A"},` +
			`{"text":"four","start":2500,"end":2600,"speaker":"A"},{"text":"five","start":2600,"end":2700,"speaker":"B"}]}`, "Speaker A 0-200+300-400@9: One two. Three\nSpeaker A 2500-2600: four\nSpeaker B 2600-2700: five\n", ""},
		{"words of a language without spaces", `{"results":{"channels":[{"alternatives":[{"words":[{"word":"木","start":0,"end":1},{"word":"です","start":1,"end":2},{"word":"OK","start":2,"end":3}]}]}]}}`, "? 0-3000: 木です OK\n", "SPEAKERS_MISSING@1"},
		{"words without times", `{"results":{"channels":[{"alternatives":[{"words":[{"word":"in","start":0,"end":1},{"word":"1999","start":null},{"word":"then","start":2,"end":3}]}]}]}}`, "? 0-3000: in 1999 then\n", "SPEAKERS_MISSING@1"},
	} {
		readsAs(t, test.name, test.in, test.want, test.notes)
	}
}

func TestTimesOfRecords(t *testing.T) {
	t.Parallel()
	const talk = `{"speaker":"Ann","text":"one two three four five six","start":%s,"end":%s},{"speaker":"Bo","text":"one two three four five six","start":%s,"end":%s}`
	for _, test := range []struct {
		name  string
		times [4]string
		want  string // Ann's and Bo's
		notes string
	}{
		{"seconds", [4]string{"1", "4", "5", "8"}, "1000-4000 5000-8000", "TIMES_IN_SECONDS@1"},
		{"seconds with decimals", [4]string{"0.5", "4.25", "5.0", "8"}, "500-4250 5000-8000", "TIMES_IN_SECONDS@1"},
		{"seconds in strings, with commas", [4]string{`"0,5"`, `"4,25"`, `" 5 "`, `"8"`}, "500-4250 5000-8000", "TIMES_IN_SECONDS@1"},
		{"milliseconds", [4]string{"1000", "4000", "5000", "8000"}, "1000-4000 5000-8000", "TIMES_IN_MILLISECONDS@1"},
		{"milliseconds from 0", [4]string{"0", "4000", "5000", "8000"}, "0-4000 5000-8000", "TIMES_IN_MILLISECONDS@1"},
		{"seconds, late and slow", [4]string{"60", "70", "100", "140"}, "60000-70000 100000-140000", "TIMES_IN_SECONDS@1"},
		{"one that is far off", [4]string{"1", "4", "5", "1e9"}, "1000-4000 5000-5000", "TIMES_IN_SECONDS@1 TIMES_UNREADABLE@1"},
		{"clocks", [4]string{`"0:01"`, `"00:00:04.5"`, `"[0:05]"`, `"1:02:03,004"`}, "1000-4500 5000-3723004", ""},
		{"units", [4]string{`"1s"`, `"4500ms"`, `"5.0 s"`, `"8000 ms"`}, "1000-4500 5000-8000", ""},
		{"dates", [4]string{`"2026-03-01T10:00:00Z"`, `"2026-03-01T11:00:04.500+01:00"`, `"2026-03-01T10:00:05Z"`, `"2026-03-01 10:00:08"`}, "0-4500 5000-8000", "TIMES_OF_DAY@1"},
		{"seconds since 1970", [4]string{"1772359200", "1772359204", "1772359205", "1772359208.5"}, "0-4000 5000-8500", "TIMES_OF_DAY@1"},
		{"milliseconds since 1970", [4]string{"1772359200000", "1772359204000", "1772359205000", "1772359208000"}, "0-4000 5000-8000", "TIMES_OF_DAY@1"},
		{"negative", [4]string{"-1", "4", "5", "8"}, "0-4000 5000-8000", "TIMES_IN_SECONDS@1 TIMES_NEGATIVE@1"},
		{"backwards", [4]string{"4", "1", "5", "8"}, "4000-4000 5000-8000", "TIMES_BACKWARDS@1 TIMES_IN_SECONDS@1"},
		{"NaN and infinite", [4]string{"1", "NaN", "Infinity", "-Infinity"}, "1000-1000 1000-0", "?"},
		{"as large as a float", [4]string{"1", "1e308", "-1e308", "8"}, "1000-1000 0-8000", "?"},
		{"beyond a day", [4]string{"1", "4", "90000", "90008"}, "1000-4000 90000000-90008000", "?"},
		{"no times", [4]string{`"soon"`, `""`, `{}`, `null`}, "", ""},
		{"one time of four", [4]string{"1", "null", "null", "null"}, "1000 1000", "?"},
	} {
		in := "[" + fmt.Sprintf(talk, test.times[0], test.times[1], test.times[2], test.times[3]) + "]"
		doc, err := Parse([]byte(in), Options{})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		checkDocument(func(message string, args ...any) { t.Errorf(test.name+": "+message, args...) }, doc)
		if test.notes == "?" {
			if len(doc.Warnings) == 0 {
				t.Errorf("%s: no warnings", test.name)
			}
			continue
		}
		var got []string
		for _, u := range doc.Utterances {
			for _, c := range u.Cues {
				got = append(got, fmt.Sprintf("%d-%d", c.StartMs, c.EndMs))
			}
		}
		if g := strings.Join(got, " "); g != test.want || noted(doc) != test.notes {
			t.Errorf("%s: got %s (%s), want %s (%s)", test.name, g, noted(doc), test.want, test.notes)
		}
	}
}

func TestJSONRefused(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"a":[`, 500)
	for name, test := range map[string]struct {
		in, code string
		words    []string
	}{
		"cut in a string":                          {"[\n{\"speaker\": \"zanzibar", CodeInvalidJSON, []string{"breaks off", "line 2, character 22"}},
		"cut after a colon":                        {`{"a":`, CodeInvalidJSON, []string{"breaks off where a value is due", "line 1, character 6"}},
		"cut after a comma":                        {`[{"a":1},`, CodeInvalidJSON, []string{"breaks off"}},
		"cut in an object":                         {`[{"a"`, CodeInvalidJSON, []string{"a colon"}},
		"cut at the bracket":                       {`{`, CodeInvalidJSON, []string{"a string"}},
		"a comma too many":                         {"[{\"a\":1},\n{\"ü\":1,}]", CodeInvalidJSON, []string{"a string is due", "line 2, character 8"}},
		"no commas":                                {`[{"a":1} {"b":2}]`, CodeInvalidJSON, []string{"a comma"}},
		"names without quotes, no JSON at all":     {`{a:1}`, CodeUnknownFormat, nil},
		"a word":                                   {`{"a":wahr}`, CodeInvalidJSON, []string{"a value is due"}},
		"something after it":                       {`{"a":1} zanzibar`, CodeInvalidJSON, []string{"the end is due"}},
		"a thousand levels":                        {deep + strings.Repeat(`]}`, 500), CodeInvalidJSON, []string{"100 levels"}},
		"a thousand levels, cut":                   {deep, CodeInvalidJSON, []string{"100 levels"}},
		"an empty object":                          {`{}`, CodeUnknownFormat, []string{"speaker_name", "text", "start_time"}},
		"an empty list":                            {`[]`, CodeUnknownFormat, []string{"expected"}},
		"another shape":                            {`{"users":[{"id":1,"mail":"a@b.example"}]}`, CodeUnknownFormat, []string{"expected"}},
		"words of nobody":                          {`[{"text":"a"},{"text":"b"}]`, CodeUnknownFormat, nil},
		"no words":                                 {`{"sentences":[{"speaker_name":"Ann","text":"  "}]}`, CodeNoCues, nil},
		"AWS without items":                        {`{"results":{"items":[{"type":"punctuation","alternatives":[]}]}}`, CodeNoCues, nil},
		"too many values":                          {`{"a":[` + strings.Repeat("1,", maxJSONValues) + `1]}`, CodeTooLarge, []string{"3000000 values"}},
		"too many utterances":                      {"[" + strings.Repeat(`{"speaker":1,"text":"a"},`, MaxCues) + `{"speaker":1,"text":"a"}]`, CodeTooManyCues, nil},
		"too many words":                           {`[{"speaker":1,"text":"` + strings.Repeat("a", MaxTextBytes+1) + `"}]`, CodeTooLarge, []string{"5 MB of words"}},
		"our own, of a later version":              {`{"format":"rapport.transcript","version":2,"utterances":[]}`, CodeInvalidJSON, []string{"version"}},
		"our own, empty":                           {`{"format":"rapport.transcript","version":1,"speakers":[],"utterances":[]}`, CodeNoCues, nil},
		"our own, with a speaker who is not there": {`{"format":"rapport.transcript","version":1,"speakers":["Ann"],"utterances":[` + "\n" + `{"speaker":1,"text":"a"}]}`, CodeInvalidJSON, []string{"line 2"}},
		"our own, with a negative speaker":         {`{"format":"rapport.transcript","version":1,"speakers":["Ann"],"utterances":[{"speaker":-1,"text":"a"}]}`, CodeInvalidJSON, nil},
		"our own, with a speaker without a name":   {`{"format":"rapport.transcript","version":1,"speakers":[" "],"utterances":[]}`, CodeInvalidJSON, nil},
		"our own, with an offset within a word":    {rapportWith(`{"startMs":0,"endMs":1,"offset":0},{"startMs":1,"endMs":2,"offset":3}`), CodeInvalidJSON, []string{"offset"}},
		"our own, with an offset behind the end":   {rapportWith(`{"startMs":0,"endMs":1,"offset":0},{"startMs":1,"endMs":2,"offset":99}`), CodeInvalidJSON, []string{"offset"}},
		"our own, not from the beginning":          {rapportWith(`{"startMs":0,"endMs":1,"offset":6}`), CodeInvalidJSON, []string{"offset"}},
		"our own, with an offset that is a word":   {rapportWith(`{"startMs":0,"endMs":1,"offset":"x"}`), CodeInvalidJSON, []string{"offset"}},
		"our own, with offsets that do not rise":   {rapportWith(`{"startMs":0,"endMs":1,"offset":0},{"startMs":1,"endMs":2,"offset":0}`), CodeInvalidJSON, []string{"offset"}},
	} {
		refused(t, name, []byte(test.in), test.code, test.words...)
		if _, err := Parse([]byte(test.in), Options{}); err != nil && strings.Contains(err.Error(), "zanzibar") {
			t.Errorf("%s: quotes the file: %v", name, err)
		}
	}
}

func rapportWith(cues string) string {
	return `{"format":"rapport.transcript","version":1,"speakers":["Ann"],"utterances":[{"speaker":0,"startMs":0,"endMs":2,"text":"Hello again","cues":[` + cues + `]}]}`
}

// TestOwnJSONIsTakenAtItsWord: it says where utterances begin, even where the rule would have it otherwise.
func TestOwnJSONIsTakenAtItsWord(t *testing.T) {
	t.Parallel()
	readsAs(t, "apart", `{"format":"rapport.transcript","version":1,"speakers":["A"],"utterances":[{"speaker":0,"startMs":0,"endMs":1,"text":"a"},{"speaker":0,"startMs":1,"endMs":2,"text":"b","more":{}}],"more":[]}`,
		"A 0-1: a\nA 1-2: b\n", "")
	readsAs(t, "joined", rapportWith(`{"startMs":0,"endMs":1,"offset":0},{"startMs":99999999,"endMs":99999999,"offset":6}`), "Ann 0-1+99999999-99999999@6: Hello again\n", "TIMES_BEYOND_A_DAY@1")
	readsAs(t, "a cue of nothing", `{"format":"rapport.transcript","version":1,"speakers":["A"],"utterances":[{"speaker":0,"startMs":0,"endMs":1,"text":"a"},`+
		`{"speaker":0,"text":"  b","cues":[{"startMs":1,"endMs":2,"offset":0},{"startMs":3,"endMs":4,"offset":2}]}]}`, "A 0-1: a\nA 3-4: b\n", "EMPTY_CUE@1")
	readsAs(t, "names are names", `{"format":"rapport.transcript","version":1,"speakers":["0","Note","?"],"utterances":[{"speaker":0,"text":"a"},{"speaker":1,"text":"b"},{"speaker":2,"text":"c"}]}`,
		"0: a\nNote: b\n?: c\n", "")
}

// TestHostileJSONIsQuick: eight times the size must not take much more than eight times as long.
func TestHostileJSONIsQuick(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	parse := func(before, unit, after string, size int) time.Duration {
		in := []byte(before + strings.Repeat(unit, size/len(unit)) + after)
		began := time.Now()
		_, _ = Parse(in, Options{})
		return time.Since(began)
	}
	for _, unit := range []string{`\\`, `\"`, `\u0000`, `[],`, `{},`, `{"a":`, `"",`, `{"text":"a"},`, `{"speaker":"a","text":"b\u0007"},`, "\n", `,`, `"`, `{"text":"a","name":"b"}`, `{"x":[{"text":"a","name":"b"}]},`} {
		for _, frame := range [][2]string{{`[`, ``}, {`[{"speaker":"a","text":"`, `"}]`}, {``, ``}, {`{"segments":[`, `{}]}`}} {
			isLinear(t, fmt.Sprintf("%q in %q", unit, frame[0]), 1<<18, func(size int) time.Duration { return parse(frame[0], unit, frame[1], size) })
		}
	}
}
