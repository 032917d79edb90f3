package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/viterin/vek"

	"github.com/rapporthq/rapport/internal/platform/embed"
	"github.com/rapporthq/rapport/internal/platform/embed/embedtest"
)

// plain is the variable under which the tests run themselves once more without the processor's vector instructions, as on processors that have none.
const plain = "RAPPORT_TEST_PLAIN_VECTORS"

func TestMain(m *testing.M) {
	if os.Getenv(plain) != "" {
		vek.SetAcceleration(false)
		eight = false
	}
	os.Exit(m.Run())
}

var shared = New()

func TestConformance(t *testing.T) {
	t.Parallel()
	embedtest.Run(t, func(*testing.T) embed.Embedder { return shared })
}

// What other software makes of the published weights (testdata/reference.py) is what this makes of the rounded ones: the same pieces, and
// vectors that point the same way.
func TestReference(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Text   string
		Tokens []int32
		Vector []float32
	}
	if err := json.Unmarshal(raw, &all); err != nil || len(all) < 8 {
		t.Fatal(len(all), err)
	}
	for i, want := range all {
		if got := pieces(want.Text, Window); !slices.Equal(got, want.Tokens) {
			t.Errorf("%d: pieces %v, want %v", i, got, want.Tokens)
		}
		if os.Getenv(plain) != "" && len(want.Tokens) > 12 {
			continue // takes seconds, and tells nothing more
		}
		got, _, err := shared.Embed(t.Context(), []string{want.Text})
		if err != nil {
			t.Fatal(err)
		}
		cosine := embedtest.Cosine(got[0], want.Vector)
		t.Logf("%d: %d pieces, cosine %.5f", i, len(want.Tokens), cosine)
		if cosine < 0.997 {
			t.Errorf("%d: cosine %.5f to the reference", i, cosine)
		}
	}
	if last := all[len(all)-1]; len(last.Tokens) != Window || shared.Fits(last.Text) || !shared.Fits(all[0].Text) {
		t.Error("what does not fit the window is not known to")
	}
}

// A processor without vector instructions computes the same.
func TestPlainProcessor(t *testing.T) {
	t.Parallel()
	test := exec.Command(os.Args[0], "-test.run", "^TestReference$", "-test.count=1")
	test.Env = append(os.Environ(), plain+"=1")
	if out, err := test.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// Passages are found by questions that share no word with them.
func TestMeaning(t *testing.T) {
	t.Parallel()
	passages := []string{
		"I answer mails until two in the night and then I lie awake.",
		"My boss took the credit for the report in front of everybody.",
		"We argued about who picks up the kids, and I slammed the door.",
		"The numbers of the quarter were below plan again.",
		"I finally told her that I would not take on another project.",
		"Standing on stage, my hands were shaking and my mind went blank.",
		"They offered me the post in Lisbon and I have until Friday to decide.",
		"Since Dad died I find it hard to get anything done.",
		"He keeps interrupting the younger colleagues in every meeting.",
		"I started running along the river before breakfast.",
		"The house is almost paid off, but retirement scares me.",
		"Nobody reads the documentation that I write.",
	}
	questions := map[string]int{
		"cannot switch off after work, poor sleep":   0,
		"somebody else got praised for what she did": 1,
		"conflict with spouse over children":         2,
		"learning to say no, setting boundaries":     4,
		"fear of public speaking":                    5,
		"relocation, choosing a job abroad":          6,
		"grief":                                      7,
		"dominating behaviour towards juniors":       8,
		"exercise and healthy habits":                9,
		"worries over money in old age":              10,
	}
	texts := slices.Clone(passages)
	var order []int
	for question, right := range questions {
		texts, order = append(texts, question), append(order, right)
	}
	v, _, err := shared.Embed(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i, right := range order {
		question, rank := v[len(passages)+i], 1
		for p := range passages {
			if embedtest.Cosine(question, v[p]) > embedtest.Cosine(question, v[right]) {
				rank++
			}
		}
		if rank > 1 {
			t.Logf("%q: rank %d", texts[len(passages)+i], rank)
		}
		sum += 1 / float64(rank)
	}
	mrr := sum / float64(len(order))
	t.Logf("mean reciprocal rank %.2f", mrr)
	if mrr < 0.8 {
		t.Errorf("mean reciprocal rank %.2f", mrr)
	}
}

// Case, accents and white space do not count.
func TestWording(t *testing.T) {
	t.Parallel()
	if a, b := pieces("Élodie's  CAFÉ\n", Window), pieces("elodie's cafe", Window); !slices.Equal(a, b) {
		t.Errorf("%v and %v", a, b)
	}
	for range 50 {
		text := strings.Repeat("Was hält dich davon ab? ", 80)
		if n := len(pieces(text, Window)); n != Window {
			t.Fatalf("%d pieces", n)
		}
	}
}

// Whoever stops waiting is not kept, however many texts are left.
func TestStopsAmongMany(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	texts := make([]string, 5000)
	for i := range texts {
		texts[i] = fmt.Sprint("passage ", i)
	}
	stop := context.AfterFunc(ctx, func() {})
	defer stop()
	done := make(chan error, 1)
	go func() {
		_, _, err := New().Embed(ctx, texts)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Products are the same whichever way they are computed, whatever is left over at the edges.
func TestMultiply(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		m := matrix{rows: 1 + random.IntN(13), in: 8 * (1 + random.IntN(5))}
		x := matrix{rows: 1 + random.IntN(60), in: m.in}
		m.step, x.step = m.in+random.IntN(5), x.in+random.IntN(5)
		step := m.rows + random.IntN(5)
		m.at, x.at = make([]float32, m.rows*m.step), make([]float32, x.rows*x.step)
		for _, s := range [][]float32{m.at, x.at} {
			for i := range s {
				s[i] = float32(random.NormFloat64())
			}
		}
		out := make([]float32, x.rows*step)
		multiply(out, step, m, x)
		for i := range x.rows {
			for r := range step {
				want := 0.0
				if r < m.rows {
					want = embedtest.Cosine(m.row(r), x.row(i))
				}
				if math.Abs(float64(out[i*step+r])-want) > 1e-4 {
					t.Fatalf("%d × %d × %d: [%d][%d] is %f, want %f", x.rows, m.rows, m.in, i, r, out[i*step+r], want)
				}
			}
		}
	}
}

// The curve is as good as the function.
func TestBend(t *testing.T) {
	t.Parallel()
	for x := -8.0; x < 8; x += 0.00037 {
		v := []float32{float32(x)}
		bend(v)
		if want := x * 0.5 * (1 + math.Erf(x/math.Sqrt2)); math.Abs(float64(v[0])-want) > 2e-6 {
			t.Fatalf("%f: %f, want %f", x, v[0], want)
		}
	}
}

func BenchmarkSentence(b *testing.B) {
	text := []string{"I have been thinking about the team and it is the meetings that wear me out."}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := shared.Embed(b.Context(), text); err != nil {
			b.Fatal(err)
		}
	}
}

// A chunk of a transcript: about 110 words.
func BenchmarkChunks(b *testing.B) {
	texts := make([]string, 16)
	for i := range texts {
		texts[i] = fmt.Sprintf("%d: ", i) + strings.Repeat("I have been thinking about the team, and it is the meetings that wear me out. ", 7)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := shared.Embed(b.Context(), texts); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N*len(texts)), "ms/text")
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		unpack()
	}
}
