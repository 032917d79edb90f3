package telemetry

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// Unit is what a measure counts.
type Unit string

// The units of CloudWatch that are of use here.
const (
	Count   Unit = "Count"
	Seconds Unit = "Seconds"
	None    Unit = "None"
)

// Measure is one number.
type Measure struct {
	Name  string
	Unit  Unit
	Value float64
}

// Metrics writes measures as lines of CloudWatch's embedded metric format: JSON that CloudWatch Logs makes metrics of wherever it finds
// it in a log. No call of a service is made, and none can fail.
type Metrics struct {
	namespace string
	now       func() time.Time

	mu sync.Mutex
	w  io.Writer
}

// NewMetrics returns what writes measures to w, under a namespace.
func NewMetrics(w io.Writer, namespace string) *Metrics {
	return &Metrics{w: w, namespace: namespace, now: time.Now}
}

// What the format allows of one line.
const (
	maxMeasures   = 100
	maxDimensions = 30
)

type emfDirective struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []emfMetric
}

type emfMetric struct {
	Name string
	Unit Unit
}

// Emit writes measures that belong together as one line. Each value of a dimension makes metrics of its own, which cost money: a
// dimension has few values, and never an id.
func (m *Metrics) Emit(dimensions map[string]string, measures ...Measure) error {
	if len(measures) == 0 || len(measures) > maxMeasures || len(dimensions) > maxDimensions {
		return fmt.Errorf("telemetry: %d measures in %d dimensions do not fit into a line", len(measures), len(dimensions))
	}
	d := emfDirective{Namespace: m.namespace, Dimensions: [][]string{{}}}
	line := map[string]any{}
	for name, value := range dimensions {
		d.Dimensions[0] = append(d.Dimensions[0], name)
		line[name] = value
	}
	for _, x := range measures {
		if _, twice := line[x.Name]; twice || x.Name == "" || x.Name == "_aws" {
			return fmt.Errorf("telemetry: the name %q stands for two things", x.Name)
		}
		d.Metrics = append(d.Metrics, emfMetric{x.Name, x.Unit})
		line[x.Name] = x.Value
	}
	line["_aws"] = map[string]any{"Timestamp": m.now().UnixMilli(), "CloudWatchMetrics": []emfDirective{d}}
	text, err := json.Marshal(line)
	if err != nil { // a number that is none
		return fmt.Errorf("telemetry: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err = m.w.Write(append(text, '\n'))
	return err
}
