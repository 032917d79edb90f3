package telemetry_test

import (
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rapporthq/rapport/internal/platform/telemetry"
	"github.com/rapporthq/rapport/internal/platform/telemetry/telemetrytest"
)

func TestEmit(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	m := telemetry.NewMetrics(&out, "Rapport")
	if err := m.Emit(nil, telemetry.Measure{Name: "JobAge", Unit: telemetry.Seconds, Value: 12.5}, telemetry.Measure{Name: "DeadJobs", Unit: telemetry.Count}); err != nil {
		t.Error(err)
	}
	if err := m.Emit(map[string]string{"Engine": "openai"}, telemetry.Measure{Name: "AnalysisCost", Unit: telemetry.None, Value: 12_000_000}); err != nil {
		t.Error(err)
	}
	want := []telemetrytest.Line{
		{Namespace: "Rapport", Dimensions: map[string]string{}, Values: map[string]float64{"JobAge": 12.5, "DeadJobs": 0}, Units: map[string]string{"JobAge": "Seconds", "DeadJobs": "Count"}},
		{Namespace: "Rapport", Dimensions: map[string]string{"Engine": "openai"}, Values: map[string]float64{"AnalysisCost": 12e6}, Units: map[string]string{"AnalysisCost": "None"}},
	}
	if got := telemetrytest.Read(t, out.String()); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	var many []telemetry.Measure
	dimensions := map[string]string{}
	for n := range 101 {
		many = append(many, telemetry.Measure{Name: "M" + strconv.Itoa(n), Unit: telemetry.Count, Value: 1})
		if n < 31 {
			dimensions["D"+strconv.Itoa(n)] = "x"
		}
	}
	out.Reset()
	for name, err := range map[string]error{
		"nothing":           m.Emit(nil),
		"too many":          m.Emit(nil, many...),
		"too many sides":    m.Emit(dimensions, many[0]),
		"one name twice":    m.Emit(nil, many[0], many[0]),
		"a name of both":    m.Emit(map[string]string{"M0": "x"}, many[0]),
		"no number":         m.Emit(nil, telemetry.Measure{Name: "X", Unit: telemetry.Count, Value: math.NaN()}),
		"the format's name": m.Emit(nil, telemetry.Measure{Name: "_aws", Unit: telemetry.Count}),
	} {
		if err == nil || out.Len() > 0 {
			t.Errorf("%s: %v, %q", name, err, out.String())
		}
	}
	if err := m.Emit(nil, many[:100]...); err != nil || len(telemetrytest.Read(t, out.String())) != 1 {
		t.Errorf("as many as there may be: %v", err)
	}
	if err := telemetry.NewMetrics(full{}, "Rapport").Emit(nil, many[0]); err == nil {
		t.Error("nothing was written, and nobody said so")
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }

// pieces takes what is written in pieces, and would show if two lines were mixed.
type pieces struct {
	mu    sync.Mutex
	lines strings.Builder
}

func (p *pieces) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lines.Write(b)
}

func TestLinesAreNotMixed(t *testing.T) {
	t.Parallel()
	var p pieces
	m := telemetry.NewMetrics(&p, "Rapport")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if err := m.Emit(map[string]string{"Engine": "rules"}, telemetry.Measure{Name: "AnalysisLatency", Unit: telemetry.Seconds, Value: 1}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(telemetrytest.Read(t, p.lines.String())); n != 400 {
		t.Errorf("%d lines", n)
	}
}
