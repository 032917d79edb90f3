package conversation_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/coaching/transcript/format"
)

// annomiPath is the evaluation data of ../shared/data seen from the repository's root; it never enters the repository.
const annomiPath = "../../../../shared/data/annomi/dev.csv"

func annomi(t *testing.T) []map[string]string {
	t.Helper()
	f, err := os.Open(annomiPath)
	if err != nil {
		t.Skipf("NO EVALUATION: %s is not there; the detectors were not measured on real conversations", annomiPath)
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	rows := make([]map[string]string, 0, len(records)-1)
	for _, r := range records[1:] {
		row := make(map[string]string, len(r))
		for i, name := range records[0] {
			row[name] = r[i]
		}
		rows = append(rows, row)
	}
	return rows
}

func TestQuestionsOnRealConversations(t *testing.T) {
	t.Parallel()
	var found, open f1
	for _, r := range annomi(t) {
		if r["interlocutor"] != "therapist" {
			continue
		}
		got, gotOpen := false, false
		for s := range conversation.Sentences(r["utterance_text"]) {
			got = got || conversation.IsQuestion(s)
			gotOpen = gotOpen || conversation.IsOpenQuestion(s)
		}
		found.add(got, r["question_exists"] == "True")
		if r["question_exists"] == "True" && got {
			open.add(gotOpen, r["question_subtype"] == "open")
		}
	}
	t.Logf("question_exists: %s", found)
	if found.score() < 0.87 {
		t.Errorf("F1 %.3f of question_exists, want 0.87", found.score())
	}
	t.Logf("open among found questions: %s", open)
}

// session is an annotated conversation. It has no times.
type session struct {
	good bool
	talk conversation.Talk
	rows []map[string]string
}

func sessions(t *testing.T) []*session {
	t.Helper()
	var all []*session
	byID := map[string]*session{}
	for _, r := range annomi(t) {
		s := byID[r["transcript_id"]]
		if s == nil {
			s = &session{good: r["mi_quality"] == "high", talk: conversation.Talk{Speakers: pair(), Language: "en"}}
			byID[r["transcript_id"]] = s
			all = append(all, s)
		}
		speaker := coach
		if r["interlocutor"] == "client" {
			speaker = client
		}
		s.talk.Utterances = append(s.talk.Utterances, line(speaker, r["utterance_text"]))
		s.rows = append(s.rows, r)
	}
	return all
}

// separation is how well a measure tells good sessions from poor ones: the area under the ROC curve, 0.5 for chance.
func separation(all []*session, measure func(*session) *float64) (auc float64, measured int) {
	var good, poor []float64
	for _, s := range all {
		switch v := measure(s); {
		case v == nil:
		case s.good:
			good = append(good, *v)
		default:
			poor = append(poor, *v)
		}
	}
	wins := 0.0
	for _, g := range good {
		for _, p := range poor {
			if g > p {
				wins++
			} else if g == p {
				wins += 0.5
			}
		}
	}
	return wins / float64(len(good)*len(poor)), len(good) + len(poor)
}

// docs/metrics.md tells which measures separate good from poor sessions: by people's annotations, and as estimated here.
func TestWhatSeparatesGoodFromPoorSessions(t *testing.T) {
	t.Parallel()
	all := sessions(t)
	per := func(n, turns int) *float64 {
		v := float64(n) / float64(turns)
		return &v
	}
	coded := func(s *session) conversation.Metrics {
		talk := s.talk
		talk.Reflects = func(u int) (bool, bool) { return s.rows[u]["reflection_exists"] == "True", true }
		return conversation.Measure(talk)
	}
	for name, measure := range map[string]func(*session, conversation.Metrics) *float64{
		"reflectionRate, coded":        func(s *session, _ conversation.Metrics) *float64 { return coded(s).Coach.ReflectionRate },
		"reflectionRate, from wording": func(_ *session, m conversation.Metrics) *float64 { return m.Coach.ReflectionRate },
		"advice without permission, per turn": func(_ *session, m conversation.Metrics) *float64 {
			return per(-m.Coach.Advice.WithoutPermission, m.Coach.TurnCount)
		},
		"openQuestionShare": func(_ *session, m conversation.Metrics) *float64 { return m.Coach.OpenQuestionShare },
		"questionRate":      func(_ *session, m conversation.Metrics) *float64 { return m.Coach.QuestionRate },
		"stackedQuestions, per turn": func(_ *session, m conversation.Metrics) *float64 {
			return per(-*m.Coach.StackedQuestions, m.Coach.TurnCount)
		},
		"talkShareOfSpeech":  func(_ *session, m conversation.Metrics) *float64 { return m.Coach.TalkShareOfSpeech },
		"meanTurnWords":      func(_ *session, m conversation.Metrics) *float64 { return m.Coach.MeanTurnWords },
		"backchannelRate":    func(_ *session, m conversation.Metrics) *float64 { return m.Coach.BackchannelRate },
		"languageStyleMatch": func(_ *session, m conversation.Metrics) *float64 { return m.LanguageStyleMatch },
		"coachEcho":          func(_ *session, m conversation.Metrics) *float64 { return m.CoachEcho },
		"clientEcho":         func(_ *session, m conversation.Metrics) *float64 { return m.ClientEcho },
		"turnEntropy":        func(_ *session, m conversation.Metrics) *float64 { return m.TurnEntropy },
	} {
		auc, n := separation(all, func(s *session) *float64 { return measure(s, conversation.Measure(s.talk)) })
		t.Logf("AUC %.2f (n=%d) %s", auc, n, name)
		if want, ok := map[string]float64{"reflectionRate, coded": 0.85, "reflectionRate, from wording": 0.70, "advice without permission, per turn": 0.70}[name]; ok && auc < want {
			t.Errorf("%s: AUC %.2f, want at least %.2f", name, auc, want)
		}
	}
}

func TestReflectionsOnRealConversations(t *testing.T) {
	t.Parallel()
	var found, advised f1
	for _, s := range sessions(t) {
		for i, r := range s.rows {
			if r["interlocutor"] != "therapist" || i == 0 {
				continue
			}
			m := conversation.Measure(conversation.Talk{
				Speakers: pair(), Utterances: []conversation.Utterance{line(client, "So that is how it is."), s.talk.Utterances[i]}, Language: "en",
			})
			found.add(*m.Coach.ReflectionCount > 0, r["reflection_exists"] == "True")
			advised.add(m.Coach.Advice.WithPermission+m.Coach.Advice.WithoutPermission > 0, r["therapist_input_subtype"] == "advice")
		}
	}
	t.Logf("reflection_exists: %s", found)
	t.Logf("advice: %s", advised)
	if found.score() < 0.45 {
		t.Errorf("F1 %.3f of reflection_exists, want 0.45", found.score())
	}
}

func TestMetricsOfRealCalls(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../../shared/data/zoom/*.vtt")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("NO EVALUATION: ../shared/data/zoom is not there; the metrics were not computed on real calls")
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := format.Parse(content, format.Options{})
		if err != nil {
			t.Fatal(err)
		}
		speakers := make([]conversation.Speaker, len(doc.Speakers))
		utterances := make([]conversation.Utterance, len(doc.Utterances))
		for i, u := range doc.Utterances {
			utterances[i] = conversation.Utterance{Speaker: u.Speaker, StartMs: u.StartMs, EndMs: u.EndMs, Text: u.Text}
		}
		began := time.Now()
		m := conversation.Measure(conversation.Talk{Speakers: speakers, Utterances: utterances})
		took := time.Since(began)
		equal(t, "basis", m.Basis, conversation.BasisTime)
		equal(t, "pausesAvailable", m.Quality.PausesAvailable, true)
		sum, turns := 0.0, 0
		for _, s := range m.Speakers {
			sum += *s.TalkShareOfSpeech
			turns += s.TurnCount
		}
		near(t, "Σ talkShareOfSpeech", &sum, 1)
		if s := *m.SilenceShare; s < 0 || s > 0.5 {
			t.Errorf("%s: silence %v", file, s)
		}
		// Zoom exports in single file and without filled pauses: what cannot be known must not be said.
		equal(t, "overlapsAvailable", m.Quality.OverlapsAvailable, false)
		equal(t, "fillersAvailable", m.Quality.FillersAvailable, false)
		equal(t, "wordingAvailable", m.Quality.WordingAvailable, true)
		none(t, "interruptions", m.Speakers[0].Interruptions)
		none(t, "fillerRate", m.Speakers[0].FillerRate)
		t.Logf("%-36s %3.0f min, %4d utterances, %4d turns, silence %.2f, %.1f switches/min, overlaps %v, in %v", filepath.Base(file),
			float64(*m.DurationMs)/60_000, len(utterances), turns, *m.SilenceShare, *m.InteractivityPerMin, m.Quality.OverlapsAvailable, took)
	}
}

func TestRolesOnRealConversations(t *testing.T) {
	t.Parallel()
	var ids []string
	talks := map[string][]conversation.Utterance{}
	for _, r := range annomi(t) {
		id := r["transcript_id"]
		if talks[id] == nil {
			ids = append(ids, id)
		}
		speaker := 0
		if r["interlocutor"] == "client" {
			speaker = 1
		}
		talks[id] = append(talks[id], conversation.Utterance{Speaker: speaker, Text: r["utterance_text"]})
	}
	right, wrong, unsure, sure := 0, 0, 0, 0
	for _, id := range ids {
		got := conversation.SuggestRoles([]conversation.Speaker{{Name: "Speaker 1"}, {Name: "Speaker 2"}}, talks[id], conversation.People{}, nil)
		if min(got[0].Confidence, got[1].Confidence) >= conversation.SureRole {
			sure++
		}
		switch got[0].Role {
		case conversation.RoleCoach:
			right++
		case conversation.RoleClient:
			wrong++
		default:
			unsure++
		}
	}
	t.Logf("roles by manner alone: %d right, %d wrong, %d left unknown; %d sure enough not to be asked about", right, wrong, unsure, sure)
	if sure < len(ids)*2/3 {
		t.Errorf("only %d of %d conversations would not be asked about", sure, len(ids))
	}
	if right < len(ids)/2 {
		t.Errorf("only %d of %d conversations have their roles suggested", right, len(ids))
	}
	if wrong > 0 {
		t.Errorf("%d conversations with coach and client mistaken for each other", wrong)
	}
}
