package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/rapporthq/rapport/internal/coaching/insight/prompted"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/llm/llmtest"
	"github.com/rapporthq/rapport/internal/platform/secret/secretsmanager"
	"github.com/rapporthq/rapport/internal/testkit"
)

const small = "testdata/small.csv"

func judged(t *testing.T, file string) []*video {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	talks, err := read(f)
	if err != nil {
		t.Fatal(err)
	}
	videos, err := judge(context.Background(), talks, byRules{})
	if err != nil {
		t.Fatal(err)
	}
	return videos
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9 && !(math.IsNaN(got) && math.IsNaN(want)) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// By hand, from the file. What the coach's utterances do (human → ours):
//
//	question → question 2 · reflection → reflection 3, question 1 · input → input 1 · other → other 2, input 1
//
// F1 = 2·both ÷ (ours + human): question 2·2 ÷ (3 + 2), reflection 2·3 ÷ (3 + 4), input 2·1 ÷ (2 + 1), other 2·2 ÷ (2 + 3).
// The question that a human called a reflection is no question to them either: 2·2 ÷ (3 + 2).
//
// Where the client leans: change → change 1 · neutral → neutral 4, change 1 · sustain → sustain 3, so
// change 2·1 ÷ (2 + 1), neutral 2·4 ÷ (4 + 5), sustain 1.
//
// Balances: high (1 − 0) ÷ 3 and (1 − 0) ÷ 2, low (0 − 2) ÷ 2 and (1 − 0) ÷ 1. Of the four pairs, the good one has more in two.
func TestFiguresByHand(t *testing.T) {
	t.Parallel()
	got := measure(judged(t, small))
	for k, want := range (figures{4.0 / 5, (4.0/5 + 6.0/7 + 2.0/3 + 4.0/5) / 4, (2.0/3 + 8.0/9 + 1) / 3, 2.0 / 4, 1}) {
		near(t, names[k], got[k], want)
	}
	c := newCounts()
	for _, v := range judged(t, small) {
		c.merge(&v.utterance)
	}
	// Agreement is 8 of 10; by chance (2·3 + 4·3 + 1·2 + 3·2) ÷ 10².
	near(t, "kappa", c.therapist.kappa(), (0.8-0.26)/(1-0.26))
	if c.openness.total() != 2 || c.openness.n[0][0] != 1 || c.openness.n[1][1] != 1 {
		t.Errorf("openness of the questions that both sides see: %v", c.openness.n)
	}
}

func TestStatistics(t *testing.T) {
	t.Parallel()
	near(t, "AUC", auc([]session{{true, 0.5}, {true, 0.2}, {false, 0.2}, {false, -1}}), (1+1+0.5+1)/4)
	near(t, "AUC without poor sessions", auc([]session{{true, 0.5}}), math.NaN())

	c := newConfusion([]string{"a", "b", "c"})
	near(t, "macro-F1 of nothing", c.macroF1(), math.NaN())
	c.add("a", "a")
	c.add("a", "b")
	near(t, "F1 of what nobody sees", c.f1(2), math.NaN())
	near(t, "macro-F1 of the two labels that are seen", c.macroF1(), (2.0/3+0)/2)

	sorted := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	near(t, "2.5 % of ten", quantile(sorted, 0.025), 1)
	near(t, "half of ten", quantile(sorted, 0.5), 5)
	near(t, "97.5 % of ten", quantile(sorted, 0.975), 10)
	near(t, "of none", quantile(nil, 0.5), math.NaN())
}

func TestIntervals(t *testing.T) {
	t.Parallel()
	videos := judged(t, small)
	first, again := intervals(videos, 1000), intervals(videos, 1000)
	if first != again {
		t.Error("the same file gives different intervals")
	}
	for k, i := range first {
		if !(i.low <= i.value && i.value <= i.high) {
			t.Errorf("%s: %v", names[k], i)
		}
	}
	if i := first[1]; i.low == i.high {
		t.Errorf("%s of three different videos does not vary: %v", names[1], i)
	}
	if i := intervals(videos[:1], 1000)[1]; i.low != i.high {
		t.Errorf("one video can only be drawn whole: %v", i)
	}
}

func TestHeldOut(t *testing.T) {
	t.Parallel()
	three, seen := big.NewInt(3), map[bool]int{}
	for _, url := range []string{"", "a", "https://example.org/mondays", "https://example.org/move", "https://example.org/nights", "x", "y", "z"} {
		sum := sha256.Sum256([]byte(url))
		want := new(big.Int).Mod(new(big.Int).SetBytes(sum[:]), three).Sign() == 0
		if got := heldOut(&video{url: url}); got != want {
			t.Errorf("%q: held out is %t, want %t", url, got, want)
		}
		seen[want]++
	}
	if len(seen) != 2 {
		t.Errorf("the examples are all on one side: %v", seen)
	}
}

func TestOutput(t *testing.T) {
	t.Parallel()
	var text, withJSON bytes.Buffer
	if err := run([]string{"-data", small, "-resamples", "1000"}, nothing, &text); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{"-data", small, "-resamples", "1000", "-format", "json"}, nothing, &withJSON); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"therapist_macro_f1    0.781 [", "3 videos, 2 high, 2 low", "== all ==", "kappa 0.730", "human \\ ours", "confidence"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in the text:\n%s", want, &text)
		}
	}
	lines := strings.Split(strings.TrimSpace(withJSON.String()), "\n")
	var got map[string]struct{ Value, Low, High *float64 }
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &got); err != nil {
		t.Fatalf("the last line is no JSON: %v", err)
	}
	if len(got) != len(names) {
		t.Errorf("%d figures: %v", len(got), got)
	}
	for _, name := range names {
		if i := got[name]; i.Value == nil || i.Low == nil || i.High == nil || !(*i.Low <= *i.Value && *i.Value <= *i.High) {
			t.Errorf("%s: %+v", name, i)
		}
	}
	if v := got["therapist_macro_f1"].Value; v != nil && *v != 0.781 {
		t.Errorf("therapist_macro_f1 is %v", *v)
	}
}

// What cannot be computed is said to be, and is null.
func TestNotComputable(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(small)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "good.csv")
	if err := os.WriteFile(file, bytes.ReplaceAll(content, []byte(",low,"), []byte(",high,")), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run([]string{"-data", file, "-resamples", "1000", "-format", "json"}, nothing, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "not computable") || !strings.Contains(out.String(), `"session_auc":{"value":null,"low":null,"high":null}`) {
		t.Errorf("AUC without poor sessions:\n%s", &out)
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(small)
	if err != nil {
		t.Fatal(err)
	}
	header, _, _ := strings.Cut(string(content), "\n")
	change := func(old, with string) string { return strings.Replace(string(content), old, with, 1) }
	for name, c := range map[string]struct {
		content string
		want    []string
	}{
		"empty":          {"", []string{"the file is empty"}},
		"only a header":  {header + "\n", []string{"no utterance"}},
		"no such column": {change("mi_quality", "quality"), []string{"line 1: columns missing: mi_quality"}},
		"two columns missing": {strings.Replace(change("video_url", "url"), "client_talk_type", "talk", 1),
			[]string{"columns missing: video_url, client_talk_type"}},
		"unknown behaviour":      {change("look like?,question", "look like?,musing"), []string{`line 4: main_therapist_behaviour is "musing"`, "question, reflection, therapist_input, other"}},
		"unknown talk":           {change("n/a,change", "n/a,changed"), []string{`line 5: client_talk_type is "changed"`}},
		"unknown interlocutor":   {change("work,1,client", "work,one,customer"), []string{"line 3: utterance_id", "line 3: interlocutor is"}},
		"unknown quality":        {change("1,high", "1,fair"), []string{`line 2: mi_quality is "fair"`}},
		"question without kind":  {change("True,open", "True,n/a"), []string{`line 4: question_subtype is "n/a"`}},
		"a quality that changes": {change("4,low,Nights,https://example.org/nights,work,1", "4,high,Nights,https://example.org/nights,work,1"), []string{"line 20: transcript 4"}},
		"two wrong lines":        {strings.Replace(change("n/a,change", "n/a,changed"), "n/a,neutral", "n/a,none", 1), []string{"line 3:", "line 5:"}},
		"wrong throughout":       {string(content) + strings.Repeat("5,low,,,,x,nobody,,,,,,,,,,\n", 30), []string{"line 21: ", "reading stopped here"}},
		"too few fields":         {change("Hi.,", ""), []string{"line 3", "wrong number of fields"}},
	} {
		file := filepath.Join(t.TempDir(), "data.csv")
		if err := os.WriteFile(file, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		err := run([]string{"-data", file}, nothing, &out)
		if err == nil {
			t.Errorf("%s: not refused", name)
			continue
		}
		for _, want := range append(c.want, file) {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", name, err, want)
			}
		}
		if out.Len() > 0 {
			t.Errorf("%s: figures all the same:\n%s", name, &out)
		}
	}
	for _, args := range [][]string{{}, {"-data", "testdata/none.csv"}, {"-data", small, "-format", "xml"}, {"-data", small, "-resamples", "10"}, {"-data", small, "more"}} {
		if err := run(args, nothing, new(bytes.Buffer)); err == nil {
			t.Errorf("%v: not refused", args)
		}
	}
}

// The lines of a conversation may come in any order, and a spreadsheet puts a mark in front of the first column's name.
func TestLinesInAnyOrder(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(small)
	if err != nil {
		t.Fatal(err)
	}
	talks, err := read(strings.NewReader("\ufeff" + string(content)))
	if err != nil || len(talks) != 4 {
		t.Fatalf("%d conversations: %v", len(talks), err)
	}
	for i, r := range talks[2].rows {
		if r.order != i {
			t.Errorf("utterance %d stands at %d", r.order, i)
		}
	}
}

// nothing is an environment in which nothing is set.
func nothing(string) (string, bool) { return "", false }

// A language model is evaluated as the rules are, says what it has cost, and stops at the limit; without a key it is said what is missing.
func TestLanguageModel(t *testing.T) {
	t.Parallel()
	args := []string{"-data", small, "-resamples", "1000", "-llm", "openai"}
	if err := run(args, nothing, io.Discard); err == nil || !strings.Contains(err.Error(), "RAPPORT_OPENAI_API_KEY is not set") {
		t.Errorf("without a key: %v", err)
	}
	s := llmtest.Serve(t, func(r llmtest.Request) llmtest.Answer {
		a := llmtest.Answer{InputTokens: 1000, OutputTokens: 100}
		lines := r.Lines()
		if !r.Offers("code_utterances") {
			a.Calls = []llmtest.Call{{Tool: "record_point", Arguments: fmt.Sprintf(`{"heading":"TOPICS","text":"A topic.","citations":[{"first":%d,"last":%d,"quote":%q}]}`, lines[0].N, lines[0].N, lines[0].Text)},
				{Tool: "record_point", Arguments: fmt.Sprintf(`{"heading":"TOPICS","text":"Another.","citations":[{"first":%d,"last":%d,"quote":"nobody said that"}]}`, lines[0].N, lines[0].N)}}
			return a
		}
		var codes []string
		for _, l := range lines {
			codes = append(codes, fmt.Sprintf(`{"n":%d,"code":%q,"confidence":0.7}`, l.N, map[string]string{"COACH": "REFLECTION", "CLIENT": "NEUTRAL"}[l.Role]))
		}
		a.Calls = []llmtest.Call{{Tool: "code_utterances", Arguments: `{"codes":[` + strings.Join(codes, ",") + `]}`}}
		return a
	})
	at := func(name string) (string, bool) {
		v, ok := map[string]string{"RAPPORT_OPENAI_API_KEY": llmtest.Key, "RAPPORT_OPENAI_BASE_URL": s.URL}[name]
		return v, ok
	}
	var out bytes.Buffer
	if err := run(args, at, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"read by gpt-4-turbo, prompts " + prompted.PromptVersion + ": 8 requests, 8000 tokens read, 800 written, $0.10", "citations: 4 of 8 stand", "reflection       confidence 0.70"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in:\n%s", want, &out)
		}
	}
	dear := func(name string) (string, bool) {
		if strings.HasSuffix(name, "PUT_PRICE") {
			return "100", true
		}
		return at(name)
	}
	out.Reset()
	if err := run(args, dear, &out); err != nil || !strings.Contains(out.String(), "$0.88 by RAPPORT_OPENAI_INPUT_PRICE") {
		t.Errorf("at other prices: %v\n%s", err, &out)
	}
	asked := len(s.Requests())
	if err := run(append(args, "-spend", "0.2"), at, io.Discard); err == nil || !strings.Contains(err.Error(), "SPEND") || !strings.Contains(err.Error(), "so far") || len(s.Requests()) == asked || len(s.Requests()) >= asked+8 {
		t.Errorf("with twenty cents and %d requests: %v", len(s.Requests())-asked, err)
	}
	s.Answers(func(llmtest.Request) llmtest.Answer { return llmtest.Answer{Refusal: "I would rather not."} })
	out.Reset()
	if err := run(args, at, &out); err != nil || !strings.Contains(out.String(), "of 4 conversations it refused a part") {
		t.Errorf("refused: %v\n%s", err, &out)
	}
}

// The key may be kept elsewhere, as the server's is; what is wrong is said before anything is asked.
func TestWhatIsWrongIsSaid(t *testing.T) {
	s := llmtest.Serve(t, func(llmtest.Request) llmtest.Answer { return llmtest.Answer{Refusal: "I would rather not."} })
	reached := aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(testkit.AWS(t)), Credentials: credentials.NewStaticCredentialsProvider("123456789012", "test", "")}
	name := "rapport/" + id.New().String()
	if err := secretsmanager.Put(t.Context(), reached, name, `{"key": "`+llmtest.Key+`"}`); err != nil {
		t.Fatal(err)
	}
	for variable, value := range map[string]string{"AWS_REGION": reached.Region, "AWS_ENDPOINT_URL": *reached.BaseEndpoint, "AWS_ACCESS_KEY_ID": "123456789012", "AWS_SECRET_ACCESS_KEY": "test"} {
		t.Setenv(variable, value) // for the SDK
	}
	settings := map[string]string{"RAPPORT_OPENAI_BASE_URL": s.URL, "MODEL": `{"key": "` + llmtest.Key + `"}`, "DATABASE_URL": "secretsmanager:of-no-business-here"}
	at := func(name string) (string, bool) { v, ok := settings[name]; return v, ok }
	args := []string{"-data", small, "-resamples", "1000", "-llm", "openai"}
	for ref, want := range map[string]string{
		"secretsmanager:" + name + "#key":    "",
		"env:MODEL#key":                      "",
		"secretsmanager:" + name + "#kee":    `RAPPORT_OPENAI_API_KEY: the secret "` + name + `" of secretsmanager: it has no key "kee"`,
		"secretsmanager:rapport/nothing#key": `RAPPORT_OPENAI_API_KEY: secretsmanager has no secret "rapport/nothing"`,
	} {
		settings["RAPPORT_OPENAI_API_KEY"] = ref
		var out bytes.Buffer
		if err := run(args, at, &out); want == "" && (err != nil || !strings.Contains(out.String(), "of 4 conversations it refused a part")) || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%s: %v\n%s", ref, err, &out)
		}
	}
	for _, spend := range []string{"-1", "0", "NaN", "Inf"} {
		if err := run([]string{"-data", small, "-spend", spend}, nothing, io.Discard); err == nil || !strings.Contains(err.Error(), "SPEND is an amount of US dollars above 0") {
			t.Errorf("%s dollars: %v", spend, err)
		}
	}
	if err := run([]string{"-data", "testdata/none.csv", "-llm", "openai"}, nothing, io.Discard); err == nil || !strings.Contains(err.Error(), "there is no file testdata/none.csv: name another by DATA=<csv>") {
		t.Errorf("without the file: %v", err)
	}
}
