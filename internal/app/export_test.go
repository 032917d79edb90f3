package app_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/rapporthq/rapport/internal/app/apptest"
)

type exported struct {
	Export *struct {
		URL       string
		Filename  string
		ExpiresAt string
	}
	UserErrors []struct{ Code, Field string }
}

func export(t *testing.T, c *apptest.Client, transcript, format string) exported {
	t.Helper()
	var out struct{ Out exported }
	c.Must(t, `mutation($id: ID!, $format: TranscriptExportFormat!) {out: exportTranscript(input: {transcriptId: $id, format: $format}) {
		export {url filename expiresAt} userErrors {code field}}}`, apptest.Vars{"id": transcript, "format": format}, &out)
	return out.Out
}

// fetch follows a link without a token.
func fetch(t *testing.T, e exported) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.Export.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || !strings.HasPrefix(answer.Header.Get("Content-Disposition"), "attachment") {
		t.Fatalf("%s %v %s", answer.Status, err, answer.Header)
	}
	return string(body)
}

// What is exported and imported again is the same transcript: speakers, words, times and cues.
func TestExportAndImportAgain(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	words := func(transcript string) string {
		return string(coach.Do(t, `query($id: ID!) {transcript(id: $id) {durationMs speakers {displayName}
			utterances(first: 100) {totalCount nodes {index text startMs endMs speaker {displayName} cues {startMs endMs offset}}}}}`,
			apptest.Vars{"id": transcript}).Data)
	}
	for _, file := range []string{"zoom.vtt", "teams.vtt", "subrip.srt", "plain.txt"} {
		first := importInto(t, coach, amara5.id(t, env), sample(t, file), nil).Transcript.ID
		if got := fetch(t, export(t, coach, first, "ORIGINAL")); got != sample(t, file) {
			t.Errorf("the original of %s comes back as %q", file, got)
		}
		for _, format := range []string{"WEBVTT", "SUBRIP", "TEXT", "JSON"} {
			out := export(t, coach, first, format)
			if file == "plain.txt" && (format == "WEBVTT" || format == "SUBRIP") {
				if len(out.UserErrors) != 1 || out.UserErrors[0].Field != "format" || out.UserErrors[0].Code != "NO_TIMES" {
					t.Errorf("%s without times as %s: %+v", file, format, out)
				}
				continue
			}
			again := importInto(t, coach, amara1.id(t, env), fetch(t, out), nil)
			if again.Transcript == nil {
				t.Errorf("%s as %s cannot be imported: %+v", file, format, again.UserErrors)
			} else if got, want := words(again.Transcript.ID), words(first); got != want {
				t.Errorf("%s as %s comes back as\n%s\nwant\n%s", file, format, got, want)
			}
		}
	}
}

// So is what has been corrected: the names, the roles of lines and the words as they are now.
func TestExportOfWhatWasEdited(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	c := correcting(t, env, voices(t, 3))
	a, b := c.speaker(1), c.speaker(2)
	c.do("renameSpeaker", apptest.Vars{"speakerId": a, "displayName": "Jonas: at home"})
	c.do("mergeSpeakers", apptest.Vars{"intoId": a, "ids": []string{b}})
	c.do("splitSpeaker", apptest.Vars{"speakerId": a, "utteranceIds": c.lines(a, 2), "displayName": "Petter"})
	c.do("reassignUtterances", apptest.Vars{"speakerId": c.speaker(0), "utteranceIds": c.lines(a, 1)})
	c.do("reviseUtterance", apptest.Vars{"utteranceId": c.lines(a, 1)[0], "text": "Corrected: quite other words."})
	talk := func(transcript string) (lines string) {
		var out struct {
			Transcript struct {
				Utterances struct {
					Nodes []struct {
						Text           string
						StartMs, EndMs int64
						Speaker        struct{ DisplayName string }
						Cues           []struct{ StartMs, EndMs, Offset int64 }
					}
				}
			}
		}
		c.coach.Must(t, `query($id: ID!) {transcript(id: $id) {utterances(first: 100) {nodes {text startMs endMs speaker {displayName} cues {startMs endMs offset}}}}}`,
			apptest.Vars{"id": transcript}, &out)
		for _, u := range out.Transcript.Utterances.Nodes {
			lines += fmt.Sprintf("%s %d-%d %v: %s\n", u.Speaker.DisplayName, u.StartMs, u.EndMs, u.Cues, u.Text)
		}
		return lines
	}
	want := talk(c.id)
	for _, part := range []string{"Jonas: at home", "Petter", "Corrected: quite other words."} {
		if !strings.Contains(want, part) {
			t.Fatalf("no %q in\n%s", part, want)
		}
	}
	for _, format := range []string{"WEBVTT", "SUBRIP", "TEXT", "JSON"} {
		again := importInto(t, c.coach, amara1.id(t, env), fetch(t, export(t, c.coach, c.id, format)), nil)
		if again.Transcript == nil {
			t.Errorf("%s cannot be imported: %+v", format, again.UserErrors)
		} else {
			c.same(format, talk(again.Transcript.ID), want)
		}
	}
}

func TestExportRefused(t *testing.T) {
	t.Parallel()
	env := apptest.Demo(t)
	coach := env.Login(t, apptest.Coach)
	waiting := announce(t, coach, amara5.id(t, env), "not sent yet", nil).Transcript.ID
	for _, format := range []string{"WEBVTT", "ORIGINAL"} {
		if out := export(t, coach, waiting, format); len(out.UserErrors) != 1 || out.UserErrors[0].Code != "CONFLICT" {
			t.Errorf("%s of what was not sent: %+v", format, out)
		}
	}
	// Files were kept elsewhere before: the others know nothing of the original, and do not say that it never came.
	kept := importInto(t, coach, amara5.id(t, env), "Ruth: Hello.\nAmara: Hello to you.\n", nil).Transcript.ID
	env.Work(t)
	elsewhere := env.Another(t, inS3(t)...).Login(t, apptest.Coach)
	if out := export(t, elsewhere, kept, "ORIGINAL"); out.Export != nil || len(out.UserErrors) != 1 || out.UserErrors[0].Code != "FILE_MISSING" {
		t.Errorf("from another store: %+v", out)
	}
	try := func(who, transcript, format, want string) {
		t.Helper()
		r := env.Login(t, who).Do(t, `mutation($id: ID!, $format: TranscriptExportFormat!) {exportTranscript(input: {transcriptId: $id, format: $format}) {export {url}}}`,
			apptest.Vars{"id": transcript, "format": format})
		if r.Code() != want {
			t.Errorf("%s exports %s: %s", who, format, r.Body)
		}
	}
	text := importInto(t, coach, amara5.id(t, env), sample(t, "zoom.vtt"), nil).Transcript.ID
	for _, who := range []string{apptest.Coach2, apptest.Lumen, apptest.Owner, apptest.Sponsor, apptest.ClientUser} {
		try(who, text, "JSON", "NOT_FOUND")
	}
	coach.Must(t, `mutation($id: ID!) {updateTranscript(input: {id: $id, sharedWithClient: true}) {transcript {id}}}`, apptest.Vars{"id": text}, nil)
	try(apptest.ClientUser, text, "JSON", "")
	try(apptest.ClientUser, text, "ORIGINAL", "FORBIDDEN")
}
