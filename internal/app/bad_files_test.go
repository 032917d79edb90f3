package app_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/rapporthq/rapport/internal/app/apptest"
	"github.com/rapporthq/rapport/internal/platform/blob"
	"github.com/rapporthq/rapport/internal/platform/config"
)

// TestBadFiles sends what people and attackers send by both ways in: each is told what is wrong, soon, and leaves nothing
// behind but the announcement that says so.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	const soon = time.Minute // on a busy machine with the race detector; alone it takes milliseconds
	env := apptest.Demo(t, apptest.Config(func(c *config.Config) { c.HTTP.MaxBodyBytes = 16 << 20 }))
	coach, session := env.Login(t, apptest.Coach), amara5.id(t, env)
	words := value[int](t, env, `SELECT count(*) FROM utterances`)
	var crowd strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&crowd, "Person %d: Hello there.\n", i)
	}
	for name, tc := range map[string]struct{ content, code string }{
		"Word":               {zipped(t, "word/document.xml"), "BINARY content"},
		"zip":                {zipped(t, "talk.vtt"), "BINARY content"},
		"1,000 levels":       {strings.Repeat("[", 1000) + strings.Repeat("]", 1000), "INVALID_JSON content"},
		"1,000 levels below": {`[{"speaker":"A","text":"b","x":` + strings.Repeat(`{"a":`, 1000) + "1" + strings.Repeat("}", 1000) + "}]", "INVALID_JSON content"},
		"10,000 speakers":    {crowd.String(), "TOO_MANY_SPEAKERS content"},
		"9 MB of words":      {"A: " + strings.Repeat("so it goes ", 9<<20/11), "TOO_LARGE content"},
	} {
		began := time.Now()
		if in := importInto(t, coach, session, tc.content, nil); in.Transcript != nil || briefly(in.UserErrors) != tc.code {
			t.Errorf("%s in a request: %+v", name, in)
		}
		up := announce(t, coach, session, tc.content, nil)
		if code := up.send(t, tc.content); code != http.StatusNoContent {
			t.Fatalf("%s: %d", name, code)
		}
		complete(t, coach, up.Transcript.ID)
		env.Work(t)
		now := look(t, coach, up.Transcript.ID).Transcript
		if now.Status != "FAILED" || now.Failure == nil || now.Failure.Code != "UNREADABLE" || now.Failure.Message == "" || now.Utterances.TotalCount != 0 {
			t.Errorf("%s by a link: %+v", name, now)
		}
		if took := time.Since(began); took > soon {
			t.Errorf("%s took %s", name, took)
		}
	}

	huge := strings.Repeat("Ann: So it goes.\n", 50<<20/17)
	if r := coach.Do(t, importMutation, apptest.Vars{"session": session, "content": huge}); r.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("50 MB in a request: %d", r.Status)
	}
	if up := announce(t, coach, session, huge, nil); len(up.UserErrors) != 1 || up.UserErrors[0].Field != "sizeBytes" {
		t.Errorf("50 MB announced: %+v", up)
	}
	up := announce(t, coach, session, huge, apptest.Vars{"sizeBytes": blob.MaxBytes})
	if code := up.send(t, huge); code < 400 || code >= 500 {
		t.Errorf("50 MB behind a smaller announcement: %d", code)
	}
	if now := look(t, coach, up.Transcript.ID).Transcript; now.Status != "UPLOADING" {
		t.Errorf("afterwards: %+v", now)
	}
	if after := value[int](t, env, `SELECT count(*) FROM utterances`); after != words {
		t.Errorf("%d utterances were written", after-words)
	}
}

// TestOddFiles imports what is odd but can be read: with warnings that name the line, and through the analysis.
func TestOddFiles(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t, apptest.Config(func(c *config.Config) { c.HTTP.MaxBodyBytes = 16 << 20 }))
	coach, session := env.Login(t, apptest.Coach), amara5.id(t, env)
	var zeros []byte
	for _, u := range utf16.Encode([]rune("Ann: How are you?\nБорис: Хорошо.\n")) {
		zeros = binary.LittleEndian.AppendUint16(zeros, u)
	}
	for name, tc := range map[string]struct {
		content, code string
		line          int
	}{
		"UTF-16 without BOM": {string(zeros), "DECODED_AS_UTF_16", 1},
		"beyond a day":       {"WEBVTT\n\n99:00:00.000 --> 100:00:05.000\nA: One.\n", "TIMES_BEYOND_A_DAY", 3},
		"negative":           {"speaker,start,end,text\nA,-5,3,One.\nB,4,5,Two.\n", "TIMES_NEGATIVE", 2},
		"controls":           {"A: One.\nB: Tw\x07o.\n", "CONTROLS_REMOVED", 2},
		"mixed line ends":    {"WEBVTT\r\n\r00:01.000 --> 00:02.000\nA: One.\r\r\n00:03.000 --> 00:02.000\rB: Two.\n", "TIMES_BACKWARDS", 6},
		"one line of 1 MB":   {"A: " + strings.Repeat("word ", 1<<20/5) + "\nB: \x07No.\n", "CONTROLS_REMOVED", 2},
	} {
		in := importInto(t, coach, session, tc.content, nil)
		found := false
		if in.Transcript != nil {
			for _, w := range in.Transcript.Warnings {
				found = found || w.Code == tc.code && w.Line == tc.line
			}
		}
		if !found {
			t.Errorf("%s: no %s in line %d: %+v", name, tc.code, tc.line, in)
		}
	}
	began := time.Now()
	env.Work(t)
	t.Logf("the analyses took %s", time.Since(began))
	if n := value[int](t, env, `SELECT count(*) FROM transcripts WHERE status NOT IN ('READY', 'NEEDS_SPEAKERS')`); n > 0 {
		t.Errorf("%d transcripts are not done", n)
	}

	// Another language is measured, and not analysed as English.
	french := strings.Repeat("Anne : Comment allez-vous aujourd'hui ? Qu'est-ce qui est important pour vous ?\n"+
		"Marc : Je ne sais pas, c'est difficile et je suis un peu fatigué. Mais je vais essayer.\n", 20)
	key := imports(t, coach, session, french)
	env.Work(t)
	var out struct {
		Transcript struct {
			Language *string
			Metrics  *struct {
				Quality  struct{ WordingAvailable bool }
				Speakers []struct {
					WordCount     int
					QuestionCount *int
				}
			}
			Utterances struct {
				Nodes []struct{ Codes []struct{ Code string } }
			}
		}
	}
	coach.Must(t, `query($id: ID!) {transcript(id: $id) {language metrics {quality {wordingAvailable} speakers {wordCount questionCount}}
		utterances(first: 20) {nodes {codes {code}}}}}`, apptest.Vars{"id": key}, &out)
	tr := out.Transcript
	if tr.Language == nil || *tr.Language != "fr" || tr.Metrics == nil || tr.Metrics.Quality.WordingAvailable || len(tr.Metrics.Speakers) != 2 ||
		tr.Metrics.Speakers[0].WordCount == 0 || tr.Metrics.Speakers[0].QuestionCount != nil {
		t.Errorf("French: %+v", tr)
	}
	for _, u := range tr.Utterances.Nodes {
		if len(u.Codes) > 0 {
			t.Errorf("French has codes: %+v", u)
		}
	}
	if n := value[int](t, env, `SELECT count(*) FROM insights i JOIN analysis_runs r ON r.org_id = i.org_id AND r.id = i.run_id
		JOIN transcripts t ON t.org_id = r.org_id AND t.id = r.transcript_id WHERE t.language = 'fr' AND i.kind <> 'THEME'`); n > 0 {
		t.Errorf("French has %d insights that need English", n)
	}
}

func zipped(t *testing.T, name string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(strings.Repeat("WEBVTT\n\n", 100))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
